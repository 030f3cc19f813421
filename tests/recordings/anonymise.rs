//! Anonymised recordings: nothing that names somebody is left, whatever it stands in, and everything else is as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imapscope::anonymise::{Anonymiser, Key};
use imapscope::event::{
    Batch, Certificate, Closed, Closer, Event, Form, Kind, Layer, Octets, Oddity, Opened, Peer, Reading, RouteName,
    Text, Time, TlsFacts, Verification, Wait, What, repeated,
};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::wire;
use proptest::prelude::*;

mod canaries;
mod positions;

use crate::dialogue::{self, Dialogue, Step, Written};
use crate::thorough::cases;
use canaries::CANARIES;

const START: u64 = 1_767_225_600_000_000_000;

/// The recording of a dialogue.
fn record(dialogue: &Dialogue, grammar: &Arc<Grammar>, show: bool) -> String {
    let mut session = Session::new(1, grammar.clone(), dialogue.rules.clone()).reporting_octets(true);
    let mut explainer = Explainer::new(grammar.clone(), show);
    let recorded = Written::default();
    let mut writer = Writer::new(recorded.clone(), Head::default());
    let mut out = Outbox::default();
    let opened = Opened {
        middle: None,
        protocol: grammar.name.clone(),
        form: grammar.form,
        client: "203.0.113.77:50000".to_owned(),
        server: format!("{}://zebedeus.quorra:{}", grammar.name, grammar.port),
        route: Arc::new(RouteName { number: 1, written: ":1143=imap://zebedeus.quorra".to_owned() }),
        edit: session.edits(),
        rules: session.rules(),
    };
    out.report(Peer::Client, What::Opened(Box::new(opened)));
    let mut now = START;
    let mut carry = |out: &mut Outbox| {
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        now += 1000;
        (batch.connection, batch.at) = (1, Time(now));
        explainer.explain(&mut batch, &mut |event| writer.put(event).expect("in memory"));
    };
    carry(&mut out);
    for step in &dialogue.steps {
        match step {
            Step::Send { from, bytes, .. } => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let taken = session.receive(*from, rest, &mut out);
                    carry(&mut out);
                    rest = &rest[taken..];
                }
            }
            Step::Tls { from, name } => {
                out.report(*from, What::Tls(Box::new(facts(name))));
                carry(&mut out);
            }
            Step::Close { from } => {
                session.closed(*from, &mut out);
                carry(&mut out);
            }
            Step::Pause(_) => {
                let wait = session.owed();
                out.batch.events.extend(wait.map(|wait| Event {
                    from: wait.by.other(),
                    what: What::Waiting(Box::new(Wait { since: Time(1), ..wait })),
                }));
                carry(&mut out);
            }
        }
    }
    let why = Some("could not connect to zebedeus.quorra:143".to_owned());
    let end = Closed { by: Closer::Ours, why, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    session.ended(Peer::Client, end, &mut out);
    carry(&mut out);
    writer.flush().expect("in memory");
    recorded.text()
}

fn facts(name: &str) -> TlsFacts {
    let certificate = Certificate {
        subject: format!("CN={name}, O=Wombat Nachbar"),
        issuer: "CN=Geheimnis, O=Hinterhof".to_owned(),
        names: vec![name.to_owned(), "*.quorra".to_owned()],
        not_before: 1_735_689_601,
        ..Certificate::default()
    };
    let why = format!("it is for {name}, and not for quorra.hinterhof; its issuer is CN=Geheimnis");
    let verdict = Verification::Unverified(why);
    TlsFacts { name: Some(name.to_owned()), certificate: Some(certificate), verdict, ..TlsFacts::default() }
}

fn batches(recording: &str) -> Vec<Batch> {
    let mut reader = Reader::new(recording.as_bytes()).expect("in memory");
    let mut all = Vec::new();
    loop {
        let mut batch = Batch::default();
        if reader.next(&mut batch).expect("in memory") == State::End {
            break;
        }
        all.push(batch);
    }
    assert_eq!(reader.finish(), [""; 0]);
    all
}

