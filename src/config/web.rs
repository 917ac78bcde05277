//! Which tools of the models' providers pass the gateway: none but those that are named here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Source;
use crate::model::{Micros, Web, WebTerms, WebTool, WebTools};

/// How often one request may use a tool where nothing is said.
const USUAL_MOST: u32 = 3;
/// The most that can be said: what one request costs at most grows with its square.
const MOST: u32 = 20;

/// How many tokens one use is reckoned with where nothing is said. Search results have had 7,000 to 11,000.
const USUAL_TOKENS: u64 = 20_000;
/// The most that can be said: a whole conversation's length.
const MOST_TOKENS: u64 = 200_000;

/// The known tools, each with its terms.
#[derive(Default, Deserialize)]
struct File {
    anthropic_search: Option<Terms>,
    anthropic_fetch: Option<Terms>,
    openai_search: Option<Terms>,
}

/// The section, whatever it names.
#[derive(Default, Deserialize)]
struct Section {
    #[serde(flatten)]
    known: File,
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    usd_per_1000: Option<f64>,
    most: Option<u32>,
    tokens: Option<u64>,
    domains: Option<Vec<String>>,
    live: Option<bool>,
}

/// What cannot be let through, by a part of the name that it would have, and why not.
const NEVER: [(&str, &str); 8] = [
    ("code", "code there runs in a container that is charged by the hour, which no answer tells"),
    (
        "shell",
        "commands there run in a container that is charged by the hour, which no answer tells",
    ),
    ("mcp", "a remote tool server is any address, and what it gives back has no bound"),
    ("url", "images and documents by address are an exit to any host: agents give the data itself"),
    (
        "file",
        "what is kept there outlives its task, and whoever else has the account's key reads it",
    ),
    ("batch", "a batch is answered when its budget may be gone: nothing could be held back for it"),
    ("computer", "a screen there is an exit to any host, and has no price that could be held back"),
    ("image", "an image that is made there has no bound that could be held back for"),
];

/// Reads the section.
pub(super) fn read(source: &mut Source) -> Web {
    let Section { known, others } = source.section("web");
    for name in others.keys() {
        source.mistake(&format!("{name} in [web]"), refusal(name));
    }
    let File { anthropic_search, anthropic_fetch, openai_search } = known;
    let mut read = |key, tool, terms: Option<Terms>| terms.map(|it| it.read(source, key, tool));
    Web {
        anthropic: WebTools {
            search: read("anthropic_search", WebTool::Search, anthropic_search),
            fetch: read("anthropic_fetch", WebTool::Fetch, anthropic_fetch),
        },
        openai: WebTools {
            search: read("openai_search", WebTool::Search, openai_search),
            fetch: None,
        },
    }
}

fn refusal(name: &str) -> String {
    match NEVER.iter().find(|(part, _)| name.contains(part)) {
        Some((_, why)) => format!("this cannot be let through: {why}"),
        None => {
            "there is no such tool: anthropic_search, anthropic_fetch and openai_search can be \
                 named"
                .to_owned()
        }
    }
}

impl Terms {
    fn read(self, source: &mut Source, key: &str, tool: WebTool) -> WebTerms {
        let name = format!("{key} in [web]");
        self.wrong(key, tool).into_iter().for_each(|wrong| source.mistake(&name, wrong));
        let Self { usd_per_1000, most, tokens, domains, live } = self;
        WebTerms {
            price: Micros::from_dollars(usd_per_1000.unwrap_or_default() / 1_000.0),
            most: most.unwrap_or(USUAL_MOST),
            tokens: tokens.unwrap_or(USUAL_TOKENS),
            domains: domains.unwrap_or_default(),
            live: live.unwrap_or_default(),
        }
    }

    /// Everything that is wrong with it.
    fn wrong(&self, key: &str, tool: WebTool) -> Vec<String> {
        let domains = self.domains.as_deref().unwrap_or_default();
        let is_openai = key.starts_with("openai");
        let wrong = [
            self.wrong_price(key, tool),
            outside("most", self.most.map(u64::from), 1, u64::from(MOST)),
            outside("tokens", self.tokens, 1_000, MOST_TOKENS),
            domains.iter().find(|it| !is_domain(it)).map(|it| {
                format!("{it:?} is no domain: write it as \"docs.example.com\", in small letters")
            }),
            (tool == WebTool::Fetch && domains.is_empty()).then(|| {
                "an address can carry what an agent has read: name the domains whose pages may be \
                 fetched, as domains = [\"docs.example.com\"]"
                    .to_owned()
            }),
            (tool == WebTool::Search && !domains.is_empty())
                .then(|| "a search is not held to domains: leave `domains` out".to_owned()),
            (self.live.is_some() && !is_openai)
                .then(|| "only openai_search can be live or not: leave `live` out".to_owned()),
        ];
        wrong.into_iter().flatten().collect()
    }

