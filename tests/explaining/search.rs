//! What tests of secrets share: how each protocol logs in, everything that comes of a conversation, and the search for canaries in
//! it, five bytes at a time, as they are and in base64 at every place in its group of three, in any case.

use std::collections::HashSet;
use std::sync::Arc;

use crate::lanes::log::{drive, look};
use crate::lanes::{Step, c, s};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use imapscope::anonymise::{Anonymiser, Key};
use imapscope::event::Batch;
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Reader, State, Writer};

use imapscope::sink::Sink;
use imapscope::sink::html::Html;
use imapscope::sink::json::Json;
use imapscope::sink::pcapng::Pcapng;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::raw::RawStream;

/// A password that occurs nowhere else.
pub const CANARY: &str = "kanarie77";

/// The same for what has to be hexadecimal.
pub const DIGEST: &str = "f00dbabedeadbeefcafed00dfeedface";

/// How a protocol logs in by SASL.
pub struct Way {
    pub protocol: &'static str,
    pub opening: &'static [(&'static str, &'static str)],
    /// The command; the mechanism's name stands for `NAME`.
    pub begin: &'static str,
    /// A message; its base64 stands for `CODED`.
    pub line: &'static str,
    /// A challenge likewise.
    pub go: &'static str,
    pub yes: &'static str,
    /// A refusal with a text for `TEXT`.
    pub no: &'static str,
}

pub const WAYS: [Way; 7] = [
    Way {
        protocol: "imap",
        opening: &[("", "* OK [CAPABILITY IMAP4rev1 SASL-IR] hi")],
        begin: "a1 AUTHENTICATE NAME",
        line: "CODED",
        go: "+ CODED",
        yes: "a1 OK in",
        no: "a1 NO TEXT",
    },
    Way {
        protocol: "smtp",
        opening: &[("", "220 mx"), ("EHLO me", "250-mx\r\n250 AUTH PLAIN LOGIN")],
        begin: "AUTH NAME",
        line: "CODED",
        go: "334 CODED",
        yes: "235 in",
        no: "535 TEXT",
    },
    Way {
        protocol: "lmtp",
        opening: &[("", "220 mx"), ("LHLO me", "250-mx\r\n250 AUTH PLAIN LOGIN")],
        begin: "AUTH NAME",
        line: "CODED",
        go: "334 CODED",
        yes: "235 in",
        no: "535 TEXT",
    },
    Way {
        protocol: "pop3",
        opening: &[("", "+OK hi")],
        begin: "AUTH NAME",
        line: "CODED",
        go: "+ CODED",
        yes: "+OK in",
        no: "-ERR TEXT",
    },
    Way {
        protocol: "managesieve",
        opening: &[("", "\"SASL\" \"PLAIN\"\r\nOK")],
        begin: "AUTHENTICATE \"NAME\"",
        line: "\"CODED\"",
        go: "\"CODED\"",
        yes: "OK",
        no: "NO \"TEXT\"",
    },
    Way {
        protocol: "nntp",
        opening: &[("", "200 hi")],
        begin: "AUTHINFO SASL NAME",
        line: "CODED",
        go: "383 CODED",
        yes: "281 in",
        no: "481 TEXT",
    },
    Way {
        protocol: "irc",
        opening: &[("", ":irc NOTICE * :hi")],
        begin: "AUTHENTICATE NAME",
        line: "AUTHENTICATE CODED",
        go: "AUTHENTICATE CODED",
        yes: ":irc 903 me :in",
        no: ":irc 904 me :TEXT",
    },
];

/// All outputs of a conversation, and those of its recording once it is anonymised.
pub fn outputs(protocol: &str, steps: &[Step], paged: bool) -> Vec<(&'static str, Vec<u8>)> {
    let [mut log, mut lines, mut page, mut raw, mut capture, mut recording, mut anonymous, mut again] =
        <[Vec<u8>; 8]>::default();
    {
        let mut pretty = Pretty::new(&mut log, look());
        let mut json = Json::new(&mut lines);
        let mut html = Html::new(&mut page, look());
        let mut octets = RawStream::new(&mut raw, None);
        let mut pcapng = Pcapng::new(&mut capture);
        let mut writer = Writer::new(&mut recording, Default::default());
        let mut sinks: Vec<&mut dyn Sink> = vec![&mut pretty, &mut json, &mut octets, &mut pcapng, &mut writer];
        if paged {
            sinks.push(&mut html);
        }
        drive(protocol, Arc::default(), steps, usize::MAX, false, &mut sinks);
    }
    {
        let grammar = Grammar::builtin(protocol).expect("a protocol");
        let mut anonymiser = Anonymiser::new(Key::of_text("a key of the tests"), std::slice::from_ref(&grammar));
        let mut explainer = Explainer::of_recording(grammar, false);
        let mut reader = Reader::new(&*recording).expect("in memory");
        let mut pretty = Pretty::new(&mut anonymous, look());
        let mut writer = Writer::new(&mut again, Default::default());
        let mut batch = Batch::default();
        while reader.next(&mut batch).expect("in memory") != State::End {
            anonymiser.anonymise(&mut batch);
            explainer.explain(&mut batch, &mut |event| {
                pretty.put(event).expect("in memory");
                writer.put(event).expect("in memory");
            });
            batch = Batch::default();
        }
        pretty.end().expect("in memory");
        writer.end().expect("in memory");
    }
    vec![
        ("pretty", log),
        ("json", lines),
        ("html", page),
        ("raw", raw),
        ("pcapng", capture),
        ("recording", recording),
        ("anonymised", anonymous),
        ("anonymised recording", again),
    ]
}

