//! Everything the stand-in knows, behind one lock, and the few questions every route asks of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::answer::Refusal;
use super::faults::FaultPlan;
use super::hooks::Delivery;
use super::model::{
    Account, AccountKind, Installation, Issue, Lag, Pull, Repository, Role, Time, Token,
};
use super::{AppRegistration, Clock, RecordedRequest, TokenUse, git};

/// The state.
pub(crate) struct State {
    pub app: AppRegistration,
    /// What the App is registered to be allowed; later installations grant it.
    pub app_permissions: BTreeMap<String, String>,
    /// What the App is subscribed to.
    pub app_events: Vec<String>,
    pub api_url: String,
    pub data_dir: PathBuf,
    pub webhook_url: Option<String>,
    pub webhook_secret: String,
    pub clock: Clock,
    pub accounts: BTreeMap<u64, Account>,
    pub installations: BTreeMap<u64, Installation>,
    pub repositories: BTreeMap<u64, Repository>,
    pub tokens: HashMap<String, Token>,
    pub deliveries: Vec<Delivery>,
    /// Indices of deliveries made by the call under way and not yet handed to the sender.
    pub outbox: Vec<usize>,
    pub requests: Vec<RecordedRequest>,
    pub unknown_routes: Vec<String>,
    pub token_uses: Vec<TokenUse>,
    pub faults: FaultPlan,
    next_id: u64,
}

impl State {
    pub(crate) fn new(settings: super::Settings, api_url: String) -> State {
        let bot = Account {
            id: settings.app.bot_user_id,
            login: format!("{}[bot]", settings.app.slug),
            kind: AccountKind::Bot,
        };
        State {
            app: settings.app,
            app_permissions: super::default_permissions(),
            app_events: super::json::all_events(),
            api_url,
            data_dir: settings.data_dir,
            webhook_url: settings.webhook_url,
            webhook_secret: settings.webhook_secret,
            clock: settings.clock,
            accounts: BTreeMap::from([(bot.id, bot)]),
            installations: BTreeMap::new(),
            repositories: BTreeMap::new(),
            tokens: HashMap::new(),
            deliveries: Vec::new(),
            outbox: Vec::new(),
            requests: Vec::new(),
            unknown_routes: Vec::new(),
            token_uses: Vec::new(),
            faults: FaultPlan::default(),
            next_id: 1_000,
        }
    }

    /// The time by the clock of the settings.
    pub(crate) fn now(&self) -> Time {
        (self.clock)()
    }

    /// An id nothing else has.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The account id of the App's bot.
    pub(crate) fn bot(&self) -> u64 {
        self.app.bot_user_id
    }

