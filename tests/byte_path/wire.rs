//! What one IMAP text turns out to be, and how a lane is cut: each case a line as real peers send it, right or wrong.

use imapscope::event::{Foreign, Kind, ListKind, Literal, MAX_TEXT, Oddity, Peer, Reading, Span, Status};
use imapscope::wire::imap::{self, TokenKind};
use imapscope::wire::{self, Cut, Expect, Framer};

fn client(text: &str) -> Reading {
    imap::read(Peer::Client, text.as_bytes())
}

fn server(text: &str) -> Reading {
    imap::read(Peer::Server, text.as_bytes())
}

fn of(span: Span, text: &str) -> String {
    String::from_utf8_lossy(span.of(text.as_bytes())).into_owned()
}

/// Tag, verb and arguments of a command; how the text reads otherwise.
fn command(text: &str) -> Result<[String; 3], Kind> {
    match client(text).kind {
        Kind::Command { tag, verb, arguments } => Ok([tag, verb, arguments].map(|span| of(span, text))),
        kind => Err(kind),
    }
}

fn reply(text: &str) -> (String, Status, Option<String>, String) {
    match server(text).kind {
        Kind::Reply { tag, status, code, text: human, .. } => {
            (of(tag, text), status, code.map(|code| of(code, text)), of(human, text))
        }
        kind => panic!("{text:?} is {kind:?}"),
    }
}

fn info(text: &str) -> (Option<String>, String, String) {
    match server(text).kind {
        Kind::Info { number, name, arguments } => {
            (number.map(|number| of(number, text)), of(name, text), of(arguments, text))
        }
        kind => panic!("{text:?} is {kind:?}"),
    }
}

/// The names of the list in a text, and what goes with each.
fn names(from: Peer, text: &str) -> (ListKind, Vec<String>, Vec<String>, String) {
    let list = imap::read(from, text.as_bytes()).list.unwrap_or_else(|| panic!("{text:?} has no list"));
    let name = list.items.iter().map(|item| of(item.name, text)).collect();
    let with_space = list.items.iter().map(|item| of(item.with_space, text)).collect();
    (list.kind, name, with_space, of(list.whole, text))
}

#[test]
fn commands() {
    let parts = |a: &str, b: &str, c: &str| Ok([a.to_owned(), b.to_owned(), c.to_owned()]);
    assert_eq!(command("a1 NOOP\r\n"), parts("a1", "NOOP", ""));
    assert_eq!(command("a1 noop\n"), parts("a1", "noop", ""));
    assert_eq!(command("a1 NOOP"), parts("a1", "NOOP", ""));
    assert_eq!(command("a1 SELECT \"a b\"\r\n"), parts("a1", "SELECT", "\"a b\""));
    assert_eq!(command("a1\tSELECT\tx\r\n"), parts("a1", "SELECT", "x"));
    assert_eq!(command("  a1  SELECT  x \r\n"), parts("a1", "SELECT", " x "));
    assert_eq!(command("a1 UID FETCH 1 FLAGS\r\n"), parts("a1", "UID FETCH", "1 FLAGS"));
    assert_eq!(command("a1 uid  fetch 1\r\n"), parts("a1", "uid  fetch", "1"));
    assert_eq!(command("a1 UID\r\n"), parts("a1", "UID", ""));
    assert_eq!(command("a1 UID \r\n"), parts("a1", "UID", ""));
    assert_eq!(command("a1 APPEND x {5}\r\n"), parts("a1", "APPEND", "x "));
    assert_eq!(command("a1 LOGIN {5+}\r\n"), parts("a1", "LOGIN", ""));
    assert_eq!(command("a1 X{5}\r\n"), parts("a1", "X{5}", ""));
    assert_eq!(command("\0a \0b\r\n"), parts("\0a", "\0b", ""));
    assert_eq!(command("\r\n"), Err(Kind::Blank));
    assert_eq!(command("\n"), Err(Kind::Blank));
    assert_eq!(command(" \t \r\n"), Err(Kind::Blank));
    assert_eq!(command(""), Err(Kind::Blank));
    for done in ["DONE\r\n", "done\r\n", "Done \r\n", " DONE\t\n"] {
        assert_eq!(command(done), Err(Kind::Done), "{done:?}");
    }
    assert_eq!(command("DONE x\r\n"), parts("DONE", "x", ""));
    assert_eq!(command("DONEX\r\n"), Err(Kind::Unknown));
    assert_eq!(client("alone\r\n").stopped, Some(5));
    assert_eq!(command("*\r\n"), Err(Kind::Unknown));
}

