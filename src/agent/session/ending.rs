//! How a session ends: what its turns, its tools, its process and its watchdogs make of it.

use serde_json::Value;
use tokio::time::Instant;

use super::Session;
use crate::{
    agent::{limit::end_of, prompt::repair_prompt, terms::Ended},
    model::{AgentEvent, End, FailKind, Watchdog},
    provider::{Exit, Talk},
    sandbox,
};

/// So many calls of Baton's tools in a row that did not get there are no accident.
const LOST_CALLS: u32 = 3;

impl Session<'_> {
    pub(super) fn started(&mut self, broken_tools: &[String]) {
        if !broken_tools.is_empty() {
            self.toolless(format!("no connection to {}", broken_tools.join(", ")));
        }
    }

    /// The model is told of a lost call and may try again, not for ever.
    pub(super) fn call_lost(&mut self, why: String) {
        self.lost_calls += 1;
        if self.lost_calls >= LOST_CALLS && self.closing.is_none() {
            self.toolless(why);
        }
    }

    /// A broken tool server does not fail the run by itself: the agent is ended at once.
    pub(super) fn toolless(&mut self, why: String) {
        self.verdict = Some((End::Failed(FailKind::Tools(why)), None));
        self.stdin = None;
        self.closing = Some(Instant::now());
    }

    /// A turn is over: judges what came out, asks for a repair once, or sends the program away.
    pub(super) async fn finished(&mut self, result: Result<Option<Value>, FailKind>) {
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
            Ok(Some(value)) => (self.terms.judge)(&value).map_err(Ok),
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
                self.hand_in(&repair_prompt(&wrong)).await;
                if self.provider.talk() == Talk::Live {
                    return;
                }
            }
        }
        self.close();
    }

    fn failure(&self, kind: FailKind) -> End {
        end_of(self.provider.refusal(), kind, self.terms.quota_back)
    }

    pub(super) fn close(&mut self) {
        self.stdin = None;
        self.closing = Some(Instant::now() + self.terms.patience.linger);
    }

    /// The process is gone by itself.
    pub(super) fn gone(&mut self, exit: sandbox::Exit) {
        let exit = match exit {
            sandbox::Exit::Code(code) => Exit::Code(code),
            sandbox::Exit::Signal(signal) => Exit::Signal(signal),
        };
        if self.verdict.is_none() {
            let owed = self.provider.ended(exit, self.complaints.text());
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
    pub(super) fn too_long(&mut self, deadline: Instant) {
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

    pub(super) fn result(mut self) -> Ended {
        match self.verdict.take() {
            Some((end, outcome)) => Ended { end, outcome },
            None => Ended::with(End::TimedOut(Watchdog::Linger)),
        }
    }
}
