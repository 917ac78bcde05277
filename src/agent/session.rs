//! One live session: feeds the provider its program's lines, until an outcome, a watchdog or an order
//! ends it. A program that takes one prompt a process is started again for each further one.
//!
//! What it takes in is written down first, where another Baton may go on with it: that one takes the same in
//! again, in the same order, and so comes to stand where this one stood. What it wrote to the program then it
//! writes again; the sandbox leaves out what the program has.

mod ending;

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt,
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    model::{AgentEvent, CancelledBy, End, FailKind, Outcome, Stop, Untrusted},
    provider::{Provider, Step, Talk},
    sandbox::{Input, Kept, Running},
};

use super::{
    continuing::said,
    journal::{Entry, Journal},
    lines::{Lines, Tail},
    orders::{Note, Order, Stream, Wires},
    processes::Processes,
    tending::Hearing,
    terms::{Ended, Past, Terms},
};

/// How long a program may take to obey its provider's own interrupt.
const INTERRUPT_GRACE: Duration = Duration::from_secs(10);

/// Plays one session to its end. No process of it is left afterwards.
///
/// # Errors
/// When the program cannot be started: the text says why.
pub(super) async fn play(
    processes: &Processes<'_>,
    provider: &mut dyn Provider,
    wires: &mut Wires,
    terms: Terms<'_>,
    tools: Hearing,
    past: Past,
) -> Result<Ended, String> {
    let now = Instant::now();
    let Past { journal, entries, running, elapsed } = past;
    let mut session = Session {
        provider,
        stdin: None,
        terms,
        tools,
        journal,
        begun: false,
        kept: Kept::default(),
        total: now + terms.patience.total.saturating_sub(elapsed),
        silence: now + terms.patience.silence,
        closing: None,
        verdict: None,
        repaired: false,
        stopping: None,
        complaints: Tail::default(),
        giving: Vec::new(),
        lost_calls: 0,
    };
    let mut live = session.catch_up(entries, running, wires).await;
    loop {
        if live.is_none() {
            let launch = session.provider.launch();
            let mut running = match session.begun {
                false => processes.first(&launch).await?,
                true if !session.goes_on() => return Ok(session.result()),
                true => match processes.next(&launch).await {
                    Ok(running) => running,
                    Err(problem) => {
                        return Ok(Ended::with(End::Failed(FailKind::Setup(problem))));
                    }
                },
            };
            session.open(&mut running, wires).await;
            live = Some(running);
        }
        if let Some(mut running) = live.take() {
            session.converse(&mut running, wires).await;
        }
    }
}

struct Session<'a> {
    provider: &'a mut dyn Provider,
    /// None once it was closed.
    stdin: Option<Input>,
    terms: Terms<'a>,
    tools: Hearing,
    /// Where what it takes in is written down.
    journal: Option<Journal>,
    /// Whether it had a process.
    begun: bool,
    /// How much of the outputs of its process it has taken in.
    kept: Kept,
    total: Instant,
    silence: Instant,
    /// By when the process has to be gone, once there is nothing more to do.
    closing: Option<Instant>,
    verdict: Option<(End, Option<Outcome>)>,
    repaired: bool,
    stopping: Option<CancelledBy>,
    complaints: Tail,
    /// Who wants to know that the program was given what they said.
    giving: Vec<oneshot::Sender<()>>,
    /// How many calls of Baton's tools in a row did not get there.
    lost_calls: u32,
}

