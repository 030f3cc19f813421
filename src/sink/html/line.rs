//! A line of the log and what stands under it: the text with its roles, what went instead, findings, notes, blocks of data.
//! What is long is folded by the browser itself, without a script.

use std::ops::Range;

use super::markup::Markup;
use crate::event::{
    Culprit, Data, DataKind, Edited, Fate, Foreign, Kind, Mark, Note, NoteKind, Oddity, Peer, Role, Text, What,
    says_odd,
};
use crate::exchange::Explained;
use crate::sink::style::Body;
use crate::sink::text::{End, split_end, start_of};
use crate::sink::{caps, phrase};
use crate::wording::{amount, duration};

/// Of a text, so many octets are shown before the fold, if it is longer than twice that.
const UNFOLDED: usize = 600;

/// A folded block shows its first line, up to so many octets.
const FIRST_LINE: usize = 72;

/// Of a TLS record where a text was expected, so many octets are shown.
const FOREIGN: usize = 24;

/// More remarks than this are folded behind the first.
const REMARKS: usize = 2;

/// True if something about a text is to be noticed.
pub fn is_odd(event: &Explained<'_>, text: &Text) -> bool {
    is_surprise(event)
        || event.sent.is_some()
        || text.edit.is_some()
        || says_odd(&text.oddities)
        || matches!(text.reading.kind, Kind::Foreign(_) | Kind::Unknown)
}

/// True if an event has a finding.
pub fn is_surprise(event: &Explained<'_>) -> bool {
    event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)))
}

/// Writes a text, and all that belongs to it.
pub fn text(page: &mut Markup, event: &Explained<'_>, from: Peer, text: &Text) {
    let (body, end) = split_end(event.bytes);
    if event.bytes.is_empty() {
        page.raw("<em>(nothing)</em>");
    } else if is_tls(text) {
        page.raw("<code>");
        page.octets(&event.bytes[..event.bytes.len().min(FOREIGN)]);
        page.within("</code> <em>… (", &amount(event.bytes.len() as u64, "octet"), ")</em>");
    } else {
        code(page, body, event.marks);
        match end {
            End::CrLf if body.is_empty() && text.first => page.raw("<em>(empty line)</em>"),
            End::CrLf if body.is_empty() && from == Peer::Client => page.raw("<em>(end of the command)</em>"),
            End::CrLf if body.is_empty() => page.raw("<em>(end of the response)</em>"),
            End::Lf => page.raw("<strong>&lt;LF&gt;</strong>"),
            End::Open
                if text.oddities.iter().any(|odd| {
                    matches!(odd, Oddity::Truncated | Oddity::CutShort | Oddity::Torn | Oddity::Unfinished)
                }) =>
            {
                page.raw("<strong>&lt;cut off&gt;</strong>");
            }
            End::CrLf | End::Open => {}
        }
    }
    if let Some(sent) = event.sent {
        self::sent(page, sent, event.sent_marks);
    }
    if let Some(edit) = text.edit.as_deref() {
        rules(page, event, edit);
    }
    notes(page, event);
}

/// What went on its way instead of what came.
fn sent(page: &mut Markup, sent: &[u8], marks: &[Mark]) {
    if sent.is_empty() {
        return page.raw("<p class=sent><b>=&gt; dropped</b> (nothing was sent on)</p>");
    }
    page.raw("<div class=sent><b>=&gt; sent</b> ");
    let (body, end) = split_end(sent);
    code(page, body, marks);
    page.raw(match end {
        End::CrLf => "",
        End::Lf => "<strong>&lt;LF&gt;</strong>",
        End::Open => "<strong>&lt;no line end&gt;</strong>",
    });
    page.raw("</div>");
}

/// The rules that were at work, unless a note of the event names them.
fn rules(page: &mut Markup, event: &Explained<'_>, edit: &Edited) {
    if event.notes.iter().any(|note| note.kind == NoteKind::Rule) {
        return;
    }
    for (rule, reason) in phrase::rules(edit) {
        page.within("<p class=rule>", &rule, "");
        page.within("", reason, "</p>");
    }
}

