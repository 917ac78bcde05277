//! What agents are, where they run and who pays.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Source;
use crate::model::Micros;

/// Everything about running agents.
#[derive(Debug, Clone)]
pub struct Agents {
    /// The provider of roles whose policy names none: `claude` or `command`.
    pub provider: String,
    /// The model of roles whose policy names none.
    pub model: String,
    /// The native `claude` program.
    pub claude: Option<PathBuf>,
    /// The program of the `command` provider, with its arguments.
    pub command: Vec<String>,
    /// Where they run.
    pub sandbox: SandboxChoice,
    /// The model API behind the gateway.
    pub upstream: Upstream,
    /// What each model costs; one without a price is refused.
    pub prices: BTreeMap<String, Price>,
}

/// Where agents run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxChoice {
    /// In bubblewrap; nothing starts where that does not hold.
    Bubblewrap,
    /// On the bare host: `baton demo` only.
    Host,
}

/// The model API and the credential that agents never see.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `https://api.anthropic.com` unless said otherwise.
    pub base_url: String,
    /// API keys, in the order in which they are used.
    pub api_keys: Vec<SecretString>,
    /// OAuth bearer tokens, used after the keys.
    pub bearers: Vec<SecretString>,
}

/// Prices in micro-USD per million tokens, which is dollars per million times a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Read anew.
    pub input: Micros,
    /// Written.
    pub output: Micros,
    /// Read from the cache.
    pub cache_read: Micros,
    /// Written to the cache.
    pub cache_write: Micros,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Option<String>,
    model: Option<String>,
    claude: Option<PathBuf>,
    command: Option<Vec<String>>,
    anthropic_base_url: Option<String>,
    anthropic_api_key_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePrice {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: f64,
}

/// Dollars per million tokens as published by Anthropic in 2026; `[prices]` overrides and adds.
const KNOWN_PRICES: [(&str, [f64; 4]); 3] = [
    ("claude-opus-4-5", [5.0, 25.0, 0.5, 6.25]),
    ("claude-sonnet-4-5", [3.0, 15.0, 0.3, 3.75]),
    ("claude-haiku-4-5", [1.0, 5.0, 0.1, 1.25]),
];

impl Agents {
    pub(super) fn read(source: &mut Source) -> Self {
        let file: File = source.section("agents");
        let provider =
            source.variable("BATON_PROVIDER").or(file.provider).unwrap_or_else(|| "claude".into());
        if !matches!(provider.as_str(), "claude" | "command") {
            source.mistake(
                "BATON_PROVIDER",
                format_args!("{provider:?} is neither claude nor command"),
            );
        }
        let command = file.command.unwrap_or_default();
        if provider == "command" && command.is_empty() {
            source.mistake(
                "command in [agents]",
                "missing: the program and its arguments, as a list",
            );
        }
        let upstream = upstream(source, file.anthropic_base_url, file.anthropic_api_key_file);
        let prices = prices(source);
        let model = source
            .variable("BATON_MODEL")
            .or(file.model)
            .unwrap_or_else(|| "claude-sonnet-4-5".into());
        if !prices.contains_key(&model) {
            source.mistake(
                "BATON_MODEL",
                format_args!("{model} has no price: add it under [prices]"),
            );
        }
        let claude = source.variable("BATON_CLAUDE").map(PathBuf::from).or(file.claude);
        Self {
            provider,
            model,
            claude,
            command,
            sandbox: SandboxChoice::Bubblewrap,
            upstream,
            prices,
        }
    }
}

fn upstream(source: &mut Source, base_url: Option<String>, key_file: Option<String>) -> Upstream {
    let api_keys = parted(source.secret("ANTHROPIC_API_KEY", key_file));
    let bearers = parted(source.secret("CLAUDE_CODE_OAUTH_TOKEN", None));
    if api_keys.is_empty() && bearers.is_empty() {
        source.mistake(
            "ANTHROPIC_API_KEY",
            "missing: a model API key (or CLAUDE_CODE_OAUTH_TOKEN, as `claude setup-token` gives it)",
        );
    }
    let base_url = source.variable("ANTHROPIC_BASE_URL").or(base_url);
    Upstream {
        base_url: base_url.unwrap_or_else(|| "https://api.anthropic.com".to_owned()),
        api_keys,
        bearers,
    }
}

/// Several credentials are parted by white space: none holds any.
fn parted(secrets: Option<SecretString>) -> Vec<SecretString> {
    let secrets = secrets.unwrap_or_default();
    secrets.expose_secret().split_whitespace().map(SecretString::from).collect()
}

fn prices(source: &mut Source) -> BTreeMap<String, Price> {
    let given: BTreeMap<String, FilePrice> = source.section("prices");
    let known = KNOWN_PRICES.iter().map(|(model, dollars)| ((*model).to_owned(), price(*dollars)));
    let mut prices: BTreeMap<String, Price> = known.collect();
    for (model, FilePrice { input, output, cache_read, cache_write }) in given {
        let dollars = [input, output, cache_read, cache_write];
        if dollars.iter().any(|amount| !amount.is_finite() || *amount < 0.0) {
            source.mistake(&format!("[prices] {model}"), "a price is no amount");
        }
        prices.insert(model, price(dollars));
    }
    prices
}

fn price([input, output, cache_read, cache_write]: [f64; 4]) -> Price {
    Price {
        input: Micros::from_dollars(input),
        output: Micros::from_dollars(output),
        cache_read: Micros::from_dollars(cache_read),
        cache_write: Micros::from_dollars(cache_write),
    }
}
