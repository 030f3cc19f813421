//! What a probe found, for people: its stages with their lists, as the log shows them, and what changed from one to the next.
//! Everything of a server's is escaped.

pub mod json;

use std::collections::HashSet;
use std::io::{self, Write};

use super::page::Page;
use super::style::{Ink, Look, Palette};
use super::{caps, secured};
use crate::event::{Fate, Note, NoteKind, Offer, Peer, Probed, Secured, Stage};

/// Columns before what stands under a heading.
const MARGIN: usize = 2;

/// Writes all of it for people.
///
/// # Errors
/// Those of `out`.
pub fn write(probed: &Probed, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(Palette::new(look.color), look.width.map(usize::from));
    page.margin = MARGIN;
    page.ink(Ink::Strong, &probed.server);
    page.out.push(b'\n');
    if let Some(greeting) = &probed.greeting {
        remark(&mut page, &format!("greeting: {greeting}"));
    }
    for (nth, stage) in probed.stages.iter().enumerate() {
        heading(&mut page, &title(probed, nth));
        self::stage(&mut page, stage);
    }
    if !probed.id.is_empty() {
        heading(&mut page, "what the server says it is (ID)");
        for (field, value) in &probed.id {
            remark(&mut page, &format!("{field}: {}", value.as_deref().unwrap_or("(nothing)")));
        }
    }
    for pair in probed.stages.windows(2) {
        heading(&mut page, &format!("what changed {}", step(&pair[1]).1));
        changes(&mut page, &pair[0], &pair[1]);
    }
    if !probed.findings.is_empty() {
        heading(&mut page, "what was strange");
        for finding in &probed.findings {
            let rfc = finding.rfc.as_ref().map(|rfc| format!(" ({rfc})")).unwrap_or_default();
            page.note(Ink::Surprise, "!", 2);
            page.words(Ink::Plain, &format!("{}{rfc}", finding.text));
            page.end();
        }
    }
    if !probed.remarks.is_empty() {
        page.out.push(b'\n');
    }
    for text in &probed.remarks {
        remark(&mut page, text);
    }
    out.write_all(&page.out)?;
    out.flush()
}

fn heading(page: &mut Page, text: &str) {
    page.out.push(b'\n');
    page.ink(Ink::Strong, text);
    page.out.push(b'\n');
}

fn remark(page: &mut Page, text: &str) {
    page.remark();
    page.words(Ink::Plain, text);
    page.end();
}

/// What a stage is called by programs, and what begins it for people.
const fn step(stage: &Stage) -> (&'static str, &'static str) {
    match (&stage.login, &stage.tls) {
        (Some(_), _) => ("after-login", "with login"),
        (None, Some(_)) => ("after-tls", "with TLS"),
        (None, None) => ("before-tls", ""),
    }
}

fn title(probed: &Probed, nth: usize) -> String {
    let stage = &probed.stages[nth];
    match (&stage.login, &stage.tls) {
        (Some((user, how)), _) => format!("after login as {user} ({how})"),
        (None, Some(Secured { asked: true, .. })) => "after TLS".to_owned(),
        (None, Some(_)) => "under TLS from the first octet on".to_owned(),
        (None, None) if probed.stages.iter().any(|stage| stage.tls.is_some()) => "before TLS".to_owned(),
        (None, None) => "without TLS".to_owned(),
    }
}

fn stage(page: &mut Page, stage: &Stage) {
    if let Some(Secured { facts, notes, .. }) = &stage.tls {
        page.blanks(MARGIN);
        secured::write(page, Peer::Server, facts);
        for note in notes {
            let loud = matches!(note.kind, NoteKind::Finding(_));
            page.note(if loud { Ink::Surprise } else { page.gutter }, if loud { "!" } else { "|" }, 2);
            page.words(Ink::Plain, &note.text);
            page.end();
        }
    }
    if stage.offers.is_empty() {
        return remark(page, "no list of capabilities");
    }
    let entries: Vec<Note> = stage.offers.iter().map(|offer| offer.entry.clone()).collect();
    caps::write(page, &entries, false);
    if stage.more > 0 {
        remark(page, &format!("and {} more names", stage.more));
    }
}

/// What is there now and was not, and what is gone.
fn changes(page: &mut Page, before: &Stage, after: &Stage) {
    let (appeared, gone) = difference(before, after);
    if appeared.is_empty() && gone.is_empty() {
        return remark(page, "nothing: the same list");
    }
    let of = |offers: &[&Offer], fate| -> Vec<Note> {
        offers.iter().map(|it| Note { kind: NoteKind::Capability(fate), ..it.entry.clone() }).collect()
    };
    caps::rows(page, &[of(&appeared, Fate::Added), of(&gone, Fate::Removed)].concat());
}

/// What the later stage has and the earlier one has not, and the other way round.
fn difference<'a>(before: &'a Stage, after: &'a Stage) -> (Vec<&'a Offer>, Vec<&'a Offer>) {
    let key = |offer: &Offer| (offer.name.to_ascii_uppercase(), offer.value.clone());
    let keys = |stage: &Stage| stage.offers.iter().map(key).collect::<HashSet<_>>();
    let (old, new) = (keys(before), keys(after));
    let not_in = |stage: &'a Stage, keys: &HashSet<_>| {
        stage.offers.iter().filter(|offer| !keys.contains(&key(offer))).collect::<Vec<_>>()
    };
    (not_in(after, &old), not_in(before, &new))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stage with these names, and values behind `=`.
    pub fn offering(names: &[&str]) -> Stage {
        let offer = |name: &&str| {
            let (name, value) =
                name.split_once('=').map_or((*name, None), |(name, value)| (name, Some(value.to_owned())));
            let entry = Note {
                kind: NoteKind::Capability(Fate::Kept),
                about: Some(name.to_owned()),
                text: format!("means {name}"),
                rfc: Some("RFC 1, RFC 2".to_owned()),
                ..Note::new(NoteKind::Session, "", "")
            };
            Offer { name: name.to_owned(), value, meaning: Some(format!("means {name}")), entry }
        };
        Stage { offers: names.iter().map(offer).collect(), ..Stage::default() }
    }

    #[test]
    fn stages_and_what_changed_are_told() {
        let first = offering(&["IDLE", "STARTTLS", "SIZE=1"]);
        let login = Some(("alice".to_owned(), "LOGIN"));
        let probed = Probed {
            server: "imap://h:143".into(),
            greeting: Some("* OK \x1b[2Jhi".into()),
            stages: vec![first, Stage { login, more: 7, ..offering(&["idle", "SIZE=2", "X\u{202e}"]) }],
            id: vec![("name".into(), Some("x\x07".into())), ("os".into(), None)],
            remarks: vec!["no more".into()],
            ..Probed::default()
        };
        let mut out = Vec::new();
        write(&probed, Look::default(), &mut out).expect("a buffer");
        let text = String::from_utf8(out).expect("escaped");
        let parts = [
            "imap://h:143\n  | greeting: * OK \\x1b[2Jhi\n\nwithout TLS\n  | 3 capabilities:\n",
            "\nafter login as alice (LOGIN)\n  | 3 capabilities:\n",
            "  | and 7 more names\n",
            "\nwhat the server says it is (ID)\n  | name: x\\x07\n  | os: (nothing)\n",
            "\nwhat changed with login\n  | + SIZE",
            "  | - STARTTLS   RFC 1  means STARTTLS\n",
            "\n  | no more\n",
        ];
        for part in parts {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']) && !text.contains("+ idle"), "{text}");
    }
}
