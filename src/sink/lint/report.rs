//! Findings of all files: those that are the same are one, with a count and the first places. Bounded; what there is no room
//! for is counted, and judged all the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::excerpt::Excerpt;
use super::fingerprint;
use super::policy::{Policy, Standing};
use crate::check::{Blames, Check, Standard, concluded};
use crate::event::{Cause, Culprit, Note, NoteKind, Severity, Span, Time, What};
use crate::exchange::Explained;
use crate::sink::text::start_of;

/// Maximum number of findings of one check that are kept apart, so that a flood of one kind hides no other.
pub const MAX_OF_CHECK: usize = 64;

/// Maximum number of places that are kept of a finding.
pub const MAX_PLACES: usize = 5;

/// Maximum number of bytes kept of a sentence.
const MAX_SENTENCE: usize = 600;

/// Number of the latest findings that a consequence can be one of.
const MAX_RECENT: usize = 1024;

/// Maximum number of protocols that are remembered of all files.
const MAX_PROTOCOLS: usize = 32;

/// Where a finding was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The number of its file in the report.
    pub file: usize,
    /// Its connection.
    pub connection: u64,
    /// Its frame; 0 for what concerns the connection as a whole.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// The bytes of the text that it is about, if that is not all of it.
    pub span: Option<Span>,
    /// Its line, if it is about one.
    pub line: Option<Excerpt>,
}

/// A finding, however often it was made.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its check.
    pub check: &'static Check,
    /// Whose fault it is.
    pub culprit: Culprit,
    /// The sentence of the first one. May quote a peer.
    pub text: String,
    /// The name that it is about, if any. May quote a peer.
    pub about: Option<String>,
    /// The section that is broken; empty if none is known.
    pub rfc: String,
    /// Equal in another run.
    pub fingerprint: String,
    /// Whether it counts.
    pub standing: Standing,
    /// Number of times that it was made.
    pub count: u64,
    /// The first places.
    pub places: Vec<Place>,
    /// The check of the first cause, if it follows from another finding, and that one's number in the report if it is there.
    pub consequence: Option<(&'static str, Option<usize>)>,
}

/// A file, or the live connections.
#[derive(Debug, Clone, Default)]
pub struct Linted {
    /// Its name, as the user wrote it; empty for live connections.
    pub name: String,
    /// Its times are known.
    pub timed: bool,
    /// Number of its connections.
    pub connections: u64,
    /// Why it cannot be read, or not all of it.
    pub failed: Option<String>,
}

/// Findings of all files.
#[derive(Debug, Default)]
pub struct Report {
    /// Decides what counts.
    pub policy: Policy,
    /// The files, in their order.
    pub files: Vec<Linted>,
    /// The protocols that were spoken.
    pub protocols: BTreeSet<String>,
    /// The findings, in the order in which each was made first.
    pub findings: Vec<Finding>,
    /// By check: findings for which there was no room.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Number of findings that are denied and count, those without room among them, by check.
    pub denied: BTreeMap<&'static str, u64>,
    /// Events that could not be judged, because the log could not keep up.
    pub unjudged: u64,
    numbers: HashMap<String, usize>,
    kinds: HashMap<&'static str, usize>,
    recent: VecDeque<(usize, u64, u64, &'static str, usize)>,
}

impl Report {
    /// A report on nothing, by this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Report { policy, ..Report::default() }
    }

    /// Begins a file. Returns its number.
    pub fn begin(&mut self, name: &str, timed: bool) -> usize {
        self.files.push(Linted { name: name.to_owned(), timed, ..Linted::default() });
        self.files.len() - 1
    }

    /// Looks at an event of this file.
    pub fn see(&mut self, file: usize, event: &Explained<'_>) {
        match &event.event.what {
            What::Opened(opened) => {
                self.files[file].connections += 1;
                if self.protocols.len() < MAX_PROTOCOLS {
                    self.protocols.insert(opened.protocol.clone());
                }
            }
            What::Lag { events, .. } => self.unjudged = self.unjudged.saturating_add(*events),
            What::Closed(_) => self.end(file, event),
            _ => {}
        }
        for note in event.notes {
            if let NoteKind::Finding(culprit) = note.kind
                && let Some(check) = Check::named(note.check)
            {
                self.find(file, event, (check, culprit), note);
            }
        }
    }

    /// A finding that only the end of a connection shows is in no note.
    fn end(&mut self, file: usize, event: &Explained<'_>) {
        let cause = event.summary.and_then(|summary| concluded(&summary.verdict));
        let Some(Cause { check, culprit, text, .. }) = cause else { return };
        let Some(check) = Check::named(check) else { return };
        let fingerprint = fingerprint::at_end(check.id, *culprit, event);
        let rfc = check.section(Standard::named(event.connection.protocol().unwrap_or_default()));
        let note = Note { check: check.id, ..Note::new(NoteKind::Finding(*culprit), text, rfc) };
        self.add(file, event, (check, *culprit), &note, fingerprint);
    }

