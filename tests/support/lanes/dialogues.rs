//! Conversations as they happen, made up for the tests: each is a list of steps in the order of the wire.

use super::{Step, c, s};

/// All of them.
pub fn all() -> Vec<Vec<Step>> {
    vec![
        login_with_literals(),
        append_and_fetch(),
        idle(),
        idle_refused(),
        plain_with_initial_response(),
        login_mechanism(),
        xoauth2_fails(),
        starttls(),
        starttls_injected(),
        starttls_refused(),
        compress(),
        refused_literal(),
        refused_login_literal(),
        pipelined(),
        gssapi(),
        oddities(),
    ]
}

/// LOGIN with two synchronizing literals.
pub fn login_with_literals() -> Vec<Step> {
    vec![
        s("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] ready\r\n"),
        c("a1 LOGIN {5}\r\n"),
        s("+ go ahead\r\n"),
        c("alice {8}\r\n"),
        s("+ go ahead\r\n"),
        c("hunter42\r\n"),
        s("* CAPABILITY IMAP4rev1 IDLE  NAMESPACE \r\na1 OK [CAPABILITY IMAP4rev1 IDLE] logged in\r\n"),
        c("a2 ENABLE CONDSTORE  UTF8=ACCEPT\r\n"),
        s("* ENABLED CONDSTORE\r\na2 OK done\r\n"),
        c("a3 LOGOUT\r\n"),
        s("* BYE so long\r\na3 OK done\r\n"),
    ]
}

/// APPEND in all its forms, and FETCH with literals in the middle.
pub fn append_and_fetch() -> Vec<Step> {
    vec![
        s("* PREAUTH hello\r\n"),
        c("b1 SELECT INBOX\r\n"),
        s(
            "* FLAGS (\\Seen \\Answered)\r\n* OK [PERMANENTFLAGS (\\Seen a]b \\*)] yes\r\n* 3 EXISTS\r\nb1 OK [READ-WRITE] ok\r\n",
        ),
        c("b2 APPEND INBOX (\\Seen) {12}\r\n"),
        s("* 4 EXISTS\r\n+ ok\r\n"),
        c("Subject: x\r\n {4+}\r\n\0\0\0\0 ~{3+}\r\nabc\r\n"),
        s("b2 OK [APPENDUID 1 2] done\r\n"),
        c("b3 UID FETCH 1:* (BODY[HEADER.FIELDS (DATE)] BODY[TEXT])\r\n"),
        s(
            "* 1 FETCH (UID 7 BODY[HEADER.FIELDS (DATE)] {6}\r\nDate\r\n BODY[TEXT] ~{3}\r\na\0b)\r\n* 2 FETCH (X {0}\r\n)\r\nb3 OK done\r\n",
        ),
    ]
}

/// IDLE with news, and a DONE ahead of the answer.
pub fn idle() -> Vec<Step> {
    vec![
        s("* PREAUTH\r\n"),
        c("i1 IDLE\r\n"),
        s("+ idling\r\n* 4 EXISTS\r\n* OK Still here\r\n"),
        c("DONE\r\n"),
        s("i1 OK done\r\n"),
        c("i2 IDLE\r\ndone\r\ni3 NOOP\r\n"),
        s("+ idling\r\ni2 OK done\r\ni3 OK done\r\n"),
    ]
}

/// IDLE refused; the client ends it all the same.
pub fn idle_refused() -> Vec<Step> {
    vec![s("* PREAUTH\r\n"), c("i1 IDLE\r\n"), s("i1 NO not now\r\n"), c("DONE\r\ni2 NOOP\r\n"), s("i2 OK\r\n")]
}

/// AUTHENTICATE PLAIN in one line.
pub fn plain_with_initial_response() -> Vec<Step> {
    vec![
        s("* OK hi\r\n"),
        c("p AUTHENTICATE PLAIN AGFsaWNlAGh1bnRlcjQy\r\n"),
        s("p OK [CAPABILITY IMAP4rev1] in\r\n"),
        c("q NOOP\r\n"),
        s("q OK\r\n"),
    ]
}

/// AUTHENTICATE LOGIN, with a first attempt that is cancelled.
pub fn login_mechanism() -> Vec<Step> {
    vec![
        s("* OK hi\r\n"),
        c("l1 AUTHENTICATE LOGIN\r\n"),
        s("+ VXNlcm5hbWU6\r\n"),
        c("*\r\n"),
        s("l1 BAD cancelled\r\n"),
        c("l2 AUTHENTICATE LOGIN\r\n"),
        s("+ VXNlcm5hbWU6\r\n"),
        c("YWxpY2U=\r\n"),
        s("+ UGFzc3dvcmQ6\r\n"),
        c("aHVudGVyNDI=\r\n"),
        s("l2 OK in\r\n"),
    ]
}

