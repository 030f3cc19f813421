//! Checks of TLS: its beginning, its certificates, and what is bound to it.

use super::{Blames, Check};
use crate::event::Severity::{Must, Quirk, Should};

/// The section on what TLS does to a session.
const BEGINS: [&str; 4] =
    ["RFC 9051 section 6.2.1", "RFC 3207 section 4.2", "RFC 2595 section 4", "RFC 5804 section 2.2"];

/// The server's certificate was accepted without being verified, because of --insecure.
pub const CERTIFICATE_NOT_VERIFIED: Check = Check {
    id: "certificate-not-verified",
    severity: Quirk,
    blames: Blames::Nobody,
    summary: "the server's certificate was accepted without being verified, because of --insecure",
    protocols: &[],
    rfc: ["", "", "", ""],
    why: "Anyone could be on the other end, and could read passwords.",
    fix: ["", "Get a certificate that clients can verify, for the name that they connect to."],
    rule: "--server-ca FILE",
    except: "",
    rules: &[],
    dialogues: ["imap/insecure.txt", "imap/login-and-fetch.txt"],
};

/// A login is bound to the TLS of one leg, and imapscope ends TLS.
pub const CHANNEL_BINDING: Check = Check {
    id: "channel-binding",
    severity: Quirk,
    blames: Blames::Nobody,
    summary: "a login is bound to the TLS of one leg, and imapscope ends TLS",
    protocols: &[],
    rfc: ["RFC 5802 section 6"; 4],
    why: "The server sees another TLS connection than the client and has to refuse the login: a proxy looks like an attacker.",
    fix: ["Switch channel binding off for the test.", ""],
    rule: "--drop-cap 'AUTH=*-PLUS'",
    except: "",
    rules: &["L26"],
    dialogues: ["imap/channel-binding.txt", "imap/authenticate-scram.txt"],
};

/// A leg is under TLS 1.0 or 1.1.
pub const OLD_TLS: Check = Check {
    id: "old-tls",
    severity: Quirk,
    blames: Blames::Nobody,
    summary: "a leg is under TLS 1.0 or 1.1",
    protocols: &[],
    rfc: ["RFC 8996"; 4],
    why: "These versions are broken: someone in between may read and change the session.",
    fix: ["Use a version of the client that knows TLS 1.2.", ""],
    rule: "",
    except: "",
    rules: &[],
    dialogues: ["imap/old-tls.txt", "imap/login-and-fetch.txt"],
};

/// Plain text after STARTTLS and before TLS.
pub const STARTTLS_INJECTION: Check = Check {
    id: "starttls-injection",
    severity: Must,
    blames: Blames::Sender,
    summary: "plain text after STARTTLS and before TLS",
    protocols: &[],
    rfc: BEGINS,
    why: "Someone in between could have put it there; a peer that keeps it reads it as if it had come under TLS.",
    fix: ["Send nothing after STARTTLS until TLS is up.", "Discard what was received before TLS began."],
    rule: "",
    except: "",
    rules: &["L22"],
    dialogues: ["imap/starttls-injection.txt", "imap/starttls.txt"],
};

/// Plain text where TLS has to begin.
pub const STARTTLS_PLAIN_TEXT: Check = Check {
    id: "starttls-plain-text",
    severity: Must,
    blames: Blames::Sender,
    summary: "plain text where TLS has to begin",
    protocols: &[],
    rfc: BEGINS,
    why: "The other peer takes it for TLS and closes, or trusts what anyone could have put there.",
    fix: ["Begin TLS after the consent to STARTTLS.", "Begin TLS after the consent to STARTTLS."],
    rule: "--starttls hide",
    except: "A log that was decrypted, in which both peers go on in plain text.",
    rules: &["L22"],
    dialogues: ["imap/starttls-client-goes-on-in-plain.txt", "imap/starttls.txt"],
};

/// Neither TLS nor text, where TLS has to begin.
pub const TLS_MISSING: Check = Check {
    id: "tls-missing",
    severity: Should,
    blames: Blames::Sender,
    summary: "neither TLS nor text, where TLS has to begin",
    protocols: &[],
    rfc: ["RFC 8446 section 5.1"; 4],
    why: "The handshake cannot succeed.",
    fix: ["Begin TLS after the consent to STARTTLS.", "Begin TLS after the consent to STARTTLS."],
    rule: "",
    except: "",
    rules: &["L22"],
    dialogues: ["imap/starttls-hello-garbled.txt", "imap/starttls-hello.txt"],
};
