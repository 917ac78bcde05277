-- Agents ask people, leave things for each other, and write to each other: by tools of Baton's own.

-- One row a question. Its agent ends with it, so an agent has at most one.
CREATE TABLE questions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    agent_id bigint NOT NULL UNIQUE REFERENCES agents ON DELETE CASCADE,
    text text NOT NULL,
    options jsonb NOT NULL,
    -- The option that counts when the deadline passes; both or neither.
    fallback integer CHECK (fallback > 0),
    deadline timestamptz,
    at timestamptz NOT NULL,
    answer jsonb,
    answered_at timestamptz,
    UNIQUE (task_id, number),
    CHECK ((fallback IS NULL) = (deadline IS NULL)),
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);
CREATE INDEX questions_due ON questions (deadline) WHERE answer IS NULL AND deadline IS NOT NULL;

-- Which of Baton's tools an agent may call, and how often it has.
ALTER TABLE agents ADD COLUMN tools jsonb NOT NULL DEFAULT '[]';
ALTER TABLE agents ADD COLUMN tool_calls integer NOT NULL DEFAULT 0;

-- What the agents of a task leave for those after them. A new version is a new row.
CREATE TABLE context_entries (
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    key text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    agent_id bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    value text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (task_id, key, version)
);

-- What the agents of a task write to each other (`send_message`). Without session and role it is for all of the task.
CREATE TABLE letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
    from_agent bigint NOT NULL REFERENCES agents ON DELETE CASCADE,
    -- Not the agent: whoever goes on with its session is meant too.
    to_session uuid,
    to_role text CHECK (to_role IN ('starter', 'coding', 'reviewer', 'deployer', 'verifier', 'auditor')),
    kind text NOT NULL CHECK (kind IN
        ('task_request', 'task_response', 'status_update', 'coordination', 'heartbeat', 'error')),
    correlation text,
    body text NOT NULL,
    at timestamptz NOT NULL,
    CHECK (to_session IS NULL OR to_role IS NULL)
);
CREATE INDEX letters_by_task ON letters (task_id, id);

-- Who has read it, by session: one that goes on knows it already, a fresh one of the role does not.
CREATE TABLE letters_read (
    letter_id bigint NOT NULL REFERENCES letters ON DELETE CASCADE,
    session_id uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (letter_id, session_id)
);
