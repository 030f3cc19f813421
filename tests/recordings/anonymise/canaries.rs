//! Names in every place of every protocol, of which none may be left in any output.

use super::{anonymised, batches, record, shown};
use crate::dialogue::Dialogue;
use imapscope::grammar::Grammar;

/// Runs steps through all outputs; gives them together.
fn outputs(protocol: &str, steps: &str) -> String {
    let grammar = Grammar::builtin(protocol).expect("a protocol");
    let dialogue = Dialogue::parse(&format!("# canaries\n{steps}")).expect("a dialogue");
    let recording = record(&dialogue, &grammar, true);
    let before = batches(&recording);
    let after = anonymised(&before, &grammar);
    let (log, recording) = shown(&after, &grammar);
    format!("{log}\n{recording}")
}

/// Words that must not be there: names, hosts, words of subjects and bodies, files, numbers of telephones.
pub const CANARIES: [&str; 14] = [
    "zebedeus",
    "quorra",
    "wombat",
    "nachbar",
    "rüssel",
    "r&apw-ssel",
    "r=c3=bcssel",
    "490301234567",
    "203.0.113",
    "geheimnis",
    "d29tymf0",
    "cssel",
    "hinterhof",
    "5551234",
];

const MESSAGE: &str = r#"
From: "Zebedeus Wombat" <zebedeus.wombat@quorra.hinterhof>\r\nTo: undisclosed: nachbar@quorra;\r\nSubject: =?UTF-8?Q?R=C3=BCssel?= wombat\r\n nachbar\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nX-Quorra: geheimnis\r\nReceived: from zebedeus ([203.0.113.9])\r\n\tby quorra.hinterhof; Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <490301234567@quorra>\r\nContent-Type: multipart/mixed; boundary="--wombat-b1"\r\n\r\nwombat preamble\r\n----wombat-b1\r\nContent-Type: text/plain; charset=utf-8;\r\n name="geheimnis.txt"\r\n\r\nLieber Zebedeus, Rüssel 490301234567\r\n..nachbar\r\n----wombat-b1\r\nContent-Type: application/pdf; name*=utf-8''wombat.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nd29tYmF0d29tYmF0\r\n----wombat-b1--\r\n"#;

#[test]
fn no_canary_of_imap_survives() {
    let message = MESSAGE.trim_start();
    let len = octets(message);
    let steps = format!(
        r#"S~ zebedeus.quorra
S: * OK [CAPABILITY IMAP4rev1 IDLE] zebedeus.quorra ready for wombat, hello 203.0.113.9
C: zebedeus NOOP
S: zebedeus OK wombat done
C: a1 LOGIN zebedeus geheimnis
S: a1 NO [REFERRAL imap://zebedeus@quorra/] LOGIN for "Zebedeus Wombat" failed, ask +490301234567
C: a2 LOGIN "zebedeus@quorra" {{9}}
S: + go on nachbar
C| geheimnis
C|  \r\n
S: a2 OK [CAPABILITY IMAP4rev1 IDLE] Logged in as zebedeus@quorra
C: a3 ID ("name" "wombat" "support-url" "https://quorra.hinterhof/")
S: * ID ("name" "quorra" "version" "5551234")
S: a3 OK Completed
C: a4 LIST (SUBSCRIBED) "Wombat/" (INBOX Wombat/% "nachbar") RETURN (STATUS (MESSAGES))
S: * LIST (\HasChildren wombat) "/" Wombat/R&APw-ssel
S: * LIST () "/" {{6}}
S| wombat
S|  ("CHILDINFO" ("SUBSCRIBED"))\r\n
S: * STATUS "Wombat/Nachbar" (MESSAGES 5)
S: a4 OK Completed
C: a5 SELECT {{6+}}
C| Wombat
C|  (CONDSTORE)\r\n
S: * FLAGS (\Seen wombat $Forwarded)
S: * OK [PERMANENTFLAGS (\Seen nachbar \*)] Limited
S: * 3 EXISTS
S: a5 OK [READ-WRITE] [MAILBOXID (wombat)] Select of Wombat
C: a6 FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM X-QUORRA)] X-GM-LABELS)
S: * 1 FETCH (ENVELOPE ("Mon, 2 Nov 2026 10:00:00 +0100" "=?UTF-8?B?R2VoZWltbmlz?= wombat" (("Zebedeus Wombat" NIL "zebedeus" "quorra.hinterhof")) NIL NIL NIL NIL NIL "<490301234567@nachbar>" "<wombat@quorra>") BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "utf-8" "NAME" "wombat") "<nachbar>" "geheimnis" "7BIT" 5 1) "MIXED" ("BOUNDARY" "quorra")) X-GM-LABELS (wombat "nachbar") X-GM-MSGID 490301234567 INTERNALDATE "02-Nov-2026 10:00:00 +0100" BODY[TEXT] "geheimnis wombat" BODY[] {{{len}}}
S| {message}
S|  BODY[1] {{6}}\r\nwombat UID 5)\r\n
S: a6 OK Completed
C: a7 UID SEARCH OR FROM wombat SUBJECT "nachbar" HEADER X-Quorra wombat KEYWORD geheimnis TEXT zebedeus SINCE 2-Nov-2026
S: * ESEARCH (TAG "a7") UID ALL 1:3
S: a7 OK Completed
C: a8 APPEND Wombat (\Seen nachbar) "02-Nov-2026 10:00:00 +0100" {{{len}+}}
C| {message}
C| \r\n
S: a8 OK [APPENDUID 1 2] Appended to wombat
C: a9 XWOMBAT nachbar
S: a9 BAD unknown command XWOMBAT nachbar
S: * WOMBAT nachbar
C: geheimnis
C: b1 SETACL Wombat zebedeus lrs
S: b1 NO wombat: nachbar's folder 5551234
C: b2 GETMETADATA Wombat /shared/vendor/quorra/wombat
S: * METADATA Wombat (/shared/comment "geheimnis" /private/wombat {{6}}
S| wombat)\r\n
S: b2 OK done
C: b3 AUTHENTICATE XOAUTH2 dXNlcj13b21iYXQBYXV0aD1CZWFyZXIgZ2VoZWltbmlzAQE=
S: b3 NO [AUTHENTICATIONFAILED] wombat
"#
    );
    clean("imap", &steps);
}

