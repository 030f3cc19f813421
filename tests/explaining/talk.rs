//! A conversation in small, for tests of the explanation: lines go in, and what a sink would be given comes out.

use std::sync::Arc;
use std::time::Duration;

use imapscope::event::*;
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::wire::imap;

/// A connection in small: lines in, explanations out.
pub struct Talk {
    pub explainer: Explainer,
    pub frame: u64,
    pub now: u64,
    pub state: State,
    /// Commands that wait for an answer: tag and frame.
    pub waiting: Vec<(String, u64)>,
    pub exchange: Option<u64>,
    pub idle: Option<u64>,
}

/// What came out for one event.
#[derive(Debug, Clone, Default)]
pub struct Out {
    pub bytes: String,
    pub sent: Option<String>,
    pub marks: Vec<(Role, String)>,
    pub sent_marks: Vec<(Role, String)>,
    pub notes: Vec<Note>,
    pub latency: Option<Duration>,
    pub summary: Option<Summary>,
}

impl Out {
    pub fn texts(&self, wanted: NoteKind) -> Vec<&str> {
        self.notes.iter().filter(|note| note.kind == wanted).map(|note| note.text.as_str()).collect()
    }

    pub fn findings(&self, culprit: Peer) -> Vec<&str> {
        self.texts(NoteKind::Finding(culprit.into()))
    }

    /// Everything that a sink could show.
    pub fn all(&self) -> String {
        format!("{self:?}")
    }
}

impl Talk {
    pub fn new() -> Self {
        Self::with(false)
    }

