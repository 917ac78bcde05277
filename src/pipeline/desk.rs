//! Between a running agent and the database: what it tells is kept, what is meant for it is handed in.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Failure, Parts, refusals, say};
use crate::{
    agent::{Note, Order, Said, Stream, prompt},
    db::{
        agent_inbox, agents, fetches,
        letters::{self, Reader},
        questions, tasks,
    },
    logs::{LogStream, LogWriter, Redactor},
    model::{
        Agent, AgentId, Barred, CancelledBy, Fetch, Fetcher, Footprint, LetterKind, Stop, Tally,
        TaskId, Timestamp, TodoItem, Untrusted,
    },
    queue::Claimed,
};

/// How often a running agent's row is looked at and written.
const TICK: Duration = Duration::from_secs(1);
/// For how long changes of an agent's list are gathered before the thread shows them.
const GATHER: TimeDelta = TimeDelta::seconds(5);
/// After how many ticks an agent that asked is interrupted.
const FAREWELL: u32 = 10;

/// Sits between a running agent and the database: keeps what it tells, hands it what it is told.
pub(super) struct Desk<'a> {
    pub parts: &'a Parts,
    pub task: TaskId,
    pub agent: AgentId,
    /// As whom it reads what other agents write.
    pub reader: Reader,
    /// The message that is being handed over, and whether it was.
    pub giving: Option<(i64, oneshot::Receiver<()>)>,
    /// What the gateway has refused it.
    pub refused: Vec<Barred>,
    /// Whether it is told again what a Baton before this one has heard.
    pub catches_up: bool,
    /// Ticks since it asked a person.
    pub since_asked: u32,
    /// Where its lines go.
    pub log: LogWriter,
    /// Cancelled when another worker may have the job soon: then nothing may run here any more.
    pub lost: CancellationToken,
    pub give: mpsc::Sender<Order>,
}

impl<'a> Desk<'a> {
    /// A desk for an agent that begins.
    pub fn new(
        parts: &'a Parts,
        claimed: &Claimed,
        task: TaskId,
        agent: &Agent,
        log: LogWriter,
        give: mpsc::Sender<Order>,
    ) -> Self {
        let reader = Reader { task, session: agent.session, role: agent.role };
        let refused = agent.refused.clone();
        let (agent, lost) = (agent.id, claimed.lost.clone());
        let (giving, catches_up, since_asked) = (None, false, 0);
        Self {
            parts,
            task,
            agent,
            reader,
            giving,
            refused,
            catches_up,
            since_asked,
            log,
            lost,
            give,
        }
    }
}

