//! Checks of the order in which peers speak, in every protocol: greeting, states, logins, capabilities, replies.

use super::{Blames, Check};
use crate::event::Severity::Must;

/// The section that says that a client may use only what the server offers.
const OFFERS: [&str; 4] =
    ["RFC 9051 section 6.1.1", "RFC 5321 section 2.2.1", "RFC 2449 section 5", "RFC 5804 section 1.7"];

/// The section on challenges and responses.
const CHALLENGES: [&str; 4] =
    ["RFC 9051 section 6.2.2", "RFC 4954 section 4", "RFC 5034 section 4", "RFC 5804 section 2.1"];

/// The client spoke before the greeting of the server.
pub const BEFORE_GREETING: Check = Check {
    id: "before-greeting",
    severity: Must,
    blames: Blames::Client,
    summary: "the client spoke before the greeting of the server",
    protocols: &["smtp", "lmtp", "pop3"],
    rfc: ["", "RFC 5321 section 4.3.1", "RFC 1939 section 3", ""],
    why: "Many servers take it for a sign of spam and refuse or delay the session; others drop what came before their greeting.",
    fix: ["Wait for the whole greeting, to the line without a hyphen after its code.", ""],
    rule: "",
    except: "EHLO, where the server offers PIPECONNECT.",
    rules: &["L27", "L29"],
    dialogues: ["smtp/early-talker.txt", "smtp/a-message.txt"],
};

/// The client uses a capability that a rule of imapscope hides from it.
pub const CAPABILITY_HIDDEN: Check = Check {
    id: "capability-hidden",
    severity: Must,
    blames: Blames::Client,
    summary: "the client uses a capability that a rule of imapscope hides from it",
    protocols: &[],
    rfc: OFFERS,
    why: "A hidden capability is not switched off: the server still takes the command, so the client was not tested without it.",
    fix: ["Use only what the last list of capabilities has.", ""],
    rule: "--enforce",
    except: "",
    rules: &["L20"],
    dialogues: ["imap/enforce.txt", "imap/capability-rules.txt"],
};

/// The client uses an extension that the server does not offer.
pub const CAPABILITY_NOT_OFFERED: Check = Check {
    id: "capability-not-offered",
    severity: Must,
    blames: Blames::Client,
    summary: "the client uses an extension that the server does not offer",
    protocols: &[],
    rfc: OFFERS,
    why: "A server without the extension answers BAD or closes; one that has it and does not list it may have a reason.",
    fix: [
        "Use only what the last list of capabilities has, and ask again after TLS and after login.",
        "List every extension that is supported in this state.",
    ],
    rule: "--add-cap NAME",
    except: "What was used before any list was seen, or after TLS or login made the last one void.",
    rules: &["L20"],
    dialogues: ["imap/used-but-not-offered.txt", "imap/login-and-fetch.txt"],
};

/// The server closed the connection while it owed an answer.
pub const CLOSED_WITHOUT_ANSWER: Check = Check {
    id: "closed-without-answer",
    severity: Must,
    blames: Blames::Server,
    summary: "the server closed the connection while it owed an answer",
    protocols: &[],
    rfc: ["RFC 9051 section 7.1.5", "RFC 5321 section 3.8", "", "RFC 5804 section 1.3"],
    why: "The client cannot know whether the command was carried out, nor whether to try again.",
    fix: ["", "Answer, or say why not (BYE, 421), before closing; look for a crash in the server's log."],
    rule: "",
    except: "After BYE, 421, a refusal or LOGOUT; where the client had ended its direction first.",
    rules: &["L19", "L27"],
    dialogues: ["imap/closed-without-answer.txt", "imap/login-and-fetch.txt"],
};

/// A continuation request that no command was waiting for.
pub const CONTINUATION_UNASKED: Check = Check {
    id: "continuation-unasked",
    severity: Must,
    blames: Blames::Server,
    summary: "a continuation request that no command was waiting for",
    protocols: &[],
    rfc: ["RFC 9051 section 7.6", "RFC 5321 section 4.2.1", "RFC 5034 section 4", "RFC 5804 section 2.1"],
    why: "The client sends nothing more for it, or what it sends next is taken for the answer to it.",
    fix: ["", "Send + only for a synchronizing literal, a SASL exchange or IDLE."],
    rule: "--drop-cap LITERAL+,LITERAL-",
    except: "",
    rules: &["L03", "L26"],
    dialogues: ["imap/broken-responses.txt", "imap/login-with-literals.txt"],
};

