//! Consumers of explained events: the trait, opening them by name, and the fan-out to several of them.

pub mod clock;
pub mod escape;
pub mod pretty;
pub mod style;
mod summary;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::event::Explained;
use crate::problem::Problem;

/// A consumer of explained events.
pub trait Sink: Send {
    /// Takes one event. May buffer.
    ///
    /// # Errors
    /// What writing says.
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()>;
    /// Makes all that was put visible; called when nothing more is waiting.
    ///
    /// # Errors
    /// What writing says.
    fn flush(&mut self) -> io::Result<()>;
    /// No more events will come.
    ///
    /// # Errors
    /// What writing says.
    fn end(&mut self) -> io::Result<()>;
}

/// Several sinks, each with the name under which its failure is reported.
pub struct Sinks {
    sinks: Vec<(String, Box<dyn Sink>)>,
    notice: fn(&str),
    fine: bool,
}

impl Sinks {
    /// No sinks yet. `notice` is told when one of them fails; it is then left out, and the others go on.
    #[must_use]
    pub fn new(notice: fn(&str)) -> Self {
        Sinks { sinks: Vec::new(), notice, fine: true }
    }

    /// Adds one.
    pub fn add(&mut self, name: impl Into<String>, sink: impl Sink + 'static) {
        self.sinks.push((name.into(), Box::new(sink)));
    }

    /// Gives an event to all of them.
    pub fn put(&mut self, event: &Explained<'_>) {
        self.each(|sink| sink.put(event));
    }

    /// Makes all that was put visible.
    pub fn flush(&mut self) {
        self.each(|sink| sink.flush());
    }

    /// Ends all of them. Returns false if any of them has ever failed.
    pub fn end(&mut self) -> bool {
        self.each(|sink| sink.end());
        self.fine
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>) {
        let (notice, fine) = (self.notice, &mut self.fine);
        self.sinks.retain_mut(|(name, sink)| match act(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                // Whoever closes the pipe has read enough; that is no failure, and `head` is no reason for a message.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    *fine = false;
                    notice(&format!("error: the output {name} failed: {error}; the relay goes on without it"));
                }
                false
            }
        });
    }
}

/// Creates a file that only its owner may read; an existing one is written anew.
///
/// # Errors
/// What the system says, with the place and a remedy.
pub fn create(origin: &str, path: &Path) -> Result<File, Problem> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        let what = format!("{} cannot be written: {error}", path.display());
        Problem::new(origin, what, "name a file in a folder that exists and may be written to")
    })
}

/// Writes everything to `out` and empties `buffer`, also when writing fails: what cannot be written is not kept.
fn drain(buffer: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    let written = out.write_all(buffer);
    buffer.clear();
    written
}
