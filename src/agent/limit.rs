//! What a limit makes of an agent's end: one that the gateway stopped it at, and one that its program tells of.

use super::runtime::QuotaBack;
use crate::{
    model::{AgentId, End, FailKind, Limited},
    provider::{ModelRefusal, RefusalKind},
};

/// Says which limit an agent met last at the gateway, if no request of its was answered since.
pub type LimitOf = dyn Fn(AgentId) -> Option<Limited> + Send + Sync;

/// The end as the gateway knows it, and the limit that made it so. What the agent's program says of a
/// refused request differs from program to program; the gateway knows why it refused.
pub(super) fn end_at(end: End, limited: Option<Limited>) -> (End, Option<Limited>) {
    let stopped = match &end {
        End::Failed(_) | End::TimedOut(_) | End::OutOfBudget | End::OutOfQuota { .. } => limited,
        End::Succeeded | End::Asked(_) | End::Cancelled(_) | End::Lost => None,
    };
    let end = match &stopped {
        None => end,
        Some(Limited::Budget { .. }) => End::OutOfBudget,
        Some(Limited::Quota { until, .. }) => End::OutOfQuota { until: *until },
        Some(Limited::Requests { most }) => {
            let words = format!("this agent made all {most} requests that one agent may make");
            End::Failed(FailKind::Model(words))
        }
        Some(Limited::Model { model }) => {
            let words = format!("the model {model:?} is none that this role may ask");
            End::Failed(FailKind::Model(words))
        }
    };
    (end, stopped)
}

/// Tells apart what waiting or money could mend.
pub(super) fn end_of(refusal: Option<ModelRefusal>, kind: FailKind, quota_back: &QuotaBack) -> End {
    match refusal.map(|refusal| (refusal.kind, refusal.retry_at)) {
        Some((RefusalKind::Budget, _)) => End::OutOfBudget,
        Some((RefusalKind::Quota, until)) => {
            End::OutOfQuota { until: until.unwrap_or_else(quota_back) }
        }
        Some(_) | None => End::Failed(kind),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;
    use crate::model::{BudgetScope, CancelledBy, Micros, Shortage, Timestamp, Watchdog};

    fn budget() -> Option<Limited> {
        let scope = BudgetScope::Task;
        Some(Limited::Budget { scope, left: Micros(1), needs: Micros(2) })
    }

    #[test]
    fn whatever_a_program_says_the_limit_it_met_is_why_it_ended() {
        let failed = || End::Failed(FailKind::Provider("Error 403".to_owned()));
        assert_eq!(end_at(failed(), budget()), (End::OutOfBudget, budget()));
        let until: Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
        let quota = Some(Limited::Quota { until, shortage: Shortage::Overloaded });
        for end in [failed(), End::TimedOut(Watchdog::Silence)] {
            assert_eq!(end_at(end, quota.clone()), (End::OutOfQuota { until }, quota.clone()));
        }
        let (end, _) = end_at(failed(), Some(Limited::Requests { most: 9 }));
        assert!(matches!(end, End::Failed(FailKind::Model(words)) if words.contains("all 9")));
        assert_eq!(end_at(failed(), None), (failed(), None));
    }

    #[test]
    fn who_succeeded_or_was_stopped_met_no_limit_that_counts() {
        for end in [End::Succeeded, End::Cancelled(CancelledBy::Operator), End::Lost] {
            assert_eq!(end_at(end.clone(), budget()), (end, None));
        }
    }

    #[test]
    fn no_more_quota_is_a_time_to_wait_for_also_where_the_program_names_none() {
        let noon = Utc.with_ymd_and_hms(2026, 3, 4, 12, 0, 0).unwrap();
        let refusal = |kind, retry_at| Some(ModelRefusal { kind, status: Some(429), retry_at });
        let end = |refusal| end_of(refusal, FailKind::Model("429".to_owned()), &move || noon);
        let until = noon;
        assert_eq!(end(refusal(RefusalKind::Quota, None)), End::OutOfQuota { until });
        let until = noon + chrono::TimeDelta::hours(1);
        assert_eq!(end(refusal(RefusalKind::Quota, Some(until))), End::OutOfQuota { until });
        assert_eq!(end(refusal(RefusalKind::Budget, None)), End::OutOfBudget);
        assert_eq!(end(None), End::Failed(FailKind::Model("429".to_owned())));
    }
}
