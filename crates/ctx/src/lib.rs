//! The ctx object as a script sees it: its argument language over an operation's data.
