//! The rules of the house as tests, and what people and CI run.

fn main() {}
