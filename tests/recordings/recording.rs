//! Recordings that are damaged, cut into parts, or made with secrets: what is wrong is told with its line, everything else is
//! shown, nothing panics, and no secret comes out. (That a recording gives the log of the conversation: `explaining/dialogues.rs`.)

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::lanes::log::record;
use crate::lanes::{self, Step, c, dialogues, s};
use crate::ruled::compiled;
use crate::thorough::cases;
use imapscope::event::{Batch, Certificate, Closed, Closer, Hello, Layer, Peer, TlsFacts, Verification, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::line::{Line, Other};
use imapscope::recording::{Head, MAX_OPEN, Reader, State, Writer};
use imapscope::rules::Rules;
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::{Body, Look};
use proptest::prelude::*;

const CANARY: &str = "kanarie77";

/// What came of reading.
struct Shown {
    log: String,
    remarks: Vec<String>,
    /// The recording that was made of it.
    copy: String,
}

/// Reads files of one recording as the program does, with explainers that hide anew (`Explainer::new`) or believe what stands
/// there (`Explainer::of_recording`).
fn read(files: &[&[u8]], explainer: fn(Arc<Grammar>, bool) -> Explainer) -> Shown {
    let (mut log, mut copy) = (Vec::new(), Vec::new());
    let mut pretty = Pretty::new(&mut log, Look { body: Body::All, ..Look::default() });
    let mut writer = Writer::new(&mut copy, Head::default());
    let mut explainers = HashMap::new();
    let mut reader = Reader::new(files[0]).expect("memory can be read");
    let (mut batch, mut remarks) = (Batch::default(), Vec::new());
    for (nth, file) in files.iter().enumerate() {
        if nth > 0 {
            reader.go_on(file).expect("memory can be read");
        }
        while reader.next(&mut batch).expect("memory can be read") == State::Events {
            for event in &batch.events {
                let What::Opened(opened) = &event.what else { continue };
                if let Some(grammar) = Grammar::builtin(&opened.protocol) {
                    explainers.insert(batch.connection, explainer(grammar, false));
                }
            }
            let Some(explainer) = explainers.get_mut(&batch.connection) else { continue };
            explainer.explain(&mut batch, &mut |event| {
                pretty.put(event).expect("memory takes all");
                writer.put(event).expect("memory takes all");
            });
        }
        remarks.extend(reader.remarks());
        remarks.extend(reader.finish());
    }
    pretty.end().expect("memory takes all");
    writer.end().expect("memory takes all");
    drop((pretty, writer));
    let text = |bytes| String::from_utf8(bytes).expect("it is UTF-8");
    Shown { log: text(log), remarks, copy: text(copy) }
}

fn show(recording: &[u8]) -> Shown {
    read(&[recording], Explainer::of_recording)
}

fn head(protocol: &str) -> Head {
    let form = Grammar::builtin(protocol).expect("it is built in").form;
    Head { protocols: [(protocol.to_owned(), form)].into(), ..Head::default() }
}

/// A recording and its log.
fn recorded(protocol: &str, lines: &[&str], steps: &[Step]) -> (String, String) {
    let mut recording = Vec::new();
    let log = record(protocol, compiled(lines), steps, 1000, false, Writer::new(&mut recording, head(protocol)));
    (log, String::from_utf8(recording).expect("a recording is UTF-8"))
}

/// A session with a login, lists, literals and octets that are no UTF-8.
fn session() -> Vec<Step> {
    let mut steps = dialogues::login_with_literals();
    steps.truncate(steps.len() - 2);
    steps.extend([
        c("b1 FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {30}\r\nSubject: a \"quoted\" one\r\n\r\nrest)\r\n"),
        s(b"* 2 FETCH (BODY[] {8}\r\n\xff\xfe\0\x01abcd)\r\nb1 OK done\r\n"),
        c(b"b2 SEARCH TEXT \xe4\xf6\r\n"),
        s("b2 NO [BADCHARSET] what\r\n"),
        c("b3 LOGOUT\r\n"),
        s("* BYE so long\r\nb3 OK done\r\n"),
    ]);
    steps
}

#[test]
fn what_is_damaged_is_told_with_its_line_and_all_else_is_shown() {
    let (log, recording) = recorded("imap", &[], &session());
    let lines: Vec<&str> = recording.lines().collect();
    let with = |at: usize, line: &str| -> Vec<u8> {
        [&lines[..at], &[line], &lines[at..]].concat().join("\n").into_bytes().into_iter().chain(*b"\n").collect()
    };
    let start = r#"{"at":1767225600001000000,"conn":1,"from":"client""#;
    let text = format!(r#"{start},"frame":90,"state":"selected","line":"z1 NOOP""#);
    let long = format!(r#"{text},"x":"{}"}}"#, "x".repeat(20 << 20));
    let pieces = |piece: &str| format!(r#"{start},"frame":90,"piece":"literal",{piece}}}"#);
    // An additional line, and what is said of it; the rest is shown as without it.
    for (line, said) in [
        ("nonsense", "4: column 2: no event of a recording, passed over: expected"),
        ("{", "4: column 1: no event of a recording, passed over: EOF"),
        ("[]", "4: column"),
        ("{}", "4: column 2: no event of a recording, passed over: missing field `at`"),
        (
            &format!(r#"{start},"event":{{"teleported":{{}}}}}}"#),
            "4: column 72: no event of a recording, passed over: expected one of `opened`",
        ),
        (&format!(r#"{start},"event":"teleported"}}"#), "4: column"),
        // What a line says is not said again: it may be a secret.
        (
            &text.replace("1767225600001000000", "\"kanarie77\""),
            "4: column 17: no event of a recording, passed over: expected u64",
        ),
        (&format!(r#"{text},"frame":"kanarie77, expected kanarie77"}}"#), "passed over: "),
        (&format!(r#"{text},"reading":"kanarie77"}}"#), "passed over: expected struct Reading"),
        (&format!("{start}}}"), "4: neither octets nor anything else that a recording has; passed over"),
        (&text.replace("1767225600001000000", "-5"), "4: column"),
        (&format!("{}}}", text.replace("1767225600001000000", "-5")), "4: column 8: no event"),
        (&format!("{}}}", text.replace("1767225600001000000", "18446744073709551616")), "4: column 26: no event"),
        (&format!("{}}}", text.replace("\"frame\":90,", "")), "4: a text or a piece of data without its frame"),
        (&format!(r#"{text},"secrets":[[0,2],[1,3]]}}"#), "4: its parts do not lie inside of the text"),
        (&format!(r#"{text},"secrets":[[0,10]]}}"#), "4: its parts do not lie inside"),
        (&format!(r#"{text},"secrets":[[3,1]]}}"#), "4: its parts do not lie inside"),
        (&format!(r#"{text},"odd":[{{"nul":4000000000}}]}}"#), "4: its parts do not lie inside"),
        (
            &format!(r#"{text},"reading":{{"kind":{{"command":{{"tag":[0,2],"verb":[3,7],"arguments":[7,99]}}}}}}}}"#),
            "4: its parts do not lie inside",
        ),
        (&format!(r#"{text},"reading":{{"kind":"blank","stopped":999}}}}"#), "4: its parts do not lie inside"),
        (
            &format!(r#"{text},"edit":{{"fired":["x"],"secrets":[[0,9]]}},"sent":{{"line":"z1"}}}}"#),
            "4: its parts do not lie inside",
        ),
        (&format!(r#"{text},"sent":{{"line":"z1"}}}}"#), "4: what was sent instead, and no rule"),
        (&text.replace("\"line\":\"z1 NOOP\"", "\"base64\":\"*\"}"), "4: its octets are no base64; passed over"),
        (&pieces(r#""base64":"QUJ""#), "4: its octets are no base64"),
        (&pieces(r#""hidden":4294967295"#), "4: neither octets"),
        (&pieces(&format!(r#""text":"{}""#, "x".repeat(70_000))), "4: a piece of data that is too long"),
        (&format!(r#"{start},"frame":90,"text":"{}"}}"#, "x".repeat(70_000)), "4: a text that is too long"),
        (&long, "4: a line of more than 16777216 octets is passed over"),
        (lines[1], "4: connection 1 begins a second time; passed over"),
    ] {
        let shown = show(&with(3, line));
        let short = &line[..line.len().min(300)];
        assert!(shown.remarks.len() == 1 && shown.remarks[0].contains(said), "{short}\n{:?}", shown.remarks);
        assert!(shown.remarks[0].starts_with("4: ") && !shown.remarks[0].contains("kanarie"), "{:?}", shown.remarks);
        assert_eq!(shown.log, log, "{short}");
    }
    // Neither is damage.
    for line in ["", lines[1].replace("\"opened\"", "\"continued\"").as_str()] {
        let shown = show(&with(3, line));
        assert_eq!((shown.remarks.as_slice(), shown.log == log), (&[][..], true), "{line}");
    }
    let newer = recording.replacen("\"conn\":1", "\"mood\":{\"of\":[\"the\",\"day\"]},\"conn\":1", 9);
    let shown = show(newer.as_bytes());
    assert_eq!((shown.remarks.as_slice(), shown.log == log), (&[][..], true), "fields that a newer version may have");
}

#[test]
fn octets_that_are_no_utf_8_damage_their_line_only() {
    let (_, recording) = recorded("imap", &[], &session());
    let broken = recording.replace("so long", "so l\u{1}ng").into_bytes();
    let broken: Vec<u8> = broken.into_iter().map(|octet| if octet == 1 { 0xff } else { octet }).collect();
    let shown = show(&broken);
    assert!(shown.remarks.len() == 1 && shown.remarks[0].contains(": no event of a recording"), "{:?}", shown.remarks);
    assert!(!shown.log.contains("BYE so") && shown.log.contains("b3 OK done"), "{}", shown.log);
}

#[test]
fn the_first_line_may_be_missing_foreign_or_newer() {
    let (log, recording) = recorded("imap", &[], &session());
    let (first, rest) = recording.split_once('\n').expect("lines");
    for (first, said) in [
        (String::new(), "1: the first line should say that this is a recording of imapscope"),
        ("{\"foo\":1}\n".to_owned(), "1: the first line should say that this is a recording of imapscope"),
        ("# a note\n".to_owned(), "1: the first line should say what the recording is: expected value"),
        (
            "{\"imapscope\":9,\"program\":\"9.8\",\"mood\":1}\n".to_owned(),
            "1: written by imapscope 9.8 in version 9 of the format",
        ),
        (format!("{}\n", &first[..first.len() / 2]), "1: the first line should say what the recording is: EOF"),
        (format!("{}\n", "x".repeat(17 << 20)), "1: a line of more than 16777216 octets is passed over"),
    ] {
        let shown = show(format!("{first}{rest}").as_bytes());
        assert!(shown.remarks[0].starts_with(said) && shown.remarks.len() <= 2, "{:?}", shown.remarks);
        assert_eq!(shown.log, log, "all else is shown");
    }
    let empty = show(b"");
    assert_eq!((empty.remarks, empty.log), (vec!["1: the file is empty".to_owned()], String::new()));
    let begun = show(&recording.as_bytes()[..9]);
    assert_eq!(begun.remarks, ["1: the file ends in the middle of this line"]);
    let only = show(format!("{first}\n").as_bytes());
    assert_eq!((only.remarks, only.log), (Vec::new(), String::new()));
}

#[test]
fn what_the_file_lost_is_missing_and_nothing_else() {
    let (log, recording) = recorded("imap", &[], &session());
    let lines: Vec<&str> = recording.lines().collect();
    // The opening: its client and route are not known any more.
    let shown = show(format!("{}\n{}\n", lines[0], lines[2..].join("\n")).as_bytes());
    assert_eq!(shown.remarks, ["2: the beginning of connection 1 is missing"]);
    assert_eq!(
        shown.log.lines().filter(|line| line.contains("b3 OK done")).collect::<Vec<_>>(),
        log.lines().filter(|line| line.contains("b3 OK done")).collect::<Vec<_>>()
    );
    // The end of the file, wherever it is.
    for cut in (0..recording.len()).step_by(7) {
        let shown = show(&recording.as_bytes()[..cut]);
        let whole = recording.as_bytes()[..cut].ends_with(b"\n");
        assert_eq!(shown.remarks.is_empty(), whole, "{cut}: {:?}", shown.remarks);
        assert!(whole || shown.remarks.iter().all(|said| said.contains("the file ")), "{:?}", shown.remarks);
        assert!(log.starts_with(&shown.log), "{cut}: what is shown is the beginning of the log");
    }
}

#[test]
fn remarks_are_bounded() {
    let (log, recording) = recorded("imap", &[], &session());
    let shown = show(format!("{recording}{}", "garbage\n".repeat(1000)).as_bytes());
    assert_eq!(shown.remarks.len(), 21);
    assert_eq!(shown.remarks[20], "980 more lines are damaged");
    assert_eq!(shown.log, log);
}

/// The parts of a recording, which are files elsewhere.
#[derive(Clone, Default)]
struct Parts(Arc<Mutex<Vec<Vec<u8>>>>);

impl Parts {
    fn part(&self) -> Part {
        let mut parts = self.0.lock().expect("nobody panics");
        parts.push(Vec::new());
        Part(self.clone(), parts.len() - 1)
    }
}

struct Part(Parts, usize);

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().expect("nobody panics")[self.1].extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn parts_together_are_the_whole_and_each_can_be_read_alone() {
    let mut steps = session();
    let message = "Subject: long\r\n\r\n".to_owned() + &"a line of a message\r\n".repeat(40);
    steps.insert(9, s(format!("* 3 FETCH (BODY[] {{{}}}\r\n{message})\r\n", message.len())));
    for limit in [1, 700, 3_000, 1 << 20] {
        for size in [40, 1000] {
            let parts = Parts::default();
            let next = parts.clone();
            let writer = Writer::new(parts.part(), head("imap")).in_parts(limit, move |_| Ok(next.part()));
            let log = record("imap", Rules::default(), &steps, size, false, writer);
            let parts = parts.0.lock().expect("nobody panics").clone();
            assert_eq!(parts.len() > 1, limit < 1 << 20, "{limit}: {} parts", parts.len());
            let all: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let together = read(&all, Explainer::of_recording);
            assert_eq!((together.remarks.as_slice(), together.log == log), (&[][..], true), "{limit}, {size}");
            for (nth, part) in all.iter().enumerate() {
                assert!(part.len() as u64 <= limit + 6_000, "{nth}: {} octets", part.len());
                let alone = show(part);
                assert_eq!(alone.remarks, [""; 0], "{limit}, {size}, {nth}");
                // Where a literal ends, its beginning is told, though it came in an earlier part.
                for line in alone.log.lines().filter(|line| line.contains("(literal, ")) {
                    let (_, literal) = line.split_once("(literal, ").expect("it is there");
                    assert!(log.contains(literal), "{limit}, {size}, {nth}: {line}\n{log}");
                }
            }
        }
    }
}

/// Sessions with secrets in every place where they are usual: texts, literals, SASL, what a rule makes of it.
fn secret_sessions() -> Vec<(&'static str, &'static [&'static str], Vec<Step>)> {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (plain, word) = (encode(&format!("\0alice\0{CANARY}")), encode(CANARY));
    let long = CANARY.repeat(8000);
    let imap = |lines: Vec<Step>| [vec![s("* OK hi\r\n")], lines].concat();
    vec![
        ("imap", &[], imap(vec![c(format!("a LOGIN alice {CANARY}\r\n")), s("a OK in\r\n")])),
        (
            "imap",
            &[],
            imap(vec![c(format!("a LOGIN alice \"{CANARY}\"\r\n")), s(format!("a NO {CANARY} is wrong\r\n"))]),
        ),
        (
            "imap",
            &[],
            imap(vec![c("a LOGIN {5+}\r\nalice {9}\r\n"), s("+ go\r\n"), c(CANARY), c("\r\n"), s("a OK in\r\n")]),
        ),
        // A literal in several pieces, and one in which an echo is cut.
        ("imap", &[], imap(vec![c(format!("a LOGIN alice {{{}+}}\r\n{long}\r\n", long.len())), s("a OK in\r\n")])),
        (
            "imap",
            &[],
            imap(vec![c("a AUTHENTICATE PLAIN\r\n"), s("+ \r\n"), c(format!("{plain}\r\n")), s("a OK in\r\n")]),
        ),
        ("imap", &[], imap(vec![c(format!("a AUTHENTICATE PLAIN {plain}\r\n")), s("a NO no\r\n")])),
        ("imap", &["s/alice/bob/"], imap(vec![c(format!("a LOGIN alice {CANARY}\r\n")), s("a OK in\r\n")])),
        (
            "imap",
            &[],
            imap(vec![
                c(format!("a LOGIN alice {CANARY}\r\n")),
                s(format!("* BAD {}{CANARY}{}\r\n", "x".repeat(69_990), "y".repeat(70_000))),
            ]),
        ),
        (
            "smtp",
            &[],
            vec![
                s("220 mx\r\n"),
                c("AUTH LOGIN\r\n"),
                s("334 VXNlcm5hbWU6\r\n"),
                c("YWxpY2U=\r\n"),
                s("334 UGFzc3dvcmQ6\r\n"),
                c(format!("{word}\r\n")),
                s("235 in\r\n"),
            ],
        ),
        (
            "pop3",
            &[],
            vec![s("+OK\r\n"), c("USER alice\r\n"), s("+OK\r\n"), c(format!("PASS {CANARY}\r\n")), s("+OK\r\n")],
        ),
        (
            "managesieve",
            &[],
            vec![s("OK\r\n"), c(format!("AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{plain}\r\n", plain.len())), s("OK\r\n")],
        ),
    ]
}

/// True if five octets in a row of a canary are there, as they are or in base64.
fn leaks(text: &str) -> bool {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(format!("\0alice\0{CANARY}"));
    let parts = CANARY.as_bytes().windows(5).chain(coded.as_bytes().windows(8));
    parts.into_iter().any(|part| memchr_find(text.as_bytes(), part))
}

fn memchr_find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn no_secret_is_recorded() {
    for (protocol, lines, steps) in secret_sessions() {
        for size in [usize::MAX, 1000, 7, 1] {
            if size < 1000 && steps.iter().any(|(_, bytes)| bytes.len() > 10_000) {
                continue;
            }
            let all = lanes::log::log(protocol, compiled(lines), &steps, size);
            assert!(!leaks(&all), "{protocol} {lines:?} {size}: {:.3000}", all);
        }
    }
}

#[test]
fn secrets_of_a_recording_that_has_them_are_hidden_again() {
    for (protocol, lines, steps) in secret_sessions() {
        for size in [usize::MAX, 1000] {
            let mut recording = Vec::new();
            let with = Head { secrets: true, ..head(protocol) };
            record(protocol, compiled(lines), &steps, size, true, Writer::new(&mut recording, with));
            assert!(leaks(&String::from_utf8_lossy(&recording)), "they were to be recorded");
            let hidden =
                record(protocol, compiled(lines), &steps, size, false, Writer::new(io::sink(), Head::default()));
            let shown = read(&[&recording], Explainer::new);
            assert!(!leaks(&shown.log) && !leaks(&shown.copy), "{protocol} {lines:?} {size}: {:.3000}", shown.copy);
            assert_eq!((shown.remarks.as_slice(), shown.log), (&[][..], hidden), "as if they had never been there");
        }
    }
}

/// Lines of everything that the dialogues of `lanes` do not have.
fn others() -> String {
    let facts = TlsFacts {
        version: "TLS 1.3".to_owned(),
        name: Some("mail.example.org".to_owned()),
        certificate: Some(Certificate { not_after: i64::MAX, names: vec!["a".to_owned()], ..Certificate::default() }),
        verdict: Verification::Unverified("it has expired".to_owned()),
        ..TlsFacts::default()
    };
    let hello =
        Hello::Client { name: None, alpn: Vec::new(), lowest: None, highest: "TLS 1.3".to_owned(), encrypted: true };
    let closed = Closed {
        by: Closer::Reset(Peer::Server),
        why: Some("reset".to_owned()),
        received: [u64::MAX; 2],
        sent: [u64::MAX; 2],
        inflated: [(u64::MAX, u64::MAX), (u64::MAX, 1)],
    };
    let all = [
        Other::Tls(Box::new(facts)),
        Other::Hello(Box::new(hello)),
        Other::Abrupt,
        Other::Upgrade(Layer::Deflate),
        Other::Lag(u64::MAX, u64::MAX),
        Other::Lag(1, 1),
        Other::Missed("stall at-byte 9".into()),
        Other::HalfClosed,
        Other::Closed(Box::new(closed)),
    ];
    let line = |event| serde_json::to_string(&Line { event: Some(event), ..Line::new(u64::MAX, 1, Peer::Server) });
    all.into_iter().map(|event| line(event).expect("it can be written") + "\n").collect()
}

fn recordings() -> Vec<String> {
    let smtp = [
        s("220-mx\r\n220 hi\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1000\r\n"),
        c("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        s("250 ok\r\n550 5.1.1 who\r\n354 go\r\n"),
        c("Subject: =?utf-8?q?h=C3=A4?=\r\n\r\n..\r\n\n.\n\r\n.\r\n"),
        s("250 2.0.0 ok\r\n"),
    ];
    let pop3 = [
        s("+OK <1@x>\r\n"),
        c("CAPA\r\n"),
        s("+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n"),
        c("RETR 1\r\n"),
        s(b"+OK\r\nx\xff\r\n.\r\n"),
    ];
    let edits = ["drop-capability IDLE", "s/alice/bob/", "delay 1s at-byte 3 when command == FETCH", "refuse NOOP"];
    let mut all: Vec<String> = dialogues::all().iter().map(|steps| recorded("imap", &edits, steps).1).collect();
    all.push(recorded("imap", &[], &session()).1);
    all.push(recorded("smtp", &["drop-capability SIZE"], &smtp).1);
    all.push(recorded("pop3", &["insert-after \"X\" when from == server"], &pop3).1);
    // In front of the close that ends the session, which comes last.
    for recording in &mut all {
        let at = recording.trim_end().rfind('\n').expect("lines") + 1;
        recording.insert_str(at, &others());
    }
    all
}

/// One change to a recording.
#[derive(Debug, Clone)]
enum Change {
    /// This octet takes the place of the one there.
    Octet(prop::sample::Index, u8),
    /// A number from there on becomes this one.
    Number(prop::sample::Index, &'static str),
    /// So many octets are gone.
    Cut(prop::sample::Index, u8),
    /// These are put there.
    Put(prop::sample::Index, &'static str),
    /// A line takes the place of another.
    Line(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let numbers =
        ["0", "1", "2", "7", "33", "255", "4294967295", "9223372036854775807", "18446744073709551615", "-1", "1e9"];
    let words =
        ["\"", "\\u0000", "\\", "{", "}", "[", "]", ",", "\n", "\"more\":true,", "\"piece\":\"lines\",", "ü", "{9}"];
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, octet)| Change::Octet(at, octet)),
        6 => (at(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Change::Number(at, number)),
        1 => (at(), any::<u8>()).prop_map(|(at, len)| Change::Cut(at, len)),
        2 => (at(), prop::sample::select(words.to_vec())).prop_map(|(at, word)| Change::Put(at, word)),
        2 => (at(), at()).prop_map(|(from, to)| Change::Line(from, to)),
    ]
}

fn changed(recording: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = recording.as_bytes().to_vec();
    for change in changes {
        let len = bytes.len().max(1);
        match change {
            Change::Octet(at, octet) => {
                if let Some(place) = bytes.get_mut(at.index(len)) {
                    *place = *octet;
                }
            }
            Change::Number(at, number) => {
                let from = at.index(len);
                let digit = |octet: &u8| octet.is_ascii_digit();
                let Some(start) = bytes.iter().skip(from).position(digit).map(|start| from + start) else { continue };
                let end = bytes[start..].iter().position(|octet| !digit(octet)).map_or(bytes.len(), |end| start + end);
                bytes.splice(start..end, number.bytes());
            }
            Change::Cut(at, cut) => {
                let start = at.index(len).min(bytes.len());
                let end = (start + usize::from(*cut)).min(bytes.len());
                bytes.drain(start..end);
            }
            Change::Put(at, word) => {
                let at = at.index(len).min(bytes.len());
                bytes.splice(at..at, word.bytes());
            }
            Change::Line(from, to) => {
                let mut lines: Vec<Vec<u8>> = bytes.split(|&octet| octet == b'\n').map(<[u8]>::to_vec).collect();
                let (from, to) = (from.index(lines.len()), to.index(lines.len()));
                lines[to] = lines[from].clone();
                bytes = lines.join(&b'\n');
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(cases(2000))]
    #[test]
    fn no_damage_makes_it_panic_or_grow(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        static ALL: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(recordings);
        let recording = changed(&ALL[which.index(ALL.len())], &changes);
        for explainer in [Explainer::of_recording, Explainer::new] {
            let shown = read(&[&recording], explainer);
            prop_assert!(shown.remarks.len() <= 21);
            prop_assert!(shown.log.len() + shown.copy.len() <= 200_000 + 100 * recording.len(), "{}", shown.log.len());
            prop_assert!(shown.log.chars().all(|letter| letter == '\n' || !letter.is_control()), "{:?}", shown.log);
            // What was made of it is whole.
            prop_assert_eq!(show(shown.copy.as_bytes()).remarks, Vec::<String>::new());
        }
    }
}

/// Connections beyond [`MAX_OPEN`] are not remembered: they are told with their line, all others are shown, and what comes behind
/// a close has room again.
#[test]
fn more_connections_than_can_be_remembered_are_passed_over() {
    let event = |conn: usize, from: &str, rest: &str| {
        format!("{{\"at\":1767225600000000000,\"conn\":{conn},\"from\":\"{from}\",{rest}}}\n")
    };
    let opened = |conn: usize| {
        let rest = r#""event":{"opened":{"protocol":"imap","form":"imap","client":"c:1","server":"imap://s:143","route":{"number":1,"written":"imap://s"},"edit":[false,false],"rules":[]}}"#;
        event(conn, "client", rest)
    };
    let says =
        |conn: usize| event(conn, "server", &format!(r#""frame":1,"state":"greeting","line":"* OK this is {conn}""#));
    let closed =
        r#""event":{"closed":{"by":"ours","why":null,"received":[0,0],"sent":[0,0],"inflated":[[0,0],[0,0]]}}"#;
    let mut recording =
        serde_json::to_string(&Head { imapscope: 1, ..head("imap") }).expect("it can be written") + "\n";
    (1..=MAX_OPEN + 2).for_each(|conn| recording += &opened(conn));
    [1, MAX_OPEN, MAX_OPEN + 1].iter().for_each(|&conn| recording += &says(conn));
    recording += &event(1, "client", closed);
    recording += &opened(MAX_OPEN + 3);
    recording += &says(MAX_OPEN + 3);
    let Shown { log, remarks, .. } = show(recording.as_bytes());
    assert_eq!(log.matches("imap://s:143").count(), MAX_OPEN + 1);
    let shown = |conn: usize| log.contains(&format!("this is {conn}\n"));
    assert!(shown(1) && shown(MAX_OPEN) && shown(MAX_OPEN + 3) && !shown(MAX_OPEN + 1));
    let beyond = |line: usize, conn: usize| {
        format!("{line}: more than {MAX_OPEN} connections are open; connection {conn} is passed over")
    };
    assert_eq!(remarks[..2], [beyond(MAX_OPEN + 2, MAX_OPEN + 1), beyond(MAX_OPEN + 3, MAX_OPEN + 2)]);
}
