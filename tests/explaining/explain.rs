//! The explainer, fed with batches that a small script makes of lines: what it says, what it hides, and that nothing
//! that a peer sends makes it fail.

use std::sync::Arc;
use std::time::Duration;

use crate::talk::{Out, Talk};
use base64::Engine;
use imapscope::event::*;
use imapscope::grammar::mechanisms;
use proptest::prelude::*;

fn b64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn an_answer_names_its_command_and_its_latency() {
    let mut talk = Talk::new();
    talk.client("a1 NOOP");
    let out = talk.wait(43).server("a1 OK done");
    assert_eq!(out.texts(NoteKind::Answer), ["answers a1 NOOP, 43 ms"]);
    assert_eq!(out.latency, Some(Duration::from_millis(43)));
    for status in ["NO", "BAD"] {
        talk.client("a2 NOOP");
        let out = talk.wait(43).server(&format!("a2 {status} not now"));
        assert_eq!(out.texts(NoteKind::Answer), ["answers a2 NOOP: refused, 43 ms"]);
    }
}

#[test]
fn a_meaning_is_told_once() {
    let mut talk = Talk::new();
    assert_eq!(talk.client("a1 NOOP").texts(NoteKind::Meaning).len(), 1);
    assert_eq!(talk.client("a2 noop").texts(NoteKind::Meaning).len(), 0);
    assert_eq!(talk.server("* 3 EXISTS").texts(NoteKind::Meaning).len(), 1);
    assert_eq!(talk.server("* 4 exists").texts(NoteKind::Meaning).len(), 0);
    let code = talk.server("* OK [UIDNEXT 5] next");
    assert_eq!(code.notes[0].about.as_deref(), Some("UIDNEXT"));
}

#[test]
fn the_first_list_is_told_in_full_and_later_ones_as_a_difference() {
    let mut talk = Talk::new();
    let first = talk.rewritten("* CAPABILITY IMAP4rev1 IDLE X-WHO", "* CAPABILITY IMAP4rev1 X-WHO\r\n");
    let fates: Vec<_> = first.notes.iter().filter_map(|n| Some((n.about.as_deref()?, n.kind))).collect();
    assert!(fates.contains(&("IMAP4rev1", NoteKind::Capability(Fate::Kept))), "{fates:?}");
    assert!(fates.contains(&("IDLE", NoteKind::Capability(Fate::Removed))), "{fates:?}");
    assert!(first.marks.contains(&(Role::Removed, "IDLE".into())));
    assert!(first.marks.contains(&(Role::Capability, "IMAP4rev1".into())));
    let same = talk.server("* CAPABILITY IMAP4rev1 X-WHO");
    assert_eq!(same.texts(NoteKind::Difference), ["the same list as before"]);
    talk.client("a1 LOGIN alice secret99");
    let after = talk.server("a1 OK [CAPABILITY IMAP4rev1 MOVE] in");
    assert_eq!(after.texts(NoteKind::Difference), ["gone: X-WHO (after login)"]);
    assert_eq!(after.texts(NoteKind::Session), ["logged in as alice"]);
    let novel = |out: &Out| out.texts(NoteKind::Capability(Fate::Kept)).len();
    assert_eq!(novel(&after), 1, "MOVE has an entry");
    let again = talk.server("* CAPABILITY IMAP4rev1 MOVE X-WHO");
    assert_eq!(again.texts(NoteKind::Difference), ["there again: X-WHO"]);
    assert_eq!(novel(&again), 0);
    let more = talk.server("* CAPABILITY IMAP4rev1 MOVE X-WHO IDLE");
    assert_eq!(more.texts(NoteKind::Difference), ["nothing is gone"]);
    assert_eq!(novel(&more), 1, "IDLE has an entry, for the client never saw it before");
}

