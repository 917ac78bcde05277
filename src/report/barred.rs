//! What the gateway refused agents besides limits: ways out that nobody has.

use crate::model::{Barred, Situation};

use super::figures::count;
use super::quote::code;

/// How many are told; more are counted.
const MOST: usize = 5;

/// ``The gateway refused: `web_search`, 3 times (seen by Baton)``; empty where nothing was.
pub(super) fn barred(situation: &Situation) -> String {
    let mut all: Vec<Barred> = Vec::new();
    for refused in situation.agents.iter().flat_map(|agent| &agent.refused) {
        Barred::add(&mut all, refused.clone(), usize::MAX);
    }
    let told: Vec<String> = all.iter().take(MOST).map(named).collect();
    let more = match all.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match told.is_empty() {
        true => String::new(),
        false => format!("**The gateway refused** {}{more} (seen by Baton)", told.join("; ")),
    }
}

fn named(refused: &Barred) -> String {
    let what = code(&refused.what.visible());
    format!("{what}, {}", count(refused.times as usize, "time"))
}
