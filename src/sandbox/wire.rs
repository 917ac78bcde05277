//! The words on the lifeline of a container that may outlive its Baton.
//!
//! The program's three streams run here, counted in bytes, so that a connection that broke can be taken up
//! again by another Baton: the bridge keeps what it prints until Baton says that it has it, and says how much
//! input it has. A word is its kind, the length of what follows in four bytes, and that.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of each output is kept for good, in bytes from its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Of standard output.
    pub out: u64,
    /// Of standard error.
    pub err: u64,
}

impl Kept {
    /// All that is ever printed.
    pub const ALL: Self = Self { out: u64::MAX, err: u64::MAX };
}

/// What a bridge shows, so that no process beside it can pass for it.
pub(super) type Key = [u8; 32];

/// The key of a bridge that was given none yet: nothing else runs in its container.
pub(super) const NO_KEY: Key = [0; 32];

/// The longest that one word carries, in bytes.
pub(super) const LONGEST: usize = 64 << 10;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The bridge's first: who it is, how many bytes of input it has, and from where on it has the outputs.
    Hello { key: Key, taken: u64, from: Kept },
    /// Baton's first: the key to show the next time, and from where on it wants the outputs.
    Welcome { key: Key, kept: Kept },
    /// More input.
    In(Vec<u8>),
    /// There is no more input.
    InEnd,
    /// Baton has so much for good.
    Have(Kept),
    /// Baton knows how it ended, and looks no more.
    Done,
    /// More output.
    Out(Vec<u8>),
    /// More complaints.
    Err(Vec<u8>),
    /// All was printed, and the command ended with this code.
    Exit(u8),
}

impl Word {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, said) = match self {
            Self::Hello { key, taken, from } => {
                (1, [&key[..], &taken.to_be_bytes(), &pair(*from)].concat())
            }
            Self::Welcome { key, kept } => (2, [&key[..], &pair(*kept)].concat()),
            Self::In(bytes) => (3, bytes.clone()),
            Self::InEnd => (4, Vec::new()),
            Self::Have(kept) => (5, pair(*kept).to_vec()),
            Self::Done => (6, Vec::new()),
            Self::Out(bytes) => (7, bytes.clone()),
            Self::Err(bytes) => (8, bytes.clone()),
            Self::Exit(code) => (9, vec![*code]),
        };
        let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
        [&[kind][..], &length.to_be_bytes(), &said].concat()
    }

    /// Reads one. Not to be given up half-way.
    ///
    /// # Errors
    /// At the end of the connection, and for what is no word.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await? as usize;
        if length > LONGEST {
            return Err(io::Error::other("a word is too long"));
        }
        let mut said = vec![0; length];
        from.read_exact(&mut said).await?;
        Self::of(kind, said).ok_or_else(|| io::Error::other("this is no word"))
    }

    fn of(kind: u8, said: Vec<u8>) -> Option<Self> {
        Some(match (kind, said.len()) {
            (1, 56) => {
                let (taken, from) = (number(&said, 32)?, kept(&said, 40)?);
                Self::Hello { key: key(&said)?, taken, from }
            }
            (2, 48) => Self::Welcome { key: key(&said)?, kept: kept(&said, 32)? },
            (3, _) => Self::In(said),
            (4, 0) => Self::InEnd,
            (5, 16) => Self::Have(kept(&said, 0)?),
            (6, 0) => Self::Done,
            (7, _) => Self::Out(said),
            (8, _) => Self::Err(said),
            (9, 1) => Self::Exit(said[0]),
            _ => return None,
        })
    }
}

fn pair(kept: Kept) -> [u8; 16] {
    (u128::from(kept.out) << 64 | u128::from(kept.err)).to_be_bytes()
}

fn key(said: &[u8]) -> Option<Key> {
    said.get(..32)?.try_into().ok()
}

fn kept(said: &[u8], at: usize) -> Option<Kept> {
    Some(Kept { out: number(said, at)?, err: number(said, at + 8)? })
}

fn number(said: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(said.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_word_is_read_back_as_it_was_sent() {
        let kept = Kept { out: 1 << 40, err: 7 };
        let words = [
            Word::Hello { key: [3; 32], taken: 9, from: kept },
            Word::Welcome { key: [4; 32], kept },
            Word::In(b"a\n".to_vec()),
            Word::InEnd,
            Word::Have(kept),
            Word::Done,
            Word::Out(vec![0xFF; LONGEST]),
            Word::Err(Vec::new()),
            Word::Exit(137),
        ];
        let bytes: Vec<u8> = words.iter().flat_map(Word::to_bytes).collect();
        let mut from = &bytes[..];
        for word in words {
            assert_eq!(Word::read(&mut from).await.unwrap(), word);
        }
        assert!(from.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_word_is_refused() {
        for bad in
            [&[0, 0, 0, 0, 0][..], &[9, 0, 0, 0, 0], &[7, 0xFF, 0, 0, 0], &[1, 0, 0, 0, 1, 5]]
        {
            assert!(Word::read(&mut &bad[..]).await.is_err(), "{bad:?} was taken");
        }
    }
}
