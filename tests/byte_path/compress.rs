//! COMPRESS=DEFLATE (RFC 4978): without rules the octets pass as they came, with rules what is inside is as the rules leave it,
//! however it is cut; bombs and broken streams are passed on, and cost little.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use imapscope::event::{Oddity, Peer, What};
use imapscope::rules::{Rules, Source};

use proptest::prelude::*;

use crate::lanes::{Cutting, Run, run};

/// What goes on in plain text before.
const BEFORE: [(Peer, &[u8]); 3] = [
    (Peer::Server, b"* PREAUTH hi\r\n"),
    (Peer::Client, b"a1 COMPRESS DEFLATE\r\n"),
    (Peer::Server, b"a1 OK DEFLATE active\r\n"),
];

/// What goes on inside.
const INSIDE: [(Peer, &[u8]); 6] = [
    (Peer::Client, b"a2 CAPABILITY\r\n"),
    (Peer::Server, b"* CAPABILITY IMAP4rev1 IDLE MOVE\r\na2 OK done\r\n"),
    (Peer::Client, b"a3 FETCH 1 BODY[]\r\n"),
    (Peer::Server, b"* 1 FETCH (BODY[] {40}\r\n* CAPABILITY IDLE\r\nxxxxxxxxxxxxxxxxxxx\r\n\r\n)\r\na3 OK done\r\n"),
    (Peer::Client, b"a4 LOGOUT\r\n"),
    (Peer::Server, b"* BYE\r\na4 OK bye\r\n"),
];

/// Texts of either peer.
const TEXTS: [&str; 7] = [
    "a NOOP\r\n",
    "a OK done\r\n",
    "* 3 EXISTS\r\n* 1 RECENT\r\n",
    "b LOGIN u {3}\r\n",
    "+ go\r\n",
    "b UNAUTHENTICATE\r\n",
    "b OK out\r\n",
];

fn packed(stream: &mut Compress, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 1000);
    stream.compress_vec(plain, &mut out, FlushCompress::Sync).expect("there is room");
    out
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    Decompress::new(false).decompress_vec(packed, &mut out, FlushDecompress::None).expect("a sound stream");
    out
}

/// Runs the conversation in chunks of `step` octets; gives what left each lane behind the OK.
fn inside(rules: Rules, step: usize) -> (Run, [Vec<u8>; 2]) {
    let mut run = Run::with(rules);
    for (from, text) in BEFORE {
        text.chunks(step).for_each(|chunk| run.feed(from, chunk));
    }
    let before = run.output.each_ref().map(Vec::len);
    let mut streams = [0; 2].map(|_| Compress::new(Compression::default(), false));
    for (from, text) in INSIDE {
        packed(&mut streams[from.index()], text).chunks(step).for_each(|chunk| run.feed(from, chunk));
    }
    let left = [0, 1].map(|at| run.output[at][before[at]..].to_vec());
    run.end();
    (run, left)
}

fn said(from: Peer) -> Vec<u8> {
    INSIDE.iter().filter(|(peer, _)| *peer == from).flat_map(|(_, text)| text.iter().copied()).collect()
}

#[test]
fn without_rules_the_octets_are_those_that_came_and_the_texts_are_read() {
    for step in [1, 2, 7, 100_000] {
        let (run, _) = inside(Rules::default(), step);
        assert_eq!(run.input, run.output, "{step} octets at a time");
        let read = |text: &[u8]| run.events.iter().any(|seen| seen.bytes == text);
        assert!(read(b"* CAPABILITY IMAP4rev1 IDLE MOVE\r\n") && read(b"a4 LOGOUT\r\n"), "{step} octets at a time");
    }
}

