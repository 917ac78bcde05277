-- Approvals of a push, bound to its commit, beside those of a plan. A version that does not know them finds none
-- on the tasks that it knows: they are given only where a task waits for one.
ALTER TABLE approvals ALTER COLUMN plan DROP NOT NULL;
ALTER TABLE approvals ADD COLUMN sha text;
ALTER TABLE approvals ADD CONSTRAINT approvals_of_one_thing CHECK ((plan IS NULL) <> (sha IS NULL));
CREATE UNIQUE INDEX approvals_of_push_alive ON approvals (task_id, sha, actor_id) WHERE died_at IS NULL AND sha IS NOT NULL;
