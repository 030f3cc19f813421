//! Parses the flags, runs the verb, chooses the exit code: 0 fine, 1 a failure that was reported, 2 usage.

use std::process::ExitCode;

use clap::Parser;
use imapscope::cli::Cli;
use imapscope::explain::imap::parsing;
use imapscope::verb;

fn main() -> ExitCode {
    // A panic of the strict parser is caught and means nothing to the user; every other one is reported as ever.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !parsing() {
            report(panic);
        }
    }));
    match verb::run(Cli::parse().verb) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            verb::tell(&format!("error: {problem}"));
            ExitCode::from(2)
        }
    }
}
