//! Parses the flags, runs the verb, chooses the exit code.
fn main() {}
