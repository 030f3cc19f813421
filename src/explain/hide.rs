//! Masking: what must not be shown of texts and of data is overwritten in the arena before anything is said of it.

use super::{Explainer, add, phrase, range, url};
use crate::event::{Data, DataKind, Form, Kind, Note, NoteKind, Peer, Span, Text};

impl Explainer {
    /// Adds what must not be shown besides what the session has found, and masks all of it.
    pub(super) fn hide(&mut self, text: &mut Text, bytes: &mut [u8]) {
        add(&mut text.secrets, url::secrets(text.bytes.of(bytes)));
        let mut echoing = self.may_echo(text.bytes.of(bytes), text.reading.kind);
        if echoing {
            let echoes = self.vault.echoes(text.bytes.of(bytes));
            echoing = !echoes.is_empty();
            add(&mut text.secrets, echoes);
        }
        if !text.secrets.is_empty() {
            let range = range(text.bytes, bytes.len());
            self.vault.hide(&mut bytes[range], &text.secrets);
        }
        let Some(edit) = &mut text.edit else { return };
        // What a rule made of a text may hold a secret anywhere: the remembered ones are looked for in every kind of text.
        let echoes = self.vault.echoes(edit.bytes.of(bytes));
        add(&mut edit.secrets, echoes);
        if echoing && !edit.bytes.is_empty() && !self.vault.shows() {
            // A rule may have put something into the middle of what the text repeats.
            edit.secrets = vec![Span::new(0, edit.bytes.len())];
        }
        add(&mut edit.secrets, url::secrets(edit.bytes.of(bytes)));
        let range = range(edit.bytes, bytes.len());
        self.vault.hide(&mut bytes[range], &edit.secrets);
    }

    /// True for texts in which a secret may turn up again: human text, and what the grammar does not know or leaves to
    /// the peers to fill. In all else it is more likely a name that happens to be the same.
    fn may_echo(&self, text: &[u8], kind: Kind) -> bool {
        let free = |name: Span| name.of(text).eq_ignore_ascii_case(b"ID");
        // Without tags or statuses, what a server says of a command is a response like any other (421 of IRC).
        let human = !matches!(self.grammar.form, Form::Imap | Form::Managesieve);
        match kind {
            Kind::Reply { .. } | Kind::GoAhead { .. } | Kind::Unknown | Kind::Foreign(_) => true,
            Kind::Info { name, .. } => human || free(name) || self.grammar.response(name.of(text)).is_none(),
            Kind::Command { verb, .. } => free(verb) || self.grammar.commands.exact(verb.of(text)).is_none(),
            _ => false,
        }
    }

    /// Masks what must not be shown of a block of data.
    pub(super) fn hide_data(&mut self, from: Peer, data: &Data, bytes: &mut [u8]) {
        let head = range(data.head, bytes.len());
        self.hide_login_behind(data, &mut bytes[head.clone()]);
        if from == Peer::Client {
            self.literal_of_login(data, &bytes[head.clone()]);
        }
        if data.secret {
            self.vault.hide(&mut bytes[head.clone()], &[Span::new(0, head.len())]);
        } else if data.kind == DataKind::Literal {
            let tokens = url::secrets(&bytes[head.clone()]);
            self.vault.hide(&mut bytes[head.clone()], &tokens);
        } else {
            let echoes = self.vault.echoes(&bytes[head.clone()]);
            self.vault.hide(&mut bytes[head], &echoes);
        }
        self.subject_of(data, bytes);
    }

    /// The subject of a message, in words.
    fn subject_of(&mut self, data: &Data, bytes: &mut [u8]) {
        let span = range(data.subject, bytes.len());
        let echoes = self.vault.echoes(&bytes[span.clone()]);
        self.vault.hide(&mut bytes[span.clone()], &echoes);
        if !span.is_empty() && !data.secret {
            let text = phrase::subject(&bytes[span]);
            self.notes.push(Note::new(NoteKind::Decoded, format!("subject {text}"), ""));
        }
    }
}
