//! Owned async tasks, shutdown, backoff with jitter.