#[test]
fn a_server_that_never_speaks_gets_a_remedy() {
    let told = |received: [u64; 2], milliseconds: u64| {
        let mut talk = Talk::new();
        let opened = Opened { protocol: "imap".into(), ..Opened::default() };
        talk.put(Peer::Client, What::Opened(Box::new(opened)), Vec::new());
        talk.now += milliseconds * 1_000_000;
        let end = Closed { by: Closer::Peer(Peer::Client), why: None, received, sent: [0; 2], inflated: [(0, 0); 2] };
        let out = talk.put(Peer::Client, What::Closed(Box::new(end)), Vec::new());
        out.texts(NoteKind::Session).iter().any(|text| text.contains("993"))
    };
    assert!(told([0, 0], 5_000));
    assert!(!told([0, 0], 500), "it had no time");
    assert!(!told([0, 9], 5_000), "it spoke");
}

#[test]
fn what_a_rule_adds_is_marked_as_added() {
    let mut talk = Talk::new();
    let out = talk.rewritten("* CAPABILITY IMAP4rev1", "* CAPABILITY IMAP4rev1 MOVE\r\n");
    assert_eq!(out.sent.as_deref(), Some("* CAPABILITY IMAP4rev1 MOVE\r\n"));
    assert!(out.sent_marks.contains(&(Role::Added, "MOVE".into())), "{:?}", out.sent_marks);
    let move_note = out.notes.iter().find(|n| n.about.as_deref() == Some("MOVE"));
    assert_eq!(move_note.map(|n| n.kind), Some(NoteKind::Capability(Fate::Added)));
}

#[test]
fn hidden_and_tried_is_found_and_summed_up() {
    let mut talk = Talk::new();
    talk.rewritten("* CAPABILITY IMAP4rev1 IDLE MOVE", "* CAPABILITY IMAP4rev1 MOVE\r\n");
    talk.state = State::Selected;
    let out = talk.client("a1 IDLE");
    assert_eq!(out.findings(Peer::Client), ["hidden and tried: IDLE, which a rule keeps from the client"]);
    let out = talk.client("a2 SORT (DATE) UTF-8 ALL");
    assert_eq!(out.findings(Peer::Client).len(), 1, "{out:?}");
    let summary = talk.closed();
    assert_eq!(summary.hidden_tried, [("IDLE".to_owned(), "IDLE".to_owned())]);
    assert_eq!(summary.unadvertised, [("SORT".to_owned(), "SORT".to_owned())]);
    assert_eq!(summary.unused, ["MOVE"]);
    assert_eq!(summary.rules, [(Arc::from("drop-capability IDLE"), 1)]);
    assert_eq!(summary.findings, [2, 0]);
    assert_eq!(
        summary.commands.iter().map(|t| (t.verb.as_str(), t.unanswered)).collect::<Vec<_>>(),
        [("IDLE", 1), ("SORT", 1)]
    );
}

#[test]
fn what_was_not_seen_may_have_used_anything() {
    let closed = |lost: Option<What>, middle: bool| {
        let mut talk = Talk::new();
        let middle = middle.then(Default::default);
        let opened = Opened { protocol: "imap".into(), middle, ..Opened::default() };
        talk.put(Peer::Client, What::Opened(Box::new(opened)), Vec::new());
        talk.server("* OK [CAPABILITY IMAP4rev1 IDLE MOVE] hi");
        if let Some(lost) = lost {
            talk.put(Peer::Server, lost, Vec::new());
        }
        let summary = talk.closed();
        (summary.unused, summary.undetermined)
    };
    let seen = (vec!["IDLE".to_owned(), "MOVE".to_owned()], vec!["IMAP4rev1".to_owned()]);
    let unseen = (Vec::new(), ["IMAP4rev1", "IDLE", "MOVE"].map(String::from).to_vec());
    assert_eq!(closed(None, false), seen);
    assert_eq!(closed(None, true), unseen);
    assert_eq!(closed(Some(What::Gap { bytes: Some(9), data: false }), false), unseen);
    assert_eq!(closed(Some(What::Lag { events: 9, bytes: 9 }), false), unseen);
}

