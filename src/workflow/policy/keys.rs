//! The file's keys and what each may hold.
//!
//! Each value is judged while it is read, so that a mistake has a place. Lists and texts have
//! limits, so that YAML's aliases cannot make a small file large.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer, SeqAccess, Visitor},
};

use crate::model::{
    AfterQuota, Effort, Environment, HostRule, Micros, Mishap, Preset, ProgramTool, RepositoryName,
    Role, RolePolicy, Until,
};

/// The most entries of one list.
const MOST_ENTRIES: usize = 50;

/// The longest text, in bytes.
const LONGEST_TEXT: usize = 4096;

/// The largest budget that is no slip of the pen, in dollars.
const MOST_DOLLARS: f64 = 10_000.0;

/// `.github/baton.yml` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub version: Version,
    #[serde(default, deserialize_with = "until")]
    pub until: Option<Until>,
    pub approve: Option<Approve>,
    pub merge: Option<Merge>,
    pub setup: Option<OneOrMore>,
    pub environment: Option<Build>,
    pub test: Option<OneOrMore>,
    pub push: Option<Push>,
    pub fork: Option<ForkName>,
    pub deploy: Option<Deploy>,
    pub verify: Option<OneOrMore>,
    pub protected: Option<List<Glob>>,
    pub roles: Option<Roles>,
    pub review: Option<Review>,
    pub budget: Option<Budget>,
    pub max_rounds: Option<Rounds>,
    pub agents: Option<Agents>,
    pub bots: Option<List<BotId>>,
    pub resume_after_quota: Option<Resuming>,
    pub audit: Option<Audits>,
    pub restarts: Option<Again>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deploy {
    pub environment: EnvironmentName,
    pub commands: OneOrMore,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    pub other_provider: bool,
}

/// What is tried again by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    pub times: Option<Times>,
    pub after: Option<List<After>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub image: Option<Image>,
    pub presets: Option<List<PresetName>>,
    pub hosts: Option<List<Host>>,
    pub keep: Option<List<Folder>>,
    pub agents: Option<AgentsFetch>,
}

/// A field each, so that a role named twice is a mistake.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    starter: Option<RoleKeys>,
    coding: Option<RoleKeys>,
    reviewer: Option<RoleKeys>,
    deployer: Option<RoleKeys>,
    verifier: Option<RoleKeys>,
    auditor: Option<RoleKeys>,
    generic: Option<RoleKeys>,
    refactor: Option<RoleKeys>,
    #[serde(rename = "test-generation")]
    test_generation: Option<RoleKeys>,
    analysis: Option<RoleKeys>,
}

impl Roles {
    /// The roles that the file names.
    pub fn named(self) -> impl Iterator<Item = (Role, RolePolicy)> {
        let Self {
            starter,
            coding,
            reviewer,
            deployer,
            verifier,
            auditor,
            generic,
            refactor,
            test_generation,
            analysis,
        } = self;
        [
            (Role::Starter, starter),
            (Role::Coding, coding),
            (Role::Reviewer, reviewer),
            (Role::Deployer, deployer),
            (Role::Verifier, verifier),
            (Role::Auditor, auditor),
            (Role::Generic, generic),
            (Role::Refactor, refactor),
            (Role::TestGeneration, test_generation),
            (Role::Analysis, analysis),
        ]
        .into_iter()
        .filter_map(|(role, keys)| Some((role, keys?.into())))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleKeys {
    provider: Option<Provider>,
    model: Option<Model>,
    minutes: Option<Minutes>,
    models: Option<List<Model>>,
    budget: Option<Budget>,
    effort: Option<Thinking>,
    tools: Option<List<ToolName>>,
    max_turns: Option<Turns>,
    requests: Option<Requests>,
    web: Option<bool>,
}

impl From<RoleKeys> for RolePolicy {
    fn from(keys: RoleKeys) -> Self {
        let RoleKeys {
            provider,
            model,
            minutes,
            models,
            budget,
            effort,
            tools,
            max_turns,
            requests,
            web,
        } = keys;
        Self {
            provider: provider.map(|provider| provider.0),
            model: model.map(|model| model.0),
            minutes: minutes.map(|minutes| minutes.0),
            models: models.unwrap_or_default().0.into_iter().map(|model| model.0).collect(),
            budget: budget.map(|budget| budget.0),
            effort: effort.map(|effort| effort.0),
            tools: tools.map(|tools| tools.0.into_iter().map(|tool| tool.0).collect()),
            max_turns: max_turns.map(|turns| turns.0),
            requests: requests.map(|requests| requests.0),
            web: web.unwrap_or_default(),
        }
    }
}

/// What `push` says; where to a fork, `fork` says to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushing {
    AtOnce,
    AfterApproval,
    Fork,
}

/// A value that is written as text or number and judged as a whole.
trait Judged: Sized {
    /// What would be right; fits after "expected".
    const EXPECTED: &'static str;

