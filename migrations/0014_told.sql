-- What agents' programs tell of their own work besides what they call: what failed, what was denied, what they count.

ALTER TABLE agents ADD COLUMN failed_calls integer NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN denied_calls integer NOT NULL DEFAULT 0;
-- By the program's own count; what budgets hold is in `usage`.
ALTER TABLE agents ADD COLUMN told_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN told_micros bigint NOT NULL DEFAULT 0;
