//! Messages and chunks that a server refuses while their bytes are on the way. A model of a correct server answers each command once,
//! whatever the client pipelines, and is never accused; its replies are tied to the commands that they answer.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use imapscope::event::{Culprit, Kind, NoteKind, Oddity, Peer, VerdictKind, What};
use imapscope::exchange::Explained;
use imapscope::grammar::Grammar;
use imapscope::sink::Sink;
use proptest::prelude::*;

use crate::dialogue::play::play;
use crate::dialogue::{Dialogue, Step};
use crate::thorough::cases;

/// How a correct server is.
#[derive(Debug, Clone, Copy)]
struct Manners {
    lmtp: bool,
    /// Knows BDAT, and offers CHUNKING. Without it, a chunk is lines that are commands.
    chunks: bool,
    /// Refuses a chunk when its command comes, not after its last byte.
    early: bool,
    /// Refuses empty lines; otherwise it passes over them.
    blanks: bool,
    /// How it refuses a command that it does not know, or will not do.
    unknown: u16,
    /// Refuses so many of 8 recipients and chunks.
    strict: u64,
}

/// A server that keeps to the standards.
struct Server {
    manners: Manners,
    chance: u64,
    bytes: Vec<u8>,
    /// Bytes of a chunk to come, and what is said after them.
    chunk: Option<(usize, Vec<String>)>,
    message: bool,
    mail: bool,
    recipients: usize,
    failed: bool,
    /// Has said goodbye.
    closed: bool,
    /// Commands so far.
    count: usize,
    says: VecDeque<String>,
}

impl Server {
    fn new(manners: Manners, seed: u64) -> Self {
        Server {
            manners,
            chance: seed | 1,
            bytes: Vec::new(),
            chunk: None,
            message: false,
            mail: false,
            recipients: 0,
            failed: false,
            closed: false,
            count: 0,
            says: VecDeque::new(),
        }
    }

    fn refuses(&mut self) -> bool {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % 8 < self.manners.strict
    }

    /// Each reply names the command that it answers.
    fn reply(&self, code: u16) -> String {
        format!("{code} #{}\r\n", self.count)
    }

    fn say(&mut self, code: u16) {
        let reply = self.reply(code);
        self.says.push_back(reply);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while !self.closed {
            if let Some((left, after)) = &mut self.chunk {
                let taken = self.bytes.len().min(*left);
                self.bytes.drain(..taken);
                *left -= taken;
                if *left > 0 {
                    return;
                }
                let after = std::mem::take(after);
                (self.chunk, self.bytes) = (None, std::mem::take(&mut self.bytes));
                self.says.extend(after);
            }
            let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') else { return };
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if self.message {
                self.message = line != ".";
                if !self.message {
                    let verdicts = self.verdicts();
                    self.says.extend(verdicts);
                }
            } else if line.is_empty() {
                if self.manners.blanks {
                    self.says.push_back("500 #blank\r\n".to_owned());
                }
            } else {
                self.command(&line);
            }
        }
    }

    /// What is said of a message, which is over: in LMTP of each recipient.
    fn verdicts(&mut self) -> Vec<String> {
        let count = if self.manners.lmtp { self.recipients } else { 1 };
        self.reset();
        let codes: Vec<u16> = (0..count).map(|_| if self.refuses() { 552 } else { 250 }).collect();
        codes.into_iter().map(|code| self.reply(code)).collect()
    }

    fn reset(&mut self) {
        (self.mail, self.recipients, self.failed) = (false, 0, false);
    }

    fn command(&mut self, line: &str) {
        self.count += 1;
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "EHLO" | "LHLO" if self.manners.chunks => {
                self.says.push_back(format!("250-hi #{}\r\n250 CHUNKING\r\n", self.count))
            }
            "MAIL" if self.mail => self.say(503),
            "MAIL" => {
                self.mail = true;
                self.say(250);
            }
            "RCPT" if !self.mail => self.say(503),
            "RCPT" if self.refuses() => self.say(550),
            "RCPT" => {
                self.recipients += 1;
                self.say(250);
            }
            "BDAT" if self.manners.chunks => self.block(&words),
            "DATA" if self.recipients == 0 || self.failed => self.say(503),
            "DATA" => {
                self.message = true;
                self.say(354);
            }
            "RSET" => {
                self.reset();
                self.say(250);
            }
            "QUIT" => {
                self.closed = true;
                self.say(221);
            }
            "EHLO" | "LHLO" | "NOOP" => self.say(250),
            _ => self.say(self.manners.unknown),
        }
    }

    fn block(&mut self, words: &[&str]) {
        let Ok(len) = words[1].parse() else { return self.say(501) };
        let last = words.get(2) == Some(&"LAST");
        let allowed = self.recipients > 0 && !self.failed;
        if !allowed || self.refuses() {
            // In LMTP, a chunk that was taken for the last one has a reply for each recipient.
            let each = allowed && last && self.manners.lmtp;
            let count = if each { self.recipients } else { 1 };
            let replies = vec![self.reply(if allowed { 452 } else { 503 }); count];
            self.failed |= allowed;
            if allowed && last {
                self.reset();
            }
            if self.manners.early {
                self.says.extend(replies);
                self.chunk = Some((len, Vec::new()));
            } else {
                self.chunk = Some((len, replies));
            }
        } else {
            let replies = if last { self.verdicts() } else { vec![self.reply(250)] };
            self.chunk = Some((len, replies));
        }
    }
}

