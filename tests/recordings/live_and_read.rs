//! A recording says what the live log said: nothing is derived from bytes that the recording hides. Every dialogue, and every
//! seed of the fuzzer for sessions, is played as it is and with small mistakes in what the peers say, recorded, and read again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::dialogue::{self, Dialogue, Step, Written, play};
use imapscope::event::{Batch, Peer};
use imapscope::explain::Explainer;
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::json::Json;
use imapscope::sink::{Sink, Sinks};

/// How often a dialogue is played with mistakes in it.
const TIMES: u64 = 4;

/// Words that mean something to some protocol, and may be somebody's password.
const WORDS: [&str; 16] = [
    "idle",
    "NOOP",
    "LOGIN",
    "PLAIN",
    "STARTTLS",
    "TLS",
    "OK",
    "INBOX",
    "PASS",
    "alice",
    "XOAUTH2",
    "CAPABILITY",
    "USER",
    "DATA",
    "QUIT",
    "SELECT",
];

/// A generator of numbers that are random enough.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// One small mistake in the bytes of a step.
fn mistake(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(7) {
        0 => bytes.insert(at, [b'\r', b'\t', 0, b' ', b'"', b'=', b'{'][random.below(7)]),
        1 if bytes.len() > 1 => drop(bytes.remove(at)),
        2 if at + 1 < bytes.len() => bytes.swap(at, at + 1),
        3 => bytes[at] = bytes[at].to_ascii_lowercase() ^ 0x20,
        // A blank-separated word becomes another one.
        _ => {
            let words: Vec<(usize, usize)> = words(bytes);
            let Some(&(start, end)) = words.get(random.below(words.len())) else { return };
            bytes.splice(start..end, WORDS[random.below(WORDS.len())].bytes());
        }
    }
}

