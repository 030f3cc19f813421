//! Handshakes that come to nothing, and odd ones that do not: what clients and servers do wrong, with TLS from the first octet
//! and behind a STARTTLS that is followed. Each failure names its side, the reason and what to do.

use std::sync::Arc;
use std::time::Duration;

use crate::secure::{self, End, Office, Set, Stage, When, accept, give, listen, means, soon, take};
use imapscope::event::{Closed, Closer, Peer};
use imapscope::net::Limits;
use imapscope::net::tls::Identity;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

/// How a peer that fails ends.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Closes,
    Resets,
    Waits,
}

fn limits(then: Then) -> Limits {
    let patience = if then == Then::Waits { Duration::from_millis(200) } else { Duration::from_secs(20) };
    Limits { connect_timeout: patience, ..Limits::default() }
}

async fn say_starttls(client: &mut (impl End + ?Sized), server: &mut (impl End + ?Sized)) {
    give(server, b"* OK hi\r\n").await;
    assert_eq!(take(client, 9).await, b"* OK hi\r\n");
    give(client, b"a STARTTLS\r\n").await;
    assert_eq!(take(server, 12).await, b"a STARTTLS\r\n");
    give(server, b"a OK go\r\n").await;
}

async fn end(mut socket: TcpStream, then: Then) -> Option<TcpStream> {
    match then {
        Then::Closes => soon(socket.shutdown()).await.unwrap(),
        Then::Resets => SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap(),
        Then::Waits => {}
    }
    (then != Then::Resets).then_some(socket)
}

/// A client that is about to begin TLS, in plain text; who serves it; and the server's end, secured where that comes first.
async fn client(
    starttls: bool,
    office: &Office,
    identity: Option<Arc<Identity>>,
    then: Then,
) -> (Stage, TcpStream, Box<dyn End>) {
    let (listener, address) = listen().await;
    let mut set = Set { limits: limits(then), ..Set::default() };
    if starttls {
        set.means = means(&identity, &office.trust());
    } else {
        set.identity = identity;
    }
    let stage = Stage::open(set, address).await;
    let (socket, server) = tokio::join!(TcpStream::connect(stage.address), accept(&listener, None));
    let (mut socket, mut server) = (socket.unwrap(), server.unwrap());
    socket.set_nodelay(true).unwrap();
    if starttls {
        say_starttls(&mut socket, &mut server).await;
        let tls = office.server(&["localhost"], When::Now);
        server = Box::new(soon(TlsAcceptor::from(tls).accept(server)).await.unwrap());
        assert_eq!(take(&mut socket, 9).await, b"a OK go\r\n");
    }
    (stage, socket, server)
}

/// The server hears nothing more; how it ended.
async fn silent(stage: Stage, mut server: Box<dyn End>) -> Closed {
    let mut heard = Vec::new();
    let _ = soon(server.read_to_end(&mut heard)).await;
    assert!(heard.is_empty(), "nothing of a client without TLS goes on: {}", heard.escape_ascii());
    drop(server);
    stage.closed().await.0
}

