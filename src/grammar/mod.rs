//! What a protocol consists of, as data: commands, capabilities, responses, codes, SASL mechanisms, each with its
//! meaning and RFC. Loaded from TOML, looked up by name in any case. Knows no connection and no clock.
//!
//! Names that end in `*` are patterns; the exact name wins, then the longest prefix. `grammars/README.md` has the format.

mod argument;
mod desk;
mod family;
mod load;
mod mechanism;
mod raw;
mod table;

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::event::{Form, State, Status};
use crate::problem::Problem;
use crate::wording::nearest;
pub use argument::{Use, uses};
pub use family::member;
pub use mechanism::{Decode, Mechanism, Message, mechanism, mechanisms};
pub use table::{Named, Table, prefix};

/// The descriptions that come with the program: name and TOML.
pub const BUILTIN: [(&str, &str); 7] = [
    ("imap", include_str!("../../grammars/imap.toml")),
    ("smtp", include_str!("../../grammars/smtp.toml")),
    ("lmtp", include_str!("../../grammars/lmtp.toml")),
    ("pop3", include_str!("../../grammars/pop3.toml")),
    ("managesieve", include_str!("../../grammars/managesieve.toml")),
    ("nntp", include_str!("../../grammars/nntp.toml")),
    ("irc", include_str!("../../grammars/irc.toml")),
];

/// The description of one protocol.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// `imap`.
    pub name: String,
    /// For people: `IMAP (RFC 9051, RFC 3501)`.
    pub title: String,
    /// The port of the plain protocol.
    pub port: u16,
    /// How its lines look.
    pub form: Form,
    /// The state after the greeting.
    pub begins: State,
    /// The description that it was laid over, if it is not one from the ground up.
    pub extends: Option<String>,
    /// How imapscope begins TLS by itself; `None` if that is not described.
    pub starttls: Option<StartTls>,
    /// What clients may say. The UID forms are entries of their own: `UID FETCH`.
    pub commands: Table<Command>,
    /// What servers may offer.
    pub capabilities: Table<Capability>,
    /// What servers may say without a tag: data, and statuses.
    pub responses: Table<Response>,
    /// What may stand in brackets at the start of a status reply.
    pub codes: Table<Code>,
    /// The other words of the protocol by kind: `flag`, `fetch item`, `search key` and so on, in that order of name.
    pub vocabularies: Vec<Vocabulary>,
}

/// What it takes to begin TLS in the middle, where imapscope does it by itself on one leg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartTls {
    /// What the lists call it, if there are lists.
    pub capability: Option<String>,
    /// What a client says, a command a line; the last asks for TLS. Without tags.
    pub says: Vec<String>,
    /// What a server consents with. Without a tag.
    pub consents: String,
    /// The server lists its capabilities by itself once TLS has begun (RFC 5804 section 2.2).
    pub lists: bool,
}

/// A command of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// As the standard spells it; `UID FETCH` for the UID form of FETCH.
    pub name: String,
    /// What it does, in one line.
    pub does: String,
    /// Where it is defined: `RFC 9051 section 6.3.1`.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// The shape of what follows the verb, for people; empty if nothing does.
    pub arguments: String,
    /// More, for who asks; may be empty.
    pub note: String,
    /// The states in which it is allowed; empty for any.
    pub states: Vec<State>,
    /// What may follow it on the wire other than a plain answer.
    pub then: Option<Then>,
    /// Which of its arguments must not be shown.
    pub secret: Option<Secret>,
    /// The capabilities of which one at least must be offered before a client may use it; empty for the base protocol.
    pub needs: Vec<String>,
    /// The state after it was answered with OK.
    pub on_ok: Option<State>,
    /// The state after it was answered with NO (a failed SELECT deselects).
    pub on_no: Option<State>,
    /// What names it lists, or its reply does (ENABLE, EHLO).
    pub lists: Option<Lists>,
    /// How many replies come at its end; one if `None`.
    pub replies: Option<Replies>,
    /// For a UID form, the command whose form it is: `FETCH`.
    pub form_of: Option<String>,
}

