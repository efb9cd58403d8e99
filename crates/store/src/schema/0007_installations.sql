-- How plugins stand on agents: what the agents tell, and what they were asked for and have not
-- heard yet.
CREATE TABLE installations (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    agent TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (plugin, agent),
    FOREIGN KEY (tenant, agent) REFERENCES agents ON DELETE CASCADE
) STRICT;

CREATE INDEX installations_of_agents ON installations (tenant, agent);
