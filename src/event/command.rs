//! The grammar of commands: what in a comment is meant for Baton.

use super::{near::nearest, prose::Prose};
use crate::model::{Command, Micros};

/// More commands than this in one comment are nobody's typing; the rest is not read.
const MOST_COMMANDS: usize = 20;

/// The fewest digits of a plan's hash that an approval may name.
const FEWEST_DIGITS: usize = 6;

/// The commands of a comment, in order.
///
/// A command stands at the start of a line (after at most three spaces) as `/name word …` or
/// `@slug word …`, outside of code, quotes, tables and HTML comments; case does not matter, nor
/// does punctuation after the word. `revise` takes all up to the next command, so does `answer`
/// after its number, `follow-up` takes a number, `reject` its line, `approve` a hash, `budget` an amount,
/// `provider` a name. After `/name` every other word is [`Command::Unknown`], and no word is help; after a mention
/// only a near miss is, for people also talk *about* Baton. At most 20 are read.
#[must_use]
pub fn commands_in(text: &str, name: &str, slug: &str) -> Vec<Command> {
    let text = text.replace('\r', "");
    let calls = calls(&text, name, slug);
    let ends = calls.iter().skip(1).map(|call| call.start).chain([text.len()]);
    calls.iter().zip(ends).map(|(call, end)| call.command(&text[..end])).collect()
}

/// A line that calls Baton.
struct Call {
    /// Where the line starts, in bytes.
    start: usize,
    /// What was typed, in lower case, without punctuation at its end; empty where nothing was.
    word: String,
    /// Where the words after it start.
    rest: usize,
}

fn calls(text: &str, name: &str, slug: &str) -> Vec<Call> {
    let mut prose = None;
    let mut calls = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let call = call_in(line, name, slug);
        if let Some((indent, call)) = call {
            // Most comments call nobody: only those that do are read as Markdown.
            let prose = prose.get_or_insert_with(|| Prose::of(text));
            if prose.says(start + indent) {
                calls.push(Call { start, rest: start + call.rest, ..call });
            }
        }
        if calls.len() == MOST_COMMANDS {
            break;
        }
        start += line.len() + 1;
    }
    calls
}

/// Finds a call in a line, with its indent; `rest` counts from the line's start.
fn call_in(line: &str, name: &str, slug: &str) -> Option<(usize, Call)> {
    let called = line.trim_start_matches(' ');
    let indent = line.len() - called.len();
    if indent > 3 {
        return None;
    }
    let (after, mentioned) = match after_prefix(called, '/', name) {
        Some(after) => (after, false),
        None => (after_mention(called, slug)?, true),
    };
    let words = after.trim_start();
    let typed = words.split(char::is_whitespace).next().unwrap_or_default();
    let word = typed.trim_end_matches(['.', ',', ';', ':', '!', '?']).to_lowercase();
    let rest = line.len() - words.len() + typed.len();
    if mentioned && !Command::WORDS.contains(&word.as_str()) && near(&word).is_none() {
        return None;
    }
    Some((indent, Call { start: 0, word, rest }))
}

/// `@slug`, or `@slug[bot]` as GitHub writes the account of an App.
fn after_mention<'a>(line: &'a str, slug: &str) -> Option<&'a str> {
    after_prefix(line, '@', &format!("{slug}[bot]")).or_else(|| after_prefix(line, '@', slug))
}

/// What follows the prefix, if it stands alone: `/baton:` does, `/batons` and `/baton/x` do not.
fn after_prefix<'a>(line: &'a str, sign: char, name: &str) -> Option<&'a str> {
    let line = line.strip_prefix(sign)?;
    let prefix = line.get(..name.len())?;
    if name.is_empty() || !prefix.eq_ignore_ascii_case(name) {
        return None;
    }
    let after = &line[name.len()..];
    let after = after.trim_start_matches(['.', ',', ':', '!', '?']);
    (after.is_empty() || after.starts_with(char::is_whitespace)).then_some(after)
}

