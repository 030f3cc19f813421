//! Transcripts and raw logs of other programs: what comes out of them, and that nothing in them breaks the reader (captures:
//! `captures.rs`).

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::segment::START;
use imapscope::event::{Event, Oddity, Peer, What};
use imapscope::foreign::{self, Foreign, Kind, MAX_OCTETS, Piece, Times};
use imapscope::grammar::Grammar;
use imapscope::verb::foreign::{Came, Passages};
use proptest::prelude::*;

/// All pieces as lines: `1 C: a NOOP\r\n`.
pub fn told(pieces: impl Iterator<Item = Piece>) -> String {
    let mut told = String::new();
    for piece in pieces {
        let _ = match piece {
            Piece::Opened { connection, protocol, client, server, middle, .. } => {
                let middle = if middle.is_some() { ", from the middle" } else { "" };
                writeln!(told, "{connection} == {} {client} -> {server}{middle}", protocol.as_deref().unwrap_or("?"))
            }
            Piece::Octets { connection, from, bytes, .. } => {
                assert!((1..=MAX_OCTETS).contains(&bytes.len()));
                let mark = if from == Peer::Client { 'C' } else { 'S' };
                writeln!(told, "{connection} {mark}: {}", bytes.escape_ascii())
            }
            Piece::Behind { .. } => Ok(()),
            Piece::LeftOut { connection, from, bytes, all, .. } => {
                writeln!(told, "{connection} ?? {} leaves out {bytes}, all: {all}", from.word())
            }
            Piece::Lost { connection, from, bytes, .. } => {
                writeln!(told, "{connection} ?? {} {bytes:?}", from.word())
            }
            Piece::Tls { connection, version, suite, .. } => writeln!(told, "{connection} -- {version}, {suite}"),
            Piece::TlsFirst { connection, .. } => writeln!(told, "{connection} -- TLS first"),
            Piece::Closed { connection, by, reset, .. } => {
                let by = by.map_or("nobody", Peer::word);
                writeln!(told, "{connection} == {} by {by}", if reset { "reset" } else { "closed" })
            }
            Piece::Remark { connection, text, .. } => match connection {
                Some(connection) => writeln!(told, "{connection} -- {text}"),
                None => writeln!(told, "-- {text}"),
            },
        };
    }
    told
}

pub fn read(octets: &[u8], protocol: Option<&str>) -> Foreign {
    let kind = Kind::of(&octets[..octets.len().min(foreign::ENOUGH)]);
    foreign::read(Cursor::new(octets.to_vec()), kind, "file", protocol).expect("it can be read")
}

fn transcript(text: &str) -> String {
    assert_eq!(Kind::of(text.as_bytes()), Kind::Transcript, "{text}");
    told(read(text.as_bytes(), None))
}

#[test]
fn kinds_are_told_by_the_first_octets() {
    for (first, kind) in [
        (&b"{\"imapscope\":1}\n"[..], Kind::Recording),
        (b"\xd4\xc3\xb2\xa1", Kind::Pcap),
        (b"\xa1\xb2\x3c\x4d", Kind::Pcap),
        (b"\x0a\x0d\x0d\x0a", Kind::Pcapng),
        (b"C: a1 NOOP\r\nS: a1 OK\r\n", Kind::Transcript),
        (b"=== Trying x...\n<-  220 hi\n", Kind::Transcript),
        (b"> quoted, and nothing else\n", Kind::Unknown),
        (b"1795000000.000001 a1 NOOP\r\n", Kind::Unknown),
        (b"\x1f\x8b", Kind::Unknown),
        (b"", Kind::Unknown),
    ] {
        assert_eq!(Kind::of(first), kind, "{}", first.escape_ascii());
    }
    assert_eq!(Kind::named(Path::new("x/1.in"), b"a NOOP\r\n"), Kind::Rawlog);
    assert_eq!(Kind::named(Path::new("x/1.in"), b"\xd4\xc3\xb2\xa1"), Kind::Pcap);
    // What is beside it decides where the octets could be either.
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("swaks.out");
    assert_eq!(Kind::named(&output, b"<-  220 hello ESMTP\r\n -> EHLO x\r\n"), Kind::Transcript);
    for half in ["swaks.in", "swaks.out"] {
        std::fs::write(folder.path().join(half), "").expect("a file");
    }
    assert_eq!(Kind::named(&output, b"<-  220 hello ESMTP\r\n -> EHLO x\r\n"), Kind::Rawlog);
    for first in [&b"nothing"[..], b"\x1f\x8b\x08"] {
        let problem = foreign::read(Cursor::new(first), Kind::of(first), "file", None).expect_err("it is unknown");
        assert!(problem.help.contains("not compressed") && problem.origin == "file", "{problem}");
    }
    assert!(foreign::open(Path::new("/nowhere/at/all"), None).is_err());
}

