//! The deployer: says whether the change can go out, what to watch and how to go back.

use serde_json::json;

use super::parser::{PARSER, flaws, lines_of};
use super::turn::Turn;
use crate::models::answer::Answer;

const SCRIPT: &str = "scripts/deploy.mjs";

/// Reads what is deployed and how, then gives its judgement.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let reading = turn.reading("I look at how this is deployed, and at what.", &[SCRIPT, PARSER]);
    reading.unwrap_or_else(|| conclude(turn))
}

fn conclude(turn: &Turn<'_>) -> Answer {
    let wrong = turn.read(PARSER).text().is_some_and(|text| !flaws(&lines_of(text)).is_empty());
    let scripted = turn.read(SCRIPT).text().is_some() || !turn.can("Read");
    let (ready, summary) = match (scripted, wrong) {
        (true, false) => (
            true,
            "Ready. The script uploads the program, the host starts it beside the old one and changes over once it \
             listens. No data is migrated.",
        ),
        (false, _) => (false, "Not ready: there is no script that deploys this program."),
        (_, true) => (false, "Not ready: the range parser still answers some ranges wrongly."),
    };
    let outcome = json!({
        "ready": ready,
        "summary": summary,
        "watch": [
            "Answers with 416: they should become fewer, since `bytes=999-` is no longer refused",
            "Answers with 500: there should be none",
            "The Content-Range of answers to open ranges",
        ],
        "rollback": "Deploy the commit before this one: `node scripts/deploy.mjs` in a checkout of it. Nothing else has to be undone.",
    });
    turn.conclude(if ready { "It can go out." } else { "It should not go out." }, outcome)
}
