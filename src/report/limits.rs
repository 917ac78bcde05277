//! Money, quota and requests: which limit stopped the work, and what lifts it.

use crate::model::{
    AfterQuota, Agent, AgentState, BudgetScope, End, Limited, Micros, Role, Shortage, Situation,
    Timestamp,
};

use super::commands::typed;
use super::figures::{moment, spent};
use super::parking::Parked;
use super::people::branch_name;
use super::quote::code;

/// What is proposed to be added to a task's budget, where the server allows so much.
const PROPOSED: Micros = Micros(2_000_000);

/// Words for a parking for want of money.
pub(super) fn no_money(situation: &Situation) -> Parked {
    let stopped = stopped_by_budget(situation);
    let scope = stopped.map_or_else(|| spent_scope(situation), |(scope, ..)| scope);
    let left = stopped.map_or(Micros::ZERO, |(_, left, _)| left);
    let limits = &situation.server.limits;
    let (headline, go_on) = match scope {
        BudgetScope::Agent => of_agent(situation),
        BudgetScope::Task => (task_spent(situation), raise(situation)),
        BudgetScope::RepositoryDay => {
            (of_today("repository", limits.repository_day, left), tomorrow(situation))
        }
        BudgetScope::ServerDay => {
            (of_today("server", limits.server_day, left), tomorrow(situation))
        }
    };
    let wrong = stopped.filter(|(_, left, _)| left.0 > 0).map(|(_, left, needs)| {
        format!("{left} is left, and the next request to the model may cost up to {needs}.")
    });
    let branch = situation.task.as_ref().and_then(|task| task.branch.as_ref());
    let yourself = branch.map(|branch| {
        ("Finish it yourself", format!("push to {}.", branch_name(situation, branch)))
    });
    let leave = ("Leave it", "do nothing. Nothing more is spent.".to_owned());
    Parked {
        headline,
        wrong: wrong.unwrap_or_default(),
        next: [("Go on", go_on)].into_iter().chain(yourself).chain([leave]).collect(),
        needs_person: true,
    }
}

/// The agent that ended at a limit last, if it is the newest of all.
fn stopped(situation: &Situation) -> Option<(&Agent, &Limited)> {
    let agent = situation.agents.last()?;
    Some((agent, agent.limited.as_ref()?))
}

/// Which budget stopped the newest agent, with what was left and what was needed.
fn stopped_by_budget(situation: &Situation) -> Option<(BudgetScope, Micros, Micros)> {
    match stopped(situation)?.1 {
        Limited::Budget { scope, left, needs } => Some((*scope, *left, *needs)),
        Limited::Requests { .. } | Limited::Model { .. } | Limited::Quota { .. } => None,
    }
}

/// Which budget lets no agent start.
fn spent_scope(situation: &Situation) -> BudgetScope {
    let server = &situation.server;
    let task_left = situation.task.as_ref().is_some_and(|task| task.spent < task.budget);
    if task_left && server.repository_spent_today >= server.limits.repository_day {
        BudgetScope::RepositoryDay
    } else if task_left && server.spent_today >= server.limits.server_day {
        BudgetScope::ServerDay
    } else {
        BudgetScope::Task
    }
}

fn of_agent(situation: &Situation) -> (String, String) {
    let role = situation.agents.last().map(|agent| agent.role);
    let of_role = role.and_then(|role| situation.policy.roles.get(&role)?.budget);
    let limits = [of_role, situation.server.limits.agent];
    let money = limits.into_iter().flatten().min();
    let money = money.map_or_else(|| "what".to_owned(), |money| format!("the {money} that"));
    let resume = typed(situation, "resume");
    (
        format!("its agent has used {money} one agent may"),
        format!("{resume} starts another agent with as much again, within the task's budget."),
    )
}

/// How a task gets more money, by a command where the server allows that.
fn raise(situation: &Situation) -> String {
    let limit = situation.server.limits.task;
    let budget = situation.task.as_ref().map_or(limit, |task| task.budget);
    let room = Micros(limit.0.saturating_sub(budget.0));
    if room.0 <= 0 {
        // A budget above the limit waits for the limit alone.
        let then = if room.0 < 0 { "resume" } else { "budget +2" };
        return format!(
            "{limit} is this server's limit for one task; once whoever runs it has raised that, {}.",
            typed(situation, then)
        );
    }
    let amount = plain(room.min(PROPOSED));
    format!("{} (this server allows {limit}).", typed(situation, &format!("budget +{amount}")))
}

/// `2`, or `0.50`: an amount as the command takes it, never more than there is.
fn plain(amount: Micros) -> String {
    let cents = amount.0 / 10_000;
    match cents % 100 {
        0 => (cents / 100).to_string(),
        rest => format!("{}.{rest:02}", cents / 100),
    }
}

fn of_today(whose: &str, limit: Micros, left: Micros) -> String {
    match left.0 > 0 {
        true => format!("{left} is left of this {whose}'s {limit} for today"),
        false => format!("this {whose}'s {limit} for today are spent"),
    }
}

fn tomorrow(situation: &Situation) -> String {
    format!("{} tomorrow (UTC).", typed(situation, "resume"))
}

