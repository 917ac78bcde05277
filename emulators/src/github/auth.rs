//! Who calls: the App by its JWT, an installation by its token; and what that allows.

use base64::Engine;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

use super::TokenUse;
use super::answer::{Answer, Handled, Refusal};
use super::json::time;
use super::model::Token;
use super::state::State;

/// An App JWT lives ten minutes at most, in seconds.
const JWT_LIFE: i64 = 600;
/// An installation token lives an hour, in seconds.
const TOKEN_LIFE: i64 = 3_600;
/// The most repositories one token can name.
const TOKEN_REPOSITORIES: usize = 500;

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// The App itself.
    App,
    /// An installation of it.
    Installation(Token),
}

/// How much of a permission is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// To read.
    Read,
    /// To change.
    Write,
}

#[derive(Deserialize)]
struct Claims {
    iss: Value,
    iat: i64,
    exp: i64,
}

impl State {
    /// Reads an `Authorization` header.
    pub(crate) fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let Some(header) = authorization else { return Ok(Caller::Anonymous) };
        let (scheme, value) = header.split_once(' ').ok_or_else(Refusal::bad_credentials)?;
        let secret = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" => value.trim().to_owned(),
            "basic" => basic_password(value).ok_or_else(Refusal::bad_credentials)?,
            _ => return Err(Refusal::bad_credentials()),
        };
        if secret.starts_with("ghs_") { self.token(&secret) } else { self.app_jwt(&secret) }
    }

    fn token(&self, secret: &str) -> Result<Caller, Refusal> {
        let token = self.tokens.get(secret).ok_or_else(Refusal::bad_credentials)?;
        let installed = self.installations.get(&token.installation);
        let installed = installed.is_some_and(|known| known.suspended_at.is_none());
        if token.expires_at <= self.now() || !installed {
            return Err(Refusal::bad_credentials());
        }
        Ok(Caller::Installation(token.clone()))
    }

    fn app_jwt(&self, secret: &str) -> Result<Caller, Refusal> {
        let undecodable = || Refusal::new(401, "A JSON web token could not be decoded");
        let key = DecodingKey::from_rsa_pem(self.app.public_key_pem.as_bytes())
            .map_err(|_| undecodable())?;
        let mut validation = Validation::new(Algorithm::RS256);
        // Times are judged by the stand-in's clock below.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let claims = jsonwebtoken::decode::<Claims>(secret, &key, &validation)
            .map_err(|_| undecodable())?
            .claims;
        let issuer = claims.iss.as_str().map_or_else(|| claims.iss.to_string(), str::to_owned);
        let client_id = format!("Iv1.{:016x}", self.app.id);
        if issuer != self.app.id.to_string() && issuer != client_id {
            return Err(Refusal::new(401, "'Issuer' claim ('iss') must be the App's id"));
        }
        let now = self.now().timestamp();
        if claims.exp <= now {
            let message = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
            return Err(Refusal::new(401, message));
        }
        if claims.exp > now + JWT_LIFE {
            return Err(Refusal::new(
                401,
                "'Expiration time' claim ('exp') is too far in the future",
            ));
        }
        if claims.iat > now {
            let message = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
            return Err(Refusal::new(401, message));
        }
        Ok(Caller::App)
    }

    /// Answers `POST /app/installations/{id}/access_tokens`.
    pub(crate) fn mint(&mut self, id: u64, body: &Value) -> Handled {
        let installation = self.installations.get(&id).ok_or_else(Refusal::not_found)?;
        if installation.suspended_at.is_some() {
            return Err(Refusal::new(403, "This installation has been suspended"));
        }
        let permissions = narrowed(&installation.permissions, &body["permissions"])?;
        let repositories = self.chosen_repositories(&installation.repositories, body)?;
        let expires_at = self.now() + chrono::Duration::seconds(TOKEN_LIFE);
        let mut answer = json!({
            "expires_at": time(expires_at),
            "permissions": permissions,
            "repository_selection": "selected",
        });
        if let Some(chosen) = &repositories {
            answer["repositories"] = chosen
                .iter()
                .filter_map(|id| self.repositories.get(id))
                .map(|repository| self.repository_json(repository))
                .collect();
        }
        let secret = token_secret();
        answer["token"] = json!(secret);
        let token = Token { installation: id, repositories, permissions, expires_at };
        self.tokens.insert(secret, token);
        Ok(Answer::created(answer))
    }

    fn chosen_repositories(
        &self,
        installed: &[u64],
        body: &Value,
    ) -> Result<Option<Vec<u64>>, Refusal> {
        let names = body["repositories"].as_array();
        let ids = body["repository_ids"].as_array();
        if names.is_none() && ids.is_none() {
            return Ok(None);
        }
        let missing = || {
            Refusal::new(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        };
        let mut chosen = Vec::new();
        for name in names.into_iter().flatten() {
            let name = name.as_str().ok_or_else(missing)?;
            let found = installed.iter().find(|id| {
                self.repositories.get(id).is_some_and(|known| known.name.eq_ignore_ascii_case(name))
            });
            chosen.push(*found.ok_or_else(missing)?);
        }
        for id in ids.into_iter().flatten() {
            let id = id.as_u64().filter(|id| installed.contains(id)).ok_or_else(missing)?;
            chosen.push(id);
        }
        if chosen.len() > TOKEN_REPOSITORIES {
            return Err(Refusal::new(422, "The 'repositories' array is too long."));
        }
        Ok(Some(chosen))
    }

    /// The repositories a token reaches.
    pub(crate) fn token_repositories(&self, token: &Token) -> Vec<u64> {
        let installed = self.installations.get(&token.installation);
        let installed = installed.map_or(&[][..], |known| &known.repositories);
        match &token.repositories {
            Some(chosen) => chosen.iter().filter(|id| installed.contains(id)).copied().collect(),
            None => installed.to_vec(),
        }
    }

    /// The repository, if the caller may do this there: any one of `permissions` is enough.
    ///
    /// Out of reach is 404, without the permission 403, a write to an archived repository 403.
    pub(crate) fn reach(
        &self,
        caller: &Caller,
        (owner, name): (&str, &str),
        permissions: &[&str],
        level: Level,
    ) -> Result<u64, Refusal> {
        let token = match caller {
            Caller::Installation(token) => token,
            Caller::App => return Err(Refusal::new(401, "A JSON web token is not accepted here")),
            Caller::Anonymous => return Err(Refusal::new(401, "Requires authentication")),
        };
        let id = self.repository_id(owner, name).ok_or_else(Refusal::not_found)?;
        if !self.token_repositories(token).contains(&id) {
            return Err(Refusal::not_found());
        }
        if !permissions.iter().any(|permission| token.allows(permission, level)) {
            return Err(Refusal::not_accessible());
        }
        if level == Level::Write && self.repository(id)?.archived {
            return Err(Refusal::new(403, "Repository was archived so is read-only."));
        }
        Ok(id)
    }
}

