//! Files on their way to the outputs: what they are, and the two threads of a pass: one reads, this one explains and shows.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;
use std::vec;

use super::desk::Desk;
use super::extent::Extent;
use super::follow::{Follow, Growth};
use super::foreign::{Came, Passages, state};
use super::input::patiently;
use super::protocols::Protocols;
use super::{ending, tell};
use crate::anonymise::Anonymiser;
use crate::cli::SourceFlags;
use crate::event::{Batch, State as Stand};
use crate::explain::Explainer;
use crate::foreign::{self, Foreign, Kind, Times};
use crate::grammar::Grammar;
use crate::net::queue::weigh;
use crate::problem::Problem;
use crate::recording::{self, Head, Reader, State};
use crate::sink::escaped;

/// Batches wait for the explainer in groups of at least this many bytes of memory, unless there are no more now.
const GROUP: usize = 256 * 1024;

/// So many groups wait.
const GROUPS: usize = 8;

/// How often a file that is still growing is looked at.
const AGAIN: Duration = Duration::from_millis(100);

/// An input with the octets that were looked at put back.
type Input = Box<dyn Read + Send>;

/// What the reading thread hands over.
enum Handed {
    /// Batches, and whether there is nothing more at the moment.
    Batches(Vec<Batch>, bool),
    /// Something to tell.
    Told(String),
}

/// What is read.
enum Source {
    /// Recordings, the first of them begun.
    Recordings(Box<Reader<Input>>, Vec<(String, Input)>),
    /// What another program has written.
    Foreign(Foreign),
}

/// Settings by which files are read.
pub struct Reading<'a> {
    protocols: &'a Protocols,
    /// The protocol of files of other programs, by the name of its description.
    protocol: Option<String>,
    /// The state in which connections begin, by its name.
    state: Option<&'a str>,
    /// Waits for what is still to come.
    follow: bool,
}

impl<'a> Reading<'a> {
    /// As these flags say; with `follow`, the last file is waited for to grow.
    ///
    /// # Errors
    /// A protocol that is not known.
    pub fn new(flags: &'a SourceFlags, protocols: &'a Protocols, follow: bool) -> Result<Self, Problem> {
        let protocol = flags.protocol.as_deref().map(|name| named(name, protocols)).transpose()?;
        Ok(Reading { protocols, protocol, state: flags.state.as_deref(), follow })
    }

    /// Opens the files of one recording, or one file of another program, and finds out what they are.
    ///
    /// # Errors
    /// Files that cannot be read, or not together.
    pub fn open(&self, paths: &[PathBuf]) -> Result<Files, Problem> {
        let (name, source) = self.source(paths)?;
        let follow = paths.last().filter(|_| self.follow).map(|last| Follow::new(last));
        Ok(Files { name, source, given: None, follow, grammars: self.protocols.grammars().to_vec() })
    }

    /// The state in which connections begin, if the user has named one.
    ///
    /// # Errors
    /// A state that the protocol does not have.
    pub fn state(&self) -> Result<Option<Stand>, Problem> {
        let grammar = self.protocol.as_deref().and_then(|name| self.protocols.grammar(name));
        self.state.map(|name| state(name, grammar)).transpose()
    }
}

/// Files that are open, and are read as one.
pub struct Files {
    /// The name of the first one.
    pub name: String,
    source: Source,
    given: Option<Stand>,
    follow: Option<Follow>,
    grammars: Vec<Arc<Grammar>>,
}

/// Result of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// No output has failed.
    pub shown: bool,
    /// All of the files was read, and nothing of it is damaged.
    pub read: bool,
    /// All has come that was read: the outputs wanted no less.
    pub whole: bool,
}