impl Command {
    /// What may follow it on the wire, in this form, if `bare` says whether it has no arguments.
    #[must_use]
    pub fn leads_to(&self, form: Form, bare: bool) -> Option<Then> {
        match self.then {
            Some(Then::ServerLines) => bare.then_some(Then::ServerDot),
            // Old servers answer it with the list of their mechanisms.
            Some(Then::Sasl) if bare && form == Form::Pop3 => Some(Then::ServerDot),
            // The list is a text.
            Some(Then::ServerDot) if self.lists == Some(Lists::Capabilities) => None,
            then => then,
        }
    }

    /// Returns true if its secret is one that logs in, and not only an argument that is kept out of a log.
    #[must_use]
    pub const fn logs_in(&self) -> bool {
        !matches!(self.secret, None | Some(Secret::Rest | Secret::ToServices))
    }
}

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capability {
    /// As the standard spells it; a pattern ends in `*` (`AUTH=*`).
    pub name: String,
    /// What it offers, in one line.
    pub does: String,
    /// Where it is defined.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// More, for who asks; may be empty.
    pub note: String,
    /// The commands that it allows.
    pub enables: Vec<String>,
    /// The capabilities that are there with it, listed or not.
    pub implies: Vec<String>,
    /// True if nothing changes before the client asks for it with ENABLE.
    pub enable: bool,
    /// What took its place.
    pub obsolete_by: Option<String>,
}

/// What a server may say without a tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// `EXISTS`; the statuses (`OK`, `BYE`) and `+` are entries too.
    pub name: String,
    /// What it says, in one line.
    pub does: String,
    /// Where it is defined.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// The shape of the whole line, for people.
    pub arguments: String,
    /// More, for who asks; may be empty.
    pub note: String,
    /// The capabilities of which one at least must be there for a server to send it; empty for the base protocol.
    pub needs: Vec<String>,
    /// True if a number stands before the name (`* 3 EXISTS`).
    pub numbered: bool,
    /// Which of its arguments must not be shown (the access tokens of URLAUTH).
    pub secret: Option<Secret>,
    /// Set if it is a list of capabilities or of extensions.
    pub lists: Option<Lists>,
    /// What may follow it on the wire: lines to a dot, or nothing.
    pub then: Option<Then>,
    /// What it says of a refused login is true only if credentials were sent.
    pub credentials: bool,
    /// The verdict that it gives on the oldest command that waits. `None`: none in a protocol of lines, in one of codes what
    /// its first digit says.
    pub answers: Option<Status>,
    /// What it says where it answers a certain command (`RCPT`), the message that one has sent (`message`), or is the greeting
    /// (`greeting`); by these words, each in one line.
    pub after: Vec<(String, String)>,
}

/// Of meanings after certain commands, that after this one.
fn meant<'a>(after: &'a [(String, String)], what: &str) -> Option<&'a str> {
    after.iter().find(|(word, _)| word.eq_ignore_ascii_case(what)).map(|(_, does)| does.as_str())
}

impl Response {
    /// What it says after this command, for the message that one has sent (`message`), or as the greeting (`greeting`).
    #[must_use]
    pub fn does_after(&self, what: &str) -> Option<&str> {
        meant(&self.after, what)
    }
}

impl Code {
    /// What it says after this command, for the message that one has sent (`message`), or as the greeting (`greeting`).
    #[must_use]
    pub fn does_after(&self, what: &str) -> Option<&str> {
        meant(&self.after, what)
    }
}

/// A response code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// The first word in the brackets.
    pub name: String,
    /// What it says, in one line.
    pub does: String,
    /// Where it is defined.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// The shape of what follows the name within the brackets, for people.
    pub arguments: String,
    /// More, for who asks; may be empty.
    pub note: String,
    /// The capabilities of which one at least must be there for a server to send it; empty for the base protocol.
    pub needs: Vec<String>,
    /// Set if it is a list of capabilities.
    pub lists: Option<Lists>,
    /// What it says of a refused login is true only if credentials were sent.
    pub credentials: bool,
    /// What it says where it answers a certain command (`RCPT`), the message that one has sent (`message`), or is the greeting
    /// (`greeting`); by these words, each in one line.
    pub after: Vec<(String, String)>,
}

