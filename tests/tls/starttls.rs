//! STARTTLS is followed: TLS begins with the server first, then with the client; what lies inside is relayed, read and edited;
//! what was slipped in before is carried to nobody; and a refusal changes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::secure::{self, End, Office, Set, Stage, When, accept, give, listen, soon, take};
use imapscope::event::{Closer, Peer};
use imapscope::net::Limits;
use imapscope::net::tls::Means;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is said in plain text, and what inside: of each line who says it; the consent is the last of the plain ones.
struct Talk {
    protocol: &'static str,
    plain: &'static [(Peer, &'static str)],
    inside: &'static [(Peer, &'static str)],
}

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

const TALKS: [Talk; 4] = [
    Talk {
        protocol: "imap",
        plain: &[(S, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"), (C, "a STARTTLS\r\n"), (S, "a OK go\r\n")],
        inside: &[
            (C, "b CAPABILITY\r\n"),
            (S, "* CAPABILITY IMAP4rev1 IDLE\r\nb OK\r\n"),
            (C, "c LOGIN alice wonderland7\r\n"),
            (S, "c OK in\r\n"),
        ],
    },
    Talk {
        protocol: "smtp",
        plain: &[
            (S, "220 h\r\n"),
            (C, "EHLO c\r\n"),
            (S, "250-h\r\n250 STARTTLS\r\n"),
            (C, "STARTTLS\r\n"),
            (S, "220 go\r\n"),
        ],
        inside: &[
            (C, "EHLO c\r\n"),
            (S, "250-h\r\n250-IDLE\r\n250 AUTH PLAIN\r\n"),
            (C, "AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ3\r\n"),
            (S, "235 in\r\n"),
        ],
    },
    Talk {
        protocol: "pop3",
        plain: &[(S, "+OK hi\r\n"), (C, "STLS\r\n"), (S, "+OK go\r\n")],
        inside: &[(C, "USER alice\r\n"), (S, "+OK\r\n"), (C, "PASS wonderland7\r\n"), (S, "+OK in\r\n")],
    },
    Talk {
        protocol: "managesieve",
        plain: &[(S, "\"STARTTLS\"\r\nOK\r\n"), (C, "STARTTLS\r\n"), (S, "OK\r\n")],
        inside: &[
            // Without a command (RFC 5804 section 2.2).
            (S, "\"SASL\" \"PLAIN\"\r\n\"IDLE\"\r\nOK\r\n"),
            (C, "AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHdvbmRlcmxhbmQ3\"\r\n"),
            (S, "OK\r\n"),
        ],
    },
];

fn means(office: &Office) -> (Option<Arc<Means>>, Arc<rustls::ClientConfig>) {
    let (identity, believer) = office.identity();
    let (identity, trust) = (identity.unwrap(), office.trust().unwrap());
    (Some(Arc::new(Means::new(move || Ok((identity.clone(), trust.clone()))))), believer)
}

/// An IMAP conversation in plain text that has just begun.
async fn imap(office: &Office) -> (Stage, Arc<rustls::ClientConfig>, Box<dyn End>, Box<dyn End>) {
    let (means, believer) = means(office);
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { means, ..Set::default() }, address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    (stage, believer, client.unwrap(), server.unwrap())
}

/// Says each line and hears it on the other side, as a rule leaves it.
async fn talk(lines: &[(Peer, &str)], client: &mut Box<dyn End>, server: &mut Box<dyn End>, rule: fn(&str) -> String) {
    for (from, line) in lines {
        let (here, there) = if *from == C { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
        give(here, line.as_bytes()).await;
        let want = rule(line);
        assert_eq!(String::from_utf8(take(there, want.len()).await).unwrap(), want);
    }
}

async fn secured_server(office: &Office, server: Box<dyn End>) -> io::Result<Box<dyn End>> {
    let config = office.server(&["localhost"], When::Now);
    Ok(Box::new(soon(TlsAcceptor::from(config).accept(server)).await?))
}

async fn secured_client(believer: &Arc<rustls::ClientConfig>, client: Box<dyn End>) -> io::Result<Box<dyn End>> {
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Box::new(soon(TlsConnector::from(believer.clone()).connect(name, client)).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_all_is_read_and_edited_in_every_protocol() {
    let office = Office::open();
    for rule in [None, Some("drop-capability IDLE")] {
        for talk_of in &TALKS {
            let (means, believer) = means(&office);
            let (listener, address) = listen().await;
            let set = Set { protocol: talk_of.protocol, means, rule, ..Set::default() };
            let stage = Stage::open(set, address).await;
            let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            let edited: fn(&str) -> String = if rule.is_some() { without_idle } else { str::to_owned };
            let (consent, before) = talk_of.plain.split_last().unwrap();
            talk(before, &mut client, &mut server, str::to_owned).await;
            // The client hears of the consent when the server's leg is secured, and not before.
            give(&mut server, consent.1.as_bytes()).await;
            let mut server = secured_server(&office, server).await.unwrap();
            assert_eq!(take(&mut client, consent.1.len()).await, consent.1.as_bytes());
            let mut client = secured_client(&believer, client).await.unwrap();
            talk(talk_of.inside, &mut client, &mut server, edited).await;
            drop((client, server));
            let (_, _, log) = stage.closed().await;
            assert!(log.contains("TLS 1.3 with the client") && log.contains("TLS 1.3 with the server"), "{log}");
            assert!(log.contains("alice") && !log.contains("wonderland7") && !log.contains("! "), "{log}");
        }
    }
}

fn without_idle(text: &str) -> String {
    let text = text.replace(" IDLE", "").replace("250-IDLE\r\n", "");
    text.replace("\"IDLE\"\r\n", "")
}

/// Writes a line before the first octets, and takes so many away from the first that are read: a client that does not wait.
struct Eager<S> {
    socket: S,
    line: Option<&'static [u8]>,
    skip: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Eager<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.skip > 0 {
            let mut octets = vec![0; self.skip];
            let mut buffer = ReadBuf::new(&mut octets);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            self.skip -= buffer.filled().len();
        }
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Eager<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Some(line) = self.line.take() else { return Pin::new(&mut self.socket).poll_write(cx, octets) };
        let both = [line, octets].concat();
        // A fresh socket takes a few hundred octets at once.
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &both))?;
        assert_eq!(written, both.len());
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_begin_tls_in_the_same_segment() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = imap(&office).await;
    talk(&[(S, "* OK hi\r\n")], &mut client, &mut server, str::to_owned).await;
    let eager: Box<dyn End> =
        Box::new(Eager { socket: client, line: Some(b"a STARTTLS\r\n"), skip: "a OK go\r\n".len() });
    let there = async {
        assert_eq!(take(&mut server, 12).await, b"a STARTTLS\r\n");
        give(&mut server, b"a OK go\r\n").await;
        secured_server(&office, server).await
    };
    let (client, server) = tokio::join!(secured_client(&believer, eager), there);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    talk(&[(C, "b NOOP\r\n"), (S, "b OK\r\n")], &mut client, &mut server, str::to_owned).await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("b NOOP") && !log.contains("! "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_slipped_in_is_told_and_carried_to_nobody() {
    let office = Office::open();
    let (stage, believer, mut client, mut server) = imap(&office).await;
    talk(&[(S, "* OK hi\r\n")], &mut client, &mut server, str::to_owned).await;
    give(&mut client, b"a STARTTLS\r\nb CREATE evil\r\n").await;
    assert_eq!(take(&mut server, 12).await, b"a STARTTLS\r\n");
    give(&mut server, b"a OK go\r\n* BAD evil\r\n").await;
    let mut server = secured_server(&office, server).await.unwrap();
    assert_eq!(take(&mut client, 9).await, b"a OK go\r\n");
    let mut client = secured_client(&believer, client).await.unwrap();
    // Nothing stands before what is said now.
    talk(&[(C, "c NOOP\r\n"), (S, "c OK\r\n")], &mut client, &mut server, str::to_owned).await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    let found = |peer: &str| log.matches(&format!("! {peer}: plain text behind STARTTLS and before TLS")).count();
    assert_eq!([found("client"), found("server")], [1, 1], "{log}");
    assert!(log.contains("b CREATE evil") && log.contains("* BAD evil"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_changes_nothing_and_what_was_sent_ahead_goes_on() {
    let office = Office::open();
    let (stage, _, mut client, mut server) = imap(&office).await;
    talk(&[(S, "* OK hi\r\n")], &mut client, &mut server, str::to_owned).await;
    give(&mut client, b"a STARTTLS\r\nb NOOP\r\n").await;
    assert_eq!(take(&mut server, 12).await, b"a STARTTLS\r\n");
    talk(&[(S, "a NO not now\r\n")], &mut client, &mut server, str::to_owned).await;
    assert_eq!(take(&mut server, 8).await, b"b NOOP\r\n");
    talk(&[(S, "b OK\r\n"), (C, "c LOGOUT\r\n")], &mut client, &mut server, str::to_owned).await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("answers b NOOP") && !log.contains("TLS 1.3"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_verified_gets_nothing_and_the_client_no_consent() {
    let office = Office::open();
    let (stage, _, mut client, mut server) = imap(&office).await;
    talk(&[(S, "* OK hi\r\n"), (C, "a STARTTLS\r\n")], &mut client, &mut server, str::to_owned).await;
    give(&mut server, b"a OK go\r\n").await;
    let config = secure::config(&Office::alone(&["localhost"]));
    assert!(soon(TlsAcceptor::from(config).accept(server)).await.is_err(), "the certificate is nobody's");
    let mut rest = Vec::new();
    let _ = soon(client.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    drop(client);
    let (closed, _, log) = stage.closed().await;
    assert_eq!(closed.by, Closer::Tls(Peer::Server), "{log}");
}

/// Opens a connection of a protocol that has heard these lines.
async fn opened(
    office: &Office,
    protocol: &str,
    rule: Option<&str>,
    lines: &[(Peer, &str)],
) -> (Stage, [Box<dyn End>; 2], Arc<rustls::ClientConfig>) {
    let (means, believer) = means(office);
    let (listener, address) = listen().await;
    let stage = Stage::open(Set { protocol, means, rule, ..Set::default() }, address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    talk(lines, &mut client, &mut server, str::to_owned).await;
    (stage, [client, server], believer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_instead_of_an_answer_ends_the_connection() {
    let office = Office::open();
    let lines = [(S, "* OK hi\r\n"), (C, "a STARTTLS\r\n")];
    let (stage, [mut client, server], _) = opened(&office, "imap", None, &lines).await;
    drop(server);
    let mut rest = Vec::new();
    soon(client.read_to_end(&mut rest)).await.unwrap();
    drop(client);
    let (closed, _, log) = soon(stage.closed()).await;
    assert_eq!(closed.by, Closer::Peer(Peer::Server), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_too_long_to_be_held_leaves_tls_to_the_peers() {
    let office = Office::open();
    let lines = [(S, "* OK hi\r\n"), (C, "a STARTTLS\r\n")];
    let (stage, [mut client, mut server], _) = opened(&office, "imap", None, &lines).await;
    let consent = format!("a OK {}\r\n", "x".repeat(100_000));
    talk(&[(S, &consent)], &mut client, &mut server, str::to_owned).await;
    talk(&[(C, "\x16\x03\x01wonderland7"), (S, "\x16\x03\x03hi")], &mut client, &mut server, str::to_owned).await;
    drop((client, server));
    let (_, _, log) = soon(stage.closed()).await;
    assert!(!log.contains("wonderland7"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_slipped_in_waits_for_no_reply_under_tls() {
    let office = Office::open();
    let lines = [(S, "220 h\r\n")];
    let rule = Some("drop-capability IDLE");
    let (stage, [mut client, mut server], believer) = opened(&office, "smtp", rule, &lines).await;
    give(&mut client, b"STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@x>\r\n").await;
    assert_eq!(take(&mut server, 10).await, b"STARTTLS\r\n");
    give(&mut server, b"220 go\r\n").await;
    let mut server = secured_server(&office, server).await.unwrap();
    assert_eq!(take(&mut client, 8).await, b"220 go\r\n");
    let mut client = secured_client(&believer, client).await.unwrap();
    talk(TALKS[1].inside, &mut client, &mut server, without_idle).await;
    drop((client, server));
    let (_, _, log) = stage.closed().await;
    assert!(log.contains("answers EHLO") && !log.contains("wonderland7"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_consent_inside_tls_is_relayed() {
    let office = Office::open();
    let lines = [(S, "* OK hi\r\n"), (C, "a STARTTLS\r\n")];
    let (stage, [mut client, mut server], believer) = opened(&office, "imap", None, &lines).await;
    give(&mut server, b"a OK go\r\n").await;
    let mut server = secured_server(&office, server).await.unwrap();
    take(&mut client, 9).await;
    let mut client = secured_client(&believer, client).await.unwrap();
    let inside = [(C, "b STARTTLS\r\n"), (S, "b OK again\r\n"), (C, "\x16\x03\x01hello"), (S, "\x16\x03\x03hi")];
    talk(&inside, &mut client, &mut server, str::to_owned).await;
    drop((client, server));
    soon(stage.closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_starttls_that_is_forgotten_for_too_many_commands_stops_nothing() {
    let office = Office::open();
    let ahead = format!("a AUTHENTICATE PLAIN\r\nb STARTTLS\r\n{}", "c NOOP\r\n".repeat(1100));
    let lines = [(S, "* OK hi\r\n"), (C, &ahead), (S, "a NO\r\n"), (S, "* 1 EXISTS\r\n"), (C, "d NOOP\r\n")];
    let (stage, ends, _) = opened(&office, "imap", None, &lines).await;
    drop(ends);
    soon(stage.closed()).await;
}

#[tokio::test]
async fn a_server_has_a_time_for_each_word_before_our_own_starttls() {
    let office = Office::open();
    for (says, sentence) in [
        ("", "the server did not greet within 1.00 s"),
        ("* OK he", "the server did not greet within 1.00 s"),
        ("* OK hi\r\n", "the server did not answer STARTTLS within 1.00 s"),
        ("* OK hi\r\n* 1 EXISTS\r\n", "the server did not answer STARTTLS within 1.00 s"),
    ] {
        let (listener, address) = listen().await;
        let limits = Limits { connect_timeout: Duration::from_secs(1), ..Limits::default() };
        let set = Set { trust: office.trust(), own: [false, true], limits, ..Set::default() };
        let stage = Stage::open(set, address).await;
        let (here, there) = tokio::join!(stage.client(None), accept(&listener, None));
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        give(&mut there, says.as_bytes()).await;
        assert_eq!(soon(here.read(&mut [0])).await.unwrap_or(0), 0, "nothing is relayed");
        let (closed, ..) = stage.closed().await;
        let why = closed.why.unwrap_or_default();
        assert_eq!(closed.by, Closer::Tls(S));
        assert!(why.starts_with(sentence) && why.contains("--connect-timeout"), "{why}");
    }
}
