-- Everything that Baton knows. Forward only: the version before this one must keep running while it is applied.
--
-- States are text with a CHECK (an enum type could not be extended while two versions run), and the whole state,
-- data included, is in the jsonb column beside it. Money is in micro-USD. Ids that GitHub gives are bigint without a
-- sequence. Tables that grow with time are partitioned by UTC day and lose whole days.

-- What tells this database from every other one, also after a restore on another machine.
CREATE TABLE server (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO server DEFAULT VALUES;

CREATE TABLE installations (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    account text NOT NULL,
    suspended_at timestamptz,
    deleted_at timestamptz,
    -- Until when nothing may be asked, and until when nothing may be written (secondary limits).
    paused_until timestamptz,
    content_paused_until timestamptz
);

CREATE TABLE repositories (
    id bigint PRIMARY KEY,
    installation_id bigint NOT NULL REFERENCES installations,
    owner text NOT NULL,
    name text NOT NULL,
    default_branch text NOT NULL,
    private boolean NOT NULL,
    "off" boolean NOT NULL DEFAULT false,
    policy jsonb,
    policy_sha text,
    policy_error text,
    removed_at timestamptz
);
CREATE INDEX repositories_by_name ON repositories (lower(owner), lower(name));

CREATE TABLE nodes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    sandboxes jsonb NOT NULL DEFAULT '[]'
);

-- Narrow and whole, so that a GUID is unique for as long as GitHub can send it again.
CREATE TABLE deliveries (
    guid uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    event text NOT NULL,
    target_id bigint,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'parsed', 'ignored', 'own', 'failed')),
    reason text
);
CREATE INDEX deliveries_by_time ON deliveries (received_at);

CREATE TABLE delivery_bodies (
    guid uuid NOT NULL,
    received_at timestamptz NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (guid, received_at)
) PARTITION BY RANGE (received_at);

-- lz4 needs a fifth of the time of the built-in compression; not every server is built with it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        ALTER TABLE delivery_bodies ALTER COLUMN body SET COMPRESSION lz4;
    END IF;
END
$$;

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    dedup_key text NOT NULL,
    repository_id bigint NOT NULL,
    subject jsonb NOT NULL,
    actor jsonb NOT NULL,
    cause jsonb NOT NULL,
    what jsonb NOT NULL,
    UNIQUE (repository_id, dedup_key)
);
CREATE INDEX events_by_repository ON events (repository_id, at);

CREATE TABLE tasks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository_id bigint NOT NULL REFERENCES repositories,
    origin text NOT NULL CHECK (origin IN ('issue', 'pull', 'audit')),
    number bigint NOT NULL CHECK (number > 0),
    generation integer NOT NULL CHECK (generation > 0),
    state text NOT NULL CHECK (state IN ('open', 'waiting', 'parked', 'done', 'cancelled')),
    state_data jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    input jsonb NOT NULL,
    input_hash text NOT NULL,
    -- What the task began with: a change of the file does not reach it.
    policy jsonb NOT NULL,
    rounds integer NOT NULL DEFAULT 0,
    max_rounds integer NOT NULL,
    budget_micros bigint NOT NULL,
    requested_by jsonb,
    pull bigint,
    branch text,
    head text,
    merged text,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    endings integer NOT NULL DEFAULT 0,
    UNIQUE (repository_id, number, generation),
    CHECK ((closed_at IS NOT NULL) = (state IN ('done', 'cancelled')))
);
CREATE UNIQUE INDEX tasks_open_by_thread ON tasks (repository_id, number) WHERE closed_at IS NULL;

-- By what an event finds its task.
CREATE TABLE task_refs (
    repository_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('issue', 'pull', 'branch', 'sha', 'check', 'deployment', 'comment')),
    ref text NOT NULL,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    PRIMARY KEY (repository_id, kind, ref, task_id)
);
CREATE INDEX task_refs_by_task ON task_refs (task_id);