    fn judge(text: &str) -> Result<Self, String>;
}

struct Judge<T>(PhantomData<T>);

impl<T: Judged> Visitor<'_> for Judge<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        if text.len() > LONGEST_TEXT {
            return Err(E::custom("a text is longer than 4,096 bytes"));
        }
        T::judge(text).map_err(E::custom)
    }
}

macro_rules! judged {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal, $judge:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name(pub $inner);

        impl Judged for $name {
            const EXPECTED: &'static str = $expected;

            fn judge(text: &str) -> Result<Self, String> {
                let judge: fn(&str) -> Result<$inner, String> = $judge;
                judge(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Judge(PhantomData))
            }
        }
    )*};
}

judged! {
    /// The version of this format.
    Version(()), "`version: 1`", |text| match text {
        "1" => Ok(()),
        _ => Err("this Baton reads `version: 1` only".to_owned()),
    };
    /// Whether a plan needs an approval.
    Approve(bool), "`plan` or `none`", |text| match text {
        "plan" => Ok(true),
        "none" => Ok(false),
        _ => Err(format!("`approve` is `plan` or `none`, not {text:?}")),
    };
    /// Who merges.
    Merge(()), "`person`", |text| match text {
        "person" => Ok(()),
        _ => Err("`merge` is `person`: Baton does not merge by itself yet".to_owned()),
    };
    /// Whether agents may ask for audits.
    Audits(bool), "`person` or `agents`", |text| match text {
        "person" => Ok(false),
        "agents" => Ok(true),
        _ => Err(format!("`audit` is `person` or `agents`, not {text:?}")),
    };
    /// When a change is pushed, or that it goes to a fork.
    Push(Pushing), "`at-once`, `after-approval` or `fork`", |text| match text {
        "at-once" => Ok(Pushing::AtOnce),
        "after-approval" => Ok(Pushing::AfterApproval),
        "fork" => Ok(Pushing::Fork),
        _ => Err(format!("`push` is `at-once`, `after-approval` or `fork`, not {text:?}")),
    };
    /// The fork that is pushed to.
    ForkName(RepositoryName), "`OWNER/NAME` of a fork", |text| {
        RepositoryName::try_from(text.to_owned())
            .map_err(|_| format!("`fork` is `OWNER/NAME` of a fork of this repository, not {text:?}"))
    };
    /// A shell command.
    Shell(String), "a shell command", |text| match text.trim() {
        "" => Err("a command is empty".to_owned()),
        _ if text.contains('\0') => Err("a command holds a NUL character".to_owned()),
        command => Ok(command.to_owned()),
    };
    /// A path pattern.
    Glob(String), "a path pattern", glob;
    /// An ecosystem.
    PresetName(Preset), "`rust`, `node`, `python` or `go`", |text| {
        Preset::by_name(text)
            .ok_or_else(|| format!("`presets` holds `rust`, `node`, `python` or `go`, not {text:?}"))
    };
    /// A host that may be reached.
    Host(HostRule), "a host", |text| {
        HostRule::new(text).map_err(|invalid| format!("`hosts`: {invalid}"))
    };
    /// A folder inside the tree.
    Folder(String), "a folder", folder;
    /// Whether agents may fetch.
    AgentsFetch(bool), "`offline` or `fetch`", |text| match text {
        "offline" => Ok(false),
        "fetch" => Ok(true),
        _ => Err(format!("`agents` is `offline` or `fetch`, not {text:?}")),
    };
    /// A container image, as Docker names it.
    Image(String), "an image, as `node:22` or `ghcr.io/acme/build:3`", |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match begins && text.len() <= 255 && text.chars().all(plain) {
            true => Ok(text.to_owned()),
            false => Err(format!("`image` is a name such as `node:22`, not {text:?}")),
        }
    };
    /// The name of a deployment environment.
    EnvironmentName(Environment), "an environment's name", |text| {
        Environment::new(text).map_err(|invalid| invalid.to_string())
    };
    /// What kind of program the agent is.
    Provider(String), "`claude`, `codex` or `command`", |text| match text {
        "claude" | "codex" | "command" => Ok(text.to_owned()),
        _ => Err(format!("`provider` is `claude`, `codex` or `command`, not {text:?}")),
    };
    /// A model's name: it becomes part of a command line.
    Model(String), "a model's name", model;
    /// Minutes that an agent may take.
    Minutes(u32), "minutes from 1 to 240", |text| between(text, "minutes", 1, 240);
    /// How hard the model thinks.
    Thinking(Effort), "`low`, `medium` or `high`", |text| {
        let found = Effort::ALL.into_iter().find(|effort| effort.name() == text);
        found.ok_or_else(|| format!("`effort` is `low`, `medium` or `high`, not {text:?}"))
    };
    /// A tool that is left to a role.
    ToolName(ProgramTool), "a tool's name", |text| {
        let found = ProgramTool::ALL.into_iter().find(|tool| tool.name() == text);
        found.ok_or_else(|| {
            let known = ProgramTool::ALL.map(ProgramTool::name).join("`, `");
            format!("`tools` holds names of `{known}`, not {text:?}")
        })
    };
    /// Turns of the model that an agent may take.
    Turns(u32), "turns from 1 to 1000", |text| between(text, "max_turns", 1, 1000);
    /// Requests to a model that an agent may make.
    Requests(u32), "requests from 1 to 10000", |text| between(text, "requests", 1, 10_000);
    /// How often a change may go back to the coder.
    Rounds(u32), "rounds from 1 to 10", |text| between(text, "max_rounds", 1, 10);
    /// Agents that may run at once.
    Agents(u32), "agents from 1 to 100", |text| between(text, "agents", 1, 100);
    /// The numeric id of a bot's account.
    BotId(i64), "a bot's numeric id", |text| match text.parse() {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(format!("`bots` holds numeric ids (GET /users/NAME[bot] tells them), not {text:?}")),
    };
    /// Who lets a task go on once there is quota again.
    Resuming(AfterQuota), "`auto` or `person`", |text| match text {
        "auto" => Ok(AfterQuota::Auto),
        "person" => Ok(AfterQuota::Person),
        _ => Err(format!("`resume_after_quota` is `auto` or `person`, not {text:?}")),
    };
    /// How often a stage is tried again by itself.
    Times(u32), "times from 0 to 10", |text| between(text, "times", 0, 10);
    /// After what it is.
    After(Mishap), "`crashed`, `model`, `tools` or `lost`", |text| match text {
        "crashed" => Ok(Mishap::Crashed),
        "model" => Ok(Mishap::Model),
        "tools" => Ok(Mishap::Tools),
        "lost" => Ok(Mishap::Lost),
        _ => Err(format!("`after` holds `crashed`, `model`, `tools` or `lost`, not {text:?}")),
    };
    /// Money for one task or one agent.
    Budget(Micros), "dollars", |text| match text.parse() {
        Ok(dollars) if dollars > 0.0 && dollars <= MOST_DOLLARS => Ok(Micros::from_dollars(dollars)),
        _ => Err(format!("`budget` is dollars above 0, as in `5.00`, not {text:?}")),
    };
}

