//! `imapscope read`: what was recorded, through the explainer and the outputs of a live connection. One thread reads, this
//! one explains and shows.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::desk::Desk;
use super::protocols::Protocols;
use super::select::{Moment, Selected, Selection};
use super::{log, tell};
use crate::cli::{self, Side};
use crate::event::{Batch, Peer};
use crate::explain::Explainer;
use crate::problem::Problem;
use crate::recording::{self, Head, Reader, State};
use crate::sink::Sink;

/// Batches wait for the explainer in groups of at least so many octets, unless there are no more now.
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

/// Shows a recording, or writes it in another form.
///
/// # Errors
/// Everything in the flags that cannot be meant, and files that are no recordings.
pub fn run(flags: &cli::Read) -> Result<u8, Problem> {
    let protocols = Protocols::with(&flags.grammar)?;
    let wanted = selection(flags)?;
    let mut files = Vec::new();
    for path in &flags.files {
        files.push((name(path), open(path, flags.follow)?));
    }
    let mut inputs = files.into_iter();
    let Some((first, input)) = inputs.next() else { return Ok(0) };
    let mut reader = Reader::new(input).map_err(|error| unreadable(&first, &error))?;
    while flags.follow && !reader.begin().map_err(|error| unreadable(&first, &error))? {
        // It says what may be shown of the rest.
        thread::sleep(AGAIN);
    }
    let head = reader.head().clone();
    known(&head, &first, &protocols)?;
    let (hidden, hide) = (!head.secrets, head.secrets && !flags.log.show_secrets);
    let filter = log::filter(&flags.log)?;
    let head = Head { secrets: head.secrets && !hide, ..head };
    let select = |sink| -> Box<dyn Sink> { Box::new(Selected::new(wanted.clone(), sink)) };
    let sinks = log::open_inside(&flags.log, filter.as_ref(), &head, &select)?;
    let desk = Desk::new(protocols.grammars().to_vec(), sinks, !hidden && !hide);
    // Secrets that are in the file and not to be shown are found and hidden anew.
    let desk = desk.reading(if hide { Explainer::new } else { Explainer::of_recording });
    let (sender, receiver) = mpsc::sync_channel(GROUPS);
    let follow = flags.follow;
    let reading = thread::Builder::new().name("read".to_owned()).spawn(move || {
        let mut fine = hand_over(reader, &first, &mut inputs, follow, &sender);
        fine &= inputs.next().is_none();
        fine
    });
    let reading = reading.map_err(|error| {
        Problem::new("imapscope", format!("the system gave no thread: {error}"), "allow more processes or memory")
    })?;
    let mut desk = desk;
    for handed in receiver {
        match handed {
            Handed::Told(text) => {
                desk.flush();
                tell(&text);
            }
            Handed::Batches(batches, drained) => {
                for mut batch in batches {
                    desk.explain(&mut batch);
                }
                if drained {
                    desk.flush();
                }
            }
        }
        if desk.is_idle() {
            break;
        }
    }
    let shown = desk.end();
    // Without an output nobody takes what is read, so that the thread ends.
    let read = reading.join().unwrap_or(false);
    Ok(u8::from(!(shown && read)))
}

