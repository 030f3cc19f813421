//! Anonymised recordings: nothing that names somebody is left, whatever it stands in, and everything else is as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imapscope::anonymise::{Anonymiser, Key};
use imapscope::event::{
    Batch, Certificate, Closed, Closer, Event, Form, Kind, Layer, Octets, Opened, Peer, Reading, RouteName, Text, Time,
    TlsFacts, Verdict, What,
};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::wire;

mod dialogue;
use dialogue::{Dialogue, Step, Written};

const START: u64 = 1_767_225_600_000_000_000;

/// The recording of a dialogue.
fn record(dialogue: &Dialogue, grammar: &Arc<Grammar>, show: bool) -> String {
    let mut session = Session::new(1, grammar.clone(), dialogue.rules.clone()).reporting_octets(true);
    let mut explainer = Explainer::new(grammar.clone(), show);
    let recorded = Written::default();
    let mut writer = Writer::new(recorded.clone(), Head::default());
    let mut out = Outbox::default();
    let opened = Opened {
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
    let verdict = Verdict::Unverified(why);
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
        if layered {
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

/// Runs steps through all outputs; gives them together.
fn outputs(protocol: &str, steps: &str) -> String {
    let grammar = Grammar::builtin(protocol).expect("a protocol");
    let dialogue = Dialogue::parse(&format!("# canaries\n{steps}")).expect("a dialogue");
    let recording = record(&dialogue, &grammar, true);
    let before = batches(&recording);
    let after = anonymised(&before, &grammar);
    let (log, recording) = shown(&after, &grammar);
    format!("{log}\n{recording}")
}

/// Words that must not be there: names, hosts, words of subjects and bodies, files, numbers of telephones.
const CANARIES: [&str; 14] = [
    "zebedeus",
    "quorra",
    "wombat",
    "nachbar",
    "rüssel",
    "r&apw-ssel",
    "r=c3=bcssel",
    "490301234567",
    "203.0.113",
    "geheimnis",
    "d29tymf0",
    "cssel",
    "hinterhof",
    "5551234",
];

const MESSAGE: &str = r#"
From: "Zebedeus Wombat" <zebedeus.wombat@quorra.hinterhof>\r\nTo: undisclosed: nachbar@quorra;\r\nSubject: =?UTF-8?Q?R=C3=BCssel?= wombat\r\n nachbar\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nX-Quorra: geheimnis\r\nReceived: from zebedeus ([203.0.113.9])\r\n\tby quorra.hinterhof; Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <490301234567@quorra>\r\nContent-Type: multipart/mixed; boundary="--wombat-b1"\r\n\r\nwombat preamble\r\n----wombat-b1\r\nContent-Type: text/plain; charset=utf-8;\r\n name="geheimnis.txt"\r\n\r\nLieber Zebedeus, Rüssel 490301234567\r\n..nachbar\r\n----wombat-b1\r\nContent-Type: application/pdf; name*=utf-8''wombat.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nd29tYmF0d29tYmF0\r\n----wombat-b1--\r\n"#;

#[test]
fn no_canary_of_imap_survives() {
    let message = MESSAGE.trim_start();
    let len = dialogue_len(message);
    let steps = format!(
        r#"S~ zebedeus.quorra
S: * OK [CAPABILITY IMAP4rev1 IDLE] zebedeus.quorra ready for wombat, hello 203.0.113.9
C: zebedeus NOOP
S: zebedeus OK wombat done
C: a1 LOGIN zebedeus geheimnis
S: a1 NO [REFERRAL imap://zebedeus@quorra/] LOGIN for "Zebedeus Wombat" failed, ask +490301234567
C: a2 LOGIN "zebedeus@quorra" {{9}}
S: + go on nachbar
C| geheimnis
C|  \r\n
S: a2 OK [CAPABILITY IMAP4rev1 IDLE] Logged in as zebedeus@quorra
C: a3 ID ("name" "wombat" "support-url" "https://quorra.hinterhof/")
S: * ID ("name" "quorra" "version" "5551234")
S: a3 OK Completed
C: a4 LIST (SUBSCRIBED) "Wombat/" (INBOX Wombat/% "nachbar") RETURN (STATUS (MESSAGES))
S: * LIST (\HasChildren wombat) "/" Wombat/R&APw-ssel
S: * LIST () "/" {{6}}
S| wombat
S|  ("CHILDINFO" ("SUBSCRIBED"))\r\n
S: * STATUS "Wombat/Nachbar" (MESSAGES 5)
S: a4 OK Completed
C: a5 SELECT {{6+}}
C| Wombat
C|  (CONDSTORE)\r\n
S: * FLAGS (\Seen wombat $Forwarded)
S: * OK [PERMANENTFLAGS (\Seen nachbar \*)] Limited
S: * 3 EXISTS
S: a5 OK [READ-WRITE] [MAILBOXID (wombat)] Select of Wombat
C: a6 FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM X-QUORRA)] X-GM-LABELS)
S: * 1 FETCH (ENVELOPE ("Mon, 2 Nov 2026 10:00:00 +0100" "=?UTF-8?B?R2VoZWltbmlz?= wombat" (("Zebedeus Wombat" NIL "zebedeus" "quorra.hinterhof")) NIL NIL NIL NIL NIL "<490301234567@nachbar>" "<wombat@quorra>") BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "utf-8" "NAME" "wombat") "<nachbar>" "geheimnis" "7BIT" 5 1) "MIXED" ("BOUNDARY" "quorra")) X-GM-LABELS (wombat "nachbar") X-GM-MSGID 490301234567 INTERNALDATE "02-Nov-2026 10:00:00 +0100" BODY[TEXT] "geheimnis wombat" BODY[] {{{len}}}
S| {message}
S|  BODY[1] {{6}}\r\nwombat UID 5)\r\n
S: a6 OK Completed
C: a7 UID SEARCH OR FROM wombat SUBJECT "nachbar" HEADER X-Quorra wombat KEYWORD geheimnis TEXT zebedeus SINCE 2-Nov-2026
S: * ESEARCH (TAG "a7") UID ALL 1:3
S: a7 OK Completed
C: a8 APPEND Wombat (\Seen nachbar) "02-Nov-2026 10:00:00 +0100" {{{len}+}}
C| {message}
C| \r\n
S: a8 OK [APPENDUID 1 2] Appended to wombat
C: a9 XWOMBAT nachbar
S: a9 BAD unknown command XWOMBAT nachbar
S: * WOMBAT nachbar
C: geheimnis
C: b1 SETACL Wombat zebedeus lrs
S: b1 NO wombat: nachbar's folder 5551234
C: b2 GETMETADATA Wombat /shared/vendor/quorra/wombat
S: * METADATA Wombat (/shared/comment "geheimnis" /private/wombat {{6}}
S| wombat)\r\n
S: b2 OK done
C: b3 AUTHENTICATE XOAUTH2 dXNlcj13b21iYXQBYXV0aD1CZWFyZXIgZ2VoZWltbmlzAQE=
S: b3 NO [AUTHENTICATIONFAILED] wombat
"#
    );
    clean("imap", &steps);
}

