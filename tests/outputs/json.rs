//! The json output: every line is JSON and fits the schema, every field of the schema occurs, and whatever peers send is a
//! string in it. With `IMAPSCOPE_REAL=1`, also what jq, DuckDB and another validator of JSON Schema make of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use imapscope::event::*;
use imapscope::grammar::Grammar;
use imapscope::sink::Sink;
use imapscope::sink::json::{Json, SCHEMA};
use proptest::prelude::*;
use serde_json::Value;

use crate::dialogue::{Dialogue, Step, play};
use crate::sample::{self, Made};
use crate::schema::Schema;

/// The lines that these events make.
fn lines(events: &[Made]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    sample::put_all(events, &mut json);
    json.end().expect("memory takes all");
    drop(json);
    parsed(&out)
}

fn parsed(out: &[u8]) -> Vec<Value> {
    assert!(out.is_empty() || out.ends_with(b"\n"), "the last line is whole");
    let text = std::str::from_utf8(out).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The lines of all dialogues, as connections of one run.
fn dialogues() -> Vec<u8> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    for (number, (_, dialogue, grammar)) in play::all().into_iter().enumerate() {
        play::play(&dialogue, &grammar, (number as u64 + 1, 40, false), &mut json);
    }
    // They are one run, with what they come to.
    json.end().expect("there is room");
    drop(json);
    out
}

#[test]
fn every_line_fits_the_schema_and_every_field_of_it_occurs() {
    let schema = Schema::read(SCHEMA);
    let mut all = parsed(&dialogues());
    all.extend(lines(&sample::session()));
    all.extend(lines(&rare()));
    all.extend(lines(&sample::several("NIL")));
    assert!(all.len() > 2_000, "only {} lines", all.len());
    let (mut wrong, mut seen) = (String::new(), BTreeSet::new());
    for line in &all {
        if let Err(what) = schema.check(line, &mut seen) {
            let _ = writeln!(wrong, "{what}: {line}");
        }
    }
    assert!(wrong.is_empty(), "{}", &wrong[..wrong.len().min(4_000)]);
    let missing: Vec<String> = schema.fields().into_iter().filter(|field| !seen.contains(field)).collect();
    assert!(missing.is_empty(), "described, and never seen: {missing:?}");
}

/// The names in a list, as the client gets them, without their values.
fn offered(line: &Value) -> Vec<String> {
    let offers = line["list"] != "enable" && line["list"] != "enabled" && line["from"] == "server";
    let dropped = line["dropped"] == true || line["answered"] == true;
    let entries = line["capabilities"].as_array().filter(|_| offers && !dropped);
    let kept = entries.into_iter().flatten().filter(|entry| entry["fate"] == "kept" || entry["fate"] == "added");
    kept.map(|entry| entry["name"].as_str().expect("a name").to_ascii_uppercase()).collect()
}

#[test]
fn what_is_offered_is_used_unused_or_not_to_be_told() {
    let mut offers: std::collections::BTreeMap<u64, BTreeSet<String>> = Default::default();
    let (mut wrong, mut found) = (String::new(), [0; 3]);
    for line in parsed(&dialogues()) {
        // The run is of no connection.
        let Some(number) = line["conn"].as_u64() else { continue };
        let all = offers.entry(number).or_default();
        all.extend(offered(&line));
        if line["kind"] != "closed" {
            continue;
        }
        let summary = &line["summary"];
        let names = |key: &str| summary[key].as_array().cloned().unwrap_or_default();
        let used: Vec<Value> = names("used").iter().map(|used| used["name"].clone()).collect();
        let mut said: Vec<String> = Vec::new();
        for (count, names) in found.iter_mut().zip([used, names("unused"), names("undetermined")]) {
            *count += names.len();
            said.extend(names.iter().map(|name| name.as_str().expect("a name").to_ascii_uppercase()));
        }
        let unique: BTreeSet<String> = said.iter().cloned().collect();
        if unique.len() != said.len() || unique != *all {
            let _ = writeln!(wrong, "connection {}: offered {all:?}, said {said:?}", line["conn"]);
        }
    }
    assert!(wrong.is_empty(), "{}", &wrong[..wrong.len().min(6_000)]);
    assert!(found.iter().all(|count| *count > 50), "{found:?}");
}

