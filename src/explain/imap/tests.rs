//! What imap-proto is asked, and what is made of its answers.

use super::*;
use crate::event::{DataKind, Peer, State};
use crate::wire::imap::{read, read_more};

fn asked(line: &str) -> Opinion {
    let text = format!("{line}\r\n").into_bytes();
    Strict::default().text(1, true, &text, &read(Peer::Server, &text))
}

/// Legal responses that imap-proto 0.17 refuses: nothing may be said about them. Each is checked to be refused still,
/// so that an exception which is not needed any more is noticed.
const LIMITS: [&str; 14] = [
    "* ESEARCH (TAG \"a1\") UID COUNT 5",
    "* NAMESPACE ((\"\" \"/\")) NIL NIL",
    "* CAPABILITY IMAP4rev2 IDLE",
    "* LIST (\\Subscribed) \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\"))",
    "* STATUS box (SIZE 7)",
    "* STATUS box (MESSAGES 4 DELETED 1)",
    "* STATUS box (MAILBOXID (F22))",
    "* 1 FETCH (RFC822.SIZE 4294967296)",
    "* THREAD (2)(3 6 (4 23)(44 7 96))",
    "* 1 FETCH (X-GM-LABELS (\"a\" {3}",
    "* LIST (\\Noselect) NIL \"\" (\"OLDNAME\" (\"x\"))",
    "* GENURLAUTH \"imap://x\"",
    "* CONVERTED (TAG \"a\") 1 (UID 3)",
    "* URLFETCH \"imap://x\" NIL",
];

#[test]
fn legal_responses_beyond_its_dialect_are_left_alone() {
    for line in LIMITS {
        assert_eq!(asked(line), Opinion::Silent, "{line}");
        let text = format!("{line}\r\n");
        let read = match parse(text.as_bytes()) {
            Some(Ok(Response::Fetch(_, values))) => !values.contains(&AttributeValue::Unknown),
            Some(Ok(_)) => true,
            _ => false,
        };
        assert!(!read, "imap-proto reads it now: {line}");
    }
}

#[test]
fn items_that_it_does_not_know_do_not_keep_it_from_the_others() {
    let binary = "* 3 FETCH (UID 5 BODY (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 3 1) FLAGS ())";
    assert_eq!(asked(binary), Opinion::Accepted(Some("UID 5; no flags".into())));
    assert_eq!(asked("* 3 FETCH (PREVIEW NIL)"), Opinion::Silent);
}

#[test]
fn what_would_panic_is_not_given_to_it() {
    assert_eq!(asked("* 1 FETCH (UID 1 internaldate nil)"), Opinion::Silent);
    assert_eq!(asked("* OK [ALERT]é"), Opinion::Silent);
    assert!(!parsing());
}

#[test]
fn deep_nesting_is_not_given_to_it_however_it_is_disguised() {
    let deep = "(".repeat(MAX_DEPTH + 1);
    assert_eq!(asked(&format!("* 1 FETCH (BODYSTRUCTURE {deep}")), Opinion::Silent);
    assert!(!shallow(format!("* 1 FETCH (FLAGS (\") BODYSTRUCTURE {}", "(\" ) \" ".repeat(60)).as_bytes()));
    assert!(!shallow(format!("{}\\\"{}", "(".repeat(30), "(".repeat(30)).as_bytes()));
    assert!(shallow(format!("* 1 FETCH (ENVELOPE ({}))", "(NIL \"a\" \"b\")".repeat(90)).as_bytes()));
}

#[test]
fn a_refusal_names_the_item_and_its_octet() {
    let refused = |at, item: &str| Opinion::Refused { at, item: Some(item.into()) };
    assert_eq!(asked("* 1 FETCH (UID 4 FLAGS NIL)"), refused(23, "FLAGS"));
    assert_eq!(asked("* 1 FETCH (UID x FLAGS (\\Seen))"), refused(15, "UID"));
    assert_eq!(asked("* STATUS box (MESSAGES -1)"), Opinion::Refused { at: 0, item: None });
    assert_eq!(asked("* 3 EXISTS"), Opinion::Accepted(None));
    assert_eq!(asked("* SEARCH 2 84 882"), Opinion::Accepted(Some("3 messages found".into())));
    let status = "mailbox INBOX: 231 messages, next UID 44292";
    assert_eq!(asked("* STATUS inbox (MESSAGES 231 UIDNEXT 44292)"), Opinion::Accepted(Some(status.into())));
}

#[test]
fn a_frame_is_put_together_around_its_literals() {
    let mut strict = Strict::default();
    let mut text = |first, bytes: &[u8]| {
        let reading = if first { read(Peer::Server, bytes) } else { read_more(bytes) };
        strict.text(1, first, bytes, &reading)
    };
    let first = b"* 1 FETCH (BODY[] {5000}\r\n";
    assert_eq!(text(true, first), Opinion::Silent);
    let data = Data {
        frame: 1,
        kind: DataKind::Literal,
        len: 5000,
        announced: Some(5000),
        subject: Span::default(),
        lines: None,
        head: Span::new(0, 512),
        secret: false,
        state: State::Selected,
        oddities: Vec::new(),
    };
    strict.data(&data, &[b'x'; 512]);
    let rest = b" UID 7 FLAGS 3)\r\n";
    let at = first.len() + 5000 + " UID 7 FLAGS ".len();
    let want = Opinion::Refused { at, item: Some("FLAGS".into()) };
    assert_eq!(strict.text(1, false, rest, &read_more(rest)), want);
    assert_eq!(strict.judged, (1, 1));
}

#[test]
fn a_frame_that_is_too_long_is_given_up() {
    let text = format!("* FLAGS ({})\r\n", "x ".repeat(MAX_FRAME / 2));
    let reading = read(Peer::Server, text.as_bytes());
    let mut strict = Strict::default();
    assert_eq!(strict.text(1, true, text.as_bytes(), &reading), Opinion::Silent);
    assert_eq!((strict.judged, strict.bytes.len()), ((0, 0), 0));
}
