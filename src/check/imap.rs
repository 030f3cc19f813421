//! Checks of IMAP: tags, literals, IDLE, ENABLE, COMPRESS.

use super::{Blames, Check};
use crate::event::Severity::Must;

const IMAP: &[&str] = &["imap"];

/// A client fell for a login mechanism that the list of capabilities has without AUTH=.
pub const CAPABILITY_BOGUS: Check = Check {
    id: "capability-bogus",
    severity: Must,
    blames: Blames::Server,
    summary: "a client fell for a login mechanism that the list of capabilities has without AUTH=",
    protocols: IMAP,
    rfc: ["RFC 9051 section 7.2.2", "", "", ""],
    why: "Some clients take the bare name for an offer, and log in with a mechanism that the server does not have.",
    fix: ["Look for AUTH=NAME.", "List mechanisms as AUTH=NAME, and only those that work."],
    rule: "--drop-cap NAME",
    except: "",
    rules: &["L21"],
    dialogues: ["imap/capability-bogus.txt", "imap/login-and-fetch.txt"],
};

/// What follows COMPRESS is no DEFLATE stream.
pub const COMPRESS_NOT_DEFLATE: Check = Check {
    id: "compress-not-deflate",
    severity: Must,
    blames: Blames::Sender,
    summary: "what follows COMPRESS is no DEFLATE stream",
    protocols: IMAP,
    rfc: ["RFC 4978 section 3", "", "", ""],
    why: "The other peer cannot inflate it and closes. A zlib or gzip header before the stream is the usual reason.",
    fix: ["Use raw DEFLATE (negative window bits in zlib).", "Use raw DEFLATE (negative window bits in zlib)."],
    rule: "--drop-cap COMPRESS=DEFLATE",
    except: "",
    rules: &["L22"],
    dialogues: ["imap/compress-broken.txt", "imap/compress.txt"],
};

/// Plain text where compressed data has to come.
pub const COMPRESS_PLAIN_TEXT: Check = Check {
    id: "compress-plain-text",
    severity: Must,
    blames: Blames::Sender,
    summary: "plain text where compressed data has to come",
    protocols: IMAP,
    rfc: ["RFC 4978 section 3", "", "", ""],
    why: "The other peer takes it for DEFLATE and closes.",
    fix: [
        "Compress everything after the OK to COMPRESS.",
        "Compress everything after the OK to COMPRESS, untagged data included.",
    ],
    rule: "--drop-cap COMPRESS=DEFLATE",
    except: "",
    rules: &["L22"],
    dialogues: ["imap/compress-plain-client.txt", "imap/compress.txt"],
};

/// DONE while no IDLE is under way.
pub const DONE_WITHOUT_IDLE: Check = Check {
    id: "done-without-idle",
    severity: Must,
    blames: Blames::Client,
    summary: "DONE while no IDLE is under way",
    protocols: IMAP,
    rfc: ["RFC 9051 section 6.3.13", "", "", ""],
    why: "The server takes DONE for a tag and answers BAD, with a tag that the client does not know.",
    fix: ["Send DONE only after + to IDLE, and once.", ""],
    rule: "--drop-cap IDLE",
    except: "",
    rules: &["L27"],
    dialogues: ["imap/idle-refused.txt", "imap/idle.txt"],
};

/// A feature is used that has to be enabled first.
pub const ENABLE_MISSING: Check = Check {
    id: "enable-missing",
    severity: Must,
    blames: Blames::Client,
    summary: "a feature is used that has to be enabled first",
    protocols: IMAP,
    rfc: ["RFC 5161 section 3.1", "", "", ""],
    why: "Until the server has confirmed ENABLE with ENABLED, it must not act on the extension.",
    fix: ["Send ENABLE after login, and wait for ENABLED.", ""],
    rule: "",
    except: "",
    rules: &["L20"],
    dialogues: ["imap/enable-used-without.txt", "imap/unauthenticate.txt"],
};

/// A command while IDLE is under way.
pub const IDLE_COMMAND: Check = Check {
    id: "idle-command",
    severity: Must,
    blames: Blames::Client,
    summary: "a command while IDLE is under way",
    protocols: IMAP,
    rfc: ["RFC 9051 section 6.3.13", "", "", ""],
    why: "Only DONE may be sent in IDLE. Servers end IDLE with BAD, or close.",
    fix: ["Send DONE, and wait for the tagged reply to IDLE.", ""],
    rule: "--drop-cap IDLE",
    except: "",
    rules: &["L27"],
    dialogues: ["imap/idle-interrupted.txt", "imap/idle.txt"],
};

/// The server refused a literal and read its bytes as commands.
pub const LITERAL_AS_COMMANDS: Check = Check {
    id: "literal-as-commands",
    severity: Must,
    blames: Blames::Server,
    summary: "the server refused a literal and read its bytes as commands",
    protocols: IMAP,
    rfc: ["RFC 7888 section 4", "", "", ""],
    why: "Lines of a message are carried out as commands, and every later reply is one too many for the client.",
    fix: ["", "Read the bytes of {n+} and discard them, or close the connection, when the command is refused."],
    rule: "--drop-cap LITERAL+,LITERAL-",
    except: "",
    rules: &["L19", "L23"],
    dialogues: ["imap/literal-as-commands.txt", "imap/login-with-literals.txt"],
};

