//! The runner: claims jobs of all lanes and hands them to a function until it is told to stop.

use std::{collections::BTreeMap, fmt, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use chrono::TimeDelta;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Claimed, QueueError, Running, Wakes,
    held::Held,
    lane::{Crew, LaneWorker},
    lease, listen,
};
use crate::{clock::Clock, model::Lane};

/// What a handler says about its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It finished the job in its own transaction.
    Done,
    /// The job wrote nothing else; the runner finishes it, many at once.
    Finish,
    /// Something outside failed; try again.
    Retry {
        /// After this time; by the usual backoff where none.
        after: Option<TimeDelta>,
        /// Why.
        error: String,
    },
    /// Trying again is useless.
    Fail {
        /// Why.
        error: String,
    },
}

/// How a runner works.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// Its name in the table, for people.
    pub worker: String,
    /// How many handlers may run at once, a lane; what is not named runs none.
    pub lanes: BTreeMap<Lane, usize>,
    /// How many agents may run at once over all processes.
    pub running: Running,
    /// How long a lease lasts without a heartbeat.
    pub lease: TimeDelta,
    /// The same of a job of the agent lane: what it started may outlive this process for a while, and no other
    /// may start anything before that is over.
    pub agent_lease: TimeDelta,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// After how long without renewal a handler is stopped: before the lease is over.
    pub give_up: TimeDelta,
    /// What a handler gets to end after its lease was lost; then it is dropped.
    pub grace: Duration,
    /// How often lanes are looked at although nobody woke them.
    pub poll: Duration,
    /// Whether the machine has room for one more job of the agent lane.
    pub room: Room,
}

/// Says whether one more job of the agent lane may be started here, beside so many that run.
#[derive(Clone)]
pub struct Room(Arc<dyn Fn(usize) -> bool + Send + Sync>);

impl Room {
    /// Asks this before each claim; the answer is taken as it is of that moment.
    pub fn new(has_room: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has_room))
    }

    pub(super) fn beside(&self, running: usize) -> bool {
        (self.0)(running)
    }
}

impl Default for Room {
    /// As much as the lanes allow.
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Room")
    }
}

impl RunnerSettings {
    /// The usual settings: a lease of 60 s, renewed every 5 s, given up at 45 s.
    #[must_use]
    pub fn new(worker: impl Into<String>) -> Self {
        let lanes = [
            (Lane::Quick, 64),
            (Lane::Decide, 8),
            (Lane::Say, 8),
            (Lane::Agent, 2),
            (Lane::Sweep, 2),
        ];
        Self {
            worker: worker.into(),
            lanes: lanes.into(),
            running: Running::default(),
            lease: TimeDelta::seconds(60),
            agent_lease: TimeDelta::seconds(60),
            heartbeat: Duration::from_secs(5),
            give_up: TimeDelta::seconds(45),
            grace: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            room: Room::default(),
        }
    }

    /// How long a lease of a lane lasts.
    pub(super) fn lease_of(&self, lane: Lane) -> TimeDelta {
        if lane == Lane::Agent { self.agent_lease } else { self.lease }
    }

    pub(super) fn concurrency(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).copied().unwrap_or(0)
    }
}

/// Runs jobs by handing them to a function.
///
/// A handler that panics costs its job an attempt and nothing else. One whose lease is lost sees its
/// `lost` token cancelled and is dropped after the grace.
pub struct Runner {
    crew: Arc<Crew>,
    wakes: Wakes,
}

impl Runner {
    /// Makes a runner; nothing happens before [`Runner::run`] or [`Runner::run_until_idle`].
    pub fn new<H, F>(
        pool: PgPool,
        clock: Clock,
        wakes: Wakes,
        settings: RunnerSettings,
        handler: H,
    ) -> Self
    where
        H: Fn(Claimed) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let handler =
            Box::new(move |claimed| -> super::lane::BoxedOutcome { Box::pin(handler(claimed)) });
        let crew = Crew { pool, clock, settings, held: Held::default(), handler };
        Self { crew: Arc::new(crew), wakes }
    }

    /// Works until it is told to stop; then claims nothing more and waits for what runs.
    ///
    /// Handlers are not told: whoever stops the runner also tells its long handlers to hurry.
    pub async fn run(&self, stop: CancellationToken) {
        // Dropped at the end, which ends them.
        let _background = self.background();
        let mut lanes = JoinSet::new();
        for lane in Lane::ALL {
            if self.crew.settings.concurrency(lane) > 0 {
                let worker = LaneWorker::new(lane, Arc::clone(&self.crew));
                lanes.spawn(worker.run(stop.clone(), self.wakes.watch(lane)));
            }
        }
        while let Some(ended) = lanes.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a lane broke");
            }
        }
    }

    /// Runs what is due in all lanes until nothing is due any more and no handler runs; gives how
    /// many jobs were run. What is scheduled for later is left alone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_until_idle(&self) -> Result<usize, QueueError> {
        let mut background = JoinSet::new();
        background.spawn(keep_leases(Arc::clone(&self.crew)));
        let mut workers: Vec<_> = Lane::ALL
            .into_iter()
            .filter(|lane| self.crew.settings.concurrency(*lane) > 0)
            .map(|lane| LaneWorker::new(lane, Arc::clone(&self.crew)))
            .collect();
        let mut run = 0;
        loop {
            let mut started = 0;
            for worker in &mut workers {
                started += worker.fill().await?;
            }
            run += started;
            if started == 0 && workers.iter().all(LaneWorker::is_idle) {
                return Ok(run);
            }
            settle_any(&mut workers).await;
        }
    }

    fn background(&self) -> JoinSet<()> {
        let (pool, wakes) = (&self.crew.pool, &self.wakes);
        let mut background = JoinSet::new();
        background.spawn(keep_leases(Arc::clone(&self.crew)));
        background.spawn(rescue(Arc::clone(&self.crew), wakes.clone()));
        background.spawn(listen::listen(pool.clone(), wakes.clone()));
        background.spawn(listen::tell(pool.clone(), wakes.clone()));
        background
    }
}

/// Waits for the end of any handler and settles it.
async fn settle_any(workers: &mut [LaneWorker]) {
    let (place, ended) = poll_fn(|context| {
        for (place, worker) in workers.iter_mut().enumerate() {
            if let Poll::Ready(ended) = worker.poll_ended(context) {
                return Poll::Ready((place, ended));
            }
        }
        Poll::Pending
    })
    .await;
    workers[place].settle(ended).await;
}

/// Renews the leases of what runs, for ever.
async fn keep_leases(crew: Arc<Crew>) {
    let settings = &crew.settings;
    loop {
        tokio::time::sleep(settings.heartbeat).await;
        let now = crew.clock.now();
        let leases = [settings.lease, settings.agent_lease];
        let renewal =
            crew.held.renew(&crew.pool, now, leases, settings.give_up, settings.heartbeat);
        renewal.await;
    }
}

/// Takes back the leases of workers that died, for ever.
async fn rescue(crew: Arc<Crew>, wakes: Wakes) {
    loop {
        match lease::rescue(&crew.pool, crew.clock.now()).await {
            Ok(0) => {}
            Ok(rescued) => {
                tracing::warn!(rescued, "leases had run out, their jobs are run again");
                wakes.wake_here(Lane::ALL);
            }
            Err(error) => tracing::warn!(%error, "leases could not be looked at"),
        }
        tokio::time::sleep(crew.settings.poll.max(crew.settings.heartbeat)).await;
    }
}
