//! Recordings of all dialogues that end anywhere: each connection has an end and a verdict, and nobody is accused of anything new.

use std::collections::BTreeSet;
use std::io;

use imapscope::event::{Batch, Culprit, NoteKind, Summary, VerdictKind, What};
use imapscope::exchange::Explained;
use imapscope::explain::Explainer;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::{Sink, Sinks};

use crate::dialogue::{Written, play};

/// Of a recording, at most so many places to cut are tried.
const CUTS: usize = 40;

/// What a log came to.
#[derive(Default)]
struct Came {
    openings: usize,
    summaries: Vec<Summary>,
    /// Findings that accuse somebody.
    findings: BTreeSet<String>,
}

impl Sink for Came {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.openings += usize::from(matches!(event.event.what, What::Opened(_)));
        self.summaries.extend(event.summary.cloned());
        for note in event.notes {
            if let NoteKind::Finding(culprit @ (Culprit::Client | Culprit::Server)) = note.kind {
                self.findings.insert(format!("{}: {}", culprit.word(), note.text));
            }
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

/// Reads a recording to its end, wherever that is.
fn read(recording: &str, grammar: &std::sync::Arc<imapscope::grammar::Grammar>) -> Came {
    let mut came = Came::default();
    let mut reader = Reader::new(recording.as_bytes()).expect("it is in memory");
    let mut explainer = Explainer::of_recording(grammar.clone(), false);
    let mut explain = |batch: &mut Batch| {
        explainer.explain(batch, &mut |event| came.put(event).expect("memory takes all"));
    };
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("it is in memory") == State::Events {
        explain(&mut batch);
    }
    reader.close().iter_mut().for_each(explain);
    came
}

#[test]
fn a_recording_that_ends_anywhere_accuses_nobody_of_anything_new() {
    let (mut wrong, mut cuts) = (Vec::new(), 0);
    for (path, dialogue, grammar) in play::all() {
        if dialogue.steps.len() > 200 {
            continue;
        }
        let recorded = Written::default();
        let mut sinks = Sinks::default();
        sinks.add("recording", Box::new(Writer::new(recorded.clone(), Head::default())));
        play::play_cut(&dialogue, &dialogue.steps, &grammar, (1, false), &|bytes| vec![bytes], &mut sinks);
        drop(sinks);
        let recording = recorded.text();
        let whole = read(&recording, &grammar);
        let lines: Vec<&str> = recording.split_inclusive('\n').collect();
        for end in (2..lines.len()).step_by(lines.len().div_ceil(CUTS).max(1)) {
            cuts += 1;
            let cut = read(&lines[..end].concat(), &grammar);
            let place = format!("{}, cut behind {}", path.display(), lines[end - 1].trim_end());
            let [summary] = &cut.summaries[..] else {
                wrong.push(format!("{place}: {} ends", cut.summaries.len()));
                continue;
            };
            let new: Vec<&String> = cut.findings.difference(&whole.findings).collect();
            if cut.openings != 1 || !new.is_empty() {
                wrong.push(format!("{place}: {new:?}"));
            }
            let verdict = &summary.verdict;
            let accuses = matches!(verdict.kind, VerdictKind::Server | VerdictKind::Client);
            if verdict.text.is_empty() || accuses == cut.findings.is_empty() {
                wrong.push(format!("{place}: {}", verdict.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cuts}: {}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    assert!(cuts > 2_000, "only {cuts} places");
}
