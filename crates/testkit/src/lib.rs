//! A site of real processes, for whole-system tests.