#[test]
fn with_rules_what_is_inside_is_edited_and_compressed_anew() {
    let none = Rules::compile(&[Source::rule(1, "s/nowhere/x/")]).expect("a rule");
    let drop = || Rules::compile(&[Source::rule(1, "drop-capability IDLE")]).expect("a rule");
    let (_, left) = inside(none, 7);
    assert_eq!(left.map(|packed| unpacked(&packed)), [said(Peer::Client), said(Peer::Server)]);
    for step in [1, 2, 7, 100_000] {
        let (_, left) = inside(drop(), step);
        let text = String::from_utf8(unpacked(&left[1])).expect("UTF-8");
        let want = String::from_utf8(said(Peer::Server)).expect("UTF-8").replacen(" IDLE MOVE", " MOVE", 1);
        assert_eq!(text, want, "{step} octets at a time: the list is edited, the literal is not");
        assert_eq!(unpacked(&left[0]), said(Peer::Client));
    }
}

#[test]
fn what_we_say_ourselves_is_compressed_too() {
    let lines =
        ["refuse CAPABILITY", "insert-after \"* 9 EXISTS\" when text ~ \"^[*] 1 FETCH\"", "drop when text ~ BYE"];
    let sources: Vec<Source> = lines.iter().zip(1..).map(|(line, nth)| Source::rule(nth, line)).collect();
    for step in [1, 7, 100_000] {
        let (run, left) = inside(Rules::compile(&sources).expect("rules"), step);
        // Our answer comes before all that the server says inside.
        let heard = String::from_utf8(unpacked(&[&run.ours[0][..], &left[1]].concat())).expect("UTF-8");
        let said = String::from_utf8(said(Peer::Server)).expect("UTF-8");
        // The literal's frame ends with the empty line behind it.
        let want = said.replace(")\r\na3", "* 9 EXISTS\r\n)\r\na3").replace("* BYE\r\n", "");
        assert_eq!(heard, format!("a2 BAD command unknown [imapscope]\r\n{want}"), "{step} octets at a time");
        assert_eq!(unpacked(&left[0]), b"a3 FETCH 1 BODY[]\r\na4 LOGOUT\r\n", "{step} octets at a time");
    }
}

#[test]
fn a_bomb_is_passed_on_and_not_read() {
    for rules in [Rules::default(), Rules::compile(&[Source::rule(1, "drop-capability IDLE")]).expect("a rule")] {
        let mut run = Run::with(rules);
        BEFORE.iter().for_each(|(from, text)| run.feed(*from, text));
        let before = run.output[1].len();
        let mut bomb = Vec::with_capacity(1 << 20);
        let mut stream = Compress::new(Compression::best(), false);
        stream.compress_vec(&vec![b'a'; 80 << 20], &mut bomb, FlushCompress::Sync).expect("there is room");
        run.feed(Peer::Server, &bomb);
        run.end();
        let odd = |what: &What| matches!(what, What::Data(data) if data.oddities.contains(&Oddity::NotDeflate));
        assert!(run.events.iter().any(|seen| odd(&seen.what)));
        let touched = run.session.edits()[1];
        assert!(touched || run.output[1][before..] == bomb, "without rules every octet is passed on");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands behind the OK, sound or not, is passed on as it came, and read the same however it is cut.
    #[test]
    fn what_is_behind_the_ok_is_passed_on(
        texts in prop::collection::vec((any::<bool>(), prop::sample::select(&TEXTS[..])), 1..8),
        junk in prop::collection::vec(any::<u8>(), 0..20),
        at in 0..8usize,
        sizes in prop::collection::vec(1..20usize, 1..6),
    ) {
        let start = || {
            let mut run = Run::with(Rules::default());
            BEFORE.iter().for_each(|(from, text)| run.feed(*from, text));
            run
        };
        let mut streams = [0; 2].map(|_| Compress::new(Compression::default(), false));
        let mut steps = Vec::new();
        for (nth, (server, text)) in texts.iter().enumerate() {
            let from = if *server { Peer::Server } else { Peer::Client };
            let text = if nth == at { junk.clone() } else { packed(&mut streams[from.index()], text.as_bytes()) };
            steps.push((from, text));
        }
        let whole = run(start(), &steps, &Cutting::Whole);
        let split = run(start(), &steps, &Cutting::Sizes(sizes));
        prop_assert!(whole.input == whole.output && split.input == split.output);
        prop_assert_eq!(&whole.events, &split.events);
    }
}
