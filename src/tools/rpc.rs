//! The messages of the Model Context Protocol that are understood here: JSON-RPC 2.0, and four methods.
//! <https://modelcontextprotocol.io/specification/2025-06-18>

use serde::Deserialize;
use serde_json::{Value, json};

/// Versions of the protocol whose tools are called alike, newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

/// One message, read.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    /// What the answer is called; none for a notification.
    pub id: Option<Value>,
    /// What is asked.
    pub method: String,
    /// With what.
    #[serde(default)]
    pub params: Value,
}

/// What can be asked.
#[derive(Debug, PartialEq)]
pub(super) enum Method {
    /// To be introduced, in this version of the protocol.
    Initialize { version: &'static str },
    /// Whether somebody is there.
    Ping,
    /// What can be called.
    ListTools,
    /// To call it.
    CallTool { name: String, arguments: Value },
}

/// Why a message gets no result, with JSON-RPC's number for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RpcError {
    #[error("the body is no JSON")]
    Unreadable,
    #[error("the body is not one message with a method")]
    Invalid,
    #[error("there is no method {0:?} here")]
    NoMethod(String),
    #[error("tools/call takes a name and arguments")]
    Parameters,
}

impl RpcError {
    fn code(&self) -> i32 {
        match self {
            Self::Unreadable => -32700,
            Self::Invalid => -32600,
            Self::NoMethod(_) => -32601,
            Self::Parameters => -32602,
        }
    }

    /// The answer that says so.
    pub fn answer(&self, id: &Value) -> Value {
        let error = json!({ "code": self.code(), "message": self.to_string() });
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

/// Reads a body that holds one message.
pub(super) fn read(body: &[u8]) -> Result<Message, RpcError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| RpcError::Unreadable)?;
    serde_json::from_value(value).map_err(|_| RpcError::Invalid)
}

/// Reads what a message asks.
pub(super) fn method(name: &str, params: &Value) -> Result<Method, RpcError> {
    match name {
        "initialize" => Ok(Method::Initialize { version: version(params) }),
        "ping" => Ok(Method::Ping),
        "tools/list" => Ok(Method::ListTools),
        "tools/call" => {
            let name = params["name"].as_str().ok_or(RpcError::Parameters)?;
            let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
            Ok(Method::CallTool { name: name.to_owned(), arguments })
        }
        other => Err(RpcError::NoMethod(other.chars().take(80).collect())),
    }
}

/// The version that the client speaks, where it is known here; else the newest.
fn version(params: &Value) -> &'static str {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(VERSIONS[0])
}

/// Who is here and what it can do.
pub(super) fn introduction(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "baton", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// The answer that went well.
pub(super) fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_known_is_spoken_and_any_other_gets_the_newest() {
        let asked = |version: &str| method("initialize", &json!({ "protocolVersion": version }));
        assert_eq!(asked("2025-03-26"), Ok(Method::Initialize { version: "2025-03-26" }));
        assert_eq!(asked("2099-01-01"), Ok(Method::Initialize { version: VERSIONS[0] }));
    }

    #[test]
    fn what_is_no_message_is_refused_by_its_number() {
        assert_eq!(read(b"{").map(|_| ()).unwrap_err().code(), -32700);
        let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
        assert_eq!(read(batch).map(|_| ()).unwrap_err().code(), -32600);
        assert_eq!(method("resources/list", &Value::Null).unwrap_err().code(), -32601);
        assert_eq!(method("tools/call", &json!({})).unwrap_err().code(), -32602);
    }
}