#[test]
fn idle_is_told_with_its_length() {
    let mut talk = Talk::new();
    talk.state = State::Selected;
    talk.client("a1 IDLE");
    assert!(talk.server("+ idling").texts(NoteKind::Session)[0].starts_with("IDLE began"));
    talk.wait(61_000).server("* 4 EXISTS");
    let done = talk.wait(1000).client("DONE");
    assert_eq!(done.texts(NoteKind::Session), ["IDLE ended after 1 min 2 s, with 1 update"]);
    let out = talk.wait(3).server("a1 OK done");
    assert_eq!(out.latency, Some(Duration::from_millis(3)), "counted from DONE");
    assert_eq!(talk.closed().idle, Duration::from_secs(62));
}

#[test]
fn a_selected_mailbox_is_named() {
    let mut talk = Talk::new();
    talk.state = State::Authenticated;
    talk.client("a1 SELECT \"My Box\"");
    assert_eq!(talk.server("a1 OK [READ-WRITE] ok").texts(NoteKind::Session), ["mailbox My Box is selected"]);
}

#[test]
fn commands_in_the_wrong_state_and_tags_in_use_are_found() {
    let mut talk = Talk::new();
    assert_eq!(
        talk.client("a1 EXPUNGE").findings(Peer::Client),
        ["EXPUNGE is not allowed in the not-authenticated state"]
    );
    let out = talk.client("a1 NOOP");
    assert_eq!(out.findings(Peer::Client), ["the tag a1 is in use by a command that is not answered yet"]);
    talk.server("* CAPABILITY IMAP4rev1 LOGINDISABLED");
    let out = talk.client("a3 LOGIN alice secret99");
    assert_eq!(out.findings(Peer::Client).len(), 1);
    assert_eq!(out.notes.last().and_then(|n| n.rfc.as_deref()), Some("RFC 9051 section 6.2.3"));
}

#[test]
fn literals_that_do_not_wait_need_a_capability() {
    let mut talk = Talk::new();
    talk.state = State::Authenticated;
    assert_eq!(talk.client("a1 CREATE {3+}").findings(Peer::Client).len(), 0, "nothing is known yet");
    talk.server("* CAPABILITY IMAP4rev1");
    assert_eq!(talk.client("a2 CREATE {3+}").findings(Peer::Client).len(), 1);
    talk.server("* CAPABILITY IMAP4rev1 LITERAL-");
    assert_eq!(talk.client("a3 CREATE {3+}").findings(Peer::Client).len(), 0);
    let out = talk.client("a4 APPEND x {5000+}");
    assert_eq!(
        out.findings(Peer::Client),
        ["a literal of 5,000 octets sent without waiting: LITERAL- allows 4,096 at most"]
    );
}

#[test]
fn fetch_is_told_in_words() {
    let mut talk = Talk::new();
    let out = talk.server(
        "* 3 FETCH (UID 12 FLAGS (\\Seen) ENVELOPE (\"Mon, 1 Jan 2024 10:00:00 +0000\" \"Hi\" ((\"A\" NIL \"a\" \"x.org\")) NIL NIL NIL NIL NIL NIL NIL) \
         BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 2279 48)(\"IMAGE\" \"PNG\" NIL NIL NIL \"BASE64\" 53482) \"MIXED\"))",
    );
    let want = "message 3, UID 12, flags \\Seen; from a@x.org, subject \"Hi\", dated Mon, 1 Jan 2024 10:00:00 +0000; \
                multipart/mixed: text/plain 2,279 octets, image/png 53,482 octets, base64";
    assert_eq!(out.texts(NoteKind::Detail), [want]);
    let out = talk.server("* 4 FETCH (UID 13 ENVELOPE (NIL NIL NIL))");
    assert_eq!(
        out.texts(NoteKind::Detail),
        ["a client that parses strictly would fail here (from octet 27, in ENVELOPE)"]
    );
    let summary = talk.closed();
    assert_eq!(summary.strict, (2, 1));
    assert_eq!(summary.findings, [0, 0]);
}

#[test]
fn a_flood_is_sampled() {
    let mut talk = Talk::new();
    let details: usize = (0..640).map(|_| talk.server("* 4 FETCH (UID 13)").texts(NoteKind::Detail).len()).sum();
    assert_eq!(details, 64 + 9);
    assert_eq!(talk.closed().strict, (73, 0));
}

