//! The pretty log as people see it: whole logs of hand-made events, every kind of event, and what must never come out.

use std::io;
use std::time::Duration;

use crate::sample::*;
use imapscope::event::*;
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::{Body, Look, TimeStyle};
use jiff::tz::TimeZone;
use proptest::prelude::*;

const BARE: Look = Look { color: false, width: None, time: TimeStyle::Now, body: Body::Fold };
const TIMELESS: Look = Look { time: TimeStyle::None, ..BARE };

fn log(look: Look, events: &[Made]) -> String {
    let mut out = Vec::new();
    let mut pretty = Pretty::with_zone(&mut out, look, TimeZone::UTC);
    put_all(events, &mut pretty);
    pretty.end().expect("memory has room");
    String::from_utf8(out).expect("a log is UTF-8")
}

/// A log without its colours.
fn bare(log: &str) -> String {
    let mut parts = log.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').expect("only colours begin with an escape").1).collect::<String>()
}

#[test]
fn a_session() {
    assert_eq!(log(BARE, &session()), SESSION);
}

#[test]
fn a_session_on_a_narrow_terminal() {
    let narrow = log(Look { width: Some(80), ..BARE }, &session());
    assert!(narrow.starts_with(NARROW), "{narrow}");
    for (width, log) in [40, 80, 160].map(|width| (width, log(Look { width: Some(width), ..BARE }, &session()))) {
        // Only notes are wrapped: they are what is indented.
        let widest = log.lines().filter(|line| line.starts_with("      ") && !line.contains("=>"));
        let widest = widest.map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= usize::from(width), "{widest} columns of {width}:\n{log}");
    }
}

#[test]
fn connections_at_the_same_time_stand_apart() {
    assert_eq!(log(BARE, &crowd()), CROWD);
}

#[test]
fn colours_are_all_that_colour_adds() {
    for events in [session(), crowd()] {
        for width in [None, Some(80)] {
            let coloured = log(Look { color: true, width, ..BARE }, &events);
            assert!(coloured.contains("\x1b["));
            assert_eq!(bare(&coloured), log(Look { width, ..BARE }, &events));
        }
    }
}

#[test]
fn a_removed_capability_is_struck_out() {
    let coloured = log(Look { color: true, ..BARE }, &session());
    assert!(coloured.contains("\x1b[31;9mIDLE\x1b[0m LITERAL+"), "{coloured:?}");
}

