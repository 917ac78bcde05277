//! What an agent is told: the prompts of the roles, filled with what is known of a task.
//!
//! The words are in `prompts/<role>.md` and compiled in. Everything that somebody outside wrote is put in
//! as data between delimiters that nobody could know beforehand. This module also judges what an agent
//! gives back. It starts no agent and knows no provider; the runner of agents calls it.

mod context;
mod follow_up;
mod frame;
mod judge;
mod parts;
mod request;
#[cfg(test)]
mod tests;
mod tools;

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{
    Agent, CommandRun, Effort, Emission, Message, Role, RolePolicy, Situation, Tool,
};

pub use follow_up::{letter_text, message_text};
pub use judge::{repair_prompt, validate};
pub use request::Request;

/// Parts the system words from the first message in a prompt file.
const DIVIDER: &str = "\n===\n";

/// The words for messages into a session, first or later.
const FOLLOW_UP: &str = include_str!("../../prompts/follow-up.md");

/// The words for agents of a divided plan: added to those of their roles.
const SUBTASK: &str = include_str!("../../prompts/subtask.md");

/// A prompt that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The role's file is not of the form; it has to be corrected.
    #[error("prompt {role}.md is not usable: {problem}")]
    Form {
        /// The role's name.
        role: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The template names something that is not there, or is no template.
    #[error("prompt {role} cannot be filled")]
    Template {
        /// The role's name.
        role: &'static str,
        /// Where and why.
        source: minijinja::Error,
    },
    /// The caller's delimiter is too short to be unguessable.
    #[error("frame of fewer than 16 letters and digits")]
    Frame,
}

/// The prompt of one role, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolePrompt {
    /// The tools it may use, by the names of Claude Code.
    pub tools: Vec<String>,
    /// The tools of Baton's own that it may call.
    pub baton: Vec<Tool>,
    /// Minutes in all.
    pub minutes: u32,
    /// Minutes without a word before it counts as hung.
    pub silence_minutes: u32,
    /// Turns in all.
    pub max_turns: u32,
    /// `default` or a model's name.
    pub model: String,
    /// JSON Schema of the outcome.
    pub schema: serde_json::Value,
    /// SHA-256 of the file, in hexadecimal.
    pub hash: String,
    system: String,
    first: String,
}

/// The front matter of a prompt file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    tools: Vec<String>,
    #[serde(default)]
    baton: Vec<Tool>,
    minutes: u32,
    silence_minutes: u32,
    max_turns: u32,
    model: String,
    schema: serde_json::Value,
}

/// What the prompt needs besides the situation.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// The change as a unified diff.
    pub diff: Option<String>,
    /// `AGENTS.md` or `CLAUDE.md` of the default branch.
    pub project_instructions: Option<String>,
    /// A fresh random word of at least 16 letters and digits that delimits data.
    pub frame: String,
    /// Whether the session that the agent goes on with is there: it gets the news only.
    pub resumed: bool,
    /// Names of what earlier agents left for this one.
    pub left: Vec<String>,
    /// What the commands on the deployed program brought, for the verifier.
    pub evidence: Option<CommandRun>,
    /// Whether its program may search the web.
    pub web: bool,
    /// What people said to the agents of other parts of its plan while these worked, oldest first.
    pub said: Vec<Message>,
}

/// A prompt ready for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// For the provider's system prompt.
    pub system: String,
    /// The message with which the session starts or goes on.
    pub prompt: String,
    /// JSON Schema of the outcome.
    pub schema: serde_json::Value,
    /// The tools it may use.
    pub tools: Vec<String>,
    /// The tools of Baton's own that it may call.
    pub baton: Vec<Tool>,
    /// Minutes in all: the policy's, else the file's.
    pub minutes: u32,
    /// Minutes without a word before it counts as hung.
    pub silence_minutes: u32,
    /// Turns in all.
    pub max_turns: u32,
    /// How hard the model thinks, where policy says so.
    pub effort: Option<Effort>,
    /// Tools of the role's file that policy took away.
    pub without: Vec<String>,
    /// Whether its program may search the web, by its model's provider.
    pub web: bool,
    /// SHA-256 of the role's file: which words it was.
    pub hash: String,
}

/// The prompts of all roles.
#[derive(Debug, Clone)]
pub struct Prompts {
    roles: BTreeMap<Role, RolePrompt>,
}

impl Prompts {
    /// Loads the prompts that are compiled in.
    ///
    /// # Errors
    /// When one of them is not of the form, which a test rules out.
    pub fn embedded() -> Result<Self, PromptError> {
        let load = |role| Ok((role, RolePrompt::parse(role, embedded(role))?));
        Ok(Self { roles: Role::ALL.into_iter().map(load).collect::<Result<_, PromptError>>()? })
    }

    /// The prompt of a role.
    #[must_use]
    pub fn role(&self, role: Role) -> &RolePrompt {
        self.roles.get(&role).expect("the constructors load every role")
    }

