//! A mailbox is read through imapscope by clients with TLS, from a server with TLS: nobody notices that there are two of
//! it, and whoever does not trust us is told what to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::peer::mail::{crlf, letters, messages};
use crate::peer::scope::Scope;
use crate::peer::server::Dovecot;
use crate::peer::{PASSWORD, USER, fed, run, succeed, wanted};

fn curl(ca: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--user", &format!("{USER}:{PASSWORD}"), "--cacert"]).arg(ca);
    command.args(arguments).arg(url);
    command
}

#[test]
fn curl_reads_with_tls_on_both_legs() {
    if !wanted(&["dovecot", "curl", "openssl"]) {
        return;
    }
    for (scheme, all, path) in [("imaps", messages(), "INBOX;MAILINDEX="), ("pop3s", letters(), "")] {
        let server = Dovecot::serving(scheme, &all, "");
        let scope = Scope::start(scheme, server.address, &server.certificate(), &[]);
        for host in ["localhost", "127.0.0.1"] {
            for (index, message) in all.iter().enumerate() {
                let url = format!("{scheme}://{host}:{}/{path}{}", scope.port, index + 1);
                let read = succeed(&mut curl(&scope.ca(), &url, &[]));
                assert!(read == crlf(message), "message {} is read whole", index + 1);
            }
        }
        if scheme == "imaps" {
            let file = scope.folder.path().join("message");
            fs::write(&file, crlf(&all[3])).expect("a file");
            let url = format!("imaps://localhost:{}/INBOX", scope.port);
            succeed(&mut curl(&scope.ca(), &url, &["--upload-file", &file.display().to_string()]));
            let url = format!("{url};MAILINDEX={}", all.len() + 1);
            assert!(succeed(&mut curl(&scope.ca(), &url, &[])) == crlf(&all[3]), "it arrives whole");
        }
        let log = scope.end();
        for text in [
            "TLS 1.3 with the server",
            "| verified: for localhost; self-signed",
            "TLS 1.3 with the client",
            "SNI localhost",
            "no SNI",
            " C~ ",
            " S~ ",
        ] {
            assert!(log.contains(text), "{text}: {log}");
        }
        assert!(!log.contains("no TLS with") && !log.contains("broken rules"), "{log}");
    }
}

#[test]
fn curl_reads_behind_starttls_that_is_followed() {
    if !wanted(&["dovecot", "curl", "openssl"]) {
        return;
    }
    for (scheme, all, path, dropped) in
        [("imap", messages(), "INBOX;MAILINDEX=", "IDLE"), ("pop3", letters(), "", "TOP")]
    {
        let server = Dovecot::serving(&format!("{scheme}+starttls"), &all, "");
        let scope = Scope::start(scheme, server.address, &server.certificate(), &["--drop-cap", dropped]);
        for (index, message) in all.iter().enumerate() {
            let url = format!("{scheme}://localhost:{}/{path}{}", scope.port, index + 1);
            let read = if index == 0 {
                // The first time the authority is not there yet: a client that does not trust it gets nothing.
                run(&mut curl(Path::new("/dev/null"), &url, &["--ssl-reqd"]));
                succeed(&mut curl(&scope.ca(), &url, &["--ssl-reqd"]))
            } else {
                succeed(&mut curl(&scope.ca(), &url, &["--ssl-reqd"]))
            };
            assert!(read == crlf(message), "message {} is read whole", index + 1);
        }
        let log = scope.end();
        for text in ["TLS 1.3 with the server", "TLS 1.3 with the client", " S~ ", "logged in as"] {
            assert!(log.contains(text), "{text}: {log}");
        }
    }
}

