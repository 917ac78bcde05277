-- What agents hold on disk, besides what they write to it.

ALTER TABLE agents ADD COLUMN held_bytes bigint NOT NULL DEFAULT 0;
