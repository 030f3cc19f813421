//! The verdict at the end of a connection: what each kind of end is called, that it accuses nobody whom no finding accuses, and
//! that it names first what came first.

use std::io;
use std::sync::Arc;

use imapscope::event::*;
use imapscope::exchange::Explained;
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::silence::Thresholds;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::json::Json;

use crate::dialogue::play;

/// Plays a conversation, one step a line: `C: TEXT`, `S: TEXT`, `C| TEXT` without a line end, `-- N` for N seconds of silence; `C.` and
/// `S.` end the connection, `C!` and `S!` reset it, `?` leaves its end unknown, and otherwise imapscope ends it.
fn verdict(protocol: &str, script: &str) -> Verdict {
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let mut session = Session::new(1, grammar.clone(), Arc::new(Rules::default()));
    let mut explainer = Explainer::new(grammar.clone(), false);
    let (mut out, mut now, mut found) = (Outbox::default(), 1_000_000_000_000_u64, None);
    let mut by = Closer::Ours;
    let opened = Opened { protocol: protocol.to_owned(), form: grammar.form, ..Opened::default() };
    let mut explain = |out: &mut Outbox, now: u64| {
        let mut batch = std::mem::take(&mut out.batch);
        (batch.connection, batch.at) = (1, Time(now));
        explainer.explain(&mut batch, &mut |event| found = event.summary.cloned().or(found.take()));
        *out = Outbox::default();
    };
    out.report(Peer::Client, What::Opened(Box::new(opened)));
    explain(&mut out, now);
    for line in script.lines() {
        let line = line.trim_start();
        let (mark, rest) = line.split_at(line.len().min(2));
        let from = if mark.starts_with('C') { Peer::Client } else { Peer::Server };
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "" => continue,

            "--" => {
                let (since, end) = (now, now + rest.parse::<u64>().expect("seconds") * 1_000_000_000);
                for next in (0..).map_while(|passed| Thresholds::USUAL.after(passed)) {
                    now = since + next.as_nanos() as u64;
                    if now > end {
                        break;
                    }
                    if let Some(wait) = session.owed() {
                        let from = wait.by.other();
                        out.report(from, What::Waiting(Box::new(Wait { since: Time(since), ..wait })));
                        explain(&mut out, now);
                    }
                }
                now = end;
            }
            "C:" | "S:" | "C|" | "S|" => {
                let text = if mark.ends_with(':') { format!("{rest}\r\n") } else { rest.to_owned() };
                let mut chunk = text.as_bytes();
                while !chunk.is_empty() {
                    let taken = session.receive(from, chunk, &mut out);
                    explain(&mut out, now);
                    chunk = &chunk[taken..];
                }
            }
            "C." | "S." => {
                session.closed(from, &mut out);
                by = if by == Closer::Ours { Closer::Peer(from) } else { by };
            }
            "C!" | "S!" => by = if by == Closer::Ours { Closer::Reset(from) } else { by },
            "?" => by = Closer::Unseen,
            other => panic!("{other:?} is no step"),
        }
        explain(&mut out, now);
    }
    let end = Closed { by, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    session.ended(Peer::Client, end, &mut out);
    explain(&mut out, now);
    found.expect("an end has a summary").verdict
}

const LOGIN: &str = "S: * OK hi\nC: a1 LOGIN u p\nS: a1 OK in\n";
const SELECT: &str = "S: * OK hi\nC: a1 LOGIN u p\nS: a1 OK in\nC: a2 SELECT INBOX\nS: a2 OK done\n";
const EHLO: &str = "S: 220 mx ESMTP\nC: EHLO c\nS: 250-mx\nS: 250-CHUNKING\nS: 250 BINARYMIME\n";

