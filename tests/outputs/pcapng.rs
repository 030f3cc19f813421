//! Captures that are written: their structure, what they carry, and what their comments say.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::capture::{self, Capture};
use crate::dialogue::{Dialogue, Step};
use crate::sample::{self, Made};
use imapscope::event::{
    Closed, Closer, Event, Layer, NoteKind, Octets, Oddity, Opened, Peer, Span, State, Time, TlsFacts, Wait, What,
};
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind, Piece};
use imapscope::grammar::Grammar;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::pcapng::Pcapng;

/// Memory that can be looked at.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn octets(&self) -> Vec<u8> {
        self.0.lock().expect("one thread").clone()
    }
}

/// The file that these events make.
fn written(events: &[Made]) -> Vec<u8> {
    let memory = Memory::default();
    let mut sink = Pcapng::new(memory.clone());
    assert!(sink.wants_octets());
    sample::put_all(events, &mut sink);
    sink.end().expect("memory takes all");
    memory.octets()
}

/// A piece of a block of data.
fn octets(millisecond: u64, from: Peer, bytes: &[u8]) -> Made {
    let kind = imapscope::event::DataKind::Literal;
    let what = What::Octets(Octets { frame: 1, kind, bytes: Span::new(0, bytes.len()), secret: false });
    Made { bytes: bytes.to_vec(), ..Made::new(millisecond, 1, from, what) }
}

/// A connection of this protocol between these two.
fn opened(protocol: &str, client: &str, server: &str) -> Made {
    let opened = Opened {
        protocol: protocol.into(),
        client: client.into(),
        server: server.into(),
        edit: [false; 2],
        rules: vec!["drop-capability IDLE".into()],
        ..Opened::default()
    };
    Made::new(0, 1, Peer::Client, What::Opened(Box::new(opened)))
}

fn has(capture: &Capture, part: &str) -> bool {
    capture.packets.iter().any(|packet| packet.comments.iter().any(|comment| comment.contains(part)))
}

#[test]
fn a_session_is_a_stream_with_its_remarks() {
    let file = written(&sample::session());
    let capture = capture::read(&file);
    assert!(capture.program.starts_with("imapscope "), "{}", capture.program);
    assert_eq!(capture.names[0], ("192.0.2.1".parse().expect("an address"), "mail.example.org".to_owned()));
    let [stream] = &capture.streams()[..] else { panic!("one stream") };
    assert_eq!(stream.ends, ["127.0.0.1:54321", "192.0.2.1:143"].map(|end| end.parse().expect("an address")));
    // The literal's octets were never reported: they are a hole, and said to be.
    assert_eq!(stream.missing, 53_482);
    assert!(has(&capture, "53,482 octets before this are missing"));
    assert!(stream.said[0].starts_with(b"a1 LOGIN alice xxxxxx\r\na2 UID FETCH 7"));
    assert!(stream.said[1].starts_with(b"* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ AUTH=PLAIN]"), "as received");
    for part in [
        "connection 1, imap: 127.0.0.1:54321 -> mail.example.org:143",
        "sent on instead: * OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN XTEST] Dovecot ready.",
        "rule `drop-capability IDLE`",
        "- IDLE: the server reports changes",
        "answers a1 LOGIN, 43 ms",
        "! client: uses IDLE, which it was not offered (RFC 2177 section 3)",
        "closed by the client",
    ] {
        assert!(has(&capture, part), "{part}: {:#?}", stream.comments);
    }
    // The half-close is the client's, and its own; times are exact.
    assert_eq!(stream.ended, [0, 1]);
    let bad = capture.packets.iter().find(|packet| packet.payload.starts_with(b"a3 BAD")).expect("the refusal");
    assert_eq!(bad.at, (sample::NOON + 401) * 1_000_000);
}

