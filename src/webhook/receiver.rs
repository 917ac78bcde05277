//! The end point: from a request to a delivery that is stored, or to the reason why not.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    budget::{Budget, Share},
    signature::{Claimed, Keys, Verification},
    store::NewDelivery,
    writer::Writer,
};
use crate::{clock::Clock, model::DeliveryGuid};

/// GitHub gives up after ten seconds; a word in time is better than none.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// When to come again, in seconds. GitHub does not, but proxies and people who redeliver read it.
const RETRY_AFTER: &str = "10";

/// What the receiver is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The webhook's secret; after a change also the previous one.
    pub secrets: Vec<SecretString>,
    /// The largest body taken, in bytes. GitHub sends at most 25 MB.
    pub max_body: usize,
    /// Bytes of bodies in memory at once, over all connections.
    pub max_in_flight_bytes: u32,
}

impl Settings {
    /// The usual limits: 25 MiB a body, 256 MiB in all.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self { secrets, max_body: 25 << 20, max_in_flight_bytes: 256 << 20 }
    }
}

/// Why a receiver cannot be made of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Without a secret anybody could speak for GitHub.
    #[error("receive webhooks without a secret, or with an empty one")]
    NoSecret,
    /// The largest body would never fit.
    #[error("receive bodies larger than all that may be in memory")]
    TooFewBytes,
}

/// What the end point works with; cheap to clone.
#[derive(Clone)]
pub struct Receiver {
    keys: Arc<Keys>,
    budget: Budget,
    max_body: usize,
    writer: Writer,
    clock: Clock,
}

impl Receiver {
    /// Prepares the end point.
    ///
    /// # Errors
    /// When there is no secret or an empty one, or when the limits exclude each other.
    pub fn new(settings: &Settings, writer: Writer, clock: Clock) -> Result<Self, SettingsError> {
        let keys = Keys::new(&settings.secrets).ok_or(SettingsError::NoSecret)?;
        if settings.max_body > settings.max_in_flight_bytes as usize {
            return Err(SettingsError::TooFewBytes);
        }
        let budget = Budget::new(settings.max_in_flight_bytes);
        let max_body = settings.max_body;
        Ok(Self { keys: Arc::new(keys), budget, max_body, writer, clock })
    }
}

/// The route `POST /webhook`: 202 once the delivery is durable, also when it was known before.
///
/// 401 without a valid `X-Hub-Signature-256`, 413 for too large a body, 400 without GUID or event,
/// 415 for a form, 503 with `Retry-After` while the database is away or too much is in memory; in
/// all these cases nothing was stored. Every answer comes within eight seconds.
pub fn router(state: Receiver) -> Router {
    Router::new().route("/webhook", post(receive)).with_state(state)
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> Response {
    let result = timeout(ANSWER_LIMIT, receiver.take(request)).await;
    match result.unwrap_or(Err(Refusal::Late)) {
        Ok(guid) => {
            tracing::debug!(delivery.id = %guid, "delivery stored");
            StatusCode::ACCEPTED.into_response()
        }
        Err(refusal) => {
            tracing::debug!(?refusal, "delivery refused");
            refusal.into_response()
        }
    }
}

impl Receiver {
    async fn take(&self, request: Request) -> Result<DeliveryGuid, Refusal> {
        let received_at = self.clock.now();
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let claimed = Claimed::of(&headers).ok_or(Refusal::Signature)?;
        if announced(&headers).is_some_and(|length| length > self.max_body as u64) {
            return Err(Refusal::TooLarge);
        }
        let mut share = self.budget.share();
        let mut verification = self.keys.verify(claimed);
        let body = self.read(body, &mut verification, &mut share).await?;
        if !verification.holds() {
            return Err(Refusal::Signature);
        }
        if text(&headers, "content-type").is_some_and(|kind| kind.contains("form-urlencoded")) {
            return Err(Refusal::Form);
        }
        let guid = guid(&headers).ok_or(Refusal::Guid)?;
        let delivery = NewDelivery {
            guid,
            received_at,
            event: event(&headers).ok_or(Refusal::Event)?,
            target_id: text(&headers, "x-github-hook-installation-target-id")
                .and_then(|id| id.parse().ok()),
            headers: kept(&headers),
            body,
        };
        self.writer.store(delivery, share).await.map_err(|_| Refusal::Away)?;
        Ok(guid)
    }

    /// Reads the body piece by piece, so that nothing beyond the limits is ever in memory.
    async fn read(
        &self,
        mut body: Body,
        verification: &mut Verification,
        share: &mut Share,
    ) -> Result<Bytes, Refusal> {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
            if whole.len() + piece.len() > self.max_body {
                return Err(Refusal::TooLarge);
            }
            if !share.grow(piece.len()) {
                return Err(Refusal::Full);
            }
            verification.update(&piece);
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH.as_str())?.parse().ok()
}

fn guid(headers: &HeaderMap) -> Option<DeliveryGuid> {
    Uuid::try_parse(text(headers, "x-github-delivery")?).ok().map(DeliveryGuid)
}

fn event(headers: &HeaderMap) -> Option<String> {
    let event = text(headers, "x-github-event")?;
    let word = event.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (word && (1..=64).contains(&event.len())).then(|| event.to_owned())
}

/// GitHub's own headers, as an object of texts; signatures are of no use later.
fn kept(headers: &HeaderMap) -> Value {
    let own = |name: &str| name.starts_with("x-github-") || name == "user-agent";
    let texts = headers.iter().filter(|(name, _)| own(name.as_str()));
    texts
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .map(|(name, value)| (name, Value::String(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Signature,
    TooLarge,
    Form,
    Guid,
    Event,
    /// The connection broke, or its framing is wrong.
    Broken,
    /// Too many bytes are in memory.
    Full,
    /// The database is away.
    Away,
    /// Somebody was too slow: the sender, or the database.
    Late,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Signature => (StatusCode::UNAUTHORIZED, "no valid X-Hub-Signature-256"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Form => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "set the webhook's content type to application/json",
            ),
            Self::Guid => (StatusCode::BAD_REQUEST, "no valid X-GitHub-Delivery"),
            Self::Event => (StatusCode::BAD_REQUEST, "no valid X-GitHub-Event"),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body ended early"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once"),
            Self::Away | Self::Late => {
                (StatusCode::SERVICE_UNAVAILABLE, "the delivery could not be stored in time")
            }
        };
        let mut response = (status, text).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let value = http::HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
