//! What a session took in, in its order, on disk: from that a later Baton makes the session anew.
//!
//! A session is what it heard and was told, and nothing else. So its journal is written before anything comes of
//! an entry: each line that is to be stored, sent or decided on can be had again. It lies in the workspace's
//! folder and goes with that; no sandbox shows it, and only Baton can read it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    life::Assignment,
    orders::{Said, Stream},
    supplies::Fitting,
};
use crate::{
    model::{CancelledBy, Footprint, Stop},
    sandbox::{Exit, Kept},
};

/// Which sessions can be gone on with: those of this version, in this form.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " 1");

/// The longest journal, in bytes; a session that takes in more is not gone on with.
const LONGEST: u64 = 256 << 20;

/// What a session began with.
#[derive(Serialize, Deserialize)]
pub(super) struct Beginning {
    version: String,
    /// Whom it is of.
    pub assignment: Assignment,
    /// What it builds with.
    pub fitting: Fitting,
}

/// The same, to be written.
#[derive(Serialize)]
struct Begun<'a> {
    version: &'a str,
    assignment: &'a Assignment,
    fitting: &'a Fitting,
}

/// Something that a session took in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// A process began; its reference.
    Began(String),
    /// It printed a line, with which so much of the stream was read.
    Line(Stream, u64, Vec<u8>),
    /// A further prompt.
    Said(String, Said),
    /// An order to end.
    Stopped(Stop, CancelledBy),
    /// The process was gone, having used so much.
    Gone(Exit, Footprint),
}

/// The entries that are rare, as they are written.
#[derive(Serialize, Deserialize)]
enum Rare {
    Began(String),
    Said(String, Said),
    Stopped(Stop, CancelledBy),
    Gone(Exit, Footprint),
}

/// A journal that is being written.
pub(super) struct Journal {
    /// None once it cannot be gone on with.
    file: Option<File>,
    path: PathBuf,
    bytes: u64,
}

/// The kinds of records.
const BEGINNING: u8 = b'B';
const RARE: u8 = b'R';
const OUT: u8 = b'O';
const ERROR: u8 = b'E';

impl Journal {
    /// Begins one in a workspace's folder.
    pub fn begin(folder: &Path, assignment: &Assignment, fitting: &Fitting) -> io::Result<Self> {
        let path = place(folder);
        let mut options = File::options();
        let file = options.create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        let mut journal = Self { file: Some(file), path, bytes: 0 };
        let begun = Begun { version: VERSION, assignment, fitting };
        journal.write(BEGINNING, &[&serde_json::to_vec(&begun)?])?;
        Ok(journal)
    }

    /// Reads what another Baton wrote, to go on with it; none where there is none, or one that this version
    /// cannot go on with.
    pub fn read(folder: &Path) -> Option<(Self, Beginning, Vec<Entry>)> {
        let path = place(folder);
        let bytes = fs::read(&path).ok()?;
        let mut records = Records { bytes: &bytes, at: 0 };
        let (kind, first) = records.next()?;
        let beginning: Beginning = (kind == BEGINNING).then(|| read(first))??;
        if beginning.version != VERSION {
            return None;
        }
        let mut entries = Vec::new();
        let mut whole = records.at;
        while let Some(entry) = records.next().and_then(|(kind, said)| entry(kind, said)) {
            entries.push(entry);
            whole = records.at;
        }
        // What comes after was being written when the other one was killed: nothing came of it.
        let file = File::options().append(true).open(&path).ok()?;
        file.set_len(whole as u64).ok()?;
        Some((Self { file: Some(file), path, bytes: whole as u64 }, beginning, entries))
    }

