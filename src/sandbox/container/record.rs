//! What is written down of a container that may outlive its Baton, for whoever looks for it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::sandbox::wire::Key;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The name of its line.
    pub name: String,
    /// What its bridge shows.
    pub key: Key,
    /// The code of its command, once all that it printed is kept.
    pub code: Option<i32>,
}

/// The records of a data folder. Only Baton can look into their folder: a key is a secret.
#[derive(Debug, Clone)]
pub(super) struct Records {
    folder: PathBuf,
    /// The folder of their lines.
    lines: PathBuf,
}

impl Records {
    pub(super) fn new(state: &Path, lines: PathBuf) -> io::Result<Self> {
        let folder = state.join("surviving");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder, lines })
    }

    /// Reads the record of a container; none where there is none.
    pub(super) fn read(&self, id: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.path(id)?).ok()?).ok()
    }

    /// Writes one down; it is gone when what is given back is dropped.
    pub(super) fn file(&self, id: &str, record: Record) -> io::Result<Filed> {
        self.write(id, &record)?;
        Ok(Filed { records: self.clone(), id: id.to_owned(), record })
    }

    /// Renamed into its place, so that it is there whole or not at all.
    fn write(&self, id: &str, record: &Record) -> io::Result<()> {
        let path = self.path(id).ok_or_else(|| io::Error::other("a strange id"))?;
        let new = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        serde_json::to_writer(file, record)?;
        fs::rename(new, path)
    }

    /// Takes away what is about containers that nobody will look for.
    pub(super) fn retain(&self, keep: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().filter(|id| !keep.contains(id)) else { continue };
            if let Some(record) = self.read(id) {
                self.forget(id, &record.name);
            }
        }
        Ok(())
    }

    /// Takes away what was written down of a container, and its line.
    pub(super) fn forget(&self, id: &str, line: &str) {
        if let Some(path) = self.path(id) {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_dir_all(self.lines.join(line));
    }

    /// Ids are hexadecimal digits; what is anything else is no file of this folder.
    fn path(&self, id: &str) -> Option<PathBuf> {
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then(|| self.folder.join(id))
    }
}

/// A record that is there as long as this is.
pub(super) struct Filed {
    records: Records,
    id: String,
    record: Record,
}

impl Filed {
    /// Notes how the command ended: from now on its container is not needed any more.
    pub(super) fn over(&self, code: i32) -> io::Result<()> {
        let record = Record { code: Some(code), ..self.record.clone() };
        self.records.write(&self.id, &record)
    }
}

impl Drop for Filed {
    fn drop(&mut self) {
        self.records.forget(&self.id, &self.record.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_until_it_is_dropped_and_tells_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path(), folder.path().join("lines")).unwrap();
        let record = Record { name: "n".to_owned(), key: [7; 32], code: None };
        let filed = records.file("abc", record.clone()).unwrap();
        assert_eq!(records.read("abc"), Some(record.clone()));
        filed.over(3).unwrap();
        assert_eq!(records.read("abc"), Some(Record { code: Some(3), ..record }));
        drop(filed);
        assert_eq!(records.read("abc"), None);
        assert_eq!(records.read("../abc"), None);
    }

    #[test]
    fn what_nobody_looks_for_is_taken_away_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let lines = folder.path().join("lines");
        let records = Records::new(folder.path(), lines.clone()).unwrap();
        for id in ["abc", "def"] {
            fs::create_dir_all(lines.join(id)).unwrap();
            let record = Record { name: id.to_owned(), key: [7; 32], code: None };
            records.write(id, &record).unwrap();
        }
        records.retain(&["def"]).unwrap();
        assert!(records.read("abc").is_none() && records.read("def").is_some());
        assert!(!lines.join("abc").exists() && lines.join("def").exists());
    }
}
