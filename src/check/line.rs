//! Checks of lines, whatever the protocol: their ends, their bytes, their form.

use super::{Blames, Check};
use crate::event::Severity::{Must, Should};

/// The section on lines and replies, by protocol.
const LINES: [&str; 4] = ["RFC 9051 section 2.2", "RFC 5321 section 4.2", "RFC 1939 section 3", "RFC 5804 section 1.2"];

/// A line ends in LF without CR.
pub const BARE_LF: Check = Check {
    id: "bare-lf",
    severity: Must,
    blames: Blames::Sender,
    summary: "a line ends in LF without CR",
    protocols: &[],
    rfc: ["RFC 9051 section 2.2", "RFC 5321 section 2.3.8", "RFC 1939 section 3", "RFC 5804 section 1.2"],
    why: "Lines end in CR LF. A strict peer waits for the rest of the line, refuses it, or takes it and the next line for one; \
          in mail, peers that disagree about line ends can be made to see different messages.",
    fix: ["End every line with CR LF.", "End every line with CR LF."],
    rule: "",
    except: "",
    rules: &["L30"],
    dialogues: ["imap/line-ends.txt", "imap/login-and-fetch.txt"],
};

/// A CR is not followed by LF.
pub const BARE_CR: Check = Check {
    id: "bare-cr",
    severity: Must,
    blames: Blames::Sender,
    summary: "a CR is not followed by LF",
    protocols: &[],
    rfc: ["RFC 9051 section 9", "RFC 5321 section 2.3.8", "RFC 1939 section 3", "RFC 5804 section 4"],
    why: "A CR alone ends no line. Some peers end the line there all the same, and read the rest as another one.",
    fix: ["Send CR only before LF.", "Send CR only before LF."],
    rule: "",
    except: "",
    rules: &["L30"],
    dialogues: ["imap/line-ends.txt", "imap/login-and-fetch.txt"],
};

/// A line has a NUL byte.
pub const NUL_BYTE: Check = Check {
    id: "nul-byte",
    severity: Must,
    blames: Blames::Sender,
    summary: "a line has a NUL byte",
    protocols: &[],
    rfc: ["RFC 9051 section 9", "RFC 5321 section 4.1.2", "RFC 1939 section 3", "RFC 5804 section 4"],
    why: "NUL is allowed in binary literals only. Programs in C cut the line there.",
    fix: ["Send no NUL outside ~{n} literals.", "Send no NUL outside ~{n} literals."],
    rule: "",
    except: "The bytes of a binary literal (RFC 3516).",
    rules: &["L04", "L10"],
    dialogues: ["imap/line-ends.txt", "imap/login-and-fetch.txt"],
};

/// A peer ended the connection in the middle of what it sent.
pub const CUT_OFF: Check = Check {
    id: "cut-off",
    severity: Should,
    blames: Blames::Sender,
    summary: "a peer ended the connection in the middle of what it sent",
    protocols: &[],
    rfc: ["", "", "", ""],
    why: "What it had announced or begun never came whole: the other peer cannot use it, and cannot tell why.",
    fix: [
        "Send the whole command, with its CR LF and its literal, before closing.",
        "Send the whole response before closing; look for a crash or a time limit in the server's log.",
    ],
    rule: "",
    except: "Where the other peer, the file or imapscope ended the connection, nobody is blamed.",
    rules: &["L24", "L27"],
    dialogues: ["imap/truncated.txt", "imap/login-and-fetch.txt"],
};

/// A line fits no form that the protocol has.
pub const NOT_UNDERSTOOD: Check = Check {
    id: "not-understood",
    severity: Must,
    blames: Blames::Sender,
    summary: "a line fits no form that the protocol has",
    protocols: &[],
    rfc: LINES,
    why: "The other peer cannot know what it answers or means; most close the connection, or lose step from here on.",
    fix: [
        "Compare the line with the grammar of the command, up to the byte that the finding names.",
        "Begin each line with *, + or a tag (IMAP), three digits (SMTP), +OK or -ERR (POP3).",
    ],
    rule: "",
    except: "A line that the connection's end cut off.",
    rules: &["L04", "L24"],
    dialogues: ["imap/broken-responses.txt", "imap/login-and-fetch.txt"],
};

/// A reply lacks its status word or its text.
pub const REPLY_MALFORMED: Check = Check {
    id: "reply-malformed",
    severity: Must,
    blames: Blames::Sender,
    summary: "a reply lacks its status word or its text",
    protocols: &["imap"],
    rfc: ["RFC 9051 section 7.1", "", "", ""],
    why: "Clients look for OK, NO, BAD or BYE first; one that is strict stops reading here.",
    fix: ["", "Send a status word, and after RFC 3501 a text, in every status response."],
    rule: "",
    except: "In IMAP4rev2 the text may be missing.",
    rules: &["L01", "L04"],
    dialogues: ["imap/broken-responses.txt", "imap/login-and-fetch.txt"],
};

/// The lines of one reply have different codes.
pub const REPLY_CODE_CHANGES: Check = Check {
    id: "reply-code-changes",
    severity: Must,
    blames: Blames::Server,
    summary: "the lines of one reply have different codes",
    protocols: &["smtp", "lmtp", "nntp"],
    rfc: ["", "RFC 5321 section 4.2.1", "", ""],
    why: "A client that goes by the first line and one that goes by the last one see different answers.",
    fix: ["", "Send the same code on every line of a reply."],
    rule: "",
    except: "",
    rules: &["L28"],
    dialogues: ["smtp/reply-odd-lines.txt", "smtp/pipelining.txt"],
};
