//! Every pairing of legs: plain, TLS from the first octet, a STARTTLS that the client asks for, and one of our own. In each
//! the peers understand each other, the log reads all of it, and no secret is in it.

use std::net::SocketAddr;
use std::sync::Arc;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::secure::{End, Office, Set, Stage, When, accept, give, listen, soon, take};
use imapscope::event::{Closer, Peer};
use imapscope::net::tls::Means;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// When TLS begins on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    /// Never: the client does not ask.
    Plain,
    /// With the first octet.
    First,
    /// When the client asks the server.
    Asked,
    /// By a STARTTLS of ours.
    Own,
}

const LEGS: [Leg; 4] = [Leg::Plain, Leg::First, Leg::Asked, Leg::Own];

/// How a protocol goes.
struct Speech {
    protocol: &'static str,
    /// What the server greets with where it offers TLS, and where it does not.
    greetings: [&'static str; 2],
    /// What we say to begin TLS by ourselves, and the replies.
    own: &'static [(&'static str, &'static str)],
    /// A client's question for the list, with the replies where TLS is offered and where it is not.
    list: Option<(&'static str, [&'static str; 2])>,
    /// The client asks for TLS; the server's consent, its refusal, and what we say in its place.
    asks: (&'static str, &'static str, &'static str, &'static str),
    /// The server's list behind TLS, where it comes unasked.
    unasked: &'static str,
    /// A login, and its reply.
    login: (&'static str, &'static str),
}

