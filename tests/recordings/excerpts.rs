//! Text logs that are not whole, or decorated: without their beginning, without a side, with anything before each line, in any
//! coding. Nobody is accused of anything that the whole log does not show, no secret comes out, and pairing is right.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use crate::holes::{Talk, talks};
use imapscope::event::{Culprit, NoteKind, Peer, State, What};
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind};
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::verb::foreign::{Came, Passages};

/// Marks of the client and the server.
const STYLES: [[&str; 2]; 4] = [["C: ", "S: "], ["> ", "< "], [">>> ", "<<< "], [" -> ", "<-  "]];

/// Those of a server that logs what it sends behind `>`, in the way of Postfix.
const OTHER_WAY: [&str; 2] =
    ["host postfix/smtpd[7]: < mx.example.org[192.0.2.1]: ", "host postfix/smtpd[7]: > mx.example.org[192.0.2.1]: "];

/// What stands before a line of this number.
type Prefix = fn(usize) -> String;

const PREFIXES: [Prefix; 6] = [
    |_| "    ".into(),
    |_| "mail_1  | ".into(),
    |line| format!("Dec  1 00:{:02}:{:02} host prog[{}]: ", line / 60 % 60, line % 60, 7000 + line / 9),
    |line| format!("2026-11-24T12:{:02}:{:02}.5Z ", line / 60 % 60, line % 60),
    |line| format!("[2026-11-24 12:{:02}:{:02}] DEBUG [k3y] ", line / 60 % 60, line % 60),
    |line| format!("01.05.2024 12:{:02}:{:02},123 ", line / 60 % 60, line % 60),
];

/// The lines of a session; `None` for one that no log of lines can show.
fn lines(talk: &Talk) -> Option<Vec<(Peer, String)>> {
    let mut lines: Vec<(Peer, String)> = Vec::new();
    let mut open = [const { String::new() }; 2];
    for (from, bytes) in &talk.steps {
        let text = std::str::from_utf8(bytes).ok()?;
        let plain = |c: char| c == '\r' || c == '\n' || c == '\t' || !c.is_control();
        let part = &mut open[from.index()];
        part.push_str(text);
        if !text.chars().all(plain) || part.replace("\r\n", "").contains(['\r', '\n']) && !part.ends_with('\r') {
            return None;
        }
        while let Some((line, rest)) = part.split_once("\r\n") {
            lines.push((*from, line.to_owned()));
            *part = rest.to_owned();
        }
    }
    // Longer ones show nothing more, and each has as many cuts as lines.
    (open.iter().all(String::is_empty) && (2..150).contains(&lines.len())).then_some(lines)
}

fn write(lines: &[(Peer, String)], marks: [&str; 2], prefix: Option<Prefix>, end: &str) -> String {
    let line = |(number, (from, text)): (usize, &(Peer, String))| {
        let before = prefix.map_or_else(String::new, |prefix| prefix(number));
        format!("{before}{}{text}{end}", marks[from.index()])
    };
    lines.iter().enumerate().map(line).collect()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    blames: BTreeSet<String>,
    /// How often each answer came.
    answers: BTreeMap<String, usize>,
    texts: usize,
    /// In which the last text or block was sent.
    state: State,
    shown: Vec<u8>,
    log: String,
}

fn read(file: &[u8], protocol: &str, state: Option<State>) -> Read {
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let kind = Kind::of(&file[..file.len().min(foreign::ENOUGH)]);
    let kind = if kind == Kind::Unknown { Kind::Transcript } else { kind };
    let pieces = foreign::read(Cursor::new(file.to_vec()), kind, "file", Some(protocol)).expect("it is a transcript");
    let mut explainers: BTreeMap<u64, Explainer> = BTreeMap::new();
    let (mut read, mut told) = (Read::default(), Vec::new());
    let mut passages = Passages::new(grammars).beginning_in(state);
    for piece in pieces.map(Some).chain([None]) {
        let mut came = |came: Came| match came {
            Came::Told(text, _) => told.extend(text.into_bytes()),
            Came::Events(mut batch) => {
                let new = || Explainer::new(Grammar::builtin(protocol).expect("it is built in"), false);
                let explainer = explainers.entry(batch.connection).or_insert_with(new);
                explainer.explain(&mut batch, &mut |event| {
                    read.state = event.connection.state;
                    read.texts += usize::from(matches!(event.event.what, What::Text(_)));
                    read.shown.extend_from_slice(event.bytes);
                    read.shown.push(b'\n');
                    read.log += &format!("{} {}\n", event.event.from.word(), event.bytes.escape_ascii());
                    for note in event.notes {
                        read.shown.extend_from_slice(note.text.as_bytes());
                        read.log += &format!("    {:?} {}\n", note.kind, note.text);
                        match note.kind {
                            NoteKind::Finding(peer) if peer != Culprit::None => {
                                let text: String = note.text.chars().filter(|c| !c.is_ascii_digit()).collect();
                                read.blames.insert(format!("{}: {text}", peer.word()));
                            }
                            NoteKind::Answer => {
                                let text = note.text.split(", ").next().unwrap_or_default();
                                // Recipients may not be in the file.
                                let text = text.split(" for ").next().unwrap_or_default();
                                *read.answers.entry(text.to_owned()).or_default() += 1;
                            }
                            _ => {}
                        }
                    }
                });
            }
        };
        match piece {
            Some(piece) => passages.take(piece, &mut came),
            None => passages.finish(&mut came),
        }
    }
    read.shown.extend(told);
    read
}

