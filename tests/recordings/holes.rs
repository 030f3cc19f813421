//! Captures that are not whole: without a segment, a side, the end of each frame, or the first or last frames. Nobody is accused
//! of anything that the whole capture does not show, and what stood on both sides of a hole never becomes one text.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::dialogue::{Dialogue, Step as Line};
use crate::lanes::{Step, dialogues};
use crate::secrets_context;
use crate::segment::{self, ACK, CLIENT, FIN, SYN};
use imapscope::event::{Culprit, NoteKind, Peer, What};
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind};
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::verb::foreign::{Came, Passages};

/// A session of a protocol that comes with the program, and where it is from.
pub struct Talk {
    pub name: String,
    pub protocol: &'static str,
    pub steps: Vec<Step>,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    Segment(usize),
    Side(Peer),
    /// Only so many bytes of each segment were captured.
    Snap(usize),
    Before(usize),
    Behind(usize),
}

/// All sessions that the tests have: the dialogues that need no rule and no TLS of ours, and those of other tests.
pub fn talks() -> Vec<Talk> {
    let mut talks = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    for (protocol, _) in BUILTIN {
        let Ok(folder) = fs::read_dir(root.join(protocol)) else { continue };
        for file in folder.flatten() {
            let text = fs::read_to_string(file.path()).expect("a dialogue");
            let head = text.split("---\n").next().unwrap_or_default();
            if head.lines().any(|line| ["! ", "@ ", "C~ ", "S~ "].iter().any(|mark| line.starts_with(mark))) {
                continue;
            }
            let dialogue = Dialogue::parse(&text).expect("it can be read");
            let steps = dialogue.steps.into_iter().filter_map(|step| match step {
                Line::Send { from, bytes, .. } if bytes.len() < 30_000 => Some((from, bytes)),
                _ => None,
            });
            let name = format!("{protocol}/{}", file.file_name().display());
            talks.push(Talk { name, protocol, steps: steps.collect() });
        }
    }
    for (at, steps) in dialogues::all().into_iter().enumerate() {
        talks.push(Talk { name: format!("dialogues::all()[{at}]"), protocol: "imap", steps });
    }
    for (protocol, name, steps) in secrets_context::sessions() {
        talks.push(Talk { name, protocol, steps });
    }
    talks
}

/// A capture of a session with a cut, and what is left of each peer's bytes, in runs without a hole.
fn capture(talk: &Talk, cut: Cut) -> (Vec<u8>, [Vec<Vec<u8>>; 2]) {
    let (file, runs, _) = capture_of(talk, cut);
    (file, runs)
}

/// The same with the place of each frame among those of the whole capture.
fn capture_of(talk: &Talk, cut: Cut) -> (Vec<u8>, [Vec<Vec<u8>>; 2], Vec<usize>) {
    let port = Grammar::builtin(talk.protocol).expect("it is built in").port;
    let server = format!("10.0.0.2:{port}");
    let ends = [CLIENT, &*server];
    let (mut frames, mut next, mut runs) = (Vec::new(), [1_u32, 1], [vec![Vec::new()], vec![Vec::new()]]);
    let (mut whole, mut places) = (Vec::new(), Vec::new());
    let mut frame = |place: usize, from: Peer, number: u32, acknowledges: u32, flags: u8, bytes: &[u8], len: usize| {
        let (from, to) = (ends[from.index()], ends[from.other().index()]);
        let packet = segment::ip(from, to, &segment::tcp(from, to, number, acknowledges, flags, bytes));
        whole.push(packet.len());
        places.push(place);
        frames.push(packet[..packet.len() - bytes.len() + len].to_vec());
    };
    if !matches!(cut, Cut::Before(_)) {
        if cut != Cut::Side(Peer::Client) {
            frame(0, Peer::Client, 0, 0, SYN, b"", 0);
        }
        if cut != Cut::Side(Peer::Server) {
            frame(1, Peer::Server, 0, 1, SYN | ACK, b"", 0);
        }
    }
    for (at, (from, bytes)) in talk.steps.iter().enumerate() {
        let me = from.index();
        let kept = match cut {
            Cut::Segment(lost) if lost == at => 0,
            Cut::Side(lost) if lost == *from => 0,
            Cut::Before(first) if at < first => 0,
            Cut::Behind(last) if at > last => 0,
            Cut::Snap(len) => len.min(bytes.len()),
            _ => bytes.len(),
        };
        if kept > 0 {
            frame(2 + at, *from, next[me], next[1 - me], ACK, bytes, kept);
        }
        next[me] += bytes.len() as u32;
        runs[me].last_mut().expect("a run").extend_from_slice(&bytes[..kept]);
        if kept < bytes.len() {
            runs[me].push(Vec::new());
        }
    }
    if !matches!(cut, Cut::Behind(_)) {
        for from in [Peer::Client, Peer::Server] {
            if cut != Cut::Side(from) {
                frame(2 + talk.steps.len(), from, next[from.index()], next[1 - from.index()], FIN | ACK, b"", 0);
                next[from.index()] += 1;
            }
        }
    }
    (segment::pcap_of(&frames, &whole), runs, places)
}