#[test]
fn nobody_is_accused_for_what_came_too_late() {
    for (protocol, script, kind, text) in [
        // A command that came after the server had ended is owed no answer.
        (
            "imap",
            format!("{LOGIN}S.\nC: a2 NOOP\nC."),
            "none",
            "no problems found; the server closed the connection after C: a2 NOOP",
        ),
        // One that came before is, whoever closes after the server.
        (
            "imap",
            format!("{LOGIN}C: a2 NOOP\nS.\nC."),
            "server",
            "server at fault: the server closed the connection without answering a2 NOOP",
        ),
        // The client left first, whatever the server does then.
        (
            "imap",
            format!("{LOGIN}C: a2 NOOP\nC.\nS!"),
            "stopped",
            "legal so far; the client stopped after C: a2 NOOP, without waiting for the server's reply to a2 NOOP",
        ),
        // A refusal in the greeting is one, whoever spoke before it.
        (
            "smtp",
            "C: EHLO me\nS: 554 5.5.1 talked early\nS.".to_owned(),
            "refused",
            "refused by policy: the server refused the connection with S: 554 5.5.1 talked early",
        ),
        // A server that answers the client's end has not ended the session by itself.
        (
            "imap",
            format!("{LOGIN}C.\nS: * BYE gone\nS."),
            "stopped",
            "no problems found: legal so far; the client stopped after S: a1 OK in, without LOGOUT",
        ),
        // What came after the client had left was not what it stopped after.
        (
            "imap",
            "C.\nS: * OK hi\nS.".to_owned(),
            "stopped",
            "legal so far; the client closed before the server's greeting",
        ),
        // An empty line is the client's own.
        (
            "smtp",
            "S: 220 mx\nC: EHLO me\nS: 250 mx\nC: \n?".to_owned(),
            "none",
            "no problems found; the file ends after C: (empty line)",
        ),
        // A server that hangs up where it owes a continuation request has not answered.
        (
            "imap",
            format!("{LOGIN}C: a4 APPEND x {{5}}\nS."),
            "server",
            "server at fault: the server closed the connection without answering a4 APPEND",
        ),
    ] {
        let got = verdict(protocol, &script);
        assert_eq!((got.kind.word(), got.text.as_str()), (kind, text), "{script}");
    }
}

