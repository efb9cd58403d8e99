//! Spawn, group, signal, reap: a subprocess and all its descendants.