/// What came out: what is said against a peer, the texts of each, and whether something is said to be missing.
#[derive(Default)]
pub struct Read {
    pub blames: BTreeSet<String>,
    texts: [Vec<Vec<u8>>; 2],
    pub gaps: usize,
    pub log: String,
}

pub fn read(file: Vec<u8>, protocol: &str) -> Read {
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let pieces = foreign::read(Cursor::new(file), Kind::Pcap, "file", Some(protocol)).expect("it is a capture");
    let mut explainer = Explainer::new(Grammar::builtin(protocol).expect("it is built in"), false);
    let mut read = Read::default();
    let mut passages = Passages::new(grammars);
    let mut came = |came: Came| {
        let Came::Events(mut batch) = came else { return };
        for event in &batch.events {
            if let What::Text(text) = &event.what {
                read.texts[event.from.index()].push(text.bytes.of(&batch.bytes).to_vec());
            }
        }
        explainer.explain(&mut batch, &mut |event| {
            read.gaps += usize::from(matches!(event.event.what, What::Gap { .. }));
            read.log += &format!("{} {:?} {}\n", event.event.from.word(), event.event.what, event.bytes.escape_ascii());
            for note in event.notes {
                read.log += &format!("    {:?} {}\n", note.kind, note.text);
                if let NoteKind::Finding(peer) = note.kind
                    && peer != Culprit::None
                {
                    // Places and sizes may differ.
                    let text: String = note.text.chars().filter(|c| !c.is_ascii_digit()).collect();
                    read.blames.insert(format!("{}: {text}", peer.word()));
                }
            }
        });
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    read
}

fn cuts(steps: usize) -> Vec<Cut> {
    let mut cuts = vec![Cut::Side(Peer::Client), Cut::Side(Peer::Server)];
    cuts.extend([1, 3, 8, 20, 60].map(Cut::Snap));
    cuts.extend((0..steps).map(Cut::Segment));
    cuts.extend((1..steps).map(Cut::Before));
    cuts.extend((0..steps).map(Cut::Behind));
    cuts
}

/// Both halves of the promise, for all sessions and all cuts.
#[test]
fn what_is_missing_is_blamed_on_nobody_and_joins_nothing() {
    let mut wrong = Vec::new();
    let mut played = 0;
    for talk in talks() {
        let whole = read(capture(&talk, Cut::Nothing).0, talk.protocol);
        for cut in cuts(talk.steps.len()) {
            played += 1;
            // Where the end is missing, a fault may look like another one.
            if matches!(cut, Cut::Behind(_)) && !whole.blames.is_empty() {
                continue;
            }
            let (file, runs) = capture(&talk, cut);
            let read = read(file, talk.protocol);
            let news: Vec<&String> = read.blames.difference(&whole.blames).collect();
            let joined = [Peer::Client, Peer::Server].iter().flat_map(|peer| {
                let runs = &runs[peer.index()];
                read.texts[peer.index()].iter().filter(|text| {
                    !text.is_empty() && !runs.iter().any(|run| memchr::memmem::find(run, text).is_some())
                })
            });
            let joined: Vec<_> = joined.map(|text| text.escape_ascii().to_string()).collect();
            // A text that was inside a layer is nowhere on the wire.
            let joined = if whole.log.contains("Upgrade") { Vec::new() } else { joined };
            if !news.is_empty() || !joined.is_empty() {
                wrong.push(format!("{}, {cut:?}: {news:?} {joined:?}", talk.name));
                if std::env::var_os("HOLES").is_some() {
                    wrong.push(read.log);
                }
            }
        }
    }
    assert!(played > 5000, "{played}");
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Which waits are told of a capture whose frames come seven seconds apart: since which frame, and who waits.
fn waits(talk: &Talk, cut: Cut) -> BTreeSet<(u64, &'static str)> {
    const APART: u64 = 7;
    let (mut file, _, places) = capture_of(talk, cut);
    let mut at = 24;
    for place in places {
        let second = segment::START as u32 + place as u32 * APART as u32;
        file[at..at + 4].copy_from_slice(&second.to_le_bytes());
        file[at + 4..at + 8].fill(0);
        let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().expect("four bytes"));
        at += 16 + len as usize;
    }
    assert_eq!(at, file.len());
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let pieces = foreign::read(Cursor::new(file), Kind::Pcap, "file", Some(talk.protocol)).expect("it is a capture");
    let (mut passages, mut found) = (Passages::new(grammars), BTreeSet::new());
    let mut came = |came: Came| {
        let Came::Events(batch) = came else { return };
        found.extend(batch.events.iter().filter_map(|event| match &event.what {
            // Either of the first two frames begins the connection.
            What::Waiting(wait) => {
                let place = (wait.since.0 / 1_000_000_000 - segment::START) / APART;
                Some((place.max(1), wait.by.word()))
            }
            _ => None,
        }));
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    found
}

/// Nobody is said to wait who does not in the whole capture.
#[test]
fn what_is_missing_is_waited_for_by_nobody() {
    let (mut wrong, mut told) = (Vec::new(), 0);
    for talk in talks() {
        let whole = waits(&talk, Cut::Nothing);
        told += whole.len();
        for cut in cuts(talk.steps.len()) {
            let news: Vec<_> = waits(&talk, cut).difference(&whole).copied().collect();
            if !news.is_empty() {
                wrong.push(format!("{}, {cut:?}: {news:?}", talk.name));
            }
        }
    }
    assert!(told > 500, "{told}");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A session after whose hole all is healthy for a while, and then is not: what proves where it stands again (a reply that fits a
/// state, commands that are answered one by one, whole lines where nothing rests on others) brings findings back.
#[test]
fn findings_come_back_after_a_hole() {
    let nntp: &[(&str, &str)] = &[
        ("", "200 hi"),
        ("MODE READER", "200 ok"),
        ("GROUP a.b", "211 3 1 3 a.b"),
        ("STAT 1", "223 1 <a@b>"),
        ("STAT 2", "223 2 <a@b>"),
        ("DATE", "111 20260101000000"),
        ("DA\0TE", "500 what"),
    ];
    let irc: &[(&str, &str)] = &[
        ("", ":srv NOTICE * :hi"),
        ("NICK bob", ""),
        ("USER bob 0 * :Bob", ":srv 001 bob :welcome"),
        ("JOIN #a", ":bob JOIN #a"),
        ("PING x", ":srv PONG srv :x"),
        ("PRIVMSG #a :hi", ":ann PRIVMSG #a :hi"),
        ("PRIV\0MSG #a :hi", ""),
    ];
    let pop3: &[(&str, &str)] = &[
        ("", "+OK hi"),
        ("USER bob", "+OK"),
        ("PASS kanarie77", "+OK in"),
        ("STAT", "+OK 2 200"),
        ("NOOP", "+OK"),
        ("STAT", "+OK 2 200"),
        ("NOOP", "+OK"),
        ("USER bob", "-ERR what"),
    ];
    let sieve: &[(&str, &str)] = &[
        ("", "\"SIEVE\" \"\"|\"VERSION\" \"1.0\"|OK"),
        ("AUTHENTICATE \"PLAIN\" \"AGJvYgBrYW5hcmllNzc=\"", "OK"),
        ("HAVESPACE \"a\" 10", "OK"),
        ("LISTSCRIPTS", "\"a\"|OK"),
        ("NOOP", "OK"),
        ("HAVESPACE \"a\" 10", "OK"),
        ("AUTHENTICATE \"PLAIN\" \"AGJvYgBrYW5hcmllNzc=\"", "NO"),
    ];
    let smtp: &[(&str, &str)] = &[
        ("", "220 hi"),
        ("EHLO a", "250 hi"),
        ("NOOP", "250 ok"),
        ("NOOP", "250 ok"),
        ("MAIL FROM:<a@b>", "250 ok"),
        ("RCPT TO:<a@b>", "250 ok"),
        ("RSET", "250 ok"),
        ("RCPT TO:<a@b>", "503 no"),
    ];
    let mut wrong = Vec::new();
    for (protocol, turns) in [("nntp", nntp), ("irc", irc), ("pop3", pop3), ("managesieve", sieve), ("smtp", smtp)] {
        let said = |line: &str| format!("{}\r\n", line.replace('|', "\r\n")).into_bytes();
        let both = |(client, server): &(&str, &str)| {
            [(Peer::Client, said(client)), (Peer::Server, said(server))].into_iter().filter(|(_, line)| line != b"\r\n")
        };
        let steps: Vec<Step> = turns.iter().flat_map(both).collect();
        let talk = Talk { name: protocol.to_owned(), protocol, steps };
        let whole = read(capture(&talk, Cut::Nothing).0, protocol);
        assert!(whole.blames.iter().any(|blame| blame.starts_with("client")), "{protocol}: {}", whole.log);
        for cut in [Cut::Segment(1), Cut::Segment(2), Cut::Segment(3), Cut::Before(2), Cut::Before(3), Cut::Before(4)] {
            let read = read(capture(&talk, cut).0, protocol);
            if read.blames.is_empty() {
                wrong.push(format!("{protocol}, {cut:?}"));
            }
            assert!(read.blames.is_subset(&whole.blames), "{protocol}, {cut:?}: {:?}", read.blames);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The cuts that `secrets_context` does not make: a side, the ends of frames, the end of the session.
#[test]
fn no_secret_is_shown_where_something_is_missing() {
    for (protocol, name, steps) in secrets_context::sessions() {
        let talk = Talk { name, protocol, steps };
        for cut in cuts(talk.steps.len()) {
            if !matches!(cut, Cut::Segment(_) | Cut::Before(_)) {
                let what = format!("{}, {cut:?}", talk.name);
                secrets_context::is_clean(capture(&talk, cut).0, protocol, &what, &talk.steps);
            }
        }
    }
}

/// Of a message whose consent is missing, the lines are no commands; of one that was refused, the commands are.
#[test]
fn a_message_of_one_side_is_one() {
    let talk = |rest: &[&str]| {
        let mut steps: Vec<Step> = Vec::new();
        for (client, server) in [
            ("", "220 mx"),
            ("EHLO a", "250 mx"),
            ("MAIL FROM:<a@b>", "250"),
            ("RCPT TO:<c@d>", "250"),
            ("DATA", "354"),
        ] {
            steps.extend((!client.is_empty()).then(|| (Peer::Client, format!("{client}\r\n").into_bytes())));
            steps.push((Peer::Server, format!("{server} x\r\n").into_bytes()));
        }
        for client in rest {
            steps.push((Peer::Client, client.replace('|', "\r\n").into_bytes()));
            steps.push((Peer::Server, b"250 ok\r\n".to_vec()));
        }
        Talk { name: "one side".to_owned(), protocol: "smtp", steps }
    };
    let texts = |rest: &[&str]| {
        let read = read(capture(&talk(rest), Cut::Side(Peer::Server)).0, "smtp");
        assert!(read.blames.is_empty(), "{}", read.log);
        read.texts[0].iter().skip(4).map(|text| String::from_utf8_lossy(text).trim_end().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&["Subject: x||hello|.|", "QUIT|"]), ["QUIT"]);
    assert_eq!(texts(&["hello||", "HELP me|.|", "QUIT|"]), ["QUIT"]);
    assert_eq!(texts(&["RSET|", "QUIT|"]), ["RSET", "QUIT"]);
}