#[test]
fn every_end_has_its_verdict() {
    let server = "the server closed the connection without answering";
    for (protocol, script, kind, text) in [
        // At rest, with and without a goodbye.
        ("imap", format!("{SELECT}C: a3 LOGOUT\nS: * BYE bye\nS: a3 OK out\nC."), "none", "no problems found"),
        ("imap", format!("{SELECT}C: a3 LOGOUT\nC."), "none", "no problems found"),
        (
            "imap",
            format!("{SELECT}C: a3 LOGOUT\n-- 60\nS."),
            "waiting",
            "waiting: the client for the server's reply to a3 LOGOUT, since 1 min 0 s; then the server closed",
        ),
        (
            "imap",
            format!("{SELECT}-- 60\nC."),
            "stopped",
            "no problems found: legal so far; the client stopped after S: a2 OK done, without LOGOUT",
        ),
        (
            "imap",
            format!("{SELECT}C: a3 IDLE\nS: + idling\n-- 900\nC."),
            "stopped",
            "no problems found: legal so far; the client stopped after S: + idling, without LOGOUT",
        ),
        ("imap", format!("{SELECT}C: a3 IDLE\nS: + idling\n-- 900\n"), "none", "no problems found"),
        (
            "imap",
            format!("{SELECT}-- 900\nS."),
            "none",
            "no problems found; the server closed the connection after S: a2 OK done",
        ),
        ("imap", format!("{SELECT}?"), "none", "no problems found; the file ends after S: a2 OK done"),
        // The client goes no further.
        (
            "imap",
            "S: * OK hi\nC.".to_owned(),
            "stopped",
            "legal so far; the client stopped after S: * OK hi, without answering it",
        ),
        (
            "imap",
            "S: * OK hi\nC: a CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: a OK\nC.".to_owned(),
            "stopped",
            "legal so far; the client stopped after S: a OK and went no further",
        ),
        (
            "imap",
            format!("{LOGIN}C."),
            "stopped",
            "no problems found: legal so far; the client stopped after S: a1 OK in, without LOGOUT",
        ),
        (
            "smtp",
            format!("{EHLO}C."),
            "stopped",
            "legal so far; the client stopped after S: 250 BINARYMIME and went no further",
        ),
        ("imap", "C.".to_owned(), "stopped", "legal so far; the client closed before the server's greeting"),
        (
            "imap",
            "S: * OK hi\nC: a AUTHENTICATE PLAIN\nS: + \n-- 9\nC.".to_owned(),
            "stopped",
            "legal so far; the client stopped after S: + , without answering it",
        ),
        (
            "smtp",
            "S: 220-one\nS: 220 two\n-- 60\nC.".to_owned(),
            "stopped",
            "legal so far; the client stopped after S: 220 two, without answering it",
        ),
        (
            "smtp",
            format!("{EHLO}C: MAIL FROM:<a@b.example>\nC."),
            "stopped",
            "legal so far; the client stopped after C: MAIL FROM:<a@b.example>, without waiting for the server's reply to MAIL",
        ),
        (
            "pop3",
            "S: +OK\nC: USER u\nS: +OK\nC: PASS p\nS: +OK\nC: LIST\nS: +OK 0 messages:\nS: .\nC.".to_owned(),
            "stopped",
            "no problems found: legal so far; the client stopped after S: +OK 0 messages:, without QUIT",
        ),
        // Between two turns nothing is cut off.
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30}}\nS: + go\nC."),
            "stopped",
            "legal so far; the client stopped after S: + go, without answering it",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30}}\nC."),
            "stopped",
            "legal so far; the client stopped after C: a2 APPEND x {30}, without waiting for the server's reply to a2 APPEND",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30+}}\nC."),
            "client",
            "client at fault: cut off: the connection ended in the middle of it",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30}}\nS: + go\nC: hello\nC."),
            "client",
            "client at fault: cut off: the connection ended in the middle of it",
        ),
        (
            "smtp",
            format!(
                "{EHLO}C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<x@b.example>\nS: 250 ok\nC: DATA\nS: 354 go\nC."
            ),
            "stopped",
            "legal so far; the client stopped after S: 354 go, without answering it",
        ),
        // Somebody waits.
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30}}\nS: + go\n-- 25\n"),
            "waiting",
            "waiting: the server for 30 bytes of the client's literal, since 25.00 s; then imapscope ended the connection",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 SELECT INBOX\n-- 25\nC."),
            "waiting",
            "waiting: the client for the server's reply to a2 SELECT, since 25.00 s; then the client closed",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 SELECT INBOX\n-- 25\n"),
            "waiting",
            "waiting: the client for the server's reply to a2 SELECT, since 25.00 s; then imapscope ended the connection",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 SELECT INBOX\n-- 2\n"),
            "none",
            "no problems found; it ended while the client waited for the server's reply to a2 SELECT",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 SELECT INBOX\n?"),
            "none",
            "no problems found; the file ends while the client waits for the server's reply to a2 SELECT",
        ),
        (
            "imap",
            format!(
                "{SELECT}C: a3 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {{50}}\nS: hello\nS: )\nS: a3 OK done\n-- 25\nC."
            ),
            "waiting",
            "waiting: the client for 28 bytes of the server's literal, since 25.00 s; then the client closed",
        ),
        (
            "imap",
            format!("{LOGIN}C: a2 APPEND x {{30}}\nS: + go\nC: hello\n-- 25\n"),
            "waiting",
            "waiting: the server for 23 bytes of the client's literal, since 25.00 s; then imapscope ended the connection",
        ),
        (
            "imap",
            "-- 25\nC.".to_owned(),
            "waiting",
            "waiting: the client for the server's greeting, since 25.00 s; then the client closed",
        ),
        (
            "pop3",
            "S: +OK\nC| QUIT\n-- 9\n".to_owned(),
            "waiting",
            "waiting: the server for the line end of the client's command (4 bytes so far: QUIT), since 9.00 s; then imapscope ended the connection",
        ),
        // The server refuses, or has had enough.
        (
            "imap",
            "S: * BYE too many connections\nS.".to_owned(),
            "limit",
            "a limit: the server refused the connection with S: * BYE too many connections",
        ),
        (
            "imap",
            "S: * OK hi\nC: a LOGIN u p\nS: a NO [AUTHENTICATIONFAILED] no\nC: b LOGOUT\nS: * BYE\nS: b OK\nC."
                .to_owned(),
            "refused",
            "refused by policy: the server refused a LOGIN with S: a NO [AUTHENTICATIONFAILED] no",
        ),
        (
            "imap",
            "S: * OK hi\nC: a LOGIN u p\nS: a NO no\nC: b LOGIN u q\nS: b OK\nC: c LOGOUT\nS: * BYE\nS: c OK\nC."
                .to_owned(),
            "none",
            "no problems found",
        ),
        (
            "imap",
            format!("{LOGIN}C: b SELECT x\nS: b NO [NONEXISTENT] no such mailbox\nC: c LOGOUT\nS: * BYE\nS: c OK\nC."),
            "refused",
            "refused: the server refused b SELECT with S: b NO [NONEXISTENT] no such mailbox",
        ),
        (
            "imap",
            format!(
                "{LOGIN}C: b CREATE x\nS: b NO [ALREADYEXISTS] there\nC: c SELECT x\nS: c OK\nC: d LOGOUT\nS: * BYE\nS: d OK\nC."
            ),
            "none",
            "no problems found",
        ),
        (
            "imap",
            format!("{SELECT}C: a3 IDLE\nS: + idling\nS: * BYE shutting down\nS."),
            "refused",
            "refused by policy: the server ended the session with S: * BYE shutting down",
        ),
        (
            "smtp",
            "S: 554 no\nC: QUIT\nS: 221 bye\nS.".to_owned(),
            "refused",
            "refused by policy: the server refused the connection with S: 554 no",
        ),
        (
            "smtp",
            format!(
                "{EHLO}C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<x@b.example>\nS: 550 5.1.1 unknown\nC: RCPT TO:<y@b.example>\nS: 250 ok\nC: QUIT\nS: 221 bye\nS."
            ),
            "none",
            "no problems found",
        ),
        (
            "smtp",
            format!(
                "{EHLO}C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<x@b.example>\nS: 452 4.2.2 full\nC: QUIT\nS: 221 bye\nS."
            ),
            "limit",
            "a limit: the server refused RCPT with S: 452 4.2.2 full",
        ),
        ("imap", "S.".to_owned(), "refused", "refused by policy: the server closed the connection without a greeting"),
        // Somebody is at fault.
        (
            "imap",
            format!("{SELECT}S: x9 OK done\nC: a3 LOGOUT\nS: * BYE\nS: a3 OK\nC."),
            "server",
            "server at fault: no command with this tag is waiting for an answer",
        ),
        ("imap", format!("{SELECT}C: a3 NOOP\nS."), "server", &format!("server at fault: {server} a3 NOOP")),
        ("imap", format!("{SELECT}C: a3 NOOP\nS!"), "server", &format!("server at fault: {server} a3 NOOP")),
        (
            "pop3",
            "S: +OK\nC| QUIT\nC.".to_owned(),
            "client",
            "client at fault: cut off: the connection ended in the middle of it",
        ),
    ] {
        let got = verdict(protocol, &script);
        assert_eq!((got.kind.word(), got.text.as_str()), (kind, text), "{script}");
        let guilty = (got.cause.culprit != Culprit::None).then(|| got.cause.culprit.word());
        assert_eq!(guilty.is_some(), matches!(kind, "server" | "client"), "{script}");
        assert!(guilty.is_none_or(|guilty| guilty == kind && !got.cause.check.is_empty()), "{script}");
    }
}

