//! The daemon's one stream of a container, as the three that a command has.

use bollard::container::{AttachContainerResults, LogOutput};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
};

use crate::sandbox::running::{Input, Output};

/// How many bytes wait between the daemon and whoever reads, as many as in a pipe.
const BUFFER: usize = 64 << 10;

/// Gives input, output and complaints, and the task that ends when nothing more is printed.
pub(super) fn split(attached: AttachContainerResults) -> ((Input, Output, Output), JoinHandle<()>) {
    let (stdin, input) = duplex(BUFFER);
    let (stdout, out) = duplex(BUFFER);
    let (stderr, error) = duplex(BUFFER);
    let AttachContainerResults { output, input: to_daemon } = attached;
    tokio::spawn(feed(input, to_daemon));
    let flowing = tokio::spawn(part(output, out, error));
    ((Box::new(stdin), Box::new(stdout), Box::new(stderr)), flowing)
}

/// Carries the input, and its end.
async fn feed(mut from: DuplexStream, mut to: impl tokio::io::AsyncWrite + Unpin) {
    // The command may have ended without reading it all.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Parts what is printed. What nobody reads any more is thrown away.
async fn part(
    mut output: impl futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    out: DuplexStream,
    error: DuplexStream,
) {
    let (mut out, mut error) = (Some(out), Some(error));
    while let Some(Ok(printed)) = output.next().await {
        let (to, bytes) = match printed {
            LogOutput::StdErr { message } => (&mut error, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut out, message),
            LogOutput::StdIn { .. } => continue,
        };
        if let Some(stream) = to
            && stream.write_all(&bytes).await.is_err()
        {
            *to = None;
        }
    }
}