fn task_spent(situation: &Situation) -> String {
    spent(situation).replace(" spent", " is spent")
}

/// Words for a parking until the model's provider gives more.
pub(super) fn no_quota(situation: &Situation, until: Timestamp) -> Parked {
    let until = moment(until, situation.now);
    let (headline, wrong) = match shortage(situation) {
        Shortage::Quota => (
            format!("the model's quota is used up until {until}"),
            "The model's provider gives no more before then.".to_owned(),
        ),
        Shortage::Overloaded => (
            format!("the model's provider is overloaded, the next try is at {until}"),
            "The provider has more work than it can do; it does not say for how long.".to_owned(),
        ),
        Shortage::Credit => (
            format!("the account that pays for the model is empty, the next try is at {until}"),
            "Whoever runs this server pays in at the model's provider.".to_owned(),
        ),
    };
    let by_itself = resumes_by_itself(situation);
    let resume = typed(situation, "resume");
    let go_on = match by_itself {
        true => format!(
            "nothing to do, it resumes by itself at {until}; {resume} tries at once, {} prevents it.",
            typed(situation, "stop")
        ),
        false => format!("{resume}, from {until} on."),
    };
    let mut next = vec![("Go on", go_on)];
    next.extend(other_provider(situation).map(|change| ("Change provider", change)));
    Parked { headline, wrong, next, needs_person: !by_itself }
}

/// The commands that let another provider go on, where the server has one.
fn other_provider(situation: &Situation) -> Option<String> {
    let agent = situation.agents.last()?;
    let others = situation.server.providers.iter().filter(|name| **name != agent.provider);
    let commands: Vec<String> =
        others.map(|name| typed(situation, &format!("provider {name}"))).collect();
    (!commands.is_empty()).then(|| {
        let commands = commands.join(" or ");
        format!("{commands} goes on now; its agents begin with what is committed and written here.")
    })
}

/// What goes on after an agent that ended without quota.
pub(super) fn after_quota(situation: &Situation) -> String {
    match resumes_by_itself(situation) {
        true => "It goes on by itself then. Nothing to do.".to_owned(),
        false => format!("{} goes on then.", typed(situation, "resume")),
    }
}

fn resumes_by_itself(situation: &Situation) -> bool {
    match situation.policy.after_quota {
        AfterQuota::Auto => true,
        AfterQuota::Person => false,
    }
}

/// Why there is no quota, as far as the newest agent's end tells.
fn shortage(situation: &Situation) -> Shortage {
    match stopped(situation) {
        Some((_, Limited::Quota { shortage, .. })) => *shortage,
        Some(_) | None => Shortage::Quota,
    }
}

/// Why an agent ended for want of money, in a sentence.
pub(super) fn money_sentence(agent: &Agent) -> String {
    let stage = agent.stage.name();
    match &agent.limited {
        Some(Limited::Budget { scope, left, needs }) => format!(
            "The {stage} agent was ended: its next request to the model may cost up to {needs}, and {left} of {} is left.",
            whose(*scope)
        ),
        Some(_) | None => {
            format!("The {stage} agent was ended because the task's money is spent.")
        }
    }
}

fn whose(scope: BudgetScope) -> &'static str {
    match scope {
        BudgetScope::Agent => "what one agent may cost",
        BudgetScope::Task => "the task's money",
        BudgetScope::RepositoryDay => "this repository's money for today",
        BudgetScope::ServerDay => "this server's money for today",
    }
}

/// Who can let a role's agents make more requests.
fn raise_requests(situation: &Situation, role: Role, most: u32) -> String {
    let policy = situation.policy.roles.get(&role);
    match policy.and_then(|policy| policy.requests) {
        Some(named) if named == most && most < situation.server.limits.requests => {
            format!("`roles.{}.requests` in `.github/baton.yml` allows so many", role.name())
        }
        Some(_) | None => "whoever runs this server can raise `requests_per_agent`".to_owned(),
    }
}

/// Title, what happened and what continues, where it was a limit of requests or models that ended
/// the newest agent of a stage.
pub(super) fn refused_at(
    situation: &Situation,
    agent: &Agent,
) -> Option<(&'static str, String, String)> {
    let stage = agent.stage.name();
    let failed = matches!(agent.state, AgentState::Ended(End::Failed(_)));
    let retry = typed(situation, "retry");
    match agent.limited.as_ref().filter(|_| failed)? {
        Limited::Requests { most } => Some((
            "its requests are used up",
            format!(
                "The {stage} agent made all {most} requests to the model that one agent may make here."
            ),
            format!(
                "{retry} starts another agent; {}.",
                raise_requests(situation, agent.role, *most)
            ),
        )),
        Limited::Model { model } => Some((
            "its model is not allowed",
            format!(
                "{} is no model that the role {} may ask here.",
                code(model),
                code(agent.role.name())
            ),
            format!(
                "whoever runs this server allows it under `[limits]`, then {retry}; or name another under `roles` in `.github/baton.yml` and begin a new task."
            ),
        )),
        Limited::Budget { .. } | Limited::Quota { .. } => None,
    }
}
