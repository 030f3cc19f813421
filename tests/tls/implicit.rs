//! TLS from the first octet, on either leg: what lies inside is relayed, read and edited as without it, ends are passed
//! on, nothing goes to a server that is not verified, and every failure says whose it is and what to do.

use std::sync::Arc;
use std::time::Duration;

use crate::secure::{self, Drip, Office, Set, Stage, When, accept, client, connect, give, listen, soon, take};
use imapscope::event::{Closed, Closer, Event, Peer, TlsFacts, Verification, What};
use imapscope::net::Limits;
use imapscope::net::tls::{Identity, Trust};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A conversation: who says what, in turn, and what the other peer gets where a rule changes it.
type Talk = &'static [(Peer, &'static str, Option<&'static str>)];

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

const IMAP: Talk = &[
    (S, "* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+] hi\r\n", Some("* OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n")),
    (C, "a LOGIN alice wonderland7\r\n", None),
    (S, "a OK in\r\n", None),
    (C, "b APPEND x {5+}\r\na\r\nb\0\r\n", None),
    (S, "b OK done\r\n", None),
];
const SMTP: Talk = &[
    (S, "220 h ESMTP\r\n", None),
    (C, "EHLO c\r\n", None),
    (S, "250-h\r\n250-SIZE 1\r\n250 AUTH PLAIN\r\n", Some("250-h\r\n250 AUTH PLAIN\r\n")),
    (C, "AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ3\r\n", None),
    (S, "235 in\r\n", None),
];
const POP3: Talk = &[
    (S, "+OK hi\r\n", None),
    (C, "CAPA\r\n", None),
    (S, "+OK\r\nUIDL\r\nUSER\r\n.\r\n", Some("+OK\r\nUSER\r\n.\r\n")),
    (C, "USER alice\r\n", None),
    (S, "+OK\r\n", None),
    (C, "PASS wonderland7\r\n", None),
    (S, "+OK in\r\n", None),
];

