//! Mail is sent and read by real clients that trust us, to and from real servers, with STARTTLS followed in the middle and with
//! TLS from the first octet: it arrives octet for octet, and the log has the facts of both legs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::peer::client::{mbsync_with, python};
use crate::peer::mail::{letters, maildir, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::scope::Scope;
use crate::peer::sender::{RECIPIENT, curl, files, msmtp, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::tail;
use crate::peer::{PASSWORD, USER, fed, wanted};

/// What every log has where both legs are secured, and what none has.
fn both_legs(log: &str) {
    for text in
        ["-- TLS 1.3 with the server, TLS_AES_256_GCM_SHA384", "-- TLS 1.3 with the client, TLS_AES_", " C~ ", " S~ "]
    {
        assert!(log.contains(text), "{text}:\n{}", tail(log));
    }
    assert!(!log.contains("no TLS with") && !log.contains("broken rules"), "{}", tail(log));
    assert!(!log.lines().any(|line| line.trim_start().starts_with("! ")), "nobody broke a rule:\n{}", tail(log));
}

/// Sends one file through this proxy; `wrapped` says that TLS begins with the first octet.
type Send = fn(&Scope, &Path, bool);

const CLIENTS: [(&str, Send); 4] =
    [("swaks", with_swaks), ("msmtp", with_msmtp), ("curl", with_curl), ("python3", with_python)];

fn with_swaks(scope: &Scope, path: &Path, wrapped: bool) {
    let ca = scope.ca().display().to_string();
    let tls = if wrapped { "--tls-on-connect" } else { "--tls" };
    sent(&swaks(scope.address(), path, &["--to", RECIPIENT, tls, "--tls-verify", "--tls-ca-path", &ca]));
}

fn with_msmtp(scope: &Scope, path: &Path, wrapped: bool) {
    let trust = format!("tls_trust_file {}", scope.ca().display());
    let begin = if wrapped { "tls_starttls off" } else { "tls_starttls on" };
    sent(&msmtp(scope.address(), path, &["tls on", "tls_certcheck on", begin, &trust, "auth off"]));
}

fn with_curl(scope: &Scope, path: &Path, wrapped: bool) {
    let ca = scope.ca().display().to_string();
    // The last address is the one that counts where TLS begins at once.
    let url = format!("smtps://localhost:{}/client.example.org", scope.port);
    let arguments = ["--ssl-reqd", "--cacert", &ca];
    if wrapped {
        sent(&curl_at(&url, scope, path, &arguments));
    } else {
        sent(&curl(scope.address(), path, &arguments));
    }
}

fn curl_at(url: &str, scope: &Scope, path: &Path, arguments: &[&str]) -> std::process::Output {
    use crate::peer::mail::crlf;
    let upload = scope.folder.path().join("upload");
    fs::write(&upload, crlf(&fs::read(path).expect("a message"))).expect("a file");
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--mail-from", "alice@example.org", "--mail-rcpt", RECIPIENT]);
    crate::peer::run(command.arg("--upload-file").arg(upload).args(arguments).arg(url))
}

fn with_python(scope: &Scope, path: &Path, wrapped: bool) {
    let (ca, path) = (scope.ca().display().to_string(), path.display().to_string());
    python("tls.py", scope.address(), &[&ca, if wrapped { "smtps" } else { "smtp" }, "-", &path]);
}

#[test]
fn mail_is_delivered_behind_starttls_and_in_tls_from_the_first_octet() {
    if !postfix::wanted(&["swaks", "msmtp", "curl", "python3", "openssl"]) {
        return;
    }
    let server = Postfix::start(&[&[]]);
    let mut letters = letters();
    letters.sort();
    for wrapped in [false, true] {
        let (scheme, address) = if wrapped { ("smtps", server.wrapped()) } else { ("smtp", server.address()) };
        for (client, send) in CLIENTS {
            let scope = Scope::start(scheme, address, &server.certificate(), &[]);
            for path in files(scope.folder.path(), &letters) {
                send(&scope, &path, wrapped);
            }
            assert!(server.take("bob", letters.len()) == letters, "{client}, {scheme}: all arrives as it was sent");
            let log = scope.end();
            both_legs(&log);
            for text in ["verified: for localhost; self-signed", "answers RCPT", "client.example.org"] {
                assert!(log.contains(text), "{client}, {scheme}: {text}:\n{}", tail(&log));
            }
            if !wrapped {
                // It is not offered any more, which is told.
                let told = log.matches("gone: STARTTLS (after TLS began)").count();
                assert!(told >= 1, "{client}: the lists before and after TLS are compared:\n{}", tail(&log));
            }
        }
    }
}

#[test]
fn openssl_begins_tls_in_the_middle_of_every_protocol() {
    if !postfix::wanted(&["dovecot", "openssl"]) {
        return;
    }
    let postfix = Postfix::start(&[&[]]);
    let imap = Dovecot::serving("imap+starttls", &messages(), "");
    let pop3 = Dovecot::serving("pop3+starttls", &letters(), "");
    let sieve = Dovecot::serving("sieve", &[], "");
    for (scheme, address, certificate, said, heard) in [
        ("smtp", postfix.address(), postfix.certificate(), "EHLO x\nNOOP\nQUIT\n".to_owned(), "221 "),
        ("imap", imap.address, imap.certificate(), format!("a LOGIN {USER} {PASSWORD}\nb LOGOUT\n"), "b OK"),
        (
            "pop3",
            pop3.address,
            pop3.certificate(),
            format!("USER {USER}\nPASS {PASSWORD}\nSTAT\nQUIT\n"),
            "+OK Logging out",
        ),
        ("sieve", sieve.address, sieve.certificate(), "NOOP\nLOGOUT\n".to_owned(), "OK \"Logout completed"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let scope = Scope::start(scheme, address, &certificate, &[]);
            let mut command = Command::new("openssl");
            command.args([
                "s_client",
                "-quiet",
                "-crlf",
                "-verify_return_error",
                "-verify_hostname",
                "localhost",
                version,
            ]);
            command.args(["-starttls", scheme, "-servername", "localhost"]).arg("-CAfile").arg(scope.ca());
            let output = fed(command.args(["-connect", &format!("localhost:{}", scope.port)]), said.as_bytes());
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(heard), "{scheme}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
            let log = scope.end();
            for part in ["TLS 1.3 with the server", "SNI localhost", " C~ ", " S~ "] {
                assert!(log.contains(part), "{scheme}: {part}:\n{}", tail(&log));
            }
            let its = if version == "-tls1_2" {
                "TLS 1.2 with the client, TLS_ECDHE_"
            } else {
                "TLS 1.3 with the client, TLS_"
            };
            assert!(log.contains(its) && !log.contains("no TLS with"), "{scheme}:\n{}", tail(&log));
        }
    }
}

#[test]
fn python_reads_everything_behind_starttls_and_in_tls_from_the_first_octet() {
    if !wanted(&["dovecot", "python3", "openssl"]) {
        return;
    }
    for (scheme, how, all) in [
        ("imap", "imap+starttls", messages()),
        ("imaps", "imaps", messages()),
        ("pop3", "pop3+starttls", letters()),
        ("pop3s", "pop3s", letters()),
    ] {
        let server = Dovecot::serving(how, &all, "");
        let scope = Scope::start(scheme, server.address, &server.certificate(), &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let (ca, into) = (scope.ca().display().to_string(), folder.path().display().to_string());
        python("tls.py", scope.address(), &[&ca, scheme, &into]);
        for (index, message) in all.iter().enumerate() {
            let read = fs::read(folder.path().join((index + 1).to_string())).expect("it was read");
            assert!(read == *message, "{scheme}: message {} is read whole", index + 1);
        }
        let log = scope.end();
        both_legs(&log);
        assert!(log.contains("logged in as"), "{}", tail(&log));
    }
}

#[test]
fn mbsync_synchronises_behind_starttls() {
    if !wanted(&["dovecot", "mbsync", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imap+starttls", &messages(), "");
    let scope = Scope::start("imap", server.address, &server.certificate(), &[]);
    let near = scope.folder.path().join("near/INBOX");
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(near.join(name)).expect("a folder");
    }
    let host =
        format!("Host localhost\nSSLType STARTTLS\nSystemCertificates no\nCertificateFile {}", scope.ca().display());
    mbsync_with(scope.address(), scope.folder.path(), &host);
    assert!(maildir(&near) == maildir(&server.inbox()), "the mailboxes are the same");
    let log = scope.end();
    both_legs(&log);
    assert!(log.contains("logged in as"), "{}", tail(&log));
}