    /// Fills the prompt of an agent: the first message of a fresh session, or the next of one that it
    /// goes on with.
    ///
    /// # Errors
    /// When the delimiter is too short or a template names what is not there.
    pub fn render(
        &self,
        role: Role,
        situation: &Situation,
        agent: &Agent,
        extra: &Extra,
    ) -> Result<Rendered, PromptError> {
        let frame = frame::Frame::new(&extra.frame).ok_or(PromptError::Frame)?;
        let template = |source| PromptError::Template { role: role.name(), source };
        let environment = environment(&frame);
        let messages = Value::from(Serde(follow_up::Messages::new(situation, agent, extra)));
        let news = environment.render_str(FOLLOW_UP.trim_end(), messages).map_err(template)?;
        let words = self.role(role);
        let parts = parts::Parts::of(situation, agent, extra);
        let divided = parts.is_some();
        let context = context::Context::new(situation, agent, extra, &frame, &news, parts);
        let context = Value::from(Serde(context));
        let fill = |template: &str| environment.render_str(template, &context);
        let (of_part, first_of_part) = match divided {
            true => filled_part(fill).map_err(template)?,
            false => Default::default(),
        };
        let system = fill(&words.system).map_err(template)?;
        let audits = situation.policy.agent_audits && Emission::AuditWanted.is_for(role);
        let tools = tools::words(&words.baton, &extra.left, audits);
        let web = tools::of_the_web(extra.web);
        let system = format!("{system}{of_part}{tools}{web}");
        let prompt = if extra.resumed {
            follow_up::next_message(&news)
        } else {
            format!("{}{first_of_part}", fill(&words.first).map_err(template)?)
        };
        let rendered = Rendered { web: extra.web, ..words.rendered(system, prompt) };
        Ok(match situation.policy.roles.get(&role) {
            Some(policy) => rendered.within(policy),
            None => rendered,
        })
    }

    /// Fills the prompt of a role that carries out a request.
    ///
    /// # Errors
    /// When the delimiter is too short, or the role's template names what only a task has.
    pub fn render_request(
        &self,
        role: Role,
        request: &Request<'_>,
        frame: &str,
    ) -> Result<Rendered, PromptError> {
        let frame = frame::Frame::new(frame).ok_or(PromptError::Frame)?;
        let template = |source| PromptError::Template { role: role.name(), source };
        let environment = environment(&frame);
        let context = Value::from(Serde(request::Context::new(request, &frame)));
        let words = self.role(role);
        let system = environment.render_str(&words.system, &context).map_err(template)?;
        let prompt = environment.render_str(&words.first, &context).map_err(template)?;
        // Nobody serves Baton's own tools there.
        Ok(Rendered { baton: Vec::new(), ..words.rendered(system, prompt) })
    }
}

/// What is added to the system words and to the first message of an agent of a divided plan.
fn filled_part<E>(fill: impl Fn(&str) -> Result<String, E>) -> Result<(String, String), E> {
    let (system, first) = SUBTASK.trim_end().split_once(DIVIDER).unwrap_or((SUBTASK, ""));
    let paragraph = |words: String| format!("\n\n{}", words.trim_start_matches('\n'));
    Ok((paragraph(fill(system)?), paragraph(fill(first)?)))
}

impl Rendered {
    /// Holds it to what policy says of its role.
    fn within(self, policy: &RolePolicy) -> Self {
        let tools = policy.left_of(&self.tools);
        let without = self.tools.into_iter().filter(|tool| !tools.contains(tool)).collect();
        Self {
            tools,
            without,
            effort: policy.effort,
            minutes: policy.minutes.unwrap_or(self.minutes),
            max_turns: policy.turns_within(self.max_turns),
            ..self
        }
    }
}

impl RolePrompt {
    /// The file's own limits around words that were filled.
    fn rendered(&self, system: String, prompt: String) -> Rendered {
        Rendered {
            system,
            prompt,
            schema: self.schema.clone(),
            tools: self.tools.clone(),
            baton: self.baton.clone(),
            minutes: self.minutes,
            silence_minutes: self.silence_minutes,
            max_turns: self.max_turns,
            effort: None,
            without: Vec::new(),
            web: false,
            hash: self.hash.clone(),
        }
    }

    /// Reads a prompt file: front matter between `---` lines, system words, `===`, first message.
    fn parse(role: Role, text: &str) -> Result<Self, PromptError> {
        let form = |problem: String| PromptError::Form { role: role.name(), problem };
        let text = text.replace("\r\n", "\n");
        let (front, body) = text
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("\n---\n"))
            .ok_or_else(|| form("it does not begin with front matter between --- lines".into()))?;
        let front: Front =
            serde_yaml_ng::from_str(front).map_err(|error| form(error.to_string()))?;
        let (system, first) = body
            .split_once(DIVIDER)
            .ok_or_else(|| form("no line === parts system words and first message".into()))?;
        let role_line = format!("Role: {}\n", role.verb());
        if !system.starts_with(&role_line) {
            return Err(form(format!("its words do not begin with {:?}", role_line.trim_end())));
        }
        jsonschema::validator_for(&front.schema)
            .map_err(|error| form(format!("its schema is no JSON Schema: {error}")))?;
        Ok(Self {
            tools: front.tools,
            baton: front.baton,
            minutes: front.minutes,
            silence_minutes: front.silence_minutes,
            max_turns: front.max_turns,
            model: front.model,
            schema: front.schema,
            hash: Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect(),
            system: system.to_owned(),
            first: first.trim_end().to_owned(),
        })
    }
}

/// Strict: a name that is not there is a mistake, not an empty text.
fn environment(frame: &frame::Frame) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let frame = frame.clone();
    environment.add_function("data", move |label: &str, text: &str| frame.data(label, text));
    environment
}

fn embedded(role: Role) -> &'static str {
    match role {
        Role::Starter => include_str!("../../prompts/starter.md"),
        Role::Coding => include_str!("../../prompts/coding.md"),
        Role::Reviewer => include_str!("../../prompts/reviewer.md"),
        Role::Deployer => include_str!("../../prompts/deployer.md"),
        Role::Verifier => include_str!("../../prompts/verifier.md"),
        Role::Auditor => include_str!("../../prompts/auditor.md"),
        Role::Generic => include_str!("../../prompts/generic.md"),
        Role::Refactor => include_str!("../../prompts/refactor.md"),
        Role::TestGeneration => include_str!("../../prompts/test-generation.md"),
        Role::Analysis => include_str!("../../prompts/analysis.md"),
    }
}