#[test]
fn each_protocol_has_its_port_and_each_family_its_addresses() {
    for (protocol, client, server, expected) in [
        ("imap", "[::1]:5000", "imap://mail.example.org:1430", ["[::1]:5000", "[2001:db8::1]:143"]),
        ("imap", "[::ffff:10.0.0.1]:5000", "imaps://mail.example.org:993", ["10.0.0.1:5000", "192.0.2.1:143"]),
        ("smtp", "10.0.0.1:5000", "smtp://10.0.0.2:2525", ["10.0.0.1:5000", "10.0.0.2:25"]),
        ("smtp", "10.0.0.1:5000", "submissions://10.0.0.2:465", ["10.0.0.1:5000", "10.0.0.2:587"]),
        ("lmtp", "[fe80::1%2]:5000", "lmtp://[::1]:24", ["[fe80::1]:5000", "[::1]:24"]),
        ("pop3", "10.0.0.1:5000", "pop3://[::1]:1", ["10.0.0.1:5000", "192.0.2.1:110"]),
        ("managesieve", "10.0.0.1:5000", "sieve://10.0.0.2:1", ["10.0.0.1:5000", "10.0.0.2:4190"]),
        ("nntp", "10.0.0.1:5000", "nntp://10.0.0.2:1", ["10.0.0.1:5000", "10.0.0.2:119"]),
        ("ftp", "10.0.0.1:5000", "ftp://10.0.0.2:2121", ["10.0.0.1:5000", "10.0.0.2:2121"]),
        ("imap", "nonsense", "nonsense", ["0.0.0.0:0", "192.0.2.1:143"]),
    ] {
        let events = [opened(protocol, client, server), sample::closed(1, 1, Closer::Ours)];
        let capture = capture::read(&written(&events));
        let ends = expected.map(|end| end.parse().expect("an address"));
        assert_eq!(capture.streams()[0].ends, ends, "{protocol} {client} {server}");
        assert!(has(&capture, "rule `drop-capability IDLE`") && has(&capture, "ended by imapscope"));
    }
}

#[test]
fn data_is_in_bounded_packets_and_its_remarks_are_on_the_last() {
    let body: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
    let mut events = vec![opened("imap", "10.0.0.1:5000", "imap://h:143")];
    events.extend(body.chunks(30_000).enumerate().map(|(at, piece)| octets(at as u64 + 1, Peer::Server, piece)));
    let kind = imapscope::event::DataKind::Literal;
    let finding = NoteKind::Finding(imapscope::event::Culprit::Server);
    events.push(sample::data(9, Peer::Server, kind, 100_000, &body[..512]).note(finding, "", "a NUL\u{1b}[m", ""));
    events.push(sample::server(10, State::Selected, ")\r\n"));
    events.push(sample::closed(11, 1, Closer::Reset(Peer::Server)));
    let capture = capture::read(&written(&events));
    let [stream] = &capture.streams()[..] else { panic!("one stream") };
    assert_eq!((stream.missing, stream.reset), (0, true));
    assert!(stream.said[1] == [body, b")\r\n".to_vec()].concat());
    assert!(capture.packets.iter().all(|packet| packet.payload.len() <= 16 * 1024));
    let remarked: Vec<_> =
        capture.packets.iter().filter(|packet| packet.comments.iter().any(|it| it.starts_with('!'))).collect();
    assert_eq!(remarked.len(), 1);
    assert_eq!(remarked[0].comments, ["! server: a NUL\\x1b[m"]);
    assert_eq!(remarked[0].at, (sample::NOON + 4) * 1_000_000, "when the last piece came");
}

