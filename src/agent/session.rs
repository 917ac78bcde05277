//! One live session: feeds the provider its program's lines, until an outcome, a watchdog or an order
//! ends it. A program that takes one prompt a process is started again for each further one.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    model::{AgentEvent, CancelledBy, End, FailKind, Micros, Outcome, Stop, Untrusted, Watchdog},
    provider::{Exit, ModelRefusal, Provider, RefusalKind, Step, Talk},
    sandbox::{Input, Output, Running},
};

use super::{
    orders::{Note, Order, Stream, Wires},
    processes::Processes,
    runtime::QuotaBack,
};

/// The longest line that is taken whole; what is longer is cut there. A model answer with a large file
/// in it fits.
const MAX_LINE: usize = 32 << 20;

/// How long a program may take to obey its provider's own interrupt.
const INTERRUPT_GRACE: Duration = Duration::from_secs(10);

/// How much of standard error is kept to explain a crash, in bytes.
const STDERR_TAIL: usize = 4096;

/// How long an agent may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In all.
    pub total: Duration,
    /// Between two lines.
    pub silence: Duration,
    /// Between the end of its work and the end of its process.
    pub linger: Duration,
}

/// Judges an outcome: the validated value, or what is wrong with it in words for the agent.
pub type Judge<'a> = &'a (dyn Fn(&Value) -> Result<Outcome, Vec<String>> + Send + Sync);

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// What it concluded, when it succeeded.
    pub outcome: Option<Outcome>,
    /// What the session has cost so far by the program's own count.
    pub cost: Option<Micros>,
}

/// Plays one session to its end. No process of it is left afterwards.
///
/// # Errors
/// When the program cannot be started: the text says why.
pub async fn play(
    processes: &Processes<'_>,
    provider: &mut dyn Provider,
    wires: &mut Wires,
    patience: Patience,
    judge: Judge<'_>,
    quota_back: &QuotaBack,
) -> Result<Ended, String> {
    let now = Instant::now();
    let mut session = Session {
        provider,
        stdin: None,
        judge,
        quota_back,
        patience,
        total: now + patience.total,
        silence: now + patience.silence,
        closing: None,
        verdict: None,
        repaired: false,
        stopping: None,
        cost: None,
        stderr_tail: String::new(),
        giving: Vec::new(),
    };
    let mut running = processes.first(&session.provider.launch()).await?;
    loop {
        session.open(&mut running, wires).await;
        session.converse(&mut running, wires).await;
        if !session.goes_on() {
            return Ok(session.result());
        }
        running = match processes.next(&session.provider.launch()).await {
            Ok(running) => running,
            Err(problem) => return Ok(session.ended(End::Failed(FailKind::Setup(problem)))),
        };
    }
}

struct Session<'a> {
    provider: &'a mut dyn Provider,
    /// None once it was closed.
    stdin: Option<Input>,
    judge: Judge<'a>,
    quota_back: &'a QuotaBack,
    patience: Patience,
    total: Instant,
    silence: Instant,
    /// By when the process has to be gone, once there is nothing more to do.
    closing: Option<Instant>,
    verdict: Option<(End, Option<Outcome>)>,
    repaired: bool,
    stopping: Option<CancelledBy>,
    cost: Option<Micros>,
    stderr_tail: String,
    /// Who wants to know that the program was given what they said.
    giving: Vec<oneshot::Sender<()>>,
}

