//! Reports: gathers findings from all that is put, and writes them for people, as JSON, SARIF, JUnit XML, and a baseline. Bounded
//! ([`report`]); knows no files and no exit of the program beyond its code.

pub mod baseline;
mod excerpt;
mod fingerprint;
mod json;
mod junit;
pub mod policy;
pub mod report;
mod sarif;
mod table;
mod text;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sink;
use crate::event::{NoteKind, What};
use crate::exchange::Explained;
pub use json::report as json;
pub use junit::report as junit;
use report::Report;
pub use sarif::report as sarif;
pub use table::{lines, table};
pub use text::report as text;

/// The description of the object that [`json`] makes: a JSON Schema, draft 2020-12.
pub const SCHEMA: &str = include_str!("../lint.schema.json");

/// A report to which several sinks add, one after the other or at once.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Report>>);

impl Shared {
    /// Shares a report.
    #[must_use]
    pub fn new(report: Report) -> Self {
        Shared(Arc::new(Mutex::new(report)))
    }

    /// The report, as it is now.
    pub fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sink that adds to it what it is given of a file of this name; `timed`: its times are known.
    #[must_use]
    pub fn sink(&self, name: &str, timed: bool) -> Lint {
        let file = self.lock().begin(name, timed);
        Lint { shared: self.clone(), file }
    }
}

/// Adds findings to a report.
#[derive(Debug)]
pub struct Lint {
    shared: Shared,
    /// The number of its file in the report.
    pub file: usize,
}

impl Sink for Lint {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let found = event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)));
        if found || matches!(event.event.what, What::Opened(_) | What::Closed(_) | What::Lag { .. }) {
            self.shared.lock().see(self.file, event);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}
