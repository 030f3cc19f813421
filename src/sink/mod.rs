//! Consumers of explained events: the trait, the fan-out to several of them, and opening one by its name.
//!
//! A sink knows explained events and where it writes; it knows nothing of sessions, grammars or sockets.

pub mod aside;
mod bulk;
mod caps;
mod clock;
mod closing;
pub mod ends;
mod escape;
pub mod gate;
pub mod html;
pub mod json;
pub mod lint;
mod page;
pub mod pcapng;
mod phrase;
pub mod pretty;
pub mod probed;
pub mod raw;
mod run;
mod secured;
pub mod style;
mod text;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use crate::exchange::Explained;
use crate::file::{Output, Outputs, Refused};
use crate::problem::Problem;
pub use escape::escaped;
use html::Html;
use json::Json;
use pcapng::Pcapng;
use pretty::Pretty;
use raw::Raw;
use raw::body::Bodies;
use raw::folder::Folder;
use style::Look;

/// The kinds of outputs that this version has.
pub const KINDS: [&str; 7] = ["pretty", "record", "json", "html", "pcapng", "raw", "bodies"];

/// The kinds that a person looks at, and in which a filter may leave out what is not wanted.
const FOR_EYES: [&str; 3] = ["pretty", "json", "html"];

/// The kinds that need a folder.
const FOLDERS: [&str; 2] = ["raw", "bodies"];

/// A consumer of explained events.
pub trait Sink: Send {
    /// Takes one event. What can be seen outside may wait for [`Sink::flush`].
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()>;
    /// True if so much waits that it should be written out before more comes.
    fn is_full(&self) -> bool {
        false
    }
    /// True for one that needs all octets of data ([`What::Octets`](crate::event::What::Octets)), and not their head only.
    fn wants_octets(&self) -> bool {
        false
    }
    /// Takes note of an event that is not to be shown: of what it changes for those that are.
    fn skip(&mut self, _: &Explained<'_>) {}
    /// Makes all that was put visible; called when nothing more is waiting.
    fn flush(&mut self) -> io::Result<()>;
    /// No more events will come.
    fn end(&mut self) -> io::Result<()>;
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        (**self).put(event)
    }

    fn skip(&mut self, event: &Explained<'_>) {
        (**self).skip(event);
    }

    fn is_full(&self) -> bool {
        (**self).is_full()
    }

    fn wants_octets(&self) -> bool {
        (**self).wants_octets()
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn end(&mut self) -> io::Result<()> {
        (**self).end()
    }
}

/// Several sinks as one. A sink that fails is dropped and its error given back once; the others go on. All are written out
/// together, in the order in which they were added: what the first one lacks, none of the others shows.
#[derive(Default)]
pub struct Sinks {
    sinks: Vec<(String, Box<dyn Sink>)>,
    /// Errors that have not been given back yet: more than one sink can fail in one call.
    failed: Vec<io::Error>,
}

impl Sinks {
    /// Adds a sink under the name that its error will have.
    pub fn add(&mut self, name: impl Into<String>, sink: Box<dyn Sink>) {
        self.sinks.push((name.into(), sink));
    }

    /// True once no sink is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    fn each(&mut self, mut call: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        let failed = &mut self.failed;
        self.sinks.retain_mut(|(name, sink)| match call(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                failed.push(io::Error::new(error.kind(), format!("{name}: {error}")));
                false
            }
        });
        if self.failed.is_empty() { Ok(()) } else { Err(self.failed.remove(0)) }
    }
}

impl Sink for Sinks {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.each(|sink| sink.put(event))?;
        if self.is_full() { self.flush() } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        self.sinks.iter().any(|(_, sink)| sink.is_full())
    }

    fn wants_octets(&self) -> bool {
        self.sinks.iter().any(|(_, sink)| sink.wants_octets())
    }

    fn skip(&mut self, event: &Explained<'_>) {
        self.sinks.iter_mut().for_each(|(_, sink)| sink.skip(event));
    }

    fn flush(&mut self) -> io::Result<()> {
        self.each(|sink| sink.flush())
    }

    fn end(&mut self) -> io::Result<()> {
        self.each(|sink| sink.end())
    }
}

/// True if an output `KIND[:PATH]` goes to standard output: what its look has to fit then is the terminal.
#[must_use]
pub fn is_standard(output: &str) -> bool {
    matches!(output.split_once(':'), None | Some((_, "-")))
}

/// True if an output `KIND[:PATH]` may leave something out: recordings, and what other programs take apart, are whole.
#[must_use]
pub fn is_for_eyes(output: &str) -> bool {
    FOR_EYES.contains(&output.split_once(':').map_or(output, |(kind, _)| kind))
}

/// Whether an output `KIND[:PATH]` can be meant, without opening it.
///
/// # Errors
/// A kind that there is not, or no path where one should be.
pub fn check(output: &str) -> Result<(), Problem> {
    let (kind, path) = output.split_once(':').map_or((output, None), |(kind, path)| (kind, Some(path)));
    if !KINDS.contains(&kind) {
        let what = format!("there is no output of the kind {kind:?}");
        return Err(Problem::new(origin(output), what, format!("KIND[:PATH], where KIND is {}", KINDS.join(", "))));
    }
    if FOLDERS.contains(&kind) && matches!(path, None | Some("" | "-")) {
        let what = format!("the `{kind}` output needs a folder");
        return Err(Problem::new(origin(output), what, format!("{kind}:FOLDER, a new folder or an empty one")));
    }
    if path == Some("") {
        return Err(Problem::new(origin(output), "the path is empty", format!("{kind} or {kind}:PATH")));
    }
    Ok(())
}

