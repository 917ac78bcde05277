//! Whether an edit of a comment by which Baton asks is the tick of its box, and nothing else.

use super::verdict::IgnoreReason;

/// The kinds that the marker of a comment by which Baton asks has: for a plan, and for a push.
const ASKING: [&str; 2] = ["asking", "asking_push"];

/// The fewest digits that name a plan.
const FEWEST_DIGITS: usize = 6;

/// Gives the hash of the approved plan or commit, or its beginning, in lower case.
///
/// It stands in the marker with which the comment begins
/// (`<!-- baton:asking {"task":7,"subject":"1","plan":"…"} -->`), or else in the ticked line as
/// code (`` (`7f3c1e`) ``). Line endings do not count: GitHub's editor changes them.
pub(super) fn approved(name: &str, before: &str, after: &str) -> Result<String, IgnoreReason> {
    let (before, after) = (before.replace('\r', ""), after.replace('\r', ""));
    let line = ticked_line(before.trim_end(), after.trim_end()).ok_or(IgnoreReason::NotATick)?;
    let marker = asking_marker(name, &before).ok_or(IgnoreReason::NotAsking)?;
    let marked = marker.plan.or(marker.sha);
    let hash = marked.as_deref().and_then(hash).or_else(|| hash_in_line(line));
    hash.ok_or(IgnoreReason::TickWithoutHash)
}

/// What matters here of the marker that `report` writes.
#[derive(serde::Deserialize)]
struct Marker {
    plan: Option<String>,
    sha: Option<String>,
}

/// Reads the marker at the start of an asking comment; one further down is a quotation.
fn asking_marker(name: &str, text: &str) -> Option<Marker> {
    let inside = text.trim_start().strip_prefix("<!-- ")?.split_once(" -->")?.0;
    let (kind, data) = inside.strip_prefix(name)?.strip_prefix(':')?.split_once(' ')?;
    if !ASKING.contains(&kind) {
        return None;
    }
    serde_json::from_str(data).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "<!-- baton:asking {\"task\":3,\"subject\":\"1\"} -->\n@mara the plan is \
                         ready.\n\n- [ ] **Approve this plan** (`7f3c1e`)";

    fn ticked() -> String {
        ASKED.replace("[ ]", "[x]")
    }

    #[test]
    fn a_lone_tick_approves_the_plan_behind_it() {
        assert_eq!(approved("baton", ASKED, &ticked()), Ok("7f3c1e".to_owned()));
    }

    #[test]
    fn line_endings_and_the_final_newline_do_not_count() {
        let edited = ticked().replace('\n', "\r\n") + "\r\n";
        assert_eq!(approved("baton", ASKED, &edited), Ok("7f3c1e".to_owned()));
    }

    #[test]
    fn any_other_change_is_no_tick() {
        let others = [
            ASKED.to_owned(),
            ticked().replace("7f3c1e", "aaaaaa"),
            ticked() + "\nand more",
            ticked().replace("@mara", "@tom"),
            ticked().replace("\n\n", "\n"),
            String::new(),
        ];
        for edited in others {
            assert_eq!(approved("baton", ASKED, &edited), Err(IgnoreReason::NotATick), "{edited}");
        }
        assert_eq!(approved("baton", &ticked(), ASKED), Err(IgnoreReason::NotATick), "unticking");
    }

    #[test]
    fn two_ticks_at_once_are_no_tick() {
        let asked = format!("- [ ] **Approve** (`abcdef`)\n{ASKED}");
        let edited = asked.replace("[ ]", "[x]");
        assert_eq!(approved("baton", &asked, &edited), Err(IgnoreReason::NotATick));
    }

    #[test]
    fn a_box_in_another_comment_of_batons_opens_nothing() {
        for marker in ["baton:progress", "batonique:asking", "other:asking", "baton:asking:1"] {
            let asked = ASKED.replace("baton:asking", marker);
            let edited = asked.replace("[ ]", "[x]");
            assert_eq!(approved("baton", &asked, &edited), Err(IgnoreReason::NotAsking));
        }
        let quoted = format!("> quoted\n\n{ASKED}");
        let edited = quoted.replace("[ ]", "[x]");
        assert_eq!(approved("baton", &quoted, &edited), Err(IgnoreReason::NotAsking));
    }

    #[test]
    fn the_marker_holds_the_whole_hash() {
        let whole = "7f3c1e".to_owned() + &"0".repeat(58);
        let asked = ASKED.replace("\"1\"}", &format!("\"1\",\"plan\":\"{whole}\"}}"));
        let edited = asked.replace("[ ]", "[X]");
        assert_eq!(approved("baton", &asked, &edited), Ok(whole));
    }

    #[test]
    fn the_tick_of_a_push_names_its_commit() {
        let sha = "c41d09a".to_owned() + &"1".repeat(33);
        let marker = format!("<!-- baton:asking_push {{\"task\":3,\"sha\":\"{sha}\"}} -->");
        let asked = format!("{marker}\n- [ ] **Push this commit** (`c41d09a11111`)");
        assert_eq!(approved("baton", &asked, &asked.replace("[ ]", "[x]")), Ok(sha));
    }

    #[test]
    fn a_box_without_a_hash_opens_nothing() {
        let asked = ASKED.replace("`7f3c1e`", "`this`");
        let edited = asked.replace("[ ]", "[x]");
        assert_eq!(approved("baton", &asked, &edited), Err(IgnoreReason::TickWithoutHash));
    }
}
