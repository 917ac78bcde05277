//! Which App this server is.

use secrecy::SecretString;
use serde::Deserialize;

use super::Source;

/// The App's identity and keys.
#[derive(Debug, Clone)]
pub struct GitHub {
    /// The App's numeric id.
    pub app_id: u64,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// The webhook secret, then the previous one while it is being changed.
    pub webhook_secrets: Vec<SecretString>,
    /// The API's address; another one for GitHub Enterprise Server.
    pub api_url: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app_id: Option<u64>,
    private_key_file: Option<String>,
    webhook_secret_file: Option<String>,
    api_url: Option<String>,
}

impl GitHub {
    pub(super) fn read(source: &mut Source) -> Self {
        let file: File = source.section("github");
        let app_id = source.parsed("GITHUB_APP_ID", file.app_id.map(|id| id.to_string()));
        if app_id.is_none() {
            source.mistake(
                "GITHUB_APP_ID",
                "missing: the number under \"App ID\" in the App's settings",
            );
        }
        let private_key = source.secret("GITHUB_PRIVATE_KEY", file.private_key_file);
        if private_key.is_none() {
            source.mistake(
                "GITHUB_PRIVATE_KEY",
                "missing: the App's private key, or its file's path in GITHUB_PRIVATE_KEY_FILE",
            );
        }
        let secret = source.secret("GITHUB_WEBHOOK_SECRET", file.webhook_secret_file);
        if secret.is_none() {
            source.mistake(
                "GITHUB_WEBHOOK_SECRET",
                "missing: the secret in the App's webhook settings",
            );
        }
        let previous = source.secret("GITHUB_WEBHOOK_SECRET_PREVIOUS", None);
        let api_url = source.variable("GITHUB_API_URL").or(file.api_url);
        Self {
            app_id: app_id.unwrap_or_default(),
            private_key: private_key.unwrap_or_default(),
            webhook_secrets: secret.into_iter().chain(previous).collect(),
            api_url: api_url.unwrap_or_else(|| "https://api.github.com".to_owned()),
        }
    }
}
