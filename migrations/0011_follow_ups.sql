-- What agents noticed outside of their task, each with a number of its own on the thread: a tick there says no more.
CREATE TABLE follow_ups (
    repository_id bigint NOT NULL REFERENCES repositories ON DELETE CASCADE,
    -- The task's thread. Its tasks count on, so that a tick below an older one's comment means no newer one's.
    thread bigint NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    agent_id bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    title text NOT NULL,
    text text NOT NULL,
    at timestamptz NOT NULL,
    -- What a person had opened for it.
    issue bigint CHECK (issue > 0),
    PRIMARY KEY (repository_id, thread, number)
);
CREATE INDEX follow_ups_by_task ON follow_ups (task_id);
CREATE INDEX follow_ups_by_agent ON follow_ups (agent_id);
