//! The worker of one lane: claims what there is room for, runs it, settles what comes out.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chrono::TimeDelta;
use sqlx::PgPool;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Claim, Claimed, Outcome, QueueError, RunnerSettings, backoff, claim, fail, finish_batch,
    held::Held, lease, retry,
};
use crate::{clock::Clock, model::Lane};

/// Jobs claimed in one statement at most; larger ones gain nothing more.
const BATCH: usize = 500;

/// How often settling an outcome is tried while the database is away; after that the lease runs out.
const SETTLING_TRIES: u32 = 6;

/// What all lanes of one runner share.
pub(super) struct Crew {
    pub pool: PgPool,
    pub clock: Clock,
    pub settings: RunnerSettings,
    pub held: Held,
    pub handler: Handler,
}

/// The handler without its types.
pub(super) type Handler = Box<dyn Fn(Claimed) -> BoxedOutcome + Send + Sync>;
pub(super) type BoxedOutcome = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler's task that ended; no outcome where the lease was lost.
type Ended = Result<(Id, Option<Outcome>), JoinError>;

/// One lane with what runs in it.
pub(super) struct LaneWorker {
    lane: Lane,
    capacity: usize,
    crew: Arc<Crew>,
    running: JoinSet<Option<Outcome>>,
    claimed: HashMap<Id, Claimed>,
}

