-- Since when an agent takes no new operations; null while it takes them.
ALTER TABLE agents ADD COLUMN drained_at INTEGER;
