//! `imapscope lint`: judges files, one after the other, by what the explainer finds in them. The exit code says whether something that
//! is denied was found.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::extent::Extent;
use super::protocols::Protocols;
use super::read::selection;
use super::select::{Selected, Selection};
use super::source::Reading;
use super::{gate, log, tell, written};
use crate::cli::{self, ReportFormat};
use crate::file::{self, Output, Outputs, Refused};
use crate::foreign::Times;
use crate::problem::Problem;
use crate::recording::{Head, Reader, START};
use crate::rules::filter::{Filter, FilterState};
use crate::sink::gate::Behind;
use crate::sink::lint::report::Report;
use crate::sink::lint::{self, Shared, baseline};
use crate::sink::{Sink, Sinks, escaped};

/// Judges files, or prints the checks.
///
/// # Errors
/// Everything in the flags that cannot be meant. A file that cannot be read is none of it: the others are judged all the same.
pub fn run(flags: &cli::Lint, out: &mut dyn Write) -> Result<u8, Problem> {
    if flags.list {
        return list(flags.format, out);
    }
    if flags.json_schema {
        return Ok(written(out.write_all(lint::SCHEMA.as_bytes())));
    }
    let protocols = Protocols::with(&flags.source.grammar)?;
    let wanted = selection(&flags.selection)?;
    let filter = flags.filter.as_deref().map(Filter::read).transpose()?;
    let policy = gate::policy(&flags.gate)?;
    let reading = Reading::new(&flags.source, &protocols, false)?;
    reading.state()?;
    let base = flags.write_baseline.as_deref().map(open).transpose()?;
    let shared = Shared::new(Report::new(policy));
    for paths in together(&flags.files) {
        let before = shared.lock().files.len();
        if let Err(failed) = judge(&paths, flags, (&protocols, &reading), (&wanted, filter.as_ref()), &shared) {
            tell(&format!("error: {failed}"));
            let mut report = shared.lock();
            // What cannot be opened has no connections.
            if report.files.len() == before {
                report.begin(&super::source::name(&paths[0]), false);
            }
            if let Some(file) = report.files.last_mut() {
                file.failed = Some(escaped(&failed.what));
            }
        }
    }
    let report = shared.lock();
    let page = match flags.format {
        ReportFormat::Text => lint::text(&report, log::look(flags.color, true)),
        ReportFormat::Json => lint::json(&report).into_bytes(),
        ReportFormat::Sarif => lint::sarif(&report).into_bytes(),
        ReportFormat::Junit => lint::junit(&report).into_bytes(),
    };
    let failed = written(out.write_all(&page).and_then(|()| out.flush()));
    let saved = base.is_none_or(|(path, output)| save(&path, output, &report));
    Ok(if failed == 0 && saved { report.code() } else { 1 })
}

fn list(format: ReportFormat, out: &mut dyn Write) -> Result<u8, Problem> {
    let table = match format {
        ReportFormat::Text => lint::table(),
        ReportFormat::Json => lint::lines(),
        ReportFormat::Sarif | ReportFormat::Junit => {
            return Err(Problem::new(
                "--list",
                "only text and json can list checks",
                "leave --format out, or --format json",
            ));
        }
    };
    Ok(written(out.write_all(table.as_bytes()).and_then(|()| out.flush())))
}

/// Judges one file, or the parts of a recording.
fn judge(
    paths: &[PathBuf],
    flags: &cli::Lint,
    (protocols, reading): (&Protocols, &Reading<'_>),
    (wanted, filter): (&Selection, Option<&Filter>),
    shared: &Shared,
) -> Result<(), Problem> {
    let files = reading.open(paths)?;
    let files = if files.head().is_none() { files.beginning_in(reading.state()?) } else { files };
    let (name, times) = (files.name.clone(), files.times());
    let found = shared.sink(&name, times != Times::Unknown);
    let mut sink: Box<dyn Sink> = Box::new(Selected::new(wanted.clone(), found));
    if let Some(filter) = filter {
        sink = Box::new(Behind::gate(FilterState::new(filter.clone()).judging(), sink));
    }
    let mut sinks = Sinks::default();
    sinks.add("lint", sink);
    let desk = Desk::new(protocols.grammars().to_vec(), sinks, false).reading(files.explainer(false));
    let mut extent = Extent::new(wanted, times);
    let passed = files.pass(desk, None, &mut extent)?;
    if let Some(lack) = extent.lacks(wanted, &flags.selection, &name).into_iter().next() {
        return Err(lack);
    }
    if passed.read {
        Ok(())
    } else {
        let help = "see what was said of it above; what could be read is judged";
        Err(Problem::new(name, "a part of the file is damaged or missing", help))
    }
}

/// The files, those that are parts of one recording together.
fn together(files: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut before: Option<Head> = None;
    for file in files {
        let head = head(file);
        let goes_on = before.as_ref().zip(head.as_ref()).is_some_and(|(before, head)| before.goes_on(head));
        match groups.last_mut().filter(|_| goes_on) {
            Some(group) => group.push(file.clone()),
            None => groups.push(vec![file.clone()]),
        }
        before = head;
    }
    groups
}

/// Returns the first line of a recording, if this is one that can be read twice.
fn head(path: &Path) -> Option<Head> {
    let opened = || File::open(path).ok().filter(|file| file.metadata().is_ok_and(|it| it.is_file()));
    if !path.metadata().is_ok_and(|it| it.is_file()) {
        return None;
    }
    let mut first = [0; START.len()];
    opened()?.read_exact(&mut first).ok()?;
    (first == START).then(|| Reader::new(opened()?).ok().map(|reader| reader.head().clone())).flatten()
}

/// Opens a baseline to be written, before anything is read. A file that is something else stays: it may be a recording.
fn open(path: &Path) -> Result<(PathBuf, Output), Problem> {
    let regular = path.metadata().is_ok_and(|it| it.is_file() && it.len() > 0);
    if regular && File::open(path).and_then(file::small).is_ok_and(|old| baseline::read(&old).is_err()) {
        let help = "another file, or one that --write-baseline has written";
        return Err(Problem::new(
            format!("--write-baseline {}", path.display()),
            "the file exists and is not a baseline",
            help,
        ));
    }
    let mut outputs = Outputs::default();
    let refused = |refused: Refused| {
        let help = if refused.help.is_empty() { "a file that can be written" } else { &refused.help };
        Problem::new(format!("--write-baseline {}", path.display()), &*refused.what, help)
    };
    let (_, opened) = outputs.open(path).map_err(refused)?;
    outputs.messages.iter().for_each(|message| tell(&escaped(message)));
    Ok((path.to_owned(), opened.output()))
}

/// Writes a baseline. False if that fails.
fn save(path: &Path, mut output: Output, report: &Report) -> bool {
    if !report.left_out.is_empty() {
        let more = report.left_out.keys().copied().collect::<Vec<_>>().join(", ");
        tell(&format!("warning: the baseline lacks what the report leaves out: {more}"));
    }
    let saved = output.write_all(baseline::write(report).as_bytes()).and_then(|()| output.flush());
    if let Err(error) = &saved {
        tell(&format!("error: --write-baseline {}: {error}", path.display()));
    }
    saved.is_ok()
}
