//! Parses the flags, runs the verb, chooses the exit code: 0 fine, 1 a failure that was reported, 2 usage.

use std::process::ExitCode;

use clap::Parser;
use imapscope::cli::Cli;
use imapscope::verb;

fn main() -> ExitCode {
    match verb::run(Cli::parse().verb) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            verb::tell(&format!("error: {problem}"));
            ExitCode::from(2)
        }
    }
}