/// Opens an output `KIND[:PATH]` of a kind that is a look; see [`place`] for where it goes.
///
/// # Errors
/// As [`check`], and a file that cannot be written.
pub fn open(output: &str, look: Look, outputs: &mut Outputs) -> Result<Box<dyn Sink>, Problem> {
    check(output)?;
    let (kind, path) = output.split_once(':').unwrap_or((output, "-"));
    let mut folder = || {
        let opened = outputs.folder(Path::new(path));
        opened.map(Folder::new).map_err(|refused| problem(output, refused, "a new folder, or an empty one"))
    };
    Ok(match kind {
        // A recording is no look; whoever wants one has it from the module of that name.
        "record" => return Err(Problem::new(origin(output), "a recording is opened elsewhere", "")),
        "html" => Box::new(Html::new(place(output, path, outputs)?, look)),
        "json" => Box::new(Json::new(place(output, path, outputs)?)),
        "raw" => Box::new(Raw::new(folder()?)),
        "bodies" => Box::new(Bodies::new(folder()?)),
        "pcapng" if path == "-" && io::stdout().is_terminal() => {
            let help = "pcapng:FILE, or a pipe: -o pcapng | wireshark -k -i -";
            return Err(Problem::new(origin(output), "a capture is nothing for a terminal", help));
        }
        "pcapng" => Box::new(Pcapng::new(place(output, path, outputs)?)),
        _ => Box::new(Pretty::new(place(output, path, outputs)?, look)),
    })
}

/// Opens what an output writes to: standard output for `-`, or a file. A new file is for its owner alone; one that exists is
/// emptied by what is written first, and stays as it is if nothing is.
///
/// # Errors
/// A file that cannot be written, or is not to be: see [`Place::open`](crate::file::Place::open).
pub fn place(output: &str, path: &str, outputs: &mut Outputs) -> Result<Output, Problem> {
    if path == "-" {
        return standard_output().map_err(|error| problem(output, error.into(), ""));
    }
    let opened =
        outputs.open(Path::new(path)).map_err(|refused| problem(output, refused, "a file that can be written"));
    Ok(opened?.1.output())
}

/// Returns standard output as a file of its own: without the line buffer of the library's handle, and without its panics.
///
/// # Errors
/// What the system refuses.
pub fn standard_output() -> io::Result<Output> {
    Ok(Output::of(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

fn problem(output: &str, refused: Refused, help: &str) -> Problem {
    let help = if refused.help.is_empty() { help } else { &refused.help };
    Problem::new(origin(output), refused.what, help)
}

/// A sentence that may quote a peer, so that no terminal obeys it.
#[must_use]
pub fn safe(sentence: &str) -> String {
    escape::escaped(sentence)
}

fn origin(output: &str) -> String {
    format!("--output {}", escape::escaped(output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Peer, Time, What};
    use crate::exchange::Connection;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    struct Fragile {
        puts: Arc<Mutex<usize>>,
        breaks_at: usize,
    }

    impl Sink for Fragile {
        fn put(&mut self, _: &Explained<'_>) -> io::Result<()> {
            let mut puts = self.puts.lock().expect("one thread");
            *puts += 1;
            if *puts >= self.breaks_at { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn end(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(sinks: &mut Sinks) -> io::Result<()> {
        let event = Event { from: Peer::Client, what: What::HalfClosed };
        sinks.put(&Explained::bare(&Connection::default(), Time(0), &event))
    }

    #[test]
    fn a_failed_sink_is_reported_once_and_the_others_go_on() {
        let counts: Vec<Arc<Mutex<usize>>> = (0..3).map(|_| Arc::default()).collect();
        let mut sinks = Sinks::default();
        for (puts, breaks_at) in counts.iter().zip([2, usize::MAX, 2]) {
            sinks.add(format!("sink {breaks_at}"), Box::new(Fragile { puts: Arc::clone(puts), breaks_at }));
        }
        assert!(put(&mut sinks).is_ok());
        let error = put(&mut sinks).expect_err("two of them break");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(error.to_string().starts_with("sink 2: "), "{error}");
        assert!(put(&mut sinks).is_err(), "the other one's error");
        assert!(put(&mut sinks).is_ok());
        assert!(sinks.flush().is_ok() && sinks.end().is_ok() && !sinks.is_empty());
        assert_eq!(counts.iter().map(|puts| *puts.lock().expect("one thread")).collect::<Vec<_>>(), [2, 4, 2]);
    }

    #[test]
    fn outputs_that_cannot_be_are_refused_with_what_can() {
        for (output, what) in [
            ("raw", "needs a folder"),
            ("raw:-", "needs a folder"),
            ("bodies:", "needs a folder"),
            ("raw:/nowhere/at/all", "No such file"),
            ("petty", "there is no output of the kind \"petty\""),
            ("pretty:", "the path is empty"),
            ("pretty:/nowhere/at/all", "No such file"),
        ] {
            let Err(problem) = open(output, Look::default(), &mut Outputs::default()) else {
                panic!("{output} was opened")
            };
            assert!(problem.what.contains(what), "{problem}");
            assert!(problem.origin.contains(output) && !problem.help.is_empty(), "{problem}");
        }
        assert!(is_for_eyes("pretty") && is_for_eyes("pretty:log") && !is_for_eyes("record:log"));
        assert!(is_standard("pretty") && is_standard("pretty:-") && !is_standard("pretty:log"));
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_is_emptied() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a:b.log");
        let output = format!("pretty:{}", path.display());
        for _ in 0..2 {
            let mut sinks = Sinks::default();
            sinks.add("log", open(&output, Look::default(), &mut Outputs::default()).expect("a file"));
            put(&mut sinks).expect("room");
            sinks.end().expect("room");
            let text = std::fs::read_to_string(&path).expect("a log");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
}