-- An event is decided once per task; the row says why what happened happened.
CREATE TABLE decisions (
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    event_id bigint NOT NULL REFERENCES events,
    at timestamptz NOT NULL,
    rule text NOT NULL,
    facts jsonb NOT NULL,
    decision jsonb NOT NULL,
    PRIMARY KEY (task_id, event_id)
);

CREATE TABLE stages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    key text NOT NULL CHECK (key IN ('plan', 'code', 'review', 'deploy', 'verify', 'audit')),
    state text NOT NULL CHECK (state IN
        ('blocked', 'running', 'commands', 'publishing', 'waiting', 'passed', 'failed', 'cancelled')),
    state_data jsonb NOT NULL,
    round integer NOT NULL,
    head text,
    changed_at timestamptz NOT NULL,
    UNIQUE (task_id, key)
);

CREATE TABLE plans (
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    hash text NOT NULL,
    input_hash text NOT NULL,
    body jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (task_id, number)
);

CREATE TABLE approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    plan text NOT NULL,
    actor_id bigint NOT NULL,
    actor jsonb NOT NULL,
    permission text NOT NULL CHECK (permission IN ('none', 'read', 'triage', 'write', 'maintain', 'admin')),
    event_id bigint REFERENCES events,
    at timestamptz NOT NULL,
    died_at timestamptz
);
CREATE UNIQUE INDEX approvals_alive ON approvals (task_id, plan, actor_id) WHERE died_at IS NULL;

CREATE TABLE findings (
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    fingerprint text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('must_fix', 'suggestion')),
    path text NOT NULL,
    line integer NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    suggestion text,
    state text NOT NULL CHECK (state IN ('open', 'settled')),
    first_round integer NOT NULL,
    last_round integer NOT NULL,
    thread_node_id text,
    PRIMARY KEY (task_id, number),
    UNIQUE (task_id, fingerprint)
);

CREATE TABLE agents (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    stage_id bigint NOT NULL REFERENCES stages ON DELETE CASCADE,
    attempt integer NOT NULL CHECK (attempt > 0),
    provider text NOT NULL,
    model text NOT NULL,
    session_id uuid NOT NULL,
    resumes_id bigint REFERENCES agents,
    inputs jsonb NOT NULL,
    base text NOT NULL,
    head text,
    state text NOT NULL CHECK (state IN ('queued', 'preparing', 'running', 'finishing', 'ended')),
    state_data jsonb NOT NULL,
    outcome jsonb,
    cost_micros bigint NOT NULL DEFAULT 0,
    todo jsonb NOT NULL DEFAULT '[]',
    last_line text,
    wanted text CHECK (wanted IN ('interrupt', 'kill')),
    wanted_by jsonb,
    -- SHA-256 of what the agent shows to the gateway; the token itself is nowhere.
    token_hash bytea UNIQUE,
    node_id bigint REFERENCES nodes,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    heartbeat_at timestamptz,
    last_output_at timestamptz,
    ended_at timestamptz,
    UNIQUE (stage_id, attempt),
    CHECK ((ended_at IS NOT NULL) = (state = 'ended'))
);
CREATE INDEX agents_by_task ON agents (task_id);
CREATE INDEX agents_open ON agents (node_id) WHERE ended_at IS NULL;
-- One agent a stage and a session; the one that was asked to end may still be on its way out.
CREATE UNIQUE INDEX agents_open_by_stage ON agents (stage_id) WHERE ended_at IS NULL AND wanted IS NULL;
CREATE UNIQUE INDEX agents_open_by_session ON agents (session_id) WHERE ended_at IS NULL AND wanted IS NULL;

CREATE TABLE agent_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    message jsonb NOT NULL,
    at timestamptz NOT NULL,
    delivered_at timestamptz
);
CREATE INDEX agent_inbox_undelivered ON agent_inbox (agent_id, id) WHERE delivered_at IS NULL;

