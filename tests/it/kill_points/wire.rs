//! Stands between Baton and Postgres and sees every commit, as the wire protocol shows it.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use super::killer::Killer;

/// What Postgres calls its socket.
const SOCKET: &str = ".s.PGSQL.5432";
/// No commit is on its way.
const NONE: u64 = u64::MAX;

/// A listening stand-in; dropped, it takes no more connections.
pub struct Wire {
    folder: PathBuf,
    accepting: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Wire {
    /// Listens in a folder for the server whose socket is in another.
    pub fn listen(folder: PathBuf, server: &Path, killer: Arc<Killer>) -> Self {
        fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        let server = server.join(SOCKET);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server.clone(), Arc::clone(&killer)));
            }
        });
        Self { folder, accepting }
    }

    /// The address of a database behind it.
    pub fn url(&self, user: &str, database: &str) -> String {
        let folder = self.folder.display();
        format!("postgres://{user}@localhost/{database}?host={folder}&sslmode=disable")
    }
}

/// What is known of one connection.
struct Connection {
    killer: Arc<Killer>,
    /// Whether the open transaction wrote something: committing nothing is no moment.
    wrote: AtomicBool,
    /// The number of the commit that is on its way.
    committing: AtomicU64,
}

/// Passes messages on until either side ends, which ends both.
async fn relay(client: UnixStream, server: PathBuf, killer: Arc<Killer>) {
    let Ok(server) = UnixStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (wrote, committing) = (AtomicBool::new(false), AtomicU64::new(NONE));
    let connection = Connection { killer, wrote, committing };
    // A side that broke is one that ended.
    let _ = tokio::select! {
        ended = connection.forth(from_client, to_server) => ended,
        ended = connection.back(from_server, to_client) => ended,
    };
}

impl Connection {
    async fn forth(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut from = BufReader::new(from);
        // The startup message alone has no type.
        let mut message = Vec::new();
        read_body(&mut from, &mut message).await?;
        to.write_all(&message).await?;
        loop {
            let kind = read(&mut from, &mut message).await?;
            let text = String::from_utf8_lossy(&message[5..]);
            // A simple query, or the naming of a prepared one.
            let is_commit = match kind {
                b'Q' => text.starts_with("COMMIT"),
                b'P' => text.split('\0').nth(1).is_some_and(|query| query.starts_with("COMMIT")),
                _ => false,
            };
            if is_commit && self.wrote.load(Ordering::SeqCst) {
                let Some(number) = self.killer.commits() else { return Ok(()) };
                self.committing.store(number, Ordering::SeqCst);
            }
            to.write_all(&message).await?;
        }
    }

    async fn back(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        loop {
            if read(&mut from, &mut message).await? == b'C' {
                let tag = String::from_utf8_lossy(&message[5..]);
                let tag = tag.trim_end_matches('\0');
                match tag.split(' ').next() {
                    Some("INSERT" | "UPDATE" | "DELETE") if !tag.ends_with(" 0") => {
                        self.wrote.store(true, Ordering::SeqCst);
                    }
                    Some("BEGIN" | "ROLLBACK") => self.wrote.store(false, Ordering::SeqCst),
                    Some("COMMIT") => {
                        self.wrote.store(false, Ordering::SeqCst);
                        let number = self.committing.swap(NONE, Ordering::SeqCst);
                        if number != NONE && !self.killer.committed(number) {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
            to.write_all(&message).await?;
        }
    }
}

/// Reads one message whole, with its head of five bytes; gives its type.
async fn read(from: &mut BufReader<OwnedReadHalf>, message: &mut Vec<u8>) -> io::Result<u8> {
    let kind = from.read_u8().await?;
    read_body(from, message).await?;
    message.insert(0, kind);
    Ok(kind)
}

/// Reads a length and that many bytes, the length's own included.
async fn read_body(from: &mut BufReader<OwnedReadHalf>, message: &mut Vec<u8>) -> io::Result<()> {
    let length = from.read_u32().await?;
    message.clear();
    message.extend(length.to_be_bytes());
    message.resize(usize::try_from(length).unwrap().max(4), 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(())
}
