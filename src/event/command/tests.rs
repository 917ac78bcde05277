//! The grammar as a table: what people type, and what it means.

use proptest::prelude::*;

use super::*;
use Command::{Audit, Fix, Help, Off, On, Plan, Resume, Retry, Review, Status};

const STOP: Command = Command::Stop { now: false };
const STOP_NOW: Command = Command::Stop { now: true };

fn said(text: &str) -> Vec<Command> {
    commands_in(text, "baton", "baton-acme")
}

fn approve(hash: &str) -> Command {
    Command::Approve { hash: (!hash.is_empty()).then(|| hash.to_owned()) }
}

fn revise(text: &str) -> Command {
    Command::Revise { text: text.to_owned() }
}

fn reject(why: &str) -> Command {
    Command::Reject { why: why.to_owned() }
}

fn unknown(word: &str, near: &str) -> Command {
    let near = (!near.is_empty()).then(|| near.to_owned());
    Command::Unknown { word: word.to_owned(), near }
}

fn check(table: Vec<(&str, Vec<Command>)>) {
    for (text, meant) in table {
        assert_eq!(said(text), meant, "{text:?}");
    }
}

#[test]
fn every_word_is_a_command_and_help_lists_every_command() {
    for word in Command::WORDS {
        let arguments = match word {
            "answer" => " 1: yes",
            "follow-up" => " 1",
            _ => "",
        };
        let meant = said(&format!("/baton {word}{arguments}"));
        assert_eq!(meant.len(), 1, "{word}");
        assert_eq!(meant[0].word(), word);
        assert!(!matches!(meant[0], Command::Unknown { .. }), "{word}");
    }
}

#[test]
fn an_answer_names_its_question_or_is_none() {
    let answer = |number, text: &str| Command::Answer { number, text: text.to_owned() };
    check(vec![
        ("/baton answer 2: 1", vec![answer(2, "1")]),
        ("/baton answer 12 as before", vec![answer(12, "as before")]),
        (
            "/baton answer 1:\nfirst\n\nsecond\n/baton stop",
            vec![answer(1, "first\n\nsecond"), STOP],
        ),
        ("/baton answer yes", vec![unknown("answer yes", "answer")]),
        ("/baton answer 2:", vec![unknown("answer 2:", "answer")]),
        ("/baton answer 2nd: yes", vec![unknown("answer 2nd: yes", "answer")]),
        ("/baton answer 99999999999: yes", vec![unknown("answer 99999999999: yes", "answer")]),
        ("/baton answer", vec![unknown("answer", "answer")]),
    ]);
}

#[test]
fn a_follow_up_is_named_or_none() {
    let third = Command::FollowUp { number: 3 };
    check(vec![
        ("/baton follow-up 3", vec![third.clone()]),
        ("/baton follow-up #3.", vec![third.clone()]),
        ("/baton Follow-Up 3\n/baton stop", vec![third, STOP]),
        ("/baton follow-up", vec![unknown("follow-up", "follow-up")]),
        ("/baton follow-up all", vec![unknown("follow-up all", "follow-up")]),
        ("/baton follow-up -1", vec![unknown("follow-up -1", "follow-up")]),
        ("/baton followup 3", vec![unknown("followup", "follow-up")]),
    ]);
}

#[test]
fn commands_are_read_as_people_type_them() {
    check(vec![
        ("/baton plan", vec![Plan]),
        ("/BATON Plan", vec![Plan]),
        ("   /baton plan", vec![Plan]),
        ("/baton\tplan", vec![Plan]),
        ("/baton   plan   ", vec![Plan]),
        ("/baton stop.", vec![STOP]),
        ("/baton stop now", vec![STOP_NOW]),
        ("/baton stop Now!\n/baton stop nowhere", vec![STOP_NOW, STOP]),
        ("/baton status?", vec![Status]),
        ("/baton: resume", vec![Resume]),
        ("/baton, retry!", vec![Retry]),
        ("@baton-acme review", vec![Review]),
        ("@Baton-Acme Review, please", vec![Review]),
        ("@baton-acme: fix", vec![Fix]),
        ("@baton-acme[bot] audit", vec![Audit]),
        ("/baton off for now", vec![Off]),
        ("Looks fine.\n\n/baton on\n\nThanks!", vec![On]),
        ("Looks fine.\n/baton on\nThanks!", vec![On]),
        ("/baton stop\r\n/baton help\r\n", vec![STOP, Help]),
        ("<details>\n<summary>more</summary>\n/baton stop\n</details>", vec![STOP]),
        ("> quoted\n\n/baton plan", vec![Plan]),
        ("```\nlog\n```\n/baton retry", vec![Retry]),
        ("<!-- template: use `<pre>` -->\n\n/baton plan", vec![Plan]),
        ("`<!--` is code\n\n/baton plan", vec![Plan]),
        ("/baton", vec![Help]),
        ("/baton.", vec![Help]),
        ("ü\n/baton plan", vec![Plan]),
    ]);
}

fn budget(micros: i64) -> Command {
    Command::Budget { add: (micros > 0).then_some(Micros(micros)) }
}

#[test]
fn money_is_added_only_where_it_is_clear_how_much() {
    check(vec![
        ("/baton budget +2", vec![budget(2_000_000)]),
        ("/baton budget +$2.50, please", vec![budget(2_500_000)]),
        ("/baton budget +2.", vec![budget(2_000_000)]),
        ("@baton-acme budget +0.5\nthanks", vec![budget(500_000)]),
        ("/baton budget", vec![budget(0)]),
        ("/baton budget 2", vec![budget(0)]),
        ("/baton budget +0", vec![budget(0)]),
        ("/baton budget -2", vec![budget(0)]),
        ("/baton budget + 2", vec![budget(0)]),
        ("/baton budget +2e6", vec![budget(0)]),
        ("/baton budget\n+2", vec![budget(0)]),
    ]);
}

