//! Which real clients and servers take harmless variation: each way by itself and all of them, for each direction. A client that
//! fails is named with what it says, so that one that learns, or forgets, is noticed; the servers here take all of it.

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use crate::peer::client::{curl, curl_command, curl_pop3, mbsync_run, python_command};
use crate::peer::mail::{crlf, letters, maildir, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::sender::{RECIPIENT, files, swaks};
use crate::peer::server::Dovecot;
use crate::peer::stand::{Both, Stand};
use crate::peer::{run, wanted};

const WAYS: [&str; 6] = ["case", "order", "quoting", "literal", "slices", "all"];

/// What a client does, and how that fails.
type Outcomes = Result<(), String>;

/// A way with which a client fails, with whose words it was, and what the client says then.
type Failed = Vec<(String, String)>;

/// Runs a client once with a rule; the log has to tell what was varied.
fn with<S>(
    scheme: &'static str,
    rule: &str,
    (address, server): (SocketAddr, S),
    client: impl Fn(&Stand<S>) -> Outcomes,
) -> Outcomes {
    let stand = Stand::ruled(scheme, &["--rule", rule], address, server);
    let worked = client(&stand);
    let outcome = stand.end();
    let told =
        [format!("varied by {rule}"), format!("sent in slices of 1 octet by {rule}"), "never applied".to_owned()];
    assert!(told.iter().any(|told| outcome.log.contains(told)), "{rule}: {}", outcome.log);
    if scheme == "imap" {
        understood(&outcome, rule);
    }
    worked
}

/// Whatever was made of a client's commands, the server knew what was meant.
fn understood(outcome: &Both, rule: &str) {
    for record in &outcome.far {
        let said = String::from_utf8_lossy(&record.server);
        assert_eq!(said.lines().find(|line| line.contains(" BAD ")), None, "{rule}");
    }
}

/// The ways of this direction with which a client fails.
fn fails(from: &str, mut once: impl FnMut(&str) -> Outcomes) -> Failed {
    let rule = |way: &str| format!("vary {way} when from == {from}");
    WAYS.iter().filter_map(|way| Some(((*way).to_owned(), once(&rule(way)).err()?))).collect()
}

fn imap(rule: &str, client: impl Fn(&Stand) -> Outcomes) -> Outcomes {
    let server = Dovecot::start(&messages());
    with("imap", rule, (server.address, server), client)
}

/// A client of IMAP knows words by one spelling: with this message, where the case of the server's words is another, and
/// not otherwise.
fn knows_one_spelling(client: impl Fn(&Stand) -> Outcomes, message: &str) {
    assert_eq!(fails("client", |rule| imap(rule, &client)), [], "Dovecot reads them all");
    let failed = fails("server", |rule| imap(rule, &client));
    assert_eq!(failed.iter().map(|(way, _)| way.as_str()).collect::<Vec<_>>(), ["case", "all"], "{failed:?}");
    for (way, said) in failed {
        assert!(said.contains(message), "{way}: {said}");
    }
}

fn done(output: &Output) -> Outcomes {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn is(same: bool, what: &str) -> Outcomes {
    if same { Ok(()) } else { Err(what.to_owned()) }
}

/// Fetches a message with curl, and stores one.
fn with_curl(stand: &Stand) -> Outcomes {
    let get = |path: &str, arguments: &[&str]| {
        let arguments = [&["--max-time", "20"], arguments].concat();
        let output = run(&mut curl_command("imap", stand.address(), path, &arguments));
        done(&output).map(|()| output.stdout)
    };
    let direct = |path: &str| curl(stand.server.address, path, &[]);
    is(get("INBOX;MAILINDEX=1", &[])? == direct("INBOX;MAILINDEX=1"), "another message")?;
    get("", &[])?;
    let file = stand.folder().join("message");
    fs::write(&file, crlf(&messages()[0])).expect("a file");
    get("INBOX", &["--upload-file", &file.display().to_string()])?;
    let last = format!("INBOX;MAILINDEX={}", messages().len() + 1);
    is(direct(&last) == crlf(&messages()[0]), "it was stored otherwise")
}

/// Synchronises with mbsync.
fn with_mbsync(stand: &Stand) -> Outcomes {
    let near = stand.folder().join("near/INBOX");
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(near.join(name)).expect("a folder");
    }
    let host = format!("Host {}\nSSLType None\nTimeout 20", stand.address().ip());
    done(&mbsync_run(stand.address(), stand.folder(), &host))?;
    is(maildir(&near) == maildir(&stand.server.inbox()), "not all messages are there")
}

fn with_python(stand: &Stand) -> Outcomes {
    done(&run(&mut python_command("session.py", stand.address(), &["idle", "literal+", "condstore"])))
}

#[test]
fn curl_knows_status_words_by_one_spelling() {
    if !wanted(&["dovecot", "curl"]) {
        return;
    }
    knows_one_spelling(with_curl, "Got unexpected imap-server response");
    // It is the status that it does not know, not what stands elsewhere.
    assert_eq!(imap("vary case when from == server && !(status ~ \".\")", with_curl), Ok(()));
}

#[test]
fn mbsync_knows_status_words_by_one_spelling() {
    if !wanted(&["dovecot", "mbsync"]) {
        return;
    }
    knows_one_spelling(with_mbsync, "bogus greeting response oK");
    // Without a word to anybody it passes over untagged data with names that it does not know, and fetches nothing.
    let lost = || Err("not all messages are there".to_owned());
    for (name, found) in [("[0-9]+ EXISTS", lost()), ("[0-9]+ FETCH", lost()), ("(FLAGS|LIST|NAMESPACE)", Ok(()))] {
        let rule = format!("vary case when from == server && text ~ \"^[*] {name}\"");
        assert_eq!(imap(&rule, with_mbsync), found, "{name}");
    }
}

#[test]
fn imaplib_knows_words_by_one_spelling() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    knows_one_spelling(with_python, "unexpected response: b'* oK [");
    // The names of untagged data it looks for in capitals too.
    let untagged = imap("vary case when from == server && text ~ \"EXISTS\"", with_python);
    assert!(untagged.is_err_and(|said| said.contains("unexpected response: b'* 8 eXiStS'")));
}

