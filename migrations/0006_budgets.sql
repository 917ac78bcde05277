-- Budgets as rows: what a model request may cost at most is held back here, in each budget above it, before the
-- request is sent. The CHECK is the law that holds over any number of replicas; `beyond` is what the API charged
-- above what was held back, so that the sums stay true where a bound did not hold.

CREATE TABLE budgets (
    -- agent:7, task:3, repository:9, server
    scope text NOT NULL,
    -- The UTC day of a limit for a day, empty for a limit without end.
    period text NOT NULL,
    limit_micros bigint NOT NULL,
    spent_micros bigint NOT NULL DEFAULT 0 CHECK (spent_micros >= 0),
    reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
    beyond_micros bigint NOT NULL DEFAULT 0 CHECK (beyond_micros >= 0),
    PRIMARY KEY (scope, period),
    CHECK (spent_micros + reserved_micros <= limit_micros)
);

-- `counted`: its reservation is in `budgets`; a version before this one reserved without them.
-- `expected_micros`: what it will about cost, shown while it is on its way and booked where nobody saw its answer.
ALTER TABLE usage
    ADD COLUMN counted boolean NOT NULL DEFAULT false,
    ADD COLUMN expected_micros bigint NOT NULL DEFAULT 0;
CREATE INDEX usage_by_agent ON usage (agent_id);
CREATE INDEX usage_by_repository_and_time ON usage (repository_id, at);

-- How many requests to a model an agent has made, and the limit at which the gateway refused the last one.
ALTER TABLE agents
    ADD COLUMN requests integer NOT NULL DEFAULT 0,
    ADD COLUMN limited jsonb;

-- Credentials that rest, by a name made of a hash. The secret itself is in no table.
CREATE TABLE provider_keys (
    name text PRIMARY KEY,
    provider text NOT NULL,
    cooldown_until timestamptz NOT NULL,
    reason text NOT NULL
);