CREATE TABLE agent_sessions (
    session_id uuid PRIMARY KEY,
    provider text NOT NULL,
    agent_id bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    bytes bytea NOT NULL,
    saved_at timestamptz NOT NULL
);

CREATE TABLE agent_lines (
    agent_id bigint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    stream text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (agent_id, seq, at)
) PARTITION BY RANGE (at);

-- What model requests cost: a reservation before, the real amount after. Sums over it are the budgets.
CREATE TABLE usage (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    task_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    model text NOT NULL,
    reserved_micros bigint NOT NULL,
    cost_micros bigint,
    tokens_input bigint NOT NULL DEFAULT 0,
    tokens_output bigint NOT NULL DEFAULT 0,
    tokens_cache_read bigint NOT NULL DEFAULT 0,
    tokens_cache_write bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX usage_by_task ON usage (task_id);
CREATE INDEX usage_by_time ON usage (at);
CREATE INDEX usage_unsettled ON usage (agent_id) WHERE settled_at IS NULL;

CREATE TABLE workspaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository_id bigint NOT NULL,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    agent_id bigint REFERENCES agents ON DELETE CASCADE,
    node_id bigint NOT NULL REFERENCES nodes,
    path text NOT NULL,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'idle', 'removing')),
    bytes bigint,
    used_at timestamptz NOT NULL,
    UNIQUE (node_id, path)
);
CREATE INDEX workspaces_by_task ON workspaces (task_id);

CREATE TABLE mirrors (
    repository_id bigint NOT NULL,
    node_id bigint NOT NULL REFERENCES nodes,
    path text NOT NULL,
    fetched_at timestamptz,
    bytes bigint,
    PRIMARY KEY (repository_id, node_id)
);

CREATE TABLE deployments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    environment text NOT NULL,
    sha text NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    state text NOT NULL CHECK (state IN ('queued', 'in_progress', 'success', 'failure')),
    github_id bigint,
    at timestamptz NOT NULL,
    UNIQUE (task_id, environment, sha, attempt)
);

CREATE TABLE command_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    stage text NOT NULL CHECK (stage IN ('plan', 'code', 'review', 'deploy', 'verify', 'audit')),
    kind text NOT NULL CHECK (kind IN ('test', 'deploy', 'verify')),
    commands jsonb NOT NULL,
    sha text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'ended', 'broken')),
    state_data jsonb NOT NULL,
    at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK ((ended_at IS NULL) = (state = 'pending'))
);
CREATE INDEX command_runs_by_task ON command_runs (task_id);
CREATE INDEX command_runs_pending ON command_runs (at) WHERE ended_at IS NULL;

CREATE TABLE reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    kind text NOT NULL,
    subject text NOT NULL,
    -- The whole `ReportKind`; kind and subject above are its key.
    about jsonb NOT NULL,
    wanted_version bigint NOT NULL DEFAULT 1,
    wanted_at timestamptz NOT NULL,
    applied_version bigint NOT NULL DEFAULT 0,
    applied_at timestamptz,
    applied_hash text,
    github_id bigint,
    node_id text,
    retry_at timestamptz,
    error text,
    UNIQUE (task_id, kind, subject),
    CHECK (applied_version <= wanted_version)
);
CREATE INDEX reports_lagging ON reports (wanted_at) WHERE applied_version < wanted_version;

-- Why each write to GitHub was made: the row first, then the call. Append, and one change of state.
CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    repository_id bigint NOT NULL,
    task_id bigint REFERENCES tasks ON DELETE SET NULL,
    event_id bigint REFERENCES events,
    act jsonb NOT NULL,
    name text NOT NULL,
    marker text NOT NULL UNIQUE,
    rule text NOT NULL,
    state text NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'done', 'failed', 'unknown')),
    github_id bigint,
    node_id text,
    error text,
    ended_at timestamptz
);
CREATE INDEX ledger_by_task ON ledger (task_id);
CREATE INDEX ledger_unfinished ON ledger (at) WHERE state IN ('intended', 'unknown');