#[test]
fn behind_a_layer_a_connection_goes_on_as_another_stream() {
    let tls = |at, peer| {
        Made::new(at, 1, peer, What::Tls(Box::new(TlsFacts { version: "TLS 1.3".into(), ..TlsFacts::default() })))
    };
    let upgrade = |at, layer| Made::new(at, 1, Peer::Server, What::Upgrade(layer));
    let events = [
        opened("imap", "10.0.0.1:5000", "imap://h:143"),
        tls(1, Peer::Server),
        sample::server(2, State::Greeting, "* OK hi\r\n"),
        sample::client(3, State::NotAuthenticated, "a STARTTLS\r\n"),
        sample::server(4, State::NotAuthenticated, "a OK\r\n"),
        upgrade(4, Layer::Tls),
        tls(5, Peer::Server),
        tls(6, Peer::Client),
        sample::client(7, State::NotAuthenticated, "b COMPRESS DEFLATE\r\n"),
        sample::server(8, State::NotAuthenticated, "b OK\r\n"),
        upgrade(8, Layer::Deflate),
        sample::client(9, State::NotAuthenticated, "c LOGOUT\r\n"),
        sample::closed(11, 1, Closer::Peer(Peer::Client)),
    ];
    let capture = capture::read(&written(&events));
    let streams = capture.streams();
    let said: Vec<&[u8]> = streams.iter().map(|stream| stream.said[0].as_slice()).collect();
    assert_eq!(said, [&b"a STARTTLS\r\n"[..], b"b COMPRESS DEFLATE\r\n", b"c LOGOUT\r\n"]);
    assert_eq!(streams[0].said[1], b"* OK hi\r\na OK\r\n");
    assert!(streams.iter().all(|stream| stream.ended.len() == 2));
    let ports: Vec<u16> = streams.iter().map(|stream| stream.ends[0].port()).collect();
    assert_eq!(ports[0], 5000);
    assert_ne!(ports[0], ports[1]);
    assert_ne!(ports[1], ports[2]);
    assert!(streams[0].comments.iter().any(|it| it.contains(&format!("from port {}", ports[1]))));
    assert!(streams[1].comments.iter().any(|it| it.contains("as what lies inside TLS: before, from port 5000")));
    assert!(streams[1].comments.iter().any(|it| it.contains("TLS 1.3 with the client")));
}

#[test]
fn connections_with_the_same_ends_are_kept_apart() {
    let one = |number, server: &str| {
        let mut made = opened("imap", "10.0.0.1:5000", server);
        made.connection = number;
        made
    };
    let events = [
        one(1, "imap://10.0.0.2:143"),
        one(2, "imap://10.0.0.2:1430"),
        sample::closed(2, 1, Closer::Unreachable),
        sample::closed(3, 2, Closer::Peer(Peer::Server)),
        one(3, "imap://10.0.0.2:143"),
    ];
    let streams = capture::read(&written(&events)).streams();
    assert_eq!(streams.iter().map(|stream| stream.ends[0].port()).collect::<Vec<_>>(), [5000, 5001, 5000]);
    assert!(streams[0].reset && streams[1].ended == [1, 0]);
}

#[test]
fn nothing_is_written_before_anything_happened_and_at_the_end_it_is_a_capture() {
    let memory = Memory::default();
    let mut sink = Pcapng::new(memory.clone());
    sink.flush().expect("memory has room");
    assert!(memory.octets().is_empty());
    sink.end().expect("memory has room");
    assert!(capture::read(&memory.octets()).packets.is_empty());
    // What belongs to no connection that is known is left out.
    assert!(capture::read(&written(&[sample::client(1, State::Selected, "a NOOP\r\n")])).packets.is_empty());
}

