-- What agents hold on disk, besides what they write to it.

ALTER TABLE agents ADD COLUMN held_bytes bigint NOT NULL DEFAULT 0;

-- When a queued one starts at the earliest, as one before it went wrong.
ALTER TABLE agents ADD COLUMN not_before timestamptz;
-- What the gateway refused, besides what a limit did: a list of what and how often.
ALTER TABLE agents ADD COLUMN refused jsonb NOT NULL DEFAULT '[]';
