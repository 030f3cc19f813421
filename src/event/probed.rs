//! What a server was found to offer when we asked it ourselves, stage by stage.

use super::{Note, TlsFacts};

/// What was found. Secrets are masked already, and every list has a bound; texts may be a server's, and only sinks escape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probed {
    /// The server as a URL, with its port.
    pub server: String,
    /// The grammar's name.
    pub protocol: String,
    /// What the server greeted with, its last line.
    pub greeting: Option<String>,
    /// In the order in which they were reached.
    pub stages: Vec<Stage>,
    /// What the server says it is (RFC 2971): field and value.
    pub id: Vec<(String, Option<String>)>,
    /// What broke the rules of the protocol, and what was strange.
    pub findings: Vec<Note>,
    /// Why there is no more to tell, where that is no failure.
    pub remarks: Vec<String>,
    /// Why it came to an end too soon.
    pub failed: Option<String>,
}

/// What a server offers from a point on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stage {
    /// TLS that began with it.
    pub tls: Option<Secured>,
    /// Who logged in with it, and how (`AUTHENTICATE PLAIN`).
    pub login: Option<(String, &'static str)>,
    /// What is offered.
    pub offers: Vec<Offer>,
    /// How many further names there were.
    pub more: usize,
}

/// TLS that we began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secured {
    /// What was settled.
    pub facts: TlsFacts,
    /// What there is to say about it.
    pub notes: Vec<Note>,
    /// Behind a STARTTLS, and not with the first octet.
    pub asked: bool,
}

/// One capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name: `SIZE`, `AUTH=PLAIN`.
    pub name: String,
    /// What stands behind it in lists of lines: `52428800`.
    pub value: Option<String>,
    /// What it means, if the grammar has it.
    pub meaning: Option<String>,
    /// The same as an entry of a table.
    pub entry: Note,
}
