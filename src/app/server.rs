//! A running server.

use std::{fs::File, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use chrono::TimeDelta;
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Place, admin, capacity::Capacity, open_database, parts, place, tend};
use crate::{
    clock::Clock,
    config::Config,
    db::partitions,
    embedded::Embedded,
    gateway::Gateway,
    model::{Lane, Sweep},
    pipeline::{Parts, Pipeline, continuing, sweep},
    queue::{self, Room, Runner, RunnerSettings, Running},
    sandbox::Gauge,
    webhook::{self, PostgresStore, Writer, WriterTasks},
};

/// How a server is run besides its configuration.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time; the machine's own unless a test moves it.
    pub clock: Clock,
    /// Whether reconcilers run by time. Tests that count may go without.
    pub without_sweeps: bool,
    /// The program that sandboxes have inside; this very executable unless it is another's, as a test's is.
    pub bridge: Option<PathBuf>,
    /// How long a minute of an agent's time limits is.
    pub minute: Duration,
    /// Where it is read what the machine has left.
    pub gauge: Gauge,
    /// How often it is looked whether agents' tools answer.
    pub tools_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        let (gauge, tools_every) = (Gauge::default(), Duration::from_secs(10));
        let clock = Clock::default();
        Self { clock, without_sweeps: false, bridge: None, minute, gauge, tools_every }
    }
}

/// A running Baton. Dropped without [`Server::stop`] it is cut off as by `kill -9`.
pub struct Server {
    /// Where GitHub reaches `/webhook`.
    pub public: SocketAddr,
    /// Where the operator reaches health and metrics.
    pub admin: SocketAddr,
    pipeline: Pipeline,
    gateway: Gateway,
    embedded: Option<Embedded>,
    stopping: Stopping,
    /// Claims and runs jobs; ends when its last job has.
    runner: AbortOnDropHandle<()>,
    /// Listeners, writers and timers.
    tasks: JoinSet<()>,
    /// Held as long as this server may use its data folder.
    _folder: File,
}

/// What is told to stop, in this order.
#[derive(Debug, Clone, Default)]
struct Stopping {
    /// Claiming of jobs; agents that run are interrupted.
    work: CancellationToken,
    /// Listeners and timers.
    rest: CancellationToken,
}

impl Server {
    /// Starts every part in order.
    ///
    /// # Errors
    /// When a part cannot start; nothing is left running then.
    pub async fn start(config: Config, options: Options) -> anyhow::Result<Self> {
        let clock = options.clock.clone();
        let place = Place { data: config.data.clone(), database_url: config.database_url.clone() };
        let folder = place::take(&config.data).await?;
        let (pool, embedded) = open_database(&place).await?;
        partitions::ensure(&pool, clock.now()).await?;
        let stopping = Stopping::default();
        let (parts, gateway) =
            parts::build(&config, &options, &pool, stopping.work.clone()).await?;
        let left = parts.runtime.left_of(continuing::candidates(&parts).await?);
        parts.runtime.clear_but(left).await?;
        if let Some(remedy) = parts.runtime.test().await {
            tracing::error!(%remedy, "no agent will start: the sandbox does not pass its self-test");
        }
        take_over(&pool, &parts).await?;
        let pipeline = Pipeline::new(parts);
        let mut tasks = JoinSet::new();
        let public = listen(config.listen.public).await?;
        let admin = listen(config.listen.admin).await?;
        let (public_address, admin_address) = (public.local_addr()?, admin.local_addr()?);
        let (receiver, writing) = receiver(&config, &clock, &pool, &pipeline)?;
        tasks.spawn(writing.join());
        tasks.spawn(serve(public, webhook::router(receiver), stopping.rest.clone()));
        let state = admin::State::new(pipeline.clone());
        tasks.spawn(serve(admin, admin::router(state), stopping.rest.clone()));
        tasks.spawn(tend::replicas(pipeline.clone(), stopping.rest.clone()));
        let tending = (pipeline.clone(), options.tools_every, stopping.rest.clone());
        tasks.spawn(async move {
            let (pipeline, every, stop) = tending;
            pipeline.parts().runtime.tend_tools(every, stop).await;
        });
        let capacity = Arc::new(Capacity::new(options.gauge.clone(), pipeline.clone()));
        let keeping = (Arc::clone(&capacity), stopping.rest.clone());
        tasks.spawn(async move { keeping.0.keep(keeping.1).await });
        let runner = AbortOnDropHandle::new(tokio::spawn(run_jobs(
            pool,
            clock,
            pipeline.clone(),
            capacity,
            stopping.work.clone(),
        )));
        if !options.without_sweeps {
            for one in Sweep::ALL {
                tasks.spawn(sweep_by_time(pipeline.clone(), one, stopping.rest.clone()));
            }
        }
        tracing::info!(public = %public_address, admin = %admin_address, "baton is up");
        Ok(Self {
            public: public_address,
            admin: admin_address,
            pipeline,
            gateway,
            embedded,
            stopping,
            runner,
            tasks,
            _folder: folder,
        })
    }

