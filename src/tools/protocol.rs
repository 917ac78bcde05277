//! The Model Context Protocol as `rmcp` serves it, each request by itself: who is here, what the caller
//! can call, and its calls. <https://modelcontextprotocol.io/specification>
//!
//! A server is made for each request and knows whose it is. Nothing is remembered between two, so that
//! a restart of Baton breaks no agent's connection.

use std::sync::Arc;

use axum::extract::Request;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;

use super::{Tools, call, catalogue};
use crate::db::agents::Caller;

/// The largest message that is read, in bytes: the largest call there is, with room for its escapes.
const LARGEST_BODY: usize = 256 << 10;

/// Serves one message of an agent's program.
pub(super) async fn serve(
    tools: Tools,
    caller: Caller,
    request: Request,
) -> axum::response::Response {
    let server = Server { tools, caller };
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, settings());
    service.handle(request).await.map(axum::body::Body::new)
}

/// Neither sessions nor streams: one message gets one JSON answer.
fn settings() -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LARGEST_BODY)
}

/// The tool server as one agent sees it.
#[derive(Clone)]
struct Server {
    tools: Tools,
    caller: Caller,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("baton", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = catalogue::list(self.caller.role, &self.caller.tools);
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(call.arguments.unwrap_or_default());
        Ok(call::answer(&self.tools, &self.caller, &call.name, arguments).await.into())
    }
}
