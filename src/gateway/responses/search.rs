//! The search of the web that runs on OpenAI's side and passes where the server names it: what it may say of itself,
//! and how a body is held to its calls.

use serde_json::{Map, Value};

use crate::gateway::bill::WebUses;
use crate::gateway::refusal::Refusal;
use crate::gateway::rewrite;
use crate::gateway::web::{self, Passing};
use crate::model::{WebTool, WebTools};

/// The search that passes where the server names it; its preview and its dated versions do not.
pub(super) const SEARCH: &str = "web_search";

/// What it may say of itself: what Codex 0.169.0 sends, and the plain fields of the API.
const SEARCH_FIELDS: [&str; 6] =
    ["type", LIVE, "search_content_types", "search_context_size", "filters", "user_location"];

/// The field of a search that says whether pages are read as they are now, at any address:
/// <https://developers.openai.com/api/docs/guides/tools-web-search>.
const LIVE: &str = "external_web_access";

/// The field that says how often the provider's tools may be called for one answer.
pub(super) const MAX_TOOL_CALLS: &str = "max_tool_calls";

/// Whether a tool is that search.
pub(super) fn is_search(tool: &Value) -> bool {
    tool["type"] == SEARCH
}

/// Checks a search and adds its uses; `fields` are those of the whole body.
pub(super) fn check(
    search: &Value,
    fields: &Map<String, Value>,
    passing: Passing<'_>,
    uses: &mut WebUses,
) -> Result<(), Refusal> {
    let terms = passing.terms(WebTool::Search, SEARCH)?;
    search.as_object().map_or(Ok(()), |search| web::only(search, &SEARCH_FIELDS))?;
    let calls = web::positive(fields.get(MAX_TOOL_CALLS), MAX_TOOL_CALLS)?;
    web::add(uses, WebTool::Search, terms, calls)
}

/// Gives a body that passed with its search held to so many uses.
pub(super) fn held_to(body: Vec<u8>, uses: WebUses, named: &WebTools) -> Vec<u8> {
    match &named.search {
        Some(terms) if uses.searches > 0 => {
            let body = rewrite::set(&body, MAX_TOOL_CALLS, &uses.searches.to_string());
            if terms.live { body } else { from_the_index(body) }
        }
        Some(_) | None => body,
    }
}

/// Lets no search read pages at addresses that an agent made up.
fn from_the_index(body: Vec<u8>) -> Vec<u8> {
    let fields: Value = serde_json::from_slice(&body).unwrap_or_default();
    let tools = fields["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    match tools.iter().position(is_search) {
        Some(at) => rewrite::set_in_list(&body, "tools", at, LIVE, "false"),
        None => body,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::bill::{Allowed, Size};
    use crate::gateway::responses::request;
    use crate::model::{Micros, WebTerms};

    /// Checks it where the server names the search.
    fn check_named(body: &Value, granted: bool) -> Result<WebUses, Refusal> {
        let passing = Passing { named: &named(false), granted };
        request::check(body.to_string().as_bytes(), passing).map(|it| it.size.unwrap().web)
    }

    fn named(live: bool) -> WebTools {
        let terms =
            WebTerms { price: Micros(10_000), most: 3, tokens: 5_000, domains: Vec::new(), live };
        WebTools { search: Some(terms), fetch: None }
    }

    fn searching() -> Value {
        json!({"model": "m", "input": "go", "store": false, "tools": [
            {"type": "function", "name": "exec_command"},
            {"type": "web_search", "external_web_access": true,
             "search_content_types": ["text", "image"]},
        ]})
    }

    #[test]
    fn a_search_passes_where_it_is_named_and_granted_as_often_as_its_terms_say() {
        let uses = WebUses { searches: 3, fetches: 0, tokens: 5_000 };
        assert_eq!(check_named(&searching(), true), Ok(uses));
        assert_eq!(check_named(&searching(), false), Err(Refusal::Ungranted(SEARCH.to_owned())));
        let mut fewer = searching();
        fewer["max_tool_calls"] = json!(2);
        fewer["tool_choice"] = json!({"type": "web_search"});
        fewer["input"] =
            json!([{"type": "web_search_call", "id": "w", "action": {"type": "search"}}]);
        assert_eq!(check_named(&fewer, true).map(|uses| uses.searches), Ok(2));
        fewer["max_tool_calls"] = json!(0);
        assert!(matches!(check_named(&fewer, true), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn a_search_further_in_or_of_another_name_is_refused_also_where_it_is_named() {
        let tool = json!({"type": "web_search"});
        for (field, value) in [
            ("tools", json!([{"type": "namespace", "name": "n", "tools": [tool]}])),
            ("tools", json!([{"type": "web_search_preview"}])),
            ("tools", json!([{"type": "web_search_2025_08_26"}])),
            ("input", json!([{"type": "tool_search_output", "tools": [tool]}])),
        ] {
            let mut body = searching();
            body[field] = value;
            assert!(matches!(check_named(&body, true), Err(Refusal::Tool(_))), "{body}");
        }
        let mut twice = searching();
        twice["tools"] = json!([tool, tool]);
        assert!(matches!(check_named(&twice, true), Err(Refusal::Malformed(_))));
        let mut more = searching();
        more["tools"][1]["new_field"] = json!(1);
        assert_eq!(check_named(&more, true), Err(Refusal::Field("tools.new_field".to_owned())));
    }

    #[test]
    fn a_search_is_held_to_its_calls_and_to_the_index_unless_the_server_says_live() {
        let body = searching().to_string();
        let web = check_named(&searching(), true).unwrap();
        let size = Size { max_output: 9_000, web, ..Size::default() };
        let held = |live| {
            let allowed = Allowed { output: 9_000, uses: 2 };
            let held = request::held_to(body.as_bytes(), &size, allowed, &named(live));
            String::from_utf8(held).unwrap()
        };
        let bounded = body.replacen('{', "{\"max_tool_calls\":2,", 1);
        assert_eq!(held(true), bounded);
        assert_eq!(held(false), bounded.replace("access\":true", "access\":false"));
    }
}
