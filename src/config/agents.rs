//! What agents are, where they run and who pays.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Containers, Source, web};
use crate::model::{Ceiling, Micros, Web, usual_model};

/// Everything about running agents.
#[derive(Debug, Clone)]
pub struct Agents {
    /// The provider of roles whose policy names none: `claude`, `codex` or `command`.
    pub provider: String,
    /// The model of roles whose policy names none.
    pub model: String,
    /// The native `claude` program.
    pub claude: Option<PathBuf>,
    /// The native `codex` program.
    pub codex: Option<PathBuf>,
    /// The program of the `command` provider, with its arguments.
    pub command: Vec<String>,
    /// Where they run.
    pub sandbox: SandboxChoice,
    /// What each of them, and each command, may take of the machine in all.
    pub ceiling: Ceiling,
    /// Anthropic's API behind the gateway.
    pub upstream: Upstream,
    /// OpenAI's API behind the gateway.
    pub openai: Upstream,
    /// What each model costs; one without a price is refused.
    pub prices: BTreeMap<String, Price>,
    /// What the providers may do on the web for agents; nothing unless it is named.
    pub web: Web,
}

/// Where agents run. Nothing starts where that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub enum SandboxChoice {
    /// In bubblewrap.
    Bubblewrap,
    /// In containers.
    Container(Containers),
    /// On the bare host: `baton demo` only.
    Host,
}

/// A model API and the credential that agents never see; one without a credential is not served.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `https://api.anthropic.com` or `https://api.openai.com` unless said otherwise.
    pub base_url: String,
    /// API keys, in the order in which they are used.
    pub api_keys: Vec<SecretString>,
    /// Tokens of subscriptions, used after the keys; Anthropic alone has them.
    pub oauth_tokens: Vec<SecretString>,
}

impl Upstream {
    /// Whether agents can be given this API.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.api_keys.is_empty() || !self.oauth_tokens.is_empty()
    }
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
    codex: Option<PathBuf>,
    command: Option<Vec<String>>,
    anthropic_base_url: Option<String>,
    anthropic_api_key_file: Option<String>,
    openai_base_url: Option<String>,
    openai_api_key_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePrice {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: f64,
}

/// Dollars per million tokens as published by Anthropic and OpenAI in 2026; `[prices]` overrides and adds.
/// OpenAI asks twice as much for a request of more than 272,000 tokens, which Codex never sends: it
/// shortens the conversation at 258,400.
const KNOWN_PRICES: [(&str, [f64; 4]); 4] = [
    ("claude-opus-4-5", [5.0, 25.0, 0.5, 6.25]),
    ("claude-sonnet-4-5", [3.0, 15.0, 0.3, 3.75]),
    ("claude-haiku-4-5", [1.0, 5.0, 0.1, 1.25]),
    ("gpt-5.5", [5.0, 30.0, 0.5, 5.0]),
];

impl Agents {
    pub(super) fn read(source: &mut Source) -> Self {
        let file: File = source.section("agents");
        let provider =
            source.variable("BATON_PROVIDER").or(file.provider).unwrap_or_else(|| "claude".into());
        if !matches!(provider.as_str(), "claude" | "codex" | "command") {
            source.mistake(
                "BATON_PROVIDER",
                format_args!("{provider:?} is neither claude, codex nor command"),
            );
        }
        let command = file.command.unwrap_or_default();
        if provider == "command" && command.is_empty() {
            source.mistake(
                "command in [agents]",
                "missing: the program and its arguments, as a list",
            );
        }
        let upstream = anthropic(source, file.anthropic_base_url, file.anthropic_api_key_file);
        let openai = openai(source, file.openai_base_url, file.openai_api_key_file);
        has_credential(source, &provider, &upstream, &openai);
        let prices = prices(source);
        let model = source
            .variable("BATON_MODEL")
            .or(file.model)
            .unwrap_or_else(|| usual_model(&provider).to_owned());
        if !prices.contains_key(&model) {
            source.mistake(
                "BATON_MODEL",
                format_args!("{model} has no price: add it under [prices]"),
            );
        }
        let claude = source.variable("BATON_CLAUDE").map(PathBuf::from).or(file.claude);
        let codex = source.variable("BATON_CODEX").map(PathBuf::from).or(file.codex);
        Self {
            provider,
            model,
            claude,
            codex,
            command,
            sandbox: SandboxChoice::Bubblewrap,
            ceiling: Ceiling::default(),
            upstream,
            openai,
            prices,
            web: web::read(source),
        }
    }
}

fn anthropic(source: &mut Source, base_url: Option<String>, key_file: Option<String>) -> Upstream {
    let base_url = source.variable("ANTHROPIC_BASE_URL").or(base_url);
    Upstream {
        base_url: base_url.unwrap_or_else(|| "https://api.anthropic.com".to_owned()),
        api_keys: parted(source.secret("ANTHROPIC_API_KEY", key_file)),
        oauth_tokens: parted(source.secret("CLAUDE_CODE_OAUTH_TOKEN", None)),
    }
}

fn openai(source: &mut Source, base_url: Option<String>, key_file: Option<String>) -> Upstream {
    let base_url = source.variable("OPENAI_BASE_URL").or(base_url);
    let base_url = base_url.unwrap_or_else(|| "https://api.openai.com".to_owned());
    Upstream {
        // OpenAI's own programs want it with the version, which the gateway adds itself.
        base_url: base_url.trim_end_matches('/').trim_end_matches("/v1").to_owned(),
        api_keys: parted(source.secret("OPENAI_API_KEY", key_file)),
        oauth_tokens: Vec::new(),
    }
}

/// The provider that roles have unless policy says otherwise needs its API.
fn has_credential(source: &mut Source, provider: &str, anthropic: &Upstream, openai: &Upstream) {
    let is_open = match provider {
        "codex" => openai.is_open(),
        "command" => anthropic.is_open() || openai.is_open(),
        _ => anthropic.is_open(),
    };
    if is_open {
        return;
    }
    if provider == "codex" {
        source.mistake("OPENAI_API_KEY", "missing: a model API key for codex");
    } else {
        source.mistake(
            "ANTHROPIC_API_KEY",
            "missing: a model API key (or CLAUDE_CODE_OAUTH_TOKEN, as `claude setup-token` gives it)",
        );
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