/// The secret of the sessions, in any spelling: see `secrets_context`.
const SPELLED: [&str; 4] = ["kanarie77", "a2FuYXJpZTc3", "thbmFyaWU3N", "rYW5hcmllNz"];

/// True if the secret is shown.
fn shows(read: &Read) -> bool {
    SPELLED.iter().any(|secret| memchr::memmem::find(&read.shown, secret.as_bytes()).is_some())
}

#[test]
fn excerpts_accuse_nobody_and_answer_nothing_new() {
    let (mut wrong, mut played) = (Vec::new(), 0);
    for talk in talks() {
        // What was said in another protocol is nothing that a later line shows.
        if ["imap/http-on-a-mail-port.txt", "smtp/proxy-header.txt"].contains(&&*talk.name) {
            continue;
        }
        let Some(lines) = lines(&talk) else { continue };
        let begins = Some(State::Greeting);
        let whole = read(write(&lines, STYLES[0], None, "\n").as_bytes(), talk.protocol, begins);
        let side = |lost: Peer| lines.iter().filter(|(from, _)| *from != lost).cloned().collect::<Vec<_>>();
        let mut cuts: Vec<(String, Vec<(Peer, String)>)> =
            vec![("no client".into(), side(Peer::Client)), ("no server".into(), side(Peer::Server))];
        cuts.extend(
            (1..lines.len()).step_by(1 + lines.len() / 40).map(|at| (format!("from {at} on"), lines[at..].to_vec())),
        );
        // A line within a reply belongs to none of its excerpts.
        let open = |pair: &[(Peer, String)]| pair[0].1.as_bytes().get(3) == Some(&b'-') && pair[0].0 != pair[1].0;
        let interrupted = talk.protocol == "smtp" && lines.windows(2).any(open);
        for (cut, left) in cuts {
            played += 1;
            let part = read(write(&left, STYLES[0], None, "\n").as_bytes(), talk.protocol, None);
            let news: Vec<&String> = part.blames.difference(&whole.blames).collect();
            let more = |(answer, count): &(&String, &usize)| whole.answers.get(*answer).is_none_or(|of| of < *count);
            // What is not certain does not say so. Some of the other sessions are mistakes, which pair otherwise.
            let told = talk.name.contains(".txt") && !interrupted;
            let certain = |answer: &str| answer.starts_with("answers ") && !answer.contains("<hidden>");
            let shown = |(answer, _): &(&String, &usize)| told && certain(answer);
            let paired: Vec<&String> = part.answers.iter().filter(more).filter(shown).map(|(it, _)| it).collect();
            // What a server repeats of a line that is not in the file cannot be known for a secret.
            let said = |(from, line): &(Peer, String)| {
                *from == Peer::Client
                    && SPELLED.iter().any(|secret| line.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()))
            };
            let leaks = shows(&part) && !shows(&whole) && left.iter().any(said);
            if leaks || !news.is_empty() || !paired.is_empty() {
                wrong.push(format!("{}, {cut}: {news:?} {paired:?}, leaks: {leaks}", talk.name));
                if std::env::var_os("EXCERPTS").is_some() {
                    wrong.push(part.log);
                }
            }
        }
    }
    assert!(played > 2000, "{played}");
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Which waits a log tells whose lines come seven seconds apart: since which line of the whole log, and who waits. `lines`: each with
/// its place there.
fn waits(lines: &[(usize, Peer, String)], protocol: &str, state: Option<State>) -> BTreeSet<(usize, &'static str)> {
    const APART: usize = 7;
    let at =
        |second: usize| format!("2026-11-24T{:02}:{:02}:{:02}.0Z ", 1 + second / 3600, second / 60 % 60, second % 60);
    let line = |(place, from, text): &(usize, Peer, String)| {
        format!("{}{}{text}\n", at(place * APART), STYLES[0][from.index()])
    };
    let file: String = lines.iter().map(line).collect();
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let pieces =
        foreign::read(Cursor::new(file), Kind::Transcript, "file", Some(protocol)).expect("it is a transcript");
    let (mut passages, mut began, mut found) = (Passages::new(grammars).beginning_in(state), None, BTreeSet::new());
    let first = lines.first().map_or(0, |(place, ..)| *place);
    let mut came = |came: Came| {
        let Came::Events(batch) = came else { return };
        let began = *began.get_or_insert(batch.at.0);
        found.extend(batch.events.iter().filter_map(|event| match &event.what {
            What::Waiting(wait) => {
                let second = (wait.since.0 - began) / 1_000_000_000;
                Some((first + second as usize / APART, wait.by.word()))
            }
            _ => None,
        }));
    };
    pieces.for_each(|piece| passages.take(piece, &mut came));
    passages.finish(&mut came);
    found
}

