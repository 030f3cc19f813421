//! The whole chain: what a conversation looks like in the pretty log.

use std::sync::Arc;

use imapscope::event::{Closed, Closer, Peer, Time};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::{Body, Look};

use super::Step;

/// The log of a conversation, each step in chunks of so many octets.
pub fn log(protocol: &str, rules: Rules, steps: &[Step], size: usize) -> String {
    let grammar = Grammar::builtin(protocol).expect("the description loads");
    let mut session = Session::new(1, grammar.clone(), Arc::new(rules));
    let mut explainer = Explainer::new(grammar, false);
    let mut log = Vec::new();
    let mut pretty = Pretty::new(&mut log, Look { body: Body::All, ..Look::default() });
    let mut out = Outbox::default();
    let mut now = Time(1_767_225_600_000_000_000);
    let mut carry = |out: &mut Outbox| {
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        now.0 += 1_000_000;
        (batch.connection, batch.at) = (1, now);
        explainer.explain(&mut batch, &mut |event| pretty.put(event).expect("memory takes all"));
    };
    for (from, bytes) in steps {
        for mut chunk in bytes.chunks(size) {
            while !chunk.is_empty() {
                let used = session.receive(*from, chunk, &mut out);
                carry(&mut out);
                chunk = &chunk[used..];
            }
        }
    }
    for peer in [Peer::Client, Peer::Server] {
        session.closed(peer, &mut out);
        carry(&mut out);
    }
    session.ended(
        Peer::Client,
        Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] },
        &mut out,
    );
    carry(&mut out);
    pretty.end().expect("memory takes all");
    drop(pretty);
    String::from_utf8(log).expect("the log is UTF-8")
}
