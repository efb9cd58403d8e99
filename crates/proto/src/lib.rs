//! Generated messages and stubs from proto/, nothing by hand.
