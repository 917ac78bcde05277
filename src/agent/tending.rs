//! Looks whether Baton's own tools answer, once for all agents that run here: their programs do not
//! notice by themselves, and go on without.
//!
//! The tools are asked on the way that agents take, by the gateway's socket. Whether the database behind
//! them answers is no question of theirs: without it, the lease of an agent's job runs out, and the agent
//! is ended by that.

use std::{fmt::Display, future::pending, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::model::TOOLS_PATH;

/// How long an answer may take; the machine can be slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many looks in vain, one after the other, are no accident.
const IN_VAIN: u32 = 3;

/// What is known of the tools: why they do not answer, if so.
pub(super) struct Tools(watch::Sender<Option<String>>);

impl Default for Tools {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Tools {
    /// What one agent hears of them.
    pub fn follow(&self) -> Hearing {
        Hearing(Some(self.0.subscribe()))
    }

    /// Takes in how a look went after so many in vain; how many those are now.
    fn found(&self, answer: Result<(), String>, in_vain: u32) -> u32 {
        let Err(why) = answer else {
            self.tell(None);
            return 0;
        };
        let in_vain = in_vain.saturating_add(1);
        tracing::warn!(%why, in_vain, "the tool server does not answer");
        if in_vain >= IN_VAIN {
            self.tell(Some(why));
        }
        in_vain
    }

    fn tell(&self, broken: Option<String>) {
        self.0.send_if_modified(|known| {
            let changes = *known != broken;
            *known = broken;
            changes
        });
    }

    fn are_broken(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// What an agent hears of its tools; nothing where it has none.
#[derive(Default)]
pub(super) struct Hearing(Option<watch::Receiver<Option<String>>>);

impl Hearing {
    /// Waits until the tools do not answer any more, and says why. Safe to give up and call again.
    pub async fn broken(&mut self) -> String {
        let Some(told) = &mut self.0 else { return pending().await };
        let why = told.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // Nobody looks any more.
            None => pending().await,
        }
    }
}

impl Runtime {
    /// Looks at an interval, while agents run, whether their tools answer, and ends those that have some
    /// when they did not three times in a row. Stops when it is told to.
    pub async fn tend_tools(&self, every: Duration, stop: CancellationToken) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_vain = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let matters = !self.in_use.is_empty() || self.tools_told.are_broken();
            in_vain = match matters {
                true => self.tools_told.found(look(&self.gateway).await, in_vain),
                false => 0,
            };
        }
    }
}

/// Asks the tool server for what it is known to refuse everybody, without a token and without the
/// database: a stream. Whoever answers so is there.
async fn look(socket: &Path) -> Result<(), String> {
    match timeout(PATIENCE, ask(socket)).await {
        Ok(Ok(StatusCode::METHOD_NOT_ALLOWED)) => Ok(()),
        Ok(Ok(other)) => Err(format!("something else answers in its place ({other})")),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}

async fn ask(socket: &Path) -> Result<StatusCode, String> {
    let connected = UnixStream::connect(socket).await;
    let stream = connected.map_err(said("the gateway's socket leads nowhere"))?;
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (mut requests, connection) = opened.map_err(said("the gateway does not answer"))?;
    let request = Request::get(TOOLS_PATH).header(HOST, "localhost").body(Empty::<Bytes>::new());
    let request = request.map_err(said("the request"))?;
    let asking = requests.send_request(request);
    let (answer, _) = tokio::join!(
        async {
            let answer = asking.await;
            drop(requests);
            answer
        },
        connection
    );
    Ok(answer.map_err(said("the gateway does not answer"))?.status())
}

fn said<E: Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::post};
    use tokio::net::UnixListener;

    use super::*;

    /// What is found behind a socket on which this is served.
    async fn behind(router: Router) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("gateway.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = async { axum::serve(listener, router).await };
        tokio::select! {
            found = look(&socket) => found,
            _ = serving => panic!("nobody is served any more"),
        }
    }

    #[tokio::test]
    async fn only_a_tool_server_is_taken_for_one() {
        let tools = Router::new().route(TOOLS_PATH, post(|| async {}));
        assert_eq!(behind(tools).await, Ok(()));
        let other = behind(Router::new()).await.unwrap_err();
        assert!(other.contains("something else answers in its place (404"), "{other}");
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_or_that_nobody_listens_at_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("gateway.sock");
        assert!(look(&socket).await.unwrap_err().contains("No such file"));
        drop(UnixListener::bind(&socket).unwrap());
        assert!(look(&socket).await.unwrap_err().contains("refused"));
    }

    #[test]
    fn only_the_third_silence_in_a_row_counts_and_an_answer_mends_it() {
        let (tools, silent) = (Tools::default(), || Err("it is gone".to_owned()));
        let twice = tools.found(silent(), tools.found(silent(), 0));
        assert!(!tools.are_broken());
        let again = tools.found(silent(), tools.found(silent(), tools.found(Ok(()), twice)));
        assert_eq!((again, tools.are_broken()), (2, false));
        assert_eq!(tools.found(silent(), again), 3);
        assert!(tools.are_broken());
        assert_eq!((tools.found(Ok(()), 3), tools.are_broken()), (0, false));
    }

    #[tokio::test]
    async fn who_has_tools_hears_when_they_break_and_also_when_they_are_broken_already() {
        let tools = Tools::default();
        let (mut early, broken) = (tools.follow(), || Some("it is gone".to_owned()));
        tools.tell(broken());
        assert!(tools.are_broken());
        assert_eq!(early.broken().await, "it is gone");
        assert_eq!(tools.follow().broken().await, "it is gone");
        tools.tell(None);
        let mut without = Hearing::default();
        let mut mended = tools.follow();
        tokio::select! {
            biased;
            _ = without.broken() => panic!("it has no tools"),
            _ = mended.broken() => panic!("they are there again"),
            () = std::future::ready(()) => {}
        }
    }
}
