//! The entries as the TOML has them, every key declared once, and how each becomes an entry of a table. What is written
//! in the wrong form is reported; nothing here is looked up.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::desk::Desk;
use super::{Decode, Lists, Message, Replies, Secret, Standing, Then};
use crate::event::{Peer, State, Status};

/// Entries with their names.
pub(super) type Named<R> = Vec<(Spanned<String>, R)>;

/// `[command.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Command {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    states: Vec<Spanned<String>>,
    then: Option<Then>,
    secret: Option<Secret>,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
    on_ok: Option<Spanned<String>>,
    on_no: Option<Spanned<String>>,
    lists: Option<Lists>,
    replies: Option<Replies>,
    pub(super) uid: Option<Spanned<String>>,
}

/// `[starttls]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StartTls {
    capability: Option<Spanned<String>>,
    says: Spanned<Vec<Spanned<String>>>,
    consents: Spanned<String>,
    #[serde(default)]
    lists: bool,
}

/// `[capability.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Capability {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    note: String,
    #[serde(default)]
    pub(super) enables: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) implies: Vec<Spanned<String>>,
    #[serde(default)]
    enable: bool,
    pub(super) obsolete_by: Option<Spanned<String>>,
}

/// `[response.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Response {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
    #[serde(default)]
    numbered: bool,
    #[serde(default)]
    credentials: bool,
    secret: Option<Secret>,
    lists: Option<Lists>,
    then: Option<Then>,
    answers: Option<Answers>,
    #[serde(default)]
    pub(super) after: BTreeMap<String, Spanned<String>>,
}

/// The verdicts that a response may give.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answers {
    Ok,
    No,
    Bye,
}

/// `[code.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Code {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
    lists: Option<Lists>,
    #[serde(default)]
    credentials: bool,
    #[serde(default)]
    pub(super) after: BTreeMap<String, Spanned<String>>,
}

/// `[words."KIND"]`, an entry a line
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Word {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    note: String,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
}

/// `[mechanism.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Mechanism {
    does: Spanned<String>,
    rfc: Spanned<String>,
    #[serde(default)]
    status: Standing,
    #[serde(default)]
    note: String,
    client_first: bool,
    #[serde(default)]
    messages: Vec<Spanned<String>>,
    decode: Decode,
    secret: Vec<String>,
    #[serde(default)]
    layer: bool,
}

impl StartTls {
    /// What is described, and the place of the capability and of the command that asks for TLS.
    pub(super) fn build(self, desk: &mut Desk<'_>) -> (super::StartTls, Option<Spanned<String>>, Spanned<String>) {
        for text in self.says.as_ref().iter().chain(&self.capability).chain([&self.consents]) {
            if text.as_ref().trim().is_empty() || text.as_ref().contains(char::is_control) {
                desk.add(text.span(), "this must be one line, and not empty", "");
            }
        }
        if self.says.as_ref().is_empty() {
            desk.add(self.says.span(), "`says` has no command", "write the command that asks for TLS");
        }
        let asks = self.says.as_ref().last().map_or_else(
            || Spanned::new(self.says.span(), String::new()),
            |last| Spanned::new(last.span(), last.as_ref().split(' ').next().unwrap_or_default().to_owned()),
        );
        let described = super::StartTls {
            capability: self.capability.as_ref().map(|name| name.as_ref().clone()),
            says: plain(self.says.into_inner()),
            consents: self.consents.into_inner(),
            lists: self.lists,
        };
        (described, self.capability, asks)
    }
}

impl Command {
    /// The command, and its UID form if it has one.
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> Vec<super::Command> {
        let plain = super::Command {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            arguments: self.arguments,
            note: self.note,
            states: self.states.iter().filter_map(|word| state(word, desk)).collect(),
            then: self.then,
            secret: self.secret,
            needs: plain(self.needs),
            on_ok: self.on_ok.and_then(|word| state(&word, desk)),
            on_no: self.on_no.and_then(|word| state(&word, desk)),
            lists: self.lists,
            replies: self.replies,
            form_of: name.get(..4).filter(|head| head.eq_ignore_ascii_case("UID ")).map(|_| name[4..].to_owned()),
        };
        let form = self.uid.map(|does| super::Command {
            name: format!("UID {name}"),
            does: sentence(&does, desk),
            form_of: Some(name.to_owned()),
            ..plain.clone()
        });
        std::iter::once(plain).chain(form).collect()
    }
}