#[test]
fn every_other_kind_of_event() {
    let what = |what| Made::new(0, 1, Peer::Server, what);
    let line = |bytes: &[u8]| text(0, 1, Peer::Client, State::Authenticated, bytes);
    let mut secret = data(0, Peer::Client, DataKind::Literal, 1_024, b"");
    let mut short = data(0, Peer::Server, DataKind::Literal, 10, b"0123456789");
    if let (What::Data(secret), What::Data(short)) = (&mut secret.event.what, &mut short.event.what) {
        secret.secret = true;
        short.announced = Some(53_482);
    }
    let mut hello = line(&[0x16, 3, 1, 2, 0, 1, 0]);
    if let What::Text(text) = &mut hello.event.what {
        text.reading.kind = Kind::Foreign(Foreign::Tls);
    }
    let mut refused = line(b"a NOOP\r\n");
    if let What::Text(text) = &mut refused.event.what {
        let refused = vec![("s/NOOP/\u{7}/".into(), "it would cut the line".to_owned())];
        text.edit = Some(Box::new(Edited { refused, ..Edited::default() }));
    }
    let mut late = line(b"a OK\r\n");
    late.latency = Some(Duration::from_millis(43));
    let mut unreachable = closed(0, 1, Closer::Unreachable);
    if let What::Closed(closed) = &mut unreachable.event.what {
        closed.why = Some("connection refused by \x1b]0;x\x07".into());
    }
    for (made, expected) in [
        (what(What::Upgrade(Layer::Tls)), "#1 -- TLS begins with what the server sends next\n"),
        (what(What::Upgrade(Layer::Deflate)), "#1 -- DEFLATE begins with what the server sends next\n"),
        (
            what(What::Lag { events: 1_200, bytes: 1 }),
            "#1 -- ! the log could not keep up: 1,200 events (1 octet) are missing; the relay went on\n",
        ),
        (what(What::HalfClosed), "#1 -- the server will send no more\n"),
        (
            waiting(5_000),
            "#1 -- waiting: the server for 21 bytes of the client's literal, since 5.00 s\n   | an announced count that is too large looks like this\n",
        ),
        (secret, "#1 C: selected <hidden 1,024 octets>\n"),
        (short, "#1 S* selected (literal, cut off: 10 of 53,482 octets: \"0123456789\")\n"),
        (data(0, Peer::Client, DataKind::Literal, 0, b""), "#1 C: selected (literal, 0 octets)\n"),
        (
            data(0, Peer::Client, DataKind::Opaque, 7, b"\x17\x03"),
            "#1 C: selected (not inflated, 7 octets: \"\\x17\\x03\" …)\n",
        ),
        (
            data(0, Peer::Client, DataKind::Literal, 5, b"\x1b[2J\n"),
            "#1 C: selected (literal, 5 octets: \"\\x1b[2J\")\n",
        ),
        (line(b"\r\n"), "#1 C: auth     (empty line)\n"),
        (line(b"a NOOP").odd(Oddity::Truncated), "#1 C* auth     a NOOP<cut off>\n"),
        (line(b"a\rb\0\r\n").odd(Oddity::BareCr(1)), "#1 C* auth     a\\rb\\x00\n"),
        (hello, "#1 C* auth     \\x16\\x03\\x01\\x02\\x00\\x01\\x00 … (7 octets)\n"),
        (
            line(b"a IDLE\r\n").sent(b"", &["drop"]),
            "#1 C* auth     a IDLE\n   => dropped  (nothing was sent on)\n   | rule `drop`\n",
        ),
        (
            line(b"a IDLE\r\n").sent(b"a NOOP\n", &["s/IDLE/NOOP/"]),
            "#1 C* auth     a IDLE\n   => sent     a NOOP<LF>\n   | rule `s/IDLE/NOOP/`\n",
        ),
        (refused, "#1 C* auth     a NOOP\n   | rule `s/NOOP/\\x07/` was not applied: it would cut the line\n"),
        (late, "#1 C: auth     a OK\n   | after 43 ms\n"),
        (
            unreachable,
            "#1 == the server could not be reached\n   | connection refused by \\x1b]0;x\\x07\n   | 1,234 octets from the client, 56,789 octets from the server (56,783 sent on)\n",
        ),
        (line(b"250-a\r\n250 b\r\n"), "#1 C: auth     250-a\n               250 b\n"),
    ] {
        assert_eq!(log(TIMELESS, std::slice::from_ref(&made)), expected);
        let coloured = log(Look { color: true, width: Some(80), ..TIMELESS }, &[made]);
        let words = |text: &str| text.replace(['|', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&bare(&coloured)), words(expected), "wrapped and coloured, and else the same");
    }
}

#[test]
fn a_body_is_shown_as_far_as_is_wanted() {
    let block = [data(0, Peer::Server, DataKind::Literal, 2_000, "Subject: é\r\nX: y\nrest\x1b".as_bytes())];
    let size = "#1 S: selected (literal, 2,000 octets)\n";
    for (body, expected) in [
        (Body::None, size.to_owned()),
        (Body::Fold, "#1 S: selected (literal, 2,000 octets: \"Subject: é\" …)\n".into()),
        (Body::Octets(10), format!("{size}   > Subject: \n   | … 1,991 octets more\n")),
        (Body::All, format!("{size}   > Subject: é\n   > X: y<LF>\n   > rest\\x1b\n   | … 1,977 octets more\n")),
    ] {
        assert_eq!(log(Look { body, ..TIMELESS }, &block), expected, "{body:?}");
    }
}