/// The same events, anonymised.
fn anonymised(all: &[Batch], grammar: &Arc<Grammar>) -> Vec<Batch> {
    let mut anonymiser = Anonymiser::new(Key::of_text("a key of the tests"), std::slice::from_ref(grammar));
    let mut all = all.to_vec();
    all.iter_mut().for_each(|batch| anonymiser.anonymise(batch));
    all
}

/// The log of some batches, and a recording of them.
fn shown(all: &[Batch], grammar: &Arc<Grammar>) -> (String, String) {
    let (written, recorded) = (Written::default(), Written::default());
    let mut explainer = Explainer::of_recording(grammar.clone(), false);
    let (mut sink, mut copy) = (dialogue::log(written.clone(), None), Writer::new(recorded.clone(), Head::default()));
    for batch in all {
        explainer.explain(&mut batch.clone(), &mut |event| {
            sink.put(event).expect("in memory");
            copy.put(event).expect("in memory");
        });
    }
    sink.flush().expect("in memory");
    copy.flush().expect("in memory");
    (written.text(), recorded.text())
}

fn texts(all: &[Batch]) -> Vec<(Peer, &Text, &[u8], &[u8])> {
    let mut found = Vec::new();
    for batch in all {
        for event in &batch.events {
            if let What::Text(text) = &event.what {
                let sent = text.edit.as_ref().map_or(&[][..], |edit| edit.bytes.of(&batch.bytes));
                found.push((event.from, text, text.bytes.of(&batch.bytes), sent));
            }
        }
    }
    found
}

/// The octets of all blocks, each lane and frame in order.
fn data(all: &[Batch]) -> BTreeMap<(u64, usize, String), Vec<u8>> {
    let mut found = BTreeMap::new();
    for batch in all {
        for Event { from, what } in &batch.events {
            if let What::Octets(octets) = what {
                let key = (octets.frame, from.index(), format!("{:?}", octets.kind));
                let block: &mut Vec<u8> = found.entry(key).or_default();
                block.extend_from_slice(octets.bytes.of(&batch.bytes));
            }
        }
    }
    found
}

fn dialogues() -> Vec<(PathBuf, Dialogue, Arc<Grammar>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).expect("a folder") {
        for file in std::fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let dialogue = Dialogue::parse(&text).expect("a dialogue");
            let grammar = match &dialogue.grammar {
                Some(name) => {
                    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
                    Arc::new(Grammar::load(name, &std::fs::read_to_string(path).expect("UTF-8")).expect("a grammar"))
                }
                None => {
                    let folder = path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy();
                    Grammar::builtin(&folder).expect("a protocol")
                }
            };
            found.push((path, dialogue, grammar));
        }
    }
    assert!(found.len() > 200);
    found
}

fn read(form: Form, from: Peer, text: &Text, bytes: &[u8]) -> Reading {
    if text.first { wire::read(form, from, bytes) } else { wire::read_more(form, from, bytes) }
}

/// What must be the same octets before and after.
fn kept(text: &Text, bytes: &[u8], grammar: &Grammar) -> Vec<String> {
    let word = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let mut all = Vec::new();
    match text.reading.kind {
        Kind::Command { tag, verb, .. } => {
            let known = grammar.commands.exact(verb.of(bytes)).is_some();
            all.extend(known.then(|| word(verb.of(bytes))));
            let tagged = tag.of(bytes);
            let plain = tagged.iter().any(u8::is_ascii_digit) && tagged.iter().all(u8::is_ascii_alphanumeric);
            all.extend((plain && tag.len() < 6).then(|| word(tag.of(bytes))));
        }
        Kind::Reply { word: status, code, .. } => {
            all.push(word(status.of(bytes)));
            let name = |code: &[u8]| word(code.split(|&b| b == b' ').next().unwrap_or_default());
            all.extend(code.map(|code| name(code.of(bytes))).filter(|name| grammar.code(name).is_some()));
        }
        Kind::Info { number, name, .. } => {
            all.extend(number.map(|number| word(number.of(bytes))));
            let known = grammar.responses.exact(name.of(bytes)).is_some();
            all.extend(known.then(|| word(name.of(bytes))));
        }
        _ => {}
    }
    let items = text.reading.list.iter().flat_map(|list| &list.items);
    all.extend(items.map(|item| word(item.name.of(bytes))).filter(|name| grammar.capability(name).is_some()));
    all.extend(text.reading.literal.map(|literal| word(literal.span.of(bytes))));
    all
}

