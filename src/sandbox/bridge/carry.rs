//! Carries a loopback port to a Unix socket of Baton's.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    time::timeout,
};

/// Carries each connection to the socket until both sides have closed. A socket that nobody listens at is
/// waited for so long: the next Baton will.
pub(super) async fn carry(listener: TcpListener, socket: PathBuf, patience: Duration) {
    loop {
        // Out of descriptors: the next connection may find some again.
        let Ok((mut outward, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let socket = socket.clone();
        tokio::spawn(async move {
            match connect(&socket, patience).await {
                Ok(mut inward) => {
                    let (from, to) = outward.split();
                    let (back, there) = inward.split();
                    tokio::join!(pass(from, there), pass(back, to));
                }
                Err(error) => {
                    // Whoever read that may be gone.
                    let socket = socket.display();
                    let _ = writeln!(io::stderr(), "baton bridge: reach {socket}: {error}");
                }
            }
        });
    }
}

/// Carries one direction to its end. What the other side takes no more is read and thrown away: a server that
/// refuses a request before it has read it all shall be heard, and not reset.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
}

/// Connects, as soon as somebody listens.
async fn connect(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let first = UnixStream::connect(socket).await;
    let Err(error) = first else { return first };
    let trying = async {
        loop {
            tokio::time::sleep(KNOCK).await;
            if let Ok(connected) = UnixStream::connect(socket).await {
                return connected;
            }
        }
    };
    timeout(patience, trying).await.map_err(|_| error)
}

/// Between two attempts to reach a socket.
const KNOCK: Duration = Duration::from_millis(100);
