//! What a repository's maintainers and the server's operator allow. `workflow::policy` reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ActorId, EgressRule, Environment, HostRule, Micros, Preset, RepositoryName, Restarts, Role,
    RolePolicy,
};

/// How far Baton goes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Plans issues, and nothing else.
    Plan,
    /// Plans issues and reviews people's pull requests; writes no code.
    Review,
    /// Writes the change, opens the pull request, reviews and fixes it; ends with the merge.
    Pr,
    /// The same, then deploys and verifies.
    Deploy,
}

/// Who merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergePolicy {
    /// A person, always.
    Person,
}

/// When an agent's commits go to GitHub, and where to. A pushed branch is code that CI runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushPolicy {
    /// As soon as the repository's tests have passed.
    AtOnce,
    /// Once somebody with write access has approved that very commit.
    AfterApproval,
    /// As soon as the tests have passed, to a fork of the repository: from there CI gets no secrets.
    Fork(RepositoryName),
}

/// `.github/baton.yml`, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How far.
    pub until: Until,
    /// Whether a plan needs somebody's approval.
    pub approve_plan: bool,
    /// Who merges.
    pub merge: MergePolicy,
    /// Evidence that a change works: shell commands that Baton runs in the sandbox.
    pub test: Vec<String>,
    /// When a change is pushed; where nothing is said, it depends on who wrote the words that went into it.
    #[serde(default)]
    pub push: Option<PushPolicy>,
    /// What it takes to build it, and what of that is fetched. Tasks of earlier versions have none.
    #[serde(default)]
    pub build: BuildPolicy,
    /// How it is deployed, if at all.
    pub deploy: Option<DeployPolicy>,
    /// Evidence that the deployed program works: shell commands that Baton runs with network.
    pub verify: Vec<String>,
    /// Globs of paths that no agent may change.
    pub protected: Vec<String>,
    /// What each role is played with, where it differs from the server's default.
    pub roles: BTreeMap<Role, RolePolicy>,
    /// Money for one task; the server's limit is the ceiling.
    pub budget: Micros,
    /// How often a change may go back to the coder.
    pub max_rounds: u32,
    /// How many of its agents run at once at most; none leaves it to the server.
    #[serde(default)]
    pub agents: Option<u32>,
    /// Bots that may start work, by numeric id.
    pub bots: Vec<ActorId>,
    /// Whether a task that ran out of quota goes on by itself once there is more.
    #[serde(default)]
    pub after_quota: AfterQuota,
    /// Whether coding and reviewing agents may ask for audits, too. Tasks of earlier versions may not.
    #[serde(default)]
    pub agent_audits: bool,
    /// What is tried again by itself.
    #[serde(default)]
    pub restarts: Restarts,
}

/// Who lets a task go on once the model's provider gives more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterQuota {
    /// Baton, at the time that the thread names.
    #[default]
    Auto,
    /// A person, by command.
    Person,
}

/// What it takes to build a repository: `setup` and `environment` of its policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPolicy {
    /// Shell commands that fetch what is needed, run on the default branch through the egress proxy.
    pub setup: Vec<String>,
    /// Whether `environment` was written at all.
    pub named: bool,
    /// The container image to work in, where the server has containers and allows it.
    #[serde(default)]
    pub image: Option<String>,
    /// The ecosystems; by the files of the default branch where none are named.
    pub presets: Option<Vec<Preset>>,
    /// Hosts besides those of the presets.
    pub hosts: Vec<HostRule>,
    /// Folders inside the tree that the set-up fills, besides those of the presets.
    pub keep: Vec<String>,
    /// Whether coding agents, and the tests of what they wrote, may fetch through the proxy too.
    pub agents_fetch: bool,
}

impl BuildPolicy {
    /// Whether there is anything to be shown to agents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.setup.is_empty() && !self.named
    }
}

/// How a repository is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployPolicy {
    /// Where to; the server grants secrets per repository and environment.
    pub environment: Environment,
    /// Shell commands, run from the merged commit.
    pub commands: Vec<String>,
}

impl Policy {
    /// The fork that branches go to; none where they go to the repository itself.
    #[must_use]
    pub fn fork(&self) -> Option<&RepositoryName> {
        match &self.push {
            Some(PushPolicy::Fork(name)) => Some(name),
            Some(PushPolicy::AtOnce | PushPolicy::AfterApproval) | None => None,
        }
    }

