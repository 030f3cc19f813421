//! From the output flags to open sinks, some of them behind a filter.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use terminal_size::{Width, terminal_size};

use crate::cli::{self, LogFlags};
use crate::event::{Note, Peer, What};
use crate::exchange::Explained;
use crate::file::{Opened, Output, Outputs, Place, Refused, Way, folder};
use crate::grammar::Grammar;
use crate::problem::Problem;
use crate::recording::{Head, START, Writer};
use crate::rules::filter::{Filter, FilterState, known};
use crate::sink::ends::OnlyEnds;
use crate::sink::gate::{Behind, Gate};
use crate::sink::raw::RawStream;
use crate::sink::style::{Body, Color, Look, Surroundings, TimeStyle};
use crate::sink::{Sink, Sinks, check, escaped, is_for_eyes, is_standard, open as open_sink, standard_output};
use crate::verb::tell;

/// Maximum number of names in a row that are passed over because they are taken.
const MAX_TAKEN: usize = 10_000;

/// What the flags want to be shown; `None` for everything.
///
/// # Errors
/// A condition that cannot be read.
pub fn filter(flags: &LogFlags) -> Result<Option<Filter>, Problem> {
    flags.filter.as_deref().map(Filter::read).transpose()
}

/// Opens what the flags ask for; the pretty log on standard output if they name no output but a recording. What is for
/// eyes shows only what the filter lets through. `head` is what recordings say of themselves; `stream` is there if bare octets
/// may go to standard output, and holds the side whose octets these are.
///
/// # Errors
/// An unknown kind, or a file that cannot be written.
pub fn open(
    flags: &LogFlags,
    filter: Option<&Filter>,
    head: &Head,
    stream: Option<Option<Peer>>,
) -> Result<Sinks, Problem> {
    open_inside(flags, filter, head, stream, &|sink| sink)
}

/// The same, each sink inside of what `wrap` makes around it. A filter stands outside of that: it has to know what was said
/// before.
///
/// # Errors
/// As [`open`].
pub fn open_inside(
    flags: &LogFlags,
    filter: Option<&Filter>,
    head: &Head,
    stream: Option<Option<Peer>>,
    wrap: &dyn Fn(Box<dyn Sink>) -> Box<dyn Sink>,
) -> Result<Sinks, Problem> {
    let body = flags.body.as_deref().map_or(Ok(Body::default()), str::parse)?;
    let time = match flags.time {
        cli::TimeStyle::None => TimeStyle::None,
        cli::TimeStyle::Time => TimeStyle::Now,
        cli::TimeStyle::Delta => TimeStyle::Delta,
        cli::TimeStyle::Iso => TimeStyle::Iso,
        cli::TimeStyle::Epoch => TimeStyle::Epoch,
    };
    let outputs = outputs(flags);
    if flags.rotate.is_some() && !outputs.iter().any(|(output, _)| is_recording(output)) {
        return Err(Problem::new("--rotate", "there is no recording", "give one too: -w FILE"));
    }
    let mut sinks = Sinks::default();
    for (at, (output, path)) in outputs.iter().enumerate() {
        if outputs[..at].iter().any(|(_, earlier)| same(earlier, path)) {
            let help = "give each output a place of its own, such as -o pretty -o pretty:FILE";
            return Err(Problem::new(format!("--output {output}"), "two outputs would go to the same place", help));
        }
        match stream.filter(|_| is_stream(output)) {
            Some(_) if io::stdout().is_terminal() => {
                let help = "raw:FOLDER, or a pipe: -o raw | less";
                return Err(Problem::new("--output raw", "bare octets are nothing for a terminal", help));
            }
            Some(_) => {}
            None => check(output)?,
        }
    }
    // Opening makes files, so it comes when nothing else can be wrong.
    let mut opened = Outputs::default();
    for (output, path) in &outputs {
        let look = Look { time, body, ..look(flags.color, is_standard(output)) };
        let sink = match stream {
            Some(side) if is_stream(output) => {
                let standard = standard_output().map_err(|error| Problem::new("--output raw", error.to_string(), ""));
                Box::new(RawStream::new(standard?, side))
            }
            _ if is_recording(output) => record(output, path, flags, head, &mut opened)?,
            _ => open_sink(output, look, &mut opened)?,
        };
        // The reader of a page may have a condition that nobody knows yet.
        let mut sink = if kind(output) == "html" { Box::new(Informed(sink)) } else { sink };
        if flags.summary && is_for_eyes(output) {
            sink = Box::new(OnlyEnds::new(sink));
        }
        sink = wrap(sink);
        if let Some(filter) = filter.filter(|_| is_for_eyes(output)) {
            let filter = FilterState::new(filter.clone());
            // With --summary most is not shown in any case.
            sink = Box::new(Behind::gate(if flags.summary { filter.without_remarks() } else { filter }, sink));
        }
        sinks.add(output, sink);
    }
    opened.messages.iter().for_each(|message| tell(&escaped(message)));
    Ok(sinks)
}

