//! Waits in files: a recording that was cut off tells those that it has, one that somebody made up confuses nobody, and captures
//! and logs with times tell those that their times prove.

use std::fmt::Write as _;
use std::io::Cursor;
use std::sync::Arc;

use crate::dialogue::{self, Dialogue, Step, Written, play};
use crate::segment::{self, ACK, CLIENT, SERVER, SYN};
use imapscope::anonymise::{Anonymiser, Key};
use imapscope::event::{Batch, Peer, What};
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind};
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::{Sink, Sinks};
use imapscope::verb::foreign::{Came, Passages};

/// The log and the recording of a dialogue.
fn played(dialogue: &Dialogue, grammar: &Arc<Grammar>) -> [String; 2] {
    let (log, recorded) = (Written::default(), Written::default());
    let mut sinks = Sinks::default();
    sinks.add("log", dialogue::log(log.clone(), None));
    sinks.add("recording", Box::new(Writer::new(recorded.clone(), Head::default())));
    play::play(dialogue, grammar, (1, usize::MAX, false), &mut sinks);
    drop(sinks);
    [log.text(), recorded.text()]
}

/// The log of a recording.
fn read(recording: &str, grammar: &Arc<Grammar>) -> String {
    let written = Written::default();
    let mut sink = dialogue::log(written.clone(), None);
    let mut reader = Reader::new(recording.as_bytes()).expect("it is in memory");
    let mut explainer = Explainer::of_recording(grammar.clone(), false);
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("it is in memory") == State::Events {
        explainer.explain(&mut batch, &mut |event| sink.put(event).expect("memory takes all"));
    }
    sink.flush().expect("memory takes all");
    written.text()
}

