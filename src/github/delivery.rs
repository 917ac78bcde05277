//! GitHub's own list of what it delivered to the App: the source for what was missed.
//!
//! GitHub keeps it and redelivers for three days.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Call, Caller};
use super::pages::{PAGE, Pages};
use super::{App, GitHubError};
use crate::model::{DeliveryGuid, Timestamp};

/// One attempt to deliver a webhook, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeliverySummary {
    /// GitHub's id of the attempt.
    pub id: i64,
    /// `X-GitHub-Delivery`: a redelivery has that of the first attempt.
    pub guid: DeliveryGuid,
    /// When it was made.
    pub delivered_at: Timestamp,
    /// `X-GitHub-Event`.
    pub event: String,
    /// How Baton answered; 0 or a status of GitHub's own where it could not be reached.
    pub status_code: u16,
    /// Whether it is a repetition.
    pub redelivery: bool,
}

/// A part of the list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    /// At most 100 attempts.
    pub deliveries: Vec<DeliverySummary>,
    /// Where older ones begin; none at the end of the list.
    pub next: Option<String>,
}

/// What was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names in lower case, as sent.
    pub headers: Vec<(String, String)>,
    /// JSON with the content of the payload. GitHub keeps no bytes, so that the signature among the
    /// headers does not fit; the App's own list needs none.
    pub payload: Vec<u8>,
}

#[derive(Deserialize)]
struct DeliveryAnswer {
    request: RequestAnswer,
}

#[derive(Deserialize)]
struct RequestAnswer {
    headers: Option<Map<String, Value>>,
    payload: Value,
}

impl App {
    /// One page of the list; the newest without a cursor, else where an earlier page's `next` says.
    ///
    /// # Errors
    /// Those of every reading call.
    pub async fn deliveries(&self, cursor: Option<&str>) -> Result<DeliveryPage, GitHubError> {
        let first = format!("/app/hook/deliveries?{PAGE}");
        let path = cursor.map_or(first, str::to_owned);
        let mut pages = Pages::new(self.client(), Caller::App, path);
        let deliveries = pages.next().await?.unwrap_or_default();
        Ok(DeliveryPage { deliveries, next: pages.upcoming().map(str::to_owned) })
    }

    /// All attempts made at or after a time, newest first.
    ///
    /// # Errors
    /// Those of every reading call.
    pub async fn deliveries_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<DeliverySummary>, GitHubError> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.deliveries(cursor.as_deref()).await?;
            let oldest = page.deliveries.last().map(|delivery| delivery.delivered_at);
            all.extend(page.deliveries.into_iter().filter(|seen| seen.delivered_at >= since));
            cursor = page.next.filter(|_| oldest.is_some_and(|oldest| oldest >= since));
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// What was delivered with an attempt.
    ///
    /// # Errors
    /// `NotFound` once GitHub has dropped it; and those of every reading call.
    pub async fn delivery(&self, id: i64) -> Result<Delivery, GitHubError> {
        let call = Call::get(format!("/app/hook/deliveries/{id}"));
        let answer: DeliveryAnswer = self.client().read(Caller::App, &call).await?.value;
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let headers = answer.request.headers.unwrap_or_default();
        Ok(Delivery {
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), text(value)))
                .collect(),
            payload: text(answer.request.payload).into_bytes(),
        })
    }

    /// Asks GitHub to deliver an attempt again, under the same GUID.
    ///
    /// # Errors
    /// `NotFound` or `Refused` when it is too old; and those of every call.
    pub async fn redeliver(&self, id: i64) -> Result<(), GitHubError> {
        let call = Call::post(format!("/app/hook/deliveries/{id}/attempts"), json!({}));
        self.client().ask(Caller::App, &call).await.map(drop)
    }
}