impl LaneWorker {
    pub fn new(lane: Lane, crew: Arc<Crew>) -> Self {
        let capacity = crew.settings.concurrency(lane);
        Self { lane, capacity, crew, running: JoinSet::new(), claimed: HashMap::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Works until it is told to stop, then waits for what still runs.
    pub async fn run(mut self, stop: CancellationToken, mut woken: watch::Receiver<u64>) {
        while !stop.is_cancelled() {
            woken.mark_unchanged();
            let nap = self.fill_or_nap().await;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.running.join_next_with_id() => self.settle(ended).await,
                Ok(()) = woken.changed(), if self.room() > 0 => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
        while let Some(ended) = self.running.join_next_with_id().await {
            self.settle(ended).await;
        }
    }

    /// Claims and starts what there is room for; gives how many.
    pub async fn fill(&mut self) -> Result<usize, QueueError> {
        let mut started = 0;
        loop {
            let room = self.room();
            let claimed = self.claim(room).await?;
            let last = claimed.is_empty() || (self.lane != Lane::Agent && claimed.len() < room);
            started += claimed.len();
            claimed.into_iter().for_each(|job| self.start(job));
            if last || self.room() == 0 {
                return Ok(started);
            }
        }
    }

    /// Polls for a handler that ended; never ready while none runs.
    pub fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        match self.running.poll_join_next_with_id(context) {
            Poll::Ready(Some(ended)) => Poll::Ready(ended),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Settles an outcome, and those of all other handlers that ended meanwhile.
    pub async fn settle(&mut self, first: Ended) {
        let mut finished = Vec::new();
        let mut next = Some(first);
        while let Some(ended) = next {
            let (id, outcome) = match ended {
                Ok((id, outcome)) => (id, outcome.map(Ok)),
                Err(error) => (error.id(), Some(Err(error))),
            };
            if let Some(claimed) = self.claimed.remove(&id) {
                match outcome {
                    Some(Ok(Outcome::Finish)) => finished.push(claimed),
                    outcome => self.settle_one(claimed, outcome).await,
                }
            }
            next = self.running.try_join_next_with_id();
        }
        let crew = &self.crew;
        let settled = persist(|| async {
            finish_batch(&crew.pool, &finished, crew.clock.now()).await.map(drop)
        });
        report(settled.await, "finished jobs");
        finished.iter().for_each(|claimed| crew.held.remove(claimed.token));
    }

    async fn settle_one(&self, claimed: Claimed, outcome: Option<Result<Outcome, JoinError>>) {
        let Crew { pool, clock, held, .. } = &*self.crew;
        let (id, token) = (claimed.id, claimed.token);
        let result = match outcome {
            None | Some(Ok(Outcome::Done | Outcome::Finish)) => Ok(()),
            Some(Ok(Outcome::Retry { after, error })) => {
                let after = after.unwrap_or_else(|| backoff(claimed.attempts));
                persist(|| async {
                    retry(pool, &claimed, &error, after, clock.now()).await.map(drop)
                })
                .await
            }
            Some(Ok(Outcome::Fail { error })) => persist(|| self.fail(&claimed, &error)).await,
            Some(Err(broken)) => {
                tracing::error!(job.id = %id, error = %broken, "a handler panicked");
                persist(|| self.after_panic(&claimed)).await
            }
        };
        report(result, "a job's outcome");
        held.remove(token);
    }

    async fn fail(&self, claimed: &Claimed, error: &str) -> Result<(), QueueError> {
        let mut transaction = self.crew.pool.begin().await?;
        fail(&mut transaction, claimed, error, self.crew.clock.now()).await?;
        Ok(transaction.commit().await?)
    }

    /// A job with attempts left is tried again; the last attempt counts as lost, so that whoever
    /// takes lost jobs hears of it.
    async fn after_panic(&self, claimed: &Claimed) -> Result<(), QueueError> {
        let (pool, now) = (&self.crew.pool, self.crew.clock.now());
        let error = "its handler panicked";
        if claimed.attempts < claimed.max_attempts {
            retry(pool, claimed, error, backoff(claimed.attempts), now).await.map(drop)
        } else {
            lease::expire(pool, claimed.id, claimed.token, error, now).await
        }
    }

    /// How many more may be started. A large lane waits until a quarter of it is free, so that it
    /// claims in batches.
    fn room(&self) -> usize {
        let free = self.capacity - self.running.len();
        if self.lane == Lane::Agent {
            let fits = free > 0 && self.crew.settings.room.beside(self.running.len());
            return usize::from(fits);
        }
        if free >= (self.capacity / 4).max(1) { free.min(BATCH) } else { 0 }
    }

    async fn claim(&self, room: usize) -> Result<Vec<Claimed>, QueueError> {
        let Crew { pool, clock, settings, .. } = &*self.crew;
        let request = Claim {
            lane: self.lane,
            count: u32::try_from(room).unwrap_or(u32::MAX),
            worker: &settings.worker,
            now: clock.now(),
            lease: settings.lease_of(self.lane),
            running: settings.running,
        };
        claim(pool, &request).await
    }

    fn start(&mut self, claimed: Claimed) {
        self.crew.held.add(&claimed, self.crew.clock.now());
        let (crew, job) = (Arc::clone(&self.crew), claimed.clone());
        let task = self.running.spawn(async move {
            let (lost, grace) = (job.lost.clone(), crew.settings.grace);
            tokio::select! {
                outcome = (crew.handler)(job) => Some(outcome),
                () = async { lost.cancelled().await; tokio::time::sleep(grace).await } => None,
            }
        });
        self.claimed.insert(task.id(), claimed);
    }

    /// Fills the lane and says how long it can sleep unless woken.
    async fn fill_or_nap(&mut self) -> Duration {
        let poll = self.crew.settings.poll;
        let due = match self.fill().await {
            Ok(0) if self.room() > 0 => {
                next_due(&self.crew.pool, self.lane, &self.crew.clock).await
            }
            Ok(_) => return poll,
            Err(error) => Err(error),
        };
        match due {
            Ok(due) => due.map_or(poll, |due| due.min(poll)),
            Err(error) => {
                tracing::warn!(lane = self.lane.name(), %error, "no jobs can be claimed");
                poll.max(Duration::from_millis(100))
            }
        }
    }
}

/// How long until the next job of a lane is due that is not due now.
async fn next_due(
    pool: &PgPool,
    lane: Lane,
    clock: &Clock,
) -> Result<Option<Duration>, QueueError> {
    let now = clock.now();
    let due = sqlx::query_scalar!(
        "SELECT min(run_at) FROM jobs WHERE lane = $1 AND lease_token IS NULL AND run_at > $2",
        lane.name(),
        now,
    );
    let due = due.fetch_one(pool).await?;
    Ok(due.map(|due| (due - now).max(TimeDelta::milliseconds(1)).to_std().unwrap_or_default()))
}

/// Tries again while the database is away; a lost lease is final.
async fn persist<F>(mut settle: impl FnMut() -> F) -> Result<(), QueueError>
where
    F: Future<Output = Result<(), QueueError>>,
{
    let mut tries = 1;
    loop {
        match settle().await {
            Err(QueueError::Database(error)) if tries < SETTLING_TRIES => {
                tracing::warn!(%error, tries, "an outcome could not be settled");
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                tries += 1;
            }
            settled => return settled,
        }
    }
}

fn report(settled: Result<(), QueueError>, what: &str) {
    match settled {
        Ok(()) => {}
        Err(error) => tracing::warn!(%error, "{what} could not be settled, the lease will run out"),
    }
}
