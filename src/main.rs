//! Parses the flags, runs the verb, chooses the exit code: 0 fine, 1 a failure that was reported, 2 usage, 3 a finding
//! that is denied.

use std::process::ExitCode;

use clap::Parser;
use imapscope::cli::Cli;
use imapscope::explain::imap::parsing;
use imapscope::verb;

fn main() -> ExitCode {
    // A panic of the strict parser is caught and means nothing to the user. Of every other one the place is reported, and not
    // its message: that may quote what a peer said, a password included.
    std::panic::set_hook(Box::new(|panic| {
        if !parsing() {
            let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
            verb::tell(&format!("error: imapscope has a bug{place}; please report it, with RUST_BACKTRACE=1"));
            if std::env::var_os("RUST_BACKTRACE").is_some() {
                verb::tell(&std::backtrace::Backtrace::force_capture().to_string());
            }
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
