//! Whether an edit of a comment by which Baton asks is the tick of one box, and nothing else.

use super::verdict::IgnoreReason;
use crate::model::Command;

/// The kind that the marker of a comment has by which Baton asks for a plan's approval.
const ASKING: &str = "asking";

/// The kind of one that asks whether a commit may be pushed.
const ASKING_PUSH: &str = "asking_push";

/// The kind of one that asks a person an agent's question.
const QUESTION: &str = "question";

/// The kind of one that shows what an agent noticed outside of its task.
const FOLLOW_UPS: &str = "follow_ups";

/// The fewest digits that name a plan.
const FEWEST_DIGITS: usize = 6;

/// Gives the command that the tick stands for.
///
/// Which plan is approved stands in the marker with which the comment begins
/// (`<!-- baton:asking {"task":7,"subject":"1","plan":"…"} -->`), or else in the ticked line as
/// code (`` (`7f3c1e`) ``). Which question is answered stands there too
/// (`<!-- baton:question {"task":7,"subject":"2"} -->`), and the option's number right after the
/// box (`**1.**`), before any words of others. So does the number of a follow-up. Line endings do not count:
/// GitHub's editor changes them.
pub(super) fn ticked(name: &str, before: &str, after: &str) -> Result<Command, IgnoreReason> {
    let (before, after) = (before.replace('\r', ""), after.replace('\r', ""));
    let line = ticked_line(before.trim_end(), after.trim_end()).ok_or(IgnoreReason::NotATick)?;
    let (kind, marker) = marker(name, &before).ok_or(IgnoreReason::NotAsking)?;
    match kind {
        ASKING | ASKING_PUSH => {
            let marked = marker.plan.or(marker.sha);
            let hash = marked.as_deref().and_then(hash).or_else(|| hash_in_line(line));
            let hash = hash.ok_or(IgnoreReason::TickWithoutHash)?;
            Ok(Command::Approve { hash: Some(hash) })
        }
        QUESTION => {
            let number = marker.subject.parse().map_err(|_| IgnoreReason::NotAsking)?;
            let option = option_in_line(line).ok_or(IgnoreReason::TickWithoutOption)?;
            Ok(Command::Answer { number, text: option.to_string() })
        }
        FOLLOW_UPS => {
            let number = option_in_line(line).ok_or(IgnoreReason::TickWithoutOption)?;
            Ok(Command::FollowUp { number })
        }
        _ => Err(IgnoreReason::NotAsking),
    }
}

/// What matters here of the marker that `report` writes.
#[derive(serde::Deserialize)]
struct Marker {
    #[serde(default)]
    subject: String,
    plan: Option<String>,
    sha: Option<String>,
}

/// Reads the marker at the start of a comment; one further down is a quotation.
fn marker<'a>(name: &str, text: &'a str) -> Option<(&'a str, Marker)> {
    let inside = text.trim_start().strip_prefix("<!-- ")?.split_once(" -->")?.0;
    let (kind, data) = inside.strip_prefix(name)?.strip_prefix(':')?.split_once(' ')?;
    Some((kind, serde_json::from_str(data).ok()?))
}

/// The one line that differs, if all that differs is that its empty box is now ticked.
fn ticked_line<'a>(before: &str, after: &'a str) -> Option<&'a str> {
    let (mut before, mut after) = (before.split('\n'), after.split('\n'));
    let mut ticked = None;
    loop {
        match (before.next(), after.next()) {
            (None, None) => return ticked,
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) if ticked.is_none() && is_tick(old, new) => ticked = Some(new),
            _ => return None,
        }
    }
}

fn is_tick(old: &str, new: &str) -> bool {
    let old = old.trim_start().strip_prefix("- [ ] ");
    let new = new.trim_start();
    let new = new.strip_prefix("- [x] ").or_else(|| new.strip_prefix("- [X] "));
    old.is_some() && old == new
}

fn hash_in_line(line: &str) -> Option<String> {
    line.split('`').skip(1).step_by(2).find_map(hash)
}