/// Every dialogue as a capture: sound, and what is read from it is what the peers sent.
#[test]
fn every_dialogue_is_a_sound_capture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let (mut whole, mut all) = (0, 0);
    for folder in fs::read_dir(root).expect("a folder") {
        let folder = folder.expect("an entry").path();
        let Some(grammar) = Grammar::builtin(&folder.file_name().expect("a name").to_string_lossy()) else { continue };
        for file in fs::read_dir(folder).expect("a folder") {
            let file = file.expect("an entry").path();
            let dialogue = Dialogue::parse(&fs::read_to_string(&file).expect("UTF-8")).expect("a dialogue");
            if dialogue.grammar.is_some() {
                continue;
            }
            let mut scope = Scope::new(&dialogue, &grammar);
            scope.run(&dialogue);
            let octets = scope.memory.octets();
            let streams = capture::read(&octets).streams();
            let pieces =
                foreign::read(std::io::Cursor::new(octets), Kind::Pcapng, "x", Some("imap")).expect("a capture");
            let mut read = [Vec::new(), Vec::new()];
            for piece in pieces {
                if let Piece::Octets { from, bytes, .. } = piece {
                    read[from.index()].extend(bytes);
                }
            }
            let said = [0, 1].map(|at| streams.iter().flat_map(|stream| stream.said[at].clone()).collect::<Vec<u8>>());
            assert!(read == said, "{}: both readers find the same", file.display());
            all += 1;
            if scope.whole {
                whole += 1;
                assert_eq!(streams.iter().map(|stream| stream.missing).sum::<u64>(), 0, "{}", file.display());
                let show = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                assert!(
                    said == scope.input,
                    "{}: {:?}\n{:?}",
                    file.display(),
                    said.each_ref().map(|it| show(it)),
                    scope.input.each_ref().map(|it| show(it))
                );
            }
        }
    }
    assert!(all > 200 && whole * 10 > all * 8, "{whole} of {all}");
}

/// A session whose capture is written.
struct Scope {
    session: Session,
    explainer: Explainer,
    sink: Pcapng<Memory>,
    memory: Memory,
    out: Outbox,
    now: u64,
    input: [Vec<u8>; 2],
    /// What is in the capture is what came: nothing of ours, and nothing compressed.
    whole: bool,
}

impl Scope {
    fn new(dialogue: &Dialogue, grammar: &Arc<Grammar>) -> Scope {
        let memory = Memory::default();
        Scope {
            session: Session::new(1, grammar.clone(), dialogue.rules.clone()).reporting_octets(true),
            explainer: Explainer::new(grammar.clone(), true),
            sink: Pcapng::new(memory.clone()),
            memory,
            out: Outbox::default(),
            now: 1_767_225_600_000_000_000,
            input: Default::default(),
            whole: true,
        }
    }

    fn run(&mut self, dialogue: &Dialogue) {
        let opened = opened("imap", "127.0.0.1:50000", "imap://mail.example.org:143").event;
        self.out.batch.events.push(opened);
        self.gather();
        for step in &dialogue.steps {
            match step {
                Step::Send { from, bytes, .. } => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let used = self.session.receive(*from, rest, &mut self.out);
                        self.input[from.index()].extend_from_slice(&rest[..used]);
                        rest = &rest[used..];
                        self.gather();
                    }
                }
                Step::Tls { from, .. } => {
                    self.out.batch.events.push(Event { from: *from, what: What::Tls(Box::default()) });
                    self.gather();
                }
                Step::Close { from } => {
                    self.session.closed(*from, &mut self.out);
                    self.gather();
                }
                Step::Pause(_) => {
                    let wait = self.session.owed();
                    let event = |wait: Wait| Event { from: wait.by.other(), what: What::Waiting(Box::new(wait)) };
                    self.out.batch.events.extend(wait.map(event));
                    self.gather();
                }
            }
        }
        let end = Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
        self.session.ended(Peer::Client, end, &mut self.out);
        self.gather();
        self.sink.end().expect("memory takes all");
    }

    fn gather(&mut self) {
        self.now += 10_000_000;
        self.out.clear();
        let mut batch = std::mem::take(&mut self.out.batch);
        batch.connection = 1;
        batch.at = Time(self.now);
        for event in &batch.events {
            self.whole &= match &event.what {
                What::Text(text) => !text.oddities.contains(&Oddity::Ours),
                What::Upgrade(layer) => *layer != Layer::Deflate,
                _ => true,
            };
        }
        let sink = &mut self.sink;
        self.explainer.explain(&mut batch, &mut |event| sink.put(event).expect("memory takes all"));
    }
}