    pub fn with(show_secrets: bool) -> Self {
        let grammar = Grammar::builtin("imap").expect("the grammar of IMAP is built in");
        Talk {
            explainer: Explainer::new(grammar, show_secrets),
            frame: 0,
            now: 1_000_000_000,
            state: State::NotAuthenticated,
            waiting: Vec::new(),
            exchange: None,
            idle: None,
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += millis * 1_000_000;
        self
    }

    pub fn put(&mut self, from: Peer, what: What, bytes: Vec<u8>) -> Out {
        let mut batch = Batch { connection: 1, at: Time(self.now), bytes, events: vec![Event { from, what }] };
        let mut out = None;
        self.explainer.explain(&mut batch, &mut |explained| {
            check(explained.bytes, explained.marks);
            check(explained.sent.unwrap_or_default(), explained.sent_marks);
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let marks = |bytes: &[u8], marks: &[Mark]| marks.iter().map(|m| (m.role, show(m.span.of(bytes)))).collect();
            out = Some(Out {
                bytes: show(explained.bytes),
                sent: explained.sent.map(show),
                marks: marks(explained.bytes, explained.marks),
                sent_marks: marks(explained.sent.unwrap_or_default(), explained.sent_marks),
                notes: explained.notes.to_vec(),
                latency: explained.latency,
                summary: explained.summary.cloned(),
            });
        });
        out.expect("every event is put")
    }

    pub fn text(&self, first: bool, line: &[u8], reading: Reading) -> Text {
        Text { first, ..Text::bare(self.frame, Span::new(0, line.len()), self.state, reading) }
    }

    /// A line of the client's, with what the session would find secret in it.
    pub fn client(&mut self, line: &str) -> Out {
        self.client_edited(line, None)
    }

    pub fn client_edited(&mut self, line: &str, edit: Option<Edited>) -> Out {
        let line = format!("{line}\r\n").into_bytes();
        let mut reading = imap::read(Peer::Client, &line);
        if self.exchange.is_some() {
            let kind = if line == b"*\r\n" { Kind::Cancel } else { Kind::Sasl };
            reading = Reading { kind, ..Reading::default() };
        } else {
            self.frame += 1;
        }
        let mut text = self.text(true, &line, reading);
        text.edit = edit.map(Box::new);
        if let Kind::Command { tag, verb, arguments } = text.reading.kind {
            self.waiting.push((String::from_utf8_lossy(tag.of(&line)).into_owned(), self.frame));
            let verb = String::from_utf8_lossy(verb.of(&line)).to_ascii_uppercase();
            let first = imap::tokens(arguments.of(&line)).next().map_or(0, |token| token.span.end);
            let rest = Span { start: (arguments.start + first + 1).min(arguments.end), end: arguments.end };
            if ["LOGIN", "AUTHENTICATE"].contains(&verb.as_str()) && !rest.is_empty() {
                text.secrets.push(rest);
            }
            match verb.as_str() {
                "AUTHENTICATE" => self.exchange = Some(self.frame),
                "IDLE" => self.idle = Some(self.frame),
                _ => {}
            }
        }
        if text.reading.kind == Kind::Sasl && line.len() > 2 {
            text.secrets.push(Span::new(0, line.len() - 2));
        }
        if text.reading.kind == Kind::Done {
            text.answers = self.waiting.last().map(|(_, frame)| *frame);
        }
        self.put(Peer::Client, What::Text(text), line)
    }

    pub fn server(&mut self, line: &str) -> Out {
        self.server_bytes(format!("{line}\r\n").as_bytes())
    }

    pub fn server_bytes(&mut self, line: &[u8]) -> Out {
        self.frame += 1;
        let text = self.read_server(line);
        self.put(Peer::Server, What::Text(text), line.to_vec())
    }

    pub fn read_server(&mut self, line: &[u8]) -> Text {
        let mut text = self.text(true, line, imap::read(Peer::Server, line));
        match text.reading.kind {
            Kind::Reply { tag, .. } if !tag.is_empty() => {
                let tag = String::from_utf8_lossy(tag.of(line)).into_owned();
                match self.waiting.iter().position(|(known, _)| *known == tag) {
                    Some(at) => {
                        let (_, frame) = self.waiting.remove(at);
                        text.answers = Some(frame);
                        self.exchange.take_if(|exchange| *exchange == frame);
                    }
                    None => text.oddities.push(Oddity::UnknownTag),
                }
            }
            Kind::GoAhead { .. } => (text.answers, text.more) = (self.exchange.or(self.idle.take()), true),
            _ => {}
        }
        text
    }

    /// A line of the server's that a rule turned into another.
    pub fn rewritten(&mut self, line: &str, sent: &str) -> Out {
        self.frame += 1;
        let line = format!("{line}\r\n").into_bytes();
        let mut text = self.read_server(&line);
        let mut arena = line;
        let start = arena.len();
        arena.extend_from_slice(sent.as_bytes());
        text.edit = Some(Box::new(Edited {
            bytes: Span::new(start, arena.len()),
            secrets: Vec::new(),
            fired: vec![Arc::from("drop-capability IDLE")],
            refused: Vec::new(),
            ..Edited::default()
        }));
        self.put(Peer::Server, What::Text(text), arena)
    }

    /// A literal or an overlong line of the client's, in the frame of its last command.
    pub fn data(&mut self, kind: DataKind, octets: &[u8], len: u64, secret: bool) -> Out {
        let data = Data {
            subject: Span::default(),
            lines: None,
            frame: self.frame,
            kind,
            len,
            announced: (kind == DataKind::Literal).then_some(len),
            head: Span::new(0, octets.len()),
            secret,
            state: self.state,
            oddities: Vec::new(),
        };
        self.put(Peer::Client, What::Data(data), octets.to_vec())
    }

    pub fn closed(&mut self) -> Summary {
        let end =
            Closed { by: Closer::Peer(Peer::Client), why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
        self.put(Peer::Client, What::Closed(Box::new(end)), Vec::new()).summary.expect("an end has a summary")
    }
}

/// Marks are in order, apart and inside.
fn check(bytes: &[u8], marks: &[Mark]) {
    let mut end = 0;
    for mark in marks {
        assert!(mark.span.start >= end && mark.span.end > mark.span.start, "{marks:?}");
        end = mark.span.end;
    }
    assert!(end as usize <= bytes.len(), "{marks:?} in {} octets", bytes.len());
}