#[test]
fn what_does_not_fit_is_found() {
    let schema = Schema::read(SCHEMA);
    let fits = |change: fn(&mut Value)| {
        let mut line = lines(&[sample::server(0, State::Greeting, "* 3 EXISTS\r\n")]).remove(0);
        change(&mut line);
        schema.check(&line, &mut BTreeSet::new())
    };
    assert_eq!(fits(|_| {}), Ok(()));
    assert!(fits(|line| line["surplus"] = 1.into()).is_err_and(|what| what.contains("surplus")));
    assert!(fits(|line| line["kind"] = "wombat".into()).is_err_and(|what| what.contains("wombat")));
    assert!(fits(|line| line["conn"] = (-1).into()).is_err());
    // All but the last line of a run belong to a connection.
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let kinds = |kinds: &Value| -> BTreeSet<String> {
        kinds.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut of_connections = kinds(&schema["allOf"][0]["if"]["properties"]["kind"]["enum"]);
    assert_eq!(schema["allOf"][0]["then"], serde_json::json!({"required": ["conn", "from"]}));
    of_connections.insert("run".to_owned());
    assert_eq!(of_connections, kinds(&schema["properties"]["kind"]["enum"]));
    assert!(fits(|line| drop(line.as_object_mut().expect("an object").remove("state"))).is_err());
    assert!(
        fits(|line| line["kind"] = "data".into()).is_err_and(|what| what.contains("size") || what.contains("data"))
    );
    assert!(fits(|line| line["notes"] = Value::Array(vec![])).is_err(), "an empty list is left out");
}

/// What dialogues do not have.
fn rare() -> Vec<Made> {
    use Peer::{Client, Server};
    let new = |from, what| Made::new(7, 1, from, what);
    let hello = |hello| new(Client, What::Hello(Box::new(hello)));
    let some = |text: &str| Some(text.to_owned());
    let certificate = Certificate {
        subject: "CN=a".into(),
        issuer: "CN=b".into(),
        names: vec!["a.example".into()],
        more_names: 2,
        not_before: i64::MIN,
        not_after: i64::MAX,
        self_signed: true,
    };
    let tls = TlsFacts {
        version: "TLS 1.0".into(),
        suite: "TLS_X".into(),
        name: some("a"),
        alpn: some("imap"),
        certificate: Some(certificate),
        verdict: Verification::Unverified("it is old".into()),
        legacy: true,
        insecure: true,
    };
    let mut begun = sample::opened(1, 9, [false; 2]);
    if let What::Opened(opened) = &mut begun.event.what {
        opened.middle = Some(imapscope::event::State::Selected);
    }
    let mut lost = sample::closed(9, 1, Closer::Tls(Server));
    if let What::Closed(closed) = &mut lost.event.what {
        (closed.why, closed.inflated) = (some("no TLS"), [(1, 2), (3, 4)]);
    }
    let mut opened = sample::opened(0, 1, [true, true]);
    if let What::Opened(opened) = &mut opened.event.what {
        opened.rules.push("drop-capability X".into());
        opened.route = Arc::new(RouteName { number: 1, written: "imap://mail.example.org".into() });
    }
    let mut edited = sample::server(1, State::Selected, "* OK x\n").sent(b"* OK \xff", &["s/x/y/"]);
    if let What::Text(text) = &mut edited.event.what
        && let Some(edit) = &mut text.edit
    {
        edit.faults.push(("delay 2s".into(), "delayed 2.00 s".into()));
        edit.refused.push(("drop".into(), "it has begun".into()));
        edit.would.push(("close".into(), "close the connection".into()));
        edit.made = Some("insert-after \"x\"".into());
    }
    let mut odd = sample::data(2, Server, DataKind::Literal, 700, "Grü\u{fc}".as_bytes());
    odd.bytes = b"a\xff".to_vec();
    vec![
        opened,
        new(Server, What::Tls(Box::new(tls))),
        hello(Hello::Client {
            name: some("h"),
            alpn: vec!["imap".into()],
            lowest: some("TLS 1.0"),
            highest: "TLS 1.3".into(),
            encrypted: true,
        }),
        hello(Hello::Server { version: "TLS 1.3".into(), suite: "S".into(), alpn: some("imap"), retry: true }),
        hello(Hello::Alert { fatal: true, name: "protocol_version".into() }),
        hello(Hello::Unread("too long".into())),
        hello(Hello::NoTls),
        new(Client, What::Abrupt).note(NoteKind::Finding(Culprit::None), "TLS", "it ended early", ""),
        new(Client, What::HalfClosed),
        {
            let mut follows =
                new(Server, What::HalfClosed).note(NoteKind::Finding(Culprit::Client), "", "it follows", "");
            let note = follows.notes.last_mut().expect("a note");
            note.check = "tag-unknown";
            note.consequence = Some(Consequence { frame: 7, check: "done-without-idle" });
            follows
        },
        new(Client, What::Lag { events: 3, bytes: 4 }),
        new(Client, What::Gap { bytes: Some(5), data: true }),
        new(Client, What::Missed("close at-byte 9".into())),
        sample::waiting(5_000),
        edited,
        odd.odd(Oddity::FalseEnd(FalseEnd { before: LineEnd::Lf, after: LineEnd::Cr }, 7))
            .odd(Oddity::Smuggled(5))
            .odd(Oddity::Waited(70)),
        begun,
        lost,
    ]
}

#[test]
fn a_line_has_what_is_documented() {
    let (mut command, mut reply) = (
        sample::client(0, State::Selected, "a1 uid Fetch 1 (FLAGS)\r\n"),
        sample::server(500, State::Selected, "a1 OK [X] done\n"),
    );
    if let What::Text(text) = &mut command.event.what {
        let (tag, verb, arguments) = (Span::new(0, 2), Span::new(3, 12), Span::new(13, 22));
        text.reading.kind = Kind::Command { tag, verb, arguments };
    }
    if let What::Text(text) = &mut reply.event.what {
        (text.frame, text.answers) = (2, Some(1));
        let (tag, word, code) = (Span::new(0, 2), Span::new(3, 5), Some(Span::new(7, 8)));
        text.reading.kind = Kind::Reply { tag, status: Status::Ok, word, code, text: Span::new(10, 14) };
    }
    reply.latency = Some(Duration::from_micros(5_387));
    let found = lines(&[sample::opened(0, 1, [false, false]), command, reply]);
    let expected: [Value; 2] = [
        serde_json::json!({
            "time": "2026-11-24T12:00:00.000000000Z", "epoch": 1_795_521_600.0, "conn": 1, "protocol": "imap",
            "from": "client", "kind": "command", "state": "selected", "frame": 1, "first": true,
            "tag": "a1", "command": "FETCH", "uid": true, "arguments": "1 (FLAGS)",
            "text": "a1 uid Fetch 1 (FLAGS)", "size": 24,
        }),
        serde_json::json!({
            "time": "2026-11-24T12:00:00.500000000Z", "epoch": 1_795_521_600.5, "conn": 1, "protocol": "imap",
            "from": "server", "kind": "reply", "state": "selected", "frame": 2, "first": true, "answers": 1,
            "latency": 0.005387, "tag": "a1", "command": "FETCH", "uid": true, "status": "OK", "word": "OK", "code": "X",
            "human": "done", "text": "a1 OK [X] done", "ending": "LF", "size": 15,
        }),
    ];
    assert_eq!(found[1..], expected);
}

#[test]
fn what_a_filter_leaves_out_still_says_what_is_answered() {
    let mut out = Vec::new();
    let filter = imapscope::rules::filter::Filter::read("from == server").expect("a condition");
    let mut json = imapscope::verb::log::Filtered::new(filter, Json::new(&mut out));
    let grammar = Grammar::builtin("imap").expect("a protocol");
    let step = |from, text: &str| Step::Send { from, bytes: text.into(), becomes: None, answer: Vec::new() };
    let steps = vec![
        step(Peer::Server, "* PREAUTH hi\r\n"),
        step(Peer::Client, "a1 NOOP\r\n"),
        step(Peer::Server, "a1 OK done\r\n"),
    ];
    let dialogue = Dialogue { grammar: None, rules: Arc::default(), filter: None, steps, log: String::new() };
    play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut json);
    drop(json);
    let found = parsed(&out);
    assert!(found.iter().all(|line| line["kind"] != "command"), "the client's are left out");
    let reply = found.iter().find(|line| line["tag"] == "a1").expect("the answer");
    assert_eq!([&reply["command"], &reply["protocol"]], ["NOOP", "imap"]);
}