#[test]
fn what_was_in_use_is_to_be_tried() {
    let tries = |protocol: &str, script: &str| {
        verdict(protocol, script).suspects.into_iter().map(|suspect| suspect.try_it).collect::<Vec<_>>()
    };
    let offers = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN MOVE ESEARCH ENABLE QRESYNC CONDSTORE] hi\nC: a1 LOGIN u p\nS: a1 OK [CAPABILITY IMAP4rev1 MOVE ESEARCH ENABLE QRESYNC CONDSTORE] in\n";
    let used = format!(
        "{offers}C: a2 SELECT x\nS: a2 OK done\nC: a3 UID SEARCH RETURN (ALL) ALL\nS: * ESEARCH (TAG \"a3\") UID\nS: a3 OK\nC: a4 UID MOVE 1 y\n"
    );
    assert_eq!(tries("imap", &format!("{used}-- 30\nC.")), ["--drop-cap MOVE", "--drop-cap ESEARCH"]);
    assert_eq!(tries("imap", &format!("{used}S: a4 NO [LIMIT] no\nC.")), [""; 0], "a limit is no capability's fault");
    assert_eq!(tries("imap", &format!("{used}S: a4 OK\nC: a5 LOGOUT\nS: * BYE\nS: a5 OK\nC.")), [""; 0]);
    // What brings it along goes with it, and what is enabled comes before ENABLE.
    let enabled = format!("{offers}C: a2 ENABLE CONDSTORE\n-- 30\nC.");
    assert_eq!(tries("imap", &enabled), ["--drop-cap CONDSTORE,QRESYNC", "--drop-cap ENABLE,QRESYNC"]);
    let chunk = format!(
        "{EHLO}C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<x@b.example>\nS: 250 ok\nC: BDAT 3 LAST\nC| abc\n-- 30\nC."
    );
    assert_eq!(tries("smtp", &chunk), ["--drop-cap CHUNKING,BINARYMIME"]);
    // A wrong password is not the mechanism's fault; a mechanism that hangs is a suspect.
    let login = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\nC: a AUTHENTICATE PLAIN\n";
    assert_eq!(tries("imap", &format!("{login}S: + \nC: AHUAcA==\nS: a NO no\nC: b LOGOUT\nC.")), [""; 0]);
    assert_eq!(tries("imap", &format!("{login}S: + \nC.")), ["--drop-cap AUTH=PLAIN"]);
    // A name that nobody has listed is the peer's word, and may be meant for a shell.
    let hostile = format!("{LOGIN}C: a2 ENABLE X;reboot CONDSTORE\nS: a2 BAD\nC.");
    assert_eq!(tries("imap", &hostile), ["--drop-cap CONDSTORE", "--drop-cap ENABLE"]);
}

