-- What a process wrote is one row for each record of it: many lines, packed. `packing` says how
-- (0 not at all, 1 LZ4 with its length before it), `stream` whether each line is a log line and of
-- which stream (0 none, 1 stdout, 2 stderr), `weight` what the row amounts to once it is unpacked.
ALTER TABLE events ADD COLUMN output BLOB;
ALTER TABLE events ADD COLUMN packing INTEGER;
ALTER TABLE events ADD COLUMN stream INTEGER;
ALTER TABLE events ADD COLUMN weight INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_by_attempt ON events (attempt, sequence) WHERE attempt IS NOT NULL;
CREATE INDEX events_by_age ON events (reported_at);