fn octets(text: &str) -> usize {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").len()
}

#[track_caller]
fn clean(protocol: &str, steps: &str) {
    let all = outputs(protocol, steps).to_lowercase();
    assert!(steps.lines().all(|line| line.is_empty() || line.len() > 1));
    for canary in CANARIES {
        let line = all.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{canary} in {protocol}: {}", line.unwrap_or_default());
    }
}

#[test]
fn no_canary_of_mail_survives() {
    let message = MESSAGE.trim_start();
    let len = octets(message);
    for protocol in ["smtp", "lmtp"] {
        let hello = if protocol == "smtp" { "EHLO" } else { "LHLO" };
        clean(
            protocol,
            &format!(
                r#"! --rule 's/wombat/nachbar/ when text ~ /geheimnis/'
! --rule 'refuse VRFY with "550 5.1.1 zebedeus@quorra is wombat"'
S: 220 quorra.hinterhof ESMTP Wombat (203.0.113.9)
C: {hello} zebedeus.quorra
S: 250-quorra.hinterhof Hello zebedeus [203.0.113.9], nachbar
S: 250-SIZE 10240000
S: 250-XPRIVATE nachbar
S: 250-CHUNKING
S: 250 8BITMIME
C: VRFY zebedeus
<= 550 5.1.1 zebedeus@quorra is wombat
C: MAIL FROM:<zebedeus@quorra.hinterhof> SIZE=1000 ENVID=wombat BODY=8BITMIME
S: 250 2.1.0 <zebedeus@quorra.hinterhof>... wombat ok
C: RCPT TO:<nachbar@quorra> ORCPT=rfc822;wombat@quorra NOTIFY=NEVER
S: 250-2.1.5 nachbar@quorra
S: 250 2.1.5 geheimnis 5551234
C: DATA
S: 354 go ahead, wombat
C| {message}.\r\n
S: 250 2.0.0 Ok: queued as WOMBAT5551234
C: MAIL FROM:zebedeus@quorra
S: 250 ok
C: RCPT TO: <nachbar wombat@quorra>
S: 250 ok
C: BDAT {len} LAST
C| {message}
S: 250 wombat
C: WOMBAT geheimnis
S: 500 5.5.1 WOMBAT geheimnis unknown
"#
            ),
        );
    }
}

