//! Opens files that the user named, which may be pipes: whoever waits for the other end of one is told so, and once the
//! relay runs nobody waits.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::tell;
use crate::sink::escaped;

/// How long a program at the other end of a pipe may take before the user hears that it is waited for.
const QUIET: Duration = Duration::from_secs(1);

/// What is done with a file that is a pipe, terminal or device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipes {
    /// It is read to its end, however long that takes.
    Wait,
    /// It is an error: the caller must not be held up.
    Refuse,
}

/// Opens a file for reading.
///
/// # Errors
/// Those of the system, and with [`Pipes::Refuse`] a file that is not a regular one.
pub fn open(path: &Path, pipes: Pipes) -> io::Result<File> {
    match pipes {
        Pipes::Wait => File::open(path),
        Pipes::Refuse => {
            // Without the flag, a pipe that nobody writes to could not be opened.
            let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
            let regular = file.metadata()?.is_file();
            let refused = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file, it cannot be read again");
            regular.then_some(file).ok_or_else(refused)
        }
    }
}

/// Opens or reads a file. If it is a pipe and that takes longer than a moment, the user hears what is waited for.
pub fn patiently<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    if !path.metadata().is_ok_and(|it| it.file_type().is_fifo()) {
        return work();
    }
    let (done, waits) = mpsc::channel::<()>();
    let name = path.display().to_string();
    // Without a thread for it, nobody is told.
    let _ = thread::Builder::new().name("patience".to_owned()).spawn(move || {
        if waits.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
            tell(&escaped(&format!("waiting for a program that writes to the pipe {name}")));
        }
    });
    let result = work();
    drop(done);
    result
}