impl Files {
    /// Returns the first line of the recording, if it is one.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match &self.source {
            Source::Recordings(reader, _) => Some(reader.head()),
            Source::Foreign(_) => None,
        }
    }

    /// Returns what the times are worth.
    #[must_use]
    pub const fn times(&self) -> Times {
        match &self.source {
            Source::Recordings(..) => Times::Known,
            Source::Foreign(foreign) => foreign.times,
        }
    }

    /// The explainer that these files want, where secrets are shown or not: those that are in a recording and not to be shown are
    /// found and hidden anew.
    #[must_use]
    pub fn explainer(&self, show_secrets: bool) -> fn(Arc<Grammar>, bool) -> Explainer {
        match self.head() {
            Some(head) if !head.secrets || show_secrets => Explainer::of_recording,
            _ => Explainer::new,
        }
    }

    /// Connections of files of other programs begin in this state.
    #[must_use]
    pub fn beginning_in(self, given: Option<Stand>) -> Self {
        Files { given, ..self }
    }

    /// Reads it all, explains and shows it. `extent` learns what has come.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn pass(self, desk: Desk, anonymiser: Option<Anonymiser>, extent: &mut Extent) -> Result<Passed, Problem> {
        let Files { name, source, given, follow, grammars } = self;
        let (sender, receiver) = mpsc::sync_channel(GROUPS);
        let stop = if follow.is_some() { ending::flagged() } else { Arc::default() };
        let reading = thread::Builder::new().name("read".to_owned()).spawn(move || match source {
            Source::Recordings(reader, rest) => {
                let mut rest = rest.into_iter();
                let mut reader = *reader;
                let fine = hand_over(&mut reader, &name, &mut rest, follow, &stop, &sender);
                // Nobody may be left who wants them.
                let _ = sender.send(Handed::Batches(reader.close(), true));
                fine && (stop.load(Ordering::SeqCst) || rest.next().is_none())
            }
            Source::Foreign(foreign) => {
                hand_over_foreign(foreign, &name, Passages::new(grammars).beginning_in(given), &sender)
            }
        });
        let reading = reading.map_err(|error| {
            Problem::new("imapscope", format!("the system gave no thread: {error}"), "allow more processes or memory")
        })?;
        let (shown, whole) = show(desk, anonymiser, receiver, extent);
        // Without an output nobody takes what is read, so that the thread ends.
        Ok(Passed { shown, read: reading.join().unwrap_or(false), whole })
    }
}

/// Explains and shows what is handed over. Whether no output failed, and whether all has come: not if nobody wants more of it.
fn show(
    mut desk: Desk,
    mut anonymiser: Option<Anonymiser>,
    handed: Receiver<Handed>,
    extent: &mut Extent,
) -> (bool, bool) {
    let mut whole = true;
    for handed in handed {
        match handed {
            Handed::Told(text) => {
                desk.flush();
                tell(&escaped(&text));
            }
            Handed::Batches(mut batches, drained) => {
                for batch in &mut batches {
                    extent.feed(batch);
                    if let Some(anonymiser) = &mut anonymiser {
                        anonymiser.anonymise(batch);
                    }
                    desk.explain(batch);
                }
                if drained {
                    desk.flush();
                }
            }
        }
        if desk.is_idle() {
            whole = false;
            break;
        }
    }
    (desk.end(), whole)
}

impl Reading<'_> {
    fn source(&self, paths: &[PathBuf]) -> Result<(String, Source), Problem> {
        let mut recordings = Vec::new();
        for path in paths {
            let place = name(path);
            if path == Path::new("-") && self.follow {
                let help = "leave --follow out: standard input is read to its end as it comes";
                return Err(Problem::new("--follow", "standard input does not grow like a file", help));
            }
            match open(path, self.follow, self.protocol.as_deref())? {
                Opened::Recording(input) => recordings.push((place, input)),
                Opened::Foreign(_) if paths.len() > 1 => {
                    return Err(Problem::new(place, "this is no recording of imapscope", "read it by itself"));
                }
                Opened::Foreign(_) if self.follow => {
                    return Err(Problem::new("--follow", "only recordings can be followed", "leave it out"));
                }
                Opened::Foreign(foreign) => return Ok((place, Source::Foreign(foreign))),
            }
        }
        let (first, input) = recordings.remove(0);
        let mut reader = Reader::new(input).map_err(|error| unreadable(&first, &error))?;
        while self.follow && !reader.begin().map_err(|error| unreadable(&first, &error))? {
            // It says what may be shown of the rest.
            thread::sleep(AGAIN);
        }
        known(reader.head(), &first, self.protocols)?;
        Ok((first, Source::Recordings(Box::new(reader), recordings)))
    }
}