impl Call {
    /// The command; `text` ends where the next call starts.
    fn command(&self, text: &str) -> Command {
        let words = text.get(self.rest..).unwrap_or_default();
        let line = words.split('\n').next().unwrap_or_default();
        match self.word.as_str() {
            "" | "help" => Command::Help,
            "plan" => Command::Plan,
            "approve" => approve(line),
            "revise" => Command::Revise { text: words.trim().to_owned() },
            "reject" => Command::Reject { why: line.trim().to_owned() },
            "answer" => answer(words),
            "follow-up" => follow_up(line),
            "fix" => Command::Fix,
            "review" => Command::Review,
            "audit" => Command::Audit,
            "retry" => Command::Retry,
            "stop" => Command::Stop { now: named(line).as_deref() == Some("now") },
            "resume" => Command::Resume,
            "budget" => Command::Budget { add: added(line) },
            "provider" => Command::Provider { provider: named(line) },
            "off" => Command::Off,
            "on" => Command::On,
            "status" => Command::Status,
            word => Command::Unknown { word: short(word), near: near(word).map(str::to_owned) },
        }
    }
}

/// What stands after `approve` is a hash, or the approval is not understood: it is never taken for
/// one of the newest plan while its writer named another.
fn approve(line: &str) -> Command {
    let named = line.trim_matches(|c: char| !c.is_alphanumeric());
    let hash = named.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if hash.is_empty() {
        return Command::Approve { hash: None };
    }
    let long_enough = (FEWEST_DIGITS..=64).contains(&hash.len());
    if long_enough && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Command::Approve { hash: Some(hash.to_ascii_lowercase()) };
    }
    Command::Unknown { word: short(&format!("approve {named}")), near: Some("approve".to_owned()) }
}

/// `answer 2: words`: the number says which question, so that words meant for an older one reach none.
fn answer(words: &str) -> Command {
    let words = words.trim();
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = words.split_at(digits);
    let parted = rest.starts_with([':', '.', ',']) || rest.starts_with(char::is_whitespace);
    let text = rest.trim_start_matches([':', '.', ',']).trim();
    match number.parse() {
        Ok(number) if parted && !text.is_empty() => {
            Command::Answer { number, text: text.to_owned() }
        }
        Ok(_) | Err(_) => Command::Unknown {
            word: short(format!("answer {words}").trim_end()),
            near: Some("answer".to_owned()),
        },
    }
}

/// A provider's name, as configuration writes it.
fn named(line: &str) -> Option<String> {
    let name = line.split_whitespace().next()?.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    (!name.is_empty()).then(|| short(&name.to_ascii_lowercase()))
}

/// `follow-up 2`: which one has to be said.
fn follow_up(line: &str) -> Command {
    let named = line.trim().trim_start_matches('#').trim_end_matches(['.', ',', ';', '!']);
    match named.parse() {
        Ok(number) => Command::FollowUp { number },
        Err(_) => Command::Unknown {
            word: short(format!("follow-up {named}").trim_end()),
            near: Some("follow-up".to_owned()),
        },
    }
}

/// Dollars to be added: `+2`, `+2.50`, `+$2`. Without the plus nobody could tell whether they are to be
/// added or to be all.
fn added(line: &str) -> Option<Micros> {
    let typed = line.split_whitespace().next()?.trim_end_matches([',', ';', '!', '?']);
    let amount = typed.strip_prefix('+')?;
    let amount = amount.strip_prefix('$').unwrap_or(amount).trim_end_matches(['.', '$']);
    Micros::of_text(amount).filter(|amount| amount.0 > 0)
}

fn short(word: &str) -> String {
    word.chars().take(40).collect()
}

fn near(word: &str) -> Option<&'static str> {
    nearest(word, &Command::WORDS)
}

#[cfg(test)]
mod tests;
