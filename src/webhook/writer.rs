//! Groups deliveries that arrive together into one transaction.
//!
//! There is no waiting for a batch to fill: an idle writer takes what is there at once, and what
//! arrives while both are writing is the next batch.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    budget::Share,
    store::{NewDelivery, Store, StoreError},
};

/// While one waits for the disk, the other fills its batch.
const WRITERS: usize = 2;

/// The most deliveries in one transaction.
const MOST_IN_BATCH: usize = 64;

/// The most deliveries that wait for a writer; more wait at the door, within their own time.
const MOST_WAITING: usize = 1024;

/// How long one transaction may take. Short of the time within which the delivery is answered.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Takes deliveries to be stored. Clones share the same tasks, which end once all are dropped.
#[derive(Debug, Clone)]
pub struct Writer {
    entries: mpsc::Sender<Entry>,
}

/// The tasks of a writer.
#[derive(Debug)]
pub struct WriterTasks(JoinSet<()>);

/// The delivery was not stored; the writer has logged why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotStored;

#[derive(Debug)]
struct Entry {
    delivery: NewDelivery,
    /// Held for as long as the body is in memory.
    share: Share,
    answer: oneshot::Sender<Result<(), NotStored>>,
}

impl Writer {
    /// Starts the tasks that write to this store.
    #[must_use]
    pub fn start(store: impl Store) -> (Self, WriterTasks) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let (store, entries) = (Arc::new(store), Arc::new(Mutex::new(receiver)));
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            tasks.spawn(write_all(Arc::clone(&store), Arc::clone(&entries)));
        }
        (Self { entries: sender }, WriterTasks(tasks))
    }

    /// Gives a delivery to the writers and waits until it is durable.
    pub(super) async fn store(&self, delivery: NewDelivery, share: Share) -> Result<(), NotStored> {
        let (answer, stored) = oneshot::channel();
        let entry = Entry { delivery, share, answer };
        self.entries.send(entry).await.map_err(|_| NotStored)?;
        stored.await.unwrap_or(Err(NotStored))
    }
}

impl WriterTasks {
    /// Waits until all that was taken is written. Ends only after every [`Writer`] is dropped.
    pub async fn join(mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a writer of deliveries ended badly");
            }
        }
    }
}

async fn write_all<S: Store>(store: Arc<S>, entries: Arc<Mutex<mpsc::Receiver<Entry>>>) {
    loop {
        let mut batch = Vec::with_capacity(MOST_IN_BATCH);
        if entries.lock().await.recv_many(&mut batch, MOST_IN_BATCH).await == 0 {
            return;
        }
        // Nobody waits for the others any more: they were answered with 503.
        batch.retain(|entry| !entry.answer.is_closed());
        write(&*store, batch).await;
    }
}

async fn write(store: &impl Store, batch: Vec<Entry>) {
    let (mut deliveries, mut waiting) = (Vec::new(), Vec::new());
    for Entry { delivery, share, answer } in batch {
        deliveries.push(delivery);
        waiting.push((share, answer));
    }
    if deliveries.is_empty() {
        return;
    }
    let together = accept(store, &deliveries).await;
    let alone = matches!(together, Err(StoreError::Refused(_))) && deliveries.len() > 1;
    let results = if alone {
        one_by_one(store, &deliveries).await
    } else {
        vec![answer_to(&together, deliveries.len()); deliveries.len()]
    };
    for ((_, answer), result) in waiting.into_iter().zip(results) {
        // Whoever asked may have given up: the delivery is stored all the same.
        let _ = answer.send(result);
    }
}

/// One delivery that the database refuses must not take the others with it.
async fn one_by_one(store: &impl Store, deliveries: &[NewDelivery]) -> Vec<Result<(), NotStored>> {
    let mut results = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let stored = accept(store, std::slice::from_ref(delivery)).await;
        results.push(answer_to(&stored, 1));
        if matches!(stored, Err(StoreError::Away(_))) {
            break;
        }
    }
    results.resize(deliveries.len(), Err(NotStored));
    results
}

async fn accept(store: &impl Store, batch: &[NewDelivery]) -> Result<(), StoreError> {
    match timeout(WRITE_LIMIT, store.accept(batch)).await {
        Ok(result) => result,
        Err(elapsed) => Err(StoreError::Away(elapsed.into())),
    }
}

fn answer_to(result: &Result<(), StoreError>, deliveries: usize) -> Result<(), NotStored> {
    result.as_ref().copied().map_err(|error| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, deliveries, "deliveries were not stored");
        NotStored
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::{clock::Clock, model::DeliveryGuid, webhook::budget::Budget};

    /// Refuses every batch with an event called `poison`, and notes the sizes of all batches.
    #[derive(Clone, Default)]
    struct Picky(Arc<std::sync::Mutex<Vec<usize>>>);

    impl Store for Picky {
        async fn accept(&self, batch: &[NewDelivery]) -> Result<(), StoreError> {
            self.0.lock().unwrap().push(batch.len());
            match batch.iter().any(|delivery| delivery.event == "poison") {
                true => Err(StoreError::Refused("poison".into())),
                false => Ok(()),
            }
        }
    }

    /// Stores one delivery after another of these events, and gives what became of the `n`-th.
    async fn send(writer: &Writer, events: &[&str]) -> Vec<Result<(), NotStored>> {
        let budget = Budget::new(1000);
        let sent: Vec<_> = events
            .iter()
            .map(|event| {
                let delivery = NewDelivery {
                    guid: DeliveryGuid(Uuid::new_v4()),
                    received_at: Clock::system().now(),
                    event: (*event).to_owned(),
                    target_id: None,
                    headers: serde_json::json!({}),
                    body: Bytes::from_static(b"{}"),
                };
                let (writer, share) = (writer.clone(), budget.share());
                tokio::spawn(async move { writer.store(delivery, share).await })
            })
            .collect();
        let mut results = Vec::new();
        for one in sent {
            results.push(one.await.unwrap());
        }
        results
    }

    #[tokio::test]
    async fn what_waits_is_written_together_and_what_is_refused_does_no_harm() {
        let store = Picky::default();
        let (writer, tasks) = Writer::start(store.clone());
        // On one thread all are sent before a writer looks.
        let results = send(&writer, &["push", "poison", "push"]).await;
        assert_eq!(results, [Ok(()), Err(NotStored), Ok(())]);
        let sizes: Vec<usize> = store.0.lock().unwrap().clone();
        assert_eq!(sizes.iter().filter(|size| **size == 1).count(), 3, "{sizes:?}");
        assert!(sizes.len() > 3, "nothing was grouped: {sizes:?}");
        drop(writer);
        tasks.join().await;
    }

    #[tokio::test]
    async fn a_flood_is_written_in_batches_of_bounded_size() {
        let store = Picky::default();
        let (writer, tasks) = Writer::start(store.clone());
        let results = send(&writer, &["push"; 200]).await;
        assert!(results.iter().all(Result::is_ok));
        let sizes: Vec<usize> = store.0.lock().unwrap().clone();
        assert_eq!(sizes.iter().sum::<usize>(), 200);
        assert!(sizes.iter().all(|size| *size <= MOST_IN_BATCH), "{sizes:?}");
        assert!(sizes.len() < 100, "hardly anything was grouped: {sizes:?}");
        drop(writer);
        tasks.join().await;
    }
}