proptest! {
    #[test]
    fn whatever_peers_send_is_json(
        steps in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..12),
        size in 1..90usize,
    ) {
        let schema = Schema::read(SCHEMA);
        let step = |(client, bytes): &(bool, Vec<u8>)| Step::Send {
            from: if *client { Peer::Client } else { Peer::Server },
            bytes: bytes.clone(),
            becomes: None,
            answer: Vec::new(),
        };
        let steps = steps.iter().map(step).collect();
        let dialogue = Dialogue { grammar: None, rules: Arc::default(), filter: None, steps, log: String::new() };
        for protocol in ["imap", "smtp", "pop3", "managesieve", "irc"] {
            let grammar = Grammar::builtin(protocol).expect("a protocol");
            let mut out = Vec::new();
            play::play(&dialogue, &grammar, (1, size, true), &mut Json::new(&mut out));
            for line in parsed(&out) {
                prop_assert_eq!(schema.check(&line, &mut BTreeSet::new()), Ok(()), "{}", line);
            }
            let text = std::str::from_utf8(&out).expect("UTF-8");
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}

/// The commands of this program that the README shows.
fn recipes(program: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    readme
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.split(' ').next() == Some(program))
        .map(String::from)
        .collect()
}

/// Says whether each line of a file fits a schema.
const VALIDATE: &str = "
import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for line in open(sys.argv[2]):
    validator.validate(json.loads(line))
";

#[test]
fn jq_duckdb_and_another_validator_understand_it() {
    if std::env::var_os("IMAPSCOPE_REAL").is_none_or(|value| value != "1") {
        println!("not run: set IMAPSCOPE_REAL=1 (needs jq, duckdb, python3-jsonschema)");
        return;
    }
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("session.json"), dialogues()).expect("room");
    std::fs::write(at("schema.json"), SCHEMA).expect("room");
    let run = |command: &mut Command| {
        let done = command.current_dir(place.path()).output().expect("it is installed");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    run(Command::new("/usr/bin/python3").args(["-c", VALIDATE, "schema.json", "session.json"]));
    for (program, least) in [("jq", 5), ("duckdb", 1)] {
        let recipes = recipes(program);
        assert!(recipes.len() >= least, "{recipes:?}");
        for recipe in recipes {
            let found = run(Command::new("sh").args(["-c", &recipe]));
            assert!(!found.is_empty(), "{recipe} finds nothing");
            // An answer without rows is not empty with DuckDB: there is a head, and a count of rows.
            let found = String::from_utf8_lossy(&found).into_owned();
            assert!(program == "jq" || found.contains("NOOP"), "{recipe}: {found}");
        }
    }
}