#[test]
fn as_much_of_a_body_is_shown_as_is_wanted() {
    let whole: Vec<u8> = (0..100).flat_map(|n| format!("line {n:03} of it\r\n").into_bytes()).collect();
    let pieces: Vec<Made> = whole.chunks(700).map(|piece| octets(0, Peer::Server, piece)).collect();
    let mut events: Vec<&Made> = pieces.iter().collect();
    let block = data(0, Peer::Server, DataKind::Literal, whole.len() as u64, &whole[..512]);
    events.push(&block);
    let shown = |body| {
        let mut out = Vec::new();
        let mut pretty = Pretty::new(&mut out, Look { body, ..TIMELESS });
        assert_eq!(pretty.wants_octets(), matches!(body, Body::All | Body::Octets(513..)));
        put_all(events.iter().copied(), &mut pretty);
        pretty.end().expect("memory takes all");
        drop(pretty);
        String::from_utf8(out).expect("the log is UTF-8").matches(" > line").count()
    };
    let counts = [Body::All, Body::Octets(1_400), Body::Octets(100), Body::Fold, Body::None].map(shown);
    assert_eq!(counts, [100, 88, 7, 0, 0]);
}

#[test]
fn a_broken_pipe_is_an_error_and_no_panic() {
    struct Broken;
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut pretty = Pretty::new(Broken, BARE);
    let long = server(0, State::Selected, &"x".repeat(60_000));
    let full: Vec<_> = (0..4)
        .map(|_| {
            put_all([&long], &mut pretty);
            pretty.is_full()
        })
        .collect();
    assert_eq!((full[0], full[3]), (false, true));
    assert_eq!(pretty.flush().map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Tag, Role::Verb, Role::Removed, Role::Human, Role::Secret, Role::Surprise])
}

/// Any event, whatever a peer may have sent and however wrong its marks are.
fn made() -> impl Strategy<Value = Made> {
    let octets = || prop_oneof![prop::collection::vec(any::<u8>(), 0..120), ".{0,40}".prop_map(String::into_bytes)];
    let marks = || prop::collection::vec((0u32..130, 0u32..130, role()), 0..6);
    let note = (0u8..4, ".{0,30}", prop::option::of(".{0,10}"), prop::option::of(".{0,10}"));
    let rest = (any::<bool>(), 0u8..7, prop::option::of(octets()), 1u64..30);
    (octets(), marks(), prop::collection::vec(note, 0..4), rest).prop_map(
        |(bytes, marks, notes, (server, kind, sent, connection))| {
            let from = if server { Peer::Server } else { Peer::Client };
            let words = String::from_utf8_lossy(&bytes).into_owned();
            let mut made = match kind {
                0 => data(1, from, DataKind::Literal, bytes.len() as u64, &bytes),
                1 => closed(2, connection, Closer::Reset(from)),
                2 => opened(3, connection, [true, server]),
                3 => Made::new(3, connection, from, What::Tls(Box::default())),
                _ => text(4, connection, from, State::Selected, &bytes),
            };
            match &mut made.event.what {
                What::Closed(closed) => closed.why = Some(words.clone()),
                What::Opened(opened) => opened.server = words.clone(),
                What::Tls(facts) => {
                    facts.name = Some(words.clone());
                    facts.alpn = Some(words.clone());
                    let (subject, issuer, names) = (words.clone(), words.clone(), vec![words.clone(); 2]);
                    facts.certificate = Some(Certificate { subject, issuer, names, ..Certificate::default() });
                }
                _ => made.sent = sent,
            }
            if kind == 1 {
                let tally = Tally { verb: words.clone(), count: 1, ..Tally::default() };
                made.summary = Some(Summary {
                    commands: vec![tally],
                    unused: vec![words.clone()],
                    rules: vec![(words.as_str().into(), 1)],
                    ..summary()
                });
            }
            let span = |(start, end, role)| Mark { span: Span { start, end }, role };
            made.marks = marks.into_iter().map(span).collect();
            made.sent_marks = made.marks.clone();
            for (kind, text, about, rfc) in notes {
                let kind = match kind {
                    0 => NoteKind::Capability(Fate::Removed),
                    1 => NoteKind::Finding(from.into()),
                    2 => NoteKind::Rule,
                    _ => NoteKind::Meaning,
                };
                made.notes.push(Note { about, rfc, ..Note::new(kind, text, "") });
            }
            made
        },
    )
}