    /// A search without a price could not be held back for.
    fn wrong_price(&self, key: &str, tool: WebTool) -> Option<String> {
        match (tool, self.usd_per_1000) {
            (WebTool::Search, None) => Some(format!(
                "has no price: write what 1,000 of them cost, as {key} = {{ usd_per_1000 = 10.0 }}"
            )),
            (WebTool::Fetch, Some(_)) => {
                Some("a fetch costs its tokens alone: leave `usd_per_1000` out".to_owned())
            }
            (WebTool::Search, Some(dollars)) if !dollars.is_finite() || dollars < 0.0 => {
                Some(format!("usd_per_1000: {dollars} is no amount"))
            }
            (WebTool::Search, Some(_)) | (WebTool::Fetch, None) => None,
        }
    }
}

fn outside(name: &str, figure: Option<u64>, least: u64, most: u64) -> Option<String> {
    let figure = figure.filter(|figure| !(least..=most).contains(figure))?;
    Some(format!("{name} is a number from {least} to {most}, not {figure}"))
}

/// Whether it is a plain name with a dot: what a domain of letters that only look alike is not.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && label.bytes().all(plain)
    };
    text.contains('.') && text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(section: &str) -> (Web, String) {
        let mut source = Source::new(BTreeMap::new(), Some(&format!("[web]\n{section}")));
        let web = read(&mut source);
        (web, source.finish().err().map(|mistakes| mistakes.to_string()).unwrap_or_default())
    }

    #[test]
    fn nothing_passes_that_is_not_named_and_what_is_named_has_its_terms() {
        assert_eq!(told(""), (Web::default(), String::new()));
        let (web, wrong) = told(
            "anthropic_search = { usd_per_1000 = 10.0 }\n\
             anthropic_fetch = { domains = [\"docs.rs\"], most = 2, tokens = 5000 }\n\
             openai_search = { usd_per_1000 = 10.0, live = true }",
        );
        assert_eq!(wrong, "");
        let search = web.anthropic.search.unwrap();
        assert_eq!((search.price, search.most, search.tokens), (Micros(10_000), 3, 20_000));
        let fetch = web.anthropic.fetch.unwrap();
        assert_eq!((fetch.price, fetch.most, fetch.tokens), (Micros(0), 2, 5_000));
        assert_eq!(fetch.domains, ["docs.rs"]);
        assert!(web.openai.search.unwrap().live && !search.live);
        assert_eq!(web.openai.fetch, None);
    }

    #[test]
    fn what_cannot_be_held_back_for_does_not_start_and_says_which_line_to_write() {
        for (section, words) in [
            ("anthropic_search = {}", "write what 1,000 of them cost, as anthropic_search = {"),
            ("openai_search = {}", "openai_search = { usd_per_1000 = 10.0 }"),
            ("openai_search = { usd_per_1000 = -1.0 }", "is no amount"),
            ("anthropic_search = { usd_per_1000 = 1.0, most = 0 }", "from 1 to 20"),
            ("anthropic_search = { usd_per_1000 = 1.0, tokens = 7 }", "from 1000 to 200000"),
            ("anthropic_search = { usd_per_1000 = 1.0, live = true }", "only openai_search"),
            ("anthropic_search = { usd_per_1000 = 1.0, colour = 1 }", "unknown field `colour`"),
            ("anthropic_fetch = {}", "name the domains"),
            ("anthropic_fetch = { domains = [\"https://a.test\"] }", "is no domain"),
            ("anthropic_fetch = { domains = [\"a.test\"], usd_per_1000 = 1.0 }", "tokens alone"),
        ] {
            let (_, wrong) = told(section);
            assert!(wrong.contains(words), "{section}: {wrong}");
        }
    }

    #[test]
    fn what_can_never_pass_is_told_with_its_reason() {
        for (name, words) in [
            ("anthropic_code_execution", "charged by the hour"),
            ("openai_code_interpreter", "charged by the hour"),
            ("anthropic_mcp", "any address"),
            ("url_sources", "give the data itself"),
            ("anthropic_files", "outlives its task"),
            ("batches", "nothing could be held back"),
            ("openai_computer_use", "an exit to any host"),
            ("openai_fetch", "there is no such tool"),
        ] {
            let (web, wrong) = told(&format!("{name} = {{}}"));
            assert!(
                wrong.contains(&format!("{name} in [web]")) && wrong.contains(words),
                "{wrong}"
            );
            assert_eq!(web, Web::default());
        }
    }
}
