//! The gateway as a command in a sandbox finds it: no more of an exit than from beside it.

use std::{fs, os::unix::fs::PermissionsExt};

use baton::sandbox::{Gateway, Kind};
use serde_json::{Value, json};

use super::{Script, TOKEN, house, message, web};
use crate::sandbox::house::{House, shell, text};

/// One request, as it goes over the wire.
fn wire(method: &str, path: &str, token: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nx-api-key: {token}\r\n\
         content-type: application/json\r\nanthropic-version: 2023-06-01\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// What would be a way out: the request, the status that its program does not try again after, and the
/// word by which it is refused.
fn refused() -> Vec<(String, u16, &'static str)> {
    messages_refused().into_iter().chain(responses_refused()).collect()
}

/// Ways out by way of the Messages API.
fn messages_refused() -> Vec<(String, u16, &'static str)> {
    let message = message();
    let url = |kind: &str| {
        let source = json!({"type": "url", "url": "http://example.test"});
        json!([{"role": "user", "content": [{"type": kind, "source": source}]}])
    };
    let with = [
        ("tools", json!([{"type": "web_search_20250305", "name": "w"}]), "web_search_20250305"),
        ("tools", json!([{"type": "web_fetch_20250910", "name": "w"}]), "web_fetch_20250910"),
        ("tools", json!([{"type": "code_execution_20250825"}]), "code_execution_20250825"),
        ("mcp_servers", json!([{"type": "url"}]), "mcp_servers"),
        ("messages", url("image"), "url"),
        ("messages", url("document"), "url"),
    ];
    let bodies = with.map(|(field, value, word)| {
        let mut body = message.clone();
        body[field] = value;
        (wire("POST", "/v1/messages", TOKEN, &body), 403, word)
    });
    let paths = ["/v1/files", "/v1/messages/batches", "//v1/messages"];
    let paths = paths.map(|path| (wire("POST", path, TOKEN, &message), 403, "permission_error"));
    bodies.into_iter().chain(paths).collect()
}

/// Ways out by way of the Responses API.
fn responses_refused() -> Vec<(String, u16, &'static str)> {
    let part = |part: Value| json!([{"role": "user", "content": [part]}]);
    let url = "http://example.test";
    let with = [
        ("tools", json!([{"type": "web_search"}]), "web_search"),
        ("tools", json!([{"type": "code_interpreter"}]), "code_interpreter"),
        ("tools", json!([{"type": "mcp", "server_url": url}]), "mcp"),
        ("input", part(json!({"type": "input_image", "image_url": url})), "image_url"),
        ("input", part(json!({"type": "input_file", "file_url": url})), "file_url"),
        ("background", json!(true), "background"),
    ];
    let refused = with.map(|(field, value, word)| {
        let mut body = super::openai::body();
        body[field] = value;
        (wire("POST", "/v1/responses", TOKEN, &body), 400, word)
    });
    refused.into()
}

/// Sends requests one after another from inside, and gives each answer in a line.
async fn asked(sandbox: &House, house: &super::House, requests: &[String]) -> Vec<String> {
    fs::set_permissions(house.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let port = match sandbox.kind() {
        Kind::Bubblewrap | Kind::Container => 4000,
        Kind::Host => {
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
        }
    };
    let script = format!(
        r#"for request in "$@"; do
             exec 3<>/dev/tcp/127.0.0.1/{port} && printf %s "$request" >&3 && tr -d '\r\n' <&3; echo
           done"#
    );
    let mut spec = shell(&script);
    spec.argv.push("bash".to_owned());
    spec.argv.extend_from_slice(requests);
    let socket = house.gateway().socket().to_owned();
    spec.gateway = Some(Gateway { socket, port });
    let taken = sandbox.run(spec).await;
    let answers: Vec<String> = text(&taken.stdout).lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), requests.len(), "{taken:?}");
    answers
}

/// Whether an answer is a refusal with this status, by this word.
fn tells(answer: &str, status: u16, word: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word)
}

/// Tries each way out from inside, and one request that is in order.
pub async fn only_model_calls_pass_from_within(sandbox: &House) {
    let house = house(Script::Stream).await;
    let refused = refused();
    let mut requests: Vec<String> = refused.iter().map(|(request, ..)| request.clone()).collect();
    requests.push(wire("POST", "/v1/messages", "token-of-nobody", &message()));
    requests.push(wire("POST", "/v1/messages", TOKEN, &message()));
    let answers = asked(sandbox, &house, &requests).await;
    for (answer, (request, status, word)) in answers.iter().zip(&refused) {
        assert!(tells(answer, *status, word), "{request}: {answer}");
    }
    let [.., nobody, in_order] = &answers[..] else { unreachable!("they were counted") };
    assert!(nobody.starts_with("HTTP/1.1 401"), "{nobody}");
    assert!(tells(in_order, 200, "\"hi\""), "{in_order}");
    assert_eq!(house.requests_that_came_through(), 1);
}

/// Where the server names the web, an agent that may use it gets the tools that are named and no other, and one
/// that may not gets none.
pub async fn only_the_tools_that_are_named_pass_from_within(sandbox: &House) {
    let house = web::open_house(Script::Stream).await;
    let messages = |body: &Value| wire("POST", "/v1/messages", TOKEN, body);
    let responses = |body: &Value| wire("POST", "/v1/responses", TOKEN, body);
    let passing = [
        messages(&web::search()),
        messages(&web::fetch("docs.example.test")),
        responses(&web::call()),
    ];
    let later = web::search().to_string().replace("20250305", "20260209");
    let later: Value = serde_json::from_str(&later).unwrap();
    let mut refused = refused();
    // What is named now was among those.
    let is_named = |word: &str| matches!(word, "web_search_20250305" | "web_search");
    refused.retain(|(_, _, word)| !is_named(word) && *word != "web_fetch_20250910");
    refused.push((messages(&later), 403, "web_search_20260209"));
    refused.push((messages(&web::fetch("attacker.example.test")), 403, "docs.example.test"));
    let requests = refused.iter().map(|(request, ..)| request.clone()).chain(passing.clone());
    let answers = asked(sandbox, &house, &requests.collect::<Vec<_>>()).await;
    for (answer, (request, status, word)) in answers.iter().zip(&refused) {
        assert!(tells(answer, *status, word), "{request}: {answer}");
    }
    for answer in &answers[refused.len()..] {
        assert!(tells(answer, 200, "\"hi\""), "{answer}");
    }
    assert_eq!(house.requests_that_came_through(), passing.len());
    house.books.change(TOKEN, |grant| grant.web = false);
    for answer in asked(sandbox, &house, &passing).await {
        assert!(answer.contains("roles.ROLE.web"), "{answer}");
    }
    assert_eq!(house.requests_that_came_through(), passing.len());
}
