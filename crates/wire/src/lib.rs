//! Messages to types and back; refusals with field paths.
