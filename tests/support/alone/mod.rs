//! Runs a test in a process of its own, for figures that are the process's: memory, open files.

use std::process::Command;

/// Set in the process that runs one test alone.
const ALONE: &str = "IMAPSCOPE_TEST_ALONE";

/// Returns true in a process that runs this test only. Otherwise starts one, fails the test if it fails, and returns false.
/// `module` is `module_path!()`, `test` the name of the function; `shell` runs first, for example `ulimit -n 40`.
pub fn alone(module: &str, test: &str, shell: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let name = module.split_once("::").map_or_else(|| test.to_owned(), |(_, module)| format!("{module}::{test}"));
    let program = std::env::current_exe().expect("a test has a program");
    let script = format!("{shell}\nexec \"$0\" --exact \"$1\" --nocapture");
    let output = Command::new("sh").args(["-c", &script]).arg(program).arg(&name).env(ALONE, "1").output();
    let output = output.expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name}:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}
