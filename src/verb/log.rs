//! From the output flags to open sinks.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;

use super::tell;
use crate::cli::{self, LogFlags};
use crate::event::MAX_HEAD;
use crate::problem::Problem;
use crate::sink::pretty::{Body, Look, Pretty, TimeStyle};
use crate::sink::style::{Surroundings, Wish, coloured};
use crate::sink::{Sinks, create};

/// Opens what the flags ask for; the pretty log on standard output if they say nothing.
///
/// # Errors
/// An unknown kind, or a file that cannot be written.
pub fn open(flags: &LogFlags) -> Result<Sinks, Problem> {
    let mut sinks = Sinks::new(tell);
    let body = body(flags.body.as_deref())?;
    let time = match flags.time {
        cli::TimeStyle::None => TimeStyle::None,
        cli::TimeStyle::Time => TimeStyle::Local,
        cli::TimeStyle::Delta => TimeStyle::Delta,
        cli::TimeStyle::Iso => TimeStyle::Iso,
        cli::TimeStyle::Epoch => TimeStyle::Epoch,
    };
    let standard = ["pretty".to_owned()];
    let outputs = if flags.output.is_empty() { &standard[..] } else { &flags.output[..] };
    for output in outputs {
        let origin = format!("--output {output}");
        let (kind, path) = output.split_once(':').map_or((output.as_str(), None), |(kind, path)| (kind, Some(path)));
        if kind != "pretty" {
            let what = format!("the kind '{kind}' is not available in this version");
            return Err(Problem::new(origin, what, "write pretty (standard output) or pretty:FILE"));
        }
        let (file, terminal) = match path {
            None | Some("-") => (standard_output(&origin)?, io::stdout().is_terminal()),
            Some("") => return Err(Problem::new(origin, "the file has no name", "write pretty:FILE")),
            Some(path) => (create(&origin, Path::new(path))?, false),
        };
        let look = Look { colour: colour(flags.color, terminal), width: width(terminal), time, body };
        sinks.add(output, Pretty::new(file, look));
    }
    Ok(sinks)
}

/// Standard output without the buffering by lines that `Stdout` does: the log goes out in pieces of its own.
fn standard_output(origin: &str) -> Result<File, Problem> {
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let handle = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    handle.map(File::from).map_err(|error| {
        Problem::new(
            origin,
            format!("standard output cannot be used: {error}"),
            "write pretty:FILE, or do not close it",
        )
    })
}

fn colour(when: cli::Color, terminal: bool) -> bool {
    let wish = match when {
        cli::Color::Auto => Wish::Auto,
        cli::Color::Always => Wish::Always,
        cli::Color::Never => Wish::Never,
    };
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let [no_color, force, term] = ["NO_COLOR", "CLICOLOR_FORCE", "TERM"].map(variable);
    let around =
        Surroundings { terminal, no_color: no_color.as_deref(), force: force.as_deref(), term: term.as_deref() };
    coloured(wish, around)
}

/// The columns of the terminal, if there is one.
fn width(terminal: bool) -> Option<u16> {
    let size = terminal.then(terminal_size::terminal_size).flatten();
    size.map(|(terminal_size::Width(columns), _)| columns.max(40))
}

fn body(flag: Option<&str>) -> Result<Body, Problem> {
    match flag {
        None => Ok(Body::Folded),
        Some("none") => Ok(Body::Nothing),
        Some("all") => Ok(Body::Octets(MAX_HEAD)),
        Some(count) => count.parse().map(Body::Octets).map_err(|_| {
            Problem::new(
                format!("--body {count}"),
                "a number of octets, all or none was expected",
                "such as --body 200",
            )
        }),
    }
}
