-- The queue. Rows of `jobs` live from enqueueing to the end; what became of them is in `job_history`.

CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    lane text NOT NULL CHECK (lane IN ('quick', 'decide', 'say', 'agent', 'sweep')),
    priority smallint NOT NULL DEFAULT 0,
    key text,
    dedup text,
    repository_id bigint,
    run_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    worker text,
    error text,
    CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_waiting ON jobs (lane, priority, run_at, id) WHERE lease_token IS NULL;
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_token IS NOT NULL;
CREATE INDEX jobs_by_key ON jobs (key, id) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX jobs_waiting_dedup ON jobs (dedup) WHERE lease_token IS NULL AND dedup IS NOT NULL;

-- The serial lock: a row is here exactly while a job of that key is leased. Its primary key is what makes two
-- leases of one key impossible, whatever the claiming statements saw.
CREATE TABLE job_keys (
    key text PRIMARY KEY,
    job_id bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE job_history (
    id bigint NOT NULL,
    kind text NOT NULL,
    key text,
    attempts smallint NOT NULL,
    result text NOT NULL CHECK (result IN ('done', 'failed', 'lost', 'superseded')),
    error text,
    worker text,
    -- Kept of those that did not end well only: they can be enqueued again.
    payload jsonb,
    ended_at timestamptz NOT NULL
) PARTITION BY RANGE (ended_at);
-- No other index: a row is written for every job and read by people alone.
CREATE INDEX job_history_failed ON job_history (ended_at) WHERE result IN ('failed', 'lost');

CREATE TABLE queue_settings (
    -- '' for everything, 'lane:agent', 'repo:123'.
    scope text PRIMARY KEY CHECK (scope = '' OR scope ~ '^(lane:[a-z]+|repo:[0-9]+)$'),
    paused boolean NOT NULL DEFAULT false,
    reason text,
    max_running integer CHECK (max_running >= 0),
    stop_on_failure boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL
);