#[test]
fn replies_and_their_codes() {
    let expect = |tag: &str, status, code: Option<&str>, text: &str| {
        (tag.to_owned(), status, code.map(str::to_owned), text.to_owned())
    };
    assert_eq!(reply("* OK hi\r\n"), expect("", Status::Ok, None, "hi"));
    assert_eq!(reply("* OK\r\n"), expect("", Status::Ok, None, ""));
    assert_eq!(reply("* ok \r\n"), expect("", Status::Ok, None, ""));
    assert_eq!(reply("*  BYE x\r\n"), expect("", Status::Bye, None, "x"));
    assert_eq!(reply("*BYE\r\n"), expect("", Status::Bye, None, ""));
    assert_eq!(reply("* PREAUTH [ALERT] x\r\n"), expect("", Status::Preauth, Some("ALERT"), "x"));
    assert_eq!(reply("a1 OK [READ-WRITE] done\r\n"), expect("a1", Status::Ok, Some("READ-WRITE"), "done"));
    assert_eq!(reply("a1 NO [TRYCREATE]\r\n"), expect("a1", Status::No, Some("TRYCREATE"), ""));
    assert_eq!(reply("a1 BAD []x\r\n"), expect("a1", Status::Bad, Some(""), "x"));
    assert_eq!(reply("a1 BAD [unclosed\r\n"), expect("a1", Status::Bad, None, "[unclosed"));
    assert_eq!(reply("a1 BAD [\r\n"), expect("a1", Status::Bad, None, "["));
    assert_eq!(reply("* OK  [X] two blanks\r\n"), expect("", Status::Ok, None, " [X] two blanks"));
    assert_eq!(reply("* OK service is ready [QUJD]\r\n"), expect("", Status::Ok, None, "service is ready [QUJD]"));
    // Gmail prints keywords with brackets in them.
    let gmail = "* OK [PERMANENTFLAGS (\\Seen a]b $x[1] \\*)] Flags permitted.\r\n";
    assert_eq!(reply(gmail).2.as_deref(), Some("PERMANENTFLAGS (\\Seen a]b $x[1] \\*)"));
    assert_eq!(reply("* OK [X (a] b\r\n").2.as_deref(), Some("X (a"));
    // home.pl and Office 365 leave the status word out.
    assert_eq!(reply("* [COPYUID 1 2 3] ok\r\n"), expect("", Status::Ok, Some("COPYUID 1 2 3"), "ok"));
    // NULs in front.
    assert_eq!(reply("\0\0* OK hi\r\n"), expect("", Status::Ok, None, "hi"));
    assert_eq!(reply("\0a1 OK hi\r\n"), expect("a1", Status::Ok, None, "hi"));
    // No literal stands in what is said to people.
    for text in ["* BAD see {12}\r\n", "a NO {3}\r\n", "* OK [X] {3}\r\n", "* BYE {3}\r\n", "+ {3}\r\n", "+ {3+}\r\n"] {
        assert_eq!(server(text).literal, None, "{text:?}");
    }
}

