//! A small pool of connections that only read, each used by one blocking thread at a time.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task};

use crate::error::Stop;

/// The connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// A connection that goes back to the pool, also when the query panics.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

// === impl Readers ===

impl Readers {
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), permits }
    }

    /// Runs `query` on one state of the database.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Stop> + Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("nobody closes the semaphore");
        let idle = Arc::clone(&self.idle);
        let reading = task::spawn_blocking(move || {
            let lent = Lent::take(idle);
            let transaction = lent.connection().unchecked_transaction()?;
            let result = query(&transaction);
            drop(transaction);
            drop(lent);
            drop(permit);
            result
        });
        reading.await.unwrap_or_else(|error| Err(Stop::Broken(error.into())))
    }
}

// === impl Lent ===

impl Lent {
    fn take(idle: Arc<Mutex<Vec<Connection>>>) -> Self {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { connection, idle }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("there is a connection for every permit")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}