#[test]
fn what_a_protocol_consists_of_stays_in_every_dialogue() {
    for (path, dialogue, grammar) in dialogues() {
        let before = batches(&record(&dialogue, &grammar, false));
        let after = anonymised(&before, &grammar);
        let (old, new) = (texts(&before), texts(&after));
        assert_eq!(old.len(), new.len(), "{}", path.display());
        for ((from, text, bytes, sent), (_, new_text, new_bytes, new_sent)) in old.into_iter().zip(new) {
            let place = || format!("{}: {} became {}", path.display(), bytes.escape_ascii(), new_bytes.escape_ascii());
            assert_eq!((bytes.len(), sent.len()), (new_bytes.len(), new_sent.len()), "{}", place());
            assert_eq!(text.reading, new_text.reading);
            // A listing of scripts that looks like capabilities cannot be told from them by its octets.
            let listing = grammar.form == Form::Managesieve && text.reading.list.is_none();
            let readings = [read(grammar.form, from, text, bytes), read(grammar.form, from, text, new_bytes)];
            assert!(listing || readings[0] == readings[1], "{}", place());
            assert_eq!(readings[0].kind, readings[1].kind, "{}", place());
            assert_eq!(kept(text, bytes, &grammar), kept(new_text, new_bytes, &grammar), "{}", place());
            let same = |b: &u8| !b.is_ascii_alphanumeric() && *b < 0x80;
            let moved = bytes.iter().zip(new_bytes).any(|(old, new)| same(old) && old != new && *new != b'*');
            let opaque = matches!(text.reading.kind, Kind::Foreign(_) | Kind::Sasl);
            let coded = bytes.contains(&b'&') || bytes.windows(2).any(|w| w == b"=?");
            assert!(!moved || opaque || coded || text.reading.kind == Kind::More, "{}", place());
        }
        let (old, new) = (data(&before), data(&after));
        let sizes = |all: &BTreeMap<_, Vec<u8>>| all.values().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&old), sizes(&new), "{}", path.display());
        // It is a recording like any other, and anonymising it again changes no shape.
        let (log, recording) = shown(&after, &grammar);
        let (log_before, _) = shown(&before, &grammar);
        let again = batches(&recording);
        assert_eq!(shown(&again, &grammar).0, log, "{}", path.display());
        assert_eq!(texts(&anonymised(&again, &grammar)).len(), texts(&before).len());
        // Words of a message that come back as tags are content: what links them to the message is gone.
        if log_before.contains("(literal-as-commands, ") {
            continue;
        }
        let lines = |log: &str| log.lines().count();
        assert_eq!(lines(&log_before), lines(&log), "{}\n{log_before}\n{log}", path.display());
    }
}