fn dialogue_len(text: &str) -> usize {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").len()
}

#[track_caller]
fn clean(protocol: &str, steps: &str) {
    let all = outputs(protocol, steps).to_lowercase();
    assert!(steps.lines().all(|line| line.is_empty() || line.len() > 1));
    for canary in CANARIES {
        let line = all.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{canary} in {protocol}: {}", line.unwrap_or_default());
    }
}

#[test]
fn no_canary_of_mail_survives() {
    let message = MESSAGE.trim_start();
    let len = dialogue_len(message);
    for protocol in ["smtp", "lmtp"] {
        let hello = if protocol == "smtp" { "EHLO" } else { "LHLO" };
        clean(
            protocol,
            &format!(
                r#"! --rule 's/wombat/nachbar/ when text ~ /geheimnis/'
! --rule 'refuse VRFY with "550 5.1.1 zebedeus@quorra is wombat"'
S: 220 quorra.hinterhof ESMTP Wombat (203.0.113.9)
C: {hello} zebedeus.quorra
S: 250-quorra.hinterhof Hello zebedeus [203.0.113.9], nachbar
S: 250-SIZE 10240000
S: 250-XPRIVATE nachbar
S: 250-CHUNKING
S: 250 8BITMIME
C: VRFY zebedeus
<= 550 5.1.1 zebedeus@quorra is wombat
C: MAIL FROM:<zebedeus@quorra.hinterhof> SIZE=1000 ENVID=wombat BODY=8BITMIME
S: 250 2.1.0 <zebedeus@quorra.hinterhof>... wombat ok
C: RCPT TO:<nachbar@quorra> ORCPT=rfc822;wombat@quorra NOTIFY=NEVER
S: 250-2.1.5 nachbar@quorra
S: 250 2.1.5 geheimnis 5551234
C: DATA
S: 354 go ahead, wombat
C| {message}.\r\n
S: 250 2.0.0 Ok: queued as WOMBAT5551234
C: MAIL FROM:zebedeus@quorra
S: 250 ok
C: RCPT TO: <nachbar wombat@quorra>
S: 250 ok
C: BDAT {len} LAST
C| {message}
S: 250 wombat
C: WOMBAT geheimnis
S: 500 5.5.1 WOMBAT geheimnis unknown
"#
            ),
        );
    }
}

