//! What effects change of the task itself.

use sqlx::PgConnection;

use super::Apply;
use crate::{
    db::{
        approvals,
        task_refs::{self, RefKind},
        tasks,
    },
    model::{InputHash, InvalidTransition, Sha, Task, TaskInput, TaskState},
    pipeline::Failure,
    workflow::NewTask,
};

impl Apply<'_> {
    pub(super) async fn open(
        &mut self,
        tx: &mut PgConnection,
        new: &NewTask,
    ) -> Result<(), Failure> {
        let repository = self.situation.repository.id;
        let policy = &self.policy;
        let row = tasks::NewTask {
            repository,
            origin: new.origin,
            number: new.number,
            input: new.input.clone(),
            input_hash: new.input_hash.clone(),
            policy: policy.clone(),
            requested_by: new.requested_by.clone(),
            pull: new.pull.clone(),
            now: self.now,
        };
        let id = tasks::open(&mut *tx, row).await?;
        self.task = Some(tasks::load(&mut *tx, id).await?.task);
        Ok(())
    }

    pub(super) fn task_state(&mut self, next: &TaskState) -> Result<(), Failure> {
        let ends = next.is_final() || matches!(next, TaskState::Parked(_));
        let task = self.task()?;
        let illegal = |error: InvalidTransition| Failure::Hopeless(error.to_string());
        task.state = task.state.clone().to(next.clone()).map_err(illegal)?;
        task.endings += u32::from(ends);
        Ok(())
    }

    pub(super) async fn pull(
        &mut self,
        tx: &mut PgConnection,
        number: u64,
        head: &Sha,
    ) -> Result<(), Failure> {
        let repository = self.event.repository;
        let task = self.task()?;
        task.pull = Some(number);
        task.head = Some(head.clone());
        let id = task.id;
        approvals::kill_pushes_but(&mut *tx, id, Some(head), self.now).await?;
        task_refs::insert(&mut *tx, repository, RefKind::Pull, &number.to_string(), id).await?;
        task_refs::insert(&mut *tx, repository, RefKind::Sha, head.as_str(), id).await?;
        Ok(())
    }

    /// Changes what is only a column.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Task)) -> Result<(), Failure> {
        self.task().map(change)
    }

    /// What the agents will be told; what was approved was another text.
    pub(super) async fn input(
        &mut self,
        tx: &mut PgConnection,
        input: &TaskInput,
        hash: &InputHash,
    ) -> Result<(), Failure> {
        let task = self.task()?;
        task.input = input.clone();
        task.input_hash = hash.clone();
        let id = task.id;
        approvals::kill_all(tx, id, self.now).await?;
        Ok(())
    }

    pub(super) fn outsider(&mut self, login: &str) -> Result<(), Failure> {
        let outsiders = &mut self.task()?.input.outsiders;
        if !outsiders.iter().any(|known| known == login) {
            outsiders.push(login.to_owned());
        }
        Ok(())
    }

    pub(super) async fn provider(
        &mut self,
        tx: &mut PgConnection,
        provider: &str,
    ) -> Result<(), Failure> {
        self.policy.play_by(provider, &self.situation.server.provider);
        let task = self.task()?.id;
        tasks::set_roles(tx, task, &self.policy.roles).await?;
        Ok(())
    }
}
