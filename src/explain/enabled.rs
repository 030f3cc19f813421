//! What a client may use only once the server has said ENABLED (RFC 5161 section 3.1). To ask for a name is no fault, whatever
//! the server offers: it ignores names that it does not know. To use an extension that was not confirmed is one.

use super::{Explainer, MAX_NAME};
use crate::check::Standard;
use crate::check::imap::ENABLE_MISSING;
use crate::event::{Note, Peer};
use crate::exchange::words::Words;
use crate::grammar::{Command, Grammar};

/// Maximum number of names remembered for each of the two sets.
const MAX_NAMES: usize = 64;

/// Arguments in UTF-8 may be used with either of these (RFC 9755 section 3, RFC 9051 section 5.1).
const UTF8: [&str; 2] = ["UTF8=ACCEPT", "IMAP4rev2"];

/// What ENABLE asked for and ENABLED confirmed, since login.
#[derive(Debug, Default)]
pub(super) struct Enabled {
    /// The log has been complete since login, so that what is missing was never said.
    whole: bool,
    asked: Words,
    on: Words,
}

impl Enabled {
    /// A login succeeded: nothing is enabled yet.
    pub fn begin(&mut self) {
        *self = Enabled { whole: true, ..Enabled::default() };
    }

    /// Nothing is known any more: events are missing, or the user was logged out.
    pub fn forget(&mut self) {
        *self = Enabled::default();
    }

    /// The client asks for this name.
    pub fn ask(&mut self, name: &str) {
        add(&mut self.asked, name);
    }

    /// The server confirmed these names.
    pub fn confirm<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        names.for_each(|name| add(&mut self.on, name));
    }

    /// True if this name is enabled, by itself or with another one that implies it.
    fn has(&self, grammar: &Grammar, name: &str) -> bool {
        self.on.iter().any(|on| grammar.covers(on, name))
    }
}

fn add(words: &mut Words, name: &str) {
    if words.count() < MAX_NAMES && name.len() <= MAX_NAME {
        words.add(name);
    }
}

impl Explainer {
    /// Finds the use of an extension that has to be enabled first and is not. `needs`: one of these allows it.
    pub(super) fn unconfirmed<S: AsRef<str>>(&mut self, feature: &str, needs: &[S]) {
        let grammar = std::sync::Arc::clone(&self.grammar);
        let first = |need: &S| grammar.capability(need.as_ref()).is_some_and(|known| known.enable);
        let Some(wanted) = needs.first().filter(|_| needs.iter().all(first)) else { return };
        let on = needs.iter().any(|need| self.has_enabled(&grammar, need.as_ref()));
        let offered = needs.iter().any(|need| self.connection.offers.offers(&grammar, need.as_ref()));
        if offered && !on && self.knows_what_is_enabled() {
            self.not_enabled(feature, wanted.as_ref());
        }
    }

    /// Finds UTF-8 in the arguments of a command, where the client asked for that and did not get it.
    pub(super) fn unconfirmed_utf8(&mut self, known: &Command, arguments: &[u8]) {
        if self.standard != Standard::Imap
            || arguments.is_ascii()
            || known.secret.is_some()
            || !self.knows_what_is_enabled()
        {
            return;
        }
        let asked = self.who.as_ref().is_some_and(|who| UTF8.iter().any(|name| who.enabled.asked.has(name)));
        if asked && !UTF8.iter().any(|name| self.has_enabled(&self.grammar, name)) {
            self.not_enabled("UTF-8 in arguments", UTF8[0]);
        }
    }

    /// True if this is enabled.
    fn has_enabled(&self, grammar: &Grammar, name: &str) -> bool {
        self.who.as_ref().is_some_and(|who| who.enabled.has(grammar, name))
    }

    /// True if every ENABLED was seen, and none is under way.
    fn knows_what_is_enabled(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.enabled.whole)
            && !self.connection.waiting.all().any(super::spoken::enables)
    }

    fn not_enabled(&mut self, feature: &str, name: &str) {
        let text = format!("{feature} requires ENABLE {name} first, and the server has not confirmed it with ENABLED");
        let found = ENABLE_MISSING.found(Peer::Client, text, self.standard);
        self.notes.push(Note { about: Some(name.to_owned()), ..found });
    }
}