    /// The pipeline, for whoever runs a server in its own process.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Stops: claims nothing more, interrupts agents and takes in what they have, then ends the rest.
    pub async fn stop(mut self) {
        self.stopping.work.cancel();
        if let Err(error) = self.runner.await {
            tracing::error!(%error, "the runner broke");
        }
        self.stopping.rest.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("connections that did not end are cut off");
            self.tasks.shutdown().await;
        }
        self.gateway.stop().await;
        let pool = self.pipeline.parts().pool.clone();
        match self.pipeline.into_parts() {
            Some(parts) => parts.logs.stop().await,
            None => tracing::warn!("somebody still holds the pipeline: the last lines may be lost"),
        }
        pool.close().await;
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            tracing::warn!(%error, "the private Postgres did not stop");
        }
    }
}

/// How long open connections and the last deliveries get to end.
const FAREWELL: Duration = Duration::from_secs(10);

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

async fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "a listener broke");
    }
}

fn receiver(
    config: &Config,
    clock: &Clock,
    pool: &PgPool,
    pipeline: &Pipeline,
) -> anyhow::Result<(webhook::Receiver, WriterTasks)> {
    let settings = webhook::Settings::new(config.github.webhook_secrets.clone());
    let store = PostgresStore::new(pool.clone(), pipeline.parts().wakes.clone());
    let (writer, tasks) = Writer::start(store);
    Ok((webhook::Receiver::new(&settings, writer, clock.clone())?, tasks))
}

/// The name of this node's workers in the queue: its processes differ in what follows.
fn worker_prefix(parts: &Parts) -> String {
    format!("{}:", parts.settings.node.0)
}

/// Takes the jobs back that an earlier server of this data folder died over. It is dead, as this one
/// has the folder: nobody needs to wait until its leases run out.
async fn take_over(pool: &PgPool, parts: &Parts) -> anyhow::Result<()> {
    let jobs = queue::rescue_from(pool, &worker_prefix(parts), parts.clock.now()).await?;
    if jobs > 0 {
        tracing::info!(jobs, "took over what the server before this one died over");
    }
    Ok(())
}

async fn run_jobs(
    pool: PgPool,
    clock: Clock,
    pipeline: Pipeline,
    capacity: Arc<Capacity>,
    stop: CancellationToken,
) {
    let parts = pipeline.parts();
    let mut settings =
        RunnerSettings::new(format!("{}{}", worker_prefix(parts), std::process::id()));
    let agents = usize::try_from(parts.settings.limits.agents).unwrap_or(1);
    settings.lanes.insert(Lane::Agent, agents);
    let survival = TimeDelta::from_std(parts.runtime.survival()).unwrap_or_default();
    settings.agent_lease = settings.lease + survival;
    settings.room = Room::new(move |running| capacity.has_room(running));
    settings.running = Running {
        total: parts.settings.limits.agents,
        per_repository: parts.settings.limits.repository_agents,
    };
    let wakes = parts.wakes.clone();
    let handler = pipeline.clone();
    let runner = Runner::new(pool, clock, wakes, settings, move |claimed| {
        let pipeline = handler.clone();
        async move { pipeline.run(&claimed).await }
    });
    runner.run(stop).await;
}

/// Enqueues a reconciler at once and then at its interval; one that waits already is enough.
async fn sweep_by_time(pipeline: Pipeline, one: Sweep, stop: CancellationToken) {
    let parts = pipeline.parts();
    let mut tick = tokio::time::interval(sweep::interval(one));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let enqueued = async {
            let mut tx = parts.pool.begin().await?;
            let wake = queue::enqueue(&mut tx, &[sweep::one(one, parts.clock.now())]).await?;
            tx.commit().await?;
            anyhow::Ok(wake)
        };
        match enqueued.await {
            Ok(wake) => wake.release(&parts.wakes),
            Err(error) => {
                tracing::warn!(%error, sweep = one.name(), "a reconciler could not be enqueued");
            }
        }
    }
}
