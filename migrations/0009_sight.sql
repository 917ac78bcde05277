-- What agents take of their machine, what a queued one waits for, and whose turn it is.

ALTER TABLE agents ADD COLUMN cpu_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN memory_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN memory_peak_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN written_bytes bigint NOT NULL DEFAULT 0;
-- Tools that its program called, and failed requests to the model that it repeated; `tool_calls` are Baton's tools.
ALTER TABLE agents ADD COLUMN program_calls integer NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN model_retries integer NOT NULL DEFAULT 0;
-- Why a queued agent does not start yet.
ALTER TABLE agents ADD COLUMN waits_for text CHECK (waits_for IN
    ('memory', 'processors', 'server_limit', 'repository_limit', 'role_limit', 'provider_limit'));
-- From these the need of the next ones is estimated.
CREATE INDEX agents_measured ON agents (provider, id) WHERE memory_peak_bytes > 0;

-- What a job of the agent lane has a share in, and how many with a share in the same may run at once.
ALTER TABLE jobs ADD COLUMN share_names text[] NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN share_limits integer[] NOT NULL DEFAULT '{}';

-- When a repository last had a job of the agent lane started: the one that waits for longest is next.
CREATE TABLE queue_turns (
    repository_id bigint PRIMARY KEY,
    at timestamptz NOT NULL
);
