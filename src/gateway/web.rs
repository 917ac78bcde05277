//! Tools that run on the provider's side and pass all the same: those that the server's configuration names, for
//! agents that may use them.
//!
//! Here is what both APIs share, and what the Messages API calls these tools; that of the other is in
//! `responses`. A request that has such a tool is held to a number of uses, as it is to a number of tokens.

use serde_json::{Map, Value};

use crate::model::{WebTerms, WebTool, WebTools};

use super::bill::{Allowed, WebUses};
use super::refusal::Refusal;
use super::request::{list, shown};
use super::rewrite;

/// The versions that are known, each with its tool. Later ones filter what they find by running code, on the
/// provider's side too.
const VERSIONS: [(&str, WebTool); 2] =
    [("web_search_20250305", WebTool::Search), ("web_fetch_20250910", WebTool::Fetch)];

/// What has to be named beside a request that may fetch pages:
/// <https://docs.claude.com/en/docs/agents-and-tools/tool-use/web-fetch-tool>.
pub(super) const FETCH_BETA: &str = "web-fetch-2025-09-10";

/// What such a tool may say of itself: nothing by which other tools could call it.
const SEARCH_FIELDS: [&str; 7] = [
    "type",
    "name",
    "max_uses",
    "allowed_domains",
    "blocked_domains",
    "user_location",
    "cache_control",
];
const FETCH_FIELDS: [&str; 8] = [
    "type",
    "name",
    "max_uses",
    "allowed_domains",
    "blocked_domains",
    "citations",
    "max_content_tokens",
    "cache_control",
];

/// The field that says how often a tool may be used.
const MAX_USES: &str = "max_uses";
/// The field that says how much of a page is read.
const MAX_CONTENT: &str = "max_content_tokens";

/// What passes of the web for one agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing<'a> {
    /// What the server names of this API's provider.
    pub(super) named: &'a WebTools,
    /// Whether this agent may use it.
    pub(super) granted: bool,
}

impl<'a> Passing<'a> {
    /// The terms of a tool that a request wants to use.
    pub(super) fn terms(&self, tool: WebTool, kind: &str) -> Result<&'a WebTerms, Refusal> {
        match self.named.of(tool) {
            Some(terms) if self.granted => Ok(terms),
            Some(_) => Err(Refusal::Ungranted(shown(kind))),
            None => Err(Refusal::Tool(shown(kind))),
        }
    }

    /// Whether a conversation may hold what a tool brought earlier: that is data, and what was granted once may
    /// not be granted any more.
    pub(super) fn may_have_brought(&self, tool: WebTool) -> bool {
        self.named.of(tool).is_some()
    }
}

/// The tool that a type of the Messages API stands for, where its version is known.
pub(super) fn of_kind(kind: &str) -> Option<WebTool> {
    VERSIONS.iter().find(|(known, _)| *known == kind).map(|(_, tool)| *tool)
}

/// Checks a tool and adds its uses. A request has each at most once.
pub(super) fn check_tool(
    tool: &Value,
    which: WebTool,
    terms: &WebTerms,
    uses: &mut WebUses,
) -> Result<(), Refusal> {
    let Value::Object(fields) = tool else {
        return Err(Refusal::Malformed("a tool is no object".to_owned()));
    };
    match which {
        WebTool::Search => only(fields, &SEARCH_FIELDS)?,
        WebTool::Fetch => only(fields, &FETCH_FIELDS)?,
    }
    if fields.get("name").and_then(Value::as_str) != Some(which.name()) {
        return Err(Refusal::Malformed(format!("{0} is not named {0}", which.name())));
    }
    if !terms.domains.is_empty() {
        check_domains(fields, &terms.domains)?;
    }
    let asked = positive(fields.get(MAX_USES), MAX_USES)?;
    positive(fields.get(MAX_CONTENT), MAX_CONTENT)?;
    add(uses, which, terms, asked)
}

/// Refuses a field of a tool that is not known.
pub(super) fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Refusal::Field(format!("tools.{}", shown(unknown)))),
        None => Ok(()),
    }
}

/// Adds what a tool may be used, where the request says so many; within its terms.
pub(super) fn add(
    uses: &mut WebUses,
    which: WebTool,
    terms: &WebTerms,
    asked: Option<u64>,
) -> Result<(), Refusal> {
    let count = match which {
        WebTool::Search => &mut uses.searches,
        WebTool::Fetch => &mut uses.fetches,
    };
    if *count > 0 {
        return Err(Refusal::Malformed(format!("{} is there twice", which.name())));
    }
    let asked = asked.and_then(|asked| u32::try_from(asked).ok());
    *count = asked.map_or(terms.most, |asked| asked.min(terms.most));
    uses.tokens = uses.tokens.max(terms.tokens);
    Ok(())
}

/// A number above 0 that may be absent.
pub(super) fn positive(value: Option<&Value>, name: &str) -> Result<Option<u64>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number > 0 => Ok(Some(number)),
            Some(_) | None => Err(Refusal::Malformed(format!("{name} is no number above 0"))),
        },
    }
}

