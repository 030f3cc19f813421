//! Hand-made explained events, for tests of sinks: a builder, and one session that has a bit of everything.

#![allow(dead_code)] // each test uses a part

use std::collections::HashMap;
use std::time::Duration;

use imapscope::event::*;
use imapscope::exchange::{Connection, Explained};
use imapscope::grammar::Grammar;
use imapscope::sink::Sink;

/// 2026-11-24 12:00:00 UTC.
pub const NOON: u64 = 1_795_521_600_000;

/// An explained event that owns what it shows.
#[derive(Debug)]
pub struct Made {
    pub connection: u64,
    pub millisecond: u64,
    pub event: Event,
    pub bytes: Vec<u8>,
    pub sent: Option<Vec<u8>>,
    pub marks: Vec<Mark>,
    pub sent_marks: Vec<Mark>,
    pub latency: Option<Duration>,
    pub notes: Vec<Note>,
    pub summary: Option<Summary>,
    pub waiting: Option<Waiting>,
}

impl Made {
    pub fn new(millisecond: u64, connection: u64, from: Peer, what: What) -> Self {
        Made {
            connection,
            millisecond,
            event: Event { from, what },
            bytes: Vec::new(),
            sent: None,
            marks: Vec::new(),
            sent_marks: Vec::new(),
            latency: None,
            notes: Vec::new(),
            summary: None,
            waiting: None,
        }
    }

    pub fn note(mut self, kind: NoteKind, about: &str, text: &str, rfc: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.notes.push(Note { about: some(about), ..Note::new(kind, text, rfc) });
        self
    }

    /// Gives the first `part` of the text that has no role yet a role.
    pub fn mark(mut self, role: Role, part: &str) -> Self {
        self.marks.push(mark(&self.bytes, &self.marks, role, part));
        self.marks.sort_by_key(|mark| mark.span.start);
        self
    }

    pub fn sent(mut self, sent: &[u8], rules: &[&str]) -> Self {
        self.sent = Some(sent.to_vec());
        let fired = rules.iter().map(|rule| (*rule).into()).collect();
        if let What::Text(text) = &mut self.event.what {
            text.edit = Some(Box::new(Edited { fired, ..Edited::default() }));
        }
        self
    }

    pub fn odd(mut self, oddity: Oddity) -> Self {
        match &mut self.event.what {
            What::Text(text) => text.oddities.push(oddity),
            What::Data(data) => data.oddities.push(oddity),
            other => panic!("{other:?} has no oddities"),
        }
        self
    }

    fn at(&self) -> Time {
        Time((NOON + self.millisecond) * 1_000_000)
    }

    fn explained<'a>(&'a self, connection: &'a Connection) -> Explained<'a> {
        Explained {
            bytes: &self.bytes,
            sent: self.sent.as_deref(),
            marks: &self.marks,
            sent_marks: &self.sent_marks,
            latency: self.latency,
            notes: &self.notes,
            summary: self.summary.as_ref(),
            waiting: self.waiting.as_ref(),
            ..Explained::bare(connection, self.at(), &self.event)
        }
    }
}

/// Follows connections, as the explainer does before a sink is given an event.
#[derive(Debug, Default)]
pub struct Followed(HashMap<u64, Connection>);

impl Followed {
    fn follow(&mut self, made: &Made) -> &Connection {
        let protocol = if let What::Opened(opened) = &made.event.what { &opened.protocol } else { "imap" };
        let connection = self.0.entry(made.connection).or_insert_with(|| {
            let mut new = Connection::new(Grammar::builtin(protocol).unwrap_or_default());
            new.number = made.connection;
            new
        });
        connection.follow(&made.event, &made.bytes, made.at());
        connection
    }

    pub fn put(&mut self, made: &Made, sink: &mut dyn Sink) {
        sink.put(&made.explained(self.follow(made))).expect("memory has room");
    }

    /// As a filter that leaves it out.
    pub fn skip(&mut self, made: &Made, sink: &mut dyn Sink) {
        sink.skip(&made.explained(self.follow(made)));
    }
}

/// Puts all of these events.
pub fn put_all<'a>(events: impl IntoIterator<Item = &'a Made>, sink: &mut dyn Sink) {
    let mut followed = Followed::default();
    events.into_iter().for_each(|made| followed.put(made, sink));
}

fn mark(bytes: &[u8], taken: &[Mark], role: Role, part: &str) -> Mark {
    let free =
        |start: usize| taken.iter().all(|mark| !(mark.span.start as usize..mark.span.end as usize).contains(&start));
    let start = bytes.windows(part.len()).enumerate().position(|(at, window)| window == part.as_bytes() && free(at));
    let start = start.unwrap_or_else(|| panic!("{part:?} is not there"));
    Mark { span: Span::new(start, start + part.len()), role }
}