proptest! {
    #[test]
    fn nothing_that_steers_a_terminal_comes_out(
        events in prop::collection::vec(made(), 1..6),
        width in prop::option::of(1u16..200),
        all in any::<bool>(),
    ) {
        let look = Look { width, body: if all { Body::All } else { Body::Fold }, ..BARE };
        let plain = log(look, &events);
        prop_assert!(plain.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", plain);
        prop_assert!(plain.ends_with('\n'));
        let coloured = log(Look { color: true, ..look }, &events);
        for sequence in coloured.split('\x1b').skip(1) {
            let (inside, _) = sequence.strip_prefix('[').and_then(|rest| rest.split_once('m')).expect("a colour");
            prop_assert!(inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{:?}", sequence);
        }
        prop_assert_eq!(bare(&coloured), plain);
    }

    #[test]
    fn a_secret_is_never_shown(before in "[a-m ]{0,40}", secret in "[n-z]{1,40}", after in "[a-m ]{0,40}") {
        let line = format!("{before}{secret}{after}\r\n");
        let mut made = client(0, State::NotAuthenticated, &line);
        let span = Span::new(before.len(), before.len() + secret.len());
        made.marks = vec![Mark { span, role: Role::Secret }];
        let expected = format!("#1 C: not-auth {before}<hidden>{after}\n");
        prop_assert_eq!(log(TIMELESS, &[made]), expected);
    }
}

const SESSION: &str = r##"12:00:00.000 #1 == 127.0.0.1:54321 -> mail.example.org:143
                | imap, 2026-11-24; rules may change what the server sends
12:00:00.043 #1 S* greeting * OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ AUTH=PLAIN] Dovecot ready.
                => sent     * OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN XTEST] Dovecot ready.
                | rule `drop-capability IDLE`
                | rule `add-capability XTEST`
                | greeting: the server is ready, log in next (RFC 9051 section 7.1.1)
                | 5 capabilities, - 1 taken away by a rule, + 1 put there by a rule:
                |   IMAP4rev1   RFC 3501  IMAP version 4, revision 1
                | - IDLE        RFC 2177  the server reports changes by itself while the client waits
                |   LITERAL+    RFC 7888  literals need no go-ahead
                |   AUTH=PLAIN  RFC 4616  log in with user name and password in one SASL message
                | + XTEST                 not known
12:00:00.123 #1 C: not-auth a1 LOGIN alice <hidden>
                | log in with user name and password (RFC 9051 section 6.2.3)
12:00:00.166 #1 S: not-auth a1 OK [READ-WRITE] Logged in
                | answers a1 LOGIN, 43 ms
                | now authenticated
12:00:00.200 #1 S* auth     * CAPABILITY IMAP4rev1 IDLE LITERAL+ NAMESPACE CONDSTORE
                => sent     * CAPABILITY IMAP4rev1 LITERAL+ NAMESPACE CONDSTORE
                | after login: + NAMESPACE, + CONDSTORE, - AUTH=PLAIN
                | `drop-capability IDLE` took away IDLE
12:00:00.300 #1 C: selected a2 UID FETCH 7 (FLAGS RFC822.SIZE BODY.PEEK[])
                | UID FETCH: read messages by their unique identifiers (RFC 9051 section 6.4.9)
12:00:00.305 #1 S: selected * 1 FETCH (UID 7 FLAGS (\Seen $Forwarded) RFC822.SIZE 53482 BODY[] {53482}
                | message 1: UID 7, flags \Seen $Forwarded, 53,482 octets
12:00:00.306 #1 S: selected (literal, 53,482 octets: "Return-Path: <bob@example.org>" …)
12:00:00.307 #1 S: selected )
12:00:00.308 #1 S: selected a2 OK FETCH completed
                | answers a2 UID FETCH, 8 ms
12:00:00.400 #1 C* selected a3 IDLE<LF>
                ! client: uses IDLE, which it was not offered (RFC 2177 section 3)
                ! client: the line ends with LF alone (RFC 9051 section 2.2)
12:00:00.401 #1 S: selected a3 BAD Error in IMAP command \x1b[31mIDLE\x1b[0m: Unknown \u{202e}command
                | answers a3 IDLE, 1.0 ms
12:00:00.500 #1 -- the client will send no more
12:05:12.000 #1 == closed by the client after 5 min 12 s
                ! verdict: client at fault: a command inside IDLE: only DONE may be sent here (idle-command, C: a8 NOOP, at 12:00:00.000)
                | also: the server refused a9 IDLE (S: a9 BAD \x1b]0;title\x07, at 12:00:00.000)
                | and 3 findings more, in the log above
                | in use when it ended: IDLE (a7 IDLE), LITERAL+ (a2 LOGIN {n+}); try --drop-cap IDLE
                | 1,234 octets from the client, 56,789 octets from the server (56,783 sent on)
                | command      sent  refused  open    mean  longest
                | CAPABILITY      2        -     -  450 µs   600 µs
                | LOGIN           1        -     -   43 ms    43 ms
                | SELECT          1        1     -   12 ms    12 ms
                | UID FETCH   1,204        -     -  8.0 ms   1.86 s
                | IDLE            1        1     -  4.0 ms   4.0 ms
                | LOGOUT          1        -     1       -        -
                | used, each with its first use: IDLE: a9 IDLE
                | advertised, not used: NAMESPACE, CONDSTORE, QRESYNC, SPECIAL-USE, LITERAL+, UIDPLUS, LIST-EXTENDED, MOVE
                | advertised, use cannot be told: IMAP4rev1
                | used, not advertised: COMPRESS (COMPRESS=DEFLATE)
                | hidden by a rule, tried all the same: IDLE
                | rule `drop-capability IDLE`: applied 2 times
                | rule `add-capability XTEST`: never applied
                | in IDLE for 1 min 35 s
                | strict parser: 1,310 responses read, 2 refused
                ! broken rules: 1 by the client, 0 by the server
