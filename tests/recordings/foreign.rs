//! Files of other programs: what comes out of them, and that nothing in them breaks the reader.

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::segment::{self, ACK, CLIENT, FIN, RST, SERVER, START, SYN, Spelling};
use imapscope::event::Peer;
use imapscope::foreign::{self, Foreign, Kind, MAX_OCTETS, Piece, Times};
use proptest::prelude::*;

/// All pieces as lines: `1 C: a NOOP\r\n`.
fn told(pieces: impl Iterator<Item = Piece>) -> String {
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

fn read(octets: &[u8], protocol: Option<&str>) -> Foreign {
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
         1 C: A001 CAPABILITY\\r\\n\n1 S: A001 OK\\r\\n\n1 == closed by nobody\n\
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

const TURNS: [(bool, &[u8]); 3] = [(false, b"* OK hi\r\n"), (true, b"a NOOP\r\n"), (false, b"a OK\r\n")];

#[test]
fn captures_in_every_spelling_and_of_every_link() {
    for link in [0, 1, 1001, 101, 108, 113, 276] {
        for (client, server) in [(CLIENT, SERVER), ("[::1]:50000", "[2001:db8::1]:143")] {
            let frames = segment::conversation(link, client, server, &TURNS);
            let expected = format!(
                "1 == imap {client} -> {server}\n1 S: * OK hi\\r\\n\n1 C: a NOOP\\r\\n\n1 S: a OK\\r\\n\n1 == closed by client\n"
            );
            for (big, nanoseconds) in [(false, false), (false, true), (true, false), (true, true)] {
                let spelling = Spelling { big, nanoseconds };
                for file in [segment::pcap(spelling, link, &frames), segment::pcapng(spelling, link, &frames)] {
                    let pieces: Vec<Piece> = read(&file, None).collect();
                    assert_eq!(told(pieces.iter().cloned()), expected, "{link} {spelling:?}");
                    assert_eq!(pieces[0].at().0, START * 1_000_000_000);
                    assert_eq!(pieces[1].at().0, START * 1_000_000_000 + 3_000_000);
                }
            }
        }
    }
}

/// What is told of these frames.
fn capture(frames: &[Vec<u8>], protocol: Option<&str>) -> String {
    told(read(&segment::pcap(Spelling::PLAIN, 101, frames), protocol))
}

fn packet(client: bool, number: u32, acknowledges: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    segment::ip(from, to, &segment::tcp(from, to, number, acknowledges, flags, payload))
}

#[test]
fn fragments_and_headers_of_extension() {
    let (from, to) = (SERVER, CLIENT);
    let tcp = segment::tcp(from, to, 1, 1, ACK, b"* OK in two pieces\r\n");
    let parts = [segment::ip4(from, to, 9, 0x2000, &tcp[..32]), segment::ip4(from, to, 9, 4, &tcp[32..])];
    let expected = "1 S: * OK in two pieces\\r\\n";
    let mut reversed = parts.to_vec();
    reversed.reverse();
    for frames in [parts.to_vec(), reversed] {
        assert!(capture(&frames, None).contains(expected), "{}", capture(&frames, None));
    }
    assert!(capture(&parts[..1], None).contains("1 IP packet in fragments could not be put together"));
    let (from, to) = ("[2001:db8::1]:143", "[::1]:50000");
    let tcp = segment::tcp(from, to, 1, 1, ACK, b"* OK in two pieces\r\n");
    let part = |place: u16, octets: &[u8]| {
        let head = [&[6, 0][..], &place.to_be_bytes(), &[0, 0, 0, 7], octets].concat();
        // Options of the destination before it, of 16 octets.
        segment::ip6(from, to, 60, &[&[44, 1][..], &[0; 14], &head].concat())
    };
    let frames = [part(32, &tcp[32..]), part(1, &tcp[..32])];
    assert!(capture(&frames, None).contains(expected), "{}", capture(&frames, None));
}

/// Headers around an IP packet, with their link type.
fn tunnels(ip: &[u8]) -> Vec<(&'static str, u16, Vec<u8>)> {
    let kind = if ip[0] >> 4 == 4 { 0x0800_u16 } else { 0x86dd };
    let number = if ip[0] >> 4 == 4 { 4 } else { 41 };
    let with = |head: &[u8], rest: &[u8]| [head, rest].concat();
    let kinds = kind.to_be_bytes();
    let frame = segment::ether(kind, ip);
    let ppp = with(if number == 4 { &[0, 0x21] } else { &[0, 0x57] }, ip);
    let short_ppp = with(if number == 4 { &[0x21] } else { &[0x57] }, ip);
    let pppoe = |ppp: &[u8]| with(&[0x11, 0, 0, 1, 0, 9], ppp);
    let gre = |flags: u16, kind: u16, rest: &[u8]| {
        segment::carrying(47, &[&flags.to_be_bytes()[..], &kind.to_be_bytes(), rest].concat())
    };
    let typed = |head: &[u8], kind: [u8; 2], rest: &[u8]| [head, &kind, rest].concat();
    let wifi = |flags: u8, extra: usize| {
        let control = if extra > 0 { 0x88 } else { 8 };
        [&[control, flags], &vec![0; 22 + extra][..], &[0xaa, 0xaa, 3, 0, 0, 0], &kinds, ip].concat()
    };
    vec![
        ("PPPoE", 1, segment::ether(0x8864, &pppoe(&ppp))),
        ("PPPoE in a VLAN", 1, segment::ether(0x8100, &with(&[0, 5, 0x88, 0x64], &pppoe(&short_ppp)))),
        ("PPPoE alone", 51, pppoe(&ppp)),
        ("PPP", 9, ppp.clone()),
        ("PPP in HDLC", 50, with(&[0xff, 3], &ppp)),
        ("Cisco HDLC", 104, typed(&[0x0f, 0], kinds, ip)),
        ("LLC and SNAP", 1, segment::ether(9, &typed(&[0xaa, 0xaa, 3, 0, 0, 0], kinds, ip))),
        ("a provider's frame", 1, segment::ether(0x88e7, &with(&[0, 0, 0, 9], &frame))),
        ("MPLS", 1, segment::ether(0x8847, &with(&[0, 1, 0, 9, 0, 2, 1, 9], ip))),
        ("Ethernet in MPLS", 1, segment::ether(0x8848, &with(&[0, 1, 1, 9, 0, 0, 0, 0], &frame))),
        ("IP in IP", 101, segment::carrying(number, ip)),
        ("IP in IP in IP", 101, segment::carrying(4, &segment::carrying(number, ip))),
        ("GRE", 101, gre(0, kind, ip)),
        ("GRE with everything", 101, gre(0xb000, kind, &with(&[0; 12], ip))),
        ("Ethernet in GRE", 101, gre(0x2000, 0x6558, &with(&[0; 4], &frame))),
        ("MPLS in GRE", 101, gre(0, 0x8847, &with(&[0, 1, 1, 9], ip))),
        ("PPTP", 101, gre(0x3081, 0x880b, &with(&[0; 12], &ppp))),
        ("ERSPAN I", 101, gre(0, 0x88be, &frame)),
        ("ERSPAN II", 101, gre(0x1000, 0x88be, &with(&[0; 12], &frame))),
        ("ERSPAN III", 101, gre(0x1000, 0x22eb, &with(&[0; 16], &frame))),
        ("WCCP", 101, gre(0, 0x883e, &with(&[0; 4], ip))),
        ("VXLAN", 101, segment::udp(4789, &with(&[8, 0, 0, 0, 0, 0, 9, 0], &frame))),
        ("VXLAN of Linux", 1, segment::ether(0x0800, &segment::udp(8472, &with(&[8, 0, 0, 0, 0, 0, 9, 0], &frame)))),
        ("VXLAN-GPE", 101, segment::udp(4790, &with(&[12, 0, 0, 1, 0, 0, 9, 0], ip))),
        ("Geneve", 101, segment::udp(6081, &with(&[1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 4], &frame))),
        ("GTP", 101, segment::udp(2152, &with(&[0x34, 0xff, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0], ip))),
        ("EtherIP", 101, segment::carrying(97, &with(&[0x30, 0], &frame))),
        ("AH", 101, segment::carrying(51, &with(&[number, 4, 0, 0], &with(&[0; 20], ip)))),
        ("Wi-Fi", 105, wifi(1, 0)),
        ("Wi-Fi with QoS", 105, wifi(2, 2)),
        ("Wi-Fi with radiotap", 127, with(&[0, 0, 8, 0, 0, 0, 0, 0], &wifi(1, 0))),
    ]
}

#[test]
fn tunnels_and_tags_are_looked_into() {
    for (client, server) in [(CLIENT, SERVER), ("[::1]:50000", "[2001:db8::1]:143")] {
        let expected = capture(&segment::conversation(101, client, server, &TURNS), None);
        assert!(expected.contains("1 C: a NOOP") || client != CLIENT, "{expected}");
        let packets = segment::conversation(101, client, server, &TURNS);
        for (nth, (name, link, _)) in tunnels(&packets[0]).into_iter().enumerate() {
            let frames: Vec<Vec<u8>> = packets.iter().map(|packet| tunnels(packet).swap_remove(nth).2).collect();
            assert_eq!(told(read(&segment::pcap(Spelling::PLAIN, link, &frames), None)), expected, "{name} {client}");
            // Cut anywhere, it breaks nothing.
            let frame = &frames[3];
            for len in 0..frame.len() {
                told(read(&segment::pcap(Spelling::PLAIN, link, &[frame[..len].to_vec()]), None));
            }
        }
    }
    // A packet in a tunnel may be in fragments itself.
    let packet = segment::carrying(4, &packet(false, 1, 1, ACK, b"* OK in two pieces\r\n"));
    let part = |place: u16, bytes: &[u8]| {
        let mut part = segment::ip4("192.0.2.1:1", "192.0.2.2:1", 9, place, bytes);
        part[9] = 4;
        part
    };
    let told = capture(&[part(0x2000, &packet[20..60]), part(5, &packet[60..])], None);
    assert!(told.contains("1 S: * OK in two pieces\\r\\n"), "{told}");
}

#[test]
fn what_cannot_be_read_is_counted() {
    let arp = segment::ether(0x0806, &[0; 28]);
    let told = |link: u16, frames: &[Vec<u8>]| told(read(&segment::pcap(Spelling::PLAIN, link, frames), None));
    for (link, frame, what) in [
        (1, arp.clone(), "of ARP"),
        (1, segment::ether(0x88e5, &[0; 40]), "of MACsec"),
        (1, segment::ether(0x1234, &[0; 40]), "of Ethernet type 0x1234"),
        (101, segment::udp(53, b"query"), "of UDP"),
        (101, segment::carrying(50, &[0; 40]), "of IPsec (ESP)"),
        (101, segment::udp(4500, &[1; 40]), "of IPsec (ESP)"),
        (101, segment::carrying(250, &[0; 40]), "of IP protocol 250"),
        (101, segment::carrying(6, &[0; 10]), "too short to be TCP"),
        (105, vec![8, 0x41, 0, 0], "of encrypted Wi-Fi"),
        (9, vec![0, 0xfd, 1, 2], "of PPP that is encrypted or compressed"),
    ] {
        assert_eq!(told(link, &[frame.clone(), frame]), format!("-- no TCP in it: 2 frames {what} not read\n"));
    }
    assert_eq!(told(1, &[]), "-- no connection in it that says anything, in 0 frames\n");
    // Beside mail, ARP is no damage, and what may have been mail is.
    let mut frames = segment::conversation(1, CLIENT, SERVER, &TURNS);
    let healthy = told(1, &frames);
    frames.push(arp);
    assert_eq!(told(1, &frames), healthy);
    frames.push(segment::ether(0x0800, &segment::carrying(50, &[0; 40])));
    assert_eq!(told(1, &frames), format!("{}-- 1 frame of IPsec (ESP) not read\n", healthy));
    // Tunnels in each other without an end.
    let mut packet = segment::carrying(4, &[0; 20]);
    for _ in 0..20 {
        packet = segment::carrying(4, &packet);
    }
    assert_eq!(told(101, &[packet]), "-- no TCP in it: 1 frame of more than 4 IP packets inside each other not read\n");
}

#[test]
fn what_is_lost_twice_or_out_of_order() {
    let mut frames = vec![
        packet(true, 0, 0, SYN, b""),
        packet(false, 100, 1, SYN | ACK, b""),
        packet(false, 109, 1, ACK, b"there\r\n"),
        packet(false, 101, 1, ACK, b"* OK hi "),
        packet(false, 101, 1, ACK, b"* OK hi "),
        packet(true, 1, 116, ACK, b"a NOOP\r\n"),
        // Ten octets are missing here, and the client has got them.
        packet(false, 126, 9, ACK, b"a OK\r\n"),
    ];
    frames.extend((0..20).map(|_| packet(true, 9, 132, ACK, b"")));
    frames.push(packet(true, 9, 132, RST | ACK, b"why"));
    frames.push(packet(true, 9, 132, ACK, b"after the end"));
    assert_eq!(
        capture(&frames, None),
        "1 == imap 10.0.0.1:50000 -> 10.0.0.2:143\n1 S: * OK hi \n1 S: there\\r\\n\n1 C: a NOOP\\r\\n\n\
         1 ?? server Some(10)\n1 S: a OK\\r\\n\n1 -- 10 bytes of the server missing from the capture\n\
         1 -- 1 segment of the server came again\n1 == reset by client\n"
    );
}

#[test]
fn connections_of_which_only_a_part_is_there() {
    // The beginning is missing.
    let frames = [packet(true, 500, 900, ACK, b"x NOOP\r\n"), packet(false, 900, 508, ACK, b"x OK\r\n")];
    let told = capture(&frames, None);
    let expected = "1 == imap 10.0.0.1:50000 -> 10.0.0.2:143, from the middle\n1 ?? client None\n1 -- the beginning of the connection is not in the capture\n\
                    1 C: x NOOP\\r\\n\n1 S: x OK\\r\\n\n1 == closed by nobody\n";
    assert_eq!(told, expected);
    // The same ends again.
    let mut twice = segment::conversation(101, CLIENT, SERVER, &TURNS);
    twice.extend(twice.clone());
    let told = capture(&twice, None);
    assert!(told.contains("1 == closed by client\n2 == imap") && told.ends_with("2 == closed by client\n"), "{told}");
    // Only one side.
    let frames = [
        packet(false, 100, 1, SYN | ACK, b""),
        packet(false, 101, 1, ACK, b"* OK hi\r\n"),
        packet(false, 110, 9, ACK, b"a OK\r\n"),
        packet(false, 116, 9, FIN | ACK, b""),
    ];
    let told = capture(&frames, None);
    assert_eq!(
        told,
        "1 == imap 10.0.0.1:50000 -> 10.0.0.2:143\n1 S: * OK hi\\r\\n\n1 ?? client Some(8)\n1 S: a OK\\r\\n\n\
         1 -- nothing that the client sent is in the capture: 8 bytes\n1 == closed by server\n"
    );
}

#[test]
fn the_middle_of_a_connection_is_recognised_by_a_later_line_or_the_port() {
    let middle = |port: u16, lines: &[(bool, &[u8])]| {
        let server = format!("10.0.0.2:{port}");
        let frames = segment::conversation(101, CLIENT, &server, lines);
        capture(&frames[3..frames.len() - 3], None)
    };
    let message: [(bool, &[u8]); 2] = [(true, b"some text\r\n.\r\n"), (false, b"250 ok\r\n")];
    let told = middle(2525, &message);
    assert!(told.starts_with("1 == smtp 10.0.0.1:50000 -> 10.0.0.2:2525, from the middle\n1 ?? client None"), "{told}");
    assert!(middle(8025, &message).starts_with("-- 1 connection to port 8025 not read"));
    let more = [&message[..], &[(true, b"MAIL FROM:<a@b>\r\n"), (false, b"250 ok\r\n")]].concat();
    let told = middle(8025, &more);
    assert!(told.starts_with("1 == smtp 10.0.0.1:50000 -> 10.0.0.2:8025, from the middle\n1 ?? client None"), "{told}");
    assert!(told.contains("1 C: some text\\r\\n.\\r\\n\n1 S: 250 ok\\r\\n\n1 C: MAIL FROM"), "{told}");
}

#[test]
fn protocols_are_recognised_or_asked_for() {
    let odd = "10.0.0.2:8143";
    let greeted = segment::conversation(101, CLIENT, odd, &TURNS);
    assert!(capture(&greeted, None).starts_with("1 == imap"));
    let http =
        segment::conversation(101, CLIENT, odd, &[(true, b"GET / HTTP/1.1\r\n"), (false, b"HTTP/1.1 200 OK\r\n")]);
    // What is none of mail is not forced to be.
    for given in [None, Some("imap")] {
        assert_eq!(capture(&http, given), "-- 1 connection to port 8143 not read: HTTP is no mail protocol\n");
    }
    let unknown = segment::conversation(101, CLIENT, odd, &[(true, b"HELLO you\r\n"), (false, b"hello\r\n")]);
    assert_eq!(
        capture(&unknown, None),
        "-- 1 connection to port 8143 not read: the protocol was not recognised; name the protocol: --protocol imap\n"
    );
    assert!(capture(&unknown, Some("web")).starts_with("1 == web 10.0.0.1:50000 -> 10.0.0.2:8143\n1 C: HELLO you"));
    // The server tells it, where the client's first words do not.
    let late = segment::conversation(101, CLIENT, odd, &[(true, b"HELLO\r\n"), (false, b"+OK hi\r\n")]);
    assert!(capture(&late, None).starts_with("1 == pop3 10.0.0.1:50000 -> 10.0.0.2:8143\n1 C: HELLO\\r\\n\n1 S: +OK"));
    // What the user has named goes before a port, and before words, unless both say something else.
    let irc: [(bool, &[u8]); 2] = [(true, b"USER a 0 * :a\r\n"), (false, b":x NOTICE * :hi\r\n")];
    for (port, given, protocol) in [
        (8143, None, "irc"),
        (8143, Some("irc"), "irc"),
        (110, Some("irc"), "irc"),
        (143, Some("irc"), "irc"),
        (6667, Some("imap"), "irc"),
        (8143, Some("imap"), "imap"),
    ] {
        let frames = segment::conversation(101, CLIENT, &format!("10.0.0.2:{port}"), &irc);
        let told = capture(&frames, given);
        assert!(told.starts_with(&format!("1 == {protocol} ")), "{port} {given:?}: {told}");
    }
    let ftp = segment::conversation(101, CLIENT, odd, &[(false, b"220 FTP server\r\n")]);
    assert!(!capture(&ftp, None).contains("=="));
    let silent = segment::conversation(101, CLIENT, odd, &[]);
    assert_eq!(capture(&silent, None), "-- 1 connection to port 8143 without a byte of either peer\n");
}

#[test]
fn tls_is_told_by_its_port_or_its_first_bytes() {
    let hello: &[u8] = b"\x16\x03\x01\0\x05\x01hello";
    let tls = |port: u16| segment::conversation(101, CLIENT, &format!("10.0.0.2:{port}"), &[(true, hello)]);
    let told = capture(&tls(993), None);
    assert!(told.starts_with("1 == imap 10.0.0.1:50000 -> 10.0.0.2:993\n1 -- TLS first\n1 C: \\x16"), "{told}");
    assert!(told.ends_with(
        "1 connection to port 993 under TLS: what is inside cannot be read; relay them with imapscope to see it\n"
    ));
    assert!(capture(&tls(465), Some("lmtp")).starts_with("1 == lmtp 10.0.0.1:50000 -> 10.0.0.2:465\n1 -- TLS first\n"));
    assert!(
        capture(&tls(8993), Some("imap")).starts_with("1 == imap 10.0.0.1:50000 -> 10.0.0.2:8993\n1 -- TLS first\n")
    );
    for (port, given) in [(8993, None), (443, None), (443, Some("imap"))] {
        assert!(capture(&tls(port), given).starts_with(&format!("-- 1 connection to port {port} under TLS")));
    }
}

#[test]
fn damage_is_told_with_its_place_and_the_rest_is_read() {
    let frames = segment::conversation(101, CLIENT, SERVER, &TURNS);
    for whole in [segment::pcap(Spelling::PLAIN, 101, &frames), segment::pcapng(Spelling::PLAIN, 101, &frames)] {
        let all: Vec<Piece> = read(&whole, None).collect();
        for len in 0..whole.len() {
            let kind = Kind::of(&whole);
            match foreign::read(Cursor::new(whole[..len].to_vec()), kind, "file", None) {
                Err(problem) => assert!(len < 24 && problem.origin.starts_with("file"), "{len}: {problem}"),
                Ok(pieces) => {
                    let octets = |piece: &Piece| matches!(piece, Piece::Octets { .. });
                    let pieces: Vec<Piece> = pieces.collect();
                    let found: Vec<&Piece> = pieces.iter().filter(|piece| octets(piece)).collect();
                    let expected: Vec<&Piece> = all.iter().filter(|piece| octets(piece)).take(found.len()).collect();
                    assert_eq!(found, expected, "{len}");
                }
            }
        }
        // A length that cannot be.
        let mut broken = whole.clone();
        let at = if Kind::of(&whole) == Kind::Pcap { 24 + 8 } else { 28 + 32 + 4 };
        broken[at..at + 4].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
        let told = told(read(&broken, None));
        assert!(told.contains("is said to have 2147483632 octets; nothing behind it is read"), "{told}");
    }
    let wifi = segment::pcap(Spelling::PLAIN, 147, &[vec![0; 60], vec![0; 60]]);
    assert_eq!(
        told(read(&wifi, None)),
        "-- octet 100: frames of link type 147 are not read; capture on another interface, or on `any`\n"
    );
    // Frames of which only the start was kept: what is there is read, and the rest is missing.
    let mut cut = segment::pcap(Spelling::PLAIN, 101, &frames[..3]);
    let long = [&b"* OK "[..], &[b'x'; 200]].concat();
    let frame = packet(false, 0xffff_fff1, 1001, ACK, &long);
    for number in [START as u32, 0, 100, frame.len() as u32] {
        cut.extend(number.to_le_bytes());
    }
    cut.extend(&frame[..100]);
    let told = told(read(&cut, None));
    assert!(told.contains("the end of 1 frame was not captured"), "{told}");
    assert!(told.contains("1 S: * OK xxx"), "{told}");
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

    #[test]
    fn octets_that_are_changed_break_nothing(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        link in prop::sample::select(vec![0_u16, 1, 1001, 101, 113, 276]),
        ng in any::<bool>(),
    ) {
        let frames = segment::conversation(link, CLIENT, SERVER, &TURNS);
        let mut file = if ng { segment::pcapng(Spelling::PLAIN, link, &frames) } else { segment::pcap(Spelling::PLAIN, link, &frames) };
        let len = file.len();
        for (at, octet) in changes {
            file[at.index(len)] = octet;
        }
        let kind = if ng { Kind::Pcapng } else { Kind::Pcap };
        if let Ok(pieces) = foreign::read(Cursor::new(file), kind, "file", None) {
            let _ = told(pieces);
        }
    }

    /// A stream in pieces of any size, with pieces that come twice, overlap and change places, is the same stream.
    #[test]
    fn any_order_on_the_wire_gives_the_same(
        octets in proptest::collection::vec(any::<u8>(), 20..3000),
        first in any::<u32>(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 1_usize..200), 0..40),
        swaps in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        size in 1_usize..300,
    ) {
        let octets = [&b"* OK "[..], &octets].concat();
        let mut pieces: Vec<(usize, usize)> =
            (0..octets.len()).step_by(size).map(|at| (at, (at + size).min(octets.len()))).collect();
        for (at, len) in cuts {
            let at = at.index(octets.len());
            let place = at.min(pieces.len());
            pieces.insert(place, (at, (at + len).min(octets.len())));
        }
        // Neighbours change places, as on a real path; the client acknowledges nothing that it has not got.
        for at in swaps {
            let at = at.index(pieces.len());
            if at > 0 {
                pieces.swap(at - 1, at);
            }
        }
        let mut frames = vec![packet(true, 7, 0, SYN, b""), packet(false, first, 8, SYN | ACK, b"")];
        let next = first.wrapping_add(1);
        frames.extend(pieces.iter().map(|&(start, stop)| packet(false, next.wrapping_add(start as u32), 8, ACK, &octets[start..stop])));
        frames.push(packet(false, next.wrapping_add(octets.len() as u32), 8, FIN | ACK, b""));
        let file = segment::pcap(Spelling::PLAIN, 101, &frames);
        let mut found = Vec::new();
        for piece in read(&file, None) {
            match piece {
                Piece::Octets { from: Peer::Server, bytes, .. } => found.extend(bytes),
                Piece::Remark { text, .. } => prop_assert!(!text.contains("not in the capture"), "{}", text),
                _ => {}
            }
        }
        prop_assert!(found == octets);
    }
}