/// The kinds of what a session makes of these texts and data, if they came anew.
fn kinds(all: &[Batch], grammar: &Arc<Grammar>, dialogue: &Dialogue) -> Vec<String> {
    let mut session = Session::new(1, grammar.clone(), dialogue.rules.clone());
    let mut found = Vec::new();
    for batch in all {
        for Event { from, what } in &batch.events {
            let mut rest = match what {
                What::Text(text) => text.bytes.of(&batch.bytes),
                What::Octets(octets) => octets.bytes.of(&batch.bytes),
                _ => continue,
            };
            let mut out = Outbox::default();
            while !rest.is_empty() {
                let taken = session.receive(*from, rest, &mut out);
                rest = &rest[taken..];
            }
            for event in &out.batch.events {
                found.push(match &event.what {
                    What::Text(text) => format!(
                        "{:?} {:?} {:?} {:?} {} {:?}",
                        event.from, text.reading, text.answers, text.oddities, text.frame, text.state
                    ),
                    What::Data(data) => format!("{:?} {:?} {} {:?}", event.from, data.kind, data.len, data.oddities),
                    other => format!("{other:?}"),
                });
            }
        }
    }
    found
}

#[test]
fn what_is_left_is_framed_and_paired_as_before() {
    for (path, mut dialogue, grammar) in dialogues() {
        let before = batches(&record(&dialogue, &grammar, false));
        let layered = before.iter().flat_map(|batch| &batch.events).any(|event| {
            matches!(event.what, What::Upgrade(Layer::Deflate | Layer::Sasl | Layer::Tls) | What::Hello(_))
        });
        // In a message names are replaced, and what a server takes there for commands are none any more. One that a server has
        // answered before its end stands behind the answer, as a whole.
        let smuggled = before.iter().flat_map(|batch| &batch.events).any(|event| match &event.what {
            What::Text(text) => repeated(&text.oddities) > 0,
            What::Data(data) => data.oddities.contains(&Oddity::ClosedEarly),
            _ => false,
        });
        if layered || smuggled {
            continue;
        }
        dialogue.rules = Arc::default();
        let after = anonymised(&before, &grammar);
        assert_eq!(kinds(&before, &grammar, &dialogue), kinds(&after, &grammar, &dialogue), "{}", path.display());
    }
}

#[test]
fn how_data_is_cut_changes_nothing() {
    let mut cut = 0;
    for (path, dialogue, grammar) in dialogues() {
        let before = batches(&record(&dialogue, &grammar, false));
        let whole = data(&anonymised(&before, &grammar));
        for step in [1, 3, 50] {
            let mut pieces = before.clone();
            for batch in &mut pieces {
                let events = std::mem::take(&mut batch.events);
                for event in events {
                    let What::Octets(octets) = event.what else {
                        batch.events.push(event);
                        continue;
                    };
                    let (mut start, end) = (octets.bytes.start, octets.bytes.end);
                    while start < end {
                        let next = (start + step).min(end);
                        let bytes = (start, next).into();
                        batch.events.push(Event { from: event.from, what: What::Octets(Octets { bytes, ..octets }) });
                        start = next;
                        cut += 1;
                    }
                }
            }
            assert_eq!(whole, data(&anonymised(&pieces, &grammar)), "{}: {step}", path.display());
        }
    }
    assert!(cut > 10_000, "{cut}");
}

#[test]
fn read_anonymises_and_a_key_makes_the_same_names_again() {
    let grammar = Grammar::builtin("imap").expect("a protocol");
    let dialogue = Dialogue::parse("# x\nS: * OK hi\nC: a1 SELECT Wombat\nS: a1 NO wombat\n").expect("a dialogue");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.imapscope");
    let recording = record(&dialogue, &grammar, false);
    std::fs::write(&file, recording.replacen("\"routes\":[]", "\"routes\":[\":1143=imap://zebedeus.quorra\"]", 1))
        .expect("a file");
    let run = |flags: &[&str]| {
        let program =
            std::process::Command::new(env!("CARGO_BIN_EXE_imapscope")).arg("read").arg(&file).args(flags).output();
        let output = program.expect("the program runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).to_lowercase())
    };
    for output in ["pretty", "record:-", "json:-"] {
        let with = |key: &str| run(&["--anonymise", "--anonymise-key", key, "-o", output]);
        let (code, shown) = with("one");
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("a1 select ") && CANARIES.iter().all(|canary| !shown.contains(canary)), "{shown}");
        assert!(with("one").1 == shown && with("two").1 != shown);
        let unnamed = || run(&["--anonymize", "-o", output]).1;
        assert_ne!(unnamed(), unnamed(), "each run has a key of its own");
    }
    assert_eq!(run(&["--anonymise", "--show-secrets"]).0, Some(2));
    assert_eq!(run(&["--anonymise-key", "one"]).0, Some(2));
}