/// Nobody is said to wait who does not in the whole log.
#[test]
fn excerpts_wait_for_nobody_new() {
    let (mut wrong, mut told) = (Vec::new(), 0);
    // A request of HTTP is nothing that a later line shows; and the rest of a greeting looks like that of another connection.
    let others = ["imap/http-on-a-mail-port.txt", "smtp/early-talker-refused.txt"];
    for talk in talks().into_iter().filter(|talk| !others.contains(&&*talk.name)) {
        let Some(lines) = lines(&talk) else { continue };
        let lines: Vec<_> = lines.into_iter().enumerate().map(|(at, (from, text))| (at, from, text)).collect();
        let whole = waits(&lines, talk.protocol, Some(State::Greeting));
        told += whole.len();
        let side = |lost: Peer| lines.iter().filter(|(_, from, _)| *from != lost).cloned().collect::<Vec<_>>();
        let mut cuts = vec![("no client".to_owned(), side(Peer::Client)), ("no server".to_owned(), side(Peer::Server))];
        cuts.extend((1..lines.len()).map(|at| (format!("from {at} on"), lines[at..].to_vec())));
        for (cut, left) in cuts {
            let news: Vec<_> = waits(&left, talk.protocol, None).difference(&whole).copied().collect();
            if !news.is_empty() {
                wrong.push(format!("{}, {cut}: {news:?}", talk.name));
            }
        }
    }
    assert!(told > 500, "{told}");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn excerpts_with_their_state_accuse_nobody_else() {
    let (mut wrong, mut played) = (Vec::new(), 0);
    for talk in talks() {
        let Some(lines) = lines(&talk) else { continue };
        let file = |lines: &[(Peer, String)]| write(lines, STYLES[0], None, "\n").into_bytes();
        let whole = read(&file(&lines), talk.protocol, Some(State::Greeting));
        let states = Grammar::builtin(talk.protocol).expect("it is built in").form.states();
        for at in (1..lines.len()).step_by(1 + lines.len() / 20) {
            let state = read(&file(&lines[..=at]), talk.protocol, Some(State::Greeting)).state;
            if state == State::Greeting || !states.contains(&state) {
                continue;
            }
            played += 1;
            let part = read(&file(&lines[at..]), talk.protocol, Some(state));
            let news: Vec<&String> = part.blames.difference(&whole.blames).collect();
            if !news.is_empty() {
                wrong.push(format!("{}, from {at} on in {}: {news:?}", talk.name, state.word()));
            }
        }
    }
    assert!(played > 2000, "{played}");
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn decoration_changes_nothing() {
    let (mut wrong, mut played) = (Vec::new(), 0);
    for talk in talks() {
        let Some(lines) = lines(&talk) else { continue };
        let both = lines.iter().filter(|(from, _)| *from == Peer::Client).count();
        // Lines that end in these characters end there.
        if lines.len() < 4
            || both < 2
            || lines.len() - both < 2
            || lines.iter().any(|(_, line)| line.ends_with("\\r\\n"))
        {
            continue;
        }
        let seen = |file: &[u8]| {
            let read = read(file, talk.protocol, None);
            (read.blames, read.answers.keys().cloned().collect::<Vec<_>>(), read.texts)
        };
        let whole = seen(write(&lines, STYLES[0], None, "\n").as_bytes());
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for (at, marks) in STYLES.iter().enumerate() {
            files.push((format!("style {at}"), write(&lines, *marks, None, "\r\n").into_bytes()));
        }
        for (at, prefix) in PREFIXES.iter().enumerate() {
            let marks = STYLES[if at % 2 == 0 { 0 } else { 2 }];
            files.push((format!("prefix {at}"), write(&lines, marks, Some(*prefix), "\n").into_bytes()));
        }
        let plain = write(&lines, STYLES[0], None, "\n");
        // A request of HTTP tells nobody which side is which.
        if talk.name.ends_with(".txt") && talk.protocol == "smtp" && !talk.name.contains("http") {
            files.push(("a server's log".into(), write(&lines, OTHER_WAY, None, "\n").into_bytes()));
        }
        files.push(("mark".into(), format!("\u{feff}{plain}").into_bytes()));
        files.push(("UTF-16".into(), plain.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        files.push(("characters".into(), write(&lines, STYLES[2], None, "\\r\\n\n").into_bytes()));
        let stripped: Vec<String> = plain.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        if lines.iter().all(|(_, line)| line.trim_end() == line) {
            files.push(("stripped".into(), stripped.concat().into_bytes()));
        }
        for (how, file) in files {
            played += 1;
            let found = seen(&file);
            if found != whole {
                wrong.push(format!("{}, {how}: {found:?}\n  and not {whole:?}", talk.name));
            }
        }
    }
    assert!(played > 1000, "{played}");
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
}