#[test]
fn as_many_commands_may_wait_as_the_session_pairs() {
    let mut talk = Talk::new();
    for n in 0..1000 {
        talk.client(&format!("t{n} NOOP"));
    }
    for n in 0..1000 {
        let out = talk.server(&format!("t{n} OK done"));
        assert!(out.texts(NoteKind::Answer)[0].starts_with(&format!("answers t{n} NOOP")), "{out:?}");
    }
    assert_eq!(talk.closed().commands[0].unanswered, 0);
}

#[test]
fn an_echo_is_hidden_in_every_place() {
    let mut talk = Talk::new();
    talk.client("a1 LOGIN alice \"hunt\\\"er2\"");
    for line in ["a1 NO no user with hunt\"er2", "* BAD in \"hunt\\\"er2\" there", "+ hunt\"er2", "hunt\"er2 what"] {
        let out = talk.server(line);
        assert!(!out.all().contains("er2"), "{out:?}");
        assert!(out.marks.iter().any(|(role, _)| *role == Role::Secret), "{out:?}");
    }
}

#[test]
fn login_is_decoded_and_masked() {
    let mut talk = Talk::new();
    let out = talk.client("a1 LOGIN \"alice\" canary-password");
    assert_eq!(out.texts(NoteKind::Decoded), ["LOGIN user=\"alice\" pass=<hidden>"]);
    assert_eq!(out.bytes, "a1 LOGIN \"alice\" ***************\r\n");
    let mut talk = Talk::with(true);
    let out = talk.client("a1 LOGIN \"alice\" canary-password");
    assert_eq!(out.texts(NoteKind::Decoded), ["LOGIN user=\"alice\" pass=canary-password"]);
    assert_eq!(out.bytes, "a1 LOGIN \"alice\" canary-password\r\n");
}

#[test]
fn a_login_in_literals_is_decoded_and_masked() {
    let mut talk = Talk::new();
    talk.client("a1 LOGIN {5}");
    let out = talk.data(DataKind::Literal, b"alice", 5, false);
    assert_eq!(out.texts(NoteKind::Decoded), ["LOGIN user=\"alice\""]);
    let password = [b"kAnaRi3".repeat(40), b"rest".to_vec()].concat();
    let out = talk.data(DataKind::Literal, &password[..280], 284, true);
    assert_eq!(out.texts(NoteKind::Decoded), ["LOGIN pass=<hidden>"]);
    assert_eq!(out.bytes, "*".repeat(280));
    let out = talk.server(&format!("* BAD {}", String::from_utf8_lossy(&password)));
    assert!(!out.all().contains("kAnaRi3") && !out.all().contains("rest"), "{out:?}");
    assert_eq!(talk.server("a1 OK in").texts(NoteKind::Session), ["logged in as alice"]);
}

#[test]
fn lines_that_are_missing_make_no_password_a_user() {
    // The line with the user's name is lost or too long: the next one must not be taken for it.
    for lose in [
        |talk: &mut Talk| talk.put(Peer::Client, What::Lag { events: 1, bytes: 9 }, Vec::new()),
        |talk: &mut Talk| talk.data(DataKind::Overlong, b"YWxpY2U", 100_000, true),
    ] {
        let mut talk = Talk::new();
        talk.client("a1 AUTHENTICATE LOGIN");
        lose(&mut talk);
        let out = talk.client(&b64(CANARY.as_bytes()));
        assert!(!out.all().contains(CANARY), "{out:?}");
    }
}

#[test]
fn what_was_under_way_before_a_gap_is_forgotten() {
    let mut talk = Talk::new();
    talk.client("a1 NOOP");
    talk.put(Peer::Server, What::Lag { events: 3, bytes: 1 }, Vec::new());
    assert!(talk.client("a1 NOOP").findings(Peer::Client).is_empty(), "its answer may be among what is missing");
}

const CANARY: &str = "kAnaRi3nv0gel";

/// The digits of a CRAM-MD5 answer.
const DIGEST: &str = "0123456789abcdef0123456789abcdef";

