//! From the output flags to open sinks, some of them behind a filter.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use terminal_size::{Width, terminal_size};

use crate::cli::{self, LogFlags};
use crate::event::{Explained, Note, Peer, What};
use crate::grammar::Grammar;
use crate::problem::Problem;
use crate::recording::{Head, Writer};
use crate::rules::filter::{Filter, Watch, Witness};
use crate::sink::gate::{Behind, Gate};
use crate::sink::raw::RawStream;
use crate::sink::style::{Body, Color, Look, Surroundings, TimeStyle};
use crate::sink::{Sink, Sinks, check, is_for_eyes, is_standard, open as open_sink, place};

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
    if flags.rotate.is_some() && !outputs.iter().any(|output| is_recording(output)) {
        return Err(Problem::new("--rotate", "there is no recording", "give one too: -w FILE"));
    }
    let mut sinks = Sinks::default();
    for (at, output) in outputs.iter().enumerate() {
        if outputs[..at].iter().any(|earlier| same(earlier, output)) {
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
    // Opening empties a file, so it comes when nothing else can be wrong.
    for output in &outputs {
        let look = Look { time, body, ..look(flags.color, is_standard(output)) };
        let sink = match stream {
            Some(side) if is_stream(output) => Box::new(RawStream::new(place(output, "-")?, side)),
            _ if is_recording(output) => record(output, flags.rotate, head)?,
            _ => open_sink(output, look)?,
        };
        let mut sink = wrap(sink);
        if let Some(filter) = filter.filter(|_| is_for_eyes(output)) {
            sink = Box::new(Filtered::new(filter.clone(), sink));
        }
        // The reader of a page may have a condition that nobody knows yet.
        if kind(output) == "html" {
            sink = Box::new(Witnessed::new(sink));
        }
        sinks.add(output, sink);
    }
    Ok(sinks)
}

/// Sees to it that no output is a file that is being read: writing empties it, and what has not been read yet would be gone.
///
/// # Errors
/// An output that is one of these files, under whatever name.
pub fn spare(flags: &LogFlags, files: &[PathBuf]) -> Result<(), Problem> {
    let standard = |stream: io::Result<std::os::fd::OwnedFd>| File::from(stream?).metadata();
    let files: Vec<PathBuf> = files.iter().flat_map(|path| together(path)).collect();
    for output in outputs(flags) {
        let written = match output.split_once(':') {
            Some((_, path)) if path != "-" => fs::metadata(path),
            _ => standard(io::stdout().as_fd().try_clone_to_owned()),
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
    outputs(flags).iter().any(|output| is_standard(output))
}

/// The outputs, recordings first: nothing is shown that they do not have.
fn outputs(flags: &LogFlags) -> Vec<String> {
    let mut outputs = flags.output.clone();
    if outputs.is_empty() {
        outputs.push("pretty".to_owned());
    }
    outputs.extend(flags.record.iter().map(|path| format!("record:{}", path.display())));
    outputs.sort_by_key(|output| !is_recording(output));
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

/// Opens a recording; with a limit, the files behind the first are FILE.1, FILE.2 and so on.
fn record(output: &str, limit: Option<u64>, head: &Head) -> Result<Box<dyn Sink>, Problem> {
    let path = output.split_once(':').map_or("-", |(_, path)| path).to_owned();
    let recording = Writer::new(place(output, &path)?, head.clone());
    Ok(match limit {
        None => Box::new(recording),
        Some(_) if path == "-" => {
            return Err(Problem::new("--rotate", "standard output is one file", "record into a file: -w FILE"));
        }
        Some(limit) => Box::new(recording.in_parts(limit, move |part| {
            let path = format!("{path}.{part}");
            place(&format!("record:{path}"), &path).map_err(|problem| io::Error::other(problem.to_string()))
        })),
    })
}

/// A sink that is given only what a filter lets through.
pub type Filtered<S> = Behind<Watch, S>;

impl<S: Sink> Filtered<S> {
    /// This sink behind this filter.
    pub fn new(filter: Filter, sink: S) -> Self {
        Behind::gate(Watch::new(filter), sink)
    }
}

impl Gate for Watch {
    fn put(&mut self, event: &Explained<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let last = matches!(event.event.what, What::Closed(_));
        let told = last.then(|| self.told(event.connection)).flatten();
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
pub struct Witnessed<S> {
    witness: Witness,
    sink: S,
}

impl<S: Sink> Witnessed<S> {
    /// This sink.
    pub fn new(sink: S) -> Self {
        Witnessed { witness: Witness::default(), sink }
    }
}

impl<S: Sink> Sink for Witnessed<S> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let sink = &mut self.sink;
        self.witness.tell(event, |known| sink.put(&Explained { known, ..*event }))
    }

    fn skip(&mut self, event: &Explained<'_>) {
        let sink = &mut self.sink;
        self.witness.tell(event, |known| sink.skip(&Explained { known, ..*event }));
    }

    fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    fn wants_octets(&self) -> bool {
        self.sink.wants_octets()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.sink.end()
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

/// True if two outputs `KIND[:PATH]` go to the same place, as far as their paths tell: `./a` is `a`.
fn same(one: &str, other: &str) -> bool {
    let place = |output: &str| output.split_once(':').and_then(|(_, path)| std::path::absolute(path).ok());
    is_standard(one) && is_standard(other) || one == other || place(one).is_some_and(|path| place(other) == Some(path))
}
