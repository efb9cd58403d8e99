ALTER TABLE executions ADD COLUMN company TEXT NOT NULL DEFAULT 'alone';
ALTER TABLE executions ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN dry_run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN scheduled_for INTEGER;
-- The deployment's revision that the execution runs on.
ALTER TABLE executions ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- Apart: they may be long, and the row of an execution is written with every turn.
CREATE TABLE execution_settings (
    execution TEXT NOT NULL PRIMARY KEY REFERENCES executions ON DELETE CASCADE,
    settings TEXT NOT NULL
) STRICT;
INSERT INTO execution_settings
    SELECT id, json_object('start', json(settings)) FROM executions;
ALTER TABLE executions DROP COLUMN settings;

-- Grows with each change of what the deployment is made of.
ALTER TABLE deployments ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
-- The execution whose change of it is not finished and not taken back.
ALTER TABLE deployments ADD COLUMN reshaped_by TEXT;

DROP INDEX executions_not_ended;
CREATE INDEX executions_not_ended ON executions (tenant, deployment, status)
    WHERE ended_at IS NULL;
