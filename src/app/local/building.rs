//! What agents build with: as the repository's own policy says, at the commit that they work on.

use anyhow::{Context, bail};

use super::{Local, REPOSITORY};
use crate::{
    agent::{Errand, Ground, Reach, Runtime, Stock, Supplies, Wires},
    model::{Limits, Policy, Role, RunState, Sha},
    workflow::policy,
    workspace::{Found, WorkspaceKey},
};

/// Where policy is, as on GitHub.
const POLICY: &str = ".github/baton.yml";
/// The longest policy file, in bytes.
const LONGEST: usize = 256 << 10;
/// The repository's policy at a commit; the usual one where it has none.
pub(super) async fn policy_at(runtime: &Runtime, head: &Sha) -> anyhow::Result<Policy> {
    let at = head.clone();
    let reading =
        runtime.workspaces.read(REPOSITORY, move |mirror| mirror.file(&at, POLICY, LONGEST));
    let Some(bytes) = reading.await? else { return Ok(Policy::default()) };
    policy::parse(&String::from_utf8_lossy(&bytes)).context(POLICY)
}

impl Local {
    /// The commands of the set-up that has to be run; none where policy names none, where an earlier command ran
    /// the same, or on the bare machine, where agents build with what is there.
    ///
    /// # Errors
    /// When the folder of what set-ups brought cannot be read.
    pub fn set_up_commands(&self) -> anyhow::Result<&[String]> {
        let Some(ground) = &self.ground else { return Ok(&[]) };
        let is_there = self.runtime.workspaces.layer(REPOSITORY, &ground.key)?.is_some();
        Ok(if is_there { &[] } else { &ground.commands })
    }

    /// Runs the set-up. What it brings serves every request, and those of later commands as long as the lock files
    /// and the commands are the same.
    ///
    /// # Errors
    /// When a command of it fails: the text has the end of what it printed.
    pub async fn set_up(&self, wires: Wires) -> anyhow::Result<()> {
        let Some(ground) = self.ground.clone().filter(Ground::has_set_up) else { return Ok(()) };
        let (workspaces, kept) = (&self.runtime.workspaces, ground.kept.len());
        let making = match workspaces.layer_or_making(REPOSITORY, &ground.key, kept).await? {
            Found::Layer(_) => return Ok(()),
            Found::Making(making) => making,
        };
        let notes = self.runtime.notes_on(&ground).await;
        let key = WorkspaceKey::new("set-up").expect("letters and a hyphen are a key");
        let mut errand = Errand::set_up(key, REPOSITORY, ground, making);
        let ended = self.runtime.run_commands(&errand, wires).await;
        check(ended, &notes)?;
        if let Some(Supplies { stock: Stock::Making(making), .. }) = errand.supplies.take() {
            tokio::task::spawn_blocking(move || making.finish()).await??;
        }
        Ok(())
    }

    /// What an agent of a role is given.
    pub(super) fn supplies(&self, role: Role) -> anyhow::Result<Option<Supplies>> {
        let Some(ground) = self.ground.clone() else { return Ok(None) };
        let layer = self.runtime.workspaces.layer(REPOSITORY, &ground.key)?;
        let (stock, reach) = match (layer, role.writes(), ground.agents_fetch) {
            (Some(layer), false, _) => (Stock::Shown(layer), Reach::Other),
            (None, false, _) => return Ok(None),
            (layer, true, fetch) => (
                layer.map_or(Stock::Empty, Stock::Copied),
                if fetch { Reach::Named } else { Reach::Nothing },
            ),
        };
        Ok(Some(Supplies { ground, stock, reach }))
    }
}

/// What the repository needs to be built, if policy says anything of it.
pub(super) async fn ground(
    runtime: &Runtime,
    head: &Sha,
    policy: &Policy,
    limits: &Limits,
) -> anyhow::Result<Option<Ground>> {
    if policy.build.is_empty() {
        return Ok(None);
    }
    let ground = runtime.ground(REPOSITORY, head, &policy.build, &limits.egress).await?;
    match runtime.missing_for(&ground) {
        Some(missing) => bail!("{missing}; or set up nothing: begin with --bare"),
        None => Ok(Some(ground)),
    }
}

/// Fails where a set-up did not pass, with what is known of why.
fn check(ended: RunState, notes: &[String]) -> anyhow::Result<()> {
    match ended {
        RunState::Ended { passed: true, .. } => Ok(()),
        RunState::Ended { results, .. } => {
            let Some(last) = results.last() else { bail!("the set-up has no commands") };
            let notes: String = notes.iter().map(|note| format!("\n{note}")).collect();
            let printed = last.output.0.trim_end();
            bail!("the set-up's command {:?} failed:\n{printed}{notes}", last.command)
        }
        RunState::Broken { reason } => bail!("the set-up broke off: {reason}"),
        RunState::Pending => bail!("the set-up did not end"),
    }
}
