//! What is known of TLS on one leg: what the handshake settled, and the certificate that was shown. And what is seen of one
//! that others make with each other.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a TLS handshake settled on one leg.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct TlsFacts {
    /// The version: `TLS 1.3`. Empty if it is not known.
    pub version: String,
    /// The cipher suite, by its registered name. Empty if it is not known.
    pub suite: String,
    /// The name that the side which began asked for (SNI, RFC 6066 section 3).
    pub name: Option<String>,
    /// The protocol that was agreed on (ALPN, RFC 7301).
    pub alpn: Option<String>,
    /// The server's certificate; on the client leg the one that imapscope showed.
    pub certificate: Option<Certificate>,
    /// What was made of it.
    pub verdict: Verification,
    /// Whether the client could be served only because of the feature `legacy-tls`.
    pub legacy: bool,
    /// Whether `--insecure` was given; on the server leg only.
    pub insecure: bool,
}

/// What was made of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// imapscope showed it, and the client went on with it.
    #[default]
    Ours,
    /// The server's, and verified.
    Verified,
    /// The server's, accepted because of `--insecure` only, with what is wrong with it.
    Unverified(String),
    /// Nothing is known of it: TLS is between the peers, and another program has written down what was said inside.
    Untold,
}

/// What a certificate says (RFC 5280 section 4.1). Its texts are cut to a bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Certificate {
    /// Whom it is about.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// The host names and addresses that it is for, the first of them at least.
    pub names: Vec<String>,
    /// How many further names it has.
    pub more_names: usize,
    /// Valid from, in seconds since 1970.
    pub not_before: i64,
    /// Valid until, in seconds since 1970.
    pub not_after: i64,
    /// Subject and issuer are the same.
    pub self_signed: bool,
}

/// What a peer says in the clear while it begins TLS with the other peer, and not with us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hello {
    /// The client's offer (RFC 8446 section 4.1.2).
    Client {
        /// The host that it asks for (SNI), cut to 255 octets. With `encrypted`, it may be the outer one only.
        name: Option<String>,
        /// The protocols that it offers (ALPN), the first of them.
        alpn: Vec<String>,
        /// The lowest version that it lists; `None` if it lists none, and takes all that are older.
        lowest: Option<String>,
        /// The highest version.
        highest: String,
        /// It holds an encrypted hello (RFC 9849), or octets that look like one.
        encrypted: bool,
    },
    /// What the server has chosen (RFC 8446 section 4.1.3).
    Server {
        /// The version: `TLS 1.3`.
        version: String,
        /// The cipher suite by its registered name, or its number.
        suite: String,
        /// The protocol (ALPN), where that is said in the clear.
        alpn: Option<String>,
        /// It asks for another hello of the client's first.
        retry: bool,
    },
    /// An alert (RFC 8446 section 6).
    Alert {
        /// It ends the handshake.
        fatal: bool,
        /// By its registered name: `protocol_version`.
        name: String,
    },
    /// The hello could not be read, and why.
    Unread(Cow<'static, str>),
    /// Where TLS was to begin comes neither TLS nor text.
    NoTls,
}