impl Desk<'_> {
    /// Until the agent has nothing more to tell.
    pub async fn sit(mut self, mut heard: mpsc::Receiver<Note>) {
        let redactor = self.parts.redactor();
        let mut progress = Progress::default();
        let mut refused = std::mem::take(&mut self.refused);
        let mut killed = false;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                note = heard.recv() => match note {
                    Some(Note::Fetched(fetched)) => self.fetched(&fetched).await,
                    Some(Note::CaughtUp(told)) => {
                        if let Err(error) = self.caught_up(&told, &mut progress).await {
                            tracing::warn!(agent.id = %self.agent, %error, "an agent was taken up in part only");
                        }
                    }
                    Some(note) => progress.take(&mut self.log, &redactor, note).await,
                    None => break,
                },
                () = self.lost.cancelled(), if !killed => {
                    killed = true;
                    let by = CancelledBy::Superseded;
                    self.order(Order::Stop { stop: Stop::Kill, by }).await;
                }
                _ = tick.tick(), if !self.catches_up => {
                    if let Err(error) = self.look(&mut progress).await {
                        tracing::warn!(agent.id = %self.agent, %error, "the agent's row could not be kept up to date");
                    }
                    self.refused(&mut refused, &redactor).await;
                }
            }
        }
        self.refused(&mut refused, &redactor).await;
        refusals::say(&refused, &mut self.log).await;
        if let Err(error) = self.look(&mut progress).await {
            tracing::warn!(agent.id = %self.agent, %error, "the agent's last words could not be kept");
        }
    }

    /// Keeps what the gateway refused the agent.
    async fn refused(&self, all: &mut Vec<Barred>, redactor: &Redactor) {
        let kept = refusals::take(self.parts, self.agent, all, redactor).await;
        if let Err(error) = kept {
            tracing::warn!(agent.id = %self.agent, %error, "what it was refused could not be kept");
        }
    }

    /// Puts right what the Baton before this one had not told any more, or had not heard any more.
    async fn caught_up(&mut self, told: &[Said], progress: &mut Progress) -> Result<(), Failure> {
        self.catches_up = false;
        let (pool, now) = (&self.parts.pool, self.parts.clock.now());
        let kept = agents::load(pool, self.agent).await?.agent.tally;
        let used = progress.used();
        used.told = used.told.beyond(kept);
        // Its list may have been told by its tools since.
        progress.todo = None;
        for (id, message) in agent_inbox::list_delivered(pool, self.agent).await? {
            if !told.contains(&Said::Message(id)) {
                self.say(Said::Message(id), prompt::message_text(&message)).await;
            }
        }
        let letters: Vec<i64> = told.iter().filter_map(|said| said.letter()).collect();
        Ok(letters::mark_read(pool, self.reader.session, &letters, now).await?)
    }

    async fn say(&self, said: Said, text: String) {
        let (given, _) = oneshot::channel();
        self.order(Order::Say { text, said, given }).await;
    }

    /// Keeps what the agent asked of hosts.
    async fn fetched(&self, fetched: &[Fetch]) {
        let (by, now) = (Fetcher::Agent(self.agent), self.parts.clock.now());
        let kept = fetches::insert_all(&self.parts.pool, self.task, by, fetched, now).await;
        if let Err(error) = kept {
            tracing::warn!(agent.id = %self.agent, %error, "what the agent fetched could not be kept");
        }
    }

    /// Writes what changed and reads what is wanted.
    async fn look(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let pool = &self.parts.pool;
        let now = self.parts.clock.now();
        if std::mem::take(&mut progress.changed) {
            let line = progress.doing.as_ref();
            let todo = progress.todo.take();
            agents::set_progress(pool, self.agent, todo.as_deref(), line, now).await?;
            if todo.is_some() {
                self.shown(now).await?;
            }
        }
        if let Some(used) = progress.used.take() {
            let Used { footprint, told } = used;
            agents::set_footprint(pool, self.agent, footprint, told).await?;
            progress.footprint = footprint;
        }
        agents::heartbeat(pool, self.agent, now).await?;
        if let Some((stop, by)) = agents::wanted(pool, self.agent).await? {
            self.order(Order::Stop { stop, by }).await;
        } else if self.parts.shutting_down.is_cancelled() {
            self.order(Order::Stop { stop: Stop::Interrupt, by: CancelledBy::Shutdown }).await;
        }
        for (id, message) in agent_inbox::take_undelivered(pool, self.agent, now).await? {
            self.say(Said::Message(id), prompt::message_text(&message)).await;
        }
        if questions::of_agent(pool, self.agent).await?.is_some() {
            return self.end_soon().await;
        }
        self.hand_over(now).await
    }

    /// Has the progress comment show the agent's list, not more often than people read.
    async fn shown(&self, now: Timestamp) -> Result<(), Failure> {
        let mut tx = self.parts.pool.begin().await?;
        let repository = tasks::load(&mut *tx, self.task).await?.repository;
        let wake = say::progress(&mut tx, self.task, repository, now, now + GATHER).await?;
        tx.commit().await?;
        wake.release(&self.parts.wakes);
        Ok(())
    }

    /// An agent that asked has a moment to end its turn. Claude Code reminds its model of the structured
    /// output once more, and a model can go on by itself: nobody would use what comes of it.
    async fn end_soon(&mut self) -> Result<(), Failure> {
        self.since_asked += 1;
        if self.since_asked == FAREWELL {
            let by = CancelledBy::Superseded;
            self.order(Order::Stop { stop: Stop::Interrupt, by }).await;
        }
        Ok(())
    }

    /// Hands the agent what other agents wrote to it, one message after the other. One that it was not
    /// given, for it is on its way out, is there for whoever goes on with its session.
    async fn hand_over(&mut self, now: Timestamp) -> Result<(), Failure> {
        let pool = &self.parts.pool;
        if let Some((id, given)) = &mut self.giving {
            if given.try_recv().is_err() {
                // Not yet, or its session takes no more.
                return Ok(());
            }
            letters::mark_read(pool, self.reader.session, &[*id], now).await?;
            self.giving = None;
        }
        let unread = letters::list_unread(pool, self.reader).await?;
        // That somebody is there is worth no turn of a model.
        let next = unread.iter().find(|letter| letter.kind != LetterKind::Heartbeat);
        if let Some(letter) = next {
            let (given, heard) = oneshot::channel();
            self.giving = Some((letter.id, heard));
            let (text, said) = (prompt::letter_text(letter), Said::Letter(letter.id));
            self.order(Order::Say { text, said, given }).await;
        }
        Ok(())
    }

    async fn order(&self, order: Order) {
        // The agent has ended meanwhile: its end tells what became of it.
        let _ = self.give.send(order).await;
    }
}

