//! Lets `workspace` run git on what an agent wrote: in the sandbox, never beside it.

use std::{io, sync::Arc};

use crate::{
    sandbox::{HOME, Mount, Network, Overlay, Running, Sandbox, Spec},
    workspace::{self, BoxFuture, Stream, Workspace},
};

use super::toolchains::SEARCH_PATH;

/// How much of a command's complaints is kept, in bytes.
const COMPLAINT: u64 = 4096;

/// Runs commands of `workspace` in a sandbox.
pub(super) struct Inside(pub Arc<dyn Sandbox>);

impl workspace::Inside for Inside {
    fn run(&self, workspace: &Workspace, argv: Vec<String>) -> BoxFuture<'_, io::Result<Stream>> {
        let mut spec = Spec::new(argv);
        spec.env = [("PATH", SEARCH_PATH), ("HOME", HOME)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        spec.workdir = workspace.tree.clone();
        spec.mounts = workspace.mounts().into_iter().map(mount).collect();
        spec.overlays = overlays(workspace);
        spec.network = Network::None;
        Box::pin(async move {
            let mut running = self.0.start(spec).await.map_err(io::Error::other)?;
            drop(running.stdin.take());
            let stdout =
                running.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
            Ok(Stream { stdout, ended: Box::pin(end(running)) })
        })
    }
}

/// Waits for the end; what it complained of is why it failed.
async fn end(mut running: Running) -> Result<(), String> {
    use tokio::io::AsyncReadExt;
    let mut complaint = Vec::new();
    if let Some(stderr) = running.stderr.take() {
        let mut stderr = stderr.take(COMPLAINT);
        // A stream that breaks ends there: the exit says what happened.
        let _ = stderr.read_to_end(&mut complaint).await;
        let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
    }
    if running.wait().await.is_success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&complaint).trim().to_owned())
}

/// A workspace's mount as the sandbox takes it.
pub(super) fn mount(mount: workspace::Mount) -> Mount {
    Mount { host: mount.host, inside: mount.inside, writable: mount.writable }
}

/// What a workspace's sandbox has to lay over what.
pub(super) fn overlays(workspace: &Workspace) -> Vec<Overlay> {
    let laid = workspace.overlay.clone().into_iter();
    laid.map(|workspace::Overlay { lower, upper, work, at }| Overlay { lower, upper, work, at })
        .collect()
}