#[test]
fn a_recording_that_was_cut_off_tells_the_waits_that_it_has() {
    let mut cut_behind_a_wait = 0;
    for (path, dialogue, grammar) in play::all() {
        if !dialogue.steps.iter().any(|step| matches!(step, Step::Pause(_))) {
            continue;
        }
        let [live, recording] = played(&dialogue, &grammar);
        for (end, _) in recording.match_indices('\n') {
            let part = &recording[..=end];
            let again = read(part, &grammar);
            assert!(live.starts_with(&again), "{}\n{again}\n---\n{live}", path.display());
            if part.lines().next_back().is_some_and(|line| line.contains(r#""event":{"waiting""#)) {
                cut_behind_a_wait += 1;
                let last = again.lines().rfind(|line| line.contains("#1 "));
                assert!(last.is_some_and(|line| line.contains("-- waiting: ")), "{}\n{again}", path.display());
            }
        }
    }
    assert!(cut_behind_a_wait > 40, "{cut_behind_a_wait}");
}

#[test]
fn a_wait_that_somebody_made_up_confuses_nobody() {
    let grammar = Grammar::builtin("imap").expect("it is built in");
    let bare = Dialogue::parse("# A greeting.\nS: * OK hi\nC: a NOOP\n").expect("it is one");
    let [_, recording] = played(&bare, &grammar);
    let (head, _) = recording.rsplit_once(r#"{"at":"#).expect("a last line");
    let many = u64::MAX.to_string();
    for (owed, words) in [
        (r#""greeting""#.to_owned(), "the server's greeting"),
        (format!(r#"{{"reply":{{"frame":{many},"behind":{many}}}}}"#), "the server's reply to a command"),
        (format!(r#"{{"bytes":{{"data":"opaque","left":{many}}}}}"#), "18,446,744,073,709,551,615 bytes"),
        (r#"{"line-end":{"line":"text","came":4,"verb":"\u001b[2Jkanarie77"}}"#.to_owned(), "(4 bytes so far)"),
        (r#"{"line-end":{"line":"text","came":4,"verb":"noop"}}"#.to_owned(), "(4 bytes so far: NOOP)"),
        (r#"{"held":{"bytes":1,"rule":"\u001b[2J","stalled":true}}"#.to_owned(), "1 byte that imapscope holds back"),
        (r#"{"tls":{"agreed":false}}"#.to_owned(), "TLS handshake"),
    ] {
        for (by, since) in [("client", "0"), ("server", &many)] {
            let mut file = head.to_owned();
            let wait = format!(r#"{{"waiting":{{"by":"{by}","since":{since},"owed":{owed}}}}}"#);
            writeln!(file, r#"{{"at":1767225600010000000,"conn":1,"from":"server","event":{wait}}}"#).expect("memory");
            let log = read(&file, &grammar);
            assert!(log.contains(words), "{wait}\n{log}");
            assert!(!log.contains('\u{1b}') && !log.contains("kanarie77"), "{log}");
        }
    }
}

#[test]
fn an_anonymised_wait_is_the_same_but_for_names() {
    for (path, dialogue, grammar) in play::all() {
        let waits = dialogue.steps.iter().any(|step| matches!(step, Step::Pause(_)));
        if !waits || path.ends_with("imap/waits-and-rules.txt") {
            continue;
        }
        let [live, recording] = played(&dialogue, &grammar);
        let written = Written::default();
        let mut sink = dialogue::log(written.clone(), None);
        let mut reader = Reader::new(recording.as_bytes()).expect("it is in memory");
        let mut explainer = Explainer::of_recording(grammar.clone(), false);
        let mut anonymiser = Anonymiser::new(Key::of_text("a key"), std::slice::from_ref(&grammar));
        let mut batch = Batch::default();
        while reader.next(&mut batch).expect("it is in memory") == State::Events {
            anonymiser.anonymise(&mut batch);
            explainer.explain(&mut batch, &mut |event| sink.put(event).expect("memory takes all"));
        }
        sink.flush().expect("memory takes all");
        let waits =
            |log: &str| log.lines().filter(|line| line.contains("-- waiting")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(waits(&written.text()), waits(&live), "{}", path.display());
    }
}

/// The waits of a file of another program: after how many seconds, since how many, and who.
fn told(file: &[u8], kind: Kind) -> Vec<(u64, u64, Peer)> {
    const SECOND: u64 = 1_000_000_000;
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let pieces = foreign::read(Cursor::new(file.to_vec()), kind, "file", Some("imap")).expect("it can be read");
    let (mut passages, mut told, mut began) = (Passages::new(grammars), Vec::new(), None);
    let mut came = |came: Came| {
        let Came::Events(batch) = came else { return };
        let began = began.get_or_insert(batch.at.0);
        for event in &batch.events {
            if let What::Waiting(wait) = &event.what {
                told.push(((batch.at.0 - *began) / SECOND, (wait.since.0 - *began) / SECOND, wait.by));
            }
        }
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    told
}

/// A capture of what is said on connections of these numbers, each at its second.
fn capture(said: &[(u64, u16, Peer, &str)]) -> Vec<u8> {
    let (mut frames, mut seconds) = (Vec::new(), Vec::new());
    let mut next = std::collections::BTreeMap::new();
    for (second, number, from, text) in said {
        let client = CLIENT.rsplit_once(':').map_or(CLIENT.to_owned(), |(host, _)| format!("{host}:{number}"));
        let numbers = next.entry(*number).or_insert([0_u32; 2]);
        let mut frame = |from: Peer, flags: u8, text: &str, numbers: &mut [u32; 2]| {
            let ends = [client.as_str(), SERVER];
            let (me, you) = (numbers[from.index()], numbers[from.other().index()]);
            let tcp = segment::tcp(ends[from.index()], ends[from.other().index()], me, you, flags, text.as_bytes());
            frames.push(segment::ip(ends[from.index()], ends[from.other().index()], &tcp));
            seconds.push(*second);
            numbers[from.index()] += text.len() as u32 + u32::from(flags & SYN > 0);
        };
        if *numbers == [0; 2] {
            frame(Peer::Client, SYN, "", numbers);
            frame(Peer::Server, SYN | ACK, "", numbers);
        }
        if !text.is_empty() {
            frame(*from, ACK, text, numbers);
        }
    }
    let whole: Vec<usize> = frames.iter().map(Vec::len).collect();
    let mut file = segment::pcap_of(&frames, &whole);
    let mut at = 24;
    for (frame, second) in frames.iter().zip(seconds) {
        file[at..at + 4].copy_from_slice(&((segment::START + second) as u32).to_le_bytes());
        file[at + 4..at + 8].fill(0);
        at += 16 + frame.len();
    }
    file
}

#[test]
fn a_pause_in_a_capture_is_told_as_it_would_have_been_live() {
    use Peer::{Client, Server};
    let first = [
        (0, 1, Server, "* PREAUTH hi\r\n"),
        (1, 1, Client, "a NOOP\r\n"),
        (41, 1, Server, "a OK\r\n"),
        (500, 1, Client, "b APPEND x {5+}\r\nab"),
    ];
    let alone = [(6, 1, Client), (31, 1, Client)];
    assert_eq!(told(&capture(&first), Kind::Pcap), alone, "after the last packet no time is known");
    // Another connection shows that time has passed, and lies between.
    let mut both = first.to_vec();
    both.extend([
        (506, 2, Server, ""),
        (507, 2, Server, "* PREAUTH hi\r\n"),
        (514, 2, Client, "a NOOP\r\n"),
        (900, 2, Client, "b NOOP\r\n"),
    ]);
    let told = told(&capture(&both), Kind::Pcap);
    assert_eq!(told[..2], alone);
    let rest = [
        (505, 500, Server),
        (519, 514, Client),
        (530, 500, Server),
        (544, 514, Client),
        (800, 500, Server),
        (814, 514, Client),
    ];
    assert_eq!(told[2..], rest, "in the order of time");
}

#[test]
fn what_has_no_times_or_one_side_has_no_waits() {
    let lines = ["S: * PREAUTH hi", "C: a NOOP", "C: b NOOP"];
    let with = |style: &dyn Fn(usize, &str) -> String| {
        lines.iter().enumerate().map(|(nth, line)| style(nth, line) + "\n").collect::<String>()
    };
    let timed = with(&|nth, line| format!("12:0{nth}:00.000 {line}"));
    assert_eq!(told(timed.as_bytes(), Kind::Transcript), [(65, 60, Peer::Client), (90, 60, Peer::Client)]);
    let announced = "12:00:00 S: * PREAUTH hi\n12:00:01 C: a APPEND x {5}\n12:00:02 S: + go\n12:09:00 S: a OK done\n";
    assert_eq!(told(announced.as_bytes(), Kind::Transcript), [], "the literal may be left out");
    let bare = with(&|_, line| line.to_owned());
    assert_eq!(told(bare.as_bytes(), Kind::Transcript), []);
    let side: String = timed.lines().filter(|line| !line.contains(" S: ")).map(|line| format!("{line}\n")).collect();
    assert_eq!(told(side.as_bytes(), Kind::Transcript), [], "the log may lack the other side");
}

#[test]
fn years_between_packets_cost_little() {
    let year = 365 * 24 * 3600;
    let said = |nth: u64| (nth * year, nth as u16 + 1, Peer::Server, "");
    let greetings: Vec<_> = (0..8).map(said).collect();
    let waits = told(&capture(&greetings), Kind::Pcap);
    assert_eq!(waits.len(), 7 * 300, "none of the last one, of which no time is known");
}
