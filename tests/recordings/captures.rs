//! Captures of other programs: every spelling, link and tunnel, order on the wire, what is missing or damaged, and how protocols and
//! TLS are recognised (text and raw logs: `foreign.rs`).

use std::io::Cursor;

use crate::foreign::{read, told};
use crate::segment::{self, ACK, CLIENT, FIN, RST, SERVER, START, SYN, Spelling};
use imapscope::event::Peer;
use imapscope::foreign::{self, Kind, Piece};
use proptest::prelude::*;

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