#[test]
fn clients_of_pop3_and_managesieve() {
    if !wanted(&["dovecot", "curl", "python3"]) {
        return;
    }
    for from in ["client", "server"] {
        let pop = fails(from, |rule| {
            let server = Dovecot::serving("pop3", &letters(), "");
            with("pop3", rule, (server.address, server), |stand| {
                let output = run(&mut curl_command("pop3", stand.address(), "1", &["--max-time", "20"]));
                done(&output)?;
                is(output.stdout == curl_pop3(stand.server.address, "1", &[]), "another message")
            })
        });
        // curl looks for SASL and USER in capitals, and then knows no way to log in.
        let denied = |way: &str| (way.to_owned(), "curl: (67) Login denied\n".to_owned());
        let fragile = if from == "server" { vec![denied("case"), denied("all")] } else { Vec::new() };
        assert_eq!(pop, fragile, "{from}");
    }
    // This script looks for OK in capitals.
    for rule in ["vary all when from == client", "vary order quoting literal slices when from == server"] {
        let server = Dovecot::serving("sieve", &[], "");
        let worked = with("sieve", rule, (server.address, server), |stand| {
            let file = stand.folder().join("script");
            fs::write(&file, "keep;\r\n").expect("a file");
            done(&run(&mut python_command("sieve.py", stand.address(), &[&file.display().to_string()])))
        });
        assert_eq!(worked, Ok(()), "{rule}");
    }
}

#[test]
fn postfix_and_swaks_take_it() {
    if !postfix::wanted(&["swaks"]) {
        return;
    }
    let server = Postfix::start(&[&[]]);
    let letters = &letters()[..1];
    for from in ["client", "server"] {
        let failed = fails(from, |rule| {
            with("smtp", rule, (server.address(), ()), |stand| {
                let paths = files(stand.folder(), letters);
                done(&swaks(stand.address(), &paths[0], &["--to", RECIPIENT]))?;
                is(server.take("bob", 1) == letters, "another message")
            })
        });
        assert_eq!(failed, [], "{from}");
    }
}
