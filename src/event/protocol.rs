//! What differs from protocol to protocol in the nouns: the form of the lines, and the states of a connection.

use serde::{Deserialize, Serialize};

/// How the lines of a protocol look, and so how texts are cut and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Tags, literals, untagged data (RFC 9051 section 2.2).
    Imap,
    /// A reply begins with three digits, and goes on over lines with `-` behind them (RFC 5321 section 4.2). Replies
    /// answer commands in their order.
    Codes,
    /// A reply begins with `+OK` or `-ERR`, and what goes on ends with a dot (RFC 1939 section 3).
    Pop3,
    /// Strings and literals; a response ends with OK, NO or BYE (RFC 5804 section 1.2).
    Managesieve,
    /// A word and what follows it, maybe with `:SOURCE` before it. What answers what is for the grammar to say.
    #[default]
    Line,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 5] = [Form::Imap, Form::Codes, Form::Pop3, Form::Managesieve, Form::Line];

    /// As grammars spell it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Form::Imap => "imap",
            Form::Codes => "codes",
            Form::Pop3 => "pop3",
            Form::Managesieve => "managesieve",
            Form::Line => "line",
        }
    }
}

impl Form {
    /// The states that a protocol of this form can be in, without those that it shares with all others.
    #[must_use]
    pub const fn states(self) -> &'static [State] {
        use State::*;
        match self {
            Form::Imap => &[Greeting, NotAuthenticated, Authenticated, Selected, Logout],
            Form::Codes => &[Greeting, Connected, Ready, Mail, Rcpt, NotAuthenticated, Authenticated, Open, Logout],
            Form::Pop3 => &[Greeting, Authorization, Transaction, Update],
            Form::Managesieve => &[Greeting, NotAuthenticated, Authenticated, Logout],
            Form::Line => &[Greeting, NotAuthenticated, Authenticated, Open, Logout],
        }
    }
}

/// Where a connection stands: the states of IMAP (RFC 9051 section 3), of POP3 (RFC 1939 section 3), of an SMTP session
/// and its mail transaction (RFC 5321 section 4.1.4), and those around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Before the server's greeting.
    #[default]
    Greeting,
    /// Not authenticated.
    NotAuthenticated,
    /// Authenticated, no mailbox selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// SMTP: greeted, and the client has not said EHLO.
    Connected,
    /// SMTP: EHLO was answered; no mail transaction is open.
    Ready,
    /// SMTP: MAIL was accepted.
    Mail,
    /// SMTP: a recipient was accepted.
    Rcpt,
    /// POP3: who the client is has to be shown.
    Authorization,
    /// POP3: the maildrop is open.
    Transaction,
    /// POP3: after QUIT, while the server removes what was deleted.
    Update,
    /// Other protocols: the connection is in use.
    Open,
    /// After LOGOUT or BYE.
    Logout,
    /// Under a layer that is not read.
    Opaque,
}

impl State {
    /// All of them.
    pub const ALL: [State; 14] = [
        State::Greeting,
        State::NotAuthenticated,
        State::Authenticated,
        State::Selected,
        State::Connected,
        State::Ready,
        State::Mail,
        State::Rcpt,
        State::Authorization,
        State::Transaction,
        State::Update,
        State::Open,
        State::Logout,
        State::Opaque,
    ];

    /// The standard's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            State::Greeting => "greeting",
            State::NotAuthenticated => "not-authenticated",
            State::Authenticated => "authenticated",
            State::Selected => "selected",
            State::Connected => "connected",
            State::Ready => "ready",
            State::Mail => "mail",
            State::Rcpt => "rcpt",
            State::Authorization => "authorization",
            State::Transaction => "transaction",
            State::Update => "update",
            State::Open => "open",
            State::Logout => "logout",
            State::Opaque => "opaque",
        }
    }

    /// The same in a word that fits a narrow column, as the log shows it.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            State::NotAuthenticated => "not-auth",
            State::Authenticated => "auth",
            State::Connected => "connect",
            State::Authorization => "author",
            State::Transaction => "transact",
            other => other.word(),
        }
    }

    /// The state of this name, in any case, as the standard or as the log spells it.
    #[must_use]
    pub fn named(name: &str) -> Option<State> {
        let is = |state: &State| [state.word(), state.short()].iter().any(|word| word.eq_ignore_ascii_case(name));
        State::ALL.into_iter().find(is)
    }
}