/// Messages of a mechanism's client with the canary wherever a secret stands, and the secrets in them.
fn messages(name: &str) -> (Vec<String>, Vec<&'static str>) {
    let texts = match name {
        "PLAIN" | "X-ZIMBRA" => vec![format!("\0alice\0{CANARY}")],
        "SECURID" | "PLAIN-CLIENTTOKEN" => vec![format!("\0alice\0{CANARY}\0{CANARY}")],
        "LOGIN" => vec!["alice".into(), CANARY.into()],
        "CRAM-MD5" => return (vec![format!("alice {DIGEST}")], vec![DIGEST]),
        "DIGEST-MD5" => {
            let message = format!("username=\"alice\",realm=\"r\",nonce=\"n\",response={DIGEST}");
            return (vec![message, String::new()], vec![DIGEST]);
        }
        "OAUTHBEARER" | "OAUTH10A" => {
            vec![format!("n,a=alice,\u{1}host=h\u{1}auth=Bearer {CANARY}\u{1}\u{1}"), "\u{1}".into()]
        }
        "XOAUTH2" => vec![format!("user=alice\u{1}auth=Bearer {CANARY}\u{1}\u{1}"), String::new()],
        "EXTERNAL" | "ANONYMOUS" => return (vec!["alice@example.org".into()], Vec::new()),
        "OTP" => vec!["\0alice".into(), format!("hex:{CANARY}")],
        name if name.starts_with("SCRAM") => vec!["n,,n=alice,r=abc".into(), format!("c=biws,r=abcdef,p={CANARY}")],
        _ => vec![CANARY.into(), CANARY.into()],
    };
    (texts, vec![CANARY])
}

#[test]
fn no_mechanism_shows_its_secret() {
    let names: Vec<String> = mechanisms().iter().map(|m| m.name.replace('*', "NEW")).collect();
    assert!(names.len() > 40, "the table of mechanisms is there");
    for name in names.iter().map(String::as_str).chain(["X-NEVER-HEARD-OF"]) {
        for initial in [false, true] {
            let mut talk = Talk::new();
            let (messages, mut secrets) = messages(name);
            let lines: Vec<String> = messages.iter().map(|message| b64(message.as_bytes())).collect();
            let (mut seen, rest) = match initial {
                true => (talk.client(&format!("a1 authenticate {name} {}", lines[0])).all(), &lines[1..]),
                false => (talk.client(&format!("a1 AUTHENTICATE {name}")).all(), &lines[..]),
            };
            for line in rest {
                seen += &talk.server(if name == "LOGIN" { "+ VXNlcm5hbWU6" } else { "+ " }).all();
                seen += &talk.client(line).all();
            }
            // The server repeats what it got: as a challenge, and in words.
            secrets.extend(lines.iter().map(String::as_str).filter(|line| line.len() > 4));
            for secret in &secrets {
                seen += &talk.server(&format!("+ {secret}")).all();
                seen += &talk.server(&format!("+ {}", b64(format!("what is {secret}?").as_bytes()))).all();
                seen += &talk.server(&format!("* BAD what is {secret}?")).all();
            }
            seen += &talk.server("a1 OK in").all();
            for secret in &secrets {
                assert!(!seen.contains(secret), "{name}: {secret} in {seen}");
            }
            let named = messages.iter().any(|message| message.contains("alice"));
            assert_eq!(named, seen.contains("alice"), "{name}: {seen}");
        }
    }
}