/// A token that is refused: one round more.
pub fn xoauth2_fails() -> Vec<Step> {
    vec![
        s("* OK hi\r\n"),
        c("x AUTHENTICATE XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHRvawEB\r\n"),
        s("+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        c("\r\n"),
        s("x NO [AUTHENTICATIONFAILED] no\r\n"),
        c("y NOOP\r\n"),
        s("y OK\r\n"),
    ]
}

/// STARTTLS with a handshake behind it.
pub fn starttls() -> Vec<Step> {
    vec![
        s("* OK hi\r\n"),
        c("t STARTTLS\r\n"),
        s("t OK go\r\n"),
        c(b"\x16\x03\x01\x00\x05hello"),
        s(b"\x16\x03\x03\x00\x05olleh\r\n"),
        c(b"\x17\x03\x03\r\n\r\n"),
    ]
}

/// STARTTLS with plain octets behind it in the same segment.
pub fn starttls_injected() -> Vec<Step> {
    vec![
        s("* OK hi\r\n"),
        c("t STARTTLS\r\nu LOGIN alice {8}\r\nhunter42\r\nv NO"),
        s("t OK go\r\n* OK injected\r\n"),
        c(b"\x16\x03\x01\x00\x05hello"),
    ]
}

/// STARTTLS refused, with a command behind it.
pub fn starttls_refused() -> Vec<Step> {
    vec![s("* OK hi\r\n"), c("t STARTTLS\r\nu NOOP\r\n"), s("t BAD no TLS\r\nu OK\r\n"), c("v NOOP\r\n")]
}

/// COMPRESS, and octets that are no text.
pub fn compress() -> Vec<Step> {
    vec![
        s("* PREAUTH\r\n"),
        c("z COMPRESS DEFLATE\r\n"),
        s(b"z OK on\r\n\x72\x0a\x50\x00\x00\x00\xff\xff"),
        c(b"\x4a\x52\x0a\x00\x00\xff\xff"),
    ]
}

/// The server refuses a literal: the next octet begins a command.
pub fn refused_literal() -> Vec<Step> {
    vec![
        s("* PREAUTH\r\n"),
        c("a APPEND x {5}\r\n"),
        s("a NO [TRYCREATE] no such mailbox\r\n"),
        c("b NOOP\r\n"),
        s("b OK\r\n* BAD see {12}\r\n* OK next\r\n"),
    ]
}

/// The same with a client that does not wait.
pub fn refused_login_literal() -> Vec<Step> {
    vec![
        s("* OK\r\n"),
        c("a LOGIN {5}\r\nalice {8}\r\n"),
        s("a NO no literals\r\n"),
        c("hunter42\r\nb NOOP\r\n"),
        s("b OK\r\n"),
    ]
}

/// Many commands at once.
pub fn pipelined() -> Vec<Step> {
    vec![
        c(
            "1 CAPABILITY\r\n2 LOGIN alice \"hunter42\"\r\n3 SELECT INBOX\r\n4 FETCH 1 FLAGS\r\n5 AUTHENTICATE PLAIN\r\n",
        ),
        c("AGEAaHVudGVyNDI=\r\n6 NOOP\r\n"),
        s("* OK\r\n* CAPABILITY IMAP4rev1\r\n1 OK\r\n2 OK\r\n3 OK\r\n4 OK\r\n+\r\n5 OK\r\n6 OK\r\n"),
    ]
}

/// A security layer after login.
pub fn gssapi() -> Vec<Step> {
    vec![
        s("* OK\r\n"),
        c("g AUTHENTICATE GSSAPI YIIB\r\n"),
        s("+ YII=\r\n"),
        c("AAAA\r\n"),
        s(b"g OK in\r\n\0\0\0\x05hello"),
        c(b"\0\0\0\x05world\r\n"),
    ]
}

/// What real peers do wrong.
pub fn oddities() -> Vec<Step> {
    vec![
        s("* OK hi\n\0\0* CAPABILITY IMAP4rev1\t IDLE\r\n"),
        c("\r\n\r\na noop\nb\tNOOP \r\nA=LOGIN\r\n LOGIN \"al\\\"ice\" \"hu\"nter42\r\nc LIST \"\" \"a\rb\r\n"),
        s("* LIST () \"/\" \"a\r\n* [COPYUID 1 2 3] ok\r\n* LIST (\\Sent\\HasNoChildren) \"/\" {3}\r\nabc\r\n"),
        c("d SEARCH \"{5}\r\ne STORE {-1}\r\nf X {99999999999999999999999}\r\n"),
        s("+\r\nf BAD\r\n*BYE\r\n* BYE {5}\r\n* BYE\r\n"),
    ]
}
