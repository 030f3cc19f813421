//! What the rules do to a text: they look at it in the light of the session, and what they make of it is sent in its place.

use std::sync::Arc;

use super::secret::Masked;
use super::{Outbox, Session};
use crate::event::{Edited, Form, Kind, Peer, Reading};
use crate::rules::{self, Scene};
use crate::wire;

impl Session {
    /// Lets the rules have a look. What they would do to a text that is on its way already is reported as refused.
    pub(super) fn edit(
        &mut self,
        from: Peer,
        text: &[u8],
        reading: &Reading,
        masked: &Masked,
        [first, late]: [bool; 2],
        out: &mut Outbox,
    ) -> Option<Box<Edited>> {
        if !self.lanes[from.index()].edit {
            return None;
        }
        let edit = self.ask(from, text, reading, first, late)?;
        let mut edited = Edited { fired: edit.fired, refused: edit.refused, ..Edited::default() };
        let bytes = edit.bytes.as_deref().unwrap_or(text);
        if late {
            let why = "its first octets were already on their way when the rest could be read";
            let faults = edit.faults.into_iter().map(|(rule, _)| rule);
            edited.refused.extend(edited.fired.drain(..).chain(faults).map(|rule| (rule, why.to_owned())));
        } else if !edit.faults.is_empty() {
            edited.faults = edit.faults.iter().map(|(rule, fault)| (Arc::clone(rule), fault.told())).collect();
            self.lane(from).struck = edit.faults;
        }
        if !edited.fired.is_empty() {
            edited.bytes = out.keep(bytes);
            edited.secrets = self.secrets_of_edit(text, reading, masked, bytes);
        }
        Some(Box::new(edited))
    }

    /// What the rules make of a text. What they would have done to one that comes too late does not count.
    fn ask(&mut self, from: Peer, text: &[u8], reading: &Reading, first: bool, late: bool) -> Option<rules::Edit> {
        let command = self.verb_of(text, reading);
        let (form, gather) = (self.grammar.form, self.gather(from));
        let mut progress = if late { self.progress.clone() } else { std::mem::take(&mut self.progress) };
        let scene = Scene {
            from,
            text,
            reading,
            read: &|text| gather.holds(text).then(|| wire::reread(form, from, reading, text)),
            first,
            state: self.state,
            tls: self.tls.legs,
            protocol: &self.grammar.name,
            connection: self.connection,
            command: &command,
            client: &self.client,
            user: &self.user,
        };
        let edit = self.rules.edit(&scene, &mut progress);
        if !late {
            self.progress = progress;
        }
        edit
    }

    /// The verb of the command that a text is or answers, in upper case; empty if there is none.
    fn verb_of(&self, text: &[u8], reading: &Reading) -> String {
        match reading.kind {
            Kind::Command { verb, .. } => String::from_utf8_lossy(verb.of(text)).to_ascii_uppercase(),
            Kind::Reply { tag, .. } if !tag.is_empty() => {
                self.dialogue.tagged(tag.of(text)).map_or_else(String::new, |it| it.verb.to_string())
            }
            _ if self.grammar.form == Form::Imap => {
                self.dialogue.oldest().map_or_else(String::new, |it| it.verb.to_string())
            }
            _ => self.asked().map_or_else(String::new, |it| it.verb.to_string()),
        }
    }
}