/// The words of one kind.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The kind, in the singular: `fetch item`.
    pub kind: String,
    /// The words.
    pub words: Table<Word>,
}

/// A word of the protocol that is none of the above.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// `\Seen`; a pattern ends in `*` (`BODY[*`).
    pub name: String,
    /// What it means, in one line.
    pub does: String,
    /// Where it is defined.
    pub rfc: String,
    /// How good it is to rely on it.
    pub status: Standing,
    /// More, for who asks; may be empty.
    pub note: String,
    /// The capabilities of which one at least must be there for its use; empty for the base protocol.
    pub needs: Vec<String>,
}

/// How good it is to rely on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// An RFC that stands.
    #[default]
    Standard,
    /// Once standard, not any more.
    Obsolete,
    /// An RFC that tries something out.
    Experimental,
    /// Only a draft.
    Draft,
    /// One maker's own.
    Vendor,
}

impl Standing {
    /// As grammars spell it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Standing::Standard => "standard",
            Standing::Obsolete => "obsolete",
            Standing::Experimental => "experimental",
            Standing::Draft => "draft",
            Standing::Vendor => "vendor",
        }
    }
}

/// What may follow a command on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// A SASL exchange: challenges and responses, a line each.
    Sasl,
    /// Untagged data until the client's DONE.
    Idle,
    /// TLS, after OK.
    Tls,
    /// DEFLATE, after OK.
    Deflate,
    /// The end of authentication and compression, after OK (UNAUTHENTICATE).
    Reset,
    /// Lines of the client's, to a dot on a line of its own, once the server asks for them (DATA).
    ClientDot,
    /// The same, at once (TAKETHIS).
    ClientDotNow,
    /// So many octets of the client's as its first argument says, at once (BDAT).
    ClientOctets,
    /// Lines of the server's, to a dot, after OK (RETR).
    ServerDot,
    /// The same, if the command has no argument (LIST).
    ServerLines,
}

/// How many replies come at the end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replies {
    /// One for each recipient that was accepted (RFC 2033 section 4.2).
    EachRecipient,
}

/// Which arguments of a command are secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// All but the first (AUTHENTICATE: the initial response).
    AfterFirst,
    /// All but the first, which is a user's name; that too unless it is spelled like one (LOGIN).
    AfterName,
    /// All but the first, which is shown even if it is the only one (JOIN: the keys).
    Rest,
    /// All of them.
    All,
    /// What follows the first word of a message to a service, or of one that begins like a login (PRIVMSG).
    ToServices,
}

/// What kind of names a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lists {
    /// Capabilities that the server offers (CAPABILITY).
    Capabilities,
    /// Extensions that the client asks for or the server confirms (ENABLE, ENABLED).
    Enabled,
}

