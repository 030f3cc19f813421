//! COMPRESS=DEFLATE (RFC 4978): without rules the bytes pass as they came, with rules what is inside is as the rules leave it,
//! however it is cut; what grows is read to its end. What a stream breaks in arrives and is reported as it came.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use imapscope::event::{Oddity, Peer, What};
use imapscope::rules::{Rules, Source};

use proptest::prelude::*;

use crate::lanes::{Cutting, Run, Seen, run};
use crate::thorough::cases;

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
fn a_stream_is_read_to_its_end_however_much_it_grows() {
    const MUCH: usize = 24 << 20;
    for rules in [Rules::default(), Rules::compile(&[Source::rule(1, "drop-capability IDLE")]).expect("a rule")] {
        let mut run = Run::with(rules);
        BEFORE.iter().for_each(|(from, text)| run.feed(*from, text));
        let before = run.output[1].len();
        let mut stream = Compress::new(Compression::best(), false);
        let mut whole = Vec::new();
        for plain in [format!("* 1 FETCH (BODY[] {{{MUCH}}}\r\n").as_bytes(), &vec![0; MUCH], b")\r\n* 9 EXISTS\r\n"] {
            let mut packed = Vec::with_capacity(1 << 20);
            stream.compress_vec(plain, &mut packed, FlushCompress::Sync).expect("there is room");
            whole.extend(packed);
        }
        assert!(whole.len() < MUCH / 500);
        run.feed(Peer::Server, &whole);
        let literal = |what: &What| matches!(what, What::Data(data) if data.len == MUCH as u64);
        assert!(run.events.iter().any(|seen| literal(&seen.what)));
        assert_eq!(run.events.last().map(|seen| &seen.bytes[..]), Some(&b"* 9 EXISTS\r\n"[..]));
        let touched = run.session.edits()[1];
        assert!(touched || run.output[1][before..] == whole, "without rules every octet is passed on");
    }
}

