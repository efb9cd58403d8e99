//! The manager's database: typed queries, migrations, one writer that commits in groups.
