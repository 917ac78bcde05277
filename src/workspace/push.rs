//! Pushing from a mirror.

use secrecy::SecretString;

use super::{
    PushError, Workspaces,
    git::{Git, complaint},
    mirror::is_denied,
};
use crate::model::{BranchName, RepositoryId, Sha};

/// What to push where.
#[derive(Debug, Clone)]
pub struct Push {
    /// From whose mirror.
    pub repository: RepositoryId,
    /// To which remote.
    pub url: String,
    /// The commit; it has to be in the mirror.
    pub sha: Sha,
    /// The branch that is to be there.
    pub branch: BranchName,
    /// Where the remote's branch has to be now; `None`: it may not exist.
    pub expected: Option<Sha>,
}

/// A push after which the branch is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Whether it was there already, so that nothing was sent.
    pub already: bool,
}

impl Workspaces {
    /// Sets one branch of the remote, if it is where it is expected to be.
    ///
    /// Can be repeated: a branch that is at the commit already is a success.
    ///
    /// # Errors
    /// [`PushError::Moved`] when the branch is elsewhere, [`PushError::Refused`] with the remote's own
    /// words, and [`PushError::Transport`] for what may go better next time.
    pub async fn push(
        &self,
        push: &Push,
        token: Option<&SecretString>,
    ) -> Result<Pushed, PushError> {
        let mirror = self.mirror_folder(push.repository);
        let branch = format!("refs/heads/{}", push.branch);
        let expected = push.expected.as_ref().map_or("", Sha::as_str);
        let run = Git::new(&self.settings, &mirror, "push")
            .args(["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"])
            .args([format!("--force-with-lease={branch}:{expected}")])
            .args(["--", &push.url, &format!("{}:{branch}", push.sha)])
            .token(token);
        let broken = |what: String| PushError::Transport(what);
        let output = run.output(self.settings.remote_timeout).await;
        let output = output
            .map_err(|error| broken(error.to_string()))?
            .ok_or_else(|| broken("it did not finish in time".to_owned()))?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if let Some(answer) = answer(&stdout) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return answer.into_result(&stderr);
        }
        let complaint = complaint(output.status, &output.stderr);
        Err(if is_denied(&complaint) {
            PushError::Refused(complaint)
        } else {
            PushError::Transport(complaint)
        })
    }
}

/// What became of the one reference, as `git push --porcelain` prints it (git-push(1), OUTPUT).
#[derive(Debug, PartialEq, Eq)]
struct Answer<'a> {
    flag: char,
    summary: &'a str,
}

fn answer(stdout: &str) -> Option<Answer<'_>> {
    stdout.lines().find_map(|line| {
        let mut fields = line.split('\t');
        let flag = fields.next()?.chars().next()?;
        let (_, summary) = (fields.next().filter(|names| names.contains(':'))?, fields.next()?);
        Some(Answer { flag, summary })
    })
}

impl Answer<'_> {
    fn into_result(self, stderr: &str) -> Result<Pushed, PushError> {
        match self.flag {
            '=' => Ok(Pushed { already: true }),
            '!' if self.is_moved() => Err(PushError::Moved),
            '!' => Err(PushError::Refused(self.reason(stderr))),
            _ => Ok(Pushed { already: false }),
        }
    }

    /// Somebody else set the branch: seen before sending, or only by the remote while it wrote.
    fn is_moved(&self) -> bool {
        [
            "stale info",
            "fetch first",
            "non-fast-forward",
            "cannot lock ref",
            "reference already exists",
        ]
        .iter()
        .any(|reason| self.summary.contains(reason))
    }

    /// The reason in brackets, and what the remote's hooks said.
    fn reason(&self, stderr: &str) -> String {
        let said = stderr.lines().filter_map(|line| line.strip_prefix("remote:"));
        let said: Vec<_> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
        let mut reason = self.summary.to_owned();
        if !said.is_empty() {
            reason.push_str(": ");
            reason.push_str(&said.join("\n"));
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, stderr: &str) -> Result<Pushed, String> {
        let text = format!("To https://example.test/a\n{line}\nDone\n");
        answer(&text).unwrap().into_result(stderr).map_err(|error| error.to_string())
    }

    #[test]
    fn each_flag_of_the_porcelain_is_understood() {
        let names = "abc:refs/heads/x";
        assert_eq!(of(&format!("*\t{names}\t[new branch]"), ""), Ok(Pushed { already: false }));
        assert_eq!(of(&format!("=\t{names}\t[up to date]"), ""), Ok(Pushed { already: true }));
        assert_eq!(
            of(&format!("+\t{names}\ta...b (forced update)"), ""),
            Ok(Pushed { already: false })
        );
        let moved = of(&format!("!\t{names}\t[rejected] (stale info)"), "").unwrap_err();
        assert!(moved.contains("moved"), "{moved}");
        let refused = of(
            &format!("!\t{names}\t[remote rejected] (pre-receive hook declined)"),
            "remote: no workflows for you        \nerror: failed to push\n",
        );
        assert!(refused.unwrap_err().ends_with("declined): no workflows for you"));
        assert_eq!(answer("To x\nDone\n"), None);
    }
}