    /// The provider that plays a role, where policy says which: its own, or for a step of a plan the coding
    /// role's.
    #[must_use]
    pub fn provider_of(&self, role: Role) -> Option<&str> {
        let named = |role| self.roles.get(&role)?.provider.as_deref();
        named(role).or_else(|| named(stands_in(role)))
    }

    /// By which provider and which of its models a role is played, where policy says; a step of a plan goes
    /// with the coding role where its own says nothing.
    ///
    /// `provider` and `model` are those of roles that name none.
    #[must_use]
    pub fn played_by<'a>(
        &'a self,
        role: Role,
        provider: &'a str,
        model: &'a str,
    ) -> (&'a str, &'a str) {
        let plays = self.provider_of(role).unwrap_or(provider);
        let usual = if plays == provider { model } else { usual_model(plays) };
        let named = |role| self.roles.get(&role)?.model.as_deref();
        // A model of the coding role's is one of its provider.
        let is_its_own = self.roles.get(&role).is_some_and(|role| role.provider.is_some());
        let shared = named(stands_in(role)).filter(|_| !is_its_own);
        (plays, named(role).or(shared).unwrap_or(usual))
    }

    /// Lets one provider play every role, with its usual model. Where author and reviewer were to differ
    /// they still do: then the author's old one reviews, if the reviewer's is the new one.
    ///
    /// `usual` is the provider of roles that name none.
    pub fn play_by(&mut self, provider: &str, usual: &str) {
        let named = |role| self.provider_of(role).unwrap_or(usual).to_owned();
        let (author, reviewer) = (named(Role::Coding), named(Role::Reviewer));
        let plays = |role| match role {
            Role::Reviewer if author != reviewer && reviewer == provider => author.as_str(),
            Role::Reviewer if author != reviewer => reviewer.as_str(),
            _ => provider,
        };
        let changed = Role::ALL.map(|role| (role, plays(role).to_owned()));
        let changed: Vec<_> =
            changed.into_iter().filter(|(role, provider)| named(*role) != *provider).collect();
        for (role, provider) in changed {
            let policy = self.roles.entry(role).or_default();
            policy.provider = Some(provider);
            policy.model = None;
        }
    }
}

/// Whose provider and model a role has that names none.
fn stands_in(role: Role) -> Role {
    if Role::REQUESTED.contains(&role) { Role::Coding } else { role }
}

/// The model of a provider that none is named for.
#[must_use]
pub fn usual_model(provider: &str) -> &'static str {
    match provider {
        "codex" => "gpt-5.5",
        _ => "claude-sonnet-4-5",
    }
}

/// What no repository can raise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Money for one task.
    pub task: Micros,
    /// Money for one repository and day.
    pub repository_day: Micros,
    /// Money for the server and day.
    pub server_day: Micros,
    /// Money for one agent; none means as much as its task has.
    pub agent: Option<Micros>,
    /// Requests to a model by one agent.
    pub requests: u32,
    /// The models that a role may ask; a role that is not named may ask each that has a price.
    pub models: BTreeMap<Role, Vec<String>>,
    /// Who lets tasks go on after a quota came back; `Person` here holds whatever policy says.
    pub after_quota: AfterQuota,
    /// Agents at once.
    pub agents: u32,
    /// Agents at once in one repository.
    pub repository_agents: u32,
    /// Agents at once of a role; of others as many as fit.
    #[serde(default)]
    pub role_agents: BTreeMap<Role, u32>,
    /// Agents at once of a provider, by its name; of others as many as fit.
    #[serde(default)]
    pub provider_agents: BTreeMap<String, u32>,
    /// Open pull requests in one repository.
    pub open_pulls: u32,
    /// Accounts served, by login; empty means the App owner's only.
    pub accounts: Vec<String>,
    /// Hosts that a set-up may reach at most.
    #[serde(default)]
    pub egress: Vec<EgressRule>,
}

impl Limits {
    /// The models that a role may ask, where that is limited. Steps of a plan are held to what coding is,
    /// unless their role has a limit of its own: no policy gets around it by who does a step.
    #[must_use]
    pub fn models_of(&self, role: Role) -> Option<&[String]> {
        let limited = self.models.get(&role).or_else(|| self.models.get(&stands_in(role)));
        limited.map(Vec::as_slice)
    }

    /// The registries of all presets: what the server's list is where its operator writes none.
    #[must_use]
    pub fn usual_egress() -> Vec<EgressRule> {
        Preset::ALL.into_iter().flat_map(EgressRule::of_preset).collect()
    }
}

/// How much of what is kept for later stays on this machine's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// What was not used for so many days goes.
    pub days: u32,
    /// What was not used for longest goes while all together weighs more than this, in bytes.
    pub bytes: u64,
    /// For so many days what agents print, what GitHub sent and how jobs ended are kept in the database.
    pub log_days: u32,
}