/// What looks like a literal is none, so the next line was not taken for its bytes.
pub const LITERAL_MALFORMED: Check = Check {
    id: "literal-malformed",
    severity: Must,
    blames: Blames::Sender,
    summary: "what looks like a literal is none, so the next line was not taken for its bytes",
    protocols: &["imap", "managesieve"],
    rfc: ["RFC 9051 section 4.3", "", "", "RFC 5804 section 1.2"],
    why: "One peer waits for bytes that the other does not count, and both lose step.",
    fix: [
        "Announce literals as {n} or {n+}, plain digits, at the end of the line.",
        "Announce literals as {n}, plain digits, at the end of the line.",
    ],
    rule: "",
    except: "Braces in human text.",
    rules: &["L11", "L23"],
    dialogues: ["imap/open-quote.txt", "imap/login-with-literals.txt"],
};

/// A literal of more than 4,096 bytes sent without waiting, with LITERAL-.
pub const LITERAL_MINUS_TOO_LARGE: Check = Check {
    id: "literal-minus-too-large",
    severity: Must,
    blames: Blames::Client,
    summary: "a literal of more than 4,096 bytes sent without waiting, with LITERAL-",
    protocols: IMAP,
    rfc: ["RFC 7888 section 5", "", "", ""],
    why: "The server may refuse it or close; it must not read the bytes in any case.",
    fix: ["Use {n} and wait for +, for more than 4,096 bytes.", ""],
    rule: "--drop-cap LITERAL-",
    except: "Where LITERAL+ is offered.",
    rules: &["L23"],
    dialogues: ["imap/literal-minus.txt", "imap/login-with-literals.txt"],
};

/// The server announces `{n+}`, which only clients may.
pub const LITERAL_PLUS_FROM_SERVER: Check = Check {
    id: "literal-plus-from-server",
    severity: Must,
    blames: Blames::Server,
    summary: "the server announces {n+}, which only clients may",
    protocols: &["imap", "managesieve"],
    rfc: ["RFC 7888 section 4", "", "", "RFC 5804 section 4"],
    why: "A client looks for {n} and takes {n+} for text.",
    fix: ["", "Announce literals as {n}."],
    rule: "",
    except: "",
    rules: &["L23"],
    dialogues: ["imap/literal-plus-from-server.txt", "imap/login-and-fetch.txt"],
};

/// LOGIN although the server lists LOGINDISABLED.
pub const LOGIN_DISABLED: Check = Check {
    id: "login-disabled",
    severity: Must,
    blames: Blames::Client,
    summary: "LOGIN although the server lists LOGINDISABLED",
    protocols: IMAP,
    rfc: ["RFC 9051 section 6.2.3", "", "", ""],
    why: "The server refuses it, and the password has passed in the clear.",
    fix: ["Begin TLS first (STARTTLS, or port 993), then read the capabilities again.", ""],
    rule: "imap+starttls://",
    except: "",
    rules: &["L20", "L22"],
    dialogues: ["imap/starttls-hidden-logindisabled.txt", "imap/login-and-fetch.txt"],
};

/// A quoted string is not closed before the line ends.
pub const QUOTED_STRING_OPEN: Check = Check {
    id: "quoted-string-open",
    severity: Must,
    blames: Blames::Sender,
    summary: "a quoted string is not closed before the line ends",
    protocols: &["imap", "managesieve"],
    rfc: ["RFC 9051 section 4.3", "", "", "RFC 5804 section 1.2"],
    why: "Strings end with the line: a peer refuses it, or reads on to the next quotation mark.",
    fix: [
        "Escape \" and \\ in quoted strings, and send what has a line end as a literal.",
        "Escape \" and \\ in quoted strings, and send what has a line end as a literal.",
    ],
    rule: "",
    except: "Human text.",
    rules: &["L10"],
    dialogues: ["imap/open-quote-by-client.txt", "imap/login-and-fetch.txt"],
};

/// A tag is used again before its command is answered.
pub const TAG_IN_USE: Check = Check {
    id: "tag-in-use",
    severity: Must,
    blames: Blames::Client,
    summary: "a tag is used again before its command is answered",
    protocols: IMAP,
    rfc: ["RFC 9051 section 2.2.1", "", "", ""],
    why: "Nobody can tell which of the two commands the reply answers.",
    fix: ["Give every command a tag of its own.", ""],
    rule: "",
    except: "",
    rules: &["L27"],
    dialogues: ["imap/unknown-ways-to-log-in.txt", "imap/login-and-fetch.txt"],
};

/// A tagged reply whose tag no waiting command has.
pub const TAG_UNKNOWN: Check = Check {
    id: "tag-unknown",
    severity: Must,
    blames: Blames::Server,
    summary: "a tagged reply whose tag no waiting command has",
    protocols: IMAP,
    rfc: ["RFC 9051 section 2.2.2", "", "", ""],
    why: "The client waits for its own tag. Often the server has read something else as a command.",
    fix: ["", "Answer each command once, with its tag."],
    rule: "",
    except: "",
    rules: &["L04", "L27"],
    dialogues: ["imap/pipelining.txt", "imap/login-and-fetch.txt"],
};