#[test]
fn other_responses() {
    let expect = |number: Option<&str>, name: &str, arguments: &str| {
        (number.map(str::to_owned), name.to_owned(), arguments.to_owned())
    };
    assert_eq!(info("* 3 EXISTS\r\n"), expect(Some("3"), "EXISTS", ""));
    assert_eq!(info("* 99999999999999999999 EXISTS\r\n"), expect(Some("99999999999999999999"), "EXISTS", ""));
    assert_eq!(info("* FLAGS (\\Seen)\r\n"), expect(None, "FLAGS", "(\\Seen)"));
    assert_eq!(info("* -1 EXISTS\r\n"), expect(None, "-1", "EXISTS"));
    assert_eq!(info("* 1 FETCH (BODY[] {4}\r\n"), expect(Some("1"), "FETCH", "(BODY[] "));
    assert_eq!(info("* LIST (\\Sent\\HasNoChildren) \"/\" Sent\r\n").2, "(\\Sent\\HasNoChildren) \"/\" Sent");
    assert_eq!(info("* 2024:Q1 x\r\n"), expect(None, "2024:Q1", "x"));
    assert_eq!(server("*\r\n").kind, Kind::Unknown);
    assert_eq!(server("* 5\r\n").kind, Kind::Unknown);
    assert_eq!(server("\r\n").kind, Kind::Blank);
    assert_eq!(server("\0\0\r\n").kind, Kind::Blank);
    assert_eq!(server("hello\r\n").kind, Kind::Unknown);
    assert_eq!(server("a1 HELLO\r\n"), Reading { stopped: Some(3), ..Reading::default() });
    assert_eq!(server("a1 BYE x\r\n").kind, Kind::Unknown);
    let go_ahead = |text: &str| match server(text).kind {
        Kind::GoAhead { text: span, .. } => of(span, text),
        kind => panic!("{text:?} is {kind:?}"),
    };
    assert_eq!(go_ahead("+\r\n"), "");
    assert_eq!(go_ahead("+ \r\n"), "");
    assert_eq!(go_ahead("+ idling\r\n"), "idling");
    assert_eq!(go_ahead("+OK\r\n"), "OK");
    assert_eq!(go_ahead("\0+ x\n"), "x");
}

#[test]
fn literals() {
    let literal =
        |text: &str| client(&format!("a X {text}\r\n")).literal.map(|it| (it.len, it.synchronizing, it.binary));
    assert_eq!(literal("{0}"), Some((0, true, false)));
    assert_eq!(literal("{5}"), Some((5, true, false)));
    assert_eq!(literal("{5+}"), Some((5, false, false)));
    assert_eq!(literal("~{5}"), Some((5, true, true)));
    assert_eq!(literal("~{5+}"), Some((5, false, true)));
    assert_eq!(literal("{0000000000000000000000000000000000000000005}"), Some((5, true, false)));
    assert_eq!(literal("{9223372036854775808}"), Some((1 << 63, true, false)));
    assert_eq!(literal("{18446744073709551615}"), Some((u64::MAX, true, false)));
    assert_eq!(literal("{18446744073709551616}"), Some((u64::MAX, true, false)));
    assert_eq!(literal("{99999999999999999999999+}"), Some((u64::MAX, false, false)));
    assert_eq!(literal("\"a\" {5}"), Some((5, true, false)));
    assert_eq!(literal("\"a\\\"\" {5}"), Some((5, true, false)));
    assert_eq!(literal("\\\" {5}"), None);
    assert_eq!(literal("x{5}"), Some((5, true, false)));
    for text in [
        "{-1}",
        "{abc}",
        "{}",
        "{+}",
        "{5-}",
        "{5 }",
        "{5} ",
        "{5}x",
        "5}",
        "{ 5}",
        "{5++}",
        "{5+5}",
        "\"a {5}",
        "\"\\\\\\\" {5}",
        "}",
        "",
    ] {
        assert_eq!(literal(text), None, "{text:?}");
    }
    // Only at the very end, which may be a bare LF; what stands before a verb is none.
    assert_eq!(client("a X {5}\n").literal.map(|it| it.len), Some(5));
    assert_eq!(client("a X {5}\r\r\n").literal, None);
    assert_eq!(client("{5}\r\n").literal, None);
    assert_eq!(client("a {5}\r\n").literal, None);
    let text = "a X b ~{12+}\r\n";
    let expect = Literal { span: Span::new(6, 12), len: 12, synchronizing: false, binary: true };
    assert_eq!(client(text).literal, Some(expect));
    assert_eq!(imap::read_more(b" {3}\r\n").literal.map(|it| it.len), Some(3));
    assert_eq!(imap::read_more(b" \"{3}\r\n").literal, None);
    assert_eq!(imap::read_more(b"{3}\r\n").literal.map(|it| it.len), Some(3));
    assert_eq!(server("* 1 FETCH (BODY[] ~{4}\r\n").literal.map(|it| it.len), Some(4));
    assert_eq!(server("* 1 FETCH (BODY[] {4+}\r\n").literal.map(|it| it.synchronizing), Some(false));
    assert_eq!(server("* LIST () \"/\" \"a {4}\r\n").literal, None);
}

