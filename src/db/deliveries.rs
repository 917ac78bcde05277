//! `deliveries` and `delivery_bodies`: raw webhooks, as received.

use bytes::Bytes;
use sqlx::PgExecutor;

use super::DbError;
use crate::model::{DeliveryGuid, Timestamp};

/// A webhook to be stored.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// `X-GitHub-Delivery`.
    pub guid: DeliveryGuid,
    /// When it came.
    pub received_at: Timestamp,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-GitHub-Hook-Installation-Target-ID`, where GitHub sent it.
    pub target_id: Option<i64>,
    /// Its headers as an object of strings.
    pub headers: serde_json::Value,
    /// Its body, byte for byte: the signature is over these.
    pub body: Bytes,
}

/// A webhook with what became of it.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    /// `X-GitHub-Delivery`.
    pub guid: DeliveryGuid,
    /// When it came.
    pub received_at: Timestamp,
    /// `X-GitHub-Event`.
    pub event: String,
    /// Its headers as an object of strings.
    pub headers: serde_json::Value,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not read yet.
    New,
    /// Events came of it.
    Parsed,
    /// Nothing came of it; the reason is beside it.
    Ignored,
    /// It is the echo of what Baton did.
    Own,
    /// It could not be read.
    Failed,
}

impl DeliveryState {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Parsed => "parsed",
            Self::Ignored => "ignored",
            Self::Own => "own",
            Self::Failed => "failed",
        }
    }
}

/// Stores many deliveries in one round trip and gives the GUIDs that were not known before.
///
/// # Errors
/// When the database is away; then none is stored.
pub async fn insert_batch(
    executor: impl PgExecutor<'_>,
    deliveries: &[NewDelivery],
) -> Result<Vec<DeliveryGuid>, DbError> {
    let guids: Vec<_> = deliveries.iter().map(|delivery| delivery.guid.0).collect();
    let received: Vec<_> = deliveries.iter().map(|delivery| delivery.received_at).collect();
    let events: Vec<_> = deliveries.iter().map(|delivery| delivery.event.clone()).collect();
    let targets: Vec<_> = deliveries.iter().map(|delivery| delivery.target_id).collect();
    let headers: Vec<_> = deliveries.iter().map(|delivery| delivery.headers.clone()).collect();
    let bodies: Vec<&[u8]> = deliveries.iter().map(|delivery| delivery.body.as_ref()).collect();
    // A GUID that stands twice in one batch counts once.
    let fresh = sqlx::query_scalar!(
        "WITH given AS (
             SELECT DISTINCT ON (guid) guid, received_at, event, target_id, headers, body
             FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bigint[], $5::jsonb[],
                 $6::bytea[]) AS g (guid, received_at, event, target_id, headers, body)
         ), fresh AS (
             INSERT INTO deliveries (guid, received_at, event, target_id)
             SELECT guid, received_at, event, target_id FROM given
             ON CONFLICT (guid) DO NOTHING RETURNING guid
         ), stored AS (
             INSERT INTO delivery_bodies (guid, received_at, headers, body)
             SELECT guid, received_at, headers, body FROM given JOIN fresh USING (guid)
         )
         SELECT guid FROM fresh",
        &guids,
        &received,
        &events,
        &targets as &[Option<i64>],
        &headers,
        &bodies as &[&[u8]],
    );
    Ok(fresh.fetch_all(executor).await?.into_iter().map(DeliveryGuid).collect())
}

/// Loads a delivery with its body.
///
/// # Errors
/// [`DbError::Absent`] when it was never stored or its body is past its retention.
pub async fn load_body(
    executor: impl PgExecutor<'_>,
    guid: DeliveryGuid,
) -> Result<StoredDelivery, DbError> {
    let row = sqlx::query!(
        "SELECT d.received_at, d.event, b.headers, b.body
         FROM deliveries d JOIN delivery_bodies b USING (guid, received_at) WHERE d.guid = $1",
        guid.0,
    )
    .fetch_optional(executor)
    .await?
    .ok_or_else(|| DbError::absent("delivery", guid))?;
    let (received_at, event, headers) = (row.received_at, row.event, row.headers);
    Ok(StoredDelivery { guid, received_at, event, headers, body: row.body.into() })
}

/// Notes what became of a delivery.
///
/// # Errors
/// [`DbError::Stale`] when there is no such delivery.
pub async fn mark(
    executor: impl PgExecutor<'_>,
    guid: DeliveryGuid,
    state: DeliveryState,
    reason: Option<&str>,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE deliveries SET state = $2, reason = $3 WHERE guid = $1",
        guid.0,
        state.name(),
        reason,
    )
    .execute(executor)
    .await?;
    super::error::one_row(&result, "delivery", guid)
}

/// Picks those GUIDs that were never stored.
///
/// # Errors
/// When the database is away.
pub async fn unknown_of(
    executor: impl PgExecutor<'_>,
    guids: &[DeliveryGuid],
) -> Result<Vec<DeliveryGuid>, DbError> {
    let asked: Vec<_> = guids.iter().map(|guid| guid.0).collect();
    let unknown = sqlx::query_scalar!(
        r#"SELECT guid AS "guid!" FROM unnest($1::uuid[]) AS asked (guid)
           WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.guid = asked.guid)"#,
        &asked,
    );
    Ok(unknown.fetch_all(executor).await?.into_iter().map(DeliveryGuid).collect())
}

/// Lists deliveries that came before a moment and were never read: their jobs were lost.
///
/// # Errors
/// When the database is away.
pub async fn list_unread(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<DeliveryGuid>, DbError> {
    let guids = sqlx::query_scalar!(
        "SELECT guid FROM deliveries WHERE state = 'new' AND received_at < $1
         ORDER BY received_at LIMIT $2",
        before,
        limit,
    );
    Ok(guids.fetch_all(executor).await?.into_iter().map(DeliveryGuid).collect())
}

/// Deletes at most `limit` rows of deliveries before a moment; gives how many it were.
///
/// # Errors
/// When the database is away.
pub async fn delete_before(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<u64, DbError> {
    let result = sqlx::query!(
        "DELETE FROM deliveries WHERE guid IN
             (SELECT guid FROM deliveries WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
        before,
        limit,
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected())
}