/// A reply that no command was waiting for.
pub const REPLY_UNASKED: Check = Check {
    id: "reply-unasked",
    severity: Must,
    blames: Blames::Server,
    summary: "a reply that no command was waiting for",
    protocols: &["smtp", "lmtp", "pop3", "managesieve", "nntp"],
    rfc: ["", "RFC 2920 section 3.1", "RFC 1939 section 3", "RFC 5804 section 1.3"],
    why: "Replies answer commands in their order: with one too many, every later reply is taken for the answer to the wrong command.",
    fix: ["", "Send one reply for each command."],
    rule: "",
    except: "421, which may come at any time.",
    rules: &["L29"],
    dialogues: ["smtp/stray-reply.txt", "smtp/pipelining.txt"],
};

/// A login succeeds before the client has sent anything that could log in.
pub const SASL_EARLY_SUCCESS: Check = Check {
    id: "sasl-early-success",
    severity: Must,
    blames: Blames::Server,
    summary: "a login succeeds before the client has sent anything that could log in",
    protocols: &[],
    rfc: CHALLENGES,
    why: "A client that waits for a challenge fails here, or sends its password as a command.",
    fix: ["", "Send a challenge, if only an empty one, and wait for the answer."],
    rule: "--drop-cap AUTH=NAME",
    except: "EXTERNAL and ANONYMOUS, which send no password.",
    rules: &["L03", "L26"],
    dialogues: ["pop3/auth-ok-for-challenge.txt", "imap/authenticate-plain.txt"],
};

/// The client logs in again after a login has succeeded.
pub const SECOND_LOGIN: Check = Check {
    id: "second-login",
    severity: Must,
    blames: Blames::Client,
    summary: "the client logs in again after a login has succeeded",
    protocols: &["smtp", "lmtp"],
    rfc: CHALLENGES,
    why: "The server answers 503; a client that does not expect that gives up a session that was logged in.",
    fix: ["Log in once in a session.", ""],
    rule: "",
    except: "After XCLIENT, which begins the session anew.",
    rules: &["L26"],
    dialogues: ["smtp/auth-refused-at-once.txt", "smtp/pipelining.txt"],
};

/// The client sent a literal, message or response before the server had asked for it.
pub const SENT_TOO_EARLY: Check = Check {
    id: "sent-too-early",
    severity: Must,
    blames: Blames::Client,
    summary: "the client sent a literal, message or response before the server had asked for it",
    protocols: &[],
    rfc: ["RFC 9051 sections 4.3 and 5.5", "RFC 2920 section 3.1", "RFC 5034 section 4", "RFC 5804 section 2.1"],
    why: "If the server refuses, it reads these bytes as commands.",
    fix: ["Wait for + or 354, or use {n+} where LITERAL+ is offered.", ""],
    rule: "",
    except: "",
    rules: &["L23", "L29"],
    dialogues: ["imap/append-impatient.txt", "imap/login-with-literals.txt"],
};

/// A peer speaks another protocol than the route.
pub const WRONG_PROTOCOL: Check = Check {
    id: "wrong-protocol",
    severity: Must,
    blames: Blames::Sender,
    summary: "a peer speaks another protocol than the route",
    protocols: &[],
    rfc: ["", "", "", ""],
    why: "Nothing that follows can work: the port or the scheme is wrong.",
    fix: ["Point the client at the right port, with or without TLS.", "Check which service listens on this port."],
    rule: "",
    except: "A PROXY header from a load balancer.",
    rules: &["L22"],
    dialogues: ["imap/pop3-server.txt", "imap/login-and-fetch.txt"],
};

/// A command in a state in which it is not allowed.
pub const WRONG_STATE: Check = Check {
    id: "wrong-state",
    severity: Must,
    blames: Blames::Client,
    summary: "a command in a state in which it is not allowed",
    protocols: &[],
    rfc: ["RFC 9051 section 3", "RFC 5321 section 4.1.4", "RFC 1939 section 3", "RFC 5804 section 1.4"],
    why: "The server refuses it: the command that should have come first is missing, or was refused.",
    fix: ["Look at the reply to the command before: most clients come here because they did not.", ""],
    rule: "",
    except: "While a command that changes the state is under way, a client may count on its success.",
    rules: &["L24"],
    dialogues: ["imap/binary-literal.txt", "imap/login-and-fetch.txt"],
};