#[test]
fn an_error_challenge_is_told() {
    let mut talk = Talk::new();
    talk.client(&format!("a1 AUTHENTICATE XOAUTH2 {}", b64(b"user=a\x01auth=Bearer tok3n-tok3n\x01\x01")));
    let out = talk.server(&format!("+ {}", b64(br#"{"status":"400","scope":"mail"}"#)));
    assert_eq!(out.texts(NoteKind::Decoded), [r#"XOAUTH2 challenge error="{"status":"400","scope":"mail"}""#]);
    let out = talk.client("");
    assert_eq!(out.texts(NoteKind::Decoded), ["XOAUTH2 (empty)"]);
}

#[test]
fn overlapping_exchanges_show_nothing() {
    let mut talk = Talk::new();
    talk.client("a1 AUTHENTICATE PLAIN");
    talk.exchange = None;
    talk.client("a2 AUTHENTICATE LOGIN");
    let out = talk.client(&b64(CANARY.as_bytes()));
    assert!(!out.all().contains(CANARY), "{out:?}");
}

#[test]
fn foreign_traffic_gets_a_remedy() {
    let mut talk = Talk::new();
    let bytes = b"\x16\x03\x01\x00\x05hello".to_vec();
    let reading = Reading { kind: Kind::Foreign(Foreign::Tls), ..Reading::default() };
    let text = talk.text(true, &bytes, reading);
    let out = talk.put(Peer::Client, What::Text(text), bytes);
    assert!(out.findings(Peer::Client)[0].contains("switch TLS off"));
}

fn kinds() -> impl Strategy<Value = Kind> {
    let span = (0u32..80, 0u32..80).prop_map(|(a, b)| Span { start: a.min(b), end: a.max(b) });
    prop_oneof![
        (span.clone(), span.clone(), span.clone()).prop_map(|(tag, verb, arguments)| Kind::Command {
            tag,
            verb,
            arguments
        }),
        (span.clone(), proptest::option::of(span.clone()), span.clone()).prop_map(|(tag, code, text)| Kind::Reply {
            tag,
            word: text,
            status: Status::Ok,
            code,
            text
        }),
        span.clone().prop_map(|text| Kind::GoAhead { word: text, text }),
        (span.clone(), span).prop_map(|(name, arguments)| Kind::Info { number: None, name, arguments }),
        Just(Kind::More),
        Just(Kind::Done),
        Just(Kind::Sasl),
        Just(Kind::Unknown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_reading_of_any_octets_makes_it_fail(
        texts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80), kinds(), 0u32..90), 1..8),
    ) {
        let mut talk = Talk::new();
        for (client, bytes, kind, stopped) in texts {
            talk.frame += 1;
            let stopped = (stopped < 80).then_some(stopped);
            let mut text = talk.text(true, &bytes, Reading { kind, literal: None, list: None, stopped });
            text.answers = Some(talk.frame.saturating_sub(1));
            let from = if client { Peer::Client } else { Peer::Server };
            talk.put(from, What::Text(text), bytes);
        }
        talk.closed();
    }

    #[test]
    fn whatever_is_read_is_explained(lines in proptest::collection::vec("[ -~\\x00\\x1b]{0,60}", 1..12), client in any::<bool>()) {
        let mut talk = Talk::new();
        for line in lines {
            if client { talk.client(&line) } else { talk.server(&line) };
        }
        talk.closed();
    }

    #[test]
    fn strict_parsing_survives(items in proptest::collection::vec(
        prop_oneof![
            Just("FLAGS ("), Just("ENVELOPE ("), Just("BODYSTRUCTURE ("), Just("\"TEXT\" \"PLAIN\" "), Just("NIL "),
            Just(")"), Just("("), Just("\""), Just("\\"), Just("{0}"), Just("INTERNALDATE "), Just("UID 3 "), Just("BODY[1] "),
        ], 0..200)) {
        let mut talk = Talk::new();
        talk.server(&format!("* 1 FETCH ({})", items.concat()));
        talk.server(&format!("* OK [{}] é", items.concat()));
    }

    #[test]
    fn a_password_is_in_no_output(password in "[a-zA-Z0-9!#$&',./:;=?@^_`|~-]{6,40}", quoted in any::<bool>()) {
        // A password that is part of the test's own words proves nothing.
        prop_assume!(!"a1 LOGIN alice NO wrong password: {:?} BAD Out".contains(&password));
        let mut talk = Talk::new();
        let token = if quoted { format!("\"{password}\"") } else { password.clone() };
        let mut seen = talk.client(&format!("a1 LOGIN alice {token}")).all();
        seen += &talk.server(&format!("* NO wrong password: {password}")).all();
        seen += &talk.server(&format!("a1 BAD [X {password}] {token}")).all();
        prop_assert!(!seen.contains(&password), "{}", seen);
    }
}
