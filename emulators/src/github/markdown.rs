//! Comments as people read them: Markdown, with the few HTML tags that Baton's own texts use.

use pulldown_cmark::{Event, Options, Parser, html};

/// The tags that keep their meaning; every other one is shown as text.
const TAGS: [&str; 4] = ["details", "summary", "sub", "code"];

/// Renders a comment. Nothing in it becomes a script, and hidden comments stay hidden.
pub(crate) fn rendered(text: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Html(tamed(&raw).into()),
        // As in GitHub's comments, though not in its files.
        Event::SoftBreak => Event::HardBreak,
        other => other,
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

fn tamed(raw: &str) -> String {
    if raw.trim_start().starts_with("<!--") {
        return String::new();
    }
    let mut text = escape(raw);
    for tag in TAGS {
        for (open, close) in [("&lt;", "&gt;"), ("&lt;/", "&gt;")] {
            let plain = open.replace("&lt;", "<");
            text = text.replace(&format!("{open}{tag}{close}"), &format!("{plain}{tag}>"));
        }
    }
    text
}

/// Makes text safe to stand in HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tags_fold_and_all_others_are_text() {
        let page = rendered("<!-- hidden -->\n\n<sub>$1 & <b onclick=x>more</b></sub> `<i>`");
        assert!(!page.contains("hidden"), "{page}");
        assert!(page.contains("<sub>$1 &amp; &lt;b onclick=x&gt;more&lt;/b&gt;</sub>"), "{page}");
        assert!(page.contains("<code>&lt;i&gt;</code>"), "{page}");
    }
}