impl Session<'_> {
    /// Hands the program its prompt.
    async fn open(&mut self, running: &mut Running, wires: &Wires) {
        note(wires, Note::Started { reference: running.reference().to_owned() }).await;
        self.stdin = running.stdin.take();
        self.closing = None;
        self.silence = Instant::now() + self.patience.silence;
        self.stderr_tail.clear();
        let opening = self.provider.opening();
        self.give(opening).await;
        if self.provider.talk() == Talk::OnePrompt {
            self.stdin = None;
        }
    }

    /// Listens to one process until it is gone.
    async fn converse(&mut self, running: &mut Running, wires: &mut Wires) {
        let mut stdout = Lines::new(running.stdout.take());
        let mut stderr = Lines::new(running.stderr.take());
        loop {
            let deadline = self.closing.unwrap_or(self.total.min(self.silence));
            tokio::select! {
                biased;
                order = wires.orders.recv(), if !wires.orders.is_closed() => {
                    if let Some(order) = order {
                        self.obey(order, running).await;
                    }
                }
                line = stdout.next(), if stdout.open => {
                    if let Some(line) = line {
                        self.said(&line, wires).await;
                    }
                }
                line = stderr.next(), if stderr.open => {
                    if let Some(line) = line {
                        self.complained(&line, wires).await;
                    }
                }
                exit = running.wait(), if !stdout.open && !stderr.open => {
                    return self.gone(exit);
                }
                () = sleep_until(deadline) => {
                    self.too_long(deadline);
                    running.stopper().kill();
                    running.wait().await;
                    return;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order, running: &Running) {
        match order {
            Order::Say { .. } if self.is_leaving() => {}
            Order::Say { text, given } => {
                self.giving.push(given);
                self.hand_in(&text).await;
            }
            Order::Stop { stop: Stop::Interrupt, by } => {
                if self.stopping.is_none() {
                    self.stopping = Some(by);
                    self.interrupt(running).await;
                    self.closing = Some(Instant::now() + INTERRUPT_GRACE);
                }
            }
            Order::Stop { stop: Stop::Kill, by } => {
                self.stopping = Some(by);
                running.stopper().kill();
            }
        }
    }

    /// Hands in a further prompt: to the live program, or to the next process when this one is gone.
    async fn hand_in(&mut self, text: &str) {
        self.verdict = None;
        let lines = self.provider.follow_up(text);
        if self.provider.talk() == Talk::Live {
            self.closing = None;
            self.give(lines).await;
        }
    }

    /// Whether it is on its way out and cannot be told any more: its input is closed, or there is no
    /// further process to tell.
    fn is_leaving(&self) -> bool {
        match self.provider.talk() {
            Talk::Live => self.stdin.is_none(),
            Talk::OnePrompt => {
                let failed = self.verdict.as_ref().is_some_and(|(end, _)| *end != End::Succeeded);
                failed || self.stopping.is_some()
            }
        }
    }

    /// Hands the program prompts, and tells whoever waits for that.
    async fn give(&mut self, lines: Vec<String>) {
        self.send(lines).await;
        for given in self.giving.drain(..) {
            if self.stdin.is_some() {
                // Whoever gave the order has gone: it was heard all the same.
                let _ = given.send(());
            }
        }
    }

    async fn interrupt(&mut self, running: &Running) {
        let lines = self.provider.interrupt();
        match self.provider.talk() {
            Talk::Live => self.send(lines).await,
            Talk::OnePrompt => running.stopper().interrupt(),
        }
    }

    /// Whether another process has to take a prompt that waits.
    fn goes_on(&self) -> bool {
        self.verdict.is_none() && self.stopping.is_none() && self.provider.waits()
    }

    /// Writes lines to the program. One that no longer reads is noticed when it ends.
    async fn send(&mut self, lines: Vec<String>) {
        let Some(stdin) = &mut self.stdin else { return };
        for line in lines {
            let written = async {
                stdin.write_all(line.as_bytes()).await?;
                stdin.write_all(b"\n").await?;
                stdin.flush().await
            };
            if written.await.is_err() {
                self.stdin = None;
                return;
            }
        }
    }

    async fn said(&mut self, line: &[u8], wires: &Wires) {
        self.silence = Instant::now() + self.patience.silence;
        let text = String::from_utf8_lossy(line).into_owned();
        note(wires, Note::Line { stream: Stream::Out, text }).await;
        for step in self.provider.line(line) {
            match step {
                Step::Send(line) => self.send(vec![line]).await,
                Step::Event(event) => self.heard(event, wires).await,
            }
        }
    }

    async fn complained(&mut self, line: &[u8], wires: &Wires) {
        let text = String::from_utf8_lossy(line).into_owned();
        self.stderr_tail.push_str(&text);
        self.stderr_tail.push('\n');
        let excess = self.stderr_tail.len().saturating_sub(STDERR_TAIL);
        let cut = (excess..).find(|at| self.stderr_tail.is_char_boundary(*at)).unwrap_or(0);
        self.stderr_tail.drain(..cut);
        note(wires, Note::Line { stream: Stream::Error, text }).await;
    }

    async fn heard(&mut self, event: AgentEvent, wires: &Wires) {
        match event {
            AgentEvent::Text(text) => note(wires, Note::Doing(text)).await,
            AgentEvent::ToolUse { name, summary } => {
                note(wires, Note::Called).await;
                let doing = Untrusted(format!("{name}: {}", summary.0));
                note(wires, Note::Doing(doing)).await;
            }
            AgentEvent::Todo(items) => note(wires, Note::Todo(items)).await,
            AgentEvent::Usage(usage) => note(wires, Note::Usage(usage)).await,
            AgentEvent::Cost(cost) => self.cost = Some(cost),
            AgentEvent::Retrying { attempt, status } => {
                note(wires, Note::Retried).await;
                let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
                let doing = Untrusted(format!("waits for the model API ({answer}, try {attempt})"));
                note(wires, Note::Doing(doing)).await;
            }
            AgentEvent::Started { broken_tools, .. } => self.started(&broken_tools),
            AgentEvent::ToolResult { .. } | AgentEvent::Denied { .. } => {}
            AgentEvent::Finished { result, .. } => self.finished(result).await,
        }
    }

    /// A broken tool server does not fail the run by itself: the agent is ended at once.
    fn started(&mut self, broken_tools: &[String]) {
        if !broken_tools.is_empty() {
            let which = format!("no connection to {}", broken_tools.join(", "));
            self.verdict = Some((End::Failed(FailKind::Tools(which)), None));
            self.stdin = None;
            self.closing = Some(Instant::now());
        }
    }

    /// A turn is over: judges what came out, asks for a repair once, or sends the program away.
    async fn finished(&mut self, result: Result<Option<Value>, FailKind>) {
        if let Some(by) = &self.stopping {
            self.verdict = Some((End::Cancelled(by.clone()), None));
            return self.close();
        }
        if self.provider.waits() && result.is_ok() {
            // Something was said meanwhile: the answer to that is the one that counts.
            return self.close();
        }
        let judged = match result {
            Err(kind) => Err(Err(kind)),
            Ok(None) => Err(Ok(vec!["the last message holds no structured output".to_owned()])),
            Ok(Some(value)) => (self.judge)(&value).map_err(Ok),
        };
        match judged {
            Ok(outcome) => self.verdict = Some((End::Succeeded, Some(outcome))),
            Err(Err(kind)) => self.verdict = Some((self.failure(kind), None)),
            Err(Ok(_)) if matches!(self.verdict, Some((End::Succeeded, _))) => {}
            Err(Ok(wrong)) if self.repaired => {
                self.verdict =
                    Some((End::Failed(FailKind::InvalidOutcome(wrong.join("; "))), None));
            }
            Err(Ok(wrong)) => {
                self.repaired = true;
                self.hand_in(&super::prompt::repair_prompt(&wrong)).await;
                if self.provider.talk() == Talk::Live {
                    return;
                }
            }
        }
        self.close();
    }

    fn failure(&self, kind: FailKind) -> End {
        end_of(self.provider.refusal(), kind, self.quota_back)
    }

    fn close(&mut self) {
        self.stdin = None;
        self.closing = Some(Instant::now() + self.patience.linger);
    }

    /// The process is gone by itself.
    fn gone(&mut self, exit: crate::sandbox::Exit) {
        let exit = match exit {
            crate::sandbox::Exit::Code(code) => Exit::Code(code),
            crate::sandbox::Exit::Signal(signal) => Exit::Signal(signal),
        };
        if self.verdict.is_none() {
            let owed = self.provider.ended(exit, &self.stderr_tail);
            let kind = match owed {
                Some(AgentEvent::Finished { result: Err(kind), .. }) => kind,
                None if self.goes_on() => return,
                _ => FailKind::Crashed(exit.to_string()),
            };
            let end = self.stopping.clone().map_or_else(|| self.failure(kind), End::Cancelled);
            self.verdict = Some((end, None));
        }
    }

    /// A watchdog bit, or the program did not obey the interrupt in time.
    fn too_long(&mut self, deadline: Instant) {
        // A process that lingers after its turn keeps no prompt from the next one.
        if self.verdict.is_some() || (self.closing.is_some() && self.goes_on()) {
            return;
        }
        let end = match &self.stopping {
            Some(by) => End::Cancelled(by.clone()),
            None if self.closing.is_some() => End::TimedOut(Watchdog::Linger),
            None if deadline == self.total => End::TimedOut(Watchdog::Total),
            None => End::TimedOut(Watchdog::Silence),
        };
        self.verdict = Some((end, None));
    }

    fn result(mut self) -> Ended {
        match self.verdict.take() {
            Some((end, outcome)) => Ended { end, outcome, cost: self.cost },
            None => self.ended(End::TimedOut(Watchdog::Linger)),
        }
    }

    fn ended(self, end: End) -> Ended {
        Ended { end, outcome: None, cost: self.cost }
    }
}

/// Tells apart what waiting or money could mend.
fn end_of(refusal: Option<ModelRefusal>, kind: FailKind, quota_back: &QuotaBack) -> End {
    match refusal.map(|refusal| (refusal.kind, refusal.retry_at)) {
        Some((RefusalKind::Budget, _)) => End::OutOfBudget,
        Some((RefusalKind::Quota, until)) => {
            End::OutOfQuota { until: until.unwrap_or_else(quota_back) }
        }
        Some((RefusalKind::Unavailable, _)) => End::Failed(away(kind)),
        Some(_) | None => End::Failed(kind),
    }
}

/// What the API did not answer is no refusal.
fn away(kind: FailKind) -> FailKind {
    match kind {
        FailKind::Model(words) => FailKind::Away(words),
        other => other,
    }
}

async fn note(wires: &Wires, note: Note) {
    // Nobody listens any more: the agent is about to be ended, and its lines are lost to nobody.
    let _ = wires.notes.send(note).await;
}

/// Reads lines of bytes, bounded, keeping what it has when the reading is given up half-way.
pub(super) struct Lines {
    from: BufReader<Output>,
    line: Vec<u8>,
    pub(super) open: bool,
}

impl Lines {
    pub(super) fn new(from: Option<Output>) -> Self {
        let open = from.is_some();
        let from = from.unwrap_or_else(|| Box::new(tokio::io::empty()));
        Self { from: BufReader::with_capacity(64 << 10, from), line: Vec::new(), open }
    }

    /// The next line without its line feed; none at the end. Safe to give up and call again.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.fill().await {
                Ok(true) => return Some(std::mem::take(&mut self.line)),
                Ok(false) => {}
                Err(_) => {
                    self.open = false;
                    return (!self.line.is_empty()).then(|| std::mem::take(&mut self.line));
                }
            }
        }
    }

    /// Takes in what is there. True when that completes a line.
    async fn fill(&mut self) -> io::Result<bool> {
        let there = self.from.fill_buf().await?;
        if there.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = there.iter().position(|byte| *byte == b'\n');
        let part = &there[..end.unwrap_or(there.len())];
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(there.len(), |at| at + 1);
        self.from.consume(used);
        Ok(end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    #[test]
    fn no_more_quota_is_a_time_to_wait_for_also_where_the_program_names_none() {
        let noon = Utc.with_ymd_and_hms(2026, 3, 4, 12, 0, 0).unwrap();
        let refusal = |kind, retry_at| Some(ModelRefusal { kind, status: Some(429), retry_at });
        let end = |refusal| end_of(refusal, FailKind::Model("429".to_owned()), &move || noon);
        let until = noon;
        assert_eq!(end(refusal(RefusalKind::Quota, None)), End::OutOfQuota { until });
        let until = noon + chrono::TimeDelta::hours(1);
        assert_eq!(end(refusal(RefusalKind::Quota, Some(until))), End::OutOfQuota { until });
        assert_eq!(end(refusal(RefusalKind::Budget, None)), End::OutOfBudget);
        assert_eq!(end(None), End::Failed(FailKind::Model("429".to_owned())));
        let away = End::Failed(FailKind::Away("429".to_owned()));
        assert_eq!(end(refusal(RefusalKind::Unavailable, None)), away);
    }
}
