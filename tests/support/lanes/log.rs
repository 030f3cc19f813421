//! The whole chain: what outputs show of a conversation.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapscope::event::{Closed, Closer, Opened, Peer, Time, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::Writer;
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::json::Json;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::raw::RawStream;
use imapscope::sink::style::{Body, Look};
use serde_json::Value;

use super::Step;

/// All that is written of a conversation, each step in chunks of so many octets: the pretty log, the raw octets, a recording
/// and what it holds once it is read; if it comes whole, also the json log with what is coded in it: that has a line for
/// what the pretty log shows, and is long.
pub fn log(protocol: &str, rules: impl Into<Arc<Rules>>, steps: &[Step], size: usize) -> String {
    let (mut log, mut lines, mut octets, mut recording) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut pretty = Pretty::new(&mut log, look());
    let mut json = Json::new(&mut lines);
    let mut raw = RawStream::new(&mut octets, None);
    let mut writer = Writer::new(&mut recording, Default::default());
    drive(protocol, rules.into(), steps, size, false, &mut [&mut pretty, &mut json, &mut raw, &mut writer]);
    drop((pretty, json, raw, writer));
    let mut all = String::from_utf8(log).expect("the log is UTF-8");
    if size == usize::MAX {
        all.push_str(std::str::from_utf8(&lines).expect("JSON is UTF-8"));
        coded(&lines, &mut all);
    }
    all.push_str(&String::from_utf8_lossy(&octets));
    let recording = String::from_utf8(recording).expect("a recording is UTF-8");
    all.push_str(&recording);
    all.push_str(&held(&recording));
    all
}

/// Records a conversation; returns its pretty log.
pub fn record(
    protocol: &str,
    rules: impl Into<Arc<Rules>>,
    steps: &[Step],
    size: usize,
    show_secrets: bool,
    mut writer: Writer<impl Write + Send>,
) -> String {
    let mut log = Vec::new();
    let mut pretty = Pretty::new(&mut log, look());
    drive(protocol, rules.into(), steps, size, show_secrets, &mut [&mut pretty, &mut writer]);
    drop(pretty);
    String::from_utf8(log).expect("the log is UTF-8")
}

/// Everything that the pretty log can show.
pub fn look() -> Look {
    Look { body: Body::All, ..Look::default() }
}

/// Runs a conversation through sinks, each step in chunks of so many bytes.
pub fn drive(
    protocol: &str,
    rules: Arc<Rules>,
    steps: &[Step],
    size: usize,
    show_secrets: bool,
    sinks: &mut [&mut dyn Sink],
) {
    let grammar = Grammar::builtin(protocol).expect("the description loads");
    let mut session = Session::new(1, grammar.clone(), rules).reporting_octets(true);
    let mut explainer = Explainer::new(grammar.clone(), show_secrets);
    let mut out = Outbox::default();
    let mut now = Time(1_767_225_600_000_000_000);
    let mut carry = |out: &mut Outbox| {
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        now.0 += 1_000_000;
        (batch.connection, batch.at) = (1, now);
        explainer.explain(&mut batch, &mut |event| {
            sinks.iter_mut().for_each(|sink| sink.put(event).expect("memory takes all"));
        });
    };
    let opened = Opened {
        middle: None,
        protocol: grammar.name.clone(),
        form: grammar.form,
        client: "127.0.0.1:50000".to_owned(),
        server: format!("{protocol}://mail.example.org:{}", grammar.port),
        edit: session.edits(),
        rules: session.rules(),
        ..Opened::default()
    };
    out.report(Peer::Client, What::Opened(Box::new(opened)));
    carry(&mut out);
    for (from, bytes) in steps {
        for mut chunk in bytes.chunks(size) {
            while !chunk.is_empty() {
                let used = session.receive(*from, chunk, &mut out);
                carry(&mut out);
                chunk = &chunk[used..];
            }
        }
        // A silence after each step: what is told of it goes where all else goes.
        if let Some(wait) = session.owed() {
            out.report(wait.by.other(), What::Waiting(Box::new(wait)));
            carry(&mut out);
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
    sinks.iter_mut().for_each(|sink| sink.end().expect("memory takes all"));
}

/// Appends what stands in base64 in lines of JSON.
fn coded(lines: &[u8], out: &mut String) {
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).expect("every line is JSON");
        for field in [&line["bytes"], &line["sent_bytes"], &line["data"]["bytes"]] {
            let octets = field.as_str().map(|text| STANDARD.decode(text).expect("base64"));
            out.push_str(&String::from_utf8_lossy(&octets.unwrap_or_default()));
        }
    }
}

/// Every string of a recording as it is meant, base64 as octets, and all octets of each peer put together: what is in pieces
/// there is whole here.
fn held(recording: &str) -> String {
    let (mut all, mut lanes) = (Vec::new(), [Vec::new(), Vec::new()]);
    for line in recording.lines().skip(1) {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        strings(&line, false, &mut all);
        let lane = &mut lanes[usize::from(line["from"] == "server")];
        let octets = line["base64"].as_str().map(|coded| STANDARD.decode(coded).expect("it is base64"));
        let text = line["line"].as_str().or(line["text"].as_str()).map(|text| text.as_bytes().to_vec());
        lane.extend(octets.or(text).unwrap_or_default());
    }
    let [client, server] = lanes;
    String::from_utf8_lossy(&[all, b"\n".to_vec(), client, b"\n".to_vec(), server].concat()).into_owned()
}

fn strings(value: &Value, coded: bool, to: &mut Vec<u8>) {
    match value {
        Value::String(text) if coded => to.extend(STANDARD.decode(text).expect("it is base64")),
        Value::String(text) => to.extend_from_slice(text.as_bytes()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, coded, to)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| strings(value, name == "base64", to)),
        _ => return,
    }
    to.push(b'\n');
}
