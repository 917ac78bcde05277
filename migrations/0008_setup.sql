-- Set-ups of repositories, and what was fetched from where.

-- A set-up is a run of commands like the others.
ALTER TABLE command_runs DROP CONSTRAINT command_runs_kind_check;
ALTER TABLE command_runs ADD CONSTRAINT command_runs_kind_check
    CHECK (kind IN ('setup', 'test', 'deploy', 'verify'));

-- What an agent or a run of commands asked of hosts, each thing once. Where the address was encrypted, the
-- package is not known.
CREATE TABLE fetches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    agent_id bigint REFERENCES agents ON DELETE CASCADE,
    run_id bigint REFERENCES command_runs ON DELETE CASCADE,
    host text NOT NULL,
    port integer NOT NULL,
    package text,
    -- Why it was not let through; none where it was.
    blocked jsonb,
    at timestamptz NOT NULL,
    CHECK (num_nonnulls(agent_id, run_id) = 1)
);
CREATE INDEX fetches_by_task ON fetches (task_id);
CREATE INDEX fetches_by_agent ON fetches (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX fetches_by_run ON fetches (run_id) WHERE run_id IS NOT NULL;
