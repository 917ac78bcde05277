//! The stand-in for GitHub with one repository, and the App that is installed on it.

use std::sync::LazyLock;
use std::time::Duration;

use baton::clock::Clock;
use baton::github::{App, Repo, Settings};
use baton::model::{
    BranchName, InstallationId, Login, Repository, RepositoryId, RepositoryName, Sha,
};
use emulators::github::{AppKey, AppRegistration, GitHub, RepositoryOptions, generate_app_key};
use secrecy::SecretString;
use tempfile::TempDir;

/// The repository of all tests.
pub const REPO: &str = "octo/tools";
/// Its owner.
pub const OWNER: &str = "octo";

static KEY: LazyLock<AppKey> = LazyLock::new(|| generate_app_key().unwrap());

/// GitHub and the App. What the App asks and GitHub does not know fails the test.
pub struct World {
    pub github: GitHub,
    pub app: App,
    pub repo: Repo,
    pub clock: Clock,
    pub installation: InstallationId,
    pub repository: Repository,
    pub first_commit: Sha,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.github.unknown_routes(), Vec::<String>::new());
        }
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(RepositoryOptions::default()).await
    }

    pub async fn with(options: RepositoryOptions) -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Clock::system());
        let time = clock.clone();
        let settings = emulators::github::Settings {
            data_dir: folder.path().to_owned(),
            webhook_url: None,
            webhook_secret: "unused".to_owned(),
            app: AppRegistration {
                id: 4711,
                slug: "baton".to_owned(),
                public_key_pem: KEY.public_pem.clone(),
                bot_user_id: 99,
            },
            clock: std::sync::Arc::new(move || time.now()),
            listen: "127.0.0.1:0".parse().unwrap(),
        };
        let github = GitHub::start(settings).await.unwrap();
        github.add_user(OWNER);
        let files: [(&str, &[u8], bool); 1] = [("src/lib.rs", b"one\ntwo\nthree\n", false)];
        let made = github.add_repository(OWNER, "tools", &files, options).unwrap();
        let installation = github.install(OWNER, &["tools"]).unwrap();
        let installation = InstallationId(i64::try_from(installation).unwrap());
        let app = app(&github.api_url(), clock.clone());
        let repository = Repository {
            id: RepositoryId(i64::try_from(made.id).unwrap()),
            installation,
            name: RepositoryName::new(OWNER, "tools").unwrap(),
            default_branch: branch("main"),
            private: options.private,
            off: false,
            policy_error: None,
        };
        let repo = app.repository(&repository);
        let first_commit = Sha::new(made.first_commit).unwrap();
        Self { github, app, repo, clock, installation, repository, first_commit, _folder: folder }
    }

    /// Opens an issue as the owner.
    pub fn issue(&self) -> u64 {
        self.github.as_user(OWNER).open_issue(REPO, "Broken", "It breaks.").unwrap()
    }

    /// Pushes a branch with a change of `src/lib.rs`, as the owner.
    pub fn push(&self, branch: &str, content: &str) -> Sha {
        let files: [(&str, &[u8], bool); 1] = [("src/lib.rs", content.as_bytes(), false)];
        let pushed = self.github.as_user(OWNER).push_files(REPO, branch, &files, "change");
        Sha::new(pushed.unwrap()).unwrap()
    }

    /// Opens a draft pull request of the App's own from a branch that changes line 2.
    pub async fn own_pull(&self) -> (u64, Sha) {
        let head = self.push("baton/1-fix", "one\nTWO\nthree\n");
        let (from, to) = (branch("baton/1-fix"), branch("main"));
        let created =
            self.repo.create_pull("Fix", "text", &self.repo, &from, &to, true).await.unwrap();
        assert!(created.draft);
        (created.number, head)
    }
}

/// The App at a URL.
pub fn app(base_url: &str, clock: Clock) -> App {
    let settings = Settings {
        base_url: base_url.to_owned(),
        app_id: 4711,
        private_key_pem: SecretString::from(KEY.private_pem.clone()),
        timeout: Duration::from_secs(10),
        user_agent: "baton/test".to_owned(),
    };
    App::new(settings, clock).unwrap()
}

pub fn branch(name: &str) -> BranchName {
    BranchName::new(name).unwrap()
}

pub fn login(name: &str) -> Login {
    Login::new(name).unwrap()
}