/// A text without its line end; behind its first octets it is folded if it is long.
fn code(page: &mut Markup, body: &[u8], marks: &[Mark]) {
    // What ends the line before a literal's octets says nothing.
    let first = if body.starts_with(b"\r\n") { 2 } else { 0 };
    if body.len() <= first {
        return;
    }
    if body.len() <= 2 * UNFOLDED {
        page.raw("<code>");
        marked(page, body, first..body.len(), marks);
        return page.raw("</code>");
    }
    let cut = fold(body, UNFOLDED, marks);
    page.raw("<details class=long><summary><code>");
    marked(page, body, first..cut, marks);
    page.within("</code> <em>… ", &amount((body.len() - cut) as u64, "octet"), " more</em></summary><code>");
    marked(page, body, cut..body.len(), marks);
    page.raw("</code></details>");
}

/// Where to fold a text behind about `most` octets: between two characters, and not inside a secret.
fn fold(body: &[u8], most: usize, marks: &[Mark]) -> usize {
    let cut = start_of(body, most).len();
    let inside =
        |mark: &&Mark| mark.role == Role::Secret && (mark.span.start as usize) < cut && mark.span.end as usize > cut;
    marks.iter().find(inside).map_or(cut, |mark| (mark.span.end as usize).min(body.len()))
}

/// The beginning of a text, for a list: `most` octets or so.
pub fn excerpt(page: &mut Markup, bytes: &[u8], marks: &[Mark], most: usize) {
    let (body, _) = split_end(bytes);
    let cut = fold(body, most, marks);
    page.raw("<code>");
    marked(page, body, 0..cut, marks);
    page.raw(if cut < body.len() { " …</code>" } else { "</code>" });
}

/// A part of a text with its roles.
fn marked(page: &mut Markup, body: &[u8], part: Range<usize>, marks: &[Mark]) {
    let (mut place, end_of_part) = (part.start, part.end);
    let last = end_of_part == body.len();
    let mut hidden_until = None;
    for mark in marks {
        let (begins, ends) = (mark.span.start as usize, mark.span.end as usize);
        let secret = mark.role == Role::Secret;
        if begins > end_of_part || (begins == end_of_part && !last) {
            break;
        }
        let start = begins.clamp(place, end_of_part);
        let end = ends.min(end_of_part);
        if end <= start && !(secret && begins >= place) {
            continue;
        }
        page.lines(&body[place..start]);
        if secret {
            // Not even that a secret is empty is told, nor how many stand side by side.
            if hidden_until != Some(start) {
                page.raw("<b class=h>&lt;hidden&gt;</b>");
            }
        } else {
            let (open, close) = element(mark.role);
            page.raw(open);
            page.lines(&body[start..end]);
            page.raw(close);
        }
        place = end.max(start);
        hidden_until = secret.then_some(place);
    }
    page.lines(&body[place..end_of_part]);
}

/// The element that gives a role its look.
const fn element(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Tag => ("<span class=t>", "</span>"),
        Role::Verb | Role::Name => ("<b>", "</b>"),
        Role::Good => ("<b class=g>", "</b>"),
        Role::Bad => ("<b class=e>", "</b>"),
        Role::Code | Role::Literal => ("<span class=k>", "</span>"),
        Role::Removed => ("<del>", "</del>"),
        Role::Added => ("<ins>", "</ins>"),
        Role::Flag => ("<span class=f>", "</span>"),
        Role::Surprise => ("<u>", "</u>"),
        Role::Capability | Role::String | Role::Human | Role::Secret => ("", ""),
    }
}

