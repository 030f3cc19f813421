//! `cargo quick`: runs the checks that find most mistakes, and stops at the first that fails. `.ci/run` runs them all.

use std::process::{Command, ExitCode};
use std::time::Instant;

/// Title, and arguments of cargo.
const STAGES: [(&str, &[&str]); 3] = [
    ("format", &["fmt", "--check"]),
    ("lints", &["clippy", "--quiet", "--locked", "--lib", "--bins", "--tests", "--", "-D", "warnings"]),
    (
        "library tests, dialogues, the rules of the house",
        &["test", "--quiet", "--locked", "--lib", "--test", "explaining", "--test", "house", "--", "--skip", "secrets"],
    ),
];

fn main() -> ExitCode {
    // The cargo that runs this program, so that `cargo +TOOLCHAIN quick` checks with that toolchain.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let begun = Instant::now();
    for (title, arguments) in STAGES {
        let start = Instant::now();
        match Command::new(&cargo).args(arguments).status() {
            Ok(status) if status.success() => println!("passed: {title} ({:.1} s)", start.elapsed().as_secs_f32()),
            Ok(_) => {
                eprintln!("failed: {title}\nhelp: cargo {}", arguments.join(" "));
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("cannot run cargo: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("all passed in {:.1} s", begun.elapsed().as_secs_f32());
    ExitCode::SUCCESS
}
