//! Runs operations on its host as subprocesses and streams back what they say.