fn hash(text: &str) -> Option<String> {
    let long_enough = (FEWEST_DIGITS..=64).contains(&text.len());
    (long_enough && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// The number of the option whose box was ticked: `- [x] **2.** …`.
fn option_in_line(line: &str) -> Option<u32> {
    let words = line.trim_start().get("- [x] ".len()..)?.strip_prefix("**")?;
    words.split_once(".**")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "<!-- baton:asking {\"task\":3,\"subject\":\"1\"} -->\n@mara the plan is \
                         ready.\n\n- [ ] **Approve this plan** (`7f3c1e`)";

    const ASKED_BY_AGENT: &str = "<!-- baton:question {\"task\":3,\"subject\":\"2\"} -->\n@mara the \
                                  coder asks.\n\n- [ ] **1.** Round `**9.**` up\n- [ ] **2.** Down";

    fn approval(hash: &str) -> Command {
        Command::Approve { hash: Some(hash.to_owned()) }
    }

    fn edited() -> String {
        ASKED.replace("[ ]", "[x]")
    }

    #[test]
    fn a_lone_tick_approves_the_plan_behind_it() {
        assert_eq!(ticked("baton", ASKED, &edited()), Ok(approval("7f3c1e")));
    }

    #[test]
    fn line_endings_and_the_final_newline_do_not_count() {
        let edited = edited().replace('\n', "\r\n") + "\r\n";
        assert_eq!(ticked("baton", ASKED, &edited), Ok(approval("7f3c1e")));
    }

    #[test]
    fn any_other_change_is_no_tick() {
        let others = [
            ASKED.to_owned(),
            edited().replace("7f3c1e", "aaaaaa"),
            edited() + "\nand more",
            edited().replace("@mara", "@tom"),
            edited().replace("\n\n", "\n"),
            String::new(),
        ];
        for edited in others {
            assert_eq!(ticked("baton", ASKED, &edited), Err(IgnoreReason::NotATick), "{edited}");
        }
        assert_eq!(ticked("baton", &edited(), ASKED), Err(IgnoreReason::NotATick), "unticking");
    }

    #[test]
    fn two_ticks_at_once_are_no_tick() {
        let asked = format!("- [ ] **Approve** (`abcdef`)\n{ASKED}");
        let edited = asked.replace("[ ]", "[x]");
        assert_eq!(ticked("baton", &asked, &edited), Err(IgnoreReason::NotATick));
    }

    #[test]
    fn a_box_in_another_comment_of_batons_opens_nothing() {
        for marker in ["baton:progress", "batonique:asking", "other:asking", "baton:asking:1"] {
            let asked = ASKED.replace("baton:asking", marker);
            let edited = asked.replace("[ ]", "[x]");
            assert_eq!(ticked("baton", &asked, &edited), Err(IgnoreReason::NotAsking));
        }
        let quoted = format!("> quoted\n\n{ASKED}");
        let edited = quoted.replace("[ ]", "[x]");
        assert_eq!(ticked("baton", &quoted, &edited), Err(IgnoreReason::NotAsking));
    }

    #[test]
    fn a_lone_tick_takes_the_follow_up_behind_it_and_unticking_does_nothing() {
        let asked = "<!-- baton:follow_ups {\"task\":3,\"subject\":\"8\"} -->\nNoticed.\n\n- [ ] **3.** \
                     Open `**9.**` an issue\n- [ ] **4.** Open";
        let edited = asked.replace("[ ] **3", "[x] **3");
        assert_eq!(ticked("baton", asked, &edited), Ok(Command::FollowUp { number: 3 }));
        assert_eq!(ticked("baton", &edited, asked), Err(IgnoreReason::NotATick));
        let both = asked.replace("[ ]", "[x]");
        assert_eq!(ticked("baton", asked, &both), Err(IgnoreReason::NotATick));
    }

    #[test]
    fn the_marker_holds_the_whole_hash() {
        let whole = "7f3c1e".to_owned() + &"0".repeat(58);
        let asked = ASKED.replace("\"1\"}", &format!("\"1\",\"plan\":\"{whole}\"}}"));
        let edited = asked.replace("[ ]", "[X]");
        assert_eq!(ticked("baton", &asked, &edited), Ok(approval(&whole)));
    }

    #[test]
    fn the_tick_of_a_push_names_its_commit() {
        let sha = "c41d09a".to_owned() + &"1".repeat(33);
        let marker = format!("<!-- baton:asking_push {{\"task\":3,\"sha\":\"{sha}\"}} -->");
        let asked = format!("{marker}\n- [ ] **Push this commit** (`c41d09a11111`)");
        assert_eq!(ticked("baton", &asked, &asked.replace("[ ]", "[x]")), Ok(approval(&sha)));
    }

    #[test]
    fn a_box_without_a_hash_opens_nothing() {
        let asked = ASKED.replace("`7f3c1e`", "`this`");
        let edited = asked.replace("[ ]", "[x]");
        assert_eq!(ticked("baton", &asked, &edited), Err(IgnoreReason::TickWithoutHash));
    }

    #[test]
    fn a_lone_tick_answers_the_question_with_the_option_behind_it() {
        for (option, empty) in [(1, "- [ ] **1.**"), (2, "- [ ] **2.**")] {
            let edited = ASKED_BY_AGENT.replace(empty, &empty.replace("[ ]", "[x]"));
            let answer = Command::Answer { number: 2, text: option.to_string() };
            assert_eq!(ticked("baton", ASKED_BY_AGENT, &edited), Ok(answer));
        }
        let both = ASKED_BY_AGENT.replace("[ ]", "[x]");
        assert_eq!(ticked("baton", ASKED_BY_AGENT, &both), Err(IgnoreReason::NotATick));
        let bare = ASKED_BY_AGENT.replace("**1.**", "Round");
        let edited = bare.replace("[ ] Round", "[x] Round");
        assert_eq!(ticked("baton", &bare, &edited), Err(IgnoreReason::TickWithoutOption));
    }
}
