-- Agents ask people, and call tools of Baton's own.

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