#[test]
fn openssl_sees_what_a_rule_leaves_over_and_ends_well() {
    if !wanted(&["dovecot", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imaps", &messages(), "");
    for version in ["-tls1_2", "-tls1_3"] {
        let scope = Scope::start("imaps", server.address, &server.certificate(), &["--drop-cap", "IDLE"]);
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-crlf", "-verify_return_error", "-verify_hostname", "localhost", version]);
        command.arg("-CAfile").arg(scope.ca()).args(["-connect", &format!("localhost:{}", scope.port)]);
        let output = fed(&mut command, format!("a LOGIN {USER} {PASSWORD}\nb LOGOUT\n").as_bytes());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("* OK [CAPABILITY IMAP4rev1") && said.contains("b OK"), "{said}");
        assert!(!said.contains("IDLE"), "{said}");
        let log = scope.end();
        assert!(log.contains("closed by the server") && log.contains(" LOGIN alice <hidden>"), "{log}");
    }
}

#[cfg(feature = "legacy-tls")]
#[test]
fn old_clients_read_with_tls_1_0_and_with_rsa_alone() {
    if !wanted(&["dovecot", "openssl"]) {
        return;
    }
    let old: [(&[&str], &str); 3] = [
        (&["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"], "TLS 1.0 with the client"),
        (&["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], "TLS 1.1 with the client"),
        (&["-tls1_2", "-cipher", "AES128-SHA"], "TLS 1.2 with the client, TLS_RSA_WITH_AES_128_CBC_SHA"),
    ];
    for (scheme, serving, more) in [("imaps", "imaps", &[][..]), ("imap", "imap+starttls", &["-starttls", "imap"])] {
        let server = Dovecot::serving(serving, &messages(), "");
        let scope = Scope::start(scheme, server.address, &server.certificate(), &["--drop-cap", "IDLE"]);
        for (index, (flags, text)) in old.iter().enumerate() {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-quiet", "-crlf", "-connect", &format!("localhost:{}", scope.port)]);
            command.args(*flags).args(more);
            if index > 0 {
                // The first one made the authority for such clients.
                command.arg("-CAfile").arg(scope.folder.path().join("ca-rsa.pem"));
                command.args(["-verify_return_error", "-verify_hostname", "localhost"]);
            }
            let talk = format!("a LOGIN {USER} {PASSWORD}\nb SELECT INBOX\nc FETCH 1 BODY[]\nd LOGOUT\n");
            let output = fed(&mut command, talk.as_bytes());
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
            // With STARTTLS the greeting is openssl's own affair.
            assert!(scheme == "imap" || said.contains("* OK [CAPABILITY IMAP4rev1"), "{said}");
            for part in ["a OK ", "* 1 FETCH (", "c OK ", "d OK "] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!said.contains("IDLE"), "{said}");
        }
        let log = scope.end();
        for text in old.map(|(_, text)| text) {
            assert!(log.contains(text), "{text}: {log}");
        }
        let warning = "is not safe, accepted only because this imapscope was built with legacy-tls";
        // The end of a connection repeats it.
        let warned = log.lines().filter(|line| line.contains(warning) && !line.contains("also: "));
        assert_eq!(warned.count(), 2);
        assert!(log.contains("TLS 1.3 with the server") && log.contains(" LOGIN alice <hidden>"), "{log}");
    }
}

#[test]
fn of_tls_that_is_relayed_the_hellos_are_told() {
    if !wanted(&["dovecot", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imap+starttls", &[], "");
    let scope = Scope::start("imap", server.address, &server.certificate(), &["--starttls", "relay"]);
    let connect = format!("127.0.0.1:{}", scope.port);
    for more in [&["-tls1_2"][..], &["-min_protocol", "TLSv1.1"], &["-tls1_2", "-verify_return_error"]] {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-crlf", "-starttls", "imap", "-connect", &connect]);
        command.args(["-servername", "mail.example.org", "-alpn", "imap"]).args(more);
        let output = fed(&mut command, format!("a LOGIN {USER} {PASSWORD}\nb LOGOUT\n").as_bytes());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.contains("b OK"), !more.contains(&"-verify_return_error"), "{said}");
    }
    let log = scope.end();
    for text in [
        " to 1.3, SNI mail.example.org, ALPN imap",
        "the server chooses TLS 1.3, TLS_AES_256_GCM_SHA384",
        "the client offers TLS 1.2 or older, SNI mail.example.org, ALPN imap",
        "the server chooses TLS 1.2, TLS_ECDHE_",
        "the client sends the TLS alert ",
        " opaque   <hidden ",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert!(!log.contains(&format!("LOGIN {USER}")), "{log}");
}

#[test]
fn who_does_not_trust_us_is_told_what_to_do() {
    if !wanted(&["dovecot", "curl", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imaps", &[], "");
    let scope = Scope::start("imaps", server.address, &server.certificate(), &[]);
    let output = run(&mut curl(&server.certificate(), &format!("imaps://localhost:{}/", scope.port), &[]));
    assert_eq!(output.status.code(), Some(60), "curl refuses the certificate");
    let log = scope.end();
    assert!(log.contains("the client does not trust our certificate (it says "), "{log}");
    assert!(log.contains("`imapscope ca help`"), "{log}");
}