impl State {
    /// Remembers which token was used where.
    pub(crate) fn note_use(&mut self, caller: &Caller, path: &str) {
        if let Caller::Installation(token) = caller {
            let Token { installation, repositories, .. } = token.clone();
            self.token_uses.push(TokenUse { installation, repositories, path: path.to_owned() });
        }
    }
}

impl Token {
    /// Whether the token has the permission at the level.
    pub(crate) fn allows(&self, permission: &str, level: Level) -> bool {
        match self.permissions.get(permission).map(String::as_str) {
            Some("write" | "admin") => true,
            Some("read") => level == Level::Read,
            // Every token may read metadata.
            _ => permission == "metadata" && level == Level::Read,
        }
    }
}

/// The permissions asked for, refused where they exceed what the installation has.
fn narrowed(
    granted: &BTreeMap<String, String>,
    asked: &Value,
) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(asked) = asked.as_object() else { return Ok(granted.clone()) };
    let mut narrowed = BTreeMap::from([("metadata".to_owned(), "read".to_owned())]);
    for (name, level) in asked {
        let level = level.as_str().unwrap_or_default();
        let allowed = match granted.get(name).map(String::as_str) {
            Some("write") => matches!(level, "read" | "write"),
            Some("read") => level == "read",
            _ => false,
        };
        if !allowed {
            return Err(Refusal::new(
                422,
                "The permissions requested are not granted to this installation.",
            ));
        }
        narrowed.insert(name.clone(), level.to_owned());
    }
    Ok(narrowed)
}

/// A secret of no fixed length, as GitHub's have been since 2026-04.
fn token_secret() -> String {
    let one = Uuid::new_v4();
    let more = usize::from(one.as_bytes()[0] % 24);
    let tail = Uuid::new_v4().simple().to_string();
    format!("ghs_{}{}", one.simple(), &tail[..more])
}

fn basic_password(value: &str) -> Option<String> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}
