//! imapscope without a client of its own choosing: what probe finds of real servers, and a real client that runs behind `--`.

use std::path::Path;
use std::process::Command;

use crate::peer::mail::{crlf, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::server::Dovecot;
use crate::peer::{PASSWORD, USER, run, succeed, wanted};

/// What a probe of this URL finds, under TLS with a server that has this certificate.
fn probe(url: &str, certificate: &Path, flags: &[&str]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    command.args(["probe", url, "--format", "json", "--server-ca"]).arg(certificate).args(flags);
    let output = succeed(command.env("IMAPSCOPE_PASSWORD", PASSWORD).env_remove("SSLKEYLOGFILE"));
    let text = String::from_utf8(output).expect("UTF-8");
    assert!(!text.contains(PASSWORD), "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The names of a stage.
fn names(found: &serde_json::Value, stage: &str) -> Vec<String> {
    let stages = found["stages"].as_array().expect("stages");
    let stage = stages.iter().find(|it| it["stage"] == stage).unwrap_or_else(|| panic!("{stage}: {found:#}"));
    let all = stage["capabilities"].as_array().expect("a list");
    all.iter().map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn real_servers_are_probed_at_every_stage() {
    if !postfix::wanted(&["dovecot", "openssl"]) {
        return;
    }
    for (serving, scheme, tls, gone, after) in [
        ("imap+starttls", "imap", "STARTTLS", "AUTH=PLAIN", "MOVE"),
        ("pop3+starttls", "pop3", "STLS", "SASL", "UIDL"),
        ("sieve", "sieve", "STARTTLS", "SASL", "SIEVE"),
    ] {
        let server = Dovecot::serving(serving, &[], "");
        let url = format!("{scheme}://localhost:{}", server.address.port());
        let found = probe(&url, &server.certificate(), &["--user", USER]);
        let has = |stage: &str, name: &str| names(&found, stage).iter().any(|it| it == name);
        assert!(has("before-tls", tls) && !has("after-tls", tls), "{found:#}");
        assert!(has("after-tls", gone) && !has("after-login", gone) && has("after-login", after), "{found:#}");
        assert_eq!(found["findings"].as_array().map(Vec::len), Some(0), "{found:#}");
        if scheme == "imap" {
            assert_eq!(found["id"][0]["value"], "Dovecot", "{found:#}");
        }
    }
    let logins = Dovecot::serving("imap", &[], "");
    let server = Postfix::with_login(&[&[]], &logins.login_socket());
    let url = format!("submission://localhost:{}", server.address().port());
    let found = probe(&url, &server.certificate(), &["--user", USER]);
    assert!(names(&found, "before-tls").contains(&"STARTTLS".to_owned()), "{found:#}");
    assert!(names(&found, "after-tls").contains(&"AUTH=PLAIN".to_owned()), "{found:#}");
    assert!(names(&found, "after-login").contains(&"PIPELINING".to_owned()), "{found:#}");
    assert_eq!(found["stages"][2]["login"]["how"], "AUTH PLAIN");
    let lmtp = Dovecot::serving("lmtp", &[], "");
    let found = probe(&format!("lmtp://localhost:{}", lmtp.address.port()), &lmtp.certificate(), &[]);
    assert!(names(&found, "before-tls").contains(&"PIPELINING".to_owned()), "{found:#}");
}

#[test]
fn a_client_runs_behind_the_route_that_it_is_told() {
    if !wanted(&["dovecot", "curl", "python3"]) {
        return;
    }
    let all = messages();
    let server = Dovecot::start(&all);
    let route = format!(":0=imap://{}", server.address);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let line = format!("curl -sS \"imap://$IMAPSCOPE_HOST:$IMAPSCOPE_PORT/INBOX;MAILINDEX=1\" -u {USER}:{PASSWORD}");
    let scope = |command: &[&str]| {
        let mut scope = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        scope.args(["proxy", &route, "-o", &format!("pretty:{}", log.display()), "--"]).args(command);
        let output = run(&mut scope);
        let log = std::fs::read_to_string(&log).expect("a log");
        assert!(!log.contains(PASSWORD), "{log}");
        (output.status.code(), output.stdout, log)
    };
    let (code, out, told) = scope(&["sh", "-c", &line]);
    assert_eq!(code, Some(0), "{told}");
    assert!(out == crlf(&all[0]), "the message is on standard output, and nothing else");
    assert!(told.contains("FETCH") && told.contains("#1 == "), "{told}");
    let script = format!(
        "import imaplib, os\n\
         c = imaplib.IMAP4(os.environ['IMAPSCOPE_HOST'], int(os.environ['IMAPSCOPE_PORT_IMAP']))\n\
         c.login('{USER}', '{PASSWORD}')\nc.select('INBOX')\nraise SystemExit(int(c.search(None, 'ALL')[1][0].split()[0]) + 40)"
    );
    let (code, _, told) = scope(&["python3", "-c", &script]);
    assert_eq!(code, Some(41), "{told}");
    assert!(told.contains("SEARCH"), "{told}");
}
