//! How the App is registered on its GitHub: what it asks for, as its settings page shows it.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;

use super::client::{Call, Caller};
use super::{App, GitHubError};
use crate::model::Timestamp;

/// The App's own settings, and when GitHub told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The name in addresses.
    pub slug: String,
    /// The account that registered it.
    pub owner_login: String,
    /// The App's settings page for people.
    pub settings_url: String,
    /// The page on which people install it.
    pub install_url: String,
    /// What installations are asked to grant: `issues` to `write`.
    pub permissions: BTreeMap<String, String>,
    /// What it is subscribed to.
    pub events: Vec<String>,
    /// GitHub's own time when it answered; none where it does not say.
    pub answered_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    slug: String,
    owner: Option<Owner>,
    html_url: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl App {
    /// Reads how the App is registered, anew each time.
    ///
    /// # Errors
    /// `Unauthorized` when id and key do not belong together; and those of every reading call.
    pub async fn registration(&self) -> Result<Registration, GitHubError> {
        let read = self.client().read::<Answer>(Caller::App, &Call::get("/app")).await?;
        let date = read.headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let Answer { slug, owner, html_url, permissions, events } = read.value;
        let owner = owner.unwrap_or(Owner { login: String::new(), kind: String::new() });
        Ok(Registration {
            settings_url: settings_url(&html_url, &slug, &owner),
            install_url: format!("{}/installations/new", html_url.trim_end_matches('/')),
            owner_login: owner.login,
            slug,
            permissions,
            events,
            answered_at: date.map(|date| date.to_utc()),
        })
    }
}

/// The page is below the owner's settings; its host is that of the App's public page.
fn settings_url(html_url: &str, slug: &str, owner: &Owner) -> String {
    let host = html_url.find("/apps/").or_else(|| html_url.find("/github-apps/"));
    let host = &html_url[..host.unwrap_or(html_url.len())];
    if owner.kind == "Organization" {
        format!("{host}/organizations/{}/settings/apps/{slug}", owner.login)
    } else {
        format!("{host}/settings/apps/{slug}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_page_is_the_owners() {
        let owner = |kind: &str| Owner { login: "acme".to_owned(), kind: kind.to_owned() };
        let page = "https://github.com/apps/acme-baton";
        assert_eq!(
            settings_url(page, "acme-baton", &owner("Organization")),
            "https://github.com/organizations/acme/settings/apps/acme-baton"
        );
        assert_eq!(
            settings_url(page, "acme-baton", &owner("User")),
            "https://github.com/settings/apps/acme-baton"
        );
    }
}
