//! The gateway as a command in a sandbox finds it: no more of an exit than from beside it.

use std::{fs, os::unix::fs::PermissionsExt};

use baton::sandbox::{Gateway, Kind};
use serde_json::{Value, json};

use super::{Script, TOKEN, house, message};
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

/// Tries each way out from inside, and one request that is in order.
pub async fn only_model_calls_pass_from_within(sandbox: &House) {
    let house = house(Script::Stream).await;
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
    let refused = refused();
    let mut spec = shell(&script);
    spec.argv.push("bash".to_owned());
    spec.argv.extend(refused.iter().map(|(request, ..)| request.clone()));
    spec.argv.push(wire("POST", "/v1/messages", "token-of-nobody", &message()));
    spec.argv.push(wire("POST", "/v1/messages", TOKEN, &message()));
    let socket = house.gateway().socket().to_owned();
    spec.gateway = Some(Gateway { socket, port });
    let taken = sandbox.run(spec).await;
    let answers: Vec<&str> = text(&taken.stdout).lines().collect();
    assert_eq!(answers.len(), refused.len() + 2, "{taken:?}");
    for (answer, (request, status, word)) in answers.iter().zip(&refused) {
        let told = answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word);
        assert!(told, "{request}: {answer}");
    }
    let [.., nobody, in_order] = answers[..] else { unreachable!("they were counted") };
    assert!(nobody.starts_with("HTTP/1.1 401"), "{nobody}");
    assert!(in_order.starts_with("HTTP/1.1 200") && in_order.contains("\"hi\""), "{in_order}");
    assert_eq!(house.requests_that_came_through(), 1);
}
