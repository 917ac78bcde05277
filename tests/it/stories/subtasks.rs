//! Plans whose steps several roles play, with the real Claude Code: analysis, refactoring, code, tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use baton::{
    cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World},
    db::{context_entries, overview},
    model::{Role, TaskId},
};
use emulators::{
    github::GitHub,
    models::{Answer, Block, Brain, Crew, Pace, RecordedRequest, Request},
    sample,
};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use super::{roles::claude, whole::is_said_once};
use crate::support::{
    baton::{PATIENCE, Story, asking, progress},
    database::TestDatabase,
    leftovers,
    server::{Operator, Process, database_url},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A crew whose plan gives its steps to four roles, of which two do what is said here.
struct Divided {
    crew: Crew,
    /// Whether the next answer to the one who refactors never comes.
    hangs: AtomicBool,
}

impl Divided {
    fn new(hangs: bool) -> Arc<Self> {
        Arc::new(Self { crew: Crew::new(), hangs: AtomicBool::new(hangs) })
    }
}

impl Brain for Divided {
    fn answer(&self, request: &Request) -> Answer {
        let plays = |verb: &str| request.system.contains(&format!("Role: {verb}\n"));
        if plays("plan") {
            return divided(self.crew.answer(request));
        }
        if plays("refactor") {
            if self.hangs.swap(false, Ordering::SeqCst) {
                return Answer::new().with_pace(Pace::Never);
            }
            return commits(request, "echo 'A range is half open.' > NOTES.md", "Name the ranges");
        }
        if plays("test") {
            let test = "printf 'import \"node:test\";\\n' > test/more.test.mjs";
            return commits(request, test, "Test the ranges");
        }
        self.crew.answer(request)
    }
}

/// Gives the crew's plan steps for four roles.
fn divided(mut answer: Answer) -> Answer {
    let step = |title: &str, role: &str| json!({"title": title, "files": [], "role": role});
    for block in &mut answer.blocks {
        if let Block::ToolUse { input, .. } = block
            && !input["steps"].is_null()
        {
            input["steps"] = json!([
                step("Which line ends an open range?", "analysis"),
                step("Name the ranges", "refactor"),
                {"title": "Let an open range end at the end of the file", "files": ["src/range.mjs"]},
                step("Test the ranges", "test-generation"),
            ]);
        }
    }
    answer
}

/// One command, a commit, and the outcome.
fn commits(request: &Request, command: &str, message: &str) -> Answer {
    let command = format!("{command} && git add --all && git commit --quiet --message '{message}'");
    let outcome = json!({"summary": format!("{message}: done."), "tests_run": "", "notes": ""});
    match request.tool_results_since_last_user_text().len() {
        0 => Answer::text(message).and_tool("Bash", json!({ "command": command })),
        1 => Answer::tool("StructuredOutput", outcome),
        _ => Answer::text("That is done."),
    }
}

/// What a role's agents were told, in each request of theirs.
fn told(requests: &[RecordedRequest], verb: &str) -> Vec<String> {
    let marker = format!("Role: {verb}\\n");
    let bodies = requests.iter().map(|request| request.body.to_string());
    let told: Vec<String> = bodies.filter(|body| body.contains(&marker)).collect();
    assert!(!told.is_empty(), "nobody played {verb}");
    told
}

/// The analysis' report, as its crew gives it.
const REPORT: &str = "const end = last";

/// Each part was told its role, its steps, and what was found out before it.
fn each_is_told_its_part(requests: &[RecordedRequest]) {
    let parts = [("analyse", 1), ("refactor", 2), ("code", 3), ("test", 4)];
    for (verb, number) in parts {
        let own = format!("part {number} of 4 of a plan");
        let of_part: Vec<String> =
            told(requests, verb).into_iter().filter(|body| body.contains(&own)).collect();
        assert!(!of_part.is_empty(), "nobody played part {number} as {verb}");
        for body in &of_part {
            let of_analysis = "part 1 (analysis) says of its work; a claim, not a fact:";
            assert_eq!(body.contains(of_analysis), number > 1, "{verb}: {body}");
            assert!(number == 1 || body.contains(REPORT), "{verb} has no report: {body}");
            let title = sample::issue().0;
            assert!(body.contains(title), "{verb} does not know the issue: {body}");
        }
    }
    for body in told(requests, "analyse").iter().chain(&told(requests, "plan")) {
        let tools = serde_json::from_str::<Value>(body).unwrap()["tools"].to_string();
        assert!(!tools.contains("\"Bash\""), "who reads has a shell: {tools}");
    }
}

/// Subjects of the commits of the pull request, oldest first.
fn commits_of(github: &GitHub, pull: u64) -> Vec<String> {
    let head = github.pull(REPOSITORY, pull).unwrap().head_sha;
    let output = Command::new("git")
        .arg("-C")
        .arg(github.repository_path(REPOSITORY).unwrap())
        .args(["log", "--reverse", "--format=%s", &format!("main..{head}")])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    told.lines().map(str::to_owned).collect()
}

/// In the order of the plan, and then what the review wanted.
const COMMITS: [&str; 4] = [
    "Name the ranges",
    "Serve open ranges to the last byte",
    "Test the ranges",
    "Refuse reversed ranges, and test it",
];

/// The agents of the change: subtask, role, whose session, how they ended.
async fn agents(pool: &PgPool) -> Vec<String> {
    let agents = "SELECT concat_ws(' ', coalesce(a.subtask::text, '-'), coalesce(a.role, '-'),
            CASE WHEN a.resumes_id IS NULL THEN 'begins' ELSE 'goes on' END, a.state_data #>> '{data,end}')
        FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code' ORDER BY a.id";
    sqlx::query_scalar(agents).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn the_steps_of_a_plan_are_played_by_their_roles_and_become_one_pull_request() {
    let story = Story::with(Divided::new(false), claude).await;
    let issue = story.assigned();
    story.until("a plan to approve", |github| asking(github, issue).is_some()).await;
    let told =
        |github: &GitHub| progress(github, issue).contains("2. Name the ranges · *refactor*");
    story.until("who does what", told).await;
    story.approve(issue).await;
    let pull = story.ready().await;
    assert_eq!(commits_of(story.github(), pull), COMMITS);
    each_is_told_its_part(&story.world.models.requests());
    let shown = |github: &GitHub| progress(github, issue).contains("Analysis of step 1</summary>");
    story.until("the report of the analysis", shown).await;
    assert_eq!(
        agents(story.pool()).await,
        [
            "1 analysis begins succeeded",
            "2 refactor begins succeeded",
            "3 coding begins succeeded",
            "4 test_generation begins succeeded",
            "- - begins succeeded",
        ]
    );
    let left = context_entries::by_key(story.pool(), TaskId(1), "analysis/1", None).await.unwrap();
    let left = left.expect("the report is left for whoever comes");
    assert!(left.by == Role::Analysis && left.value.contains(REPORT), "{left:?}");
    let since = story.world.clock.now() - chrono::TimeDelta::days(1);
    let costs = overview::list_costs(story.pool(), since).await.unwrap();
    for role in Role::REQUESTED.into_iter().filter(|role| *role != Role::Generic) {
        assert!(costs.iter().any(|line| line.role == role && line.requests > 0), "{role:?}");
    }
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    is_said_once(story.github(), issue);
    story.end().await;
}

/// A Baton process that can be killed, and what is around it.
struct House {
    world: World,
    database: TestDatabase,
    folder: TempDir,
    operator: Operator,
    process: Process,
}

impl House {
    async fn begin(brain: Arc<Divided>) -> Self {
        let database = TestDatabase::new().await;
        let folder = tempfile::Builder::new().prefix("baton-subtasks-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let mut recipe = Recipe::new(folder.path().join("world"), brain);
        claude(&mut recipe);
        let world = recipe.build().await.unwrap();
        let operator = Operator::new(&world, folder.path(), &database_url(&database.address()));
        let process = operator.spawn();
        let mut house = Self { world, database, folder, operator, process };
        house.up().await;
        house
    }

    async fn up(&mut self) {
        let address = self.operator.until_up(&mut self.process).await;
        let address = address.unwrap_or_else(|| panic!("not up: {}", self.operator.log()));
        self.world.github.set_webhook_url(&format!("http://{address}/webhook"));
    }

    async fn kill_and_start_again(&mut self) {
        kill_process(self.process.pid(), Signal::KILL).unwrap();
        while self.process.ended().is_none() {
            tokio::time::sleep(LOOK).await;
        }
        self.process = self.operator.spawn();
        self.up().await;
    }

    async fn until_true(&self, statement: &'static str) {
        let pool = &self.database.pool;
        let look = async {
            while !sqlx::query_scalar::<_, bool>(statement).fetch_one(pool).await.unwrap() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            let told = leftovers::overview(pool).await;
            panic!("in vain for {statement}:\n{told}\n{}", self.operator.log());
        }
    }

    async fn until(&self, what: &str, look: impl FnMut(&GitHub) -> bool) {
        let shown = self.world.github.wait_for(PATIENCE, look).await;
        assert!(shown, "in vain for {what}:\n{}", self.operator.log());
    }

    /// The sweep that the lost agent's end asks for takes its workspace away.
    async fn until_no_workspace(&self) {
        let look = async {
            while !leftovers::of_workspaces(&self.world.config.data).is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let gone = tokio::time::timeout(PATIENCE, look).await;
        assert!(gone.is_ok(), "a workspace stays:\n{}", self.operator.log());
    }

    /// Stops everything; nothing may be left.
    async fn end(self) {
        let Self { world, database, folder, operator, process } = self;
        let mut left = leftovers::of_workspaces(&world.config.data);
        assert!(process.stop().await.success(), "{}", operator.log());
        world.shutdown().await;
        left.extend(leftovers::of_processes(folder.path()).await);
        drop(database);
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }
}

/// Figures and `baton agents` tell which part is at work, and as whom.
async fn is_seen_at_work(house: &House) {
    let (pool, now) = (&house.database.pool, house.world.clock.now());
    let by_role = overview::count_by_role(pool).await.unwrap();
    assert_eq!(by_role, [(Role::Refactor, 1)].into());
    let lines = overview::list_agent_lines(pool, false, now, 9).await.unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].role, lines[0].subtask), (Role::Refactor, Some(2)));
}

/// The second part is at work, and its model was asked.
const SECOND: &str =
    "SELECT EXISTS (SELECT FROM agents a WHERE a.subtask = 2 AND a.state = 'running'
    AND EXISTS (SELECT FROM usage u WHERE u.agent_id = a.id))";

