//! The whole of a connection: two lanes with any octets in any order and chunking go through the session, the
//! explanation and the pretty log. Each lane comes out as it went in, nothing is kept back, nothing panics, and the
//! log holds no octet that acts on a terminal.
#![no_main]

use std::sync::Arc;

use imapscope::event::{Closed, Closer, Layer, MAX_TEXT, Peer, Time, What};
use imapscope::explain::Explainer;
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::rules::{Options, Rules, Source};
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use libfuzzer_sys::fuzz_target;

fn rules(edit: bool) -> Rules {
    let drop = ["X-NOBODY-HAS-THIS".to_owned()];
    let drop = if edit { &drop[..] } else { &[] };
    Rules::compile(&Source::options(Options { drop, ..Options::default() })).expect("the rule is well-formed")
}

/// The input is an octet that chooses the protocol, and a row of steps: an octet that says who sends (its lowest bit) and how much (the others), and so much.
fn run(input: &[u8], edit: bool) {
    let Some((&first, input)) = input.split_first() else { return };
    let (protocol, _) = BUILTIN[usize::from(first) % BUILTIN.len()];
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let mut session = Session::new(1, grammar.clone(), Arc::new(rules(edit)));
    let mut explainer = Explainer::new(grammar, false);
    let mut log = Vec::new();
    let mut pretty = Pretty::new(&mut log, Look::default());
    let mut out = Outbox::default();
    let (mut came, mut went) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let compressed = std::cell::Cell::new(false);
    let mut now = Time(1_767_225_600_000_000_000);
    let mut carry = |out: &mut Outbox, chunk: &[u8], went: &mut [Vec<u8>; 2]| {
        for peer in [Peer::Client, Peer::Server] {
            out.pieces(peer, chunk).for_each(|piece| went[peer.other().index()].extend_from_slice(piece));
        }
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        if batch.events.iter().any(|event| matches!(event.what, What::Upgrade(Layer::Deflate))) {
            compressed.set(true);
        }
        now.0 += 1_000_000;
        (batch.connection, batch.at) = (1, now);
        explainer.explain(&mut batch, &mut |event| pretty.put(event).expect("memory takes all"));
    };
    let mut rest = input;
    while let Some((&head, after)) = rest.split_first() {
        let from = if head & 1 == 0 { Peer::Client } else { Peer::Server };
        let (mut chunk, after) = after.split_at(after.len().min(1 + usize::from(head >> 1)));
        rest = after;
        came[from.index()].extend_from_slice(chunk);
        while !chunk.is_empty() {
            let used = session.receive(from, chunk, &mut out);
            assert!(used > 0);
            carry(&mut out, chunk, &mut went);
            chunk = &chunk[used..];
        }
        for peer in [Peer::Client, Peer::Server] {
            assert!(session.held(peer) <= MAX_TEXT);
            // What is compressed anew is other octets.
            if edit && compressed.get() {
                continue;
            }
            let held = came[peer.index()].len() - went[peer.index()].len();
            assert!(held == 0 || (edit && held <= session.held(peer)), "what is no incomplete text goes on at once");
        }
    }
    for peer in [Peer::Client, Peer::Server] {
        session.closed(peer, &mut out);
        carry(&mut out, &[], &mut went);
    }
    assert!((edit && compressed.get()) || came == went, "octets were changed");
    session.ended(
        Peer::Client,
        Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] },
        &mut out,
    );
    carry(&mut out, &[], &mut went);
    pretty.end().expect("memory takes all");
    drop(pretty);
    let log = String::from_utf8(log).expect("the log is UTF-8");
    assert!(log.chars().all(|letter| letter == '\n' || !letter.is_control()), "{log:?}");
}

fuzz_target!(|input: &[u8]| {
    run(input, false);
    run(input, true);
});