    /// The account with a login, whatever its case.
    pub(crate) fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.login.eq_ignore_ascii_case(login))
    }

    /// The login of an account; GitHub's `ghost` for one that is gone.
    pub(crate) fn login(&self, id: u64) -> &str {
        self.accounts.get(&id).map_or("ghost", |account| &account.login)
    }

    /// `owner/name`.
    pub(crate) fn full_name(&self, repository: &Repository) -> String {
        format!("{}/{}", self.login(repository.owner), repository.name)
    }

    /// The id of a repository by owner and name.
    pub(crate) fn repository_id(&self, owner: &str, name: &str) -> Option<u64> {
        self.repositories
            .values()
            .find(|repository| {
                repository.name.eq_ignore_ascii_case(name)
                    && self.login(repository.owner).eq_ignore_ascii_case(owner)
            })
            .map(|repository| repository.id)
    }

    /// A repository that was looked up before.
    pub(crate) fn repository(&self, id: u64) -> Result<&Repository, Refusal> {
        self.repositories.get(&id).ok_or_else(Refusal::not_found)
    }

    /// The same, to change.
    pub(crate) fn repository_mut(&mut self, id: u64) -> Result<&mut Repository, Refusal> {
        self.repositories.get_mut(&id).ok_or_else(Refusal::not_found)
    }

    /// An issue or pull request by number.
    pub(crate) fn issue(&self, repository: u64, number: u64) -> Result<&Issue, Refusal> {
        self.repository(repository)?.issues.get(&number).ok_or_else(Refusal::not_found)
    }

    /// The same, to change.
    pub(crate) fn issue_mut(
        &mut self,
        repository: u64,
        number: u64,
    ) -> Result<&mut Issue, Refusal> {
        self.repository_mut(repository)?.issues.get_mut(&number).ok_or_else(Refusal::not_found)
    }

    /// A pull request by number.
    pub(crate) fn pull(&self, repository: u64, number: u64) -> Result<&Pull, Refusal> {
        self.issue(repository, number)?.pull.as_ref().ok_or_else(Refusal::not_found)
    }

    /// The same, to change.
    pub(crate) fn pull_mut(&mut self, repository: u64, number: u64) -> Result<&mut Pull, Refusal> {
        self.issue_mut(repository, number)?.pull.as_mut().ok_or_else(Refusal::not_found)
    }

    /// The number of the issue that has the comment, and its place there.
    pub(crate) fn comment_place(&self, repository: u64, id: u64) -> Result<(u64, usize), Refusal> {
        let issues = &self.repository(repository)?.issues;
        issues
            .values()
            .find_map(|issue| {
                let place = issue.comments.iter().position(|comment| comment.id == id)?;
                Some((issue.number, place))
            })
            .ok_or_else(Refusal::not_found)
    }

    /// The number of the pull request that has the line comment, and its place there.
    pub(crate) fn review_comment_place(
        &self,
        repository: u64,
        id: u64,
    ) -> Result<(u64, usize), Refusal> {
        let issues = &self.repository(repository)?.issues;
        issues
            .values()
            .find_map(|issue| {
                let comments = &issue.pull.as_ref()?.review_comments;
                Some((issue.number, comments.iter().position(|comment| comment.id == id)?))
            })
            .ok_or_else(Refusal::not_found)
    }

    /// The role a person has: the owner's is admin; `None` for outsiders.
    pub(crate) fn role(&self, repository: &Repository, account: u64) -> Option<Role> {
        if repository.owner == account {
            return Some(Role::Admin);
        }
        repository.roles.get(&account).copied()
    }

    /// What a ref shows through the API now, where a recent push may not be seen yet.
    pub(crate) fn visible_ref(&self, repository: &Repository, name: &str) -> Option<String> {
        let now = Instant::now();
        let lag = repository.lags.iter().find(|lag| lag.reference == name && lag.until > now);
        match lag {
            Some(lag) => lag.old.clone(),
            None => repository.refs.get(name).cloned(),
        }
    }

    /// The tip of a branch as the API shows it.
    pub(crate) fn branch(&self, repository: &Repository, branch: &str) -> Option<String> {
        self.visible_ref(repository, &format!("refs/heads/{branch}"))
    }

    /// The commit a branch, tag, full ref or SHA names, as the API shows it.
    pub(crate) fn commit_of(&self, repository: u64, name: &str) -> Result<String, Refusal> {
        let repository = self.repository(repository)?;
        let short = name.trim_start_matches("refs/");
        let candidates =
            [format!("refs/{short}"), format!("refs/heads/{short}"), format!("refs/tags/{short}")];
        for candidate in candidates {
            if repository.refs.contains_key(&candidate) {
                return self.visible_ref(repository, &candidate).ok_or_else(Refusal::not_found);
            }
        }
        let hexadecimal = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = if hexadecimal { git::resolve(&repository.path, name)? } else { None };
        found.ok_or_else(Refusal::not_found)
    }

    /// Reads the refs again and remembers what the API goes on showing for the lag's length.
    pub(crate) fn refresh_refs(&mut self, id: u64) -> Result<Vec<RefChange>, Refusal> {
        let lag = self.faults.ref_lag;
        let repository = self.repository_mut(id)?;
        let fresh = git::refs(&repository.path)?;
        let changes = ref_changes(&repository.refs, &fresh);
        repository.refs = fresh;
        if lag > Duration::ZERO {
            let until = Instant::now() + lag;
            repository.lags.retain(|lag| lag.until > Instant::now());
            for change in &changes {
                let seen = repository.lags.iter().any(|lag| lag.reference == change.reference);
                if !seen {
                    repository.lags.push(Lag {
                        reference: change.reference.clone(),
                        old: change.before.clone(),
                        until,
                    });
                }
            }
        }
        Ok(changes)
    }
}

/// One ref a push changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefChange {
    pub reference: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

fn ref_changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<RefChange> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| RefChange {
            reference: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}