/// A beginning of TLS with these versions: random octets, no session, one suite, no compression.
fn hello(minor: u8) -> Vec<u8> {
    let begin = [22, 3, 1, 0, 45, 1, 0, 0, 41, 3, minor];
    [&begin[..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_do_wrong_is_told() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let whole = hello(3);
    let at_once = ["speaks plain text where TLS is expected", "(often called SSL/TLS, and not STARTTLS)"];
    let behind = ["asked for STARTTLS and goes on in plain text", "--starttls hide"];
    let trust = ["`imapscope ca help`"; 2];
    for (said, then, parts, parts_behind) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], Then::Closes, at_once, behind),
        (b"a1 CAPABILITY\r\n", Then::Waits, at_once, behind),
        (b"EHLO \xff\x1b[1m\r\n", Then::Closes, at_once, behind),
        (b"\0\0\0\0", Then::Closes, at_once, behind),
        (
            b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
            Then::Closes,
            ["begins as SSL 2 did", "has to be updated"],
            ["begins as SSL 2 did", "has to be updated"],
        ),
        (
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
            Then::Waits,
            ["begins as SSL 2 did", "TLS 1.2"],
            ["begins as SSL 2 did", "TLS 1.2"],
        ),
        (
            b"",
            Then::Closes,
            ["ended the connection before it began TLS", "is it set to TLS from the start?"],
            ["asked for STARTTLS and ended the connection before it began TLS"; 2],
        ),
        (
            b"",
            Then::Resets,
            ["reset the connection before it began TLS", "is it set to TLS"],
            ["asked for STARTTLS and reset the connection before it began TLS"; 2],
        ),
        (
            b"",
            Then::Waits,
            ["sent nothing for 0.2 s", "listen with imap://"],
            ["asked for STARTTLS and did not begin TLS within 0.2 s", "--starttls hide"],
        ),
        (
            &whole[..20],
            Then::Closes,
            ["ended the connection during the TLS handshake", trust[0]],
            ["ended the connection during the TLS handshake", trust[0]],
        ),
        (
            &whole[..20],
            Then::Resets,
            ["reset the connection during the TLS handshake", trust[0]],
            ["reset the connection during the TLS handshake", trust[0]],
        ),
        (
            &whole[..20],
            Then::Waits,
            ["was not complete within 0.2 s", "--connect-timeout"],
            ["was not complete within 0.2 s", "--connect-timeout"],
        ),
        (
            &whole[..1],
            Then::Closes,
            ["ended the connection during", trust[0]],
            ["ended the connection during", trust[0]],
        ),
        (
            b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
            Then::Closes,
            ["the TLS handshake with the client failed"; 2],
            ["the TLS handshake with the client failed"; 2],
        ),
        (
            b"\x16\x03\x01\xff\xff\x01",
            Then::Closes,
            ["the TLS handshake with the client failed"; 2],
            ["the TLS handshake with the client failed"; 2],
        ),
        (
            b"\x15\x03\x01\x00\x02\x02\x5a",
            Then::Closes,
            ["the client ended the TLS handshake: it says user_canceled"; 2],
            ["user_canceled"; 2],
        ),
    ] {
        for starttls in [false, true] {
            let what = said[..said.len().min(12)].escape_ascii();
            let (stage, mut socket, server) = client(starttls, &office, identity.clone(), then).await;
            give(&mut socket, said).await;
            let kept = end(socket, then).await;
            let closed = silent(stage, server).await;
            let why = closed.why.unwrap();
            assert_eq!(closed.by, Closer::Tls(C), "{what}: {why}");
            for part in if starttls { parts_behind } else { parts } {
                assert!(why.contains(part), "{what}, {starttls}: {part}\n{why}");
            }
            drop(kept);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_clients_are_told_their_versions() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for minor in [1, 2] {
        for starttls in [false, true] {
            let (stage, mut socket, server) = client(starttls, &office, identity.clone(), Then::Closes).await;
            give(&mut socket, &hello(minor)).await;
            let why = silent(stage, server).await.why.unwrap();
            let version = format!("the client speaks TLS 1.{} at most", minor - 1);
            assert!(why.contains(&version) && why.contains("legacy-tls"), "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alert_of_distrust_has_its_remedy() {
    let office = Office::open();
    let (identity, _) = office.identity();
    for (alert, name) in [
        (42, "bad_certificate"),
        (43, "unsupported_certificate"),
        (44, "certificate_revoked"),
        (45, "certificate_expired"),
        (46, "certificate_unknown"),
        (48, "unknown_ca"),
    ] {
        for starttls in [false, true] {
            let (stage, mut socket, server) = client(starttls, &office, identity.clone(), Then::Closes).await;
            give(&mut socket, &[21, 3, 3, 0, 2, 2, alert]).await;
            let why = silent(stage, server).await.why.unwrap();
            let said = format!("does not trust our certificate (it says {name}): `imapscope ca help`");
            assert!(why.contains(&said), "{why}");
        }
    }
}

/// Begins TLS for a name, and says what came of it.
async fn ask(config: &Arc<ClientConfig>, name: &str, socket: TcpStream) -> std::io::Result<Box<dyn End>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    Ok(Box::new(soon(TlsConnector::from(config.clone()).connect(name, socket)).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_given_certificate_has_not_is_told() {
    let office = Office::open();
    let given = office.issue(&["mail.example", "imap.example"], When::Now);
    let (chain, key) = (office.folder.path().join("c.pem"), office.folder.path().join("k.pem"));
    std::fs::write(&chain, &given.0).unwrap();
    std::fs::write(&key, &given.1).unwrap();
    let identity = Some(Arc::new(Identity::given(&chain, &key).unwrap()));
    let believer = secure::client(Some(&std::fs::read_to_string(&office.ca).unwrap()));
    for (asked, told) in [("other.example", "it asked for other.example"), ("127.0.0.1", "it asked for no name")] {
        for starttls in [false, true] {
            let (stage, socket, server) = client(starttls, &office, identity.clone(), Then::Closes).await;
            assert!(ask(&believer, asked, socket).await.is_err());
            let why = silent(stage, server).await.why.unwrap();
            for part in ["does not trust our certificate", told, "that of --cert is for mail.example, imap.example"] {
                assert!(why.contains(part), "{part}: {why}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_protocols_of_all_kinds_are_answered() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    let longest = [["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join("."), "x.example".into()];
    let mut offering = (*believer).clone();
    offering.alpn_protocols = vec![b"imap".to_vec(), b"h2".to_vec()];
    let offering = Arc::new(offering);
    let mut nameless = (*believer).clone();
    nameless.enable_sni = false;
    let nameless = Arc::new(nameless);
    for (config, name) in [
        (&believer, longest[0].as_str()),
        (&believer, &longest[1]),
        (&believer, "xn--bcher-kva.example"),
        (&believer, "127.0.0.1"),
        (&nameless, "localhost"),
        // RFC 7301 section 3.2 forbids to refuse by ALPN only what is known to be served otherwise.
        (&offering, "localhost"),
    ] {
        for starttls in [false, true] {
            let (stage, socket, mut server) = client(starttls, &office, identity.clone(), Then::Closes).await;
            let mut client = ask(config, name, socket).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            give(&mut client, b"b NOOP\r\n").await;
            assert_eq!(take(&mut server, 8).await, b"b NOOP\r\n");
            drop((client, server));
            let (_, _, log) = stage.closed().await;
            assert!(log.contains("TLS 1.3 with the client"), "{log}");
        }
    }
}

/// The octets with which a client of TLS begins, asking for this name instead of one of the same length.
fn begins_with_name(believer: &Arc<ClientConfig>, name: &[u8]) -> Vec<u8> {
    let stand_in = "x".repeat(name.len());
    let asked = ServerName::try_from(stand_in.clone()).unwrap();
    let mut connection = rustls::ClientConnection::new(believer.clone(), asked).unwrap();
    let mut octets = Vec::new();
    connection.write_tls(&mut octets).unwrap();
    let at = octets.windows(name.len()).position(|part| part == stand_in.as_bytes()).unwrap();
    octets[at..at + name.len()].copy_from_slice(name);
    octets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_none_is_answered_or_told() {
    let office = Office::open();
    let (identity, believer) = office.identity();
    for (name, answered) in [
        (&b"127.0.0.1"[..], true),
        (b"a.b.c.d.e", true),
        (b"under_score", true),
        (b"a\0b\x1b[1m", false),
        (b"a b c", false),
        (b"\xff\xfe\xfd", false),
        (b"...", false),
    ] {
        let (stage, mut socket, mut server) = client(false, &office, identity.clone(), Then::Closes).await;
        give(&mut socket, &begins_with_name(&believer, name)).await;
        let first = take(&mut socket, 1).await;
        let what = name.escape_ascii();
        assert_eq!(first == [22], answered, "{what}: TLS goes on, or an alert comes: {first:?}");
        drop(socket);
        let mut heard = Vec::new();
        let _ = soon(server.read_to_end(&mut heard)).await;
        drop(server);
        let (closed, _, log) = stage.closed().await;
        assert!(heard.is_empty() && closed.by == Closer::Tls(C), "{what}: {log}");
        assert!(!log.contains('\x1b'), "{log}");
        if !answered {
            assert!(closed.why.unwrap().contains("the TLS handshake with the client failed"), "{log}");
        }
    }
}

/// A server of TLS that is about to answer; `why` it failed.
async fn server_fails(starttls: bool, office: &Office, then: Then, said: &[u8]) -> Closed {
    let (identity, _) = office.identity();
    let (listener, address) = listen().await;
    let mut set = Set { limits: limits(then), ..Set::default() };
    if starttls {
        set.means = means(&identity, &office.trust());
    } else {
        set.trust = office.trust();
    }
    let stage = Stage::open(set, address).await;
    let (client, server) = tokio::join!(stage.client(None), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    if starttls {
        say_starttls(&mut client, &mut server).await;
    }
    // The beginning of TLS is read, so that the end is no reset.
    let head = take(&mut server, 5).await;
    assert_eq!(head[0], 22);
    take(&mut server, usize::from(head[3]) * 256 + usize::from(head[4])).await;
    give(&mut server, said).await;
    let kept = end(server, then).await;
    let mut heard = Vec::new();
    soon(client.read_to_end(&mut heard)).await.expect("the client's end is a good one");
    assert!(heard.is_empty(), "the client hears of no consent");
    if let Some(mut server) = kept {
        let mut octets = Vec::new();
        let _ = soon(server.read_to_end(&mut octets)).await;
        // An alert may come, and nothing else.
        assert!(octets.is_empty() || octets[0] == 21, "{}", octets.escape_ascii());
    }
    drop(client);
    stage.closed().await.0
}

/// A handshake of TLS 1.2 in which the server shows no certificate.
fn without_certificate() -> Vec<u8> {
    let message = |kind: u8, body: &[u8]| [&[kind, 0, 0, body.len() as u8], body].concat();
    // ECDHE with ECDSA and AES 128; the key that is exchanged is no secret.
    let hello = message(2, &[&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0]].concat());
    let certificate = message(11, &[0, 0, 0]);
    let mut exchange = vec![3, 0, 29, 32];
    exchange.extend([9; 32]);
    exchange.extend([4, 3, 0, 4, 1, 2, 3, 4]);
    let all = [hello, certificate, message(12, &exchange), message(14, &[])].concat();
    [&[22, 3, 3, 0, all.len() as u8], &all[..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_do_wrong_is_told() {
    let office = Office::open();
    let port = "name its port for TLS, or use imap:// for this one";
    let look = "its log may tell why; --starttls hide";
    let none = without_certificate();
    let old = [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let both = |text: &'static str| [[text; 2]; 2];
    for (said, then, [parts, parts_behind]) in [
        (
            &b"* OK ready\r\n"[..],
            Then::Waits,
            [
                ["does not speak TLS on this port, it said \"* OK ready\"", port],
                ["agreed to STARTTLS and does not speak TLS, it said \"* OK ready\"", look],
            ],
        ),
        (
            b"454 4.7.0 TLS not\x1b available\r\n",
            Then::Closes,
            [["\"454 4.7.0 TLS not\\x1b available\"", port], ["\"454 4.7.0 TLS not\\x1b available\"", look]],
        ),
        (
            b"",
            Then::Closes,
            [
                ["ended the connection during the TLS handshake", "is this its port for TLS?"],
                ["agreed to STARTTLS and ended the connection", look],
            ],
        ),
        (
            b"",
            Then::Resets,
            [
                ["reset the connection during the TLS handshake", "is this its port for TLS?"],
                ["agreed to STARTTLS and reset the connection", look],
            ],
        ),
        (
            b"",
            Then::Waits,
            [
                ["did not answer the beginning of TLS within 0.2 s", "is this its port for TLS?"],
                ["agreed to STARTTLS and did not answer", look],
            ],
        ),
        (
            &none[..50],
            Then::Waits,
            both("the TLS handshake with the server was not complete within 0.2 s; --connect-timeout"),
        ),
        (&none, Then::Waits, both("showed no certificate, so nobody can tell who it is")),
        (&old, Then::Waits, both("speaks TLS 1.1 or older only")),
        (b"\x15\x03\x01\x00\x02\x02\x46", Then::Closes, both("speaks TLS 1.1 or older only")),
        (b"\x15\x03\x03\x00\x02\x02\x28", Then::Closes, both("no cipher suite or key that it shares")),
        (
            b"\x15\x03\x03\x00\x02\x02\x70",
            Then::Closes,
            both("does not know the name localhost (it says unrecognized_name)"),
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x50",
            Then::Closes,
            both("the server ended the TLS handshake: it says internal_error"),
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x74",
            Then::Closes,
            both("requires a client certificate, and imapscope has none to present"),
        ),
        (b"\x16\x03\x03\x00\x04\x02\xff\xff\xff", Then::Closes, both("the TLS handshake with the server failed")),
    ] {
        for starttls in [false, true] {
            let closed = server_fails(starttls, &office, then, said).await;
            let (what, why) = (said[..said.len().min(12)].escape_ascii(), closed.why.unwrap());
            assert_eq!(closed.by, Closer::Tls(S), "{what}: {why}");
            for part in if starttls { parts_behind } else { parts } {
                assert!(why.contains(part), "{what}, {starttls}: {part}\n{why}");
            }
        }
    }
}

/// A server that asks for a certificate of the client.
fn asking(office: &Office, version: &'static rustls::SupportedProtocolVersion, must: bool) -> Arc<ServerConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&office.ca).unwrap()).unwrap();
    let builder = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), secure::provider());
    let builder = if must { builder } else { builder.allow_unauthenticated() };
    let (certificate, key) = office.issue(&["localhost"], When::Now);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(secure::provider()).with_protocol_versions(&[version]).unwrap();
    Arc::new(config.with_client_cert_verifier(builder.build().unwrap()).with_single_cert(chain, key).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_certificate_goes_on_without_or_is_told() {
    let office = Office::open();
    for (version, must) in [
        (&rustls::version::TLS12, false),
        (&rustls::version::TLS13, false),
        (&rustls::version::TLS12, true),
        (&rustls::version::TLS13, true),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { trust: office.trust(), ..Set::default() }, address).await;
        let tls = asking(&office, version, must);
        let (client, server) = tokio::join!(stage.client(None), accept(&listener, Some(&tls)));
        let mut client = client.unwrap();
        if must {
            assert!(server.is_err(), "it insists");
            let mut heard = Vec::new();
            let _ = soon(client.read_to_end(&mut heard)).await;
            drop(client);
            let (closed, _, log) = stage.closed().await;
            let why = closed.why.unwrap_or_default();
            assert!(heard.is_empty() && why.contains("requires a client certificate"), "{why}\n{log}");
        } else {
            let mut server = server.unwrap();
            give(&mut server, b"* OK hi\r\n").await;
            assert_eq!(take(&mut client, 9).await, b"* OK hi\r\n");
        }
    }
}

/// A server of TLS 1.2 that requests a client certificate, takes the client's last message, and ends with these bytes.
async fn insists(listener: &tokio::net::TcpListener, tls: Arc<ServerConfig>, last: &[u8], then: Then) {
    let (mut socket, _) = soon(listener.accept()).await.unwrap();
    let mut state = rustls::ServerConnection::new(tls).unwrap();
    let mut chunk = [0; 4096];
    while !state.wants_write() {
        let count = soon(socket.read(&mut chunk)).await.unwrap();
        state.read_tls(&mut &chunk[..count]).unwrap();
        state.process_new_packets().unwrap();
    }
    let mut flight = Vec::new();
    while state.wants_write() {
        state.write_tls(&mut flight).unwrap();
    }
    give(&mut socket, &flight).await;
    assert!(soon(socket.read(&mut chunk)).await.unwrap() > 0, "the client has no certificate, and says so");
    give(&mut socket, last).await;
    drop(end(socket, then).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_demanded_under_tls_1_2_is_told_whatever_the_alert() {
    let office = Office::open();
    let alert = |number: u8| [21, 3, 3, 0, 2, 2, number];
    let demands = "requires a client certificate, and imapscope has none to present";
    for (last, then, part) in [
        (&alert(40)[..], Then::Closes, "(it says handshake_failure)"),
        (&alert(42), Then::Closes, "(it says bad_certificate)"),
        (&alert(116), Then::Closes, "(it says certificate_required)"),
        (b"", Then::Closes, "(it ended the connection)"),
        (b"", Then::Resets, "(it reset the connection)"),
    ] {
        let (listener, address) = listen().await;
        let stage = Stage::open(Set { trust: office.trust(), ..Set::default() }, address).await;
        let tls = asking(&office, &rustls::version::TLS12, true);
        let (client, ()) = tokio::join!(stage.client(None), insists(&listener, tls, last, then));
        let mut client = client.unwrap();
        let mut heard = Vec::new();
        let _ = soon(client.read_to_end(&mut heard)).await;
        drop(client);
        let (closed, _, log) = stage.closed().await;
        let why = closed.why.unwrap_or_default();
        assert!(heard.is_empty() && why.contains(demands) && why.contains(part), "{part}: {why}\n{log}");
        assert!(!why.contains("cipher suite") && !why.contains("too old"), "{why}");
    }
}
