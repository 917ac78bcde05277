//! Budgets over several gateways on one database: they hold to the micro-dollar, whatever runs at once.

use std::sync::atomic::{AtomicU64, Ordering};

use baton::db::{
    self,
    agents::Finished,
    budgets,
    usage::{self, Settled, UsageId},
};
use baton::gateway::{Caching, DatabaseAgents, Price, WebUses};
use baton::model::{
    End, InputHash, Inputs, Limits, Policy, RolePolicy, Sha, StageKey, StageState, TaskInput,
    TaskOrigin,
};
use proptest::prelude::*;
use sqlx::PgPool;

use super::*;

const MODEL: &str = "claude-sonnet-4-5";

/// A queued coder of a task on an issue, with everything that it hangs on.
pub(super) async fn agent(pool: &PgPool, issue: u64) -> AgentId {
    let statements = [
        "INSERT INTO installations (id, account_id, account) VALUES (3, 1, 'acme')
         ON CONFLICT DO NOTHING",
        "INSERT INTO repositories (id, installation_id, owner, name, default_branch, private)
         VALUES (9, 3, 'acme', 'files', 'main', false) ON CONFLICT DO NOTHING",
    ];
    for statement in statements {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    let mut connection = pool.acquire().await.unwrap();
    let task = db::tasks::NewTask {
        repository: RepositoryId(9),
        origin: TaskOrigin::Issue,
        number: issue,
        input: TaskInput::default(),
        input_hash: InputHash::new("0".repeat(64)).unwrap(),
        policy: Policy::default(),
        requested_by: None,
        pull: None,
        now: Clock::system().now(),
    };
    let task = db::tasks::open(&mut connection, task).await.unwrap();
    of_task(pool, task, StageKey::Code).await
}

/// One more agent of a task.
async fn of_task(pool: &PgPool, task: TaskId, key: StageKey) -> AgentId {
    let mut connection = pool.acquire().await.unwrap();
    let now = Clock::system().now();
    let stage = db::stages::save(&mut *connection, task, key, &StageState::Blocked, 1, None, now)
        .await
        .unwrap();
    let agent = db::agents::NewAgent {
        task,
        stage,
        part: None,
        provider: "claude".to_owned(),
        model: MODEL.to_owned(),
        resumes: None,
        inputs: Inputs::default(),
        base: Sha::new("a".repeat(40)).unwrap(),
        salt: uuid::Uuid::from_u128(1),
        now,
    };
    db::agents::insert(&mut connection, agent).await.unwrap()
}

async fn task_of(pool: &PgPool, agent: AgentId) -> TaskId {
    db::agents::load(pool, agent).await.unwrap().task
}

fn token(agent: AgentId) -> String {
    format!("token-of-{agent}")
}

async fn admit(pool: &PgPool, agent: AgentId) {
    db::agents::set_token_hash(pool, agent, &token_hash(&token(agent))).await.unwrap();
}

/// An API that charges as much as a body can cost, and sometimes fails.
async fn dearest(State(count): State<Arc<AtomicU64>>, body: Bytes) -> Response {
    if count.fetch_add(1, Ordering::Relaxed) % 7 == 3 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let input = body.len().div_ceil(2) + 1_000;
    let usage = json!({"input_tokens": input, "output_tokens": asked["max_tokens"]});
    axum::Json(json!({"type": "message", "usage": usage})).into_response()
}

/// A replica: a gateway with books of its own on the shared database.
async fn replica(
    database: &TestDatabase,
    folder: &Path,
    name: &str,
    url: &str,
    limits: &Limits,
) -> Gateway {
    let settings = Settings {
        socket: folder.join(name),
        mode: 0o666,
        anthropic: Some(Api {
            base_url: url.to_owned(),
            credentials: vec![Credential::ApiKey(REAL_KEY.into())],
            resting: Vec::new(),
            web: WebTools::default(),
        }),
        openai: None,
        prices: Prices::published(),
        proxy: None,
    };
    let books = DatabaseAgents::new(database.another_pool().await, limits.clone());
    Gateway::start(settings, Arc::new(books), Clock::system()).unwrap()
}

async fn ask(socket: &Path, agent: AgentId, max_tokens: u64) -> StatusCode {
    let body = json!({"model": MODEL, "max_tokens": max_tokens, "messages": []}).to_string();
    let mut sender = connect(socket).await;
    let post = request(Method::POST, "/v1/messages", &token(agent), body);
    let answer = patiently(sender.send_request(post)).await.unwrap();
    let status = answer.status();
    patiently(answer.into_body().collect()).await.unwrap();
    status
}

async fn row(pool: &PgPool, scope: String, period: &str) -> budgets::Budget {
    budgets::find(pool, &scope, period).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_hold_to_the_cent_over_replicas_and_requests_at_once() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(dearest).with_state(Arc::default());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let limits = Limits {
        task: Micros(400_000),
        repository_day: Micros(500_000),
        agent: Some(Micros(300_000)),
        ..Limits::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut replicas = Vec::new();
    for name in ["one", "two"] {
        replicas.push(replica(&database, folder.path(), name, &url, &limits).await);
    }
    let first = agent(pool, 1).await;
    let second = of_task(pool, task_of(pool, first).await, StageKey::Review).await;
    let agents = [first, second, agent(pool, 2).await];
    for agent in agents {
        admit(pool, agent).await;
    }
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..90_u64 {
        let socket = replicas[usize::from(n % 2 == 0)].socket().to_owned();
        let agent = agents[usize::try_from(n % 3).unwrap()];
        asking.spawn(async move { ask(&socket, agent, 1_024 + n * 50).await });
    }
    let answers = asking.join_all().await;
    let count = |status: StatusCode| answers.iter().filter(|other| **other == status).count();
    let answered = count(StatusCode::OK);
    assert!(answered > 5, "{answers:?}");
    assert_eq!(
        answered + count(StatusCode::INTERNAL_SERVER_ERROR) + count(StatusCode::FORBIDDEN),
        90
    );
    for replica in replicas {
        patiently(replica.stop()).await;
    }
    let today = Clock::system().now().date_naive().to_string();
    let mut scopes: Vec<(String, &str, Micros)> =
        agents.iter().map(|agent| (format!("agent:{agent}"), "", Micros(300_000))).collect();
    for agent in [agents[0], agents[2]] {
        scopes.push((format!("task:{}", task_of(pool, agent).await), "", limits.task));
    }
    scopes.push(("repository:9".to_owned(), &today, limits.repository_day));
    scopes.push(("server".to_owned(), &today, limits.server_day));
    for (scope, period, limit) in scopes {
        // An agent that came too late has nothing: all its requests were refused.
        let found = budgets::find(pool, &scope, period).await.unwrap();
        let Some(row) = found else { continue };
        assert!(row.spent <= limit, "{scope}: {row:?}");
        assert_eq!((row.reserved, row.beyond), (Micros::ZERO, Micros::ZERO), "{scope}");
    }
    // Nothing that would have fitted was refused: less is left than the least request costs.
    let spent = usage::spent_today(pool, RepositoryId(9), Clock::system().now()).await.unwrap();
    let repository = row(pool, "repository:9".to_owned(), &today).await;
    assert_eq!(repository.spent, spent, "the rows are the sum of what was used");
    let least = json!({"model": MODEL, "max_tokens": 1_024, "messages": []});
    assert!(limits.repository_day.0 - spent.0 < worst(&least).0 + 100, "{spent} were spent");
    serving.abort();
}

/// Something that happens to the money of one agent.
#[derive(Debug, Clone)]
enum Step {
    /// A request of a size, for an answer of a length.
    Reserve { bytes: u64, output: u64 },
    /// The oldest request is answered, and used so many hundredths of what was held back.
    Settle { hundredths: i64 },
    /// Nobody sees the end of the oldest request.
    Unseen,
    /// The task may cost so much from now on.
    Limit { micros: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0_u64..20_000, 1_u64..20_000)
            .prop_map(|(bytes, output)| Step::Reserve { bytes, output }),
        3 => (0_i64..150).prop_map(|hundredths| Step::Settle { hundredths }),
        1 => Just(Step::Unseen),
        1 => (0_i64..600_000).prop_map(|micros| Step::Limit { micros }),
    ];
    prop::collection::vec(step, 1..25)
}

/// What the books should say.
#[derive(Debug, Default)]
struct Sums {
    open: std::collections::VecDeque<(i64, Micros, Micros)>,
    spent: i64,
}

impl Sums {
    fn reserved(&self) -> i64 {
        self.open.iter().map(|(_, reserved, _)| reserved.0).sum()
    }
}

async fn play(pool: &PgPool, issue: u64, steps: Vec<Step>) {
    let agent = agent(pool, issue).await;
    admit(pool, agent).await;
    let task = task_of(pool, agent).await;
    let mut limits = Limits { task: Micros(400_000), ..Limits::default() };
    let mut sums = Sums::default();
    let price = Price { search: Micros(10_000), ..Price::of_dollars(3.0, 15.0) };
    for step in steps {
        let books = DatabaseAgents::new(pool.clone(), limits.clone());
        match step {
            Step::Reserve { bytes, output } => {
                let grant = books.of_token(token_hash(&token(agent))).await.unwrap().unwrap();
                let caching = if bytes % 2 == 0 { Caching::None } else { Caching::Minutes };
                let searches = u32::try_from(bytes % 3).unwrap();
                let web = WebUses { searches, fetches: 0, tokens: bytes };
                let size = Size { bytes, max_output: output, caching, web, ..Size::default() };
                let bill = Bill::new(price, size);
                let left = Micros(limits.task.0 - sums.spent - sums.reserved());
                let at = Clock::system().now();
                let asked = Reservation { grant, model: MODEL.to_owned(), bill, at };
                match (books.reserve(asked).await.unwrap(), bill.fitting(left)) {
                    (Reserved::Held { number, allowed }, Some(fits)) => {
                        assert_eq!(allowed, fits);
                        let reserved = bill.at_most(allowed);
                        sums.open.push_back((number, reserved, bill.expected().min(reserved)));
                    }
                    (Reserved::Refused(limited), None) => {
                        let needs = bill.at_most(bill.least());
                        let scope = BudgetScope::Task;
                        assert_eq!(limited, Limited::Budget { scope, left, needs });
                    }
                    (told, fits) => panic!("{told:?}, though {fits:?} fits {left}"),
                }
            }
            Step::Settle { hundredths } => {
                let Some((number, reserved, _)) = sums.open.pop_front() else { continue };
                let cost = Micros(reserved.0 * hundredths / 100);
                sums.spent += cost.0;
                let at = Clock::system().now();
                let tokens = TokenUsage::default();
                let used = RequestUsage { tokens, cost, complete: true, at };
                books.settle(number, used).await.unwrap();
            }
            Step::Unseen => {
                let Some((number, _, expected)) = sums.open.pop_front() else { continue };
                sums.spent += expected.0;
                let mut tx = pool.begin().await.unwrap();
                let now = Clock::system().now();
                usage::settle(&mut tx, UsageId(number), Settled::Unseen, now).await.unwrap();
                tx.commit().await.unwrap();
            }
            Step::Limit { micros } => limits.task = Micros(micros),
        }
        let Some(row) = budgets::find(pool, &format!("task:{task}"), "").await.unwrap() else {
            assert_eq!((sums.spent, sums.reserved()), (0, 0), "spent, and no budget knows");
            continue;
        };
        assert_eq!(row.spent.0 + row.beyond.0, sums.spent);
        assert_eq!(row.reserved.0, sums.reserved());
        assert!(row.spent.0 + row.reserved.0 <= row.limit.0);
    }
    let spent = usage::spent(pool, task).await.unwrap();
    let open: i64 = sums.open.iter().map(|(_, _, expected)| expected.0).sum();
    assert_eq!(spent.0, sums.spent + open);
    db::agents::finish(pool, agent, Finished::only(End::Lost), Clock::system().now())
        .await
        .unwrap();
}

#[test]
fn the_books_are_right_after_whatever_happened_in_whatever_order() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::new());
    // The limits of the day are shared by all cases: they are none here.
    let issue = AtomicU64::new(1);
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() };
    proptest!(config, |(steps in steps())| {
        let issue = issue.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(play(&database.pool, issue, steps));
    });
    drop(runtime.block_on(async { database }));
}

