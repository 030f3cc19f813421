//! What faults do to a connection, on loopback: octets wait, leave slowly or in slices and stay what they are; a stall
//! holds one direction and sees its peers leave; a close and a reset are what they are called. Clocks are real and short:
//! only that something takes long enough is asserted.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::rig::{Rig, noise, read_all, server, soon};
use crate::secure::{self, Office, Set, Stage, When, accept, give, take};
use imapscope::event::{Closer, Event, Peer, What};
use imapscope::net::Limits;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);

async fn say(socket: &mut TcpStream, octets: &[u8]) {
    soon(socket.write_all(octets)).await.unwrap();
}

async fn hear(socket: &mut TcpStream, octets: &[u8]) {
    let mut got = vec![0; octets.len()];
    soon(socket.read_exact(&mut got)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(octets));
}

/// Nothing comes for a while.
async fn silence(socket: &mut TcpStream) {
    let read = timeout(150 * MS, socket.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

async fn started(protocol: &'static str, rules: &[&str]) -> (Rig, TcpStream, TcpStream) {
    let (listener, address) = server().await;
    let rig = Rig::ruled(address, Limits::default(), protocol, rules).await;
    let (here, there) = rig.pair(&listener).await;
    (rig, here, there)
}

#[tokio::test]
async fn a_delay_holds_one_direction_only() {
    let (mut rig, mut here, mut there) = started("imap", &["delay 700ms when state == greeting"]).await;
    let begun = Instant::now();
    say(&mut there, b"* OK hi\r\n").await;
    sleep(50 * MS).await;
    say(&mut here, b"a NOOP\r\n").await;
    hear(&mut there, b"a NOOP\r\n").await;
    assert_eq!(here.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "the greeting waits still");
    say(&mut there, b"a OK done\r\n").await;
    hear(&mut here, b"* OK hi\r\na OK done\r\n").await;
    assert!(begun.elapsed() >= 690 * MS, "{:?}", begun.elapsed());
    drop((here, there));
    let (events, closed) = rig.closed(1).await;
    assert_eq!((closed.sent, closed.received), ([20, 8], [8, 20]));
    let answers = events.iter().filter(|event| matches!(&event.what, What::Text(text) if text.answers.is_some()));
    assert_eq!(answers.count(), 1, "answers find their commands");
    rig.end().await;
}

#[tokio::test]
async fn a_delay_holds_a_response_once_and_with_per_line_each_line() {
    const LINES: &[u8] =
        b"* FLAGS ()\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UIDNEXT 4] x\r\n* OK [UIDVALIDITY 1] x\r\na OK done\r\n";
    let took = async |rule: &'static str| {
        let (rig, mut here, mut there) = started("imap", &[rule]).await;
        say(&mut there, b"* PREAUTH hi\r\n").await;
        hear(&mut here, b"* PREAUTH hi\r\n").await;
        say(&mut here, b"a SELECT INBOX\r\n").await;
        hear(&mut there, b"a SELECT INBOX\r\n").await;
        let begun = Instant::now();
        for line in LINES.split_inclusive(|byte| *byte == b'\n') {
            say(&mut there, line).await;
        }
        hear(&mut here, LINES).await;
        drop((here, there));
        rig.end().await;
        begun.elapsed()
    };
    let once = took("delay 400ms when command == SELECT && from == server").await;
    let each = took("delay 400ms when command == SELECT && from == server per-line").await;
    assert!(once >= 390 * MS && once < 1900 * MS, "{once:?}");
    assert!(each >= 2390 * MS, "{each:?}");
    // What may leave at once, 20 bytes, is that of the response, and not of each line: none is much longer.
    let slow = took("throttle 200 when command == SELECT && from == server").await;
    assert!(slow >= 300 * MS, "{slow:?}");
}

#[tokio::test]
async fn an_interrupt_ends_a_delay_at_once() {
    let (mut rig, mut here, mut there) = started("imap", &["delay 1h", "slice 1"]).await;
    say(&mut there, b"* OK hi\r\n").await;
    silence(&mut here).await;
    rig.stop.send_replace(true);
    assert_eq!(read_all(&mut here).await, b"");
    let (_, closed) = rig.closed(1).await;
    assert_eq!((closed.by, closed.sent[0]), (Closer::Ours, 0));
    rig.end().await;
}

#[tokio::test]
async fn slow_octets_are_the_same_octets() {
    let body = noise(3, 3000);
    let mut all = b"* 1 FETCH (BODY[] {3000}\r\n".to_vec();
    all.extend_from_slice(&body);
    all.extend_from_slice(b")\r\n* 2 EXISTS\r\n");
    for rules in [
        &["slice 7 when text ~ /FETCH/"][..],
        &["throttle 20k at-byte 10 when text ~ /FETCH/"],
        &["delay 50ms at-byte 1", "delay 50ms at-byte 2999"],
        &["slice 100", "throttle 30k", "delay 10ms at-byte 1500"],
    ] {
        let (rig, mut here, mut there) = started("imap", rules).await;
        let begun = Instant::now();
        let mut rest = &all[..];
        for size in noise(5, 60) {
            let (chunk, after) = rest.split_at(rest.len().min(usize::from(size)));
            say(&mut there, chunk).await;
            rest = after;
            tokio::task::yield_now().await;
        }
        say(&mut there, rest).await;
        there.shutdown().await.unwrap();
        assert!(read_all(&mut here).await == all, "{rules:?}");
        if rules[0].starts_with("throttle") {
            // All but the tenth of a second that may leave at once.
            assert!(begun.elapsed() >= 45 * MS, "{:?}", begun.elapsed());
        }
        drop((here, there));
        rig.end().await;
    }
}

#[tokio::test]
async fn a_stall_in_a_literal_sees_its_receiver_leave_and_stays_small() {
    let (mut rig, mut here, mut there) = started("imap", &["stall at-byte 4 when text ~ /FETCH/"]).await;
    say(&mut there, b"* 1 FETCH (BODY[] {900000000}\r\nabcdef").await;
    hear(&mut here, b"* 1 FETCH (BODY[] {900000000}\r\nabcd").await;
    silence(&mut here).await;
    say(&mut here, b"a NOOP\r\n").await;
    hear(&mut there, b"a NOOP\r\n").await;
    // A server that floods is not read: what it can write is what sockets take.
    let (chunk, mut wrote) = (vec![b'x'; 1 << 16], 0);
    while let Ok(done) = timeout(500 * MS, there.write(&chunk)).await {
        wrote += done.unwrap();
        assert!(wrote < 64 << 20, "it is read all the same");
    }
    here.shutdown().await.unwrap();
    let (_, closed) = rig.closed(1).await;
    assert_eq!((closed.by, closed.sent[0]), (Closer::Peer(Peer::Client), 35));
    assert!(closed.received[1] < 1 << 20, "{}", closed.received[1]);
    rig.end().await;
}

#[tokio::test]
async fn a_stall_within_a_text_sees_its_sender_leave_that_says_no_more() {
    for from in [Peer::Client, Peer::Server] {
        let (mut rig, mut here, mut there) = started("imap", &["stall at-byte 4 when text ~ /NOOP/"]).await;
        say(&mut there, b"* OK hi\r\n").await;
        hear(&mut here, b"* OK hi\r\n").await;
        let (sender, receiver) = if from == Peer::Client { (&mut here, &mut there) } else { (&mut there, &mut here) };
        say(sender, b"* NOOP\r\n").await;
        hear(receiver, b"* NO").await;
        silence(receiver).await;
        sender.shutdown().await.unwrap();
        assert_eq!(read_all(receiver).await, b"", "nothing of it leaves in the end");
        assert_eq!(rig.closed(1).await.1.by, Closer::Peer(from));
        rig.end().await;
    }
}

#[tokio::test]
async fn a_stall_sees_its_sender_leave_and_the_idle_limit() {
    for from in [Peer::Client, Peer::Server] {
        let (mut rig, mut here, mut there) = started("imap", &["stall when text ~ /NOOP/"]).await;
        say(&mut there, b"* OK hi\r\n").await;
        hear(&mut here, b"* OK hi\r\n").await;
        let (sender, receiver) = if from == Peer::Client { (&mut here, &mut there) } else { (&mut there, &mut here) };
        say(sender, b"* NOOP\r\n").await;
        silence(receiver).await;
        say(sender, b"* more\r\n").await;
        sender.shutdown().await.unwrap();
        assert_eq!(read_all(receiver).await, b"", "nothing of it leaves in the end");
        assert_eq!(rig.closed(1).await.1.by, Closer::Peer(from));
        rig.end().await;
    }
    let (listener, address) = server().await;
    let limits = Limits { idle_timeout: Some(200 * MS), ..Limits::default() };
    let mut rig = Rig::ruled(address, limits, "imap", &["stall"]).await;
    let (mut here, mut there) = rig.pair(&listener).await;
    say(&mut there, b"* OK hi\r\n").await;
    assert_eq!(read_all(&mut here).await, b"");
    let (_, closed) = rig.closed(1).await;
    assert!(closed.by == Closer::Ours && closed.why.as_ref().is_some_and(|why| why.contains("idle")), "{closed:?}");
    rig.end().await;
}

#[tokio::test]
async fn a_close_is_clean_and_what_is_before_it_arrives() {
    let rule = "close at-byte 10 when command == DATA && from == client";
    let (mut rig, mut here, mut there) = started("smtp", &[rule]).await;
    for (said, answer) in [
        (&b""[..], &b"220 h\r\n"[..]),
        (b"HELO c\r\n", b"250 h\r\n"),
        (b"MAIL FROM:<a>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<b>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
    ] {
        say(&mut here, said).await;
        hear(&mut there, said).await;
        say(&mut there, answer).await;
        hear(&mut here, answer).await;
    }
    say(&mut here, b"A: b\r\n\r\nhello\r\n.\r\n").await;
    assert_eq!(read_all(&mut there).await, b"A: b\r\n\r\nhe");
    assert_eq!(read_all(&mut here).await, b"", "an end, and no reset");
    let (_, closed) = rig.closed(1).await;
    assert_eq!(closed.why.as_deref(), Some(format!("rule `{rule}` closed the connection").as_str()));
    assert_eq!(closed.by, Closer::Ours);
    rig.end().await;
}

#[tokio::test]
async fn a_reset_meets_both_peers_of_the_second_connection_only() {
    let (listener, address) = server().await;
    let rules = ["reset at-byte 6 when conn == 2 && command == EHLO && from == server"];
    let mut rig = Rig::ruled(address, Limits::default(), "smtp", &rules).await;
    for connection in 1..=3 {
        let (mut here, mut there) = rig.pair(&listener).await;
        say(&mut there, b"220 h\r\n").await;
        hear(&mut here, b"220 h\r\n").await;
        say(&mut here, b"EHLO c\r\n").await;
        hear(&mut there, b"EHLO c\r\n").await;
        say(&mut there, b"250-h\r\n250 SIZE\r\n").await;
        if connection == 2 {
            hear(&mut here, b"250-h\r").await;
            for socket in [&mut here, &mut there] {
                assert_eq!(soon(socket.read_u8()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            }
            let (_, closed) = rig.closed(2).await;
            assert!(closed.by == Closer::Ours && closed.why.is_some_and(|why| why.ends_with(" reset the connection")));
        } else {
            hear(&mut here, b"250-h\r\n250 SIZE\r\n").await;
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn between_two_lines_of_a_reply() {
    let (rig, mut here, mut there) = started("smtp", &["delay 300ms at-byte 7 when command == EHLO"]).await;
    say(&mut there, b"220 h\r\n").await;
    hear(&mut here, b"220 h\r\n").await;
    say(&mut here, b"EHLO c\r\n").await;
    hear(&mut there, b"EHLO c\r\n").await;
    let begun = Instant::now();
    say(&mut there, b"250-h\r\n250-SIZE\r\n250 OK\r\n").await;
    hear(&mut here, b"250-h\r\n").await;
    hear(&mut here, b"250-SIZE\r\n250 OK\r\n").await;
    assert!(begun.elapsed() >= 290 * MS);
    rig.end().await;
}

#[tokio::test]
async fn very_many_small_troubles_cost_little_and_lose_nothing() {
    let (rig, mut here, mut there) = started("imap", &["slice 5"]).await;
    let all = b"* 1 EXISTS\r\n".repeat(20_000);
    let read = tokio::spawn(async move { read_all(&mut here).await });
    say(&mut there, &all).await;
    there.shutdown().await.unwrap();
    assert!(soon(read).await.unwrap() == all);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_tls_all_is_the_same() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let server_tls = office.server(&["localhost"], When::Now);
    for (action, whole) in [("slice 3", true), ("delay 100ms", true), ("close", false)] {
        let (listener, address) = secure::listen().await;
        let rule = format!("{action} at-byte 4 when text ~ /FETCH/");
        let set = Set { identity: identity.clone(), trust: office.trust(), rule: Some(&rule), ..Set::default() };
        let stage = Stage::open(set, address).await;
        let (here, there) = tokio::join!(stage.client(Some(&believer)), accept(&listener, Some(&server_tls)));
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        give(&mut there, b"* OK hi\r\n* 1 FETCH (BODY[] {6}\r\nabcdef)\r\n").await;
        let want = &b"* OK hi\r\n* 1 FETCH (BODY[] {6}\r\nabcdef)\r\n"[..if whole { 41 } else { 36 }];
        assert_eq!(String::from_utf8_lossy(&take(&mut here, want.len()).await), String::from_utf8_lossy(want));
        if !whole {
            assert_eq!(read_all(&mut here).await, b"", "with close_notify");
        }
        soon(here.shutdown()).await.unwrap();
        soon(there.shutdown()).await.unwrap();
        let (closed, _, log) = stage.closed().await;
        assert_eq!(closed.by, if whole { Closer::Peer(Peer::Client) } else { Closer::Ours }, "{log}");
    }
}

/// How many times a rule did something to the connection, as the summary counts it.
fn counted(events: &[Event], rule: &str) -> usize {
    let faults = events.iter().filter_map(|event| match &event.what {
        What::Text(text) => text.edit.as_deref(),
        _ => None,
    });
    let struck = faults.flat_map(|edit| &edit.faults).filter(|(name, _)| &**name == rule).count();
    struck - events.iter().filter(|event| matches!(&event.what, What::Missed(name) if &**name == rule)).count()
}

#[tokio::test]
async fn what_ends_a_direction_counts_once() {
    for end in ["close", "reset", "stall", "close at-byte 3", "reset at-byte 3", "stall at-byte 3"] {
        let rule = format!("{end} when text ~ /NOOP/");
        let (mut rig, mut here, mut there) = started("imap", &["delay 20ms when text ~ /a NOOP/", &rule]).await;
        say(&mut there, b"* OK hi\r\n").await;
        hear(&mut here, b"* OK hi\r\n").await;
        say(&mut here, b"a NOOP\r\nb NOOP\r\nc NOOP\r\n").await;
        if end.starts_with("stall") {
            sleep(150 * MS).await;
        } else {
            let _ = soon(there.read_to_end(&mut Vec::new())).await;
        }
        drop((here, there));
        let (events, _) = rig.closed(1).await;
        assert_eq!(counted(&events, &rule), 1, "{end}");
        rig.end().await;
    }
    // One in each direction, and the connection ends with the first.
    let rules = ["delay 500ms when text ~ /NOOP/", "reset when text ~ /NOOP/"];
    let (mut rig, mut here, mut there) = started("imap", &rules).await;
    say(&mut there, b"* OK hi\r\n").await;
    hear(&mut here, b"* OK hi\r\n").await;
    say(&mut here, b"a NOOP\r\n").await;
    say(&mut there, b"* OK NOOP\r\n").await;
    assert_eq!(soon(here.read_u8()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(counted(&rig.closed(1).await.0, rules[1]), 1);
    rig.end().await;
}

#[tokio::test]
async fn a_stalled_peer_that_says_much_is_seen_to_leave() {
    for (from, reset) in [(Peer::Client, false), (Peer::Server, false), (Peer::Client, true)] {
        let (mut rig, mut here, mut there) = started("imap", &["stall when text ~ /NOOP/"]).await;
        say(&mut there, b"* OK hi\r\n").await;
        hear(&mut here, b"* OK hi\r\n").await;
        let (mut sender, mut receiver) = if from == Peer::Client { (here, there) } else { (there, here) };
        say(&mut sender, b"* NOOP\r\n").await;
        silence(&mut receiver).await;
        // More than is read to see an end, and less than sockets take.
        say(&mut sender, &[b'x'; 40_000]).await;
        if reset {
            SockRef::from(&sender).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(sender);
        let _ = soon(receiver.read_to_end(&mut Vec::new())).await;
        assert_eq!(rig.closed(1).await.1.by, if reset { Closer::Reset(from) } else { Closer::Peer(from) });
        rig.end().await;
    }
}
