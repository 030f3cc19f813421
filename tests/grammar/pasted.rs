//! What `explain` makes of what one pastes: whole lines, ids of checks, topics; in one protocol or in all.

use imapscope::check::ALL;
use imapscope::verb::explain::explain_from;
use imapscope::verb::protocols::Protocols;

/// The exit code, and the heads of the entries.
fn explained(protocol: Option<&str>, asked: &str) -> (u8, Vec<String>) {
    let mut out = Vec::new();
    let code = explain_from(&Protocols::builtin(), protocol, asked, &mut out).expect("it can be asked");
    let text = String::from_utf8(out).expect("UTF-8");
    let heads = text.lines().filter(|line| !line.starts_with(' ') && !line.is_empty());
    (code, heads.map(|head| head.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}

#[test]
fn a_line_is_explained_word_by_word() {
    for (line, heads) in [
        (
            "a1 NO [AUTHENTICATIONFAILED] Invalid credentials",
            &["NO response of IMAP", "AUTHENTICATIONFAILED response code of IMAP"][..],
        ),
        ("535 5.7.8 Authentication failed", &["535 response of SMTP and LMTP", "5.7.8 response code of SMTP and LMTP"]),
        (
            "550-5.1.1 The account does not exist",
            &["550 response of SMTP and LMTP", "5.1.1 response code of SMTP and LMTP"],
        ),
        ("-ERR [IN-USE] the maildrop is locked", &["-ERR response of POP3", "IN-USE response code of POP3"]),
        ("250-PIPELINING", &["250 response of SMTP", "PIPELINING capability of SMTP"]),
        ("{21+}", &["literal announced at the end of a line"]),
        ("~{3}", &["binary literal announced at the end of a line"]),
        ("12:00:00.123 #1 S: selected * 3 EXISTS", &["EXISTS response of IMAP"]),
    ] {
        let (code, found) = explained(None, line);
        assert_eq!(code, 0, "{line}");
        for head in heads {
            assert!(found.iter().any(|it| it == head), "{line}: {head} is not among {found:?}");
        }
        assert!(found.iter().all(|head| !head.contains("by the pattern")), "{line}: {found:?}");
    }
    assert_eq!(explained(None, "whatever this may be it is no line").0, 1);
}

#[test]
fn every_check_is_explained_and_a_misspelt_one_is_suggested() {
    for check in ALL {
        assert_eq!(explained(None, check.id), (0, vec![format!("{} check", check.id)]));
        assert_eq!(explained(None, &check.id.to_ascii_uppercase()).0, 0);
    }
    let (code, heads) = explained(None, "tag-unkown");
    assert_eq!((code, heads[1].as_str()), (1, "Did you mean `tag-unknown`?"));
}

#[test]
fn one_protocol_can_be_asked_for() {
    assert_eq!(explained(Some("smtp"), "421").1, ["421 response of SMTP"]);
    assert_eq!(explained(Some("smtps"), "421").1, ["421 response of SMTP"]);
    assert!(explained(None, "421").1.len() > 1, "other protocols have it, too");
    let refused =
        explain_from(&Protocols::builtin(), Some("smpt"), "421", &mut Vec::new()).expect_err("no such protocol");
    assert!(refused.help.contains("did you mean smtp?"), "{refused}");
}

#[test]
fn a_topic_lists_what_is_about_it() {
    let mut out = Vec::new();
    assert_eq!(explain_from(&Protocols::builtin(), None, "push", &mut out).expect("there is room"), 0);
    assert!(String::from_utf8_lossy(&out).contains("XAPPLEPUSHSERVICE, capability of IMAP"));
}