#[tokio::test]
async fn an_agents_models_and_money_are_what_its_role_may_have_within_the_servers_limits() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let agent = agent(pool, 1).await;
    admit(pool, agent).await;
    let role = RolePolicy {
        models: vec!["small-model".to_owned(), "dear-model".to_owned()],
        budget: Some(Micros(1_000_000)),
        requests: Some(120),
        ..RolePolicy::default()
    };
    let policy = Policy { roles: [(Role::Coding, role)].into(), ..Policy::default() };
    sqlx::query("UPDATE tasks SET policy = $1")
        .bind(serde_json::to_value(&policy).unwrap())
        .execute(pool)
        .await
        .unwrap();
    let grant = async |limits: &Limits| {
        let books = DatabaseAgents::new(pool.clone(), limits.clone());
        books.of_token(token_hash(&token(agent))).await.unwrap().unwrap()
    };
    let open = grant(&Limits::default()).await;
    assert_eq!(open.models, ["small-model", "dear-model", MODEL]);
    assert_eq!(open.budgets, [1_000_000, 5_000_000, 25_000_000, 100_000_000].map(Micros));
    assert_eq!(open.most_requests, 120);
    let allowed = vec![MODEL.to_owned(), "small-model".to_owned()];
    let strict = Limits {
        models: [(Role::Coding, allowed)].into(),
        agent: Some(Micros(200_000)),
        task: Micros(700_000),
        requests: 9,
        ..Limits::default()
    };
    let within = grant(&strict).await;
    assert_eq!(within.models, ["small-model", MODEL]);
    assert_eq!(within.budgets[..2], [Micros(200_000), Micros(700_000)]);
    assert_eq!(within.most_requests, 9, "policy lowers and never raises");
    let few = Limits { requests: 700, ..Limits::default() };
    assert_eq!(grant(&few).await.most_requests, 120);
    let books = DatabaseAgents::new(pool.clone(), strict);
    assert_eq!(books.of_token(token_hash("nobody's")).await.unwrap(), None);
}
