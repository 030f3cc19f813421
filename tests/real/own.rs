//! TLS that imapscope begins by itself, on one side only: a client without TLS reads from and sends to a server that has it,
//! and a client with STARTTLS does so with a server that has none.

use std::fs;
use std::process::Command;

use crate::peer::client::{mbsync_with, python};
use crate::peer::fed;
use crate::peer::mail::{letters, maildir, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::scope::Scope;
use crate::peer::sender::{RECIPIENT, curl, files, msmtp, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::tail;

/// What a log has, and has not, where one side is secured.
fn one_leg(log: &str, secured: &str, plain: &str) {
    assert!(log.contains(&format!("-- TLS 1.3 with the {secured}, TLS_")), "{secured}:\n{}", tail(log));
    assert!(!log.contains(&format!(" with the {plain}, TLS_")), "{plain}:\n{}", tail(log));
    for never in ["no TLS with", "broken rules", "that is not read"] {
        assert!(!log.contains(never), "{never}:\n{}", tail(log));
    }
    let ours = "said by imapscope; the ";
    assert!(log.contains(ours) && log.contains("it is between the "), "{}", tail(log));
}

#[test]
fn a_client_without_tls_has_a_server_with_starttls() {
    if !postfix::wanted(&["dovecot", "mbsync", "swaks", "curl", "python3", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imap+starttls", &messages(), "");
    let scope = Scope::between(["imap", "imap+starttls"], server.address, &server.certificate(), &[]);
    let near = scope.folder.path().join("near/INBOX");
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(near.join(name)).expect("a folder");
    }
    mbsync_with(scope.address(), scope.folder.path(), "Host 127.0.0.1\nSSLType None");
    assert!(maildir(&near) == maildir(&server.inbox()), "the mailboxes are the same");
    let log = scope.end();
    one_leg(&log, "server", "client");
    assert!(log.contains("logged in as"), "{}", tail(&log));

    let server = Dovecot::serving("sieve", &[], "");
    let scope = Scope::between(["sieve", "sieve+starttls"], server.address, &server.certificate(), &[]);
    let script = scope.folder.path().join("script");
    fs::write(&script, "keep;\n").expect("a file");
    python("sieve.py", scope.address(), &[&script.display().to_string()]);
    one_leg(&scope.end(), "server", "client");

    let server = Postfix::start(&[&[]]);
    let mut letters = letters();
    letters.sort();
    let scope = Scope::between(["smtp", "smtp+starttls"], server.address(), &server.certificate(), &[]);
    for path in files(scope.folder.path(), &letters) {
        sent(&swaks(scope.address(), &path, &["--to", RECIPIENT]));
    }
    assert!(server.take("bob", letters.len()) == letters, "all arrives as it was sent");
    for path in files(scope.folder.path(), &letters) {
        sent(&curl(scope.address(), &path, &[]));
    }
    assert!(server.take("bob", letters.len()) == letters, "all arrives as it was sent");
    one_leg(&scope.end(), "server", "client");
}

#[test]
fn a_client_with_starttls_has_a_server_without_tls() {
    if !postfix::wanted(&["dovecot", "mbsync", "swaks", "msmtp", "curl", "python3", "openssl"]) {
        return;
    }
    let server = Dovecot::start(&messages());
    let scope = Scope::between(["imap+starttls", "imap"], server.address, &server.certificate(), &[]);
    let near = scope.folder.path().join("near/INBOX");
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(near.join(name)).expect("a folder");
    }
    let ca = scope.ca().display().to_string();
    let host = format!("Host localhost\nSSLType STARTTLS\nSystemCertificates no\nCertificateFile {ca}");
    mbsync_with(scope.address(), scope.folder.path(), &host);
    assert!(maildir(&near) == maildir(&server.inbox()), "the mailboxes are the same");
    let log = scope.end();
    one_leg(&log, "client", "server");
    assert!(log.contains("logged in as") && log.contains("STARTTLS"), "{}", tail(&log));

    let all = letters();
    let server = Dovecot::serving("pop3", &all, "");
    let scope = Scope::between(["pop3+starttls", "pop3"], server.address, &server.certificate(), &[]);
    let into = tempfile::tempdir().expect("a folder");
    let ca = scope.ca().display().to_string();
    python("tls.py", scope.address(), &[&ca, "pop3", &into.path().display().to_string()]);
    for (index, message) in all.iter().enumerate() {
        let read = fs::read(into.path().join((index + 1).to_string())).expect("it was read");
        assert!(read == *message, "message {} is read whole", index + 1);
    }
    one_leg(&scope.end(), "client", "server");

    // Its own STARTTLS is hidden by ours.
    let server = Dovecot::serving("sieve", &[], "");
    let scope = Scope::between(["sieve+starttls", "sieve"], server.address, &server.certificate(), &[]);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-crlf", "-verify_return_error", "-verify_hostname", "localhost"]);
    command.args(["-starttls", "sieve", "-servername", "localhost"]).arg("-CAfile").arg(scope.ca());
    let output = fed(command.args(["-connect", &format!("localhost:{}", scope.port)]), b"NOOP\nLOGOUT\n");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("OK \"Logout completed"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let unasked = text.find("\"IMPLEMENTATION\"").expect("the list is told again behind TLS");
    assert!(!text[unasked..].contains("STARTTLS"), "{text}");
    one_leg(&scope.end(), "client", "server");

    let mut letters = letters();
    letters.sort();
    let server = Postfix::start(&[&["STARTTLS"]]);
    let scope = Scope::between(["smtp+starttls", "smtp"], server.lacking(&["STARTTLS"]), &server.certificate(), &[]);
    let ca = scope.ca().display().to_string();
    let trust = format!("tls_trust_file {ca}");
    let paths = files(scope.folder.path(), &letters);
    for (nth, path) in paths.iter().enumerate() {
        match nth % 3 {
            0 => {
                sent(&swaks(scope.address(), path, &["--to", RECIPIENT, "--tls", "--tls-verify", "--tls-ca-path", &ca]))
            }
            1 => sent(&curl(scope.address(), path, &["--ssl-reqd", "--cacert", &ca])),
            _ => {
                let settings = ["tls on", "tls_certcheck on", "tls_starttls on", &trust, "auth off"];
                sent(&msmtp(scope.address(), path, &settings));
            }
        }
    }
    assert!(server.take("bob", letters.len()) == letters, "all arrives as it was sent");
    one_leg(&scope.end(), "client", "server");
}