/// Writes a block of data: its size, and what is known of it behind the fold.
pub fn data(page: &mut Markup, event: &Explained<'_>, data: &Data, body: Body) {
    if event.hides(data) {
        page.within("<b class=h>&lt;hidden ", &amount(data.len, "octet"), "&gt;</b>");
        return notes(page, event);
    }
    let head = head(event.bytes, data, body);
    if head.is_empty() {
        page.within("<span class=k>(", &phrase::size(data), ")</span>");
        return notes(page, event);
    }
    page.raw(if body == Body::Fold { "<details class=data>" } else { "<details class=data open>" });
    page.within("<summary><span class=k>(", &phrase::size(data), "");
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = start_of(line.strip_suffix(b"\r").unwrap_or(line), FIRST_LINE);
    page.raw(": </span><code>");
    page.octets(line);
    // A line end that is all there is beside the line is not worth a sign.
    page.raw(if data.len > line.len() as u64 + 2 { " …" } else { "" });
    page.raw("</code><span class=k>)</span></summary><pre>");
    // The first line end of such an element is not shown; an empty element in front keeps it.
    page.raw("<span></span>");
    page.lines(head);
    page.raw("</pre>");
    let missing = data.len.saturating_sub(head.len() as u64);
    if missing > 0 {
        page.within("<p>… ", &amount(missing, "octet"), " more, which the log does not keep</p>");
    }
    page.raw("</details>");
    notes(page, event);
}

/// What is shown of a block of data that is no secret.
fn head<'a>(bytes: &'a [u8], data: &Data, body: Body) -> &'a [u8] {
    match body {
        Body::None => b"",
        Body::Fold if data.kind == DataKind::Blank => b"",
        Body::Octets(most) => start_of(bytes, usize::try_from(most).unwrap_or(usize::MAX)),
        Body::Fold | Body::All => bytes,
    }
}

/// True if all octets of an event that the log has are in the page, but for secrets inside of them.
pub fn holds(event: &Explained<'_>, body: Body) -> bool {
    match &event.event.what {
        What::Text(text) => !is_tls(text),
        What::Data(data) => !event.hides(data) && head(event.bytes, data, body).len() == event.bytes.len(),
        _ => false,
    }
}

/// True for a TLS record where a text was expected.
const fn is_tls(text: &Text) -> bool {
    matches!(text.reading.kind, Kind::Foreign(Foreign::Tls | Foreign::TlsAlert))
}

/// Writes all notes: what is wrong, what rules did, and the rest, of which much is folded.
pub fn notes(page: &mut Markup, event: &Explained<'_>) {
    let of = |wanted: fn(&NoteKind) -> bool| event.notes.iter().filter(move |note| wanted(&note.kind));
    for note in of(|kind| matches!(kind, NoteKind::Finding(_))) {
        page.raw("<p class=bad><b>! ");
        if let NoteKind::Finding(culprit) = note.kind
            && culprit != Culprit::None
        {
            page.within("", culprit.word(), ": ");
        }
        page.raw("</b>");
        sentence(page, note);
        page.raw("</p>");
    }
    for note in of(|kind| matches!(kind, NoteKind::Rule)) {
        page.raw("<p class=rule>");
        sentence(page, note);
        page.raw("</p>");
    }
    if let Some(latency) = event.latency
        && of(|kind| *kind == NoteKind::Answer).next().is_none()
    {
        page.within("<p>after ", &duration(latency), "</p>");
    }
    let rest: Vec<&Note> =
        of(|kind| !matches!(kind, NoteKind::Finding(_) | NoteKind::Rule | NoteKind::Capability(_))).collect();
    let shown = if rest.len() > REMARKS { 1 } else { rest.len() };
    for (at, note) in rest.iter().enumerate() {
        page.raw(match at {
            0 if shown < rest.len() => "<details class=more><summary>",
            _ => "<p>",
        });
        sentence(page, note);
        page.raw(if at == 0 && shown < rest.len() { "</summary>" } else { "</p>" });
    }
    if shown < rest.len() {
        page.raw("</details>");
    }
    let entries: Vec<&Note> = of(|kind| matches!(kind, NoteKind::Capability(_))).collect();
    if !entries.is_empty() {
        capabilities(page, &entries, event.notes.iter().any(|note| note.kind == NoteKind::Difference));
    }
}

