-- Plans whose steps are played by several roles: what an agent plays, besides its stage.

-- Which role; none where it is the stage's own.
ALTER TABLE agents ADD COLUMN role text;
-- Which subtask of the plan, from 1; none where it plays its stage as a whole.
ALTER TABLE agents ADD COLUMN subtask integer;