/// The newest of what an agent told.
#[derive(Default)]
struct Progress {
    /// Its list, until it is written; one that its tools report is written by them.
    todo: Option<Vec<TodoItem>>,
    doing: Option<Untrusted>,
    changed: bool,
    /// What it used when it was last looked at.
    footprint: Footprint,
    /// What is not written yet of what it uses.
    used: Option<Used>,
}

/// What an agent has used, until it is written.
#[derive(Default)]
struct Used {
    footprint: Footprint,
    /// What its program told since it was last written.
    told: Tally,
}

impl Progress {
    fn used(&mut self) -> &mut Used {
        let footprint = self.footprint;
        self.used.get_or_insert_with(|| Used { footprint, ..Used::default() })
    }

    async fn take(&mut self, log: &mut LogWriter, redactor: &Redactor, note: Note) {
        match note {
            Note::Line { stream, text } => {
                log.line(stream_of(stream), text.as_bytes()).await;
            }
            Note::Doing(text) => {
                // Redacted before it is cut: half of a secret is not known for one.
                let line = redactor.redact(text.0.lines().next().unwrap_or_default());
                let first: String = line.chars().take(300).collect();
                log.line(LogStream::Note, first.as_bytes()).await;
                (self.doing, self.changed) = (Some(Untrusted(first)), true);
            }
            Note::Todo(todo) => {
                (self.todo, self.changed) = (Some(redacted(todo, redactor)), true);
            }
            Note::Footprint(footprint) => self.used().footprint = footprint,
            Note::Called => self.used().told.calls += 1,
            Note::CallFailed => self.used().told.failed += 1,
            Note::Denied => self.used().told.denied += 1,
            Note::Retried => self.used().told.retries += 1,
            Note::Usage(usage) => self.used().told.used(usage),
            Note::Cost(cost) => self.used().told.cost = cost,
            Note::Started { .. } | Note::Fetched(_) | Note::CaughtUp(_) => {}
        }
    }
}

/// An agent's own list without the server's secrets: people read it on the thread.
fn redacted(todo: Vec<TodoItem>, redactor: &Redactor) -> Vec<TodoItem> {
    let without =
        |item: TodoItem| TodoItem { text: Untrusted(redactor.redact(&item.text.0)), ..item };
    todo.into_iter().map(without).collect()
}

/// Where a line belongs in the log.
pub(super) fn stream_of(stream: Stream) -> LogStream {
    match stream {
        Stream::Out => LogStream::Output,
        Stream::Error => LogStream::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TodoState;

    #[test]
    fn no_secret_of_the_server_is_in_an_agents_list() {
        let redactor = Redactor::new(["correct-horse-battery"]);
        let item = |text: &str| TodoItem { text: text.into(), state: TodoState::Doing };
        let list = vec![item("Try correct-horse-battery"), item("Read the parser")];
        let kept = redacted(list, &redactor);
        assert!(!kept[0].text.0.contains("correct-horse-battery"), "{kept:?}");
        assert_eq!(kept[1], item("Read the parser"));
    }
}