#[test]
fn what_looks_like_a_literal_and_is_none() {
    assert_eq!(imap::not_a_literal(b"a X {-1}\r\n"), Some(Oddity::NotALiteral(4)));
    assert_eq!(imap::not_a_literal(b"a X \"{5}\r\n"), Some(Oddity::NotALiteral(5)));
    assert_eq!(imap::not_a_literal(b"a X {abc}\r\n"), None);
    assert_eq!(imap::not_a_literal(b"a X }\r\n"), None);
    assert_eq!(imap::not_a_literal(b"{}\r\n"), None);
    assert_eq!(imap::open_quote(b"a \"b\" \"c"), Some(6));
    assert_eq!(imap::open_quote(b"\\\"c"), Some(1));
    assert_eq!(imap::open_quote(b"\"c\\"), Some(0));
    assert_eq!(imap::open_quote(b"\"c\\\\\""), None);
}

#[test]
fn lists_of_capabilities() {
    let list = |text: &str| names(Peer::Server, text);
    let (kind, name, with_space, whole) = list("* CAPABILITY IMAP4rev1 IDLE\r\n");
    assert_eq!((kind, whole.as_str()), (ListKind::Data, "CAPABILITY IMAP4rev1 IDLE"));
    assert_eq!(name, ["IMAP4rev1", "IDLE"]);
    assert_eq!(with_space, [" IMAP4rev1", " IDLE"]);

    let (_, name, with_space, _) = list("* CAPABILITY  A   B\tC \r\n");
    assert_eq!(name, ["A", "B", "C"]);
    assert_eq!(with_space, ["  A", "   B", "\tC"]);
    for empty in ["* CAPABILITY\r\n", "* CAPABILITY \r\n", "* CAPABILITY   \r\n", "* ENABLED\r\n"] {
        assert_eq!(list(empty).1, [""; 0], "{empty:?}");
    }
    assert_eq!(list("* capability LITERAL + X\n").1, ["LITERAL", "+", "X"]);

    let (kind, name, with_space, whole) = list("* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n");
    assert_eq!((kind, whole.as_str()), (ListKind::Code, "[CAPABILITY IMAP4rev1 IDLE] "));
    assert_eq!(name, ["IMAP4rev1", "IDLE"]);
    assert_eq!(with_space, [" IMAP4rev1", " IDLE"]);
    for text in [
        "a1 OK [CAPABILITY A B] x\r\n",
        "* PREAUTH [CAPABILITY A B]\r\n",
        "* BYE [capability A  B ]x\r\n",
        "a NO [CAPABILITY\tA B]\r\n",
        "* [CAPABILITY A B]\r\n",
        "\0* OK [CAPABILITY A B]\n",
        "+ [CAPABILITY A B] go on\r\n",
    ] {
        assert_eq!(list(text).1, ["A", "B"], "{text:?}");
    }
    assert_eq!(list("* OK [CAPABILITY ] x\r\n").1, [""; 0]);
    assert_eq!(list("* OK [CAPABILITY] x\r\n").1, [""; 0]);
    for none in [
        "* OK CAPABILITY A B\r\n",
        "* OK [CAPABILITYX A]\r\n",
        "* OK [CAPABILITY A\r\n",
        "* 3 CAPABILITY A\r\n",
        "a CAPABILITY A\r\n",
        "* NO [X CAPABILITY A]\r\n",
        "* LIST () \"/\" CAPABILITY\r\n",
    ] {
        assert_eq!(server(none).list, None, "{none:?}");
    }

    let (kind, name, with_space, whole) = names(Peer::Client, "a ENABLE CONDSTORE  UTF8=ACCEPT\r\n");
    assert_eq!((kind, whole.as_str()), (ListKind::Enable, "ENABLE CONDSTORE  UTF8=ACCEPT"));
    assert_eq!(name, ["CONDSTORE", "UTF8=ACCEPT"]);
    assert_eq!(with_space, [" CONDSTORE", "  UTF8=ACCEPT"]);
    assert_eq!(names(Peer::Client, "a enable\r\n").1, [""; 0]);
    assert_eq!(names(Peer::Client, "a enable\tX\r\n").2, ["\tX"]);
    assert_eq!(names(Peer::Server, "* ENABLED X\r\n").0, ListKind::Enabled);
    assert_eq!(client("a CAPABILITY X\r\n").list, None);
    assert_eq!(client("a UID ENABLE X\r\n").list, None);
}