proptest! {
    #![proptest_config(cases(300))]

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

/// How a stream ends for a strict reader, and what it inflates to.
#[derive(Debug, PartialEq)]
enum Ends {
    /// More may follow.
    Open,
    /// With its last block, behind which this stands.
    Last(Vec<u8>),
    /// No DEFLATE.
    Broken,
}

/// What a strict reader makes of a stream, all of it at once: a reader of its own, which checks distances.
fn strict(packed: &[u8]) -> (Vec<u8>, Ends) {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut out = vec![0; 1 << 19];
    let (status, used, made) = decompress(&mut DecompressorOxide::new(), packed, &mut out, 0, flags);
    out.truncate(made);
    let ends = match status {
        TINFLStatus::NeedsMoreInput => Ends::Open,
        TINFLStatus::Done => Ends::Last(packed[used..].to_vec()),
        TINFLStatus::HasMoreOutput => panic!("the room is enough"),
        _ => Ends::Broken,
    };
    (out, ends)
}

/// The rules that make both lanes those of an edit, and change nothing.
fn idle() -> Rules {
    Rules::compile(&[Source::rule(1, "s/nowhere/x/")]).expect("a rule")
}

/// Runs what a peer sends behind the OK; gives what it sent from there on, what left, and what was reported as its own.
fn behind(rules: Rules, from: Peer, stream: &[u8], cutting: &Cutting) -> (Run, [Vec<u8>; 3]) {
    let mut run = Run::with(rules);
    BEFORE.iter().for_each(|(from, text)| run.feed(*from, text));
    let [output, whole] = [&run.output, &run.whole].map(|all| all[from.index()].len());
    let run = self::run(run, &[(from, stream.to_vec())], cutting);
    let parts =
        [stream.to_vec(), run.output[from.index()][output..].to_vec(), run.whole[from.index()][whole..].to_vec()];
    (run, parts)
}

/// One piece of what stands behind the OK.
#[derive(Debug, Clone)]
enum Part {
    /// These texts in the stream, and how it is flushed.
    Texts(Vec<&'static str>, FlushCompress),
    /// Bytes of any kind.
    Junk(Vec<u8>),
    /// A line in plain text.
    Plain(&'static str),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let flush = prop::sample::select(
        &[FlushCompress::Sync, FlushCompress::Sync, FlushCompress::Partial, FlushCompress::Full, FlushCompress::None][..],
    );
    let texts = prop::collection::vec(prop::sample::select(&TEXTS[..3]), 1..4);
    let part = prop_oneof![
        12 => (texts, flush).prop_map(|(texts, flush)| Part::Texts(texts, flush)),
        1 => prop::sample::select(&TEXTS[..1]).prop_map(|text| Part::Texts(vec![text], FlushCompress::Finish)),
        2 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Part::Junk),
        2 => prop::sample::select(&PLAIN[..]).prop_map(Part::Plain),
    ];
    prop::collection::vec(part, 1..6)
}

/// What somebody might write there: lines of the protocol, and what reads as none.
const PLAIN: [&str; 8] = [
    "* BYE shutting down\r\n",
    "b NOOP\r\n",
    "a9 OK not compressed\r\n",
    "* 3 EXISTS\r\n* 1 RECENT\r\n",
    "DONE\r\n",
    "Segmentation fault\r\n",
    "\r\n",
    "no line end",
];

fn put_together(parts: &[Part]) -> Vec<u8> {
    let (mut stream, mut all) = (Compress::new(Compression::default(), false), Vec::new());
    for part in parts {
        match part {
            Part::Junk(junk) => all.extend_from_slice(junk),
            Part::Plain(text) => all.extend_from_slice(text.as_bytes()),
            Part::Texts(texts, flush) => {
                let mut packed = Vec::with_capacity(2000);
                stream.compress_vec(texts.concat().as_bytes(), &mut packed, *flush).expect("there is room");
                all.extend(packed);
            }
        }
    }
    all
}

/// What was reported: so many bytes of text before the stream begins; what it inflates to, so many bytes; and all from this byte
/// on as it came. `None` if it is not that.
fn evidence(stream: &[u8], whole: &[u8]) -> Option<[usize; 3]> {
    let lines = stream.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(lines).find_map(|begin| {
        let whole = whole.strip_prefix(&stream[..begin])?;
        let (plain, ends) = strict(&stream[begin..]);
        let sound = match &ends {
            Ends::Open => Some(stream.len()),
            Ends::Last(rest) => Some(stream.len() - rest.len()),
            Ends::Broken => None,
        };
        // All of it, or as little as can be: a stored block looks as it came.
        sound.into_iter().chain(begin..stream.len()).find_map(|at| {
            let sound = whole.strip_suffix(&stream[at..])?;
            let enough = at == stream.len() || strict(&stream[begin..at]).0.len() >= sound.len();
            (plain.starts_with(sound) && enough).then_some([begin, sound.len(), at])
        })
    })
}

proptest! {
    #![proptest_config(cases(500))]

    /// Whatever stands behind the OK, and wherever it is cut: with rules that match nothing it arrives, and what is reported is
    /// what is sound and the rest as it came.
    #[test]
    fn every_byte_behind_the_ok_arrives_and_is_reported(
        parts in parts(),
        server in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        sizes in prop::collection::vec(1..20usize, 1..6),
    ) {
        let from = if server { Peer::Server } else { Peer::Client };
        let mut stream = put_together(&parts);
        stream.truncate(cut.map_or(stream.len(), |cut| cut.index(stream.len() + 1)));
        let (tap, [_, left, whole]) = behind(Rules::default(), from, &stream, &Cutting::Whole);
        prop_assert!(left == stream, "a tap changes nothing");
        let found = evidence(&stream, &whole);
        prop_assert!(found.is_some(), "{} was reported of\n{}", whole.escape_ascii(), stream.escape_ascii());
        let [begin, sound, at] = found.unwrap_or_default();
        for cutting in [Cutting::Whole, Cutting::Every(1), Cutting::Sizes(sizes)] {
            let (one, [_, left, _]) = behind(Rules::default(), from, &stream, &cutting);
            prop_assert!(left == stream);
            prop_assert_eq!(&one.events, &tap.events, "{:?}", &cutting);
            let (edit, [_, left, _]) = behind(idle(), from, &stream, &cutting);
            prop_assert_eq!(&edit.events, &tap.events, "in edit, {:?}", &cutting);
            // What is sound inflates to the same, and the rest is as it came, but for the bits before it in its first byte.
            let rest = &stream[(at + 1).min(stream.len())..];
            prop_assert!(left.ends_with(rest), "{} left of\n{}", left.escape_ascii(), stream.escape_ascii());
            prop_assert!(left.starts_with(&stream[..begin]));
            let before = strict(&left[begin..left.len().saturating_sub(stream.len() - at)]).0;
            prop_assert!(
                before == strict(&stream[begin..]).0[..sound],
                "{} left of\n{}, of which {sound} bytes are sound, up to {at}",
                left.escape_ascii(),
                stream.escape_ascii()
            );
            let text = |seen: &Seen| matches!(&seen.what, What::Text(text) if text.oddities.contains(&Oddity::InsteadOfDeflate));
            if !tap.events.iter().any(text) {
                prop_assert!(
                    strict(&left) == strict(&stream),
                    "the receiver of {} is none the wiser than that of {}",
                    left.escape_ascii(),
                    stream.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn behind_the_end_of_the_layer_every_byte_arrives() {
    let flushes = [FlushCompress::Sync, FlushCompress::Partial, FlushCompress::Full, FlushCompress::Finish];
    let plain = [
        (Peer::Client, ["a NOOP\r\n", "\r\n", "@ NOOP\r\n", "\x07\x1b\r\n", "b"]),
        (Peer::Server, ["* 1 EXISTS\r\n", "\r\n", "` x\r\n", "\t\r\n", "+"]),
    ];
    for flush in flushes {
        for step in [1, 2, 7, 100_000] {
            for (from, text) in plain.iter().flat_map(|(from, texts)| texts.iter().map(|text| (*from, *text))) {
                for rules in [Rules::default(), idle()] {
                    let mut run = Run::with(rules);
                    BEFORE.iter().for_each(|(from, text)| run.feed(*from, text));
                    let before = run.output.each_ref().map(Vec::len);
                    let inside = [(Peer::Client, "u UNAUTHENTICATE\r\n"), (Peer::Server, "u OK out\r\n")];
                    for (from, text) in inside {
                        let mut stream = Compress::new(Compression::default(), false);
                        let mut packed = Vec::with_capacity(1000);
                        stream.compress_vec(text.as_bytes(), &mut packed, flush).expect("there is room");
                        packed.chunks(step).for_each(|chunk| run.feed(from, chunk));
                    }
                    text.as_bytes().chunks(step).for_each(|chunk| run.feed(from, chunk));
                    run.close(Peer::Client);
                    run.close(Peer::Server);
                    for (peer, inside) in inside {
                        let left = &run.output[peer.index()][before[peer.index()]..];
                        let behind = if peer == from { text } else { "" };
                        let packed = left.strip_suffix(behind.as_bytes());
                        let read = packed.map(|packed| strict(packed).0);
                        assert_eq!(
                            read.as_deref(),
                            Some(inside.as_bytes()),
                            "{behind:?} behind {flush:?}, {step} bytes at a time: {}",
                            left.escape_ascii()
                        );
                        assert!(run.whole[peer.index()].ends_with(behind.as_bytes()), "{behind:?} is reported");
                    }
                }
            }
        }
    }
}
