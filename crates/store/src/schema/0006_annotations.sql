-- What plugins note beside deployments and blueprints over Cloudify's REST API.

-- `kind` is deployment or blueprint, `owner` the id of one.
CREATE TABLE labels (
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, owner, key, value)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO labels
    SELECT d.tenant, 'deployment', d.id, label.key, value.value, d.created_at
    FROM deployments d, json_each(d.plan, '$.labels') label, json_each(label.value, '$.values') value
    WHERE value.type = 'text';
INSERT OR IGNORE INTO labels
    SELECT b.tenant, 'blueprint', b.id, label.key, value.value, b.created_at
    FROM blueprints b, json_each(b.plan, '$.blueprint_labels') label,
        json_each(label.value, '$.values') value
    WHERE value.type = 'text';

CREATE TABLE sites (
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name TEXT NOT NULL,
    location TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployment_notes (
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    display_name TEXT,
    site TEXT,
    PRIMARY KEY (tenant, deployment),
    FOREIGN KEY (tenant, deployment) REFERENCES deployments ON DELETE CASCADE,
    FOREIGN KEY (tenant, site) REFERENCES sites (tenant, name) ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deployment_notes_by_site ON deployment_notes (tenant, site);

-- A target that was deleted by force, or is another manager's, is not named.
CREATE TABLE dependencies (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    creator TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT,
    target_function TEXT,
    external_source TEXT,
    external_target TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, source, creator),
    FOREIGN KEY (tenant, source) REFERENCES deployments ON DELETE CASCADE
) STRICT;
CREATE INDEX dependencies_by_target ON dependencies (tenant, target);

CREATE TABLE deployment_groups (
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id TEXT NOT NULL,
    description TEXT,
    blueprint TEXT,
    inputs TEXT NOT NULL,
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployment_group_members (
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    deployment_group TEXT NOT NULL,
    PRIMARY KEY (tenant, deployment_group, deployment),
    FOREIGN KEY (tenant, deployment) REFERENCES deployments ON DELETE CASCADE,
    FOREIGN KEY (tenant, deployment_group) REFERENCES deployment_groups ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deployment_group_members_by_deployment
    ON deployment_group_members (tenant, deployment);