pub fn text(millisecond: u64, connection: u64, from: Peer, state: State, bytes: &[u8]) -> Made {
    let reading = Reading { kind: Kind::More, ..Reading::default() };
    let text = Text::bare(1, Span::new(0, bytes.len()), state, reading);
    Made { bytes: bytes.to_vec(), ..Made::new(millisecond, connection, from, What::Text(text)) }
}

pub fn client(millisecond: u64, state: State, line: &str) -> Made {
    text(millisecond, 1, Peer::Client, state, line.as_bytes())
}

pub fn server(millisecond: u64, state: State, line: &str) -> Made {
    text(millisecond, 1, Peer::Server, state, line.as_bytes())
}

pub fn data(millisecond: u64, from: Peer, kind: DataKind, len: u64, head: &[u8]) -> Made {
    let data = Data {
        subject: Span::default(),
        lines: None,
        frame: 1,
        kind,
        len,
        announced: Some(len),
        head: Span::new(0, head.len()),
        secret: false,
        state: State::Selected,
        oddities: Vec::new(),
    };
    Made { bytes: head.to_vec(), ..Made::new(millisecond, 1, from, What::Data(data)) }
}

pub fn octets(millisecond: u64, from: Peer, bytes: &[u8]) -> Made {
    let octets = Octets { frame: 1, kind: DataKind::Literal, bytes: Span::new(0, bytes.len()), secret: false };
    Made { bytes: bytes.to_vec(), ..Made::new(millisecond, 1, from, What::Octets(octets)) }
}

pub fn opened(millisecond: u64, connection: u64, edit: [bool; 2]) -> Made {
    let opened = Opened {
        middle: None,
        protocol: "imap".into(),
        form: imapscope::event::Form::Imap,
        client: format!("127.0.0.1:{}", 54_320 + connection),
        server: "mail.example.org:143".into(),
        route: Default::default(),
        edit,
        rules: Vec::new(),
    };
    Made::new(millisecond, connection, Peer::Client, What::Opened(Box::new(opened)))
}

pub fn closed(millisecond: u64, connection: u64, by: Closer) -> Made {
    let closed = Closed { by, why: None, received: [1_234, 56_789], sent: [56_783, 1_234], inflated: [(0, 0); 2] };
    Made::new(millisecond, connection, Peer::Client, What::Closed(Box::new(closed)))
}

pub fn verdict() -> Verdict {
    let cause = |check, culprit, frame, text: &str, line: &str| Cause {
        check,
        culprit,
        frame,
        at: Time(1_795_521_600_000_000_000),
        text: text.into(),
        line: line.into(),
    };
    let suspect =
        |name: &str, by: &str| Suspect { name: name.into(), by: by.into(), try_it: format!("--drop-cap {name}") };
    Verdict {
        kind: VerdictKind::Client,
        text: "client at fault: a command inside IDLE: only DONE may be sent here".into(),
        cause: cause(
            "idle-command",
            Culprit::Client,
            12,
            "a command inside IDLE: only DONE may be sent here",
            "C: a8 NOOP",
        ),
        others: vec![cause("", Culprit::None, 14, "the server refused a9 IDLE", "S: a9 BAD \x1b]0;title\x07")],
        more: 3,
        suspects: vec![suspect("IDLE", "a7 IDLE"), suspect("LITERAL+", "a2 LOGIN {n+}")],
    }
}

pub fn summary() -> Summary {
    let tally = |verb: &str, count, failed, unanswered, total, longest| Tally {
        verb: verb.into(),
        count,
        failed,
        answered: count - unanswered,
        unanswered,
        total: Duration::from_micros(total),
        longest: (longest > 0).then(|| Duration::from_micros(longest)),
    };
    Summary {
        verdict: verdict(),
        lasted: Some(Duration::from_secs(312)),
        commands: vec![
            tally("CAPABILITY", 2, 0, 0, 900, 600),
            tally("LOGIN", 1, 0, 0, 43_000, 43_000),
            tally("SELECT", 1, 1, 0, 12_500, 12_500),
            tally("UID FETCH", 1_204, 0, 0, 9_632_000, 1_860_000),
            tally("IDLE", 1, 1, 0, 4_000, 4_000),
            tally("LOGOUT", 1, 0, 1, 0, 0),
        ],
        used: vec![Used { name: "IDLE".into(), frame: 9, by: "a9 IDLE".into() }],
        undetermined: vec!["IMAP4rev1".into()],
        unused: ["NAMESPACE", "CONDSTORE", "QRESYNC", "SPECIAL-USE", "LITERAL+", "UIDPLUS", "LIST-EXTENDED", "MOVE"]
            .map(String::from)
            .to_vec(),
        unadvertised: vec![("COMPRESS".into(), "COMPRESS=DEFLATE".into())],
        hidden_tried: vec![("IDLE".into(), "IDLE".into())],
        rules: vec![("drop-capability IDLE".into(), 2), ("add-capability XTEST".into(), 0)],
        dry: false,
        findings: [1, 0],
        idle: Duration::from_secs(95),
        strict: (1_310, 2),
    }
}