impl Capability {
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> super::Capability {
        super::Capability {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            note: self.note,
            enables: plain(self.enables),
            implies: plain(self.implies),
            enable: self.enable,
            obsolete_by: self.obsolete_by.map(Spanned::into_inner),
        }
    }
}

impl Response {
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> super::Response {
        super::Response {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            arguments: self.arguments,
            note: self.note,
            needs: plain(self.needs),
            numbered: self.numbered,
            credentials: self.credentials,
            secret: self.secret,
            lists: self.lists,
            then: self.then,
            answers: self.answers.map(|answer| match answer {
                Answers::Ok => Status::Ok,
                Answers::No => Status::No,
                Answers::Bye => Status::Bye,
            }),
            after: meanings(&self.after, desk),
        }
    }
}

impl Code {
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> super::Code {
        super::Code {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            arguments: self.arguments,
            note: self.note,
            needs: plain(self.needs),
            lists: self.lists,
            credentials: self.credentials,
            after: meanings(&self.after, desk),
        }
    }
}

/// What a reply means after certain commands.
fn meanings(after: &BTreeMap<String, Spanned<String>>, desk: &mut Desk<'_>) -> Vec<(String, String)> {
    after.iter().map(|(what, does)| (what.clone(), sentence(does, desk))).collect()
}

impl Word {
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> super::Word {
        super::Word {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            note: self.note,
            needs: plain(self.needs),
        }
    }
}

impl Mechanism {
    pub(super) fn build(self, name: &str, desk: &mut Desk<'_>) -> super::Mechanism {
        super::Mechanism {
            name: name.to_owned(),
            does: sentence(&self.does, desk),
            rfc: source(&self.rfc, desk),
            status: self.status,
            note: self.note,
            client_first: self.client_first,
            messages: self.messages.iter().filter_map(|line| message(line, desk)).collect(),
            decode: self.decode,
            secret: self.secret,
            layer: self.layer,
        }
    }
}

/// The names without their places.
fn plain(names: Vec<Spanned<String>>) -> Vec<String> {
    names.into_iter().map(Spanned::into_inner).collect()
}

/// A meaning: one line, not empty.
fn sentence(text: &Spanned<String>, desk: &mut Desk<'_>) -> String {
    let line = text.as_ref().trim();
    if line.is_empty() || line.contains('\n') {
        desk.add(text.span(), "a meaning must be one line, and not empty", "say in a sentence what it does");
    }
    line.to_owned()
}

/// Where something is defined: one or more places, with commas between them.
fn source(text: &Spanned<String>, desk: &mut Desk<'_>) -> String {
    if !text.as_ref().split(", ").all(is_source) {
        let help = "`RFC 9051 section 6.3.1`, `RFC 4422 appendix A`, `draft-NAME`, `vendor: NAME` or `IANA REGISTRY`; \
                    several with commas between them";
        desk.add(text.span(), "this does not say where it is defined", help);
    }
    text.as_ref().clone()
}

/// True for one place of definition.
fn is_source(place: &str) -> bool {
    if let Some(rest) = place.strip_prefix("RFC ") {
        let mut words = rest.split(' ');
        let number = words.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        return number
            && match (words.next(), words.next(), words.next()) {
                (None, ..) => true,
                (Some("section" | "appendix"), Some(part), None) => !part.is_empty(),
                _ => false,
            };
    }
    ["draft-", "vendor: ", "IANA "]
        .iter()
        .any(|head| place.strip_prefix(head).is_some_and(|rest| !rest.trim().is_empty()))
}

/// The state of this name, if a protocol of this form has it.
pub(super) fn state(word: &Spanned<String>, desk: &mut Desk<'_>) -> Option<State> {
    let states = desk.form.states();
    let found = states.iter().copied().find(|state| state.word() == word.as_ref());
    if found.is_none() {
        let known: Vec<&str> = states.iter().map(|state| state.word()).collect();
        desk.unknown(word.span(), "state", word.as_ref(), &known);
    }
    found
}

/// A message: `C: what the client says` or `S: what the server says`.
fn message(line: &Spanned<String>, desk: &mut Desk<'_>) -> Option<Message> {
    let (from, means) = match line.as_ref().split_once(": ") {
        Some(("C", means)) => (Peer::Client, means),
        Some(("S", means)) => (Peer::Server, means),
        _ => {
            desk.add(
                line.span(),
                "this does not say who sends it",
                "begin with `C: ` for the client or `S: ` for the server",
            );
            return None;
        }
    };
    Some(Message { from, means: means.to_owned() })
}
