//! Times, durations and money as people read them.

use chrono::Datelike;

use crate::model::{Agent, Footprint, Micros, Situation, StageKey, Tally, Timestamp, size};

/// `14:02 UTC`, with the day in front when it is another one than the day of `now`.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let same_day = (at.year(), at.ordinal()) == (now.year(), now.ordinal());
    at.format(if same_day { "%H:%M UTC" } else { "%-d %b %H:%M UTC" }).to_string()
}

/// `40 s`, `3 min`, `1 h 5 min`: rounded down to what matters.
#[must_use]
pub fn duration(seconds: i64) -> String {
    match seconds.max(0) {
        short @ 0..60 => format!("{short} s"),
        some @ 60..3600 => format!("{} min", some / 60),
        long => match long % 3600 / 60 {
            0 => format!("{} h", long / 3600),
            minutes => format!("{} h {minutes} min", long / 3600),
        },
    }
}

/// `1 finding`, `2 findings`.
#[must_use]
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// How long an agent's process ran, once it is over.
#[must_use]
pub fn worked(agent: &Agent) -> Option<String> {
    let (from, to) = (agent.started_at?, agent.ended_at?);
    Some(duration((to - from).num_seconds()))
}

/// `$1.37 of $5.00 spent`.
#[must_use]
pub fn spent(situation: &Situation) -> String {
    situation
        .task
        .as_ref()
        .map_or_else(String::new, |task| format!("{} of {} spent", task.spent, task.budget))
}

/// `code $3.06 · review $1.22 · plan $0.14`, the dearest stage first; empty when nothing was spent.
#[must_use]
pub fn split(situation: &Situation) -> String {
    let cost = |key: StageKey| -> Micros {
        situation.agents.iter().filter(|agent| agent.stage == key).map(|agent| agent.cost).sum()
    };
    let mut costs: Vec<(Micros, &str)> =
        StageKey::ALL.into_iter().map(|key| (cost(key), key.name())).collect();
    costs.retain(|(amount, _)| amount.0 > 0);
    costs.sort_by_key(|(amount, _)| std::cmp::Reverse(*amount));
    costs.iter().map(|(amount, name)| format!("{name} {amount}")).collect::<Vec<_>>().join(" · ")
}

/// `41 s of processor time, 310 MiB of memory, 12 MiB on disk`; none where nothing was measured.
#[must_use]
pub fn taken(footprint: Footprint) -> Option<String> {
    let time = duration(i64::try_from(footprint.cpu_ms / 1000).unwrap_or(i64::MAX));
    let memory = size(footprint.memory_peak);
    let disk = match footprint.held {
        0 => String::new(),
        held => format!(", {} on disk", size(held)),
    };
    footprint.is_known().then(|| format!("{time} of processor time, {memory} of memory{disk}"))
}

/// `12 tool calls (2 failed, 1 denied)`, and how often the model had to be asked again; none where the
/// program told nothing.
#[must_use]
pub fn called(tally: Tally) -> Option<String> {
    let Tally { calls, failed, denied, retries, tokens: _, cost: _ } = tally;
    let counted = |number: u32, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let amiss = [counted(failed, "failed"), counted(denied, "denied")];
    let amiss = amiss.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let amiss = if amiss.is_empty() { amiss } else { format!(" ({amiss})") };
    let calls = (calls + failed + denied > 0)
        .then(|| format!("{}{amiss}", count(calls as usize, "tool call")));
    let again = counted(retries, "times asked the model again");
    let said: Vec<String> = [calls, again].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// What all agents of a task told of their work.
#[must_use]
pub fn called_in_all(situation: &Situation) -> Option<String> {
    let all = situation.agents.iter().map(|agent| agent.tally);
    called(all.fold(Tally::default(), Tally::and))
}

/// What all agents of a task took: their time in all, and the most memory and disk that one of them held.
#[must_use]
pub fn taken_in_all(situation: &Situation) -> Option<String> {
    let all = situation.agents.iter().map(|agent| agent.footprint);
    taken(all.fold(Footprint::default(), Footprint::and))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_say_no_more_than_one_wants_to_know() {
        let said: Vec<String> = [0, 59, 60, 3599, 3600, 7500].map(duration).into();
        assert_eq!(said, ["0 s", "59 s", "1 min", "59 min", "1 h", "2 h 5 min"]);
    }

    #[test]
    fn what_a_program_told_is_said_where_it_told_something() {
        assert_eq!(called(Tally::default()), None);
        let some = Tally { calls: 1, ..Tally::default() };
        assert_eq!(called(some).as_deref(), Some("1 tool call"));
        let worse = Tally { calls: 12, failed: 2, denied: 1, retries: 3, ..some };
        let said = "12 tool calls (2 failed, 1 denied), 3 times asked the model again";
        assert_eq!(called(worse).as_deref(), Some(said));
    }

    #[test]
    fn another_day_is_named() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let now = at("2026-11-20T20:00:00Z");
        assert_eq!(moment(at("2026-11-20T14:02:09Z"), now), "14:02 UTC");
        assert_eq!(moment(at("2026-11-21T04:00:00Z"), now), "21 Nov 04:00 UTC");
    }
}