/// A session of one connection.
pub fn session() -> Vec<Made> {
    use NoteKind::*;
    use State::*;
    let greeting = "* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ AUTH=PLAIN] Dovecot ready.\r\n";
    let caps = "* CAPABILITY IMAP4rev1 IDLE LITERAL+ NAMESPACE CONDSTORE\r\n";
    let fetch = "* 1 FETCH (UID 7 FLAGS (\\Seen $Forwarded) RFC822.SIZE 53482 BODY[] {53482}\r\n";
    let mut end = closed(312_000, 1, Closer::Peer(Peer::Client));
    end.summary = Some(summary());
    vec![
        opened(0, 1, [false, true]),
        server(43, Greeting, greeting)
            .mark(Role::Tag, "*")
            .mark(Role::Good, "OK")
            .mark(Role::Code, "CAPABILITY")
            .mark(Role::Capability, "IMAP4rev1")
            .mark(Role::Removed, "IDLE")
            .sent(
                b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN XTEST] Dovecot ready.\r\n",
                &["drop-capability IDLE", "add-capability XTEST"],
            )
            .note(Meaning, "greeting", "the server is ready, log in next", "RFC 9051 section 7.1.1")
            .note(Capability(Fate::Kept), "IMAP4rev1", "IMAP version 4, revision 1", "RFC 3501")
            .note(
                Capability(Fate::Removed),
                "IDLE",
                "the server reports changes by itself while the client waits",
                "RFC 2177",
            )
            .note(Capability(Fate::Kept), "LITERAL+", "literals need no go-ahead", "RFC 7888")
            .note(
                Capability(Fate::Kept),
                "AUTH=PLAIN",
                "log in with user name and password in one SASL message",
                "RFC 4616",
            )
            .note(Capability(Fate::Added), "XTEST", "not known", ""),
        client(123, NotAuthenticated, "a1 LOGIN alice xxxxxx\r\n")
            .mark(Role::Tag, "a1")
            .mark(Role::Verb, "LOGIN")
            .mark(Role::String, "alice")
            .mark(Role::Secret, "xxxxxx")
            .note(Meaning, "", "log in with user name and password", "RFC 9051 section 6.2.3"),
        server(166, NotAuthenticated, "a1 OK [READ-WRITE] Logged in\r\n")
            .mark(Role::Tag, "a1")
            .mark(Role::Good, "OK")
            .mark(Role::Code, "READ-WRITE")
            .mark(Role::Human, "Logged in")
            .note(Answer, "", "answers a1 LOGIN, 43 ms", "")
            .note(Session, "", "now authenticated", ""),
        server(200, Authenticated, caps)
            .mark(Role::Tag, "*")
            .mark(Role::Name, "CAPABILITY")
            .mark(Role::Removed, "IDLE")
            .sent(b"* CAPABILITY IMAP4rev1 LITERAL+ NAMESPACE CONDSTORE\r\n", &[])
            .note(Difference, "", "after login: + NAMESPACE, + CONDSTORE, - AUTH=PLAIN", "")
            .note(Rule, "", "`drop-capability IDLE` took away IDLE", ""),
        client(300, Selected, "a2 UID FETCH 7 (FLAGS RFC822.SIZE BODY.PEEK[])\r\n")
            .mark(Role::Tag, "a2")
            .mark(Role::Verb, "UID FETCH")
            .note(Meaning, "UID FETCH", "read messages by their unique identifiers", "RFC 9051 section 6.4.9"),
        server(305, Selected, fetch)
            .mark(Role::Tag, "*")
            .mark(Role::Name, "FETCH")
            .mark(Role::Name, "UID")
            .mark(Role::Name, "FLAGS")
            .mark(Role::Flag, "\\Seen")
            .mark(Role::Flag, "$Forwarded")
            .mark(Role::Name, "RFC822.SIZE")
            .mark(Role::Name, "BODY[]")
            .mark(Role::Literal, "{53482}")
            .note(Detail, "", "message 1: UID 7, flags \\Seen $Forwarded, 53,482 octets", ""),
        data(
            306,
            Peer::Server,
            DataKind::Literal,
            53_482,
            b"Return-Path: <bob@example.org>\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHello\n",
        ),
        server(307, Selected, ")\r\n"),
        server(308, Selected, "a2 OK FETCH completed\r\n").mark(Role::Tag, "a2").mark(Role::Good, "OK").note(
            Answer,
            "",
            "answers a2 UID FETCH, 8 ms",
            "",
        ),
        client(400, Selected, "a3 IDLE\n")
            .mark(Role::Tag, "a3")
            .mark(Role::Verb, "IDLE")
            .odd(Oddity::BareLf)
            .note(Finding(Culprit::Client), "", "uses IDLE, which it was not offered", "RFC 2177 section 3")
            .note(Finding(Culprit::Client), "", "the line ends with LF alone", "RFC 9051 section 2.2"),
        server(401, Selected, "a3 BAD Error in IMAP command \x1b[31mIDLE\x1b[0m: Unknown \u{202e}command\r\n")
            .mark(Role::Tag, "a3")
            .mark(Role::Bad, "BAD")
            .note(Answer, "", "answers a3 IDLE, 1.0 ms", ""),
        Made::new(500, 1, Peer::Client, What::HalfClosed),
        end,
    ]
}

