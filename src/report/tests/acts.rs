//! Reviews, replies and the issues of an audit.

use insta::assert_snapshot;

use super::*;
use crate::model::{AuditFinding, AuditOutcome, Micros, NotHere, Permission, Reply, Untrusted};
use crate::report::{audit_issue, audit_summary, find, reply, review};

#[test]
fn a_review_puts_new_findings_on_their_lines() {
    let situation = reviewed();
    let written = review(&situation, &sha(ONE), &review_outcome(Verdict::Changes), 1);
    let comments = written
        .comments
        .iter()
        .map(|on| format!("--- {}:{} (F{})\n{}", on.path, on.line, on.finding, on.body));
    let comments: Vec<String> = comments.collect();
    assert_snapshot!("review", format!("{}\n{}", written.body, comments.join("\n")));
}

#[test]
fn a_later_review_names_what_stands_and_what_is_settled() {
    let situation = mergeable();
    let written = review(&situation, &sha("e902b17"), &review_outcome(Verdict::Approve), 2);
    assert!(written.comments.is_empty(), "F2 has its thread already");
    assert_snapshot!("review_second", written.body);
}

#[test]
fn a_suggestion_with_fences_stays_in_its_block() {
    let mut situation = reviewed();
    situation.findings[0].suggestion = Some("```\n@mara\n````".into());
    let on = crate::report::comment(&situation.findings[0]);
    assert!(on.body.ends_with("`````suggestion\n```\n@mara\n````\n`````"), "{}", on.body);
}

#[test]
fn a_suggestion_that_hides_something_is_no_button() {
    let mut situation = reviewed();
    situation.findings[0].suggestion = Some("let a\u{202E} = 1;".into());
    let on = crate::report::comment(&situation.findings[0]);
    assert!(!on.body.contains("suggestion\nlet"), "{}", on.body);
    assert!(on.body.contains("```\nlet a = 1;\n```"), "{}", on.body);
}

#[test]
fn every_reply_says_what_was_done_and_what_would_do() {
    let situation = planned();
    let word = |word: &str| word.to_owned();
    let mut replies = vec![
        Reply::Help,
        Reply::Status,
        Reply::Unknown { word: word("aprove"), near: Some(word("approve")) },
        Reply::Unknown { word: word("`@tom"), near: None },
        Reply::NotAllowed { command: word("approve"), needs: Permission::Write },
        Reply::Edited { command: word("approve") },
        Reply::SwitchedOff,
        Reply::SwitchedOn,
        Reply::Audited { agent: AgentId(1) },
    ];
    let reasons = [
        NotHere::NoTask,
        NotHere::NoIssue,
        NotHere::NoPull,
        NotHere::NoPlan,
        NotHere::OtherPlan { current: word("7f3c1e") },
        NotHere::NoQuestion,
        NotHere::Unanswered { question: 2 },
        NotHere::NoSuchOption { options: 3 },
        NotHere::NoFollowUp,
        NotHere::OpenedAlready { issue: 12 },
        NotHere::Busy,
        NotHere::NothingToFix,
        NotHere::NothingToResume,
        NotHere::Over,
        NotHere::BeyondPolicy,
        NotHere::Off,
        NotHere::NotServed,
        NotHere::Closed,
        NotHere::NoSuchProvider { have: vec!["claude".to_owned(), "codex".to_owned()] },
        NotHere::NoAmount,
        NotHere::OverLimit { limit: Micros(5_000_000) },
    ];
    replies.extend(reasons.map(|why| Reply::NotHere { command: word("fix"), why }));
    let said: Vec<String> = replies
        .iter()
        .map(|answer| format!("----- {answer:?}\n{}", reply(&situation, answer)))
        .collect();
    assert_snapshot!("replies", said.join("\n"));
}

#[test]
fn a_reply_mentions_nobody() {
    for situation in [planned(), mergeable(), sample::situation()] {
        let said = reply(&situation, &Reply::Status);
        assert!(!said.contains('@'), "{said}");
    }
}

#[test]
fn an_audit_opens_issues_that_say_nobody_checked_them() {
    let finding = AuditFinding {
        title: "A malformed path is answered with 500, see #5".into(),
        severity: "medium".to_owned(),
        path: "src/http/path.rs".into(),
        line: 17,
        body: "`decode` fails on `%zz` and the error is not mapped.".into(),
        evidence: Untrusted::from("let path = decode(raw)?;"),
    };
    let issue = audit_issue(&sample::situation(), &finding);
    assert!(find("baton", &issue.marker).is_some());
    let moved = AuditFinding { line: 40, ..finding.clone() };
    assert_eq!(audit_issue(&sample::situation(), &moved).marker, issue.marker);
    let (title, body) = (issue.title, issue.body);
    let outcome =
        AuditOutcome { summary: "The parsers were read.".into(), findings: vec![finding] };
    let none = AuditOutcome { summary: "Everything was read.".into(), findings: vec![] };
    let said = format!(
        "{title}\n=====\n{body}\n=====\n{}\n=====\n{}",
        audit_summary(&outcome),
        audit_summary(&none)
    );
    assert_snapshot!("audit", said);
}
