-- Times are microseconds since 1970, ids and names text, digests 32 bytes, free values JSON text.

CREATE TABLE tenants (
    name TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants,
    hash BLOB NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    description TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX api_tokens_by_tenant ON api_tokens (tenant, id);

CREATE TABLE join_tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    agent TEXT,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    used_by TEXT,
    used_key BLOB,
    used_certificate TEXT
) STRICT;
CREATE INDEX join_tokens_by_tenant ON join_tokens (tenant);
CREATE INDEX join_tokens_by_end ON join_tokens (expires_at);

CREATE TABLE agents (
    tenant TEXT NOT NULL REFERENCES tenants,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    address TEXT,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    serial TEXT,
    PRIMARY KEY (tenant, name)
) STRICT;

-- Every certificate of an agent that may still be valid. It outlives the agent: a removed agent's
-- are denied.
CREATE TABLE certificates (
    serial TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    agent TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    denied_at INTEGER
) STRICT;
CREATE INDEX certificates_by_agent ON certificates (tenant, agent);
CREATE INDEX certificates_by_end ON certificates (expires_at);

CREATE TABLE plugins (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants,
    title TEXT NOT NULL,
    package_name TEXT NOT NULL,
    package_version TEXT NOT NULL,
    supported_platform TEXT NOT NULL,
    distribution TEXT NOT NULL,
    distribution_version TEXT NOT NULL,
    distribution_release TEXT NOT NULL,
    supported_python_versions TEXT NOT NULL,
    wheels TEXT NOT NULL,
    archive_name TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    uploaded_at INTEGER NOT NULL,
    UNIQUE (tenant, package_name, package_version, supported_platform,
            distribution, distribution_version, distribution_release)
) STRICT;

CREATE TABLE plugin_yamls (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (plugin, position)
) STRICT;

CREATE TABLE blueprints (
    tenant TEXT NOT NULL REFERENCES tenants,
    id TEXT NOT NULL,
    description TEXT NOT NULL,
    main_file TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    plan TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- A plugin that was deleted by force is still named here.
CREATE TABLE blueprint_plugins (
    tenant TEXT NOT NULL,
    blueprint TEXT NOT NULL,
    plugin TEXT NOT NULL,
    PRIMARY KEY (tenant, blueprint, plugin),
    FOREIGN KEY (tenant, blueprint) REFERENCES blueprints ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX blueprint_plugins_by_plugin ON blueprint_plugins (plugin);

CREATE TABLE deployments (
    tenant TEXT NOT NULL REFERENCES tenants,
    id TEXT NOT NULL,
    blueprint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    inputs TEXT NOT NULL,
    workflows TEXT NOT NULL,
    plan TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, blueprint) REFERENCES blueprints
) STRICT;
CREATE INDEX deployments_by_blueprint ON deployments (tenant, blueprint, id);

CREATE TABLE node_instances (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    deployment TEXT NOT NULL,
    node TEXT NOT NULL,
    place INTEGER NOT NULL,
    host TEXT,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    runtime_properties TEXT NOT NULL,
    system_properties TEXT NOT NULL,
    relationships TEXT NOT NULL,
    scaling_groups TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, deployment) REFERENCES deployments ON DELETE CASCADE
) STRICT;
CREATE INDEX node_instances_in_order
    ON node_instances (tenant, deployment, node, place, id, state);

CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL,
    parameters TEXT NOT NULL,
    settings TEXT NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    total_operations INTEGER NOT NULL,
    finished_operations INTEGER NOT NULL,
    FOREIGN KEY (tenant, deployment) REFERENCES deployments ON DELETE CASCADE
) STRICT;
CREATE INDEX executions_by_age ON executions (tenant, created_at, id);
CREATE INDEX executions_by_deployment ON executions (tenant, deployment, created_at, id);
CREATE INDEX executions_not_ended ON executions (tenant, deployment) WHERE ended_at IS NULL;

CREATE TABLE tasks (
    execution TEXT NOT NULL REFERENCES executions ON DELETE CASCADE,
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    operation TEXT,
    retry INTEGER NOT NULL,
    not_before INTEGER,
    state TEXT NOT NULL,
    PRIMARY KEY (execution, number)
) STRICT;

CREATE TABLE operations (
    id TEXT NOT NULL PRIMARY KEY,
    execution TEXT NOT NULL REFERENCES executions ON DELETE CASCADE,
    task INTEGER NOT NULL,
    retry INTEGER NOT NULL,
    name TEXT NOT NULL,
    node_instance TEXT,
    target TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT
) STRICT;
CREATE INDEX operations_by_execution ON operations (execution, task, retry);

CREATE TABLE attempts (
    id TEXT NOT NULL PRIMARY KEY,
    operation TEXT NOT NULL REFERENCES operations ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    agent TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    watermark INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_by_operation ON attempts (operation, epoch);
CREATE INDEX attempts_not_ended ON attempts (tenant, agent) WHERE ended_at IS NULL;

-- `AUTOINCREMENT`: the id of a deleted event is never given again.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    time INTEGER NOT NULL,
    reported_at INTEGER NOT NULL,
    event_type TEXT,
    level INTEGER,
    logger TEXT,
    execution TEXT,
    deployment TEXT,
    workflow TEXT,
    node TEXT,
    node_instance TEXT,
    target TEXT,
    operation TEXT,
    agent TEXT,
    attempt TEXT,
    sequence INTEGER,
    message TEXT NOT NULL,
    causes TEXT
) STRICT;
CREATE INDEX events_by_tenant ON events (tenant);
CREATE INDEX events_by_execution ON events (execution) WHERE execution IS NOT NULL;
CREATE INDEX events_by_deployment ON events (tenant, deployment) WHERE deployment IS NOT NULL;

CREATE TABLE secrets (
    tenant TEXT NOT NULL REFERENCES tenants,
    key TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;

-- No answer yet: the request is being worked on.
CREATE TABLE requests (
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id TEXT NOT NULL,
    method TEXT NOT NULL,
    digest BLOB NOT NULL,
    asked_at INTEGER NOT NULL,
    answer BLOB,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (asked_at);