/// The tool has to name domains itself, each of them one of the server's or below one.
fn check_domains(fields: &Map<String, Value>, allowed: &[String]) -> Result<(), Refusal> {
    let is_within = |domain: &Value| {
        let domain = domain.as_str().unwrap_or_default();
        let below =
            |of: &String| domain.strip_suffix(of.as_str()).is_some_and(|it| it.ends_with('.'));
        let plain = domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        plain && allowed.iter().any(|of| domain == of || below(of))
    };
    let asked = list(fields.get("allowed_domains"), "allowed_domains")?;
    match asked.is_empty() || !asked.iter().all(is_within) {
        true => Err(Refusal::Domains(allowed.join(", "))),
        false => Ok(()),
    }
}

/// Checks a block by which a conversation shows what a tool did earlier; none where it is another block.
pub(super) fn check_block(
    block: &Map<String, Value>,
    passing: Passing<'_>,
    document: impl Fn(&Value) -> Result<(), Refusal>,
) -> Option<Result<(), Refusal>> {
    let text = |field: &str| block.get(field).and_then(Value::as_str).unwrap_or_default();
    let (kind, content) = (text("type"), block.get("content").unwrap_or(&Value::Null));
    let known = |tool: WebTool| passing.may_have_brought(tool);
    let checked = match kind {
        "server_tool_use" => {
            let tools = [WebTool::Search, WebTool::Fetch];
            tools
                .into_iter()
                .any(|tool| tool.name() == text("name") && known(tool))
                .then_some(Ok(()))
        }
        "web_search_tool_result" => known(WebTool::Search).then(|| check_found(content)),
        "web_fetch_tool_result" => {
            known(WebTool::Fetch).then(|| match is(content, "web_fetch_result") {
                true => document(&content["content"]),
                false => only_error(content, "web_fetch_tool_result_error"),
            })
        }
        _ => return None,
    };
    Some(checked.unwrap_or_else(|| Err(Refusal::Content(shown(kind)))))
}

/// What a search found is a list; what went wrong with it is an object.
fn check_found(content: &Value) -> Result<(), Refusal> {
    match content {
        Value::Array(found) if found.iter().all(|one| is(one, "web_search_result")) => Ok(()),
        other => only_error(other, "web_search_tool_result_error"),
    }
}