impl Default for Keep {
    /// Two weeks and 20 GiB; logs for two weeks.
    fn default() -> Self {
        Self { days: 14, bytes: 20 << 30, log_days: 14 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            until: Until::Pr,
            approve_plan: true,
            merge: MergePolicy::Person,
            test: Vec::new(),
            push: None,
            build: BuildPolicy::default(),
            deploy: None,
            verify: Vec::new(),
            protected: vec![".github/**".to_owned()],
            roles: BTreeMap::new(),
            budget: Micros(5_000_000),
            max_rounds: 3,
            agents: None,
            bots: Vec::new(),
            after_quota: AfterQuota::Auto,
            agent_audits: false,
            restarts: Restarts::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            task: Micros(5_000_000),
            repository_day: Micros(25_000_000),
            server_day: Micros(100_000_000),
            agent: None,
            requests: 500,
            models: BTreeMap::new(),
            after_quota: AfterQuota::Auto,
            agents: 16,
            repository_agents: 4,
            role_agents: BTreeMap::new(),
            provider_agents: BTreeMap::new(),
            open_pulls: 5,
            accounts: Vec::new(),
            egress: Self::usual_egress(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(policy: &Policy) -> [Option<&str>; 2] {
        [Role::Coding, Role::Reviewer].map(|role| policy.roles.get(&role)?.provider.as_deref())
    }

    #[test]
    fn another_provider_plays_all_roles_but_author_and_reviewer_go_on_to_differ() {
        let mut policy = Policy::default();
        policy.play_by("codex", "claude");
        assert_eq!(providers(&policy), [Some("codex"), Some("codex")]);
        policy.play_by("claude", "claude");
        assert_eq!(providers(&policy), [Some("claude"), Some("claude")]);
        policy.play_by("claude", "claude");
        let reviewer = policy.roles.get_mut(&Role::Reviewer).unwrap();
        reviewer.provider = Some("codex".to_owned());
        reviewer.model = Some("gpt-5.5".to_owned());
        policy.play_by("codex", "claude");
        assert_eq!(providers(&policy), [Some("codex"), Some("claude")]);
        assert_eq!(policy.roles[&Role::Reviewer].model, None, "a model of the other provider");
        policy.play_by("command", "claude");
        assert_eq!(providers(&policy), [Some("command"), Some("claude")]);
    }

    #[test]
    fn steps_of_a_plan_ask_the_models_that_coding_may_unless_theirs_are_limited() {
        let allowed = |model: &str| vec![model.to_owned()];
        let models = [(Role::Coding, allowed("a")), (Role::Analysis, allowed("b"))];
        let limits = Limits { models: models.into(), ..Limits::default() };
        assert_eq!(limits.models_of(Role::Refactor), Some(["a".to_owned()].as_slice()));
        assert_eq!(limits.models_of(Role::Analysis), Some(["b".to_owned()].as_slice()));
        assert_eq!(limits.models_of(Role::Reviewer), None);
    }

    #[test]
    fn steps_of_a_plan_go_with_the_coding_role_where_theirs_says_nothing() {
        let mut policy = Policy::default();
        let played = |policy: &Policy, role| {
            let (provider, model) = policy.played_by(role, "claude", "sonnet");
            format!("{provider} {model}")
        };
        assert_eq!(played(&policy, Role::Refactor), "claude sonnet");
        let coding = policy.roles.entry(Role::Coding).or_default();
        (coding.provider, coding.model) = (Some("codex".to_owned()), Some("gpt-x".to_owned()));
        assert_eq!(played(&policy, Role::Refactor), "codex gpt-x");
        assert_eq!(played(&policy, Role::Reviewer), "claude sonnet");
        policy.roles.entry(Role::Refactor).or_default().model = Some("gpt-y".to_owned());
        assert_eq!(played(&policy, Role::Refactor), "codex gpt-y");
        let tests = policy.roles.entry(Role::TestGeneration).or_default();
        tests.provider = Some("claude".to_owned());
        assert_eq!(played(&policy, Role::TestGeneration), "claude sonnet");
        policy.play_by("claude", "claude");
        // Who reviews was another than the author, and still is.
        assert_eq!(played(&policy, Role::Reviewer), "codex gpt-5.5");
        for role in Role::ALL.into_iter().filter(|role| role.writes()) {
            assert_eq!(played(&policy, role), "claude sonnet", "{role:?}");
        }
    }
}