/// The canaries in capitals, and what base64 makes of them behind none, one or two other bytes.
pub fn needles() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for canary in [CANARY, DIGEST] {
        all.push(canary.to_ascii_uppercase().into_bytes());
        for spelled in [canary.to_owned(), canary.to_ascii_uppercase()] {
            for by in 0..3 {
                let text = STANDARD.encode([&b"xx"[..by], spelled.as_bytes()].concat());
                let same = (by * 8).div_ceil(6)..(by + spelled.len()) * 8 / 6;
                all.push(text[same].to_ascii_uppercase().into_bytes());
            }
        }
    }
    all
}

/// So many bytes of a canary in a row are too many.
pub const SHOWN: usize = 5;

/// Searches everything that a conversation gives.
pub struct Search {
    parts: HashSet<Vec<u8>>,
    begins: Vec<bool>,
    pub sessions: usize,
    leaks: Vec<String>,
}

impl Search {
    pub fn new() -> Self {
        let needles = needles();
        let parts: HashSet<Vec<u8>> = needles.iter().flat_map(|it| it.windows(SHOWN)).map(<[u8]>::to_vec).collect();
        let mut begins = vec![false; 1 << 16];
        parts.iter().for_each(|part| begins[usize::from(part[0]) << 8 | usize::from(part[1])] = true);
        Search { parts, begins, sessions: 0, leaks: Vec::new() }
    }

    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        let upper = bytes.to_ascii_uppercase();
        let mut last = 0;
        for (at, &byte) in upper.iter().enumerate() {
            let two = last << 8 | usize::from(byte);
            last = usize::from(byte);
            if self.begins[two] && at > 0 && upper.get(at - 1..at - 1 + SHOWN).is_some_and(|it| self.parts.contains(it))
            {
                return Some(at - 1);
            }
        }
        None
    }

    pub fn clean(&mut self, protocol: &str, steps: &[Step]) {
        self.sessions += 1;
        // A page is long.
        let paged = self.sessions % 8 == 1;
        for (name, bytes) in outputs(protocol, steps, paged) {
            let Some(at) = self.find(&bytes) else { continue };
            let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
            let line = |(from, bytes): &Step| format!("  {}: {}\n", from.word(), bytes.escape_ascii());
            let sent: String = steps.iter().map(line).collect();
            self.leaks.push(format!("{protocol}, {name}: …{}…\nsent as:\n{sent}", around.escape_ascii()));
            return;
        }
    }

    #[track_caller]
    pub fn end(self) {
        let shown = self.leaks.len().min(48);
        let (all, leaks) = (self.sessions, self.leaks.len());
        assert!(leaks == 0, "{leaks} of {all} sessions show a secret, such as\n{}", self.leaks[..shown].join("\n"));
    }
}

/// Chooses among what there is, the same in every run.
pub struct Turns(pub u64);

impl Turns {
    pub fn next<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &of[usize::try_from(self.0 >> 33).unwrap_or_default() % of.len()]
    }
}

/// What a server says of a message: yes, no, or what it has heard.
pub fn answers(way: &Way, canary: &str) -> Vec<String> {
    let mut all = vec![way.yes.to_owned(), way.no.replace("TEXT", "no")];
    let shifted = |by: usize| STANDARD_NO_PAD.encode([&b"xx"[..by], canary.as_bytes(), b"xx"].concat());
    let heard = [canary.to_owned(), canary.to_ascii_uppercase(), shifted(0), shifted(1), shifted(2)];
    for text in &heard {
        all.push(way.no.replace("TEXT", &format!("what is {text}?")));
    }
    all.push(way.go.replace("CODED", &STANDARD.encode(format!("no user {canary}"))));
    all
}

/// A session in which these messages come.
pub fn session(way: &Way, name: &str, challenges: &[String], lines: &[String], early: bool, answer: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (client, server) in way.opening {
        if !client.is_empty() {
            steps.push(c(format!("{client}\r\n")));
        }
        steps.push(s(format!("{server}\r\n")));
    }
    let begin = way.begin.replace("NAME", name);
    let mut rest = lines.iter();
    match rest.next().filter(|_| early && way.protocol != "irc") {
        Some(first) => steps.push(c(format!("{begin} {}\r\n", way.line.replace("CODED", first)))),
        None => {
            steps.push(c(format!("{begin}\r\n")));
            rest = lines.iter();
        }
    }
    for (at, line) in rest.enumerate() {
        let challenge = challenges.get(at).map_or("", String::as_str);
        steps.push(s(format!("{}\r\n", way.go.replace("CODED", challenge))));
        steps.push(c(format!("{}\r\n", way.line.replace("CODED", line))));
    }
    steps.push(s(format!("{answer}\r\n")));
    steps
}