/// Reads all files to their ends. False if something was damaged, or could not be read.
fn hand_over(
    mut reader: Reader<Input>,
    first: &str,
    inputs: &mut dyn Iterator<Item = (String, Input)>,
    follow: bool,
    sender: &SyncSender<Handed>,
) -> bool {
    let mut name = first.to_owned();
    let mut fine = true;
    loop {
        let read = file(&mut reader, &name, follow, sender);
        fine &= read.is_ok() && reader.remarked() == 0;
        match read {
            // Nobody wants to see more.
            Ok(false) => return fine,
            Ok(true) => {}
            Err(error) => fine &= sender.send(Handed::Told(format!("error: {name}: {error}"))).is_err(),
        }
        let Some((next, input)) = inputs.next() else { return fine };
        name = next;
        let part = reader.head().part;
        match reader.go_on(input) {
            Ok(()) if reader.head().part == part + 1 => {}
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

/// Reads one file to its end; false if nobody takes what is read.
fn file(reader: &mut Reader<Input>, name: &str, follow: bool, sender: &SyncSender<Handed>) -> io::Result<bool> {
    let (mut group, mut octets) = (Vec::new(), 0);
    loop {
        let mut batch = Batch::default();
        let state = reader.next(&mut batch);
        let over = !matches!(state, Ok(State::Events));
        if !over {
            octets += batch.bytes.len() + batch.events.len() * 64;
            group.push(batch);
        }
        let remarks = reader.remarks();
        let drained = over || reader.is_drained();
        if !group.is_empty() && (octets >= GROUP || drained || !remarks.is_empty()) {
            octets = 0;
            if sender.send(Handed::Batches(std::mem::take(&mut group), drained)).is_err() {
                return Ok(false);
            }
        }
        for remark in remarks {
            if sender.send(Handed::Told(format!("{name}:{remark}"))).is_err() {
                return Ok(false);
            }
        }
        match state {
            Ok(State::Events) => {}
            Ok(State::End) if follow => thread::sleep(AGAIN),
            ended => {
                for remark in reader.finish() {
                    let _ = sender.send(Handed::Told(format!("{name}:{remark}")));
                }
                return ended.map(|_| true);
            }
        }
    }
}

fn selection(flags: &cli::Read) -> Result<Selection, Problem> {
    let zone = TimeZone::system();
    let moment =
        |option: &str, text: &Option<String>| text.as_deref().map(|text| Moment::read(option, text, &zone)).transpose();
    Ok(Selection {
        connections: flags.conn.iter().copied().collect(),
        side: flags.side.map(|side| match side {
            Side::Client => Peer::Client,
            Side::Server => Peer::Server,
        }),
        since: moment("--since", &flags.since)?,
        until: moment("--until", &flags.until)?,
        zone: Some(zone.clone()),
    })
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Opens a file, and sees to it that it is a recording.
fn open(path: &Path, follow: bool) -> Result<Input, Problem> {
    let place = name(path);
    let standard = path == Path::new("-");
    if standard && follow {
        let help = "leave --follow out: standard input is read to its end as it comes";
        return Err(Problem::new("--follow", "standard input does not grow like a file", help));
    }
    let input: Input = if standard {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| unreadable(&place, &error))?)
    };
    let mut input = input;
    let mut start = Vec::new();
    while start.len() < recording::START.len() && recording::START.starts_with(&start) {
        // A pipe may give less than it will.
        let wanted = (recording::START.len() - start.len()) as u64;
        let read = input.by_ref().take(wanted).read_to_end(&mut start);
        match read.map_err(|error| unreadable(&place, &error))? {
            0 if follow => thread::sleep(AGAIN),
            0 => break,
            _ => {}
        }
    }
    if start == recording::START {
        return Ok(Box::new(Cursor::new(start).chain(input)));
    }
    let what = if start.is_empty() { "the file is empty" } else { "this is no recording of imapscope" };
    Err(Problem::new(place, what, "a file that `imapscope proxy -w FILE` has written"))
}

fn unreadable(place: &str, error: &io::Error) -> Problem {
    Problem::new(place, format!("the file cannot be read: {error}"), "name a recording, or - for standard input")
}

/// The protocols of a recording must be known.
fn known(head: &Head, place: &str, protocols: &Protocols) -> Result<(), Problem> {
    let unknown = head.protocols.keys().find(|name| protocols.grammar(name).is_none());
    let Some(name) = unknown else { return Ok(()) };
    let help = "give the description with which it was made: --grammar FILE";
    Err(Problem::new(place, format!("it is a recording of {name}, and no description of that protocol is known"), help))
}