/// What clients put into messages and chunks.
const CONTENT: [&str; 9] = [
    "",
    "a",
    "Subject: x\r\nFrom: a@example.org\r\n",
    "\r\n\r\n",
    "QUIT\r\n",
    "RSET\r\nNOOP\r\n",
    "no line end",
    "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGthbmFyaWU3Nw==\r\n",
    "\0\u{ff}\r.\n.\n\r\nx\r\n",
];

/// What a client sends in one go.
fn unit(which: usize, content: &str) -> String {
    let len = content.len();
    match which {
        0 => "MAIL FROM:<a@example.org>\r\n".to_owned(),
        1 | 2 => "RCPT TO:<b@example.org>\r\n".to_owned(),
        3 | 4 => format!("BDAT {len}\r\n{content}"),
        5 => format!("BDAT {len} LAST\r\n{content}"),
        6 => "BDAT 0 LAST\r\n".to_owned(),
        7 => format!("BDAT many\r\n{content}"),
        8 => format!("DATA\r\n{}\r\n.\r\n", content.replace("\r.\n.\n", "")),
        9 => "RSET\r\n".to_owned(),
        _ => "NOOP\r\n".to_owned(),
    }
}

/// What is said of the server, and to which commands its replies are tied.
#[derive(Default)]
struct Judge {
    accused: Vec<String>,
    commands: Vec<u64>,
    wrong: Vec<String>,
    /// The log says that pairing is not certain.
    misread: bool,
}

impl Sink for Judge {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        let shown = String::from_utf8_lossy(event.bytes).into_owned();
        let server = event.notes.iter().filter(|note| note.kind == NoteKind::Finding(Culprit::Server));
        self.accused.extend(server.map(|note| format!("{shown:?}: {}", note.text)));
        let verdict = event.summary.map(|summary| &summary.verdict);
        self.accused.extend(verdict.filter(|it| it.kind == VerdictKind::Server).map(|it| it.text.clone()));
        let What::Text(text) = &event.event.what else { return Ok(()) };
        if matches!(text.reading.kind, Kind::Command { .. }) && text.first {
            self.commands.push(text.frame);
            return Ok(());
        }
        self.misread |= text.oddities.contains(&Oddity::Misread);
        if self.misread {
            return Ok(());
        }
        if let Some((_, named)) = shown.split_once('#')
            && let Some(frame) = text.answers
        {
            let nth = self.commands.iter().position(|command| *command == frame).expect("a command") + 1;
            if named.split("\r\n").next() != Some(&nth.to_string()) {
                self.wrong.push(format!("{shown:?} is tied to command {nth}"));
            }
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session: units with their content, and how many of the replies that are due come after each (of 3, all).
fn session(manners: Manners, seed: u64, script: &[(usize, usize, usize)]) -> Vec<Step> {
    let mut server = Server::new(manners, seed);
    let mut steps = vec![says(Peer::Server, "220 hi\r\n")];
    let hello = if manners.lmtp { "LHLO x\r\n" } else { "EHLO x\r\n" };
    let ahead = script.iter().map(|&(which, content, wait)| (unit(which, CONTENT[content]), wait));
    for (unit, wait) in [(hello.to_owned(), 3)].into_iter().chain(ahead).chain([("QUIT\r\n".to_owned(), 3)]) {
        server.take(unit.as_bytes());
        steps.push(says(Peer::Client, &unit));
        let due = if wait == 3 { server.says.len() } else { wait.min(server.says.len()) };
        steps.extend(server.says.drain(..due).map(|reply| says(Peer::Server, &reply)));
    }
    steps
}

fn says(from: Peer, line: &str) -> Step {
    Step::Send { from, bytes: line.as_bytes().to_vec(), becomes: None, answer: Vec::new() }
}

/// The session as a dialogue file has it.
fn written(steps: &[Step]) -> String {
    let line = |step: &Step| match step {
        Step::Send { from, bytes, .. } => format!("{}| {}\n", from.word(), bytes.escape_ascii()),
        _ => String::new(),
    };
    steps.iter().map(line).collect()
}

fn judge(manners: Manners, steps: &[Step]) -> Judge {
    let dialogue =
        Dialogue { grammar: None, rules: Arc::default(), filter: None, steps: steps.to_vec(), log: String::new() };
    let grammar = Grammar::builtin(if manners.lmtp { "lmtp" } else { "smtp" }).expect("it is built in");
    let mut judge = Judge::default();
    play(&dialogue, &grammar, (1, 4096, false), &mut judge);
    judge
}

fn manners() -> impl Strategy<Value = Manners> {
    let codes = prop::sample::select(vec![500, 502, 503]);
    (any::<[bool; 4]>(), codes, 0..8_u64).prop_map(|([lmtp, chunks, early, blanks], unknown, strict)| Manners {
        lmtp,
        chunks,
        early,
        blanks,
        unknown,
        strict,
    })
}

proptest! {
    #![proptest_config(cases(8000))]
    #[test]
    fn no_server_is_accused_for_what_it_refuses(
        manners in manners(),
        seed in any::<u64>(),
        script in prop::collection::vec((0..11_usize, 0..CONTENT.len(), 0..4_usize), 1..12),
    ) {
        let steps = session(manners, seed, &script);
        let judge = judge(manners, &steps);
        prop_assert!(judge.accused.is_empty(), "{:#?} in\n{}", judge.accused, written(&steps));
        prop_assert!(judge.wrong.is_empty(), "{:#?} in\n{}", judge.wrong, written(&steps));
    }
}
