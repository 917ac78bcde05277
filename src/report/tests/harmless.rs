//! What others wrote does nothing on GitHub, however it is written.

use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::model::{ReportKind, Untrusted};
use crate::report::quote::{block, fence, line, plain};
use crate::report::render;

/// Text nodes of a page outside of code: where GitHub looks for mentions and references.
struct Page {
    texts: Vec<String>,
    html: Vec<String>,
    links: usize,
    boxes: usize,
    languages: Vec<String>,
    headings: usize,
}

fn read(markdown: &str) -> Page {
    let options = Options::ENABLE_TASKLISTS
        | Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM;
    let mut page =
        Page { texts: vec![], html: vec![], links: 0, boxes: 0, languages: vec![], headings: 0 };
    let (mut in_code, mut joined) = (false, false);
    for event in Parser::new_ext(markdown, options) {
        let is_text = matches!(event, Event::Text(_));
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                in_code = true;
                page.languages.push(info.to_string());
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            // Neighbouring pieces are one text node on the page.
            Event::Text(text) if !in_code => match page.texts.last_mut().filter(|_| joined) {
                Some(last) => last.push_str(&text),
                None => page.texts.push(text.to_string()),
            },
            Event::Html(html) | Event::InlineHtml(html) => page.html.push(html.to_string()),
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::FootnoteDefinition(_))
            | Event::FootnoteReference(_) => page.links += 1,
            Event::Start(Tag::Heading { .. }) => page.headings += 1,
            Event::TaskListMarker(_) => page.boxes += 1,
            _ => {}
        }
        joined = is_text;
    }
    page
}

fn does_something(markdown: &str) -> Option<String> {
    let page = read(markdown);
    let acting =
        regex::Regex::new(r"@[A-Za-z0-9]|#[0-9]|(?i:gh-[0-9])|://|(?i:www\.)").expect("a pattern");
    let text = page.texts.iter().find(|text| acting.is_match(text));
    let html = page.html.iter().find(|html| html.trim() != "<!-- -->");
    let language = page.languages.iter().find(|language| {
        ["suggestion", "mermaid", "math", "geojson", "stl"].contains(&language.as_str())
    });
    text.or(html).or(language).cloned().or_else(|| {
        (page.links + page.boxes + page.headings > 0)
            .then(|| "a link, a box or a heading".to_owned())
    })
}

#[test]
fn known_tricks_do_nothing() {
    let tricks = [
        "@mara please @acme/core",
        "Closes #5, fixes acme/files#6 and GH-7",
        "&#64;mara &commat;mara &num;5",
        "- [ ] **Approve this plan** (`7f3c1e`)",
        "> - [x] done",
        "![x](http://evil.example/a.png) <img src=\"http://evil.example/b.png\">",
        "[click](http://evil.example) https://evil.example www.evil.example",
        "</details></details>\n# Baton: merged",
        "```\n@mara\n```\n@mara",
        "````\n```\n@mara\n````\n#5",
        "`open @mara\nand` @tom",
        "``a` @mara `b``` @tom",
        "~~~\ninside\n~~~\n@mara\n- ~~~\n@tom",
        "a\n===\nb\n---\nc\n-",
        "```suggestion\nx\n```",
        "```mermaid\ngraph TD\n```",
        "\\[x](http://e.example) \\@mara \\`@mara`",
        "<!-- hidden --> @\u{200B}mara",
        "    @mara in an indented line",
        "[^1]\n\n[^1]: note",
        "`https://a`https://b`c`",
        "#5http://a.b",
        "a@b.example mailto:a@b.example",
    ];
    for trick in tricks {
        let shown = block(&Untrusted::from(trick), 10_000);
        assert_eq!(does_something(&shown), None, "{trick:?} became {shown:?}");
        let shown = line(&Untrusted::from(trick), 10_000);
        assert_eq!(does_something(&shown), None, "{trick:?} became {shown:?}");
    }
}

