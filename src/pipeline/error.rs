//! Why a job could not be done, by what the queue can do about it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    clock::Clock,
    db::DbError,
    github::GitHubError,
    queue::{Outcome, QueueError, backoff},
};

/// A job's failure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database did not do it: try again.
    #[error("database: {0}")]
    Database(#[from] DbError),
    /// GitHub did not do it.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// Another worker has the job now: nothing was written.
    #[error("the lease is lost")]
    LeaseLost,
    /// Something else moved meanwhile: look again at once.
    #[error("{0} changed meanwhile")]
    Changed(&'static str),
    /// Not now, for a reason that passes by itself.
    #[error("{reason}")]
    Later {
        /// Not sooner than after this time.
        after: Duration,
        /// What is waited for.
        reason: String,
    },
    /// Trying again cannot help.
    #[error("{0}")]
    Hopeless(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::LeaseLost(_) => Self::LeaseLost,
            QueueError::Database(error) => Self::Database(error.into()),
        }
    }
}

impl Failure {
    /// Whether trying again at once is useless.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::GitHub(error) => {
                !matches!(error, GitHubError::Retry { .. } | GitHubError::Paused { .. })
            }
            Self::Hopeless(_) => true,
            Self::Database(_) | Self::LeaseLost | Self::Changed(_) | Self::Later { .. } => false,
        }
    }

    /// What the queue does with the job.
    pub(super) fn outcome(self, clock: &Clock, attempts: u16) -> Outcome {
        let error = self.to_string();
        match self {
            Self::Database(_) => Outcome::Retry { after: None, error },
            // A short trouble costs seconds; an outage of hours uses up no job's attempts.
            Self::GitHub(GitHubError::Retry { after, .. }) => {
                Outcome::Retry { after: delta(after).max(Some(backoff(attempts))), error }
            }
            Self::GitHub(GitHubError::Paused { until }) => {
                Outcome::Retry { after: Some((until - clock.now()).max(TimeDelta::zero())), error }
            }
            // A person or the operator can mend these without Baton hearing of it.
            Self::GitHub(GitHubError::Unauthorized { .. } | GitHubError::Forbidden { .. }) => {
                Outcome::Retry { after: Some(TimeDelta::minutes(5)), error }
            }
            Self::GitHub(
                GitHubError::NotFound { .. }
                | GitHubError::Gone { .. }
                | GitHubError::Conflict { .. }
                | GitHubError::Refused { .. }
                | GitHubError::Settings { .. }
                | GitHubError::Unreadable { .. },
            )
            | Self::Hopeless(_) => Outcome::Fail { error },
            Self::LeaseLost => Outcome::Done,
            Self::Changed(_) => Outcome::Retry { after: Some(TimeDelta::zero()), error },
            Self::Later { after, .. } => Outcome::Retry { after: delta(after), error },
        }
    }
}

fn delta(after: Duration) -> Option<TimeDelta> {
    TimeDelta::from_std(after).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_an_hour_does_not_use_up_a_decisions_attempts() {
        let clock = Clock::system();
        let away = || {
            let message = "502".to_owned();
            Failure::GitHub(GitHubError::Retry { after: Duration::from_secs(5), message })
        };
        let waited: TimeDelta = (1..=25)
            .map(|attempt| match away().outcome(&clock, attempt) {
                Outcome::Retry { after: Some(after), .. } => after,
                other => panic!("{other:?}"),
            })
            .sum();
        assert!(waited > TimeDelta::hours(1), "{waited}");
        let first = away().outcome(&clock, 1);
        assert!(
            matches!(first, Outcome::Retry { after: Some(after), .. } if after <= TimeDelta::seconds(5))
        );
    }
}