/// Texts made of what protocols have, and of what they have not.
fn strange() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"a1 ",
        b"* ",
        b"+ ",
        b"OK ",
        b"+OK ",
        b"250-",
        b"250 ",
        b"LIST ",
        b"FETCH ",
        b"APPEND ",
        b"SELECT ",
        b"SEARCH ",
        b"[",
        b"]",
        b"(",
        b")",
        b"\"",
        b"\\",
        b"{5}",
        b"{5+}",
        b"=?utf-8?Q?",
        b"?=",
        b"&AOQ-",
        b"&",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xc3\xa4",
        b"wombat",
        b"@",
        b".",
        b":",
        b"127.0.0.1",
        b"<",
        b">",
        b"=",
        b"NIL",
        b"BODY[HEADER] ",
        b"ENVELOPE ",
        b"ID ",
        b"DONE",
        b" ",
        b"UID ",
        b"MAIL FROM:",
        b"AUTH ",
        b"--",
        b"*",
        b"CAPABILITY ",
        b"\"SASL\" ",
        b":src ",
        b"HEADER ",
        b"BODYSTRUCTURE ",
        b"12345678901",
    ];
    let random = proptest::collection::vec(any::<u8>(), 0..4);
    let piece = prop_oneof![9 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec), 1 => random];
    proptest::collection::vec(piece, 1..24).prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(cases(2000))]

    /// Whatever a text is, it keeps its length, its ends of lines and its reading.
    #[test]
    fn nothing_moves_in_any_text(bytes in strange(), protocol in 0..6usize, first in any::<bool>(), client in any::<bool>()) {
        let name = ["imap", "smtp", "pop3", "managesieve", "nntp", "irc"][protocol];
        let grammar = Grammar::builtin(name).expect("a protocol");
        let from = if client { Peer::Client } else { Peer::Server };
        let reading = if first { wire::read(grammar.form, from, &bytes) } else { wire::read_more(grammar.form, from, &bytes) };
        let opened = Opened { protocol: name.to_owned(), form: grammar.form, ..Opened::default() };
        let whole = (0, bytes.len() as u32).into();
        let text = Text { first, ..Text::bare(1, whole, imapscope::event::State::default(), reading.clone()) };
        let events = [What::Opened(Box::new(opened)), What::Text(text)].map(|what| Event { from, what }).to_vec();
        let batch = Batch { connection: 1, at: Time(1), bytes: bytes.clone(), events };
        let after = anonymised(&[batch], &grammar).remove(0);
        prop_assert_eq!(after.bytes.len(), bytes.len());
        let ends = |bytes: &[u8]| bytes.iter().map(|b| if b"\r\n".contains(b) { *b } else { 0 }).collect::<Vec<_>>();
        prop_assert_eq!(ends(&bytes), ends(&after.bytes));
        let again = if first { wire::read(grammar.form, from, &after.bytes) } else { wire::read_more(grammar.form, from, &after.bytes) };
        let foreign = wire::foreign(&bytes).is_some();
        prop_assert!(foreign || again.kind == reading.kind, "{} became {}", bytes.escape_ascii(), after.bytes.escape_ascii());
        prop_assert!(foreign || again.literal == reading.literal, "{} became {}", bytes.escape_ascii(), after.bytes.escape_ascii());
        prop_assert!(!after.bytes.windows(6).any(|word| word.eq_ignore_ascii_case(b"wombat")), "{}", after.bytes.escape_ascii());
    }
}
