//! Carries a loopback port to a Unix socket of Baton's.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
    time::timeout,
};

/// Says that a socket could not be reached.
type Complain = fn(&Path, &io::Error);

/// Carries each connection to the socket until both sides have closed. A socket that nobody listens at is
/// waited for so long: the next Baton will. Given up, it lets go of all connections.
pub(in crate::sandbox) async fn carry(
    listener: TcpListener,
    socket: PathBuf,
    patience: Duration,
    complain: Complain,
) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if carried.len() < AT_ONCE => match accepted {
                Ok((outward, _)) => {
                    carried.spawn(carry_one(outward, socket.clone(), patience, complain));
                }
                // Out of descriptors: the next connection may find some again.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            _ = carried.join_next(), if !carried.is_empty() => {}
        }
    }
}

async fn carry_one(
    mut outward: TcpStream,
    socket: PathBuf,
    patience: Duration,
    complain: Complain,
) {
    match connect(&socket, patience).await {
        Ok(mut inward) => {
            let (from, to) = outward.split();
            let (back, there) = inward.split();
            tokio::join!(pass(from, there), pass(back, to));
        }
        Err(error) => complain(&socket, &error),
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

/// How many connections of one port are carried at the same time; further ones wait to be accepted.
const AT_ONCE: usize = 256;
/// Between two attempts to reach a socket.
const KNOCK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::UnixListener, task::JoinHandle};

    use super::*;

    /// A port that is carried to a socket of a test's.
    async fn carried(folder: &Path) -> (UnixListener, std::net::SocketAddr, JoinHandle<()>) {
        let path = folder.join("socket");
        let socket = UnixListener::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let carrying = tokio::spawn(carry(listener, path, Duration::ZERO, |_, _| ()));
        (socket, address, carrying)
    }

    #[tokio::test]
    async fn whoever_gives_up_carrying_lets_go_of_every_connection() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, address, carrying) = carried(folder.path()).await;
        let mut outward = TcpStream::connect(address).await.unwrap();
        let (mut inward, _) = socket.accept().await.unwrap();
        inward.write_all(b"half an answer").await.unwrap();
        let mut heard = [0; 14];
        outward.read_exact(&mut heard).await.unwrap();
        carrying.abort();
        assert!(carrying.await.unwrap_err().is_cancelled());
        // Not only an end of what is asked: nobody hears the rest of the answer.
        let told = inward.write_all(b"the rest").await.unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn what_is_more_than_a_port_carries_waits_until_another_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, address, carrying) = carried(folder.path()).await;
        let mut outward = Vec::new();
        let mut inward = Vec::new();
        for _ in 0..AT_ONCE {
            outward.push(TcpStream::connect(address).await.unwrap());
            inward.push(socket.accept().await.unwrap().0);
        }
        let _one_more = TcpStream::connect(address).await.unwrap();
        let knocked = tokio::select! {
            biased;
            () = turns() => false,
            _ = socket.accept() => true,
        };
        assert!(!knocked, "more are carried than may be");
        drop((outward.pop(), inward.pop()));
        socket.accept().await.unwrap();
        carrying.abort();
    }

    /// Lets everything run that can.
    async fn turns() {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
}
