//! Shapes of accounts, repositories, the App and its installations.
//!
//! Complete enough for GitHub's OpenAPI types and for strict parsers; field names are GitHub's.

use base64::Engine;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::model::{Account, AccountKind, Installation, Repository, Time};
use super::state::State;

/// A time as GitHub writes it: whole seconds, `Z`.
pub(crate) fn time(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A global node id: the kind and the numeric id, opaque to callers.
pub(crate) fn node_id(kind: &str, id: u64) -> String {
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.to_be_bytes());
    format!("{kind}_{encoded}")
}

/// Reads a node id back.
pub(crate) fn parse_node_id(node_id: &str) -> Option<(&str, u64)> {
    let (kind, encoded) = node_id.split_once('_')?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).ok()?;
    Some((kind, u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Events and the permission that lets an App receive them.
pub(crate) const EVENTS: &[(&str, &str)] = &[
    ("issues", "issues"),
    ("issue_comment", "issues"),
    ("pull_request", "pull_requests"),
    ("pull_request_review", "pull_requests"),
    ("pull_request_review_comment", "pull_requests"),
    ("pull_request_review_thread", "pull_requests"),
    ("push", "contents"),
    ("create", "contents"),
    ("delete", "contents"),
    ("label", "metadata"),
    ("repository", "metadata"),
    ("status", "statuses"),
    ("deployment", "deployments"),
    ("deployment_status", "deployments"),
    ("check_run", "checks"),
    ("check_suite", "checks"),
];

/// Address templates below a repository, as GitHub lists them.
const REPOSITORY_LINKS: &[(&str, &str)] = &[
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
];

impl State {
    /// A simple user by id.
    pub(crate) fn user_json(&self, id: u64) -> Value {
        match self.accounts.get(&id) {
            Some(account) => self.account_json(account),
            None => Value::Null,
        }
    }

    /// A simple user.
    pub(crate) fn account_json(&self, account: &Account) -> Value {
        let Account { id, login, kind } = account;
        let url = format!("{}/users/{login}", self.api_url);
        json!({
            "login": login,
            "id": id,
            "node_id": node_id("U", *id),
            "avatar_url": format!("{}/avatars/{id}", self.api_url),
            "gravatar_id": "",
            "url": url,
            "html_url": format!("{}/ui/{login}", self.api_url),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": match kind {
                AccountKind::User => "User",
                AccountKind::Organization => "Organization",
                AccountKind::Bot => "Bot",
            },
            "site_admin": false,
            "user_view_type": "public",
        })
    }

    /// An account as `GET /users/{login}` shows it.
    pub(crate) fn public_user_json(&self, account: &Account) -> Value {
        let mut user = self.account_json(account);
        let made = json!({
            "name": account.login, "company": null, "blog": "", "location": null, "email": null,
            "hireable": null, "bio": null, "public_repos": 0, "public_gists": 0, "followers": 0,
            "following": 0, "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
        });
        merge(&mut user, made);
        user
    }

    /// The organization part of a webhook.
    pub(crate) fn organization_json(&self, account: &Account) -> Value {
        let url = format!("{}/orgs/{}", self.api_url, account.login);
        json!({
            "login": account.login,
            "id": account.id,
            "node_id": node_id("O", account.id),
            "url": url,
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"),
            "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": format!("{}/avatars/{}", self.api_url, account.id),
            "description": "",
        })
    }

    /// A repository.
    pub(crate) fn repository_json(&self, repository: &Repository) -> Value {
        let full_name = self.full_name(repository);
        let html_url = format!("{}/ui/{full_name}", self.api_url);
        let clone_url = format!("{}/{full_name}.git", self.api_url);
        let pages_url = format!("{}/repos/{full_name}", self.api_url);
        let open = repository.issues.values().filter(|issue| issue.is_open()).count();
        let mut shape = json!({
            "id": repository.id,
            "node_id": node_id("R", repository.id),
            "name": repository.name,
            "full_name": full_name,
            "private": repository.private,
            "visibility": if repository.private { "private" } else { "public" },
            "owner": self.user_json(repository.owner),
            "html_url": html_url,
            "description": null,
            "fork": repository.parent.is_some(),
            "url": pages_url,
            "created_at": time(repository.created_at),
            "updated_at": time(repository.pushed_at),
            "pushed_at": time(repository.pushed_at),
            "git_url": clone_url,
            "ssh_url": clone_url,
            "clone_url": clone_url,
            "svn_url": html_url,
            "mirror_url": null,
            "homepage": null,
            "size": 1,
            "default_branch": repository.default_branch,
        });
        merge(&mut shape, settings_json(repository, open));
        for (name, path) in REPOSITORY_LINKS {
            shape[*name] = json!(format!("{pages_url}/{path}"));
        }
        shape
    }

    /// The App.
    pub(crate) fn app_json(&self) -> Value {
        self.app_shape(self.app.id, &self.app.slug, self.bot(), &self.app_permissions)
    }

    /// An App by slug; only the registered one is known in full.
    pub(crate) fn app_by_slug(&self, slug: &str) -> Value {
        if slug == self.app.slug {
            return self.app_json();
        }
        let permissions = [("checks".to_owned(), "write".to_owned())].into();
        self.app_shape(15_368, slug, 9_919, &permissions)
    }

    fn app_shape(
        &self,
        id: u64,
        slug: &str,
        owner: u64,
        permissions: &std::collections::BTreeMap<String, String>,
    ) -> Value {
        let fallback = Account { id: owner, login: slug.to_owned(), kind: AccountKind::User };
        let owner = self.accounts.get(&owner).unwrap_or(&fallback);
        json!({
            "id": id,
            "slug": slug,
            "node_id": node_id("A", id),
            "client_id": format!("Iv1.{id:016x}"),
            "owner": self.account_json(owner),
            "name": slug,
            "description": "",
            "external_url": self.api_url,
            "html_url": format!("{}/apps/{slug}", self.api_url),
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": permissions,
            "events": shown_events(&self.app_events),
        })
    }

    /// `performed_via_github_app`: the App for what its bot wrote, else null.
    pub(crate) fn via_app(&self, author: u64) -> Value {
        if author == self.bot() { self.app_json() } else { Value::Null }
    }

    /// An installation.
    pub(crate) fn installation_json(&self, installation: &Installation) -> Value {
        let id = installation.id;
        let account = self.accounts.get(&installation.account);
        let organization = account.is_some_and(|account| account.kind == AccountKind::Organization);
        json!({
            "id": id,
            "account": self.user_json(installation.account),
            "repository_selection": "selected",
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.api_url),
            "repositories_url": format!("{}/installation/repositories", self.api_url),
            "html_url": format!("{}/settings/installations/{id}", self.api_url),
            "app_id": self.app.id,
            "app_slug": self.app.slug,
            "client_id": format!("Iv1.{:016x}", self.app.id),
            "target_id": installation.account,
            "target_type": if organization { "Organization" } else { "User" },
            "permissions": installation.permissions,
            "events": self.app_events,
            "created_at": time(installation.created_at),
            "updated_at": time(installation.created_at),
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": null,
            "suspended_at": installation.suspended_at.map(time),
        })
    }
}