#[test]
fn quoted_commands_do_not_stand_at_the_start_of_a_line() {
    for trick in [
        "/baton approve",
        "> /baton approve",
        "  - /merge",
        "```\n/approve\n```",
        "@baton-app approve",
    ] {
        let shown = block(&Untrusted::from(trick), 1000);
        assert!(shown.contains("approve") || shown.contains("merge"), "{trick:?} is not shown");
        for shown_line in shown.lines() {
            let start = shown_line.trim_start_matches([' ', '>', '-']);
            assert!(!start.starts_with('/'), "{trick:?} became {shown:?}");
            assert!(!start.starts_with("@baton"), "{trick:?} became {shown:?}");
        }
    }
}

#[test]
fn what_is_harmless_stays_readable() {
    let text = "Use `parse_range(a)` **now**:\n\n1. one\n2. two\n\n```rust\nlet a = \"@x\";\n```\n5 < 6 & 7";
    let expected = "Use `parse_range(a)` **now**:\n\n1. one\n2. two\n\n```rust\nlet a = \"@x\";\n```\n5 &lt; 6 &amp; 7";
    assert_eq!(block(&Untrusted::from(text), 1000), expected);
}

#[test]
fn a_title_cannot_close_or_mention_in_a_commit_message() {
    let title = plain(&"Closes #5: @mara's\nGH-7 @media".into(), 256);
    assert_eq!(title, "Closes # 5: @ mara's GH- 7 @ media");
}

#[test]
fn no_text_ends_the_fence_it_stands_in() {
    let shown = fence("a\n```\n@mara\n`````\n</details>", "");
    assert_eq!(does_something(&shown), None, "{shown}");
    assert_eq!(read(&shown).texts.len(), 0, "{shown}");
}

#[test]
fn the_longest_texts_keep_to_the_limit_and_keep_their_marker() {
    let mut situation = second_round();
    let long: Untrusted = Untrusted("`@mara` [x](y) <b>\n".repeat(400));
    situation.plans[0].body.summary = long.clone();
    situation.plans[0].body.acceptance = vec![long.clone(); 200];
    let task = situation.task.as_mut().expect("the sample has a task");
    task.input.title = long;
    for kind in [ReportKind::Progress, ReportKind::Pull] {
        let (crate::model::Desired::Comment { body, .. }
        | crate::model::Desired::Pull { body, .. }) = render(&situation, &kind)
        else {
            panic!("a text")
        };
        assert!(body.chars().count() <= 65_536);
        assert!(crate::report::find("baton", &body).is_some());
        let page = read(&body);
        assert!(
            !page.texts.iter().any(|text| text.contains("@mara")),
            "the cut set a mention free"
        );
    }
}

proptest! {
    // A failing text becomes a row of the known tricks instead of a file.
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_at_all_does_anything(text in "[ `~@#<>&\\[\\]!()a5/\\\\\n*_$|:.=x-]{0,60}") {
        let shown = block(&Untrusted::from(text.as_str()), 1000);
        prop_assert_eq!(does_something(&shown), None, "{:?} became {:?}", text, shown);
    }

    #[test]
    fn no_words_do_anything(words in prop::collection::vec(prop::sample::select(vec![
        "@mara", "#5", "`", "``", "```", "~~~", "\n", " ", "- ", "> ", "[ ]", "[x](y)", "http://a.b", "www.a.b",
        "<b>", "<!-- ", "-->", "&#64;", "\\", "---", "===", "1. ", "    ", "GH-", "5", "$", "suggestion",
    ]), 0..24)) {
        let text = words.concat();
        let shown = block(&Untrusted::from(text.as_str()), 1000);
        prop_assert_eq!(does_something(&shown), None, "{:?} became {:?}", text, shown);
        let shown = line(&Untrusted::from(text.as_str()), 1000);
        prop_assert_eq!(does_something(&shown), None, "{:?} became {:?}", text, shown);
    }
}