/// A wait in words, after so many milliseconds.
pub fn waiting(millisecond: u64) -> Made {
    let since = Time(NOON * 1_000_000);
    let owed = Owed::Bytes { data: DataKind::Literal, left: 21 };
    let wait = Wait { by: Peer::Server, ours: false, since, owed };
    let text = "waiting: the server for 21 bytes of the client's literal, since 5.00 s".to_owned();
    let said = Waiting { by: "server", what: "21 bytes of the client's literal".to_owned(), text };
    let made = Made::new(millisecond, 1, Peer::Client, What::Waiting(Box::new(wait)));
    Made { waiting: Some(said), ..made }.note(
        NoteKind::Session,
        "",
        "an announced count that is too large looks like this",
        "",
    )
}

/// Some lines of three connections at once.
pub fn crowd() -> Vec<Made> {
    let line = |at, connection, from, line: &str| text(at, connection, from, State::Selected, line.as_bytes());
    vec![
        opened(0, 7, [false, false]),
        line(1, 7, Peer::Client, "a1 NOOP\r\n"),
        opened(2, 8, [false, false]),
        line(3, 8, Peer::Client, "x1 NOOP\r\n").note(NoteKind::Meaning, "NOOP", "do nothing", ""),
        line(3, 7, Peer::Server, "a1 OK NOOP completed\r\n"),
        opened(4, 12, [true, true]),
        line(5, 12, Peer::Client, "c1 NOOP\r\n"),
        line(5, 8, Peer::Server, "x1 OK NOOP completed\r\n"),
        closed(6, 7, Closer::Peer(Peer::Client)),
        line(7, 12, Peer::Server, "c1 OK NOOP completed\r\n"),
        opened(8, 13, [true, false]),
        line(9, 13, Peer::Client, "c1 NOOP\r\n"),
    ]
}

/// Connections of every kind of verdict, one after the other, some of them alike; what a peer said is `words`.
pub fn several(words: &str) -> Vec<Made> {
    use VerdictKind::{Client, Limit, None, Refused, Server, Stopped, Waiting};
    let verdicts = [
        (None, Culprit::None, "no problems found".to_owned()),
        (
            Server,
            Culprit::Server,
            format!("server at fault: BODYSTRUCTURE at byte 61: expected a string, found {words}"),
        ),
        (Stopped, Culprit::None, format!("legal so far; the client stopped after S: a1 OK {words}")),
        (None, Culprit::None, "no problems found".to_owned()),
        (Refused, Culprit::None, format!("refused by policy: a7 NO {words}")),
        (
            Server,
            Culprit::Server,
            format!("server at fault: BODYSTRUCTURE at byte 7: expected a string, found {words}"),
        ),
        (Client, Culprit::Client, "client at fault: uses IDLE, which it was not offered".to_owned()),
        (Limit, Culprit::None, "a limit: the mailbox is full".to_owned()),
        (Waiting, Culprit::None, "waiting: the server for 21 bytes of the client's literal, since 25 s".to_owned()),
    ];
    let mut made = Vec::new();
    for (number, (kind, culprit, text)) in (1..).zip(verdicts) {
        let at = number * 1000;
        let cause =
            Cause { check: if culprit == Culprit::None { "" } else { "tag-unknown" }, culprit, ..Cause::default() };
        let mut end = closed(at + 900, number, Closer::Peer(Peer::Client));
        end.summary = Some(Summary {
            verdict: Verdict { kind, cause, text, ..Verdict::default() },
            used: ["IDLE", words].map(|name| Used { name: name.into(), frame: 1, by: name.into() }).to_vec(),
            ..summary()
        });
        made.extend([opened(at, number, [false, false]), end]);
    }
    made
}