#[test]
fn other_protocols() {
    assert_eq!(wire::foreign(b"\x16\x03\x01"), Some(Foreign::Tls));
    assert_eq!(wire::foreign(b"\x15\x03\x01"), Some(Foreign::TlsAlert));
    assert_eq!(wire::foreign(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), Some(Foreign::Proxy));
    assert_eq!(wire::foreign(b"\r\n\r\n\0\r\nQUIT\n\x21"), Some(Foreign::Proxy));
    assert_eq!(wire::foreign(b"SSH-2.0-OpenSSH\r\n"), Some(Foreign::Ssh));
    assert_eq!(wire::foreign(b"GET / HTTP/1.1\r\n"), Some(Foreign::Http));
    assert_eq!(wire::foreign(b"HTTP/1.1 400 Bad Request\r\n"), Some(Foreign::Http));
    for none in [
        &b"GET NOOP\r\n"[..],
        b"a NOOP\r\n",
        b"\x16",
        b"\x16\x02",
        b"\r\n\r\n",
        b"PROXY\r\n",
        b"",
        b"POST LOGIN a b\r\n",
    ] {
        assert_eq!(wire::foreign(none), None, "{}", none.escape_ascii());
    }
}

/// Cuts one input to its end; the pieces as words, and the framer.
fn cut(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
    let mut input = bytes;
    let mut pieces = Vec::new();
    while !input.is_empty() {
        let before = input.len();
        let piece = framer.cut(&mut input);
        let used = before - input.len();
        pieces.push(match piece {
            Cut::Part(bytes) => {
                assert_eq!(bytes.len(), used);
                format!("part {}", bytes.escape_ascii())
            }
            Cut::Text { whole, fresh } => {
                assert_eq!(fresh, used);
                format!("text {}", whole.escape_ascii())
            }
            Cut::Head { whole, fresh } => {
                assert_eq!((fresh, whole.len()), (used, MAX_TEXT));
                "head".to_owned()
            }
            Cut::Data { bytes, done } => {
                assert_eq!(bytes.len(), used);
                format!("data {}{}", bytes.len(), if done { " done" } else { "" })
            }
        });
    }
    pieces
}

#[test]
fn a_lane_is_cut() {
    let mut framer = Framer::default();
    assert_eq!(cut(&mut framer, b"a\r\nb\nc"), ["text a\\r\\n", "text b\\n", "part c"]);
    assert_eq!(framer.held(), b"c");
    assert_eq!(cut(&mut framer, b"d\r"), ["part d\\r"]);
    assert_eq!(cut(&mut framer, b"\n\n"), ["text cd\\r\\n", "text \\n"]);
    assert_eq!(framer.held(), b"");
    framer.expect(Expect::Octets(5));
    assert_eq!(cut(&mut framer, b"\n\n"), ["data 2"]);
    assert_eq!(framer.expected(), Expect::Octets(3));
    assert_eq!(cut(&mut framer, b"abc)\r\n"), ["data 3 done", "text )\\r\\n"]);
    framer.expect(Expect::Octets(u64::MAX));
    assert_eq!(cut(&mut framer, b"x\r\n"), ["data 3"]);
    assert_eq!(framer.expected(), Expect::Octets(u64::MAX - 3));
    framer.expect(Expect::Opaque);
    assert_eq!(cut(&mut framer, b"x\r\ny\n"), ["data 5"]);
    framer.expect(Expect::Line);
    assert_eq!(cut(&mut framer, b"left"), ["part left"]);
    assert_eq!(framer.release(), b"left");
    assert_eq!(framer.held(), b"");
    assert_eq!(cut(&mut framer, b"\r\n"), ["text \\r\\n"]);
    assert_eq!(framer.release(), b"");
}