impl Session<'_> {
    /// Takes in again what it took in under another Baton; gives its process, if it has one still.
    async fn catch_up(
        &mut self,
        entries: Vec<Entry>,
        mut running: Option<Running>,
        wires: &Wires,
    ) -> Option<Running> {
        if entries.is_empty() {
            return running;
        }
        let told = said(&entries);
        let newest = entries.iter().rposition(|entry| matches!(entry, Entry::Began(_)));
        for (place, entry) in entries.into_iter().enumerate() {
            match entry {
                Entry::Began(_) => {
                    let running = running.as_mut().filter(|_| newest == Some(place));
                    let stdin = running.and_then(|running| running.stdin.take());
                    // Those before it have what they were given.
                    self.begin(stdin.unwrap_or_else(|| Box::new(tokio::io::sink()))).await;
                }
                Entry::Line(stream, upto, line) => self.line(stream, upto, &line, wires).await,
                Entry::Said(text, _) => self.hand_in(&text).await,
                Entry::Stopped(stop, by) => self.stop(stop, by, running.as_ref()).await,
                Entry::Gone(exit, _) => self.gone(exit),
            }
        }
        note(wires, Note::CaughtUp(told)).await;
        running
    }

    /// Writes down what is about to be taken in.
    fn write_down(&mut self, entry: &Entry) {
        if let Some(journal) = &mut self.journal {
            journal.add(entry);
        }
    }

    /// Takes a process over and hands it its prompt.
    async fn open(&mut self, running: &mut Running, wires: &Wires) {
        let reference = running.reference().to_owned();
        self.write_down(&Entry::Began(reference.clone()));
        note(wires, Note::Started { reference }).await;
        if let Some(stdin) = running.stdin.take() {
            self.begin(stdin).await;
        }
    }

    /// Hands the program its prompt.
    async fn begin(&mut self, stdin: Input) {
        (self.begun, self.kept) = (true, Kept::default());
        self.stdin = Some(stdin);
        self.closing = None;
        self.silence = Instant::now() + self.terms.patience.silence;
        self.complaints = Tail::default();
        let opening = self.provider.opening();
        self.give(opening).await;
        if self.provider.talk() == Talk::OnePrompt {
            self.stdin = None;
        }
    }

    /// Listens to one process until it is gone.
    async fn converse(&mut self, running: &mut Running, wires: &mut Wires) {
        let mut stdout = Lines::new(running.stdout.take(), self.kept.out);
        let mut stderr = Lines::new(running.stderr.take(), self.kept.err);
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
                        let entry = Entry::Line(Stream::Out, stdout.upto, line);
                        self.printed(entry, running, wires).await;
                    }
                }
                line = stderr.next(), if stderr.open => {
                    if let Some(line) = line {
                        let entry = Entry::Line(Stream::Error, stderr.upto, line);
                        self.printed(entry, running, wires).await;
                    }
                }
                why = self.tools.broken(), if self.closing.is_none() => self.toolless(why),
                exit = running.wait(), if !stdout.open && !stderr.open => {
                    self.write_down(&Entry::Gone(exit, running.meter().last()));
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

    /// Takes a line in that the process has printed.
    async fn printed(&mut self, entry: Entry, running: &Running, wires: &Wires) {
        self.write_down(&entry);
        if let Entry::Line(stream, upto, line) = entry {
            self.line(stream, upto, &line, wires).await;
            running.keep(self.kept);
        }
    }

    async fn line(&mut self, stream: Stream, upto: u64, line: &[u8], wires: &Wires) {
        match stream {
            Stream::Out => {
                self.kept.out = upto;
                self.said(line, wires).await;
            }
            Stream::Error => {
                self.kept.err = upto;
                self.complained(line, wires).await;
            }
        }
    }

    async fn obey(&mut self, order: Order, running: &Running) {
        match order {
            Order::Say { .. } if self.is_leaving() => {}
            Order::Say { text, said, given } => {
                self.write_down(&Entry::Said(text.clone(), said));
                self.giving.push(given);
                self.hand_in(&text).await;
            }
            Order::Stop { stop, by } => {
                if stop == Stop::Kill || self.stopping.is_none() {
                    self.write_down(&Entry::Stopped(stop, by.clone()));
                    self.stop(stop, by, Some(running)).await;
                }
            }
        }
    }

    async fn stop(&mut self, stop: Stop, by: CancelledBy, running: Option<&Running>) {
        self.stopping = Some(by);
        match stop {
            Stop::Interrupt => {
                self.interrupt(running).await;
                self.closing = Some(Instant::now() + INTERRUPT_GRACE);
            }
            Stop::Kill => {
                if let Some(running) = running {
                    running.stopper().kill();
                }
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

    async fn interrupt(&mut self, running: Option<&Running>) {
        let lines = self.provider.interrupt();
        match (self.provider.talk(), running) {
            (Talk::Live, _) => self.send(lines).await,
            (Talk::OnePrompt, Some(running)) => running.stopper().interrupt(),
            (Talk::OnePrompt, None) => {}
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
        self.silence = Instant::now() + self.terms.patience.silence;
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
        self.complaints.add(&text);
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
            AgentEvent::Cost(cost) => note(wires, Note::Cost(cost)).await,
            AgentEvent::Retrying { attempt, status } => {
                note(wires, Note::Retried).await;
                let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
                let doing = Untrusted(format!("waits for the model API ({answer}, try {attempt})"));
                note(wires, Note::Doing(doing)).await;
            }
            AgentEvent::Started { broken_tools, .. } => self.started(&broken_tools),
            AgentEvent::ToolsReached(Ok(())) => self.lost_calls = 0,
            AgentEvent::ToolsReached(Err(why)) => self.call_lost(why),
            AgentEvent::ToolResult { is_error: true } => note(wires, Note::CallFailed).await,
            AgentEvent::ToolResult { is_error: false } => {}
            AgentEvent::Denied { name, why } => {
                note(wires, Note::Denied).await;
                note(wires, Note::Doing(Untrusted(format!("denied {name}: {}", why.0)))).await;
            }
            AgentEvent::Finished { result, .. } => self.finished(result).await,
        }
    }
}

async fn note(wires: &Wires, note: Note) {
    // Nobody listens any more: the agent is about to be ended, and its lines are lost to nobody.
    let _ = wires.notes.send(note).await;
}
