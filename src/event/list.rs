//! The lists of names that capability rules act on: where they stand, and their tokens.

use serde::{Deserialize, Serialize};

use super::{Form, Span, is_false};

/// A list of names that capability rules act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct List {
    /// Which list it is.
    pub kind: ListKind,
    /// The list with what goes when nothing is left of it: for a response code the brackets and the space behind them.
    pub whole: Span,
    /// Its tokens, in order.
    pub items: Vec<Item>,
}

/// Where a list of names stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// An untagged CAPABILITY response.
    Data,
    /// A CAPABILITY response code.
    Code,
    /// The arguments of the client's ENABLE.
    Enable,
    /// An untagged ENABLED response.
    Enabled,
    /// The lines of a reply, each with a name (EHLO, CAPA, the capabilities of ManageSieve).
    Lines(Form),
}

impl ListKind {
    /// True if the list says what the server offers, rather than what the client wants of it.
    #[must_use]
    pub const fn offers(self) -> bool {
        matches!(self, ListKind::Data | ListKind::Code | ListKind::Lines(_))
    }
}

/// One token of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Item {
    /// The token.
    pub name: Span,
    /// The token with the blanks before it, in a list of lines the whole line: what has to go for the token to go.
    pub with_space: Span,
    /// In a list of lines, what follows the name; empty elsewhere.
    pub parameters: Span,
    /// True for a login mechanism on the line of the item before: `PLAIN` there is called `AUTH=PLAIN` here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub part: bool,
}
