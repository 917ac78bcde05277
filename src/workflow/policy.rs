//! Policy: `.github/baton.yml`, read strictly, so that a mistake is told and never guessed around.
//!
//! Pure. The pipeline reads the file from the default branch, and keeps the last good version where
//! [`parse`] finds a mistake. `docs/baton.schema.json` says the same to editors.

mod keys;
mod mistake;
mod roles;

pub use mistake::PolicyMistake;

use crate::model::{
    ActorId, AfterQuota, BuildPolicy, DeployPolicy, Limits, MergePolicy, Policy, PushPolicy,
    Restarts, Role, Until,
};
use keys::{Again, Build, File, ForkName, OneOrMore, Push, Pushing, Version};

/// A longer file is nobody's writing: 64 KiB.
const MOST_BYTES: usize = 64 * 1024;

/// The YAML reader's time grows with the square of the depth of `[` and `{` (16,000 take seconds),
/// before any key is looked at.
const MOST_BRACKETS: usize = 1000;

/// Reads the text of a `.github/baton.yml` and fills in the defaults.
///
/// # Errors
/// At the first mistake, with its place: what is no YAML, an unknown key (with the nearest one), a
/// value that is not allowed there, or a file over 64 KiB.
pub fn parse(text: &str) -> Result<Policy, PolicyMistake> {
    if text.len() > MOST_BYTES {
        return Err(PolicyMistake::of_file("the file is longer than 64 KiB"));
    }
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MOST_BRACKETS {
        return Err(PolicyMistake::of_file("the file has more than 1,000 opening brackets"));
    }
    let file: File =
        serde_yaml_ng::from_str(text).map_err(|error| PolicyMistake::of(&error, text))?;
    if file.until == Some(Until::Deploy) && file.deploy.is_none() {
        let message = "`until: deploy` needs `deploy:` with an environment and commands";
        return Err(PolicyMistake::at_key(text, "until", message));
    }
    pushing(&file).map_err(|(key, message)| PolicyMistake::at_key(text, key, message))?;
    let other_provider = file.review.as_ref().is_some_and(|review| review.other_provider);
    let policy = filled(file);
    if other_provider && !reviewed_by_another(&policy) {
        let message = "`other_provider: true` needs `roles.coding.provider` and \
                       `roles.reviewer.provider`, and no role that writes may have the reviewer's";
        return Err(PolicyMistake::at_key(text, "review", message));
    }
    if let Some(message) = roles::mistake(&policy.roles) {
        return Err(PolicyMistake::at_key(text, "roles", &message));
    }
    Ok(policy)
}

/// `push: fork` and `fork` belong together; gives the key that is alone, and what is to be written.
fn pushing(file: &File) -> Result<(), (&'static str, &'static str)> {
    match (&file.push, &file.fork) {
        (Some(Push(Pushing::Fork)), None) => {
            Err(("push", "`push: fork` needs `fork: OWNER/NAME`, the fork that Baton pushes to"))
        }
        (Some(Push(Pushing::AtOnce | Pushing::AfterApproval)) | None, Some(_)) => {
            Err(("fork", "`fork` needs `push: fork`: otherwise nothing is pushed there"))
        }
        (Some(Push(Pushing::Fork)), Some(_)) | (_, None) => Ok(()),
    }
}

/// Whether the reviewer's provider surely differs from that of every author, whatever the server's default is.
fn reviewed_by_another(policy: &Policy) -> bool {
    let Some(reviewer) = policy.provider_of(Role::Reviewer) else { return false };
    let mut authors = Role::ALL.into_iter().filter(|role| role.writes());
    authors.all(|role| policy.provider_of(role).is_some_and(|author| author != reviewer))
}

/// Lowers a policy to what the server allows.
#[must_use]
pub fn within(mut policy: Policy, limits: &Limits) -> Policy {
    policy.budget = policy.budget.min(limits.task);
    if limits.after_quota == AfterQuota::Person {
        policy.after_quota = AfterQuota::Person;
    }
    policy
}

fn filled(file: File) -> Policy {
    let File {
        version: Version(()),
        until,
        approve,
        merge,
        setup,
        environment,
        test,
        push,
        fork,
        deploy,
        verify,
        protected,
        roles,
        review: _,
        budget,
        max_rounds,
        agents,
        bots,
        resume_after_quota,
        audit,
        restarts,
    } = file;
    let default = Policy::default();
    let shell = |given: OneOrMore| given.0.into_iter().map(|command| command.0).collect();
    let list = |given: Option<OneOrMore>| given.map(shell).unwrap_or_default();
    let mut all_protected = default.protected;
    all_protected.extend(protected.unwrap_or_default().0.into_iter().map(|glob| glob.0));
    Policy {
        until: until.unwrap_or(default.until),
        approve_plan: approve.map_or(default.approve_plan, |approve| approve.0),
        merge: merge.map_or(default.merge, |_| MergePolicy::Person),
        test: list(test),
        push: push.and_then(|push| filled_push(&push, fork)),
        build: build(list(setup), environment),
        deploy: deploy.map(|deploy| DeployPolicy {
            environment: deploy.environment.0,
            commands: shell(deploy.commands),
        }),
        verify: list(verify),
        protected: all_protected,
        roles: roles.unwrap_or_default().named().collect(),
        budget: budget.map_or(default.budget, |budget| budget.0),
        max_rounds: max_rounds.map_or(default.max_rounds, |rounds| rounds.0),
        agents: agents.map(|agents| agents.0),
        bots: bots.unwrap_or_default().0.into_iter().map(|bot| ActorId(bot.0)).collect(),
        after_quota: resume_after_quota.map_or(default.after_quota, |resuming| resuming.0),
        agent_audits: audit.is_some_and(|audit| audit.0),
        restarts: again(restarts),
    }
}

fn filled_push(push: &Push, fork: Option<ForkName>) -> Option<PushPolicy> {
    match push.0 {
        Pushing::AtOnce => Some(PushPolicy::AtOnce),
        Pushing::AfterApproval => Some(PushPolicy::AfterApproval),
        Pushing::Fork => fork.map(|fork| PushPolicy::Fork(fork.0)),
    }
}

fn again(written: Option<Again>) -> Restarts {
    let Some(Again { times, after }) = written else { return Restarts::default() };
    let default = Restarts::default();
    let after = after.map(|list| list.0.into_iter().map(|after| after.0).collect());
    Restarts {
        times: times.map_or(default.times, |times| times.0),
        after: after.unwrap_or(default.after),
    }
}

fn build(setup: Vec<String>, environment: Option<Build>) -> BuildPolicy {
    let named = environment.is_some();
    let Build { image, presets, hosts, keep, agents } = environment.unwrap_or_default();
    BuildPolicy {
        setup,
        named,
        image: image.map(|image| image.0),
        presets: presets.map(|list| list.0.into_iter().map(|preset| preset.0).collect()),
        hosts: hosts.unwrap_or_default().0.into_iter().map(|host| host.0).collect(),
        keep: keep.unwrap_or_default().0.into_iter().map(|folder| folder.0).collect(),
        agents_fetch: agents.is_some_and(|agents| agents.0),
    }
}

#[cfg(test)]
mod tests;