"##;

const NARROW: &str = r##"12:00:00.000 #1 == 127.0.0.1:54321 -> mail.example.org:143
                | imap, 2026-11-24; rules may change what the server sends
12:00:00.043 #1 S* greeting * OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ AUTH=PLAIN] Dovecot ready.
                => sent     * OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN XTEST] Dovecot ready.
                | rule `drop-capability IDLE`
                | rule `add-capability XTEST`
                | greeting: the server is ready, log in next
                |   (RFC 9051 section 7.1.1)
                | 5 capabilities, - 1 taken away by a rule,
                |   + 1 put there by a rule:
                |   IMAP4rev1   RFC 3501  IMAP version 4, revision 1
                | - IDLE        RFC 2177  the server reports changes by itself
                |                         while the client waits
                |   LITERAL+    RFC 7888  literals need no go-ahead
                |   AUTH=PLAIN  RFC 4616  log in with user name and password in
                |                         one SASL message
                | + XTEST                 not known
12:00:00.123 #1 C: not-auth a1 LOGIN alice <hidden>
                | log in with user name and password (RFC 9051 section 6.2.3)
12:00:00.166 #1 S: not-auth a1 OK [READ-WRITE] Logged in
                | answers a1 LOGIN, 43 ms
                | now authenticated
12:00:00.200 #1 S* auth     * CAPABILITY IMAP4rev1 IDLE LITERAL+ NAMESPACE CONDSTORE
                => sent     * CAPABILITY IMAP4rev1 LITERAL+ NAMESPACE CONDSTORE
"##;

const CROWD: &str = r##"12:00:00.000 #7 == 127.0.0.1:54327 -> mail.example.org:143
                | imap, 2026-11-24; tap: nothing is changed
12:00:00.001 #7 C: selected a1 NOOP

12:00:00.002  #8 == 127.0.0.1:54328 -> mail.example.org:143
                 | imap, 2026-11-24; tap: nothing is changed
12:00:00.003  #8 C: selected x1 NOOP
                 | NOOP: do nothing
12:00:00.003 #7  S: selected a1 OK NOOP completed

12:00:00.004   #12 == 127.0.0.1:54332 -> mail.example.org:143
                   | imap, 2026-11-24; rules may change what either side sends
12:00:00.005   #12 C: selected c1 NOOP
12:00:00.005  #8   S: selected x1 OK NOOP completed
12:00:00.006 #7    == closed by the client
                   | 1,234 octets from the client, 56,789 octets from the server (56,783 sent on)
12:00:00.007   #12 S: selected c1 OK NOOP completed

12:00:00.008 #13   == 127.0.0.1:54333 -> mail.example.org:143
                   | imap, 2026-11-24; rules may change what the client sends
12:00:00.009 #13   C: selected c1 NOOP
"##;
