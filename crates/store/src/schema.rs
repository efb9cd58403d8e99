//! The versions of the database, and the way from each to the next.

use rusqlite::Connection;

/// What makes each version of the one before; version 0 is empty. A published one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0002_workflows.sql"),
    include_str!("schema/0003_attempts.sql"),
    include_str!("schema/0004_output.sql"),
    include_str!("schema/0005_drain.sql"),
    include_str!("schema/0006_annotations.sql"),
    include_str!("schema/0007_installations.sql"),
];

/// Why the database cannot be brought to our version.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// It is of a version that only a later manager knows.
    Newer {
        found: usize,
        known: usize,
    },
    Migrate {
        version: usize,
        source: rusqlite::Error,
    },
}

/// Brings the database to the newest version, each step in a transaction of its own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Flaw> {
    let known = MIGRATIONS.len();
    let found = version(connection).map_err(|source| Flaw::Migrate { version: 0, source })?;
    if found > known {
        return Err(Flaw::Newer { found, known });
    }
    for (version, migration) in (found + 1..).zip(&MIGRATIONS[found..]) {
        step(connection, version, migration).map_err(|source| Flaw::Migrate { version, source })?;
    }
    Ok(())
}

fn step(connection: &mut Connection, version: usize, migration: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(migration)?;
    transaction.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))?;
    transaction.commit()
}

/// Reads the version. A negative one is nobody's: it counts as newer.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
        migrate(&mut connection).unwrap();

        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut connection);
        assert!(matches!(refused, Err(Flaw::Newer { found: 99, .. })), "{refused:?}");
    }
}
