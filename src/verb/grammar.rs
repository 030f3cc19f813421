//! `imapscope grammar list|show|check`: the descriptions that come with the program, and a look through the user's own.

use std::io::{self, Write};
use std::path::Path;

use super::protocols::Protocols;
use crate::grammar::{BUILTIN, Grammar, Mechanism, Named, Standing, Table, mechanisms};
use crate::problem::Problem;

/// Names are padded to this many letters.
const NAME_WIDTH: usize = 24;

/// Lists the descriptions. Returns the exit code.
///
/// # Errors
/// If `out` cannot be written to.
pub fn list(out: &mut dyn Write) -> Result<u8, Problem> {
    told(list_to(out))
}

/// Shows everything in one description, by its name or a scheme of it, a line an entry. Returns the exit code.
///
/// # Errors
/// If there is no such description, or `out` cannot be written to.
pub fn show(name: &str, out: &mut dyn Write) -> Result<u8, Problem> {
    if name.eq_ignore_ascii_case("sasl") {
        return told(section(out, "SASL mechanisms", mechanisms(), |m: &Mechanism| (&m.does, &m.rfc, m.status)));
    }
    let protocols = Protocols::builtin();
    let scheme = protocols.scheme(name);
    let Some(grammar) = scheme.and_then(|scheme| protocols.grammar(&scheme.protocol)) else {
        let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).chain(["sasl"]).collect();
        let what = format!("there is no description `{}`", name.escape_debug());
        return Err(Problem::new("grammar show", what, format!("known are {}", names.join(", "))));
    };
    told(show_to(grammar, out))
}

/// Looks a file through and tells all that is wrong with it. Returns the exit code: 0 if it is fine, 1 if not.
///
/// # Errors
/// If the file cannot be read, or `out` not be written to.
pub fn check(file: &Path, out: &mut dyn Write) -> Result<u8, Problem> {
    let (origin, read) = read(file)?;
    told(check_to(&origin, read, out))
}

/// A description from a file, or all that is wrong with it; before that, what the file is called.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn read(file: &Path) -> Result<(String, Result<Grammar, Vec<Problem>>), Problem> {
    let origin = file.display().to_string();
    let bytes = super::input::patiently(file, || crate::file::small(std::fs::File::open(file)?)).map_err(|why| {
        Problem::new(origin.as_str(), format!("cannot be read: {why}"), "name a file with a description in TOML")
    })?;
    let read = match std::str::from_utf8(&bytes) {
        Ok(text) => Grammar::load(&origin, text),
        Err(wrong) => Err(vec![not_text(&origin, &bytes, wrong.valid_up_to())]),
    };
    Ok((origin, read))
}

/// Where a file stops being UTF-8.
fn not_text(origin: &str, bytes: &[u8], at: usize) -> Problem {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let row = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Problem::new(format!("{origin}:{row}:{column}"), "this is not UTF-8", "save the file as UTF-8")
}

fn list_to(out: &mut dyn Write) -> io::Result<u8> {
    for (name, _) in BUILTIN {
        let Some(g) = Grammar::builtin(name) else { continue };
        let words: usize = g.vocabularies.iter().map(|v| v.words.len()).sum();
        writeln!(out, "{name:<12} {}, port {}", g.title, g.port)?;
        writeln!(
            out,
            "{:<12} {} commands, {} capabilities, {} responses, {} response codes, {words} other words",
            "",
            g.commands.len(),
            g.capabilities.len(),
            g.responses.len(),
            g.codes.len()
        )?;
    }
    writeln!(
        out,
        "{:<12} SASL mechanisms (RFC 4422), shared by all protocols\n{:<12} {} mechanisms",
        "sasl",
        "",
        mechanisms().len()
    )?;
    Ok(0)
}

fn show_to(grammar: &Grammar, out: &mut dyn Write) -> io::Result<u8> {
    writeln!(out, "{}: {}, port {}\n", grammar.name, grammar.title, grammar.port)?;
    if let Some(how) = &grammar.starttls {
        writeln!(out, "+starttls: a client says {}, a server {}\n", how.says.join(", "), how.consents)?;
    }
    section(out, "commands", &grammar.commands, |c| (&c.does, &c.rfc, c.status))?;
    section(out, "capabilities", &grammar.capabilities, |c| (&c.does, &c.rfc, c.status))?;
    section(out, "responses", &grammar.responses, |r| (&r.does, &r.rfc, r.status))?;
    section(out, "response codes", &grammar.codes, |c| (&c.does, &c.rfc, c.status))?;
    for vocabulary in &grammar.vocabularies {
        let title = format!("words of the kind {}", vocabulary.kind);
        section(out, &title, &vocabulary.words, |w| (&w.does, &w.rfc, w.status))?;
    }
    Ok(0)
}

/// One table, a line an entry.
fn section<T: Named>(
    out: &mut dyn Write,
    title: &str,
    table: &Table<T>,
    about: impl Fn(&T) -> (&String, &String, Standing),
) -> io::Result<u8> {
    writeln!(out, "{title} ({})", table.len())?;
    for entry in table {
        let (does, rfc, status) = about(entry);
        let status = if status == Standing::Standard { String::new() } else { format!("; {}", status.word()) };
        writeln!(out, "  {:<NAME_WIDTH$} {does} [{rfc}{status}]", entry.name())?;
    }
    writeln!(out)?;
    Ok(0)
}

fn check_to(origin: &str, read: Result<Grammar, Vec<Problem>>, out: &mut dyn Write) -> io::Result<u8> {
    match read {
        Ok(g) => {
            writeln!(
                out,
                "{origin}: fine. {} ({}): {} commands, {} capabilities, {} responses, {} response codes",
                g.name,
                g.title,
                g.commands.len(),
                g.capabilities.len(),
                g.responses.len(),
                g.codes.len()
            )?;
            Ok(0)
        }
        Err(wrong) => {
            for problem in &wrong {
                writeln!(out, "{problem}")?;
            }
            let many = if wrong.len() == 1 { "problem" } else { "problems" };
            writeln!(out, "{origin}: {} {many}", wrong.len())?;
            Ok(1)
        }
    }
}

/// The exit code; a reader that has seen enough (`| head`) is no problem.
pub(super) fn told(done: io::Result<u8>) -> Result<u8, Problem> {
    match done {
        Ok(code) => Ok(code),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(why) => Err(Problem::new("standard output", format!("cannot be written to: {why}"), "")),
    }
}