/// Reads what another program has written. False if something is missing or damaged.
fn hand_over_foreign(foreign: Foreign, name: &str, mut passages: Passages, sender: &SyncSender<Handed>) -> bool {
    let (mut group, mut bytes, mut fine, mut wanted) = (Vec::new(), 0, true, true);
    let mut came = |came: Came| match came {
        Came::Events(batch) => {
            bytes += weigh(&batch);
            group.push(batch);
            if bytes >= GROUP {
                bytes = 0;
                wanted &= sender.send(Handed::Batches(std::mem::take(&mut group), false)).is_ok();
            }
        }
        Came::Told(text, damage) => {
            fine &= !damage;
            let _ = sender.send(Handed::Batches(std::mem::take(&mut group), false));
            wanted &= sender.send(Handed::Told(format!("{name}: {text}"))).is_ok();
        }
    };
    for piece in foreign {
        passages.take(piece, &mut came);
    }
    passages.finish(&mut came);
    let _ = sender.send(Handed::Batches(group, true));
    fine || !wanted
}

/// Reads all files to their ends. False if something was damaged, or could not be read.
fn hand_over(
    reader: &mut Reader<Input>,
    first: &str,
    inputs: &mut vec::IntoIter<(String, Input)>,
    mut follow: Option<Follow>,
    stop: &AtomicBool,
    sender: &SyncSender<Handed>,
) -> bool {
    let mut name = first.to_owned();
    let mut fine = true;
    loop {
        // Only the last one still grows.
        let read = file(reader, &name, follow.as_mut().filter(|_| inputs.len() == 0), stop, sender);
        fine &= read.is_ok() && reader.remarked() == 0;
        match read {
            // Nobody wants to see more.
            Ok(false) => return fine,
            Ok(true) => {}
            Err(error) => fine &= sender.send(Handed::Told(format!("error: {name}: {error}"))).is_err(),
        }
        let grown = || {
            let (path, file) = follow.as_mut()?.take()?;
            Some((path.display().to_string(), Box::new(file) as Input))
        };
        let Some((next, input)) = inputs.next().or_else(grown) else { return fine };
        name = next;
        let before = reader.head().clone();
        match reader.go_on(input) {
            Ok(()) if before.goes_on(reader.head()) => {}
            Ok(()) => {
                let text = format!(
                    "error: {name}: this is not the next file of the same recording; read other recordings by themselves"
                );
                let _ = sender.send(Handed::Told(text));
                return false;
            }
            Err(error) => {
                let _ = sender.send(Handed::Told(format!("error: {name}: {error}")));
                return false;
            }
        }
    }
}