impl Grammar {
    /// The description of that name that comes with the program; read once, then shared.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Arc<Grammar>> {
        static READ: [OnceLock<Option<Arc<Grammar>>>; BUILTIN.len()] = [const { OnceLock::new() }; BUILTIN.len()];
        let at = BUILTIN.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let (origin, text) = BUILTIN[at];
        // A description of ours that does not load is caught by the tests; here it is merely not there.
        READ[at].get_or_init(|| Self::load(origin, text).ok().map(Arc::new)).clone()
    }

    /// Reads a description. `origin` is the file's name for messages. Every problem that can be found is reported,
    /// each with `file:line:column`; there is one at least.
    ///
    /// # Errors
    /// What is wrong with the text, in the order of the lines.
    pub fn load(origin: &str, text: &str) -> Result<Grammar, Vec<Problem>> {
        load::load(origin, text)
    }

    /// True if commands have replies, as far as the description tells: in a protocol of lines, if any response answers.
    #[must_use]
    pub fn replies(&self) -> bool {
        self.form != Form::Line || self.responses.iter().any(|response| response.answers.is_some())
    }

    /// The command with this verb, in any case; `UID FETCH` is a verb of its own. An unknown verb that begins with X
    /// may give the pattern `X*`.
    #[must_use]
    pub fn command(&self, verb: impl AsRef<[u8]>) -> Option<&Command> {
        self.commands.get(verb.as_ref())
    }

    /// The capability of this name, else the longest pattern that fits, in any case.
    #[must_use]
    pub fn capability(&self, name: impl AsRef<[u8]>) -> Option<&Capability> {
        self.capabilities.get(name.as_ref())
    }

    /// The one capability that allows this command, if no other does.
    #[must_use]
    pub fn enabling(&self, command: &str) -> Option<&str> {
        let enables = |known: &&Capability| known.enables.iter().any(|name| name.eq_ignore_ascii_case(command));
        let mut found = self.capabilities.iter().filter(enables);
        found.next().filter(|_| found.next().is_none()).map(|known| known.name.as_str())
    }

    /// The untagged response of this name, in any case.
    #[must_use]
    pub fn response(&self, name: impl AsRef<[u8]>) -> Option<&Response> {
        self.responses.get(name.as_ref())
    }

    /// The response code of this name (its first word), in any case.
    #[must_use]
    pub fn code(&self, name: impl AsRef<[u8]>) -> Option<&Code> {
        self.codes.get(name.as_ref())
    }

    /// The words of one kind: `flag`, `mailbox attribute`, `fetch item`, `search key`, `status item`.
    #[must_use]
    pub fn vocabulary(&self, kind: &str) -> Option<&Table<Word>> {
        self.vocabularies.iter().find(|v| v.kind == kind).map(|v| &v.words)
    }

    /// True if a server that offers `offered` also offers `wanted` (an entry's name, so maybe a pattern): it is the same,
    /// or fits the pattern, or is implied by it, be it over several steps.
    #[must_use]
    pub fn covers(&self, offered: &str, wanted: &str) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(wanted) || fits(wanted, name);
        let mut due = vec![offered];
        let mut at = 0;
        while let Some(&name) = due.get(at) {
            if same(name) {
                return true;
            }
            at += 1;
            for implied in self.capability(name).map(|c| c.implies.as_slice()).unwrap_or_default() {
                if !due.iter().any(|seen| seen.eq_ignore_ascii_case(implied)) {
                    due.push(implied);
                }
            }
        }
        false
    }

    /// The known capability that is spelled most like this one, if one is close.
    #[must_use]
    pub fn suggest_capability(&self, name: &str) -> Option<String> {
        nearest(name, self.capabilities.iter().map(Named::name))
    }

    /// The known word of any kind that is spelled most like this one, if one is close.
    #[must_use]
    pub fn suggest(&self, word: &str) -> Option<String> {
        nearest(word, self.names())
    }

    /// All names of all kinds; a name that is of several kinds comes several times.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let words = self.vocabularies.iter().flat_map(|v| v.words.iter().map(Named::name));
        self.commands
            .iter()
            .map(Named::name)
            .chain(self.capabilities.iter().map(Named::name))
            .chain(self.responses.iter().map(Named::name))
            .chain(self.codes.iter().map(Named::name))
            .chain(words)
    }
}

/// True if `wanted` is a pattern that `name` fits, in any case.
fn fits(wanted: &str, name: &str) -> bool {
    prefix(wanted).is_some_and(|fixed| name.get(..fixed.len()).is_some_and(|head| head.eq_ignore_ascii_case(fixed)))
}

macro_rules! named {
    ($($kind:ty),+) => {
        $(impl Named for $kind {
            fn name(&self) -> &str {
                &self.name
            }
        })+
    };
}

named!(Command, Capability, Response, Code, Word, Mechanism);