fn only_error(content: &Value, kind: &str) -> Result<(), Refusal> {
    match is(content, kind) {
        true => Ok(()),
        false => Err(Refusal::Content(shown(content["type"].as_str().unwrap_or_default()))),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    value["type"] == kind
}

/// Gives a body that passed with its tools held to what its answer is let have.
pub(super) fn held_to(body: Vec<u8>, uses: WebUses, allowed: Allowed, named: &WebTools) -> Vec<u8> {
    if uses.most() == 0 {
        return body;
    }
    let uses = uses.within(allowed.uses);
    let fields: Value = serde_json::from_slice(&body).unwrap_or_default();
    let tools = fields["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().enumerate().fold(body, |body, (at, tool)| {
        let set = |body: &[u8], field, number: u64| {
            rewrite::set_in_list(body, "tools", at, field, &number.to_string())
        };
        match tool["type"].as_str().and_then(of_kind) {
            Some(WebTool::Search) => set(&body, MAX_USES, uses.searches.into()),
            Some(WebTool::Fetch) => {
                let most = named.fetch.as_ref().map_or(0, |terms| terms.tokens);
                let asked = tool[MAX_CONTENT].as_u64().unwrap_or(most);
                set(&set(&body, MAX_USES, uses.fetches.into()), MAX_CONTENT, asked.min(most))
            }
            None => body,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Micros;

    fn terms(domains: &[&str]) -> WebTerms {
        WebTerms {
            price: Micros(10_000),
            most: 3,
            tokens: 5_000,
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            live: false,
        }
    }

    fn named() -> WebTools {
        WebTools { search: Some(terms(&[])), fetch: Some(terms(&["docs.rs", "a.test"])) }
    }

    fn search() -> Value {
        json!({"type": "web_search_20250305", "name": "web_search"})
    }

    fn fetch(domains: &[&str]) -> Value {
        json!({"type": "web_fetch_20250910", "name": "web_fetch", "allowed_domains": domains})
    }

    fn checked(tool: &Value) -> Result<WebUses, Refusal> {
        let (named, mut uses) = (named(), WebUses::default());
        let which = of_kind(tool["type"].as_str().unwrap()).unwrap();
        check_tool(tool, which, named.of(which).unwrap(), &mut uses)?;
        Ok(uses)
    }

    #[test]
    fn a_version_that_is_not_known_is_no_tool_that_passes() {
        for later in ["web_search_20260209", "web_fetch_20260209", "web_search", "web_fetch_", "x"]
        {
            assert_eq!(of_kind(later), None, "{later}");
        }
    }

    #[test]
    fn a_tool_passes_where_it_is_named_and_granted_and_says_which_is_missing() {
        let (named, none) = (named(), WebTools::default());
        let told = |named, granted| {
            Passing { named, granted }.terms(WebTool::Search, "web_search_20250305").map(|_| ())
        };
        let kind = "web_search_20250305".to_owned();
        assert_eq!(told(&named, true), Ok(()));
        assert_eq!(told(&named, false), Err(Refusal::Ungranted(kind.clone())));
        assert_eq!(told(&none, true), Err(Refusal::Tool(kind)));
    }

    #[test]
    fn uses_are_what_is_asked_for_within_the_terms() {
        let with = |max: Value| {
            let mut tool = search();
            tool["max_uses"] = max;
            checked(&tool).map(|uses| uses.searches)
        };
        assert_eq!(checked(&search()).map(|uses| uses.searches), Ok(3));
        assert_eq!((with(json!(8)), with(json!(2)), with(Value::Null)), (Ok(3), Ok(2), Ok(3)));
        assert_eq!(with(json!(u64::MAX)), Ok(3));
        for wrong in [json!(0), json!(-1), json!("3"), json!(1.5)] {
            assert!(matches!(with(wrong), Err(Refusal::Malformed(_))));
        }
    }

    #[test]
    fn a_tool_says_nothing_that_is_not_known_and_stands_there_once() {
        for (field, value) in [
            ("allowed_callers", json!(["code_execution_20250825"])),
            ("max_content_tokens", json!(5)),
            ("defer_loading", json!(true)),
        ] {
            let mut tool = search();
            tool[field] = value;
            assert_eq!(checked(&tool), Err(Refusal::Field(format!("tools.{field}"))));
        }
        let mut other = search();
        other["name"] = json!("Bash");
        assert!(matches!(checked(&other), Err(Refusal::Malformed(_))));
        let (named, mut uses) = (named(), WebUses { searches: 1, ..WebUses::default() });
        let again =
            check_tool(&search(), WebTool::Search, named.search.as_ref().unwrap(), &mut uses);
        assert!(matches!(again, Err(Refusal::Malformed(_))));
    }

    #[test]
    fn pages_are_read_of_the_servers_domains_alone() {
        for good in [&["docs.rs"][..], &["a.test", "www.a.test"]] {
            assert_eq!(checked(&fetch(good)).map(|uses| uses.fetches), Ok(3), "{good:?}");
        }
        let only = Err(Refusal::Domains("docs.rs, a.test".to_owned()));
        for bad in
            [&[][..], &["b.test"], &["docs.rs", "b.test"], &["xdocs.rs"], &["b.test/.docs.rs"]]
        {
            assert_eq!(checked(&fetch(bad)), only, "{bad:?}");
        }
        let mut open = fetch(&[]);
        open.as_object_mut().unwrap().remove("allowed_domains");
        assert_eq!(checked(&open), only);
    }

    #[test]
    fn what_a_tool_brought_earlier_is_data_where_the_server_names_it() {
        let (named, none) = (named(), WebTools::default());
        let told = |named, block: Value| {
            let passing = Passing { named, granted: false };
            let refuse = |_: &Value| Err(Refusal::Source("url".to_owned()));
            check_block(block.as_object().unwrap(), passing, refuse)
        };
        let used = json!({"type": "server_tool_use", "name": "web_search", "input": {}});
        let found =
            json!({"type": "web_search_tool_result", "content": [{"type": "web_search_result"}]});
        let failed = json!({"type": "web_search_tool_result",
                            "content": {"type": "web_search_tool_result_error"}});
        for block in [used, found, failed] {
            assert_eq!(told(&named, block.clone()), Some(Ok(())), "{block}");
            assert!(matches!(told(&none, block), Some(Err(Refusal::Content(_)))));
        }
        let other = json!({"type": "server_tool_use", "name": "bash_code_execution"});
        let planted = json!({"type": "web_search_tool_result", "content": [{"type": "image"}]});
        for block in [other, planted] {
            assert!(matches!(told(&named, block), Some(Err(Refusal::Content(_)))));
        }
        let page =
            json!({"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result"}});
        assert_eq!(told(&named, page), Some(Err(Refusal::Source("url".to_owned()))));
        assert_eq!(told(&named, json!({"type": "text"})), None);
    }

    #[test]
    fn a_body_is_held_to_what_was_held_back_for_it() {
        let body = json!({"tools": [
            {"name": "Read"}, {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            {"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 90_000},
        ]});
        let uses = WebUses { searches: 3, fetches: 1, tokens: 5_000 };
        let held = |uses, allowed| {
            let body = body.to_string().into_bytes();
            held_to(body, uses, Allowed { output: 9, uses: allowed }, &named())
        };
        let sent: Value = serde_json::from_slice(&held(uses, 2)).unwrap();
        let mut expected = body.clone();
        expected["tools"][1]["max_uses"] = json!(2);
        expected["tools"][2]["max_uses"] = json!(1);
        expected["tools"][2]["max_content_tokens"] = json!(5_000);
        assert_eq!(sent, expected);
        assert_eq!(held(WebUses::default(), 2), body.to_string().as_bytes());
    }
}