#[test]
fn no_canary_of_the_others_survives() {
    let message = MESSAGE.trim_start();
    let pop3 = format!(
        r#"S: +OK quorra ready <490301234567.5551234@quorra.hinterhof>
C: USER zebedeus
S: +OK zebedeus is a wombat
C: PASS geheimnis
S: -ERR [IN-USE] mailbox of wombat is locked by nachbar
C: APOP zebedeus c4c9334bac560ecc979e58001b3e22fb
S: +OK zebedeus's maildrop has 2 messages (320 octets)
C: UIDL
S: +OK
S: 1 wombat490301234567
S: 2 nachbar
S: .
C: RETR 1
S: +OK 120 octets for wombat
S| {message}.\r\n
C: XWOMBAT nachbar
S: -ERR XWOMBAT nachbar
"#
    );
    clean("pop3", &pop3);
    let sieve = r#"S: "IMPLEMENTATION" "Dovecot Pigeonhole"
S: "OWNER" "zebedeus"
S: "SIEVE" "fileinto"
S: OK "quorra ready for wombat"
C: LISTSCRIPTS
S: "wombat" ACTIVE
S: "nachbar"
S: OK "done, wombat"
C: PUTSCRIPT "wombat" {32+}
C| redirect "zebedeus@quorra.tld";\r\n
C| \r\n
S: NO (QUOTA/MAXSIZE) "no room for wombat's nachbar"
C: GETSCRIPT {6+}
C| wombat
C| \r\n
S: {9}
S| geheimnis\r\n
S: OK
C: HAVESPACE "nachbar" 5
S: NO (WARNINGS) {6}
S| wombat\r\n
C: WOMBAT "nachbar"
S: NO "WOMBAT nachbar"
"#;
    clean("managesieve", sieve);
    let nntp = format!(
        r#"S: 200 quorra.hinterhof wombat ready
C: AUTHINFO USER zebedeus
S: 381 more, zebedeus
C: AUTHINFO PASS geheimnis
S: 281 hello wombat
C: GROUP quorra.wombat
S: 211 10 1 10 quorra.wombat
C: ARTICLE <wombat@quorra>
S: 220 1 <wombat@quorra>
S| {message}.\r\n
C: LIST ACTIVE wombat.*
S: 215 list
S: quorra.wombat 10 1 y
S: .
"#
    );
    clean("nntp", &nntp);
    let irc = r#"C: NICK zebedeus
C: USER wombat 0 * :Zebedeus Nachbar
S: :quorra.hinterhof 001 zebedeus :Welcome zebedeus!wombat@203.0.113.9
C: JOIN #nachbar
S: :zebedeus!wombat@quorra JOIN #nachbar
C: PRIVMSG #nachbar :geheimnis wombat
S: :nachbar!~w@quorra PRIVMSG #nachbar :call 490301234567
S: WOMBAT geheimnis
"#;
    clean("irc", irc);
}

#[test]
fn the_same_name_has_the_same_stand_in_wherever_it_stands() {
    let all = outputs(
        "imap",
        r#"S: * OK ready
C: a1 LIST "" *
S: * LIST () "/" Wombat
S: * LIST () "/" "Wombat/Kanal"
S: * LIST () "/" {6}
S| wombat\r\n
S: a1 OK Listed WOMBAT now
C: a2 SELECT "Wombat"
S: a2 NO Mailbox doesn't exist: Wombat
C: a3 FETCH 1 ENVELOPE
S: * 1 FETCH (ENVELOPE (NIL "Wombat" (("Wombat" NIL "wombat" "x.y")) NIL NIL NIL NIL NIL NIL NIL))
S: a3 OK done
"#,
    );
    let line = all.lines().find(|line| line.contains("a2 SELECT")).expect("the command is there");
    let name = line.split("a2 SELECT \"").nth(1).and_then(|rest| rest.split('"').next()).expect("its mailbox");
    assert!(name.len() == 6 && name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
    for place in [
        format!("\"/\" {name}"),
        format!("\"{name}/"),
        format!("Listed {} now", name.to_uppercase()),
        format!("Mailbox doesn't exist: {name}"),
        format!("\"{name}\" NIL \"{}\"", name.to_lowercase()).replace('"', "\\\""),
        format!("\"text\":\"{}\"", name.to_lowercase()),
    ] {
        assert!(all.contains(&place), "{place} in\n{all}");
    }
    assert!(all.contains("a2 NO Mailbox doesn't exist: "));
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
    for output in ["pretty", "record:-"] {
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
