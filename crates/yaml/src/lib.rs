//! YAML as PyYAML's safe loader reads it, with the position of every value.