#[test]
fn no_canary_of_the_others_survives() {
    let message = MESSAGE.trim_start();
    let pop3 = format!(
        r#"S: +OK quorra ready <490301234567.5551234@quorra.hinterhof>
C: USER zebedeus
S: +OK zebedeus is a wombat
C: PASS geheimnis
S: -ERR [IN-USE] mailbox of wombat is locked by nachbar
C: APOP zebedeus c4c9334bac560ecc979e58001b3e22fb
S: +OK zebedeus's maildrop has 2 messages (320 octets)
C: UIDL
S: +OK
S: 1 wombat490301234567
S: 2 nachbar
S: .
C: RETR 1
S: +OK 120 octets for wombat
S| {message}.\r\n
C: XWOMBAT nachbar
S: -ERR XWOMBAT nachbar
"#
    );
    clean("pop3", &pop3);
    let sieve = r#"S: "IMPLEMENTATION" "Dovecot Pigeonhole"
S: "OWNER" "zebedeus"
S: "SIEVE" "fileinto"
S: OK "quorra ready for wombat"
C: LISTSCRIPTS
S: "wombat" ACTIVE
S: "nachbar"
S: OK "done, wombat"
C: PUTSCRIPT "wombat" {32+}
C| redirect "zebedeus@quorra.tld";\r\n
C| \r\n
S: NO (QUOTA/MAXSIZE) "no room for wombat's nachbar"
C: GETSCRIPT {6+}
C| wombat
C| \r\n
S: {9}
S| geheimnis\r\n
S: OK
C: HAVESPACE "nachbar" 5
S: NO (WARNINGS) {6}
S| wombat\r\n
C: WOMBAT "nachbar"
S: NO "WOMBAT nachbar"
"#;
    clean("managesieve", sieve);
    let nntp = format!(
        r#"S: 200 quorra.hinterhof wombat ready
C: AUTHINFO USER zebedeus
S: 381 more, zebedeus
C: AUTHINFO PASS geheimnis
S: 281 hello wombat
C: GROUP quorra.wombat
S: 211 10 1 10 quorra.wombat
C: ARTICLE <wombat@quorra>
S: 220 1 <wombat@quorra>
S| {message}.\r\n
C: LIST ACTIVE wombat.*
S: 215 list
S: quorra.wombat 10 1 y
S: .
"#
    );
    clean("nntp", &nntp);
    let irc = r#"C: NICK zebedeus
C: USER wombat 0 * :Zebedeus Nachbar
S: :quorra.hinterhof 001 zebedeus :Welcome zebedeus!wombat@203.0.113.9
C: JOIN #nachbar
S: :zebedeus!wombat@quorra JOIN #nachbar
C: PRIVMSG #nachbar :geheimnis wombat
S: :nachbar!~w@quorra PRIVMSG #nachbar :call 490301234567
S: WOMBAT geheimnis
"#;
    clean("irc", irc);
}

#[test]
fn the_same_name_has_the_same_stand_in_wherever_it_stands() {
    let all = outputs(
        "imap",
        r#"S: * OK ready
C: a1 LIST "" *
S: * LIST () "/" Wombat
S: * LIST () "/" "Wombat/Kanal"
S: * LIST () "/" {6}
S| wombat\r\n
S: a1 OK Listed WOMBAT now
C: a2 SELECT "Wombat"
S: a2 NO Mailbox doesn't exist: Wombat
C: a3 FETCH 1 ENVELOPE
S: * 1 FETCH (ENVELOPE (NIL "Wombat" (("Wombat" NIL "wombat" "x.y")) NIL NIL NIL NIL NIL NIL NIL))
S: a3 OK done
"#,
    );
    let line = all.lines().find(|line| line.contains("a2 SELECT")).expect("the command is there");
    let name = line.split("a2 SELECT \"").nth(1).and_then(|rest| rest.split('"').next()).expect("its mailbox");
    assert!(name.len() == 6 && name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
    for place in [
        format!("\"/\" {name}"),
        format!("\"{name}/"),
        format!("Listed {} now", name.to_uppercase()),
        format!("Mailbox doesn't exist: {name}"),
        format!("\"{name}\" NIL \"{}\"", name.to_lowercase()).replace('"', "\\\""),
        format!("\"text\":\"{}\"", name.to_lowercase()),
    ] {
        assert!(all.contains(&place), "{place} in\n{all}");
    }
    assert!(all.contains("a2 NO Mailbox doesn't exist: "));
}
