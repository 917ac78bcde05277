//! Decides when Baton dies, and counts the moments at which it could have.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard},
};

use emulators::github::{Phase, Probe, ProbePoint};
use rustix::process::{Pid, Signal, kill_process};

/// What Baton is killed around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A request to GitHub's API.
    Request,
    /// The commit of a transaction that wrote something.
    Commit,
}

/// Before or after the n-th of something, counted from 0 over all lives of Baton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub thing: Thing,
    pub number: u64,
    pub phase: Phase,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thing = match self.thing {
            Thing::Request => "request",
            Thing::Commit => "commit",
        };
        let phase = match self.phase {
            Phase::Before => "before",
            Phase::After => "after",
        };
        write!(f, "{thing}:{}:{phase}", self.number)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no moment such as commit:12:after");
        let mut words = text.split(':');
        let thing = match words.next() {
            Some("request") => Thing::Request,
            Some("commit") => Thing::Commit,
            _ => return Err(wrong()),
        };
        let number = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let phase = match words.next() {
            Some("before") => Phase::Before,
            Some("after") => Phase::After,
            _ => return Err(wrong()),
        };
        Ok(Self { thing, number, phase })
    }
}

/// Kills the process that it watches when a moment has come.
#[derive(Default)]
pub struct Killer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    moments: Vec<Moment>,
    /// Requests by their names, in the order in which they are to be met.
    named: VecDeque<(&'static str, Phase)>,
    victim: Option<Pid>,
    requests: u64,
    commits: u64,
    kills: Vec<String>,
}

impl Killer {
    pub fn new(moments: Vec<Moment>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { moments, ..State::default() }) })
    }

    /// Kills at these requests, each as `GET /path`, one after the other.
    pub fn at(named: impl IntoIterator<Item = (&'static str, Phase)>) -> Arc<Self> {
        let named = named.into_iter().collect();
        Arc::new(Self { state: Mutex::new(State { named, ..State::default() }) })
    }

    /// Watches a process that was just started.
    pub fn watch(&self, pid: Pid) {
        self.state().victim = Some(pid);
    }

    /// Lets it live from now on.
    pub fn rest(&self) {
        self.state().victim = None;
    }

    /// When it has killed, and at what.
    pub fn kills(&self) -> Vec<String> {
        self.state().kills.clone()
    }

    /// Requests and commits so far.
    pub fn counted(&self) -> (u64, u64) {
        let state = self.state();
        (state.requests, state.commits)
    }

    /// What the emulated GitHub calls around each request.
    pub fn probe(self: &Arc<Self>) -> Probe {
        let killer = Arc::clone(self);
        Arc::new(move |point: ProbePoint| {
            let moment = Moment { thing: Thing::Request, number: point.index, phase: point.phase };
            let what = format!("{} {}", point.method, point.path);
            let mut state = killer.state();
            state.requests = state.requests.max(point.index + 1);
            let killed = state.strike(moment, &what) || state.strike_named(&what, point.phase);
            drop(state);
            if killed && point.phase == Phase::Before {
                // The request was never received: leaving this way, nothing is applied or printed.
                std::panic::resume_unwind(Box::new("killed before the request"));
            }
        })
    }

    /// A commit is about to be handed to the database: its number, unless Baton died now.
    pub fn commits(&self) -> Option<u64> {
        let mut state = self.state();
        let number = state.commits;
        state.commits += 1;
        let moment = Moment { thing: Thing::Commit, number, phase: Phase::Before };
        (!state.strike(moment, "COMMIT")).then_some(number)
    }

    /// The database has committed and Baton does not know yet; false when it died now.
    pub fn committed(&self, number: u64) -> bool {
        let moment = Moment { thing: Thing::Commit, number, phase: Phase::After };
        !self.state().strike(moment, "COMMIT")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn strike(&mut self, moment: Moment, what: &str) -> bool {
        self.moments.contains(&moment) && self.kill(format!("{moment} ({what})"))
    }

    fn strike_named(&mut self, what: &str, phase: Phase) -> bool {
        if self.named.front() != Some(&(what, phase)) || !self.kill(format!("{phase:?} {what}")) {
            return false;
        }
        self.named.pop_front();
        true
    }

    fn kill(&mut self, at: String) -> bool {
        let Some(pid) = self.victim.take() else { return false };
        // It is not reaped before it was seen to be dead: the id is its own.
        kill_process(pid, Signal::KILL).unwrap();
        self.kills.push(at);
        true
    }
}