#[test]
fn a_verdict_is_bounded_and_shows_no_secret() {
    let mut script = SELECT.to_owned();
    for n in 0..100 {
        script += &format!("S: x{n} OK {}\n", "y".repeat(5000));
    }
    let many = verdict("imap", &format!("{script}C."));
    assert!(many.others.len() < 20 && many.more > 80, "{} others, {} more", many.others.len(), many.more);
    assert!(many.others.iter().all(|cause| cause.text.len() < 400 && cause.line.len() < 100));
    let script = "S: * OK hi\nC: a LOGIN alice canary-word\nS: a NO what is canary-word?\nC.";
    let refused = verdict("imap", script);
    assert!(refused.text.contains("a LOGIN with S: a NO what is …"), "{}", refused.text);
    assert!(!format!("{refused:?}").contains("canary") && !refused.text.contains('*'));
    let cut = verdict("imap", "S: * OK hi\nC: a AUTHENTICATE PLAIN\nS: + \nC| AGFsaWNlAGNhbmFyeQ\n-- 9\n");
    assert!(!format!("{cut:?}").contains("AGFs"), "{cut:?}");
}

/// Collects what a connection says of itself, and what json has of it.
#[derive(Default)]
struct Ends {
    findings: Vec<(Culprit, String)>,
    unnamed: Vec<String>,
    verdict: Option<Verdict>,
    json: serde_json::Value,
}

impl Sink for Ends {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        for note in event.notes {
            let NoteKind::Finding(culprit) = note.kind else { continue };
            if culprit != Culprit::None && note.consequence.is_none() {
                self.findings.push((culprit, note.text.clone()));
            }
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if note.check.is_empty() || !note.check.bytes().all(plain) {
                self.unnamed.push(note.text.clone());
            }
        }
        if let Some(summary) = event.summary {
            self.verdict = Some(summary.verdict.clone());
            let mut line = Vec::new();
            let mut json = Json::new(&mut line);
            json.put(event)?;
            json.flush()?;
            drop(json);
            self.json = serde_json::from_slice(&line).expect("a line of JSON");
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_is_at_fault_broke_a_rule_first() {
    let (mut guilty, mut fine) = (0, 0);
    for (path, dialogue, grammar) in play::all() {
        let mut ends = Ends::default();
        play::play(&dialogue, &grammar, (1, usize::MAX, false), &mut ends);
        let path = path.display();
        assert!(ends.unnamed.is_empty(), "{path}: findings without the name of a check: {:?}", ends.unnamed);
        let verdict = ends.verdict.expect("an end has a verdict");
        match verdict.cause.culprit {
            culprit @ (Culprit::Client | Culprit::Server) => {
                guilty += 1;
                assert_eq!(
                    verdict.kind,
                    if culprit == Culprit::Client { VerdictKind::Client } else { VerdictKind::Server }
                );
                let first = ends.findings.first().cloned();
                let alone = verdict.cause.check == "closed-without-answer" && first.is_none();
                assert!(
                    alone || first == Some((culprit, verdict.cause.text.clone())),
                    "{path}: {verdict:?}, {first:?}"
                );
                let others = verdict.others.iter().filter(|cause| cause.culprit != Culprit::None).count() as u64;
                assert!(alone || others + verdict.more >= ends.findings.len() as u64 - 1, "{path}");
            }
            _ => {
                fine += 1;
                assert!(ends.findings.is_empty(), "{path}: {verdict:?}");
                assert!(!matches!(verdict.kind, VerdictKind::Client | VerdictKind::Server), "{path}");
            }
        }
        let json = &ends.json["summary"]["verdict"];
        assert_eq!(json["kind"], verdict.kind.word(), "{path}");
        assert_eq!(json["culprit"], verdict.cause.culprit.word(), "{path}");
    }
    assert!(guilty > 100 && fine > 150, "{guilty} with a culprit, {fine} without");
}