    /// Writes an entry down. Where that fails, or there are too many, the session goes on and nobody will go
    /// on with it.
    pub fn add(&mut self, entry: &Entry) {
        let written = match entry {
            Entry::Line(stream, upto, line) => {
                let kind = if *stream == Stream::Out { OUT } else { ERROR };
                self.write(kind, &[&upto.to_be_bytes(), line])
            }
            Entry::Began(reference) => self.rare(&Rare::Began(reference.clone())),
            Entry::Said(text, said) => self.rare(&Rare::Said(text.clone(), *said)),
            Entry::Stopped(stop, by) => self.rare(&Rare::Stopped(*stop, by.clone())),
            Entry::Gone(exit, footprint) => self.rare(&Rare::Gone(*exit, *footprint)),
        };
        if let Err(error) = written {
            tracing::warn!(journal = %self.path.display(), %error, "a session will not outlive this server");
            self.file = None;
            let _ = fs::remove_file(&self.path);
        }
    }

    fn rare(&mut self, entry: &Rare) -> io::Result<()> {
        let said = serde_json::to_vec(entry)?;
        self.write(RARE, &[&said])
    }

    fn write(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes += length as u64 + 5;
        if self.bytes > LONGEST {
            return Err(io::Error::other("its journal is full"));
        }
        let length = u32::try_from(length).map_err(io::Error::other)?;
        let head = [&[kind][..], &length.to_be_bytes()].concat();
        let record: Vec<u8> =
            [&head[..]].iter().chain(parts).flat_map(|part| *part).copied().collect();
        file.write_all(&record)
    }
}

/// Where the journal of a workspace is.
fn place(folder: &Path) -> PathBuf {
    folder.join("journal")
}

/// The records of a journal, up to the last whole one.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let mut head = self.bytes.get(self.at..self.at + 5)?;
        let (mut kind, mut length) = ([0], [0; 4]);
        head.read_exact(&mut kind).and_then(|()| head.read_exact(&mut length)).ok()?;
        let from = self.at + 5;
        let said = self.bytes.get(from..from + u32::from_be_bytes(length) as usize)?;
        self.at = from + said.len();
        Some((kind[0], said))
    }
}

