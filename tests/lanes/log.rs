//! The whole chain: what outputs show of a conversation.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapscope::event::{Closed, Closer, Peer, Time};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::json::Json;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::raw::RawStream;
use imapscope::sink::style::{Body, Look};

use super::Step;

/// The pretty log of a conversation and the raw octets, each step in chunks of so many octets; if it comes whole, also the
/// json log with what is coded in it: that has a line for what the pretty log shows, and is long.
pub fn log(protocol: &str, rules: Rules, steps: &[Step], size: usize) -> String {
    let grammar = Grammar::builtin(protocol).expect("the description loads");
    let mut session = Session::new(1, grammar.clone(), Arc::new(rules)).reporting_octets(true);
    let mut explainer = Explainer::new(grammar, false);
    let (mut log, mut lines, mut octets) = (Vec::new(), Vec::new(), Vec::new());
    let mut pretty = Pretty::new(&mut log, Look { body: Body::All, ..Look::default() });
    let mut json = Json::new(&mut lines);
    let mut raw = RawStream::new(&mut octets, None);
    let mut out = Outbox::default();
    let mut now = Time(1_767_225_600_000_000_000);
    let mut carry = |out: &mut Outbox| {
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        now.0 += 1_000_000;
        (batch.connection, batch.at) = (1, now);
        explainer.explain(&mut batch, &mut |event| {
            for sink in [&mut pretty as &mut dyn Sink, &mut json, &mut raw] {
                sink.put(event).expect("memory takes all");
            }
        });
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
    for sink in [&mut pretty as &mut dyn Sink, &mut json, &mut raw] {
        sink.end().expect("memory takes all");
    }
    drop((pretty, json, raw));
    let mut all = String::from_utf8(log).expect("the log is UTF-8");
    if size == usize::MAX {
        all.push_str(std::str::from_utf8(&lines).expect("JSON is UTF-8"));
        coded(&lines, &mut all);
    }
    all.push_str(&String::from_utf8_lossy(&octets));
    all
}

/// Appends what stands in base64 in lines of JSON.
fn coded(lines: &[u8], out: &mut String) {
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).expect("every line is JSON");
        for field in [&line["bytes"], &line["sent_bytes"], &line["data"]["bytes"]] {
            let octets = field.as_str().map(|text| STANDARD.decode(text).expect("base64"));
            out.push_str(&String::from_utf8_lossy(&octets.unwrap_or_default()));
        }
    }
}