/// `merge` is a step that Baton cannot take alone yet, and says so.
fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Until>, D::Error> {
    struct Far(Until);
    impl Judged for Far {
        const EXPECTED: &'static str = "`plan`, `review`, `pr` or `deploy`";

        fn judge(text: &str) -> Result<Self, String> {
            Ok(Self(match text {
                "plan" => Until::Plan,
                "review" => Until::Review,
                "pr" => Until::Pr,
                "deploy" => Until::Deploy,
                "merge" => {
                    return Err("`until: merge` is not available yet; `pr` leaves the merge to a \
                                person"
                        .to_owned());
                }
                _ => return Err(format!("`until` is {}, not {text:?}", Self::EXPECTED)),
            }))
        }
    }
    deserializer.deserialize_str(Judge::<Far>(PhantomData)).map(|far| Some(far.0))
}

fn glob(text: &str) -> Result<String, String> {
    let climbs = text.split('/').any(|part| part == "..");
    if text.is_empty() || text.starts_with('/') || climbs || text.contains(['\\', '\0', '\n']) {
        let rule = "is a pattern from the repository's root, such as \"migrations/**\"";
        return Err(format!("`protected` {rule}, not {text:?}"));
    }
    Ok(text.to_owned())
}

fn folder(text: &str) -> Result<String, String> {
    let part = |part: &str| !matches!(part, "" | "." | ".." | ".git");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@/".contains(c);
    if !text.split('/').all(part) || !text.chars().all(plain) {
        return Err(format!(
            "`keep` is a folder inside the tree, such as \"vendor\", not {text:?}"
        ));
    }
    Ok(text.to_owned())
}

fn model(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/@[]-".contains(&b);
    if text.is_empty() || text.len() > 100 || text.starts_with('-') || !text.bytes().all(plain) {
        return Err(format!("{text:?} is no model's name"));
    }
    Ok(text.to_owned())
}

fn between(text: &str, key: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{key}` is a number from {least} to {most}, not {text:?}"))
}

/// One shell command, or a list of them.
pub(super) type OneOrMore = List<Shell>;

/// One entry, or a list of at most 50.
#[derive(Debug)]
pub(super) struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Judged> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Judged> Visitor<'de> for Entries<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or a list of them", T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(text.into_deserializer())?]))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<List<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MOST_ENTRIES {
                return Err(de::Error::custom("a list has more than 50 entries"));
            }
            list.push(entry);
        }
        Ok(List(list))
    }
}
