//! A SASL message being put into words: fields that may be shown, fields that may not, and names that may be once the server
//! has accepted the login.

use crate::explain::phrase::quote;
use crate::wire::name::{Spelling, spelling};

/// A message in words.
#[derive(Debug, Default)]
pub struct Said {
    /// The words, secrets masked.
    pub text: String,
    /// The secrets in it, decoded.
    pub secrets: Vec<Vec<u8>>,
    /// Bytes in which secrets may begin and end anywhere.
    pub loose: Vec<Vec<u8>>,
    /// True if its base64 must not be shown.
    pub hide: bool,
}

/// Returns true if a name may be one although it was hidden, beside this secret: it is neither the same nor less like a name.
#[must_use]
pub fn credible(name: &[u8], secret: &[u8]) -> bool {
    name != secret && spelling(name) >= spelling(secret)
}

/// A message in the making.
pub(super) struct Speech {
    pub said: Said,
    /// The words as they may be shown once the server has accepted the login.
    pub later: String,
    /// Who logs in, if that is shown.
    pub user: Option<Vec<u8>>,
    /// Who logs in, if that is hidden until then.
    pub claimed: Option<Vec<u8>>,
    /// The names that are hidden until then.
    pub names: Vec<Vec<u8>>,
    show: bool,
    all: bool,
    secret: &'static [String],
}

impl Speech {
    /// Nothing said yet but the mechanism; with `show`, no secret is masked.
    pub fn begin(mechanism: &str, secret: &'static [String], show: bool) -> Self {
        let said = Said { text: mechanism.to_owned(), ..Said::default() };
        let all = secret.iter().any(|field| field == "*");
        let later = said.text.clone();
        Speech { said, later, user: None, claimed: None, names: Vec::new(), show, all, secret }
    }

    fn hides(&self, key: &str) -> bool {
        !self.show && (self.all || self.secret.iter().any(|field| field.eq_ignore_ascii_case(key)))
    }

    pub fn word(&mut self, word: &str) {
        for text in [&mut self.said.text, &mut self.later] {
            text.push(' ');
            text.push_str(word);
        }
    }

    /// A field that may be shown, unless the grammar says otherwise or it is no clear text.
    pub fn field(&mut self, key: &str, value: &[u8]) {
        if self.hides(key) || !(self.show || clear(value)) {
            return self.hidden(key, value);
        }
        self.word(&format!("{key}={}", quote(value)));
    }

    pub fn hidden(&mut self, key: &str, value: &[u8]) {
        if self.show {
            self.word(&format!("{key}={}", quote(value)));
        } else {
            self.word(&format!("{key}=<hidden>"));
            self.said.secrets.push(value.to_vec());
        }
    }

    /// Who logs in: shown at once if it is spelled at least so much like a name, and more so than the secret beside it.
    pub fn name(&mut self, key: &str, name: &[u8], least: Spelling, secret: &[u8]) {
        if self.hides(key) {
            return self.hidden(key, name);
        }
        if self.put(key, name, least, secret) {
            self.user = Some(name.to_vec());
        } else if credible(name, secret) {
            self.claimed = Some(name.to_vec());
        }
    }

    /// Whom to act as, which is shown as [`Speech::name`] is.
    pub fn beside(&mut self, key: &str, name: &[u8], least: Spelling, secret: &[u8]) {
        if self.hides(key) || !credible(name, secret) {
            return self.hidden(key, name);
        }
        self.put(key, name, least, secret);
    }

    /// Puts a name, hidden for now if need be; returns true if it is shown.
    fn put(&mut self, key: &str, name: &[u8], least: Spelling, secret: &[u8]) -> bool {
        let spelled = spelling(name);
        if self.show || spelled >= least && spelled > spelling(secret) {
            self.word(&format!("{key}={}", quote(name)));
            return true;
        }
        self.said.text.push_str(&format!(" {key}=<hidden>"));
        self.later.push_str(&format!(" {key}={}", quote(name)));
        self.said.secrets.push(name.to_vec());
        self.names.push(name.to_vec());
        false
    }

    /// A message that is hidden whole.
    pub fn message(&mut self, message: &[u8]) {
        self.message_as("message", message);
    }

    pub fn message_as(&mut self, key: &str, message: &[u8]) {
        self.hidden(key, message);
        if !self.show {
            self.said.loose.push(message.to_vec());
        }
    }
}

/// True for UTF-8 text without control characters: what may be shown as a name.
pub(super) fn clear(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}