fn facts(events: &[Event], peer: Peer) -> Vec<&TlsFacts> {
    let its = |event: &&Event| event.from == peer;
    events
        .iter()
        .filter(its)
        .filter_map(|event| if let What::Tls(facts) = &event.what { Some(&**facts) } else { None })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_all_is_as_without_on_either_leg() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let server_tls = office.server(&["localhost"], When::Now);
    for (protocol, rule, talk) in [
        ("imap", "drop-capability IDLE", IMAP),
        ("smtp", "drop-capability SIZE", SMTP),
        ("pop3", "drop-capability UIDL", POP3),
    ] {
        for (here, there, ruled) in (0..8).map(|n| (n & 1 > 0, n & 2 > 0, n & 4 > 0)) {
            let (listener, address) = listen().await;
            let set = Set {
                protocol,
                identity: identity.clone().filter(|_| here),
                trust: office.trust().filter(|_| there),
                rule: ruled.then_some(rule),
                ..Set::default()
            };
            let stage = Stage::open(set, address).await;
            let (at_client, at_server) =
                tokio::join!(stage.client(here.then_some(&believer)), accept(&listener, there.then_some(&server_tls)));
            let mut ends = [at_client.unwrap(), at_server.unwrap()];
            for (from, said, edited) in talk {
                let heard = edited.filter(|_| ruled).unwrap_or(said);
                give(&mut ends[from.index()], said.as_bytes()).await;
                let got = take(&mut ends[from.other().index()], heard.len()).await;
                assert_eq!(String::from_utf8_lossy(&got), heard, "{protocol} {here} {there} {ruled}");
            }
            for end in &mut ends {
                soon(end.shutdown()).await.unwrap();
            }
            let (closed, events, log) = stage.closed().await;
            assert_eq!((closed.by, closed.why), (Closer::Peer(Peer::Client), None), "{log}");
            let octets = |peer| talk.iter().filter(|said| said.0 == peer).map(|said| said.1.len() as u64).sum::<u64>();
            assert_eq!(closed.received, [octets(C), octets(S)], "what is counted is what lies inside");
            assert_eq!((facts(&events, C).len(), facts(&events, S).len()), (here.into(), there.into()));
            assert!(!log.contains("wonderland7") && !log.contains("d29uZGVybGFuZDc") && log.contains("alice"), "{log}");
            assert_eq!((log.contains(" C~ "), log.contains(" S~ ")), (here, there), "{log}");
            assert!(!events.iter().any(|event| event.what == What::Abrupt), "both took their leave: {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_the_facts_of_both_legs() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, trust: office.trust(), ..Set::default() }, address).await;
    let server_tls = office.server(&["localhost", "mail.example"], When::Now);
    let (mut here, mut there) = {
        let (here, there) = tokio::join!(stage.client(Some(&believer)), accept(&listener, Some(&server_tls)));
        (here.unwrap(), there.unwrap())
    };
    // A client that waits for the greeting gets it.
    give(&mut there, b"* OK hi\r\n").await;
    assert_eq!(take(&mut here, 9).await, b"* OK hi\r\n");
    let (log, events) = stage.end().await;
    let server = facts(&events, S)[0];
    assert_eq!(
        (server.version.as_str(), &server.verdict, server.insecure),
        ("TLS 1.3", &Verification::Verified, false)
    );
    assert_eq!(server.name.as_deref(), Some("localhost"));
    for part in [
        "-- TLS 1.3 with the server, TLS_AES_256_GCM_SHA384, SNI localhost\n",
        "| verified: CN=a server, for localhost, mail.example; by CN=Office; 2020-01-01 to 2100-01-01\n",
        "-- TLS 1.3 with the client, TLS_AES_256_GCM_SHA384, SNI localhost\n",
        "| ours: for localhost; by CN=imapscope local CA ",
        "S~ greeting * OK hi\n",
    ] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    // The end by us is one that TLS knows, so that no peer takes it for a cut.
    for end in [&mut here, &mut there] {
        assert_eq!(soon(end.read(&mut [0; 9])).await.unwrap(), 0);
    }
}

/// Runs one connection that fails, with a server of TLS and a client without; gives the reason.
async fn server_fails(set: Set<'_>, tls: Arc<rustls::ServerConfig>) -> (Closed, String) {
    let (listener, address) = listen().await;
    let stage = Stage::open(set, address).await;
    let mut here = stage.client(None).await.unwrap();
    give(&mut here, b"a LOGIN alice wonderland7\r\n").await;
    let there = accept(&listener, Some(&tls)).await;
    if let Ok(mut there) = there {
        let mut heard = Vec::new();
        let _ = soon(there.read_to_end(&mut heard)).await;
        assert!(heard.is_empty(), "nothing goes to a server that is not verified");
    }
    let (closed, events, log) = stage.closed().await;
    assert!(facts(&events, S).is_empty() && !log.contains("wonderland7"), "{log}");
    assert!(log.contains("== no TLS with the server"), "{log}");
    (closed, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_verified_gets_nothing() {
    let office = Office::open();
    let stranger = Office::named("Stranger");
    let now = |names: &[&str]| office.server(names, When::Now);
    for (tls, parts) in [
        (office.server(&["localhost"], When::Past), ["it expired on 2021-01-01", "renewed on the server"]),
        (office.server(&["localhost"], When::Future), ["valid from 2100-01-01 only", "the clock"]),
        (
            stranger.server(&["localhost"], When::Now),
            ["vouches for it (its issuer is CN=Stranger)", "--server-ca FILE"],
        ),
        (Office::open().server(&["localhost"], When::Now), ["somebody of the same name", "--server-ca FILE"]),
        (secure::config(&Office::alone(&["localhost"])), ["it is self-signed", "--insecure trusts anybody"]),
        (
            now(&["mail.example", "imap.example"]),
            ["not for localhost: it is for mail.example, imap.example", "name the"],
        ),
        (now(&[]), ["not for localhost: it names no host", "in the route"]),
    ] {
        let (closed, _) = server_fails(Set { trust: office.trust(), ..Set::default() }, tls).await;
        let why = closed.why.unwrap();
        assert_eq!(closed.by, Closer::Tls(S), "{why}");
        for part in
            parts.into_iter().chain(["the certificate of localhost:", "(CN=a server)", "Nothing more was sent to it"])
        {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insecure_goes_on_and_says_so_loudly() {
    let office = Office::open();
    let stranger = Office::named("Stranger");
    for (tls, faults) in [
        (stranger.server(&["mail.example"], When::Past), Some("it expired on 2021-01-01; nobody who is trusted here")),
        (stranger.server(&["mail.example"], When::Now), Some("it is not for localhost: it is for mail.example")),
        (office.server(&["localhost"], When::Now), None),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { trust: office.insecure(), ..Set::default() }, address).await;
        let mut here = stage.client(None).await.unwrap();
        let mut there = accept(&listener, Some(&tls)).await.unwrap();
        give(&mut there, b"* OK hi\r\n").await;
        assert_eq!(take(&mut here, 9).await, b"* OK hi\r\n");
        let (log, events) = stage.end().await;
        let facts = facts(&events, S)[0];
        assert!(facts.insecure);
        match (faults, &facts.verdict) {
            (Some(part), Verification::Unverified(said)) => {
                assert!(said.contains(part), "{said}");
                assert!(log.contains("! NOT VERIFIED, because of --insecure: ") && log.contains(part), "{log}");
                assert!(log.contains("| not verified: CN=a server"), "{log}");
            }
            (None, Verification::Verified) => assert!(log.contains("--insecure was given and not needed"), "{log}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_may_be_named_and_is_still_looked_at() {
    let office = Office::open();
    let file = office.folder.path().join("own.pem");
    for (names, fine) in [(&["localhost"], true), (&["mail.example"], false)] {
        for own in [Office::alone(names), Office::vain(names), office.issue(names, When::Now)] {
            std::fs::write(&file, &own.0).unwrap();
            let trust = Some(Arc::new(Trust::file(&file, false).unwrap()));
            let tls = secure::config(&own);
            let set = Set { trust, ..Set::default() };
            if !fine {
                let (closed, _) = server_fails(set, tls).await;
                assert!(closed.why.unwrap().contains("it is for mail.example"));
                continue;
            }
            let (listener, address) = listen().await;
            let stage = Stage::open(set, address).await;
            let (here, there) = tokio::join!(stage.client(None), accept(&listener, Some(&tls)));
            let (mut here, mut there) = (here.unwrap(), there.unwrap());
            give(&mut there, b"* OK hi\r\n").await;
            assert_eq!(take(&mut here, 9).await, b"* OK hi\r\n");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_something_else_is_quoted() {
    let office = Office::open();
    for (said, parts) in [
        (&b"* OK Dovecot \x1b[1mready\r\n"[..], ["does not speak TLS on this port", "\"* OK Dovecot \\x1b[1mready\""]),
        (b"220 mx ESMTP\r\n", ["it said \"220 mx ESMTP\"", "or use imap:// for this one"]),
        (b"\x15\x03\x01\x00\x02\x02\x46", ["TLS 1.1 or older", "has to be updated"]),
        (b"\x15\x03\x03\x00\x02\x02\x28", ["no cipher suite or key that it shares", "handshake_failure"]),
        (b"\x15\x03\x03\x00\x02\x02\x70", ["does not know the name localhost", "unrecognized_name"]),
        (b"\x15\x03\x03\x00\x02\x02\x50", ["the server ended the TLS handshake", "internal_error"]),
        (b"", ["ended the connection during the TLS handshake", "its port for TLS?"]),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { trust: office.trust(), ..Set::default() }, address).await;
        let here = stage.client(None).await.unwrap();
        let mut there = accept(&listener, None).await.unwrap();
        // The beginning of TLS is read, so that the end is no reset.
        assert_eq!(take(&mut there, 1).await, [22]);
        let _ = soon(there.read(&mut [0; 4096])).await;
        give(&mut there, said).await;
        soon(there.shutdown()).await.unwrap();
        let (closed, ..) = stage.closed().await;
        drop(here);
        let why = closed.why.unwrap();
        assert!(parts.iter().all(|part| why.contains(part)) && closed.by == Closer::Tls(S), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_have_their_time() {
    let office = Office::open();
    let limits = Limits { connect_timeout: Duration::from_millis(300), ..Limits::default() };
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { trust: office.trust(), limits: limits.clone(), ..Set::default() }, address).await;
    let here = stage.client(None).await.unwrap();
    let there = accept(&listener, None).await.unwrap();
    let (closed, ..) = stage.closed().await;
    let why = closed.why.unwrap();
    assert!(why.contains("did not answer the beginning of TLS within 0.3 s"), "{why}");
    drop((here, there));

    let (identity, _) = office.identity();
    let stage = Stage::open(Set { identity, limits, ..Set::default() }, address).await;
    let here = stage.client(None).await.unwrap();
    let (closed, ..) = stage.closed().await;
    let why = closed.why.unwrap();
    assert!(why.contains("the client sent nothing for 0.3 s") && why.contains("listen with imap://"), "{why}");
    assert_eq!(closed.by, Closer::Tls(C));
    drop(here);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_to_nothing_is_told_why() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let given = office.issue(&["localhost"], When::Now);
    let (chain, key) = (office.folder.path().join("c.pem"), office.folder.path().join("k.pem"));
    std::fs::write(&chain, &given.0).unwrap();
    std::fs::write(&key, &given.1).unwrap();
    let own = Some(Arc::new(Identity::given(&chain, &key).unwrap()));
    let (one_two, one_three) = ([&rustls::version::TLS12], [&rustls::version::TLS13]);
    let nobody = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        secure::client_with(secure::provider(), versions, None)
    };
    let ours = ["does not trust our certificate (it says unknown_ca)", "`imapscope ca help`"];
    for (identity, config, parts) in [
        (&identity, nobody(&one_two), ours),
        (&identity, nobody(&one_three), ours),
        (&own, nobody(&one_three), ["does not trust our certificate", "who signed the certificate of --cert"]),
        (&own, believer, ["(it says unknown_ca)", "the names in it must fit"]),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        assert!(stage.client(Some(&config)).await.is_err());
        let (closed, events, log) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(parts.iter().all(|part| why.contains(part)) && closed.by == Closer::Tls(C), "{why}");
        assert!(log.contains("== no TLS with the client") && facts(&events, C).is_empty(), "{log}");
        drop(listener);
    }
    for (said, parts) in [
        (&b"a1 CAPABILITY\r\n"[..], ["speaks plain text where TLS is expected", "not STARTTLS"]),
        (b"EHLO \xff\x1b\r\n", ["speaks plain text where TLS is expected", "listen with imap://"]),
        (b"", ["ended the connection before it began TLS", "is it set to TLS"]),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = stage.client(None).await.unwrap();
        give(&mut here, said).await;
        soon(here.shutdown()).await.unwrap();
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(parts.iter().all(|part| why.contains(part)), "{why}");
        drop(listener);
    }
}

#[cfg(not(feature = "legacy-tls"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_needs_legacy_tls_is_told_how_to_have_it() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let mut rsa = rustls::crypto::ring::default_provider();
    rsa.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("ECDHE_RSA"));
    let rsa = secure::client_with(Arc::new(rsa), &[&rustls::version::TLS12], None);
    let built = "this imapscope was built without `legacy-tls`: `cargo install --path . --features legacy-tls`";
    let (_listener, address) = listen().await;
    let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
    assert!(stage.client(Some(&rsa)).await.is_err());
    let why = stage.closed().await.0.why.unwrap();
    assert!(why.contains("with our ECDSA key") && why.contains("--key with an RSA key suit it"), "{why}");
    assert!(why.contains(built), "{why}");
    // Random octets, no session, one suite that is RSA alone, no compression; then in the form of SSL 2.0.
    let hello =
        |minor: u8| [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, minor], &[7; 32][..], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let old_form = [&[0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x2f][..], &[9; 16]].concat();
    for (said, part) in [
        (hello(1), "the client speaks TLS 1.0 at most, which is not safe: it has to be updated, or set to TLS 1.2"),
        (hello(2), "the client speaks TLS 1.1 at most"),
        (hello(3), "no key exchange in common with imapscope, which needs ECDHE: it knows RSA only"),
        (old_form, "the client speaks TLS 1.0 at most"),
    ] {
        let stage = Stage::open(Set { identity: identity.clone(), ..Set::default() }, address).await;
        let mut here = stage.client(None).await.unwrap();
        // However it is cut.
        for octet in &said {
            give(&mut here, &[*octet]).await;
        }
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap();
        assert!(why.contains(part) && why.contains(built) && closed.by == Closer::Tls(C), "{part}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_user_is_shown() {
    let office = Office::open();
    let given = office.issue(&["localhost"], When::Now);
    let (chain, key) = (office.folder.path().join("c.pem"), office.folder.path().join("k.pem"));
    let ca = std::fs::read_to_string(&office.ca).unwrap();
    std::fs::write(&chain, given.0 + &ca).unwrap();
    std::fs::write(&key, &given.1).unwrap();
    let identity = Some(Arc::new(Identity::given(&chain, &key).unwrap()));
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, ..Set::default() }, address).await;
    let believer = client(Some(&ca));
    let (here, there) = tokio::join!(stage.client(Some(&believer)), accept(&listener, None));
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    give(&mut here, b"a NOOP\r\n").await;
    assert_eq!(take(&mut there, 8).await, b"a NOOP\r\n");
    let (log, _) = stage.end().await;
    assert!(log.contains("| ours: CN=a server, for localhost; by CN=Office"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_a_word_is_passed_on_and_noted_once() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let tls = office.server(&["localhost"], When::Now);
    for from in [C, S] {
        let (listener, address) = listen().await;
        let set = Set { identity: identity.clone(), trust: office.trust(), ..Set::default() };
        let stage = Stage::open(set, address).await;
        let dial = async {
            let socket = TcpStream::connect(stage.address).await.unwrap();
            let name = "localhost".try_into().unwrap();
            TlsConnector::from(believer.clone()).connect(name, socket).await.unwrap()
        };
        let answer = async {
            let (socket, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(tls.clone()).accept(socket).await.unwrap()
        };
        let (mut here, mut there) = soon(async { tokio::join!(dial, answer) }).await;
        // The socket is closed under TLS, which is not told.
        if from == C {
            give(&mut here, b"a LOGOUT\r\n").await;
            let (mut socket, _) = here.into_inner();
            soon(socket.shutdown()).await.unwrap();
            let mut heard = Vec::new();
            soon(there.read_to_end(&mut heard)).await.expect("our own end has close_notify");
            assert_eq!(heard, b"a LOGOUT\r\n");
            // The other direction goes on; nobody can read it, so it just ends.
            soon(there.shutdown()).await.unwrap();
        } else {
            give(&mut there, b"* BYE\r\n").await;
            let (mut socket, _) = there.into_inner();
            soon(socket.shutdown()).await.unwrap();
            let mut heard = Vec::new();
            soon(here.read_to_end(&mut heard)).await.expect("our own end has close_notify");
            assert_eq!(heard, b"* BYE\r\n");
            soon(here.shutdown()).await.unwrap();
        }
        let (closed, events, log) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(from), None));
        let abrupt: Vec<_> = events.iter().filter(|event| event.what == What::Abrupt).map(|event| event.from).collect();
        assert_eq!(abrupt, [from]);
        let said = format!("the {} closed without close_notify", from.word());
        assert!(log.matches(&said).count() == 1 && !log.contains("broken rules"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_half_close_the_other_direction_goes_on() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let tls = office.server(&["localhost"], When::Now);
    for (here_tls, there_tls, client_first) in (0..8).map(|n| (n & 1 > 0, n & 2 > 0, n & 4 > 0)) {
        let (listener, address) = listen().await;
        let set = Set {
            identity: identity.clone().filter(|_| here_tls),
            trust: office.trust().filter(|_| there_tls),
            ..Set::default()
        };
        let stage = Stage::open(set, address).await;
        let (here, there) =
            tokio::join!(stage.client(here_tls.then_some(&believer)), accept(&listener, there_tls.then_some(&tls)));
        let (here, there) = (here.unwrap(), there.unwrap());
        let (mut first, mut second) = if client_first { (here, there) } else { (there, here) };
        give(&mut first, b"a1 LOGOUT\r\n").await;
        soon(first.shutdown()).await.unwrap();
        let mut heard = Vec::new();
        soon(second.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"a1 LOGOUT\r\n");
        let late = vec![b'x'; 3_000_000];
        let (written, heard) = soon(async {
            let write = async {
                second.write_all(&late).await?;
                second.shutdown().await
            };
            let mut heard = Vec::new();
            let (written, read) = tokio::join!(write, first.read_to_end(&mut heard));
            read.unwrap();
            (written, heard)
        })
        .await;
        written.unwrap();
        assert!(heard == late);
        let (closed, events, _) = stage.closed().await;
        assert_eq!((closed.by, closed.why), (Closer::Peer(if client_first { C } else { S }), None));
        assert!(!events.iter().any(|event| event.what == What::Abrupt));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_passes_through_tls() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, ..Set::default() }, address).await;
    let (here, there) = tokio::join!(stage.client(Some(&believer)), listener.accept());
    let (mut here, (mut there, _)) = (here.unwrap(), there.unwrap());
    give(&mut there, b"* OK hi\r\n").await;
    assert_eq!(take(&mut here, 9).await, b"* OK hi\r\n");
    SockRef::from(&there).set_linger(Some(Duration::ZERO)).unwrap();
    drop(there);
    let error = soon(here.read(&mut [0; 9])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(stage.closed().await.0.by, Closer::Reset(S));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_may_come_octet_by_octet() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, trust: office.trust(), ..Set::default() }, address).await;
    let tls = office.server(&["localhost"], When::Now);
    let dial = async {
        let socket = TcpStream::connect(stage.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        connect(Drip(socket), Some(&believer)).await.unwrap()
    };
    let answer = async {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        TlsAcceptor::from(tls).accept(Drip(socket)).await.unwrap()
    };
    let (mut here, mut there) = soon(async { tokio::join!(dial, answer) }).await;
    for (_, said, _) in IMAP {
        give(&mut here, said.as_bytes()).await;
        assert_eq!(take(&mut there, said.len()).await, said.as_bytes());
        give(&mut there, said.as_bytes()).await;
        assert_eq!(take(&mut here, said.len()).await, said.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_literals_pass_both_ways_at_once() {
    const SIZE: usize = 12 << 20;
    let office = Office::open();
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { identity, trust: office.trust(), ..Set::default() }, address).await;
    let tls = office.server(&["localhost"], When::Now);
    let (here, there) = tokio::join!(stage.client(Some(&believer)), accept(&listener, Some(&tls)));
    let body: Vec<u8> = (0..SIZE).map(|n| (n ^ n >> 9) as u8).collect();
    let up = [format!("a APPEND x {{{SIZE}+}}\r\n").as_bytes(), &body, b"\r\n"].concat();
    let down = [format!("* OK hi\r\n* 1 FETCH (BODY[] {{{SIZE}}}\r\n").as_bytes(), &body, b")\r\n"].concat();
    // Both write everything before they read: nobody may be blocked by that for ever.
    let (mut here_in, mut here_out) = tokio::io::split(here.unwrap());
    let (mut there_in, mut there_out) = tokio::io::split(there.unwrap());
    let (size_up, size_down) = (up.len(), down.len());
    let writers = [tokio::spawn({
        let up = up.clone();
        // What TLS has taken may still lie there: only a flush says that it is on its way.
        async move {
            here_out.write_all(&up).await?;
            here_out.flush().await.map(|()| here_out)
        }
    })];
    let other = tokio::spawn({
        let down = down.clone();
        async move {
            there_out.write_all(&down).await?;
            there_out.flush().await.map(|()| there_out)
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut at_server, mut at_client) = (vec![0; size_up], vec![0; size_down]);
    let (first, second) =
        soon(async { tokio::join!(there_in.read_exact(&mut at_server), here_in.read_exact(&mut at_client)) }).await;
    first.unwrap();
    second.unwrap();
    assert!(at_server == up && at_client == down);
    let mut outs = Vec::new();
    for writer in writers {
        outs.push(soon(writer).await.unwrap().unwrap());
    }
    let (mut here_out, mut there_out) = (outs.pop().unwrap(), soon(other).await.unwrap().unwrap());
    soon(here_out.shutdown()).await.unwrap();
    soon(there_out.shutdown()).await.unwrap();
    let (closed, _, log) = stage.closed().await;
    assert_eq!(closed.received, [size_up as u64, size_down as u64]);
    assert_eq!(log.matches("(literal, 12,582,912 octets").count(), 2, "{log}");
}