/// Sees to it that no output is a file that is being read: writing empties it, and what has not been read yet would be gone.
///
/// # Errors
/// An output that is one of these files, under whatever name.
pub fn spare(flags: &LogFlags, files: &[PathBuf]) -> Result<(), Problem> {
    let standard = |stream: io::Result<std::os::fd::OwnedFd>| File::from(stream?).metadata();
    let files: Vec<PathBuf> = files.iter().flat_map(|path| together(path)).collect();
    for (output, path) in outputs(flags) {
        let written = match path == Path::new("-") {
            false => fs::metadata(path),
            true => standard(io::stdout().as_fd().try_clone_to_owned()),
        };
        for path in &files {
            let read = if path == Path::new("-") {
                standard(io::stdin().as_fd().try_clone_to_owned())
            } else {
                fs::metadata(path)
            };
            if written.as_ref().is_ok_and(|written| read.is_ok_and(|read| is_one_file(written, &read))) {
                let help = "write to another file, and rename it when it is complete";
                return Err(Problem::new(format!("--output {output}"), "this is the file that is read", help));
            }
        }
    }
    Ok(())
}

/// What is read by this name: raw logs lie in a folder, or are two files.
fn together(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    }
    match path.extension().and_then(|end| end.to_str()) {
        Some("in" | "out") => vec![path.with_extension("in"), path.with_extension("out")],
        _ => vec![path.to_owned()],
    }
}

/// True if these are one file, and no pipe, terminal or device.
fn is_one_file(one: &Metadata, other: &Metadata) -> bool {
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// What a recording of these routes says of itself.
#[must_use]
pub fn head(routes: &[String], grammars: &[Arc<Grammar>], flags: &LogFlags) -> Head {
    let protocols = grammars.iter().map(|grammar| (grammar.name.clone(), grammar.form)).collect();
    Head { routes: routes.to_vec(), protocols, secrets: flags.show_secrets, ..Head::default() }
}

/// True if something of the log goes to standard output, where nothing else may be then.
#[must_use]
pub fn is_on_standard_output(flags: &LogFlags) -> bool {
    outputs(flags).iter().any(|(output, _)| is_standard(output))
}

/// The outputs with their paths, recordings first: nothing is shown that they do not have.
fn outputs(flags: &LogFlags) -> Vec<(String, PathBuf)> {
    let path = |output: &str| PathBuf::from(output.split_once(':').map_or("-", |(_, path)| path));
    let mut outputs: Vec<_> = flags.output.iter().map(|output| (output.clone(), path(output))).collect();
    if outputs.is_empty() {
        outputs.push(("pretty".to_owned(), path("pretty")));
    }
    outputs.extend(flags.record.iter().map(|path| (format!("record:{}", path.display()), path.clone())));
    outputs.sort_by_key(|(output, _)| !is_recording(output));
    outputs
}

fn is_stream(output: &str) -> bool {
    matches!(output, "raw" | "raw:-")
}

fn is_recording(output: &str) -> bool {
    kind(output) == "record"
}

fn kind(output: &str) -> &str {
    output.split_once(':').map_or(output, |(kind, _)| kind)
}

/// Opens a recording; with a limit, the files after the first are FILE.1, FILE.2 and so on.
fn record(
    output: &str,
    path: &Path,
    flags: &LogFlags,
    head: &Head,
    outputs: &mut Outputs,
) -> Result<Box<dyn Sink>, Problem> {
    if path == Path::new("-") {
        if flags.rotate.is_some() {
            return Err(Problem::new("--rotate", "standard output is one file", "record into a file: -w FILE"));
        }
        let standard = standard_output().map_err(|error| Problem::new("--output record", error.to_string(), ""));
        return Ok(Box::new(Writer::new(standard?, head.clone())));
    }
    let refused = |refused: Refused| {
        let help = if refused.help.is_empty() { "a file that can be written" } else { &refused.help };
        Problem::new(format!("--output {}", escaped(output)), &*refused.what, help)
    };
    let (place, opened) = outputs.open(path).map_err(refused)?;
    evidence(&place, &opened, flags.force)?;
    if flags.rotate.is_some() && !opened.found.is_file() {
        let help = "record into a file: -w FILE";
        return Err(Problem::new("--rotate", format!("not a regular file: {}", path.display()), help));
    }
    let recording = Writer::new(opened.output(), head.clone());
    Ok(match flags.rotate {
        None => Box::new(recording),
        Some(limit) => {
            let mut parts = Parts { place, force: flags.force, last: 0 };
            Box::new(recording.in_parts(limit, move |part| parts.next(part)))
        }
    })
}

/// Takes a recording for this process. What another one writes to, and what holds something, is evidence and stays.
fn evidence(place: &Place, opened: &Opened, force: bool) -> Result<(), Problem> {
    let path = || place.path().display().to_string();
    if !opened.lock() {
        let help = "another file, or a new one each time with {time} in its name";
        return Err(Problem::new("another imapscope writes to this recording", path(), help));
    }
    let empty = opened.is_empty().map_err(|error| Problem::new(path(), error.to_string(), ""))?;
    if !empty && !force {
        let help = "--force to overwrite it, or another name: with {time} in it, it is a new one each time";
        return Err(Problem::new("recording exists and is not empty", path(), help));
    }
    Ok(())
}

/// The files of a recording after the first. One that exists stays as it is, and its number is left out; with `--force`, one that
/// is a recording is overwritten.
struct Parts {
    place: Place,
    force: bool,
    /// Number of the newest one.
    last: u32,
}

impl Parts {
    /// Opens the next one; `part` counts those of this recording.
    fn next(&mut self, part: u32) -> io::Result<Output> {
        let first = part.max(self.last + 1);
        for number in (first..).take(MAX_TAKEN) {
            let place = self.place.numbered(number)?;
            let opened = match place.open(Way::New) {
                Err(refused) if refused.kind == io::ErrorKind::AlreadyExists => {
                    if let Some(opened) = self.force.then(|| older(&place)).flatten() { opened } else { continue }
                }
                opened => opened.map_err(|refused| io::Error::new(refused.kind, refused.what))?,
            };
            // Nobody else can have it yet, but it is ours from here on.
            let _ = opened.lock();
            if number > first {
                let (taken, path) = (self.place.path().display(), place.path().display());
                tell(&escaped(&format!("warning: {taken}.{first} exists: the recording goes on in {path}")));
            }
            self.last = number;
            return Ok(opened.output());
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "all names for the next file are taken"))
    }
}

