//! How much is tried where more finds more: a quarter, so that nobody waits for it, and all with `IMAPSCOPE_THOROUGH=1`, as
//! in `.ci/run`.
#![allow(dead_code)] // each area uses a part

use proptest::test_runner::Config;

/// Returns true if all is to be tried.
pub fn thorough() -> bool {
    std::env::var_os("IMAPSCOPE_THOROUGH").is_some_and(|value| value == "1")
}

/// Configures a property that tries this many random cases if all is to be tried.
pub fn cases(all: u32) -> Config {
    let cases = if thorough() { all } else { all / 4 };
    Config { cases, failure_persistence: None, ..Config::default() }
}
