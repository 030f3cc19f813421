//! What another server offers, from a file: a list of names, or anything in which lists of capabilities stand as servers
//! send them, such as a log or a transcript. Of several lists all names together count.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::{Form, Peer};
use crate::wire::{managesieve, status};

/// The names that the lists of capabilities in a file have; `None` if there is no such list in it.
#[must_use]
pub fn names(content: &str) -> Option<Vec<String>> {
    let mut found = Found::default();
    for line in content.lines() {
        found.line(line);
    }
    found.end();
    (found.lists > 0).then_some(found.names)
}

/// IMAP: untagged, or as a code. In a log anything may stand before it.
static IMAP: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(?:\* |\[)CAPABILITY ([^\]\r\n]*)"));

/// A line of a reply to EHLO or LHLO, whose last one has a blank behind the digits.
static EHLO: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\s:<>|])250([- ])(\S.*)$"));

/// ManageSieve: a name in quotes, perhaps with a value.
static SIEVE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^[^"]*?("[A-Za-z0-9-]+"(?: "[^"]*")?)$"#));

/// POP3: what asks for a list, and what may begin one.
static CAPA: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(?:^|[\s:<>|])CAPA$"));
static OK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\s:<>|])(\+OK)(?: |$)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is part of the program")
}

/// What was found, and the list that is being read.
#[derive(Default)]
struct Found {
    names: Vec<String>,
    lists: usize,
    /// The lines of a list, as they would come from a server, and what they belong to.
    open: Option<(Form, String)>,
    /// A list of POP3 was asked for.
    asked: bool,
    /// How many octets stand before the lines of a listing in a log.
    margin: usize,
    /// In a log of ours: this is what was sent on, perhaps with names that are not the server's.
    sent: bool,
}

impl Found {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        let mark = line.trim_start().starts_with("=>");
        self.sent = mark || (self.sent && line.starts_with([' ', '\t']));
        if self.sent {
            return self.end();
        }
        if let Some((Form::Pop3, lines)) = &mut self.open {
            let inside = line.get(self.margin..).unwrap_or_default().trim_start();
            if matches!(inside, "" | ".") {
                return self.end();
            }
            lines.push_str(&format!("{inside}\r\n"));
            return;
        }
        if IMAP.is_match(line) {
            self.end();
            for found in IMAP.captures_iter(line) {
                self.lists += 1;
                found[1].split_whitespace().for_each(|name| self.name(name));
            }
        } else if let Some(found) = EHLO.captures(line) {
            let last = &found[1] == " ";
            self.lines(Form::Codes).push_str(&format!("250{}{}\r\n", &found[1], &found[2]));
            if last {
                self.end();
            }
        } else if let Some(found) = SIEVE.captures(line) {
            self.lines(Form::Managesieve).push_str(&format!("{}\r\n", &found[1]));
        } else {
            self.end();
            let ok = OK.captures(line).and_then(|found| found.get(1));
            if let Some(ok) = ok.filter(|_| self.asked || line.to_ascii_lowercase().contains("capabilit")) {
                self.margin = ok.start();
                self.open = Some((Form::Pop3, "+OK\r\n".to_owned()));
            }
            self.asked = CAPA.is_match(line) || (self.asked && ok.is_none() && !line.contains("-ERR"));
        }
    }

    /// The lines of the list of this form, which begins here if none does.
    fn lines(&mut self, form: Form) -> &mut String {
        if self.open.as_ref().is_some_and(|(open, _)| *open != form) {
            self.end();
        }
        &mut self.open.get_or_insert_with(|| (form, String::new())).1
    }

    /// A list is over. One line alone is none in the protocols of lines.
    fn end(&mut self) {
        let Some((form, mut lines)) = self.open.take() else { return };
        let list = match form {
            // In a log, strings may stand anywhere.
            Form::Managesieve if !lines.to_ascii_uppercase().contains("\"IMPLEMENTATION\" ") => return,
            Form::Managesieve => {
                lines.push_str("OK\r\n");
                managesieve::read(Peer::Server, lines.as_bytes()).list
            }
            form => Some(status::list(form, lines.as_bytes())),
        };
        let Some(list) = list.filter(|list| !list.items.is_empty()) else { return };
        self.lists += 1;
        let text = lines.as_bytes();
        for (at, item) in list.items.iter().enumerate() {
            let name = String::from_utf8_lossy(item.name.of(text));
            if item.part {
                self.name(&format!("AUTH={name}"));
            } else if list.items.get(at + 1).is_none_or(|next| !next.part) {
                // A line of mechanisms is what its mechanisms are.
                self.name(&name);
            }
        }
    }

    /// Keeps a name that can be one: what else a server may say is passed over.
    fn name(&mut self, name: &str) {
        let can_be = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"(){}%*\\\"[]".contains(&b));
        if can_be && !self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.names.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str) -> String {
        names(content).map_or("none".to_owned(), |names| names.join(" "))
    }

    #[test]
    fn lists_are_found_wherever_they_stand() {
        for (content, expected) in [
            ("IMAP4rev1 IDLE\n# a list\nMOVE, SORT\n", "none"),
            ("* OK [CAPABILITY IMAP4rev1 IDLE] hi\r\n* capability IMAP4rev1 MOVE\r\n", "IMAP4rev1 IDLE MOVE"),
            ("12:34:38.313 #1 S* greeting * OK [CAPABILITY IMAP4rev1 IDLE] Dovecot ready.\n", "IMAP4rev1 IDLE"),
            ("a1 CAPABILITY\n* OK no list\na2 OK CAPABILITY completed\n", "none"),
            ("* CAPABILITY IMAP4rev1 X* \"Y\" (Z) SORT\n", "IMAP4rev1 SORT"),
            (
                "EHLO me\n250-mx.example.org hello\n250-SIZE 1000\n250-AUTH PLAIN LOGIN\n250 DSN\n",
                "SIZE AUTH=PLAIN AUTH=LOGIN DSN",
            ),
            ("<-  250-mx.example.org\n<-  250-AUTH=LOGIN\n<-  250 HELP\n", "AUTH=LOGIN HELP"),
            ("MAIL FROM:<a@b>\n250 ok\n250 2.1.5 ok\n", "none"),
            ("C: CAPA\nS: +OK here it is\nS: TOP\nS: SASL PLAIN\nS: UIDL\nS: .\nS: EXPIRE\n", "TOP AUTH=PLAIN UIDL"),
            ("+OK Capability list follows\r\nTOP\r\nSTLS\r\n.\r\n", "TOP STLS"),
            (
                "+   0.010 #1 C: author   CAPA\n             | Asks.\n+   0.010 #1 S: author   +OK\n                         TOP\n                         .\n             | answers CAPA\n",
                "TOP",
            ),
            ("a1 LOGIN \"bob\" \"secret\"\n", "none"),
            (
                "+   0.000 #1 S* greeting * OK [CAPABILITY IMAP4rev1] hi\n             => sent     * OK [CAPABILITY IMAP4rev1 X-NEW] hi\n",
                "IMAP4rev1",
            ),
            ("             => sent     250-mx\n                         250 X-NEW\n", "none"),
            ("RETR 1\n+OK 10 octets\nTOP\n.\n", "none"),
            (
                "\"IMPLEMENTATION\" \"Example 1\"\n\"SIEVE\" \"fileinto vacation\"\n\"SASL\" \"PLAIN\"\n\"STARTTLS\"\nOK\n",
                "IMPLEMENTATION SIEVE AUTH=PLAIN STARTTLS",
            ),
        ] {
            assert_eq!(found(content), expected, "{content}");
        }
    }
}