/// Opens a file that may be overwritten as a part of a recording: an older part, which nobody writes to.
fn older(place: &Place) -> Option<Opened> {
    let mut first = [0; START.len()];
    let mut read = place.open(Way::Read).ok()?.file;
    io::Read::read_exact(&mut read, &mut first).ok()?;
    let opened = place.open(Way::Write).ok()?;
    let same =
        opened.identity().is_some_and(|identity| read.metadata().is_ok_and(|read| folder::identity(&read) == identity));
    (first == START && same && !opened.linked && opened.warning.is_none() && opened.lock()).then_some(opened)
}

/// A sink that is given only what a filter lets through.
pub type Filtered<S> = Behind<FilterState, S>;

impl<S: Sink> Filtered<S> {
    /// This sink behind this filter.
    pub fn new(filter: Filter, sink: S) -> Self {
        Behind::gate(FilterState::new(filter), sink)
    }
}

impl Gate for FilterState {
    fn put(&mut self, event: &Explained<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let last = matches!(event.event.what, What::Closed(_));
        let told = last.then(|| self.told(event.connection.number)).flatten();
        if !self.shows(event) {
            sink.skip(event);
            return Ok(());
        }
        match told {
            None => sink.put(event),
            Some(told) => {
                let notes: Vec<Note> = event.notes.iter().cloned().chain([told]).collect();
                sink.put(&Explained { notes: &notes, ..*event })
            }
        }
    }
}

/// A sink that is told with every event what conditions can ask about it.
pub struct Informed<S>(pub S);

impl<S: Sink> Sink for Informed<S> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        known(event, |known| self.0.put(&Explained { known, ..*event }))
    }

    fn skip(&mut self, event: &Explained<'_>) {
        self.0.skip(event);
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn wants_octets(&self) -> bool {
        self.0.wants_octets()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.end()
    }
}

/// How something looks on standard output, or in a file.
#[must_use]
pub fn look(color: cli::Color, standard: bool) -> Look {
    let color = match color {
        cli::Color::Auto => Color::Auto,
        cli::Color::Always => Color::Always,
        cli::Color::Never => Color::Never,
    };
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let [no_color, clicolor_force, term] = ["NO_COLOR", "CLICOLOR_FORCE", "TERM"].map(variable);
    let around = Surroundings { no_color, clicolor_force, term };
    let terminal = standard && io::stdout().is_terminal();
    let width = terminal.then(terminal_size).flatten().map(|(Width(columns), _)| columns);
    Look { color: color.decide(&around, terminal), width, ..Look::default() }
}

/// True if two outputs go to the same place, as far as their paths tell: `./a` is `a`.
fn same(one: &Path, other: &Path) -> bool {
    one == other || std::path::absolute(one).is_ok_and(|one| std::path::absolute(other).is_ok_and(|other| one == other))
}
