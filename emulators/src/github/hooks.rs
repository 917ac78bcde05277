//! Webhooks: what is told to whom, and the one task that delivers it in order.
//!
//! Nothing is ever redelivered by itself. A delivery that failed stays in the App's list with the
//! status GitHub gives it, and is sent again only when asked.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::faults::Fate;
use super::json::{EVENTS, merge, node_id};
use super::model::{AccountKind, Time};
use super::server::World;
use super::state::State;

/// GitHub waits ten seconds for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The App's one webhook.
pub(crate) const HOOK_ID: u64 = 512;

/// One delivery, sent or to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub id: u64,
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    pub installation: Option<u64>,
    pub repository: Option<u64>,
    pub delivered_at: Time,
    pub seconds: f64,
    pub status: String,
    pub status_code: Option<u16>,
    pub redelivery: bool,
    pub payload: Arc<Value>,
    pub response_body: String,
    pub fate: Fate,
}

/// A delivery as tests see it.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// The id in the App's delivery list.
    pub id: u64,
    /// The GUID of `X-GitHub-Delivery`; a redelivery has the first one's.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload's `action`.
    pub action: Option<String>,
    /// What the receiver answered; `None` until then, 502 or 504 when it could not be reached.
    pub status_code: Option<u16>,
    /// Whether it was sent again on request.
    pub redelivery: bool,
    /// The payload.
    pub payload: Value,
}

impl From<&Delivery> for DeliveryRecord {
    fn from(delivery: &Delivery) -> DeliveryRecord {
        DeliveryRecord {
            id: delivery.id,
            guid: delivery.guid.clone(),
            event: delivery.event.clone(),
            action: delivery.action.clone(),
            status_code: delivery.status_code,
            redelivery: delivery.redelivery,
            payload: delivery.payload.as_ref().clone(),
        }
    }
}

impl State {
    /// Tells the App of something in a repository, if it is installed there and may know.
    pub(crate) fn emit(
        &mut self,
        repository_id: u64,
        event: &str,
        action: Option<&str>,
        fields: Value,
        sender: u64,
    ) {
        let Some(installation) = self.listening(repository_id, event, action) else { return };
        let Some(repository) = self.repositories.get(&repository_id) else { return };
        let mut payload = fields;
        if let Some(action) = action {
            payload["action"] = json!(action);
        }
        payload["repository"] = self.repository_json(repository);
        payload["sender"] = self.user_json(sender);
        payload["installation"] =
            json!({ "id": installation, "node_id": node_id("IN", installation) });
        if let Some(owner) = self.accounts.get(&repository.owner)
            && owner.kind == AccountKind::Organization
        {
            payload["organization"] = self.organization_json(owner);
        }
        self.queue(event, action, installation, Some(repository_id), payload);
    }

    /// Tells the App of a change to an installation, which it is always told.
    pub(crate) fn emit_installation(
        &mut self,
        id: u64,
        event: &str,
        action: &str,
        fields: Value,
        sender: u64,
    ) {
        let Some(installation) = self.installations.get(&id) else { return };
        let mut payload = json!({
            "action": action,
            "installation": self.installation_json(installation),
            "sender": self.user_json(sender),
        });
        merge(&mut payload, fields);
        self.queue(event, Some(action), id, None, payload);
    }

    /// The installation that hears of the event: subscribed by permission, and not suspended.
    fn listening(&self, repository: u64, event: &str, action: Option<&str>) -> Option<u64> {
        let (_, permission) = EVENTS.iter().find(|(name, _)| *name == event)?;
        if !self.app_events.iter().any(|subscribed| subscribed == event) {
            return None;
        }
        let installation = self.installations.values().find(|installation| {
            installation.repositories.contains(&repository) && installation.suspended_at.is_none()
        })?;
        let level = installation.permissions.get(*permission)?;
        let needs_write = matches!(action, Some("rerequested" | "requested_action"))
            || (event == "check_suite" && action == Some("requested"));
        (!needs_write || level == "write").then_some(installation.id)
    }

    fn queue(
        &mut self,
        event: &str,
        action: Option<&str>,
        installation: u64,
        repository: Option<u64>,
        payload: Value,
    ) {
        if self.webhook_url.is_none() {
            return;
        }
        let fate = self.faults.fate(event, action);
        if matches!(fate, Fate::Lose) {
            return;
        }
        let delivery = Delivery {
            id: self.fresh_id(),
            guid: Uuid::new_v4().to_string(),
            event: event.to_owned(),
            action: action.map(str::to_owned),
            installation: Some(installation),
            repository,
            delivered_at: self.now(),
            seconds: 0.0,
            status: "pending".to_owned(),
            status_code: None,
            redelivery: false,
            payload: Arc::new(payload),
            response_body: String::new(),
            fate,
        };
        let twin = self.faults.twin(&delivery);
        self.push_delivery(delivery);
        if let Some(mut twin) = twin {
            twin.id = self.fresh_id();
            self.push_delivery(twin);
        }
    }