    fn find(&mut self, file: usize, event: &Explained<'_>, what: (&'static Check, Culprit), note: &Note) {
        self.add(file, event, what, note, fingerprint::of(event, note));
    }

    fn add(
        &mut self,
        file: usize,
        event: &Explained<'_>,
        (check, culprit): (&'static Check, Culprit),
        note: &Note,
        fingerprint: String,
    ) {
        let frame = match &event.event.what {
            What::Text(text) => text.frame,
            What::Data(data) => data.frame,
            _ => 0,
        };
        let connection = event.connection.number;
        let first_cause = note.consequence.is_none();
        let ours = culprit == Culprit::None && check.blames != Blames::Nobody && first_cause;
        let standing = self.policy.standing(check, &fingerprint, ours);
        if standing == Standing::New && first_cause && self.policy.denies(check) {
            *self.denied.entry(check.id).or_default() += 1;
        }
        let place =
            || Place { file, connection, frame, at: event.at, span: note.span, line: Excerpt::of(event, note.span) };
        let number = if let Some(&number) = self.numbers.get(&fingerprint) {
            let finding = &mut self.findings[number];
            finding.count += 1;
            if finding.places.len() < MAX_PLACES {
                finding.places.push(place());
            }
            number
        } else {
            let kinds = self.kinds.entry(check.id).or_default();
            if *kinds == MAX_OF_CHECK {
                *self.left_out.entry(check.id).or_default() += 1;
                return;
            }
            *kinds += 1;
            let cut = |text: &str| String::from_utf8_lossy(start_of(text.as_bytes(), MAX_SENTENCE)).into_owned();
            let first = note.consequence.map(|first| {
                let same = |recent: &&(usize, u64, u64, &str, usize)| {
                    (recent.0, recent.1, recent.2, recent.3) == (file, connection, first.frame, first.check)
                };
                (first.check, self.recent.iter().rev().find(same).map(|recent| recent.4))
            });
            self.findings.push(Finding {
                check,
                culprit,
                text: cut(&note.text),
                about: note.about.as_deref().map(cut),
                rfc: cut(note.rfc.as_deref().unwrap_or_default()),
                fingerprint: fingerprint.clone(),
                standing,
                count: 1,
                places: vec![place()],
                consequence: first,
            });
            self.numbers.insert(fingerprint, self.findings.len() - 1);
            self.findings.len() - 1
        };
        // What follows from a consequence follows from the first cause.
        let root = self.findings[number].consequence.and_then(|(_, first)| first).unwrap_or(number);
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((file, connection, frame, check.id, root));
    }

    /// Returns true if this finding is denied, and counts.
    #[must_use]
    pub fn is_denied(&self, finding: &Finding) -> bool {
        finding.standing == Standing::New && finding.consequence.is_none() && self.policy.denies(finding.check)
    }

    /// The findings of this severity that are first causes, or whose first cause is not in the report.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = (usize, &Finding)> {
        let first = |finding: &Finding| !matches!(finding.consequence, Some((_, Some(_))));
        self.findings.iter().enumerate().filter(move |(_, it)| it.check.severity == severity && first(it))
    }

    /// Returns the consequences of a finding of this number.
    pub fn following(&self, number: usize) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |it| it.consequence.is_some_and(|(_, first)| first == Some(number)))
    }

    /// Returns how often first causes of this severity were found.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.counted(|finding| finding.check.severity == severity && finding.consequence.is_none())
            + self
                .left_out
                .iter()
                .filter(|(id, _)| Check::named(id).is_some_and(|it| it.severity == severity))
                .map(|it| it.1)
                .sum::<u64>()
    }

    /// Returns how often findings of this standing were made.
    #[must_use]
    pub fn standing(&self, standing: Standing) -> u64 {
        self.counted(|finding| finding.standing == standing)
    }

    /// Returns how often consequences were found.
    #[must_use]
    pub fn consequences(&self) -> u64 {
        self.counted(|finding| finding.consequence.is_some())
    }

    fn counted(&self, which: impl Fn(&Finding) -> bool) -> u64 {
        self.findings.iter().filter(|finding| which(finding)).map(|finding| finding.count).sum()
    }

    /// The exit code: 1 if something could not be read, 3 if something that is denied was found.
    #[must_use]
    pub fn code(&self) -> u8 {
        match () {
            () if self.files.iter().any(|file| file.failed.is_some()) => 1,
            () if !self.denied.is_empty() => 3,
            () => 0,
        }
    }
}
