//! The file that SSLKEYLOGFILE names: with the secrets of connections in it, other programs can read what was captured of them.

use std::env;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::{KeyLog, NoKeyLog};

use crate::file::{Place, Refused, Way};

/// The file, opened once; `None` without one.
static FILE: OnceLock<Option<File>> = OnceLock::new();

/// The path in SSLKEYLOGFILE, if it is set.
#[must_use]
pub fn named() -> Option<PathBuf> {
    env::var_os("SSLKEYLOGFILE").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// Opens the file at [`named`]. Returns what its owner should know of it.
///
/// # Errors
/// A file that cannot be written, or is not to be: see [`Place::open`].
pub fn open(path: &Path) -> Result<Option<String>, Refused> {
    let opened = Place::find(path)?.open(Way::Append)?;
    let _ = FILE.set(Some(opened.file));
    Ok(opened.warning)
}

/// Returns what writes a line into the file; `None` without one. Nobody is told if that fails.
pub(super) fn writer() -> Option<impl Fn(&str) + Send + Sync + 'static> {
    let file = FILE.get_or_init(|| Some(Place::find(&named()?).ok()?.open(Way::Append).ok()?.file)).as_ref()?;
    // One write a line: other handshakes and other programs append to the same file.
    Some(|line: &str| drop((&mut &*file).write_all(format!("{line}\n").as_bytes())))
}

/// Returns the same for rustls.
pub(super) fn key_log() -> Arc<dyn KeyLog> {
    match writer() {
        Some(write) => Arc::new(Lines(write)),
        None => Arc::new(NoKeyLog),
    }
}

/// Secrets as lines: a label, and two numbers in hexadecimal digits.
struct Lines<F>(F);

impl<F> std::fmt::Debug for Lines<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

impl<F: Fn(&str) + Send + Sync> KeyLog for Lines<F> {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        (self.0)(&format!("{label} {} {}", hex(client_random), hex(secret)));
    }
}