fn words(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut start) = (Vec::new(), None);
    for (at, byte) in bytes.iter().chain(b" ").enumerate() {
        match (byte.is_ascii_graphic(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The steps with some mistakes: in what is said, or a step that is missing or comes twice.
fn with_mistakes(steps: &[Step], random: &mut Random) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for _ in 0..=random.below(3) {
        let sends: Vec<usize> = (0..steps.len())
            .filter(|&at| matches!(&steps[at], Step::Send { bytes, .. } if !bytes.is_empty()))
            .collect();
        let Some(&at) = sends.get(random.below(sends.len())) else { return steps };
        match random.below(8) {
            0 => drop(steps.remove(at)),
            1 => steps.insert(at, steps[at].clone()),
            _ => {
                if let Step::Send { bytes, .. } = &mut steps[at] {
                    mistake(bytes, random);
                }
            }
        }
    }
    steps
}

/// The live logs, and those of the recording.
fn both(dialogue: &Dialogue, steps: &[Step], grammar: &Arc<Grammar>) -> [String; 2] {
    let [log, json, recorded, again, json_again] = [(); 5].map(|()| Written::default());
    let mut sinks = Sinks::default();
    sinks.add("log", dialogue::log(log.clone(), None));
    sinks.add("json", Box::new(Json::new(json.clone())));
    sinks.add("recording", Box::new(Writer::new(recorded.clone(), Head::default())));
    play::play_cut(dialogue, steps, grammar, (1, false), &|bytes| vec![bytes], &mut sinks);
    drop(sinks);
    let recording = recorded.text();
    let mut sinks: [Box<dyn Sink>; 2] = [dialogue::log(again.clone(), None), Box::new(Json::new(json_again.clone()))];
    let mut reader = Reader::new(recording.as_bytes()).expect("it is in memory");
    let mut explainer = Explainer::of_recording(grammar.clone(), false);
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("it is in memory") == State::Events {
        explainer.explain(&mut batch, &mut |event| {
            sinks.iter_mut().for_each(|sink| sink.put(event).expect("memory takes all"));
        });
    }
    assert_eq!(reader.finish(), [""; 0]);
    sinks.iter_mut().for_each(|sink| sink.end().expect("memory takes all"));
    drop(sinks);
    [log.text() + &json.text(), again.text() + &json_again.text()]
}

/// True if both logs agree; says where they do not.
fn agree(name: &str, dialogue: &Dialogue, steps: &[Step], grammar: &Arc<Grammar>) -> Result<(), String> {
    let [live, read] = both(dialogue, steps, grammar);
    if live == read {
        return Ok(());
    }
    let differs = live.lines().zip(read.lines()).find(|(live, read)| live != read).unwrap_or_default();
    let say = |step: &Step| match step {
        Step::Send { from, bytes, .. } => format!("  {}: {}\n", from.word(), bytes.escape_ascii()),
        other => format!("  {other:?}\n"),
    };
    let steps: String = steps.iter().map(say).collect();
    Err(format!("{name}\n live: {}\n read: {}\n{steps}", differs.0, differs.1))
}

#[test]
fn a_recording_of_a_dialogue_with_mistakes_says_what_the_live_log_said() {
    let mut failures = Vec::new();
    for (path, dialogue, grammar) in play::all() {
        // Some have a hundred thousand lines.
        let large = dialogue.steps.len() > 200;
        let size = |step: &Step| if let Step::Send { bytes, .. } = step { bytes.len() } else { 0 };
        if large || dialogue.steps.iter().map(size).sum::<usize>() > 20_000 {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let seed = name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        for time in 0..TIMES {
            let steps = with_mistakes(&dialogue.steps, &mut Random(seed ^ time << 40));
            failures.extend(agree(&format!("{name}, {time}"), &dialogue, &steps, &grammar).err());
        }
    }
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures[..failures.len().min(12)].join("\n"));
}

/// The steps of a seed: a byte that chooses the protocol, then who sends (the lowest bit) and how much (the others).
fn steps_of(seed: &[u8]) -> Option<(Arc<Grammar>, Vec<Step>)> {
    let (&first, mut rest) = seed.split_first()?;
    let grammar = Grammar::builtin(BUILTIN[usize::from(first) % BUILTIN.len()].0)?;
    let mut steps = Vec::new();
    while let Some((&head, after)) = rest.split_first() {
        let from = if head & 1 == 0 { Peer::Client } else { Peer::Server };
        let (bytes, after) = after.split_at(after.len().min(1 + usize::from(head >> 1)));
        steps.push(Step::Send { from, bytes: bytes.to_vec(), becomes: None, answer: Vec::new() });
        rest = after;
    }
    Some((grammar, steps))
}

#[test]
fn a_recording_of_a_seed_with_mistakes_says_what_the_live_log_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/session");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the seeds are there").map(|it| it.expect("an entry").path()).collect();
    files.sort();
    let (bare, mut failures) = (Dialogue::parse("# A seed.\n").expect("it is one"), Vec::new());
    for (nth, path) in files.iter().enumerate() {
        let Some((grammar, steps)) = steps_of(&fs::read(path).expect("a seed")) else { continue };
        for time in 0..TIMES * 8 {
            let changed = with_mistakes(&steps, &mut Random((nth as u64) << 32 ^ time));
            let steps = if time == 0 { &steps } else { &changed };
            failures.extend(agree(&format!("{}, {time}", path.display()), &bare, steps, &grammar).err());
        }
    }
    assert!(files.len() > 10 && failures.is_empty(), "{} differ\n{}", failures.len(), failures.join("\n"));
}

/// What once differed.
#[test]
fn words_that_are_secret_and_mean_something() {
    let send =
        |from, text: &str| Step::Send { from, bytes: text.as_bytes().to_vec(), becomes: None, answer: Vec::new() };
    let bare = Dialogue::parse("# Two logins.\n").expect("it is one");
    for (protocol, lines) in [
        ("imap", &["* OK hi", "a LOGIN alice idle", "a OK", "b IDLE", "+ idling", "DONE", "b OK IDLE terminated"][..]),
        ("imap", &["* OK hi", "a LOGIN alice NOOP", "a OK", "b NOOP", "b OK NOOP"]),
        ("pop3", &["+OK hi", "AUTH PLAIN\ry", "+OK in", "STAT", "+OK 1 2"]),
        ("pop3", &["+OK hi", "AUTH  PLAIN", "+ ", "AGFsaWNlAGlkbGU=", "+OK in"]),
        ("smtp", &["220 mx", "AUTH\tPLAIN", "235 in", "QUIT", "221 bye"]),
        ("managesieve", &["OK", "AUTHENTICATE\t\"PLAIN\"", "OK", "LOGOUT", "OK"]),
    ] {
        let server = |line: &str| ["* ", "+", "a OK", "b OK", "2", "OK"].iter().any(|start| line.starts_with(start));
        let from = |line: &str| if server(line) { Peer::Server } else { Peer::Client };
        let steps: Vec<Step> = lines.iter().map(|line| send(from(line), &format!("{line}\r\n"))).collect();
        let grammar = Grammar::builtin(protocol).expect("it is built in");
        agree(protocol, &bare, &steps, &grammar).unwrap_or_else(|differs| panic!("{differs}"));
    }
}