#[test]
fn arguments_belong_to_their_command() {
    check(vec![
        ("/baton approve", vec![approve("")]),
        ("/baton approve.", vec![approve("")]),
        ("/baton approve 👍", vec![approve("")]),
        ("/baton approve 7f3c1e", vec![approve("7f3c1e")]),
        ("/baton approve 7F3C1E.", vec![approve("7f3c1e")]),
        ("/baton approve (`7f3c1e`) thanks", vec![approve("7f3c1e")]),
        ("/baton approve 7f3c1", vec![unknown("approve 7f3c1", "approve")]),
        ("/baton approve 7f3clе", vec![unknown("approve 7f3clе", "approve")]),
        ("/baton approve plan 2", vec![unknown("approve plan 2", "approve")]),
        ("/baton reject too risky\nreally", vec![reject("too risky")]),
        ("/baton reject", vec![reject("")]),
        ("/baton revise use a trie", vec![revise("use a trie")]),
        ("/baton revise", vec![revise("")]),
        (
            "/baton revise: use a trie\n\n```rust\nlet x;\n/baton stop\n```\nand test it\n",
            vec![revise("use a trie\n\n```rust\nlet x;\n/baton stop\n```\nand test it")],
        ),
        ("/baton revise\nfirst\nsecond\n/baton status", vec![revise("first\nsecond"), Status]),
    ]);
}

#[test]
fn what_is_not_said_is_no_command() {
    for silent in [
        "",
        "baton plan",
        "/approve",
        "/ baton plan",
        "please /baton plan",
        "see /baton",
        "/batons plan",
        "/baton/plan",
        "/baton-plan",
        "/baton_plan",
        "//baton plan",
        "\\/baton plan",
        "    /baton plan",
        "\t/baton plan",
        "```\n/baton plan\n```",
        "~~~\n/baton plan",
        "```\n/baton plan",
        "`/baton plan`",
        "`code\n/baton plan\ncode`",
        "> /baton plan",
        "> quoted\n/baton plan",
        "> - a\n>   /baton plan",
        "- /baton plan",
        "**/baton plan**",
        "[/baton plan](x)",
        "[x](y \"\n/baton plan\n\")",
        "![\n/baton plan\n](x)",
        "a | b\n--|--\n/baton plan | x",
        "<!-- /baton plan -->",
        "<!--\n/baton plan\n-->",
        "<!--\n\n/baton plan\n\n-->",
        "text <!--\n/baton plan\n--> text",
        "text <!-- open\n\n/baton plan",
        "<pre>\n/baton plan\n</pre>",
        "<blockquote>\n\n/baton plan\n\n</blockquote>",
        "<del>\n\n/baton plan\n\n</del>",
        "x <code>\n/baton plan\n</code>",
        "<pre>\n\n/baton plan",
        "~~x\n/baton plan~~",
    ] {
        assert_eq!(said(silent), vec![], "{silent:?}");
    }
}

#[test]
fn talk_about_baton_is_no_command() {
    for silent in [
        "@baton-acme",
        "@baton-acme!",
        "@baton-acme thanks!",
        "@baton-acme nice work",
        "@baton-acme ok",
        "@baton-acme no",
        "@baton-acme hi",
        "@baton-acme 👍",
        "@baton plan",
        "@baton-acme-two plan",
        "@baton-acme/team plan",
        "as @baton-acme plan says",
        "mail@baton-acme plan",
    ] {
        assert_eq!(said(silent), vec![], "{silent:?}");
    }
}

#[test]
fn a_slip_is_answered_and_never_guessed() {
    check(vec![
        ("/baton aprove", vec![unknown("aprove", "approve")]),
        ("@baton-acme aprove", vec![unknown("aprove", "approve")]),
        ("/baton hlep", vec![unknown("hlep", "help")]),
        ("/baton stp", vec![unknown("stp", "stop")]),
        ("/baton deploy", vec![unknown("deploy", "")]),
        ("/baton ok", vec![unknown("ok", "")]),
        ("/baton `stop`", vec![unknown("`stop`", "stop")]),
        ("/baton 👍", vec![unknown("👍", "")]),
    ]);
    let long = "x".repeat(500);
    assert_eq!(said(&format!("/baton {long}")), vec![unknown(&long[..40], "")]);
}

#[test]
fn a_flood_of_commands_is_cut_short() {
    assert_eq!(said(&"/baton stop\n".repeat(5_000)).len(), MOST_COMMANDS);
}

#[test]
fn another_name_has_its_own_prefix() {
    let text = "/baton plan\n\n/staging stop\n\n@my-app review";
    assert_eq!(commands_in(text, "staging", "my-app"), vec![STOP, Review]);
    assert_eq!(commands_in(text, "", ""), vec![]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", name in "[a-zé]{0,4}") {
        let _ = commands_in(&text, &name, &name);
    }

    #[test]
    fn no_mix_of_markup_makes_it_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "/baton", "@baton-acme", " ", "\n", "\r", "\t", "> ", "`", "```", "<!--", "-->",
                "<pre>", "</pre>", "<", "approve", "revise", "7f3c1e", "ü", "é\u{301}", "|", "--",
                "![", "](", ")", "~~", "- ", "\\", "\u{0}", "&lt;", "[^1]:", "    ",
            ]),
            0..60,
        ),
    ) {
        let text = parts.concat();
        let commands = said(&text);
        prop_assert!(commands.len() <= MOST_COMMANDS);
        // Inside a fence, which nothing in the text can close, nothing is said.
        let fenced = format!("{}\n{text}", "~".repeat(200));
        prop_assert_eq!(said(&fenced), vec![]);
    }
}
