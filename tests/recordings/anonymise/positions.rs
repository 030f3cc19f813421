//! Every place where a protocol has a name, with names that look like something else: words of the protocols, and numbers. None of
//! them may be left where it was.

use super::{anonymised, batches, record};
use crate::dialogue::Dialogue;
use imapscope::event::{Batch, Peer, What};
use imapscope::grammar::Grammar;

/// What stands for a name.
const NAME: &str = "§";

const IMAP: &str = r#"
S: * OK [CAPABILITY IMAP4rev1] hi
C: a1 LOGIN § secret
S: a1 OK Logged in as §
C: a2 SELECT §
S: * FLAGS (\Seen $Forwarded § $x-§)
S: * OK [PERMANENTFLAGS (\Seen § \*)] ok
S: a2 OK done
C: b1 EXAMINE "§"
C: b2 CREATE §/§ (USE (\Sent))
C: b3 DELETE §
C: b4 RENAME § "§ §"
C: b5 SUBSCRIBE §
C: b6 UNSUBSCRIBE "§"
C: b7 STATUS § (MESSAGES UIDNEXT)
C: b8 LIST "§" §
C: b9 LIST (SUBSCRIBED) "" (§ "§.%") RETURN (STATUS (MESSAGES))
C: c1 LSUB "§" §%
S: * LIST (\Noselect §) "/" § ("OLDNAME" ("§") "CHILDINFO" ("SUBSCRIBED"))
S: * LSUB () "." "§"
S: * STATUS § (MESSAGES 5 MAILBOXID (§))
S: * NAMESPACE (("§." ".")) NIL (("~" "/" "X-PARAM" ("§")))
C: c2 COPY 1 §
C: c3 UID COPY 1:5 "§"
C: c4 MOVE 1:2 §
C: c5 UID MOVE 1 §
C: c6 STORE 1 +FLAGS (\Seen § $Junk)
C: c7 STORE 1 FLAGS.SILENT §
C: c8 UID STORE 1 (UNCHANGEDSINCE 5) -FLAGS (§ §)
C: c9 STORE 1:3 -FLAGS \Seen §
C: d1 STORE 1 +X-GM-LABELS (§ "§" \Important)
C: d2 FETCH 1 (FLAGS ANNOTATION (/§ value) UID)
S: * 1 FETCH (FLAGS (\Seen §) UID 5 X-GM-LABELS (§ "§") EMAILID (§) THREADID (§) MODSEQ (5))
S: * 2 FETCH (UID 6 FLAGS (§))
S: * 1 FETCH (ANNOTATION (/§ (value.priv "§")))
S: * 1 FETCH (INTERNALDATE "02-Nov-2026 10:00:00 +0100" ENVELOPE ("Mon, 2 Nov 2026 10:00:00 +0100" "§" (("§" NIL "§" "§")) (("§ §" NIL "§" "§.§")) NIL NIL NIL NIL "<§@§>" "<§>"))
S: * 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "utf-8" "NAME" "§" "X-OWN" "§") "<§@§>" "§" "7BIT" 5 1 NIL ("ATTACHMENT" ("FILENAME" "§")) NIL "§") "MIXED" ("BOUNDARY" "§") ("INLINE" ("FILENAME" "§")) NIL "§") BODY[1] "x")
S: * 1 FETCH (BODY ("MESSAGE" "RFC822" NIL "<§>" "§" "7BIT" 5 ("Mon, 2 Nov 2026 10:00:00 +0100" "§" NIL NIL NIL (("§" NIL "§" "§")) NIL NIL NIL NIL) ("TEXT" "PLAIN" NIL NIL "§" "7BIT" 5 1) 3))
C: d3 SEARCH KEYWORD § UNKEYWORD § FROM § SUBJECT "§" HEADER Subject § TEXT § BODY § OR TO § CC § BCC "§"
C: d4 UID SEARCH RETURN (ALL) X-GM-RAW § SINCE 2-Nov-2026 LARGER 5 FILTER § ANNOTATION /§ value §
C: d5 THREAD REFERENCES UTF-8 SUBJECT §
C: d6 SORT (REVERSE DATE) UTF-8 FROM "§" NOT KEYWORD §
C: d7 ESEARCH IN (mailboxes § subtree (§ "§")) FROM §
S: * ESEARCH (TAG "d7" MAILBOX § UIDVALIDITY 1) UID ALL 1:3
C: d8 NOTIFY SET (mailboxes (§ "§") (MessageNew MessageExpunge)) (subtree § (MailboxName))
C: e1 SETACL § § lrs
C: e2 DELETEACL "§" §
C: e3 GETACL §
C: e4 LISTRIGHTS § §
C: e5 MYRIGHTS §
S: * ACL § § lrs § lr
S: * LISTRIGHTS § § l r
S: * MYRIGHTS § lrs
C: e6 GETQUOTA §
C: e7 GETQUOTAROOT §
C: e8 SETQUOTA § (STORAGE 5)
S: * QUOTA § (STORAGE 1 2)
S: * QUOTAROOT § § "§"
C: f1 GETMETADATA § /shared/§
C: f2 GETMETADATA (DEPTH 1) § (/private/vendor/§/§ /shared/§ /§/comment)
C: f3 SETMETADATA § (/private/§ "§" /shared/comment NIL /shared/comment "§")
S: * METADATA § (/shared/§ "§" /private/vendor/vendor.§/§ NIL)
S: * METADATA § /shared/§ /private/§
C: f4 ID ("name" "§" "x" "§")
S: * ID ("name" "§" "version" "§")
C: f5 URLFETCH "imap://§@§.§/§;UID=5"
C: f6 GENURLAUTH "imap://§.§/§" INTERNAL
C: f7 XUNKNOWN § "§" (§)
S: * XUNKNOWN § "§"
S: f7 NO [UNDEFINED-FILTER §] no
S: f6 NO [NEWNAME § "§"] no
S: f5 OK [MAILBOXID (§)] yes
S: f4 NO [XUNKNOWN § "§"] no
S: f3 NO [REFERRAL imap://§@§.§/§] no
C: g1 APPEND § (\Seen §) "02-Nov-2026 10:00:00 +0100" {9+}
C| From: §\n\n
C| \r\n
C: g2 APPEND "§" (§) {5+}
C| a: §\n
C|  (§ \Seen) {5+}\r\n
C| a: §\n
C| \r\n
"#;

/// What a message names.
const MESSAGE: &str = r#"From: § <§@§.§>\r\nTo: "§" <§@§>, §@§\r\nSubject: §\r\nSubject: Re: § §\r\nKeywords: §, §\r\nNewsgroups: §,§.§\r\nX-Own: §\r\nMessage-ID: <§@§>\r\nContent-Type: text/plain; name=§; x="§"\r\nContent-Description: §\r\nContent-Disposition: attachment; filename="§"\r\n\r\n"#;

const SMTP: &str = r#"
S: 220 hi
C: HELLO §
S: 250 ok
C: VRFY §
S: 250 § <§@§.example>
C: EXPN §
S: 250 ok
C: ETRN §
S: 250 ok
C: XCLIENT NAME=§ LOGIN=§ HELO=§ ADDR=2001:db8::5
S: 220 ok
C: MAIL FROM:<§>
S: 250 ok
C: RSET
S: 250 ok
C: MAIL FROM: § SIZE=5
S: 250 ok
C: RSET
S: 250 ok
C: MAIL FROM:<§@§.example> AUTH=§ ENVID=§ BODY=8BITMIME
S: 250 sender § ok
C: RCPT TO:<§> ORCPT=rfc822;§@§ NOTIFY=NEVER
S: 250 ok
C: RCPT TO: §
S: 250 ok
C: RCPT TO:§
S: 250 ok
C: DATA
S: 354 go on
C| <<MESSAGE>>.\r\n
S: 250 ok
"#;

const POP3: &str = r#"
S: +OK hi
C: USER §
S: +OK name § is valid
C: APOP § c4c9334bac560ecc979e58001b3e22fb
S: +OK §'s maildrop
C: UIDL 1
S: +OK 1 §
C: UIDL
S: +OK
S: 1 §
S: 2 §-§
S: .
C: LIST
S: +OK
S: 1 120
S: .
C: RETR 1
S: +OK 120
S| <<MESSAGE>>.\r\n
C: TOP 1 0
S: +OK
S| <<MESSAGE>>.\r\n
"#;

const SIEVE: &str = r#"
S: "IMPLEMENTATION" "Dovecot Pigeonhole"
S: "SIEVE" "fileinto"
S: OK "ready"
C: LISTSCRIPTS
S: "§" ACTIVE
S: "§ §"
S: OK "done"
C: HAVESPACE "§" 5
S: OK "done"
C: HAVESPACE § 5
S: OK "done"
C: SETACTIVE "§"
S: OK "active: §"
C: GETSCRIPT "§"
S: NO (NONEXISTENT) "no §"
C: RENAMESCRIPT "§" "§"
S: OK "done"
C: DELETESCRIPT "§"
S: OK "done"
C: DELETESCRIPT §
S: OK "done"
C: PUTSCRIPT "§" {3+}
C| abc
C| \r\n
S: OK "done"
C: XUNKNOWN "§" §
S: NO "what?"
"#;

const NNTP: &str = r#"
S: 200 hi
C: AUTHINFO USER §
S: 281 hello §
C: GROUP §
S: 211 5 1 5 §
C: GROUP §.§
S: 211 5 1 5 §.§
C: LISTGROUP §
S: 211 2 1 2 §
S: 1
S: 2
S: .
C: STAT <§@§>
S: 223 5 <§@§>
C: LIST ACTIVE §
S: 215 list
S: § 10 1 y
S: §.§ 10 1 m
S: .
C: LIST NEWSGROUPS §.*
S: 215 list
S: §\tAbout §
S: .
C: NEWNEWS § 20261130 000000
S: 230 list
S: <§@§>
S: .
C: NEWGROUPS 20261130 000000
S: 231 list
S: § 5 1 y
S: .
C: OVER 1-5
S: 224 overview
S: 1\t§\t§ <§@§>\tMon, 2 Nov 2026 10:00:00 +0100\t<§@§>\t<§@§>\t100\t5\tXref: § §:5
S: 2\tRe: § §\t§@§\tMon, 2 Nov 2026 10:00:00 +0100\t<§>\t\t100\t5
S: .
C: HDR Subject 1-5
S: 225 headers
S: 1 §
S: 2 § §
S: .
C: XHDR Subject 1-5
S: 221 headers
S: 1 §
S: .
C: XPAT Subject 1-5 §
S: 221 headers
S: .
C: ARTICLE 5
S: 220 5 <§@§>
S| <<MESSAGE>>.\r\n
C: XUNKNOWN § §
S: 500 what?
"#;

const IRC: &str = r#"
C: NICK §
C: USER § 0 * :§ §
S: :irc.example CAP § LS :sasl
S: :§.example 001 § :Welcome §!§@§
C: JOIN #§,#§ §
S: :§!§@§ JOIN #§
C: MODE #§ +o §
C: MODE § +i
C: MODE #§ +b §!*@*
S: :§!§@§ MODE #§ +o §
S: :irc.example 353 § = #§ :§ @§
C: LIST #§,#§
C: NAMES #§
C: TOPIC #§ :§ §
C: INVITE § #§
C: KICK #§ § :§
C: WHO §
C: WHOIS §
C: PRIVMSG § :§
S: @account=§ :§!§@§ NOTICE #§ :§ §
C: PART #§ :§
S: PING :§
C: PONG §
C: XUNKNOWN § :§
"#;

/// What names may look like: short and long numbers, and words that every protocol has.
const WORDS: [&str; 22] = [
    "7",
    "42",
    "2026",
    "20261130",
    "490301234567",
    "from",
    "list",
    "text",
    "mail",
    "flags",
    "delivery",
    "user",
    "vendor",
    "subject",
    "all",
    "deleted",
    "plain",
    "message",
    "utf",
    "attachment",
    "no",
    "done",
];

/// What a peer has sent, of one run.
fn sent(all: &[Batch], by: Peer) -> Vec<u8> {
    let mut found = Vec::new();
    for batch in all {
        for event in batch.events.iter().filter(|event| event.from == by) {
            match &event.what {
                What::Text(text) => found.extend_from_slice(text.bytes.of(&batch.bytes)),
                What::Octets(octets) => found.extend_from_slice(octets.bytes.of(&batch.bytes)),
                _ => {}
            }
        }
    }
    found
}

/// Plays steps with this name in each place; gives the places where it is left, with what is there.
fn left(protocol: &str, steps: &str, word: &str) -> Vec<String> {
    let grammar = Grammar::builtin(protocol).expect("a protocol");
    let steps = steps.replace("<<MESSAGE>>", MESSAGE);
    // A literal is as long as the name makes it.
    let filled: Vec<String> = steps.trim().lines().map(|line| line.replace(NAME, word)).collect();
    let mut sized = filled.clone();
    for at in 1..filled.len() {
        if let (Some(open), true) = (filled[at - 1].rfind('{'), filled[at].starts_with("C|")) {
            let content = filled[at]["C| ".len()..].replace("\\n", "\n").replace("\\r", "\r").len();
            let close = filled[at - 1].rfind('}').map_or(filled[at - 1].len(), |close| close + 1);
            sized[at - 1] = format!("{}{{{content}+}}{}", &filled[at - 1][..open], &filled[at - 1][close..]);
        }
    }
    let dialogue = Dialogue::parse(&format!("# names\n{}\n", sized.join("\n"))).expect("a dialogue");
    let before = batches(&record(&dialogue, &grammar, true));
    let after = anonymised(&before, &grammar);
    let mut found = Vec::new();
    let [mut client, mut server] = [0, 0];
    let sides = [Peer::Client, Peer::Server].map(|by| (sent(&before, by), sent(&after, by)));
    assert!(sides.iter().all(|(before, after)| before.len() == after.len()), "{protocol} {word}");
    for (template, line) in steps.trim().lines().zip(&sized) {
        if !template.contains(NAME) {
            continue;
        }
        let (by, at) = if line.starts_with('C') { (0, &mut client) } else { (1, &mut server) };
        let plain = |text: &str| text["C: ".len()..].replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t");
        let (before, after) = &sides[by];
        let wanted = plain(line);
        let start = before[*at..].windows(wanted.len()).position(|bytes| bytes == wanted.as_bytes());
        let start = *at + start.unwrap_or_else(|| panic!("{protocol}: {line} was not sent"));
        *at = start + wanted.len();
        let mut place = start;
        for part in plain(template).split(NAME).collect::<Vec<_>>().split_last().expect("it has a part").1 {
            // A length may have changed; no name stands behind one.
            place += part.len();
            let new = &after[place..place + word.len()];
            if new.eq_ignore_ascii_case(word.as_bytes()) {
                found.push(format!("{word} in {line}\n   became {}", after[start..*at].escape_ascii()));
            }
            place += word.len();
        }
    }
    found
}

/// Names that a protocol's description has, of one word.
fn own(protocol: &str) -> Vec<String> {
    let grammar = Grammar::builtin(protocol).expect("a protocol");
    let plain = |name: &&str| name.len() > 1 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let names: Vec<_> = grammar.names().filter(plain).map(str::to_lowercase).collect();
    // INBOX is every user's, and NIL is none.
    names.into_iter().filter(|name| name != "inbox" && name != "nil").step_by(23).collect()
}

#[track_caller]
fn nothing_is_left(protocol: &str, steps: &str) {
    let mut all = Vec::new();
    for word in WORDS.iter().map(|word| (*word).to_owned()).chain(own(protocol)) {
        all.extend(left(protocol, steps, &word));
    }
    all.sort();
    all.dedup();
    assert!(all.is_empty(), "{protocol}: {} places\n{}", all.len(), all[..all.len().min(40)].join("\n"));
}

#[test]
fn no_name_of_imap_is_left_whatever_it_looks_like() {
    nothing_is_left("imap", IMAP);
}

#[test]
fn no_name_of_smtp_is_left_whatever_it_looks_like() {
    nothing_is_left("smtp", &SMTP.replace("HELLO", "EHLO"));
    nothing_is_left("smtp", &SMTP.replace("HELLO", "HELO"));
    nothing_is_left("lmtp", &SMTP.replace("HELLO", "LHLO"));
}

#[test]
fn no_name_of_pop3_is_left_whatever_it_looks_like() {
    nothing_is_left("pop3", POP3);
}

#[test]
fn no_name_of_managesieve_is_left_whatever_it_looks_like() {
    nothing_is_left("managesieve", SIEVE);
}

#[test]
fn no_name_of_nntp_is_left_whatever_it_looks_like() {
    nothing_is_left("nntp", NNTP);
}

#[test]
fn no_name_of_irc_is_left_whatever_it_looks_like() {
    nothing_is_left("irc", IRC);
}

/// The bytes of a server after anonymising these steps.
fn said(protocol: &str, steps: &str) -> String {
    let grammar = Grammar::builtin(protocol).expect("a protocol");
    let dialogue = Dialogue::parse(&format!("# names\n{steps}")).expect("a dialogue");
    let after = anonymised(&batches(&record(&dialogue, &grammar, true)), &grammar);
    String::from_utf8(sent(&after, Peer::Server)).expect("UTF-8")
}

#[test]
fn a_server_that_repeats_a_secret_does_not_give_it_away() {
    for secret in ["list", "2026", "mailbox"] {
        let text = said("nntp", &format!("S: 200 hi\nC: AUTHINFO PASS {secret}\nS: 481 no {secret}\n"));
        assert!(text.starts_with("200 hi") && !text.contains(secret), "{text}");
        let text = said("imap", &format!("S: * OK hi\nC: a LOGIN bob {secret}\nS: a NO mail for {secret}\n"));
        assert!(text.contains("a NO mail for ") && !text.contains(secret), "{text}");
    }
    // What nobody was called stays what it is.
    let text = said("imap", "S: * OK hi\nC: a LOGIN bob@mail.example.org x\nS: a OK mail list of 2026 for bob\n");
    assert!(text.contains("a OK mail list of 2026 for ") && !text.contains("bob"), "{text}");
}

#[test]
fn an_address_of_ipv6_stays_one() {
    let text = said(
        "smtp",
        "S: 220 hi\nC: EHLO [IPv6:fe80::5:9]\nS: 250 hello [IPv6:fe80::5:9] (2a01:4f8:c17::2) from ::1, 2A01:4F8::C17.\n\
         C: NOOP\nS: 250 [2001:db8:85a3:8d3:1319:8a2e:370:7348]:25 and ::ffff:203.0.113.77\n",
    );
    let is_part = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
    let lower = text.to_lowercase().replace("ipv6:", " ");
    let found: Vec<_> = lower
        .split(|c| !is_part(c))
        .map(|part| part.trim_end_matches('.'))
        .filter(|part| part.matches(':').count() > 1)
        .collect();
    assert_eq!(found.len(), 6, "{text}");
    for address in &found {
        assert!(address.parse::<std::net::Ipv6Addr>().is_ok(), "{address} in {text}");
    }
    assert_eq!(found[2], "::1", "{text}");
    for old in ["fe80::5:9", "2a01:4f8:c17::2", "4f8::c17", "1319:8a2e", "203.0.113"] {
        assert!(!lower.contains(old), "{old} in {text}");
    }
    assert!(text.contains("[IPv6:2001::") && text.contains("(2001:db8:"), "{text}");
}

#[test]
fn a_place_decides_and_not_what_a_name_looks_like() {
    let date = "Mon, 2 Nov 2026 10:00:00 +0100";
    let text = said(
        "imap",
        &format!(
            "S: * PREAUTH hi\nC: a FETCH 1 ENVELOPE\n\
             S: * 1 FETCH (ENVELOPE (\"{date}\" \"{date}\" NIL NIL NIL NIL NIL NIL NIL \"<a@b>\"))\n\
             S: * 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\" \"NAME\" \"UTF-8\") \"TEXT\" \"PLAIN\" \"7BIT\" 1 1))\n"
        ),
    );
    assert_eq!(text.matches(date).count(), 1, "{text}");
    assert!(text.contains("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\" \"NAME\" \""), "{text}");
    assert_eq!(
        ["TEXT", "PLAIN", "UTF-8"].map(|word| text.matches(&format!("\"{word}\"")).count()),
        [1, 1, 1],
        "{text}"
    );
}
