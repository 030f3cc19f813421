//! Certificates of servers that are not accepted, of every kind: each is told with its reason and with what to do, nothing is
//! relayed to such a server, and `--insecure` goes on and says loudly what it has passed over. With TLS from the first octet
//! and behind a STARTTLS that is followed.

use std::sync::Arc;

use crate::secure::{self, End, Office, Set, Stage, When, accept, give, listen, means, soon, stolen, take};
use imapscope::event::{Closer, Peer, Verification, What};
use imapscope::net::tls::Trust;
use rcgen::{
    BasicConstraints, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

/// A server that shows something, whom we believe, what is said of it, and what can be done about it.
struct Case {
    what: &'static str,
    host: &'static str,
    server: Arc<ServerConfig>,
    /// Of `--server-ca`.
    believed: String,
    said: &'static [&'static str],
    remedy: &'static str,
}

const LOCAL: &str = "localhost";
const AUTHORITY: &str = "--server-ca FILE trusts the authority, or the server's certificate, in FILE";
const REPLACE: &str = "it has to be replaced on the server";

fn data(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn cases(office: &Office) -> Vec<Case> {
    let believed = std::fs::read_to_string(&office.ca).unwrap();
    let of = |what, certificate: &(String, String), said, remedy| Case {
        what,
        host: LOCAL,
        server: secure::showing(certificate),
        believed: believed.clone(),
        said,
        remedy,
    };
    let foreign = Office::named("Stranger");
    let middle = office.below("Middle", |_| {});
    let late = office.below("Middle", |params| params.not_after = date_time_ymd(2021, 1, 1));
    let early = office.below("Middle", |params| params.not_before = date_time_ymd(2090, 1, 1));
    let none = office.below("Middle", |params| params.is_ca = IsCa::NoCa);
    let last = office.below("Middle", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let beyond = last.below("Beyond", |_| {});
    let narrow = office.below("Middle", |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let issue = |from: &Office| from.with_ours(from.issue(&[LOCAL], When::Now));
    let mut through_two = beyond.with_ours(beyond.issue(&[LOCAL], When::Now));
    through_two.0 += &std::fs::read_to_string(&last.ca).unwrap();
    let mut all = vec![
        of(
            "expired",
            &office.issue(&[LOCAL], When::Past),
            &["it expired on 2021-01-01"],
            "it has to be renewed on the server",
        ),
        of(
            "not yet valid",
            &office.issue(&[LOCAL], When::Future),
            &["it is valid from 2100-01-01 only"],
            "check the clock of this machine",
        ),
        of(
            "another name",
            &office.issue(&["mail.example"], When::Now),
            &["it is not for localhost: it is for mail.example"],
            "name the server in the route as its certificate does",
        ),
        of(
            "another address",
            &office.issue(&["192.0.2.1", "2001:db8::1"], When::Now),
            &["it is not for localhost: it is for 192.0.2.1, 2001:db8::1"],
            "name the server in the route",
        ),
        of(
            "a name in the subject only",
            &office.made(|params| {
                params.subject_alt_names.clear();
                params.distinguished_name = DistinguishedName::new();
                params.distinguished_name.push(DnType::CommonName, LOCAL);
            }),
            &["it is not for localhost: it names no host (its subject, CN=localhost, does not count)"],
            "name the server in the route",
        ),
        of(
            "an unknown issuer",
            &foreign.issue(&[LOCAL], When::Now),
            &[
                "nobody who is trusted here vouches for it (its issuer is CN=Stranger), of which the server sent no certificate",
            ],
            AUTHORITY,
        ),
        of(
            "an unknown issuer that is sent along",
            &issue(&foreign),
            &["nobody who is trusted here vouches for it (its issuer is CN=Stranger). Nothing"],
            AUTHORITY,
        ),
        of(
            "an issuer of the same name",
            &Office::open().issue(&[LOCAL], When::Now),
            &["CN=Office", "did not sign it, but somebody of the same name"],
            AUTHORITY,
        ),
        of("self-signed", &Office::alone(&[LOCAL]), &["it is self-signed, and not known here"], "--insecure trusts"),
        of(
            "self-signed, and an authority",
            &Office::vain(&[LOCAL]),
            &["it is self-signed, and not known here"],
            "--insecure trusts",
        ),
        of(
            "an authority's",
            &office.made(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            &["it is an authority's own, which no server may show"],
            REPLACE,
        ),
        of(
            "a chain with a gap",
            &middle.issue(&[LOCAL], When::Now),
            &["vouches for it (its issuer is CN=Middle), of which the server sent no certificate"],
            AUTHORITY,
        ),
        of(
            "a chain that has expired",
            &issue(&late),
            &["the certificate of CN=Middle, which vouches for it, expired on 2021-01-01"],
            "it has to be renewed on the server",
        ),
        of(
            "a chain before its time",
            &issue(&early),
            &["the certificate of CN=Middle, which vouches for it, is valid from 2090-01-01 only"],
            "it has to be renewed",
        ),
        of("an issuer that is none", &issue(&none), &["who signed it is no authority (basicConstraints)"], REPLACE),
        of(
            "a chain too long",
            &through_two,
            &["an authority in its chain may not vouch for others (pathLenConstraint)"],
            REPLACE,
        ),
        of(
            "an issuer for other names",
            &issue(&narrow),
            &["an authority in its chain may not vouch for this name (nameConstraints)"],
            REPLACE,
        ),
        of(
            "for clients",
            &office.made(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            &["it is not for servers: it may be used for client authentication only"],
            REPLACE,
        ),
        of(
            "an unknown extension that is critical",
            &office.made(|params| {
                let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions = vec![extension];
            }),
            &["it has a critical extension that is not known here"],
            "it has to be replaced on the server; --insecure",
        ),
        of(
            "several at once",
            &foreign.issue(&["mail.example"], When::Past),
            &[
                "it expired on 2021-01-01; nobody who is trusted here vouches for it",
                "; it is not for localhost: it is for mail.example",
            ],
            "it has to be renewed on the server",
        ),
    ];
    let address = |names: &[&str]| office.issue(names, When::Now);
    for (certificate, said) in [
        (address(&["192.0.2.1"]), &["it is not for 127.0.0.1: it is for 192.0.2.1"][..]),
        (address(&[LOCAL]), &["it is not for 127.0.0.1: it is for localhost"]),
    ] {
        all.push(Case { host: "127.0.0.1", ..of("not for the address", &certificate, said, "name the server") });
    }
    for (what, shown, believed, said, remedy) in [
        (
            "signed with SHA-1",
            "sha1",
            "root",
            &["it is signed in a way that is not safe or not supported, as with SHA-1"][..],
            REPLACE,
        ),
        (
            "a short key of the issuer",
            "by-weak",
            "weakroot",
            &["the key of CN=Weak Office is too short to be safe: RSA with 1024 bits"],
            REPLACE,
        ),
        ("a short key", "weak", "root", &["its key is too short to be safe: RSA with 1024 bits"], REPLACE),
    ] {
        all.push(Case { what, host: LOCAL, server: stolen(&data(shown)), believed: data(believed), said, remedy });
    }
    all.push(Case {
        what: "another's",
        host: LOCAL,
        server: stolen(&office.issue(&[LOCAL], When::Now).0),
        believed,
        said: &["the server did not prove that it has the key of this certificate"],
        remedy: "the server has to show a certificate that it has the key of",
    });
    all
}

/// A client and a server that are about to begin TLS on the server's leg: at once, or behind STARTTLS.
async fn begun(
    starttls: bool,
    office: &Office,
    host: &str,
    trust: Arc<Trust>,
) -> (Stage, Box<dyn End>, Box<dyn End>, Arc<rustls::ClientConfig>) {
    let (identity, believer) = office.identity();
    let (listener, address) = listen().await;
    let mut set = Set { host, ..Set::default() };
    if starttls {
        set.means = means(&identity, &Some(trust));
    } else {
        set.trust = Some(trust);
    }
    let stage = Stage::open(set, address).await;
    let (client, server) = tokio::join!(stage.client(None), accept(&listener, None));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    if starttls {
        give(&mut server, b"* OK hi\r\n").await;
        assert_eq!(take(&mut client, 9).await, b"* OK hi\r\n");
        give(&mut client, b"a STARTTLS\r\n").await;
        assert_eq!(take(&mut server, 12).await, b"a STARTTLS\r\n");
        give(&mut server, b"a OK go\r\n").await;
    }
    (stage, client, server, believer)
}

fn believing(office: &Office, believed: &str, insecure: bool) -> Arc<Trust> {
    let file = office.folder.path().join("believed.pem");
    std::fs::write(&file, believed).unwrap();
    Arc::new(Trust::file(&file, insecure).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_told_and_such_a_server_gets_nothing() {
    let office = Office::open();
    for case in cases(&office) {
        for starttls in [false, true] {
            let trust = believing(&office, &case.believed, false);
            let (stage, mut client, server, _) = begun(starttls, &office, case.host, trust).await;
            // A server may come to the end of its handshake before it is refused.
            if let Ok(mut server) = soon(TlsAcceptor::from(case.server.clone()).accept(server)).await {
                let mut heard = Vec::new();
                let _ = soon(server.read_to_end(&mut heard)).await;
                assert!(heard.is_empty(), "{}: nothing goes to a server that is not verified", case.what);
            }
            let mut heard = Vec::new();
            soon(client.read_to_end(&mut heard)).await.expect("the client's end is a good one");
            assert!(heard.is_empty(), "{}: the client hears of no consent: {heard:?}", case.what);
            let (closed, events, log) = stage.closed().await;
            assert_eq!(closed.by, Closer::Tls(Peer::Server), "{}: {log}", case.what);
            let why = closed.why.unwrap();
            let begin = format!("the certificate of {}:", case.host);
            for part in case.said.iter().chain([&begin.as_str(), &"Nothing more was sent to it; ", &case.remedy]) {
                assert!(why.contains(part), "{}, {starttls}: {part}\n{why}", case.what);
            }
            let blamed = case.said.iter().any(|part| part.contains("it is not for localhost"));
            assert!(blamed || !why.contains("it is not for localhost"), "{}: the name is right\n{why}", case.what);
            assert!(!events.iter().any(|event| matches!(event.what, What::Tls(_))), "{log}");
            assert!(log.contains("no TLS with the server"), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insecure_goes_on_with_each_and_tells_all_of_it() {
    let office = Office::open();
    for case in cases(&office) {
        for starttls in [false, true] {
            let trust = believing(&office, &case.believed, true);
            let (stage, mut client, server, believer) = begun(starttls, &office, case.host, trust).await;
            let mut server = soon(TlsAcceptor::from(case.server.clone()).accept(server)).await.expect(case.what);
            if starttls {
                assert_eq!(take(&mut client, 9).await, b"a OK go\r\n");
                client = secure::connect(client, Some(&believer)).await.unwrap();
            }
            give(&mut client, b"b NOOP\r\n").await;
            assert_eq!(take(&mut server, 8).await, b"b NOOP\r\n");
            drop((client, server));
            let (_, events, log) = stage.closed().await;
            let facts = events.iter().find_map(|event| match &event.what {
                What::Tls(facts) if event.from == Peer::Server => Some(facts),
                _ => None,
            });
            let Verification::Unverified(said) = &facts.unwrap().verdict else { panic!("{}: {log}", case.what) };
            for part in case.said.iter().map(|part| part.trim_end_matches(". Nothing")) {
                assert!(said.contains(part), "{}: {part}\n{said}", case.what);
            }
            assert!(log.contains("! NOT VERIFIED, because of --insecure: ") && log.contains(said), "{said}\n{log}");
        }
    }
}

#[test]
fn names_fit_as_the_standard_says() {
    let office = Office::open();
    let trust = office.trust().unwrap();
    for (names, host, fits) in [
        (&["*.example.org"][..], "mail.example.org", true),
        (&["*.example.org"], "MAIL.Example.org", true),
        (&["*.example.org"], "example.org", false),
        (&["*.example.org"], "a.mail.example.org", false),
        (&["mail.*.org"], "mail.example.org", false),
        (&["m*.example.org"], "mail.example.org", false),
        (&["*"], "localhost", false),
        (&["*.org"], "example.org", false),
        (&["mail.example.org"], "imap.example.org", false),
        (&["imap.example.org", "mail.example.org"], "mail.example.org", true),
        (&["192.0.2.1"], "192.0.2.1", true),
        (&["192.0.2.1"], "192.0.2.2", false),
        (&["2001:db8::1"], "2001:db8:0::1", true),
        (&["2001:db8::1"], "2001:db8::2", false),
        (&["mail.example.org"], "192.0.2.1", false),
    ] {
        let der = CertificateDer::from_pem_slice(office.issue(names, When::Now).0.as_bytes()).unwrap();
        let (_, witness) = trust.witness();
        let host = ServerName::try_from(host).unwrap();
        let verified = witness.verify_server_cert(&der, &[], &host, &[], UnixTime::now());
        let seen = witness.seen();
        assert_eq!(verified.is_ok(), fits, "{names:?} for {}: {:?}", host.to_str(), seen.faults);
        if !fits {
            let fault = format!("it is not for {}: it is for {}", host.to_str(), names.join(", "));
            assert_eq!(seen.faults, [fault]);
        }
    }
}