#[test]
fn transcripts_of_all_styles() {
    let expected =
        "1 == imap client -> server\n1 S: * OK hi\\r\\n1 C: a1 NOOP\\r\\n1 S: a1 OK\\r\\n1 == closed by nobody\n";
    let expected = expected.replace("\\r\\n1", "\\r\\n\n1");
    for text in [
        "S: * OK hi\nC: a1 NOOP\nS: a1 OK\n",
        "S:* OK hi\r\nC:a1 NOOP\r\nS:a1 OK",
        "12:00:00.123 S: * OK hi\n12:00:00.456 C: a1 NOOP\n12:00:01 S: a1 OK\n",
        "[2026-11-24 12:00:00] S: * OK hi\n[2026-11-24 12:00:01] C: a1 NOOP\n[2026-11-24 12:00:01] S: a1 OK\n",
        "<<< * OK hi\n>>> a1 NOOP\n<<< a1 OK\n",
        "<- * OK hi\n-> a1 NOOP\n<- a1 OK\n",
        "<-- * OK hi\n--> a1 NOOP\n<-- a1 OK\n",
        "< * OK hi\n> a1 NOOP\n< a1 OK\n",
        "fetchmail: IMAP< * OK hi\nfetchmail: IMAP> a1 NOOP\nfetchmail: IMAP< a1 OK\n",
        "1795000000.000001 O: * OK hi\n1795000000.000002 I: a1 NOOP\n1795000000.000003 O> a1 \n1795000000.000003 O: OK\n",
    ] {
        let told = transcript(text).replace("a1 \n1 S: OK", "a1 OK");
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn what_swaks_and_curl_print() {
    let swaks = "=== Trying 127.0.0.1:2525...\n=== Connected to 127.0.0.1.\n<-  220 mx ESMTP\n -> EHLO x\n<-  250-mx\n\
                 <-  250 STARTTLS\n -> STARTTLS\n<-  220 go\n=== TLS started with cipher TLSv1.3:X:256\n ~> DATA\n<~  354 go\n ~> a: b\n ~> \n ~>\n\
                 <~* 550 no\n=== Connection closed with remote host.\n";
    assert_eq!(
        transcript(swaks),
        "1 == smtp client -> 127.0.0.1:2525\n\
         1 S: 220 mx ESMTP\\r\\n\n1 C: EHLO x\\r\\n\n1 S: 250-mx\\r\\n\n1 S: 250 STARTTLS\\r\\n\n1 C: STARTTLS\\r\\n\n1 S: 220 go\\r\\n\n\
         1 -- TLS 1.3, X\n1 C: DATA\\r\\n\n1 S: 354 go\\r\\n\n1 C: a: b\\r\\n\n1 C: \\r\\n\n1 C: \\r\\n\n\
         1 S: 550 no\\r\\n\n1 == closed by nobody\n-- 3 lines of the program that wrote this: not shown\n"
    );
    let curl = "* Connected to localhost (127.0.0.1) port 1143 (#0)\n< * OK hi\n> A001 CAPABILITY\n{ [5 bytes data]\n< A001 OK\n\
                * Closing connection 0\n< +OK x\n";
    assert_eq!(
        transcript(curl),
        "1 == imap client -> localhost:1143\n1 S: * OK hi\\r\\n\n\
         1 C: A001 CAPABILITY\\r\\n\n1 ?? server leaves out 5, all: false\n1 S: A001 OK\\r\\n\n1 == closed by nobody\n\
         2 == pop3 client -> localhost:1143\n2 S: +OK x\\r\\n\n2 -- 3 lines of the program that wrote this: not shown\n2 == closed by nobody\n"
    );
    // TLS that nobody speaks in is none, however often it is told.
    let told = "=== TLS started with cipher TLSv1.3:X:256\n".repeat(9);
    let nobody = format!("<-  220 mx ESMTP\n=== Connection closed\n{told}=== TLS started with cipher TLSv....:_:\n");
    assert!(
        !transcript(&nobody).contains("\n2 ") && transcript(&nobody).contains("-- 2 lines of the program"),
        "{}",
        transcript(&nobody)
    );
    let before = format!("{told}<-  220 mx ESMTP\n");
    assert_eq!(transcript(&before).matches("TLS 1.3, X").count(), 1, "{}", transcript(&before));
    let thunderbird = "2026-11-24 12:00:00.000000 UTC - [Parent 1: IMAP]: I/IMAP 7f:h:NA:CreateNewLineFromSocket: * OK hi\n\
                       2026-11-24 12:00:01.000000 UTC - [Parent 1: IMAP]: I/IMAP 7f:h:NA:SendData: 1 NOOP\n";
    assert!(transcript(thunderbird).contains("1 S: * OK hi\\r\\n\n1 C: 1 NOOP\\r\\n"), "{}", transcript(thunderbird));
}

/// What a log leaves out has the size that the log says.
#[test]
fn what_is_left_out_has_its_size() {
    let smtp = |rest: &str| {
        format!(
            "* Connected to x (192.0.2.1) port 25 (#0)\n< 220 sink\n> EHLO a\n< 250 sink\n> MAIL FROM:<a@b.example>\n< 250 ok\n\
                 > RCPT TO:<c@d.example>\n< 250 ok\n> DATA\n< 354 go\n{rest}< 250 queued\n> QUIT\n< 221 bye\n"
        )
    };
    let pop3 = |rest: &str| {
        format!(
            "fetchmail: POP3< +OK hi\nfetchmail: POP3> USER a\nfetchmail: POP3< +OK\nfetchmail: POP3> PASS *\nfetchmail: POP3< +OK\n\
                 fetchmail: POP3> RETR 1\nfetchmail: POP3< +OK\n{rest}fetchmail: POP3> QUIT\nfetchmail: POP3< +OK\n"
        )
    };
    let tls = "* TLSv1.2 (OUT), TLS header, Supplemental data (23):\n} [5 bytes data]\n";
    for (log, size) in [
        (smtp("} [59 bytes data]\n* We are completely uploaded and fine\n"), Some(59)),
        (smtp("} [4096 bytes data]\n} [59 bytes data]\n"), Some(4155)),
        (smtp(&format!("{tls}}} [59 bytes data]\n")), Some(59)),
        (smtp("} [59 bytes data]\n* upload completely sent off: 59 bytes\n"), Some(59)),
        (smtp("* upload completely sent off: 27 out of 27 bytes\n"), Some(27)),
        (smtp("* We are completely uploaded and fine\n"), None),
        (smtp("} [99999999999999999999999 bytes data]\n"), None),
        (pop3("reading message a@x:1 of 2 (18 octets) not flushed\n"), Some(18)),
        (pop3(""), None),
    ] {
        let grammars = ["smtp", "pop3"].into_iter().filter_map(Grammar::builtin).collect();
        let (mut passages, mut sizes) = (Passages::new(grammars), Vec::new());
        let mut came = |came: Came| {
            let Came::Events(batch) = came else { return };
            let data = |event: Event| if let What::Data(data) = event.what { Some(data) } else { None };
            let left = batch.events.into_iter().filter_map(data).filter(|data| data.oddities == [Oddity::LeftOut]);
            sizes.extend(left.map(|data| (data.len, data.announced)));
        };
        read(log.as_bytes(), None).for_each(|piece| passages.take(piece, &mut came));
        passages.finish(&mut came);
        assert_eq!(sizes, [(0, size)], "{log}");
    }
}

fn times(text: &str) -> (Times, Vec<u64>) {
    let pieces = read(text.as_bytes(), None);
    (pieces.times, pieces.filter(|piece| matches!(piece, Piece::Octets { .. })).map(|piece| piece.at().0).collect())
}

#[test]
fn times_before_lines_are_read() {
    const SECOND: u64 = 1_000_000_000;
    assert_eq!(times("S: * OK hi\nC: a NOOP\n"), (Times::Unknown, vec![0, 0]));
    let day = 86_400 * SECOND;
    let text = "23:59:59.5 S: * OK\n00:00:01,25 C: a NOOP\nC: b NOOP\n";
    let first = day - SECOND / 2;
    assert_eq!(times(text), (Times::OfDay, vec![first, day + 5 * SECOND / 4, day + 5 * SECOND / 4]));
    let moment = START * SECOND + 123_000_000;
    for stamp in [
        "1795521600.123000 ",
        "2026-11-24T12:00:00.123Z ",
        "2026-11-24T13:00:00.123+01:00 ",
        "[2026-11-24 12:00:00.123] ",
    ] {
        let text = format!("{stamp}S: * OK\n");
        assert_eq!(times(&text), (Times::Known, vec![moment]), "{stamp}");
    }
    // What looks like a time and is none is no reason to stop.
    for stamp in ["99:99:99 ", "2026-13-45T25:00:00Z ", "1795521600. ", "99999999999999999999.1 ", "-1:00:00 ", "é"] {
        let text = format!("S: * OK\n{stamp}C: a NOOP\nC: b NOOP\n");
        // It may be any other prefix.
        assert!((2..=3).contains(&times(&text).1.len()), "{stamp}");
    }
}

#[test]
fn long_lines_and_lines_of_nobody() {
    let long = "x".repeat(100_000);
    let text = format!("S: * OK hi\nC: {long}\nS: * BYE\n\nnobody's\n{}", "more\n".repeat(30));
    let pieces: Vec<Piece> = read(text.as_bytes(), None).collect();
    let client: Vec<u8> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Octets { from: Peer::Client, bytes, .. } => Some(bytes.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(client == format!("{long}\r\n").into_bytes());
    let told = told(pieces.into_iter());
    assert!(
        told.contains("1 -- line 5: 8 bytes without a mark; expected \"C: \" or \"S: \"\n")
            && told.contains("1 -- 11 more lines without a mark\n"),
        "{told}"
    );
    // A line end may be cut by the bound itself.
    for len in MAX_OCTETS - 8..MAX_OCTETS + 2 {
        let text = format!("C: a NOOP {}\r\nS: a OK\r\n", "y".repeat(len));
        let all: Vec<u8> = read(text.as_bytes(), None)
            .filter_map(|piece| if let Piece::Octets { bytes, .. } = piece { Some(bytes) } else { None })
            .flatten()
            .collect();
        assert!(all == text.replace("C: ", "").replace("S: ", "").into_bytes(), "{len}");
    }
}

/// Writes both halves of a raw log and reads them.
fn rawlog(halves: [Option<&str>; 2], protocol: Option<&str>) -> (Times, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (end, half) in ["in", "out"].iter().zip(halves) {
        if let Some(half) = half {
            fs::write(folder.path().join(format!("20261124-1.17.1.{end}")), half).expect("a file");
        }
    }
    let file = folder.path().join(if halves[0].is_some() { "20261124-1.17.1.in" } else { "20261124-1.17.1.out" });
    let [one, all] = [file.as_path(), folder.path()].map(|path| {
        let pieces = foreign::open(path, protocol).expect("raw logs");
        (pieces.times, told(pieces).replace(&folder.path().display().to_string(), "FOLDER"))
    });
    assert_eq!(one, all, "a file and its folder");
    all
}

#[test]
fn raw_logs_are_put_together() {
    let client = "1795521600.000002 1 SELECT INBOX\r\n1795521600.000005 2 LOGOUT\r\n";
    let server = "1795521600.000003 * 1 EXISTS\r\n1795521600.000004 1 OK\r\n1795521600.000006 * BYE\r\n1795521600.000006 2 OK\r\n";
    let expected = "1 == imap client of FOLDER/20261124-1.17.1 -> server, from the middle\n1 C: 1 SELECT INBOX\\r\\n\n1 S: * 1 EXISTS\\r\\n\n1 S: 1 OK\\r\\n\n\
                    1 C: 2 LOGOUT\\r\\n\n1 S: * BYE\\r\\n\n1 S: 2 OK\\r\\n\n1 == closed by nobody\n";
    assert_eq!(rawlog([Some(client), Some(server)], None), (Times::Known, expected.to_owned()));
    let bare = |text: &str| text.split_inclusive('\n').map(|line| &line[18..]).collect::<String>();
    let (times, told) = rawlog([Some(&bare(client)), Some(&bare(server))], None);
    assert_eq!(times, Times::Unknown);
    assert_eq!(told.lines().filter(|line| !line.contains(" -- ")).collect::<Vec<_>>().join("\n") + "\n", expected);
    assert!(told.contains("the raw log has no times"), "{told}");
    let (_, told) = rawlog([None, Some(server)], Some("imap"));
    assert!(
        told.contains("no file with what the client sent, whose name ends in .in: ") && told.contains("1 S: 2 OK"),
        "{told}"
    );
    let empty = tempfile::tempdir().expect("a folder");
    assert!(foreign::open(empty.path(), None).expect_err("nothing is there").help.contains("NAME.in"));
    let (_, told) = rawlog([Some(""), Some("")], None);
    assert!(told.contains("--protocol"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..600), first in 0_usize..7) {
        let head: &[u8] = [
            &b""[..], b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x65\0\0\0", b"\xa1\xb2\x3c\x4d",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
            b"C: a NOOP\n12:0", b"=== \n<-  220 x\n", b"1795521600.0 I: a NOOP\n"][first];
        let file = [head, &octets].concat();
        for kind in [Kind::of(&file), Kind::Transcript, Kind::Pcap, Kind::Pcapng] {
            if let Ok(pieces) = foreign::read(Cursor::new(file.clone()), kind, "file", Some("imap")) {
                let _ = told(pieces);
            }
        }
    }
}
