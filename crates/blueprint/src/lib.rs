//! Blueprint text and its imports to a plan; intrinsic functions.