fn sentence(page: &mut Markup, note: &Note) {
    if let Some(about) = note.about.as_deref().filter(|about| !about.is_empty() && !note.text.contains(about)) {
        page.within("<b>", about, ":</b> ");
    }
    page.text(&note.text);
    if let Some(rfc) = caps::reference(note) {
        page.within(" <cite>", rfc, "</cite>");
    }
}

/// The entries of a list, or those of a `later` one that are new.
fn capabilities(page: &mut Markup, entries: &[&Note], later: bool) {
    let count = |wanted: Fate| entries.iter().filter(|note| caps::fate(note) == Some(wanted)).count();
    let noun = if entries.len() == 1 { "capability" } else { "capabilities" };
    let mut head = format!("{}{} {noun}", entries.len(), if later { " new" } else { "" });
    for (fate, sign, what) in [(Fate::Removed, '−', "taken away"), (Fate::Added, '+', "put there")] {
        match count(fate) {
            0 => {}
            number => head += &format!(", {sign} {number} {what} by a rule"),
        }
    }
    page.within("<details class=more><summary>", &head, "</summary><div class=scroll><table class=caps>");
    for note in entries {
        let name = note.about.as_deref().unwrap_or_default();
        page.raw("<tr><th scope=row>");
        match caps::fate(note) {
            Some(Fate::Removed) => page.within("− <del>", name, "</del>"),
            Some(Fate::Added) => page.within("+ <ins>", name, "</ins>"),
            _ => page.text(name),
        }
        page.within("</th><td>", &note.text, "</td>");
        page.within("<td><cite>", note.rfc.as_deref().unwrap_or_default(), "</cite></td></tr>");
    }
    page.raw("</table></div></details>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Span;

    fn shown(body: &[u8], marks: &[(usize, usize, Role)]) -> String {
        let marks: Vec<_> =
            marks.iter().map(|&(start, end, role)| Mark { span: Span::new(start, end), role }).collect();
        let mut page = Markup::default();
        code(&mut page, body, &marks);
        String::from_utf8(page.bytes().to_vec()).expect("escaped")
    }

    #[test]
    fn secrets_are_hidden_and_neighbours_merge() {
        const HIDDEN: &str = "<b class=h>&lt;hidden&gt;</b>";
        let secret = |start, end| (start, end, Role::Secret);
        for (body, marks, want) in [
            ("a LOGIN b ccc", &[secret(10, 13)][..], "a LOGIN b #"),
            ("abcdef", &[secret(0, 2), secret(2, 4)], "#ef"),
            ("ab", &[secret(0, 90)], "#"),
            ("a bc", &[secret(4, 4)], "a bc#"),
            ("a bc", &[secret(2, 2)], "a #bc"),
        ] {
            assert_eq!(shown(body.as_bytes(), marks), format!("<code>{}</code>", want.replace('#', HIDDEN)));
        }
    }

    #[test]
    fn a_long_text_is_folded_and_a_secret_is_not_cut_in_two() {
        let body = [b"x".repeat(500), b"secret".repeat(50), b"z".repeat(900)].concat();
        let text = shown(&body, &[(500, 800, Role::Secret), (900, 910, Role::Tag)]);
        assert_eq!(text.matches("hidden").count(), 1, "{text}");
        assert!(!text.contains("secret") && text.contains("900 octets more"), "{text}");
        assert_eq!(text.matches('z').count(), 900);
        assert!(text.find("</summary>") < text.find("class=t"), "{text}");
    }

    #[test]
    fn several_lines_keep_their_roles() {
        let text = shown(b"250-a\r\n250 b\nc", &[(0, 3, Role::Good), (7, 10, Role::Good)]);
        assert_eq!(text, "<code><b class=g>250</b>-a\n<b class=g>250</b> b<i>\\n</i>c</code>");
    }
}