/// Reads one file to its end; false if nobody takes what is read, or all is to stop.
fn file(
    reader: &mut Reader<Input>,
    name: &str,
    mut follow: Option<&mut Follow>,
    stop: &AtomicBool,
    sender: &SyncSender<Handed>,
) -> io::Result<bool> {
    let (mut group, mut bytes, mut complete) = (Vec::new(), 0, false);
    loop {
        let mut batch = Batch::default();
        let state = reader.next(&mut batch);
        let over = !matches!(state, Ok(State::Events));
        if !over {
            bytes += weigh(&batch);
            group.push(batch);
        }
        let remarks = reader.remarks();
        let drained = over || reader.is_drained();
        if !group.is_empty() && (bytes >= GROUP || drained || !remarks.is_empty()) {
            bytes = 0;
            if sender.send(Handed::Batches(std::mem::take(&mut group), drained)).is_err() {
                return Ok(false);
            }
        }
        for remark in remarks {
            if sender.send(Handed::Told(format!("{name}:{remark}"))).is_err() {
                return Ok(false);
            }
        }
        if stop.load(Ordering::SeqCst) {
            let _ = sender.send(Handed::Batches(group, true));
            return Ok(false);
        }
        let growth = follow.as_mut().filter(|_| matches!(state, Ok(State::End)) && !complete);
        match growth.map(|follow| follow.look(reader.head())) {
            Some(Growth::None) => {
                thread::sleep(AGAIN);
                continue;
            }
            // What was written before the next file began may have come since.
            Some(Growth::Next) => {
                complete = true;
                continue;
            }
            Some(Growth::Overwritten) => {
                return Err(io::Error::other("the file became shorter: another recording overwrites it"));
            }
            None => {}
        }
        match state {
            Ok(State::Events) => {}
            ended => {
                for remark in reader.finish() {
                    let _ = sender.send(Handed::Told(format!("{name}:{remark}")));
                }
                return ended.map(|_| true);
            }
        }
    }
}

/// The name of a file in what is said of it.
#[must_use]
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// A file that was opened.
enum Opened {
    Recording(Input),
    Foreign(Foreign),
}

/// Opens a file, and finds out what it is.
fn open(path: &Path, follow: bool, protocol: Option<&str>) -> Result<Opened, Problem> {
    let place = name(path);
    if path.is_dir() {
        return foreign::open(path, protocol).map(Opened::Foreign);
    }
    let mut input: Input = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(patiently(path, || File::open(path)).map_err(|error| unreadable(&place, &error))?)
    };
    // A recording is told by its first octets, which may come slowly.
    let mut first = Vec::new();
    while !first.starts_with(recording::START) && first.len() < foreign::ENOUGH {
        let mut piece = [0; foreign::ENOUGH];
        match input.read(&mut piece) {
            Ok(0) if follow && recording::START.starts_with(&first) => thread::sleep(AGAIN),
            Ok(0) => break,
            Ok(count) => first.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&place, &error)),
        }
    }
    if first.starts_with(recording::START) {
        return Ok(Opened::Recording(Box::new(Cursor::new(first).chain(input))));
    }
    if first.is_empty() {
        return Err(Problem::new(place, "the file is empty", "a file that `imapscope proxy -w FILE` has written"));
    }
    match Kind::named(path, &first) {
        Kind::Rawlog => foreign::open(path, protocol),
        kind => foreign::read(BufReader::new(Cursor::new(first).chain(input)), kind, &place, protocol),
    }
    .map(Opened::Foreign)
}

fn unreadable(place: &str, error: &io::Error) -> Problem {
    Problem::new(place, format!("the file cannot be read: {error}"), "name a recording, or - for standard input")
}

/// The description that the user means: by its name, or by a scheme of it such as `imaps` or `sieve`.
fn named(name: &str, protocols: &Protocols) -> Result<String, Problem> {
    let scheme = protocols.scheme(name).or_else(|| protocols.not_described(name));
    scheme
        .map(|scheme| scheme.protocol)
        .ok_or_else(|| Problem::new("--protocol", format!("no protocol {name} is known"), protocols.known(name)))
}

/// The protocols of a recording must be known.
fn known(head: &Head, place: &str, protocols: &Protocols) -> Result<(), Problem> {
    let unknown = head.protocols.keys().find(|name| protocols.grammar(name).is_none());
    let Some(name) = unknown else { return Ok(()) };
    let help = "give the description with which it was made: --grammar FILE";
    let plain = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = if plain { name.as_str() } else { "a protocol" };
    Err(Problem::new(place, format!("it is a recording of {name}, and no description of that protocol is known"), help))
}
