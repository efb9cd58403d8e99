-- The digest of the last record that is stored, and of all before it; 0 for none, or not known.
ALTER TABLE attempts ADD COLUMN chain INTEGER NOT NULL DEFAULT 0;

-- What was answered to questions that have an effect: asked again they get the same. The index
-- also keeps the order of an attempt's verdicts.
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    attempt TEXT NOT NULL REFERENCES attempts ON DELETE CASCADE,
    key BLOB NOT NULL,
    verdict TEXT NOT NULL,
    UNIQUE (attempt, key)
) STRICT;
CREATE INDEX verdicts_by_attempt ON verdicts (attempt);
