//! Whole-system tests: the stories are in `tests/`, one binary of real processes.
