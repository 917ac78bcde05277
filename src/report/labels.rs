//! The two labels of Baton's own: a person must act, or the task is parked.

use crate::model::{Desired, Situation, Task, TaskState};

/// Which of the two labels should be on the issue.
#[must_use]
pub fn labels(situation: &Situation, task: &Task) -> Desired {
    let waiting = format!("{}:waiting", situation.name);
    let parked = format!("{}:parked", situation.name);
    let (present, absent) = match &task.state {
        TaskState::Waiting(_) => (vec![waiting], vec![parked]),
        TaskState::Parked(_) => (vec![parked], vec![waiting]),
        TaskState::Open | TaskState::Done | TaskState::Cancelled { .. } => {
            (vec![], vec![waiting, parked])
        }
    };
    Desired::Labels { present, absent }
}
