"""A plugin that does everything that a plugin may do with its context, a function for each thing."""