/// Adds the fields of `more` to the object `shape`.
pub(crate) fn merge(shape: &mut Value, more: Value) {
    if let (Value::Object(shape), Value::Object(more)) = (shape, more) {
        shape.extend(more);
    }
}

/// What a repository is set to and how often it was starred: mostly nothing.
fn settings_json(repository: &Repository, open: usize) -> Value {
    json!({
        "stargazers_count": 0, "watchers_count": 0, "forks_count": 0,
        "open_issues_count": open,
        "language": null,
        "has_issues": true, "has_projects": false, "has_downloads": false, "has_wiki": false,
        "has_pages": false, "has_discussions": false,
        "archived": repository.archived,
        "disabled": false,
        "license": null,
        "allow_forking": true, "is_template": false, "web_commit_signoff_required": false,
        "topics": [],
        "forks": 0, "watchers": 0, "open_issues": open,
    })
}

/// The events an App shows as its own; the published schema has no word for thread events there.
fn shown_events(subscribed: &[String]) -> Vec<&str> {
    let names = subscribed.iter().map(String::as_str);
    names.filter(|event| *event != "pull_request_review_thread").collect()
}

/// Every event that the stand-in knows to tell.
pub(crate) fn all_events() -> Vec<String> {
    EVENTS.iter().map(|(event, _)| (*event).to_owned()).collect()
}
