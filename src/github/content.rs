//! Branches and files, for reading.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::client::Call;
use super::error::found;
use super::path::{segment, segments};
use super::{GitHubError, Repo};
use crate::model::{BranchName, Sha};

/// One file of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The id of its content, not of a commit.
    pub sha: Sha,
    /// Its content.
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct RefAnswer {
    object: ObjectAnswer,
}

#[derive(Deserialize)]
struct ObjectAnswer {
    sha: Sha,
}

#[derive(Deserialize)]
struct OneAnswer {
    #[serde(rename = "type")]
    kind: String,
    sha: Sha,
    #[serde(flatten)]
    blob: BlobAnswer,
}

#[derive(Deserialize)]
struct BlobAnswer {
    /// `none` where the file is over 1 MB.
    encoding: Option<String>,
    content: Option<String>,
}

impl Repo {
    /// The newest commit of a branch; none where there is no such branch, or no commit at all.
    ///
    /// It can lag behind a push by up to 40 s.
    ///
    /// # Errors
    /// None of its own.
    pub async fn branch_head(&self, branch: &BranchName) -> Result<Option<Sha>, GitHubError> {
        let rest = format!("/git/ref/heads/{}", segments(branch.as_str()));
        let read = self.read::<RefAnswer>(&Call::get(self.path(&rest))).await;
        match found(read) {
            // An empty repository.
            Err(GitHubError::Conflict { .. }) => Ok(None),
            head => Ok(head?.map(|head| head.object.sha)),
        }
    }

    /// A file of a branch; none where there is no such file, or a folder or submodule instead.
    ///
    /// # Errors
    /// `Unreadable` when its content is not what GitHub's answer announces.
    pub async fn file(&self, path: &str, at: &BranchName) -> Result<Option<File>, GitHubError> {
        let (path, at) = (segments(path), segment(at.as_str()));
        let call = Call::get(self.path(&format!("/contents/{path}?ref={at}")));
        let answer = found(self.read::<Value>(&call).await)?;
        // A folder is answered by a list.
        let Some(answer) = answer.filter(Value::is_object) else { return Ok(None) };
        let unreadable = |message: String| GitHubError::Unreadable { what: path.clone(), message };
        let one: OneAnswer =
            serde_json::from_value(answer).map_err(|error| unreadable(error.to_string()))?;
        if one.kind != "file" {
            return Ok(None);
        }
        let bytes = match decoded(&one.blob) {
            Some(bytes) => bytes,
            None => self.blob(&one.sha).await?,
        };
        Ok(Some(File { sha: one.sha, bytes }))
    }

    /// The content of a file too large for the route above, at most 100 MB.
    async fn blob(&self, sha: &Sha) -> Result<Vec<u8>, GitHubError> {
        let what = format!("/git/blobs/{sha}");
        let blob = self.read::<BlobAnswer>(&Call::get(self.path(&what))).await?;
        decoded(&blob).ok_or_else(|| GitHubError::Unreadable {
            what,
            message: "its content is not in base64".to_owned(),
        })
    }
}

/// Base64 with line breaks.
fn decoded(blob: &BlobAnswer) -> Option<Vec<u8>> {
    let content = blob.content.as_ref().filter(|_| blob.encoding.as_deref() == Some("base64"))?;
    STANDARD.decode(content.split_ascii_whitespace().collect::<String>()).ok()
}
