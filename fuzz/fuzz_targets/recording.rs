//! A recording of any octets is read, explained, shown and written again: nothing panics, remarks are bounded, the log holds no
//! octet that acts on a terminal, and what was written again is whole.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use imapscope::event::{Batch, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::{Body, Look};
use libfuzzer_sys::fuzz_target;

/// Connections beyond that are not explained: an explainer is large.
const CONNECTIONS: usize = 8;

fn read(recording: &[u8], explainer: fn(Arc<Grammar>, bool) -> Explainer) -> (Vec<u8>, Vec<String>) {
    let (mut log, mut copy) = (Vec::new(), Vec::new());
    let mut pretty = Pretty::new(&mut log, Look { body: Body::All, ..Look::default() });
    let mut writer = Writer::new(&mut copy, Head::default());
    let mut explainers = HashMap::new();
    let mut reader = Reader::new(recording).expect("memory can be read");
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("memory can be read") == State::Events {
        for event in &batch.events {
            let What::Opened(opened) = &event.what else { continue };
            if let Some(grammar) = Grammar::builtin(&opened.protocol).filter(|_| explainers.len() < CONNECTIONS) {
                explainers.insert(batch.connection, explainer(grammar, false));
            }
        }
        if let Some(explainer) = explainers.get_mut(&batch.connection) {
            explainer.explain(&mut batch, &mut |event| {
                pretty.put(event).expect("memory takes all");
                writer.put(event).expect("memory takes all");
            });
        }
    }
    let mut remarks = reader.remarks();
    remarks.extend(reader.finish());
    assert!(remarks.len() <= 21);
    pretty.end().expect("memory takes all");
    writer.end().expect("memory takes all");
    drop((pretty, writer));
    let log = String::from_utf8(log).expect("the log is UTF-8");
    assert!(log.chars().all(|letter| letter == '\n' || !letter.is_control()), "{log:?}");
    (copy, remarks)
}

fuzz_target!(|input: &[u8]| {
    for explainer in [Explainer::of_recording, Explainer::new] {
        let (copy, _) = read(input, explainer);
        let (_, remarks) = read(&copy, Explainer::of_recording);
        assert!(remarks.is_empty(), "{remarks:?}\n{}", copy.escape_ascii());
    }
});