const SPEECHES: [Speech; 4] = [
    Speech {
        protocol: "imap",
        greetings: ["* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n", "* OK [CAPABILITY IMAP4rev1] hi\r\n"],
        own: &[("imapscope1 STARTTLS\r\n", "imapscope1 OK go\r\n")],
        list: Some((
            "a CAPABILITY\r\n",
            ["* CAPABILITY IMAP4rev1 STARTTLS\r\na OK\r\n", "* CAPABILITY IMAP4rev1\r\na OK\r\n"],
        )),
        asks: ("b STARTTLS\r\n", "b OK go\r\n", "b BAD no\r\n", "b OK begin TLS now [imapscope]\r\n"),
        unasked: "",
        login: ("c LOGIN alice wonderland7\r\n", "c OK in\r\n"),
    },
    Speech {
        protocol: "smtp",
        greetings: ["220 h\r\n", "220 h\r\n"],
        own: &[("EHLO [127.0.0.1]\r\n", "250-h\r\n250 STARTTLS\r\n"), ("STARTTLS\r\n", "220 go\r\n")],
        list: Some(("EHLO c\r\n", ["250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "250-h\r\n250 AUTH PLAIN\r\n"])),
        asks: ("STARTTLS\r\n", "220 go\r\n", "502 no\r\n", "220 begin TLS now [imapscope]\r\n"),
        unasked: "",
        login: ("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ3\r\n", "235 in\r\n"),
    },
    Speech {
        protocol: "pop3",
        greetings: ["+OK hi\r\n", "+OK hi\r\n"],
        own: &[("STLS\r\n", "+OK go\r\n")],
        list: Some(("CAPA\r\n", ["+OK\r\nSASL PLAIN\r\nSTLS\r\n.\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n"])),
        asks: ("STLS\r\n", "+OK go\r\n", "-ERR no\r\n", "+OK begin TLS now [imapscope]\r\n"),
        unasked: "",
        login: ("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ3\r\n", "+OK in\r\n"),
    },
    Speech {
        protocol: "managesieve",
        greetings: ["\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\n", "\"SASL\" \"PLAIN\"\r\nOK\r\n"],
        own: &[("STARTTLS\r\n", "OK\r\n")],
        list: None,
        asks: ("STARTTLS\r\n", "OK\r\n", "NO\r\n", "OK \"begin TLS now [imapscope]\"\r\n"),
        unasked: "\"SASL\" \"PLAIN\"\r\nOK\r\n",
        login: ("AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHdvbmRlcmxhbmQ3\"\r\n", "OK\r\n"),
    },
];

/// Opens a relay between such legs.
async fn open(office: &Office, speech: &Speech, legs: [Leg; 2], server: SocketAddr) -> (Stage, Arc<ClientConfig>) {
    open_with(office, speech, legs, server, None).await
}

/// The same with a rule.
async fn open_with(
    office: &Office,
    speech: &Speech,
    legs: [Leg; 2],
    server: SocketAddr,
    rule: Option<&str>,
) -> (Stage, Arc<ClientConfig>) {
    let (identity, believer) = office.identity();
    let trust = office.trust();
    let means = (legs.iter().all(|leg| matches!(leg, Leg::Plain | Leg::Asked))).then(|| {
        let both = (identity.clone().unwrap(), trust.clone().unwrap());
        Arc::new(Means::new(move || Ok(both.clone())))
    });
    let has = |leg: Leg| matches!(leg, Leg::First | Leg::Own);
    let set = Set {
        protocol: speech.protocol,
        identity: identity.filter(|_| has(legs[0])),
        trust: trust.filter(|_| has(legs[1])),
        means,
        own: legs.map(|leg| leg == Leg::Own),
        rule,
        ..Set::default()
    };
    (Stage::open(set, server).await, believer)
}

async fn tls_with_server(office: &Office, server: Box<dyn End>) -> Box<dyn End> {
    let config = office.server(&["localhost"], When::Now);
    Box::new(soon(TlsAcceptor::from(config).accept(server)).await.unwrap())
}

async fn tls_with_client(believer: &Arc<ClientConfig>, client: Box<dyn End>) -> Box<dyn End> {
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(soon(TlsConnector::from(believer.clone()).connect(name, client)).await.unwrap())
}

/// The server says this, and the client hears it.
async fn tells(from: &mut Box<dyn End>, said: &str, to: &mut Box<dyn End>, heard: &str) {
    give(from, said.as_bytes()).await;
    assert_eq!(String::from_utf8(take(to, heard.len()).await).unwrap(), heard);
}

/// One session over such legs.
async fn session(office: &Office, speech: &Speech, legs: [Leg; 2]) -> String {
    let (listener, address) = listen().await;
    let (stage, believer) = open(office, speech, legs, address).await;
    let [client_leg, server_leg] = legs;
    let config = office.server(&["localhost"], When::Now);
    let (client, server) = tokio::join!(
        stage.client((client_leg == Leg::First).then_some(&believer)),
        accept(&listener, (server_leg == Leg::First).then_some(&config))
    );
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    // What the server offers, and what the client is to see.
    let mut offers = matches!(server_leg, Leg::Asked | Leg::Own);
    let greeting = speech.greetings[usize::from(!offers)];
    if server_leg == Leg::Own {
        give(&mut server, greeting.as_bytes()).await;
        for (ours, reply) in speech.own {
            assert_eq!(String::from_utf8(take(&mut server, ours.len()).await).unwrap(), *ours);
            give(&mut server, reply.as_bytes()).await;
        }
        server = tls_with_server(office, server).await;
        offers = false;
        let plain = speech.greetings[1].replace("[CAPABILITY IMAP4rev1] ", "");
        let seen =
            speech.greetings[usize::from(client_leg != Leg::Own)].replace("[CAPABILITY IMAP4rev1 STARTTLS] ", "");
        match speech.unasked {
            "" => {
                let heard = take(&mut client, plain.len()).await;
                assert_eq!(String::from_utf8(heard).unwrap(), plain);
            }
            list => tells(&mut server, list, &mut client, &seen).await,
        }
    } else {
        let seen = speech.greetings[usize::from(!offers && client_leg != Leg::Own)];
        tells(&mut server, greeting, &mut client, seen).await;
    }
    if let Some((question, lists)) = speech.list {
        tells(&mut client, question, &mut server, question).await;
        let seen = lists[usize::from(!offers && client_leg != Leg::Own)];
        tells(&mut server, lists[usize::from(!offers)], &mut client, seen).await;
    }
    let (asks, consent, refusal, ours) = speech.asks;
    if client_leg == Leg::Own {
        give(&mut client, asks.as_bytes()).await;
        assert_eq!(String::from_utf8(take(&mut client, ours.len()).await).unwrap(), ours);
        client = tls_with_client(&believer, client).await;
        if !speech.unasked.is_empty() {
            let heard = take(&mut client, speech.unasked.len()).await;
            assert_eq!(String::from_utf8(heard).unwrap(), speech.unasked);
        }
        if let Some((question, lists)) = speech.list {
            tells(&mut client, question, &mut server, question).await;
            tells(&mut server, lists[usize::from(!offers)], &mut client, lists[1]).await;
        }
    } else if client_leg == Leg::Asked {
        tells(&mut client, asks, &mut server, asks).await;
        if server_leg == Leg::Asked {
            give(&mut server, consent.as_bytes()).await;
            server = tls_with_server(office, server).await;
            assert_eq!(String::from_utf8(take(&mut client, consent.len()).await).unwrap(), consent);
            client = tls_with_client(&believer, client).await;
            if !speech.unasked.is_empty() {
                tells(&mut server, speech.unasked, &mut client, speech.unasked).await;
            }
            if let Some((question, lists)) = speech.list {
                tells(&mut client, question, &mut server, question).await;
                tells(&mut server, lists[1], &mut client, lists[1]).await;
            }
        } else {
            tells(&mut server, refusal, &mut client, refusal).await;
        }
    }
    tells(&mut client, speech.login.0, &mut server, speech.login.0).await;
    tells(&mut server, speech.login.1, &mut client, speech.login.1).await;
    drop((client, server));
    stage.closed().await.2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_pairing_of_legs_is_relayed_and_read() {
    let office = Office::open();
    for speech in &SPEECHES {
        for client in LEGS {
            for server in LEGS {
                let log = session(&office, speech, [client, server]).await;
                let both = client == Leg::Asked && server == Leg::Asked;
                let has = |leg: Leg| matches!(leg, Leg::First | Leg::Own) || both;
                let place = format!("{} {client:?} {server:?}\n{log}", speech.protocol);
                assert_eq!(log.contains("TLS 1.3 with the client"), has(client), "{place}");
                assert_eq!(log.contains("TLS 1.3 with the server"), has(server), "{place}");
                assert!(log.contains("alice") && !log.contains("wonderland7"), "{place}");
                let unoffered = client == Leg::Asked && server != Leg::Asked;
                assert_eq!(log.contains("! "), unoffered, "nobody else broke a rule: {place}");
                assert!(!log.contains("cannot be read"), "{place}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_begin_tls_gets_nothing() {
    let office = Office::open();
    let long = format!("* OK {}\r\n", "x".repeat(70_000));
    for (speech, greeting, replies, why) in [
        (
            0,
            "* OK hi\r\n",
            &["imapscope1 BAD \x1b[1mno\r\n"][..],
            "refused to begin TLS, it said \"imapscope1 BAD \\x1b[1mno\"",
        ),
        (0, "* PREAUTH hi\r\n", &[], "PREAUTH"),
        (0, "* BYE full\r\n", &[], "ended the session before TLS began, it said \"* BYE full\""),
        (1, "220 h\r\n", &["250 h\r\n", "502 what?\r\n"], "refused to begin TLS, it said \"502 what?\""),
        (1, "220 h\r\n", &["500 what?\r\n", "454 not now\r\n"], "it said \"454 not now\""),
        (1, "421 busy\r\n", &[], "it said \"421 busy\""),
        (2, "+OK hi\r\n", &["-ERR no\r\n"], "refused to begin TLS"),
        (3, "\"SASL\" \"\"\r\nOK\r\n", &["NO\r\n"], "refused to begin TLS"),
        (0, "\x16\x03\x01hello hello hello", &[], "does not begin in plain text"),
        (1, "554 not you\r\n", &[], "the server refused the connection, it said \"554 not you\""),
        (2, "-ERR down\r\n", &[], "the server refused the connection, it said \"-ERR down\""),
        (0, long.as_str(), &[], "greeting is too long"),
    ] {
        let (listener, address) = listen().await;
        let (stage, _) = open(&office, &SPEECHES[speech], [Leg::Plain, Leg::Own], address).await;
        let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        give(&mut client, b"a LOGIN alice wonderland7\r\n").await;
        give(&mut server, greeting.as_bytes()).await;
        for ((ours, _), reply) in SPEECHES[speech].own.iter().zip(replies) {
            assert_eq!(String::from_utf8(take(&mut server, ours.len()).await).unwrap(), *ours);
            give(&mut server, reply.as_bytes()).await;
        }
        for end in [&mut client, &mut server] {
            let mut rest = Vec::new();
            let _ = soon(end.read_to_end(&mut rest)).await;
            assert_eq!(rest, b"", "{greeting}");
        }
        let (closed, _, log) = stage.closed().await;
        assert_eq!(closed.by, Closer::Tls(Peer::Server), "{log}");
        assert!(closed.why.as_ref().is_some_and(|said| said.contains(why)), "{greeting}: {:?}", closed.why);
        assert!(!log.contains("wonderland7") && !log.contains('\x1b'), "{log}");
        assert!(!log.contains("! client"), "what we say is not the client's fault: {log}");
    }
}

/// A relay whose client leg has a STARTTLS of ours, in front of a plain server that has greeted.
async fn offered(office: &Office, speech: &Speech) -> (Stage, Arc<ClientConfig>, Box<dyn End>, Box<dyn End>) {
    let (listener, address) = listen().await;
    let (stage, believer) = open(office, speech, [Leg::Own, Leg::Plain], address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    tells(&mut server, speech.greetings[1], &mut client, speech.greetings[0]).await;
    (stage, believer, client, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_answer_overtakes_none_of_the_servers_and_the_server_hears_nothing_of_the_question() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = offered(&office, &SPEECHES[1]).await;
    tells(&mut client, "EHLO c\r\n", &mut server, "EHLO c\r\n").await;
    let list = "250-h\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
    tells(&mut server, "250-h\r\n250 PIPELINING\r\n", &mut client, list).await;
    give(&mut client, b"NOOP\r\nHELP\r\nSTAR").await;
    assert_eq!(take(&mut server, 12).await, b"NOOP\r\nHELP\r\n");
    give(&mut client, b"TTLS\r\n").await;
    tells(&mut server, "250 1\r\n", &mut client, "250 1\r\n").await;
    tells(&mut server, "250 2\r\n", &mut client, "250 2\r\n220 begin TLS now [imapscope]\r\n").await;
    let mut client = tls_with_client(&believer, client).await;
    tells(&mut client, "QUIT\r\n", &mut server, "QUIT\r\n").await;
    tells(&mut server, "221 bye\r\n", &mut client, "221 bye\r\n").await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("not for the server: it is between the client and imapscope"), "{log}");
    assert!(log.contains("said by imapscope; the server does not say this"), "{log}");
    assert!(log.contains("answers QUIT") && !log.contains("! "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_answer_stands_between_the_servers_lines() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = offered(&office, &SPEECHES[0]).await;
    give(&mut server, b"* 5 EX").await;
    give(&mut client, b"a NOOP\r\nb STARTTLS\r\n").await;
    assert_eq!(take(&mut server, 8).await, b"a NOOP\r\n");
    let consent = b"b OK begin TLS now [imapscope]\r\n";
    assert_eq!(take(&mut client, consent.len()).await, consent);
    let mut client = tls_with_client(&believer, client).await;
    tells(&mut server, "ISTS\r\na OK\r\n", &mut client, "* 5 EXISTS\r\na OK\r\n").await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("answers a NOOP") && !log.contains("! "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_slipped_in_behind_the_question_to_us_is_carried_to_nobody() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = offered(&office, &SPEECHES[2]).await;
    give(&mut client, b"STLS\r\nDELE 1\r\n").await;
    let consent = b"+OK begin TLS now [imapscope]\r\n";
    assert_eq!(take(&mut client, consent.len()).await, consent);
    let mut client = tls_with_client(&believer, client).await;
    tells(&mut client, "NOOP\r\n", &mut server, "NOOP\r\n").await;
    tells(&mut server, "+OK\r\n", &mut client, "+OK\r\n").await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("DELE 1") && log.contains("plain text behind STARTTLS"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_wait_for_the_answer_to_starttls_is_not_waited_for() {
    let office = Office::open();
    let (listener, address) = listen().await;
    let (stage, _) = open(&office, &SPEECHES[0], [Leg::Asked, Leg::Asked], address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    tells(&mut server, "* OK hi\r\n", &mut client, "* OK hi\r\n").await;
    tells(&mut client, "a STARTTLS\r\n", &mut server, "a STARTTLS\r\n").await;
    drop(client);
    let mut rest = Vec::new();
    soon(server.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"", "the server hears of the end although it has not answered");
    give(&mut server, b"a OK go\r\n").await;
    let (closed, _, log) = stage.closed().await;
    assert_eq!(closed.by, Closer::Peer(Peer::Client), "{log}");
}

/// Compresses, so that all of it can be read at once.
fn packed(stream: &mut Compress, plain: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 256);
    stream.compress_vec(plain.as_bytes(), &mut out, FlushCompress::Sync).unwrap();
    out
}

/// Reads until so much plain text has come.
async fn unpacked(stream: &mut Decompress, from: &mut Box<dyn End>, count: usize) -> String {
    let mut plain = Vec::with_capacity(count + 64);
    while plain.len() < count {
        let octet = take(from, 1).await;
        stream.decompress_vec(&octet, &mut plain, FlushDecompress::Sync).unwrap();
    }
    String::from_utf8(plain).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compressed_under_tls_is_read_and_edited() {
    let office = Office::open();
    for rule in [None, Some("drop-capability IDLE")] {
        for [client_leg, server_leg] in [[Leg::First, Leg::First], [Leg::Own, Leg::Own], [Leg::Plain, Leg::First]] {
            let (listener, address) = listen().await;
            let (stage, believer) = open_with(&office, &SPEECHES[0], [client_leg, server_leg], address, rule).await;
            let config = office.server(&["localhost"], When::Now);
            let (client, server) = tokio::join!(
                stage.client((client_leg == Leg::First).then_some(&believer)),
                accept(&listener, (server_leg == Leg::First).then_some(&config))
            );
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            give(&mut server, b"* OK hi\r\n").await;
            if server_leg == Leg::Own {
                take(&mut server, SPEECHES[0].own[0].0.len()).await;
                give(&mut server, SPEECHES[0].own[0].1.as_bytes()).await;
                server = tls_with_server(&office, server).await;
            }
            assert_eq!(take(&mut client, 9).await, b"* OK hi\r\n");
            if client_leg == Leg::Own {
                give(&mut client, b"x STARTTLS\r\n").await;
                take(&mut client, "x OK begin TLS now [imapscope]\r\n".len()).await;
                client = tls_with_client(&believer, client).await;
            }
            tells(&mut client, "a COMPRESS DEFLATE\r\n", &mut server, "a COMPRESS DEFLATE\r\n").await;
            // The first compressed octets come in the record of the consent.
            let (mut here, mut there) = (Compress::new(Compression::default(), false), Decompress::new(false));
            let list = "* CAPABILITY IMAP4rev1 IDLE\r\n";
            let both = [b"a OK\r\n".to_vec(), packed(&mut here, list)].concat();
            give(&mut server, &both).await;
            assert_eq!(take(&mut client, 6).await, b"a OK\r\n");
            let want = if rule.is_some() { "* CAPABILITY IMAP4rev1\r\n" } else { list };
            assert_eq!(unpacked(&mut there, &mut client, want.len()).await, want);
            let (mut asks, mut heard) = (Compress::new(Compression::default(), false), Decompress::new(false));
            let question = "b LOGIN alice wonderland7\r\n";
            for octet in packed(&mut asks, question) {
                give(&mut client, &[octet]).await;
            }
            assert_eq!(unpacked(&mut heard, &mut server, question.len()).await, question);
            let answer = packed(&mut here, "b OK in\r\n");
            give(&mut server, &answer).await;
            assert_eq!(unpacked(&mut there, &mut client, 9).await, "b OK in\r\n");
            drop((client, server));
            let (_, _, log) = stage.closed().await;
            assert!(log.contains("logged in as alice") && !log.contains("wonderland7"), "{log}");
            assert!(log.contains("DEFLATE begins") && log.contains("of them compressed"), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_says_in_place_of_tls_is_not_shown() {
    let office = Office::open();
    let (stage, _, mut client, server) = offered(&office, &SPEECHES[0]).await;
    tells_us(&mut client, "a STARTTLS\r\n", "a OK begin TLS now [imapscope]\r\n").await;
    give(&mut client, b"b LOGIN alice wonderland7\r\n").await;
    let (closed, _, log) = stage.closed().await;
    let why = closed.why.unwrap_or_default();
    assert!(why.contains("goes on in plain text") && !why.contains("--starttls"), "{why}");
    assert!(closed.by == Closer::Tls(Peer::Client) && !log.contains("wonderland7"), "{log}");
    drop((client, server));
}

/// The client says this, and hears our answer.
async fn tells_us(client: &mut Box<dyn End>, said: &str, heard: &str) {
    give(client, said.as_bytes()).await;
    assert_eq!(String::from_utf8(take(client, heard.len()).await).unwrap(), heard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_both_peers_though_our_answer_was_never_due() {
    let office = Office::open();
    let (stage, _, mut client, mut server) = offered(&office, &SPEECHES[1]).await;
    give(&mut client, b"NOOP\r\nSTARTTLS\r\nQUIT\r\n").await;
    assert_eq!(take(&mut server, 6).await, b"NOOP\r\n");
    drop(server);
    let mut rest = Vec::new();
    let _ = soon(client.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    drop(client);
    let (closed, _, log) = stage.closed().await;
    assert_eq!(closed.by, Closer::Peer(Peer::Server), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_answer_has_the_whole_tag_and_waits_for_those_before_it_with_the_same_one() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = offered(&office, &SPEECHES[0]).await;
    let long = format!("{} STARTTLS\r\n", "t".repeat(129));
    tells(&mut client, &long, &mut server, &long).await;
    let refusal = format!("{} BAD no\r\n", "t".repeat(129));
    tells(&mut server, &refusal, &mut client, &refusal).await;
    give(&mut client, b"a NOOP\r\na STARTTLS\r\n").await;
    assert_eq!(take(&mut server, 8).await, b"a NOOP\r\n");
    tells(&mut server, "a OK 1\r\n", &mut client, "a OK 1\r\na OK begin TLS now [imapscope]\r\n").await;
    let mut client = tls_with_client(&believer, client).await;
    tells(&mut client, "b NOOP\r\n", &mut server, "b NOOP\r\n").await;
    tells(&mut server, "b OK 2\r\n", &mut client, "b OK 2\r\n").await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("answers b NOOP") && !log.contains("opaque"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_the_server_has_tls_is_who_ended_it() {
    let office = Office::open();
    let (listener, address) = listen().await;
    let (stage, _) = open(&office, &SPEECHES[0], [Leg::Plain, Leg::Own], address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let mut server = server.unwrap();
    give(&mut server, b"* OK hi\r\n").await;
    assert_eq!(take(&mut server, 21).await, b"imapscope1 STARTTLS\r\n");
    drop(client);
    let mut rest = Vec::new();
    soon(server.read_to_end(&mut rest)).await.unwrap();
    drop(server);
    let (closed, _, log) = stage.closed().await;
    assert_eq!((closed.by, closed.why), (Closer::Peer(Peer::Client), None), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_list_cannot_be_told_again_the_server_is_asked_for_tls() {
    let office = Office::open();
    let (listener, address) = listen().await;
    let (stage, _) = open(&office, &SPEECHES[3], [Leg::Own, Leg::Plain], address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let greeting = "\"IMPLEMENTATION\" {1}\r\nx\r\n\"SASL\" \"PLAIN\"\r\nOK {2}\r\nhi\r\n";
    tells(&mut server, greeting, &mut client, greeting).await;
    tells(&mut client, "STARTTLS\r\n", &mut server, "STARTTLS\r\n").await;
    tells(&mut server, "NO\r\n", &mut client, "NO\r\n").await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("answers STARTTLS") && log.contains("not-auth STARTTLS"), "{log}");
}

#[test]
fn a_line_of_the_servers_around_our_answer_stays_whole_where_no_rule_looks_at_it() {
    use imapscope::grammar::Grammar;
    use imapscope::rules::Rules;
    use imapscope::session::{Outbox, Session};
    let grammar = Grammar::builtin("imap").unwrap();
    let mut session = Session::new(1, grammar, Arc::new(Rules::default())).offering_tls();
    let (mut out, mut sent) = (Outbox::default(), [Vec::new(), Vec::new()]);
    let steps: [(Peer, &[u8]); 6] = [
        (Peer::Server, b"* OK hi\r\n* 5 EX"),
        (Peer::Client, b"a STARTTLS\r\n"),
        (Peer::Server, b"IS"),
        (Peer::Server, b"TS\r\n* 6"),
        (Peer::Server, b" EXISTS"),
        (Peer::Server, b"\r\n"),
    ];
    for (from, octets) in steps {
        assert_eq!(session.receive(from, octets, &mut out), octets.len());
        for to in [Peer::Client, Peer::Server] {
            sent[to.index()].extend(out.pieces(to, octets).flatten());
        }
        if out.upgrade.take().is_some() {
            session.secured();
        }
        out.clear();
    }
    assert_eq!(sent[0].escape_ascii().to_string(), r"* OK hi\r\n* 5 EXISTS\r\n* 6 EXISTS\r\n");
    assert!(sent[1].is_empty());
}