    fn push_delivery(&mut self, delivery: Delivery) {
        self.outbox.push(self.deliveries.len());
        self.deliveries.push(delivery);
    }

    /// Sends a delivery again, under its GUID and a new id. False when there is none.
    pub(crate) fn redeliver(&mut self, id: u64) -> bool {
        let Some(found) = self.deliveries.iter().find(|delivery| delivery.id == id) else {
            return false;
        };
        let mut again = found.clone();
        again.id = self.fresh_id();
        again.delivered_at = self.now();
        again.redelivery = true;
        again.fate = Fate::Send;
        "pending".clone_into(&mut again.status);
        again.status_code = None;
        self.push_delivery(again);
        true
    }

    /// Headers as GitHub sends them.
    pub(crate) fn delivery_headers(
        &self,
        delivery: &Delivery,
        body: &[u8],
    ) -> Vec<(String, String)> {
        [
            ("Accept", "*/*".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "GitHub-Hookshot/3f2a9c1".to_owned()),
            ("X-GitHub-Delivery", delivery.guid.clone()),
            ("X-GitHub-Event", delivery.event.clone()),
            ("X-GitHub-Hook-ID", HOOK_ID.to_string()),
            ("X-GitHub-Hook-Installation-Target-ID", self.app.id.to_string()),
            ("X-GitHub-Hook-Installation-Target-Type", "integration".to_owned()),
            ("X-Hub-Signature-256", signature(&self.webhook_secret, body)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// `sha256=` and the HMAC of the body in hexadecimal.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of any length, so there is no such case.
        return String::new();
    };
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Deliveries to send, in order.
pub(crate) struct Batch {
    pub indices: Vec<usize>,
    pub done: Option<oneshot::Sender<()>>,
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Delivers batches until the stand-in ends.
pub(crate) async fn deliver(world: Weak<World>, mut batches: mpsc::UnboundedReceiver<Batch>) {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    while let Some(batch) = batches.recv().await {
        for index in batch.indices {
            let Some(world) = world.upgrade() else { return };
            let fate = world.look(|state| state.deliveries[index].fate.clone());
            match fate {
                Fate::Delay(delay) => {
                    let client = client.clone();
                    let world = Arc::downgrade(&world);
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        if let Some(world) = world.upgrade() {
                            send(&client, &world, index).await;
                        }
                    });
                }
                Fate::Drop => settle(&world, index, 502, "failed to connect to host", 0.0, ""),
                Fate::Send | Fate::Lose => send(&client, &world, index).await,
            }
        }
        if let Some(done) = batch.done {
            // The request that waited may have been given up.
            done.send(()).ok();
        }
    }
}

async fn send(client: &HttpClient, world: &World, index: usize) {
    let Some(request) = world.look(|state| request(state, index)) else { return };
    let start = tokio::time::Instant::now();
    let exchange = async {
        let response = client.request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let answer = tokio::time::timeout(TIMEOUT, exchange).await;
    let seconds = start.elapsed().as_secs_f64();
    match answer {
        Err(_) => settle(world, index, 504, "timed out", seconds, ""),
        Ok(None) => settle(world, index, 502, "failed to connect to host", seconds, ""),
        Ok(Some((status, body))) => {
            let success = (200..300).contains(&status);
            let word = if success { "OK" } else { "Invalid HTTP Response" };
            settle(world, index, status, word, seconds, &body);
        }
    }
}

fn request(state: &State, index: usize) -> Option<http::Request<Full<Bytes>>> {
    let delivery = state.deliveries.get(index)?;
    let body = Bytes::from(delivery.payload.to_string());
    let mut request = http::Request::post(state.webhook_url.as_deref()?);
    for (name, value) in state.delivery_headers(delivery, &body) {
        request = request.header(name, value);
    }
    request.body(Full::new(body)).ok()
}

fn settle(world: &World, index: usize, code: u16, word: &str, seconds: f64, body: &str) {
    world.change(|state| {
        if let Some(delivery) = state.deliveries.get_mut(index) {
            delivery.status_code = Some(code);
            word.clone_into(&mut delivery.status);
            delivery.seconds = seconds;
            body.clone_into(&mut delivery.response_body);
        }
    });
}