#[test]
fn the_longest_text_and_one_octet_more() {
    for size in [1, 1000, MAX_TEXT, MAX_TEXT + 10] {
        let mut framer = Framer::default();
        let mut line = vec![b'x'; MAX_TEXT - 1];
        line.push(b'\n');
        let pieces: Vec<String> = line.chunks(size).flat_map(|chunk| cut(&mut framer, chunk)).collect();
        assert!(pieces.last().is_some_and(|last| last.starts_with("text")));
        let longer = [b"y", line.as_slice()].concat();
        let pieces: Vec<String> = longer.chunks(size).flat_map(|chunk| cut(&mut framer, chunk)).collect();
        assert!(pieces.ends_with(&["head".to_owned(), "data 1 done".to_owned()]), "{size}");
        assert_eq!(framer.expected(), Expect::Line);
        assert_eq!(framer.held(), b"");
    }
}

#[test]
fn the_ending_of_an_overlong_line() {
    let ending = |end: &str, size: usize| {
        let mut framer = Framer::default();
        let mut line = b"a X ".to_vec();
        line.resize(MAX_TEXT + 100, b'x');
        line.extend_from_slice(end.as_bytes());
        for chunk in line.chunks(size) {
            cut(&mut framer, chunk);
        }
        let ending = framer.ending();
        assert!(line.ends_with(ending.tail()) && ending.tail().len() <= 48);
        (imap::announcement(ending.tail()).map(|it| it.len), ending.quoted())
    };
    for size in [1, 7, 1000, MAX_TEXT * 2] {
        assert_eq!(ending(" {5}\r\n", size), (Some(5), false));
        assert_eq!(ending(" \"{5}\r\n", size), (Some(5), true));
        assert_eq!(ending(" \"\\\"\" {5+}\n", size), (Some(5), false));
        assert_eq!(ending(" \"\\\\\" {5}\r\n", size), (Some(5), false));
        assert_eq!(ending(" ~{18446744073709551615+}\r\n", size), (Some(u64::MAX), false));
        assert_eq!(ending("\r\n", size), (None, false));
    }
}

#[test]
fn tokens() {
    use TokenKind::{Atom, Close, Flag, Number, Open, OpenQuote, Quoted, Surprise};
    let tokens = |line: &str| -> Vec<(TokenKind, String)> {
        imap::tokens(line.as_bytes()).map(|token| (token.kind, of(token.span, line))).collect()
    };
    let expect = |list: &[(TokenKind, &str)]| -> Vec<(TokenKind, String)> {
        list.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect()
    };
    assert_eq!(
        tokens("(\\Seen 12 BODY[HEADER.FIELDS (DATE)]<0.5> \"a\\\"b\" x) "),
        expect(&[
            (Open, "("),
            (Flag, "\\Seen"),
            (Number, "12"),
            (Atom, "BODY[HEADER.FIELDS (DATE)]<0.5>"),
            (Quoted, "\"a\\\"b\""),
            (Atom, "x"),
            (Close, ")"),
        ])
    );
    assert_eq!(tokens("\"a\\"), expect(&[(OpenQuote, "\"a\\")]));
    assert_eq!(tokens("a\0\x01b[c"), expect(&[(Atom, "a"), (Surprise, "\0\x01"), (Atom, "b[c")]));
    assert_eq!(tokens("[[a] b]"), expect(&[(Atom, "[[a]"), (Atom, "b]")]));
    assert_eq!(tokens(" \t"), []);
}