fn entry(kind: u8, said: &[u8]) -> Option<Entry> {
    let line = |stream| {
        let (upto, line) = said.split_first_chunk()?;
        Some(Entry::Line(stream, u64::from_be_bytes(*upto), line.to_vec()))
    };
    match kind {
        OUT => line(Stream::Out),
        ERROR => line(Stream::Error),
        RARE => Some(match read(said)? {
            Rare::Began(reference) => Entry::Began(reference),
            Rare::Said(text, said) => Entry::Said(text, said),
            Rare::Stopped(stop, by) => Entry::Stopped(stop, by),
            Rare::Gone(exit, footprint) => Entry::Gone(exit, footprint),
        }),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(said: &[u8]) -> Option<T> {
    serde_json::from_slice(said).ok()
}

/// What a journal says of the newest process.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Newest {
    /// Its reference; none before the first.
    pub reference: Option<String>,
    /// Whether it is gone.
    pub gone: bool,
    /// How much of its outputs was taken in.
    pub kept: Kept,
    /// What those before it used.
    pub before: Footprint,
}

impl Newest {
    pub fn of(entries: &[Entry]) -> Self {
        let mut newest = Self::default();
        for entry in entries {
            match entry {
                Entry::Began(reference) => {
                    let before = newest.before;
                    newest = Self { reference: Some(reference.clone()), before, ..Self::default() };
                }
                Entry::Line(Stream::Out, upto, _) => newest.kept.out = *upto,
                Entry::Line(Stream::Error, upto, _) => newest.kept.err = *upto,
                Entry::Gone(_, footprint) => {
                    newest.gone = true;
                    newest.before = newest.before.and(*footprint);
                }
                Entry::Said(..) | Entry::Stopped(..) => {}
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{
        agent::{Patience, Rendered},
        model::{AgentId, RepositoryId, Role, SessionId, Sha},
        workspace::Identity,
    };

    fn assignment() -> Assignment {
        let second = std::time::Duration::from_secs(1);
        Assignment {
            agent: AgentId(7),
            role: Role::Reviewer,
            provider: "command".to_owned(),
            model: "claude-sonnet-4-5".to_owned(),
            session: SessionId(uuid::Uuid::from_u128(7)),
            resume: Some(b"earlier".to_vec()),
            rendered: Rendered {
                system: "You review.".to_owned(),
                prompt: "Look.".to_owned(),
                schema: serde_json::json!({"type": "object"}),
                tools: Vec::new(),
                baton: Vec::new(),
                minutes: 1,
                silence_minutes: 1,
                max_turns: 1,
                effort: None,
                without: Vec::new(),
                web: false,
                hash: String::new(),
            },
            repository: RepositoryId(2),
            base: Sha::new("ab".repeat(20)).unwrap(),
            supplies: None,
            token: "agent-token".into(),
            patience: Patience { total: second, silence: second, linger: second },
            identity: Identity { name: "b".to_owned(), email: "b@localhost".to_owned() },
            trailers: vec!["Task: 3".to_owned()],
            protected: Vec::new(),
            lines_before: Some(4),
        }
    }

    fn entries() -> Vec<Entry> {
        vec![
            Entry::Began("container:a".to_owned()),
            Entry::Line(Stream::Out, 5, b"\xff\n{}".to_vec()),
            Entry::Gone(Exit::Code(0), Footprint { cpu_ms: 3, ..Footprint::default() }),
            Entry::Began("container:b".to_owned()),
            Entry::Line(Stream::Out, 9, b"word".to_vec()),
            Entry::Said("go on".to_owned(), Said::Letter(4)),
            Entry::Line(Stream::Error, 2, Vec::new()),
            Entry::Stopped(Stop::Interrupt, CancelledBy::Shutdown),
        ]
    }

    fn written(folder: &Path) {
        let mut journal = Journal::begin(folder, &assignment(), &Fitting::default()).unwrap();
        entries().iter().for_each(|entry| journal.add(entry));
    }

    #[test]
    fn everything_is_read_back_and_written_on() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let (mut journal, beginning, read) = Journal::read(folder.path()).unwrap();
        assert_eq!(read, entries());
        let Assignment { resume, token, rendered, lines_before, .. } = beginning.assignment;
        assert_eq!(resume, Some(Vec::new()), "whether, and not what");
        assert_eq!(token.expose_secret(), "agent-token");
        assert_eq!((rendered, lines_before), (assignment().rendered, Some(4)));
        journal.add(&Entry::Gone(Exit::Signal(9), Footprint::default()));
        let (.., read) = Journal::read(folder.path()).unwrap();
        assert_eq!(read.len(), entries().len() + 1);
        let newest = Newest::of(&entries());
        assert_eq!(newest.reference.as_deref(), Some("container:b"));
        assert_eq!((newest.gone, newest.kept), (false, Kept { out: 9, err: 2 }));
        assert_eq!(newest.before.cpu_ms, 3);
    }

    #[test]
    fn what_was_being_written_at_a_death_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(folder.path());
        written(folder.path());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let (mut journal, _, read) = Journal::read(folder.path()).unwrap();
        assert_eq!(read, entries()[..7]);
        journal.add(&entries()[7]);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_journal_of_another_version_or_of_nobody_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::read(folder.path()).is_none());
        written(folder.path());
        let path = place(folder.path());
        let text = fs::read(&path).unwrap();
        let at = text.windows(VERSION.len()).position(|part| part == VERSION.as_bytes()).unwrap();
        let mut other = text.clone();
        other[at] = b'9';
        fs::write(&path, other).unwrap();
        assert!(Journal::read(folder.path()).is_none());
    }

    #[test]
    fn a_journal_that_is_full_is_none_and_the_session_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let (mut journal, ..) = Journal::read(folder.path()).unwrap();
        journal.bytes = LONGEST;
        journal.add(&entries()[1]);
        journal.add(&entries()[1]);
        assert!(Journal::read(folder.path()).is_none());
    }
}