#[tokio::test]
async fn a_baton_killed_in_the_second_part_goes_on_there() {
    let mut house = House::begin(Divided::new(true)).await;
    let mara = house.world.github.as_user(MAINTAINER);
    let (title, body) = sample::issue();
    let issue = mara.open_issue(REPOSITORY, title, body).unwrap();
    mara.label(REPOSITORY, issue, "baton").unwrap();
    house.until("the plan", |github| asking(github, issue).is_some()).await;
    let comment = asking(&house.world.github, issue).unwrap();
    mara.tick(REPOSITORY, comment.id, "Approve this plan").unwrap();
    house.until_true(SECOND).await;
    is_seen_at_work(&house).await;
    house.kill_and_start_again().await;
    let ready = |github: &GitHub| github.pull(REPOSITORY, 2).is_some_and(|pull| !pull.draft);
    house.until("a pull request that is ready", ready).await;
    assert_eq!(commits_of(&house.world.github, 2), COMMITS);
    each_is_told_its_part(&house.world.models.requests());
    assert_eq!(
        agents(&house.database.pool).await,
        [
            "1 analysis begins succeeded",
            "2 refactor begins lost",
            "2 refactor goes on succeeded",
            "3 coding begins succeeded",
            "4 test_generation begins succeeded",
            "- - begins succeeded",
        ]
    );
    let mara = house.world.github.as_user(MAINTAINER);
    mara.merge_pull(REPOSITORY, 2, None).unwrap();
    house.until_true("SELECT bool_and(state = 'done') FROM tasks").await;
    house.until_true("SELECT NOT EXISTS (SELECT FROM jobs WHERE kind <> 'sweep')").await;
    house.until_no_workspace().await;
    house.end().await;
}
