//! Checks of SMTP and LMTP: the message and its end.

use super::{Blames, Check};
use crate::event::Severity::Must;

const MAIL: &[&str] = &["smtp", "lmtp"];

/// The section on the end of a message.
const END: [&str; 4] = ["", "RFC 5321 section 4.1.1.4", "", ""];

/// DATA is answered with success instead of 354.
pub const DATA_WITHOUT_354: Check = Check {
    id: "data-without-354",
    severity: Must,
    blames: Blames::Server,
    summary: "DATA is answered with success instead of 354",
    protocols: MAIL,
    rfc: END,
    why: "The client has sent no message yet; what it sends next is read as commands, or the message is lost.",
    fix: ["", "Answer DATA with 354, and the message with 250."],
    rule: "",
    except: "",
    rules: &["L28"],
    dialogues: ["smtp/data-answered-250.txt", "smtp/pipelining.txt"],
};

/// A dot that some servers take for the end of the message, and is not.
pub const DOT_FALSE_END: Check = Check {
    id: "dot-false-end",
    severity: Must,
    blames: Blames::Sender,
    summary: "a dot that some servers take for the end of the message, and is not",
    protocols: &[],
    rfc: END,
    why: "A message ends with CR LF . CR LF. Servers that take another sequence for the end read the rest of the message as \
          commands, so that mail can be smuggled past checks.",
    fix: [
        "Send lines that end in CR LF only, and double a dot that begins one.",
        "Take CR LF . CR LF for the end, and nothing else.",
    ],
    rule: "",
    except: "",
    rules: &["L30"],
    dialogues: ["smtp/false-ends.txt", "smtp/pipelining.txt"],
};

/// The server replies to a message that has not ended.
pub const REPLY_INSIDE_MESSAGE: Check = Check {
    id: "reply-inside-message",
    severity: Must,
    blames: Blames::Server,
    summary: "the server replies to a message that has not ended",
    protocols: MAIL,
    rfc: END,
    why: "The server has seen an end where none is, so the rest of the message becomes commands.",
    fix: ["", "Take CR LF . CR LF for the end, and nothing else."],
    rule: "",
    except: "421, which may come at any time.",
    rules: &["L30"],
    dialogues: ["smtp/250-inside-message.txt", "smtp/pipelining.txt"],
};

/// A part of a message was read as commands.
pub const SMUGGLING: Check = Check {
    id: "smtp-smuggling",
    severity: Must,
    blames: Blames::Server,
    summary: "a part of a message was read as commands",
    protocols: MAIL,
    rfc: END,
    why: "The server took a false end for the end of the message: mail inside the message was sent with the server's own authority.",
    fix: ["", "Take CR LF . CR LF for the end, and nothing else."],
    rule: "",
    except: "",
    rules: &["L30"],
    dialogues: ["smtp/smuggling.txt", "smtp/pipelining.txt"],
};
