//! `imapscope explain WORD`: everything that the descriptions know of a word, of whatever kind it is, and what hangs
//! together with it. An unknown word gets the known one that it may be meant for.

mod check;
mod line;
mod topic;

use std::io::{self, Write};
use std::sync::Arc;

use super::grammar::told;
use super::protocols::Protocols;
use crate::check::Check;
use crate::event::Peer;
use crate::grammar::{
    Capability, Code, Command, Grammar, Lists, Mechanism, Named, Replies, Response, Secret, Standing, Table, Then,
    mechanism, mechanisms, prefix,
};
use crate::problem::Problem;
use crate::rules;
use crate::wording::nearest;

/// Lines are folded at this column.
const WIDTH: usize = 96;

/// Width of the column of titles.
const COLUMN: usize = 20;

/// How many names a list shows before it only counts.
const MAX_LISTED: usize = 24;

/// Explains a word from the descriptions that come with the program. Returns the exit code: 0 if it is known, 1 if not.
///
/// # Errors
/// If the word is empty, or `out` cannot be written to.
pub fn explain(word: &str, out: &mut dyn Write) -> Result<u8, Problem> {
    explain_from(&Protocols::builtin(), None, word, out)
}

/// Explains a word, or the words of a line, from these descriptions; with `only`, from that of one protocol. Returns the exit code: 0 if it is known, 1 if not.
///
/// # Errors
/// If the word is empty, the protocol is not known, or `out` cannot be written to.
pub fn explain_from(protocols: &Protocols, only: Option<&str>, word: &str, out: &mut dyn Write) -> Result<u8, Problem> {
    let grammars: Vec<Arc<Grammar>> = match only {
        Some(name) => {
            let scheme = protocols.scheme(name).and_then(|scheme| protocols.grammar(&scheme.protocol).cloned());
            let unknown = || Problem::new("--protocol", format!("unknown protocol {name:?}"), protocols.known(name));
            vec![scheme.ok_or_else(unknown)?]
        }
        None => protocols.grammars().to_vec(),
    };
    let mut wanted = word.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(code) = wanted.strip_prefix('[').filter(|code| !code.contains("] ")) {
        wanted = code.trim_end_matches(']').to_owned(); // copied from a reply with its brackets
    }
    if wanted.is_empty() {
        return Err(Problem::new("explain", "there is no word to explain", "such as `imapscope explain IDLE`"));
    }
    told(explain_to(&grammars, &wanted, out))
}

fn explain_to(grammars: &[Arc<Grammar>], wanted: &str, out: &mut dyn Write) -> io::Result<u8> {
    let mut sheet = Sheet { out, begun: false };
    if let Some(found) = Check::named(&wanted.to_ascii_lowercase()) {
        check::check(found, &mut sheet)?;
        return Ok(0);
    }
    if let Some(class) = class(wanted) {
        return enhanced(grammars, wanted, class, &mut sheet);
    }
    let mut known = false;
    for grammar in grammars {
        known |= protocol(grammar, grammars, wanted, &mut sheet)?;
    }
    let offered = wanted.split_once('=').filter(|(head, _)| head.eq_ignore_ascii_case("AUTH")).map(|(_, name)| name);
    if let Some(found) = mechanism(offered.unwrap_or(wanted)) {
        known = true;
        sasl(found, offered.unwrap_or(wanted), &mut sheet)?;
    } else if let Some(name) = offered.filter(|name| !name.is_empty() && *name != "*") {
        let near =
            nearest(name, mechanisms().iter().map(Named::name)).map(|near| format!(" Did you mean `AUTH={near}`?"));
        writeln!(
            sheet.out,
            "\n`{}` is no SASL mechanism that is known.{}",
            name.escape_debug(),
            near.unwrap_or_default()
        )?;
        return Ok(1);
    }
    if let Some(entry) = rules::book::about(wanted) {
        known = true;
        let of = if matches!(entry.sort, "action" | "variation" | "modifier" | "field" | "operator") {
            " of rules"
        } else {
            ""
        };
        sheet.head(entry.word, wanted, &format!("{}{of}", entry.sort))?;
        sheet.row("does", entry.does)?;
        sheet.row("written", entry.shape)?;
        sheet.row("example", entry.example)?;
    }
    if known || line::pasted(grammars, wanted, &mut sheet)? {
        return Ok(0);
    }
    if private(grammars, wanted, &mut sheet)? {
        writeln!(sheet.out)?;
    } else {
        writeln!(sheet.out, "`{}` is not known.", wanted.escape_debug())?;
    }
    let names = grammars.iter().flat_map(|g| g.names()).chain(mechanisms().iter().map(Named::name));
    let names = names.chain(rules::book::ENTRIES.iter().map(|entry| entry.word));
    let names = names.chain(crate::check::ALL.iter().map(|check| check.id));
    // Numbers that are spelled alike mean nothing alike.
    let near = if wanted.bytes().all(|b| b.is_ascii_digit()) { None } else { nearest(wanted, names) };
    if let Some(near) = near {
        writeln!(sheet.out, "Did you mean `{near}`?")?;
    } else if topic::topic(grammars, wanted, &mut sheet)? {
        return Ok(0);
    } else {
        writeln!(sheet.out, "`imapscope grammar list` names the protocols, `grammar show NAME` all words of one.")?;
    }
    Ok(1)
}

/// What the first digit of an enhanced status code says (RFC 3463 section 3): `5.7.8` is a failure for good. `None` if
/// the word is no such code.
fn class(word: &str) -> Option<&'static str> {
    let mut numbers = word.split('.');
    let class = match numbers.next()? {
        "2" => "success",
        "4" => "a failure for now: the same may go well later",
        "5" => "a failure for good: the same would fail again",
        _ => return None,
    };
    let number =
        |part: Option<&str>| part.is_some_and(|n| matches!(n.len(), 1..=3) && n.bytes().all(|b| b.is_ascii_digit()));
    (number(numbers.next()) && number(numbers.next()) && numbers.next().is_none()).then_some(class)
}

/// Explains an enhanced status code, which descriptions list with X in the place of its class.
fn enhanced(grammars: &[Arc<Grammar>], wanted: &str, class: &str, sheet: &mut Sheet<'_>) -> io::Result<u8> {
    let (digit, detail) = wanted.split_at(1);
    let pattern = format!("X{detail}");
    let mut known = false;
    for grammar in grammars {
        if let Some(found) = grammar.codes.exact(pattern.as_bytes())
            && let Some(of) = speakers(grammar, grammars, found, |g| Some(&g.codes))
        {
            sheet.head(wanted, wanted, &format!("response code of {of}"))?;
            sheet.row("class", &format!("{digit}, {class}"))?;
            code(found, sheet)?;
            known = true;
        }
    }
    if known {
        return Ok(0);
    }
    writeln!(sheet.out, "`{wanted}` is not known. Its class is {digit}, {class}.")?;
    let subject = detail.rsplit_once('.').map_or(detail, |(subject, _)| subject);
    let general = format!("X{subject}.0");
    if let Some(found) = grammars.iter().find_map(|grammar| grammar.codes.exact(general.as_bytes())) {
        writeln!(sheet.out, "Its subject is that of `{digit}{subject}.0`: {}", found.does)?;
    }
    Ok(1)
}

/// The protocols that have this very entry: this one, and those that are laid over it. `None` if this one has it from a
/// protocol that is listed itself.
fn speakers<T: Named + PartialEq>(
    grammar: &Grammar,
    grammars: &[Arc<Grammar>],
    found: &T,
    table: impl Fn(&Grammar) -> Option<&Table<T>>,
) -> Option<String> {
    let over = |above: &Grammar, below: &Grammar| {
        above.name != below.name && above.extends.as_deref() == Some(below.name.as_str())
    };
    let has = |g: &Grammar| table(g).and_then(|table| table.exact(found.name().as_bytes())) == Some(found);
    if grammars.iter().any(|below| over(grammar, below) && has(below)) {
        return None;
    }
    let heirs = grammars.iter().filter(|above| over(above, grammar) && has(above));
    Some(and(&std::iter::once(title(grammar)).chain(heirs.map(|heir| title(heir))).collect::<Vec<_>>()))
}

/// `SMTP`, `ManageSieve`: the protocol's name as its title spells it.
fn title(grammar: &Grammar) -> String {
    match grammar.title.get(..grammar.name.len()) {
        Some(title) if title.eq_ignore_ascii_case(&grammar.name) => title.to_owned(),
        _ => grammar.name.to_ascii_uppercase(),
    }
}

/// `A, B and C`.
fn and(names: &[String]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

/// Writes entries, apart from each other.
struct Sheet<'a> {
    out: &'a mut dyn Write,
    begun: bool,
}

impl Sheet<'_> {
    /// Begins an entry: the word as it was asked for, and what it is.
    fn head(&mut self, name: &str, asked: &str, kind: &str) -> io::Result<()> {
        if self.begun {
            writeln!(self.out)?;
        }
        self.begun = true;
        if prefix(name).is_some() && !name.eq_ignore_ascii_case(asked) {
            writeln!(self.out, "{}  {kind}, by the pattern {name}", asked.escape_debug())
        } else {
            writeln!(self.out, "{name}  {kind}")
        }
    }

    /// What is said of every entry.
    fn about(&mut self, does: &str, rfc: &str, status: Standing, note: &str) -> io::Result<()> {
        self.prose(does)?;
        self.prose(note)?;
        self.row("defined in", rfc)?;
        if status == Standing::Standard { Ok(()) } else { self.row("status", status.word()) }
    }

    /// A paragraph.
    fn prose(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "  {}", folded(text, 2))
    }

    /// A fact under its title; nothing if there is none.
    fn row(&mut self, title: &str, fact: &str) -> io::Result<()> {
        if fact.is_empty() {
            return Ok(());
        }
        // A title that leaves no gap before the column of facts has a line of its own.
        let title = if title.len() < COLUMN {
            title
        } else {
            writeln!(self.out, "  {title}")?;
            ""
        };
        writeln!(self.out, "  {title:<COLUMN$}{}", folded(fact, 2 + COLUMN))
    }

    /// Names under their title; nothing if there are none.
    fn names(&mut self, title: &str, names: &[&str]) -> io::Result<()> {
        let shown: Vec<&str> = names.iter().take(MAX_LISTED).copied().collect();
        let rest = match names.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.row(title, &format!("{}{rest}", shown.join(", ")))
    }
}

/// All that a protocol knows of a word. False if that is at most that private names begin with X.
fn protocol(grammar: &Grammar, all: &[Arc<Grammar>], wanted: &str, sheet: &mut Sheet<'_>) -> io::Result<bool> {
    let mut known = false;
    if let Some(found) = grammar.command(wanted).filter(|found| !is_generic(&found.name)) {
        known = true;
        if let Some(of) = speakers(grammar, all, found, |g| Some(&g.commands)) {
            sheet.head(&found.name, wanted, &format!("command of {of}"))?;
            command(grammar, found, sheet)?;
        }
    }
    if let Some(found) = grammar.capability(wanted).filter(|found| !is_generic(&found.name)) {
        known = true;
        if let Some(of) = speakers(grammar, all, found, |g| Some(&g.capabilities)) {
            sheet.head(&found.name, wanted, &format!("capability of {of}"))?;
            capability(grammar, found, sheet)?;
        }
    }
    if let Some(found) = grammar.response(wanted) {
        known = true;
        if let Some(of) = speakers(grammar, all, found, |g| Some(&g.responses)) {
            sheet.head(&found.name, wanted, &format!("response of {of}"))?;
            response(found, sheet)?;
        }
    }
    if let Some(found) = grammar.code(wanted) {
        known = true;
        if let Some(of) = speakers(grammar, all, found, |g| Some(&g.codes)) {
            sheet.head(&found.name, wanted, &format!("response code of {of}"))?;
            code(found, sheet)?;
        }
    }
    for vocabulary in &grammar.vocabularies {
        let Some(found) = vocabulary.words.get(wanted.as_bytes()) else { continue };
        known = true;
        if let Some(of) = speakers(grammar, all, found, |g| g.vocabulary(&vocabulary.kind)) {
            sheet.head(&found.name, wanted, &format!("{} of {of}", vocabulary.kind))?;
            sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
            sheet.row("needs", &any_of(&found.needs))?;
        }
    }
    Ok(known)
}

/// Says where a word could be a private name, and nothing if nowhere; then it is false.
fn private(grammars: &[Arc<Grammar>], wanted: &str, sheet: &mut Sheet<'_>) -> io::Result<bool> {
    let command = |g: &Grammar| g.command(wanted).is_some_and(|found| is_generic(&found.name));
    let capability = |g: &Grammar| g.capability(wanted).is_some_and(|found| is_generic(&found.name));
    let of = |fits: &dyn Fn(&Grammar) -> bool| {
        and(&grammars.iter().filter(|g| fits(g)).map(|g| title(g)).collect::<Vec<_>>())
    };
    let (commands, capabilities) = (of(&command), of(&capability));
    if commands.is_empty() && capabilities.is_empty() {
        return Ok(false);
    }
    sheet.head("X*", wanted, "private name")?;
    sheet.row("may be a command of", &commands)?;
    sheet.row("or a capability of", &capabilities)?;
    Ok(true)
}

/// True for the pattern that covers every private name.
fn is_generic(name: &str) -> bool {
    name == "X*"
}

fn command(grammar: &Grammar, found: &Command, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
    sheet.row("arguments", &found.arguments)?;
    let states: Vec<&str> = found.states.iter().map(|s| s.word()).collect();
    sheet.row("allowed when", &states.join(", "))?;
    sheet.row("needs", &any_of(&found.needs))?;
    if let Some(state) = found.on_ok {
        sheet.row("after OK", &format!("the state is {}", state.word()))?;
    }
    if let Some(state) = found.on_no {
        sheet.row("after NO", &format!("the state is {}", state.word()))?;
    }
    let follows = match found.then {
        None => "",
        Some(Then::Sasl) => "challenges of the server and answers of the client, a line each",
        Some(Then::Idle) => "untagged data, until the client sends DONE",
        Some(Then::Tls) => "TLS, after OK",
        Some(Then::Deflate) => "DEFLATE in both directions, after OK",
        Some(Then::Reset) => "the protocol without compression and login, after OK",
        Some(Then::ClientDot) => "lines of the client, to one that is a dot, once the server asks for them",
        Some(Then::ClientDotNow) => "lines of the client, to one that is a dot, at once",
        Some(Then::ClientOctets) => {
            "so many octets of the client as its first argument says; none if that is no number"
        }
        Some(Then::ServerDot) => "lines of the server, to one that is a dot, after OK",
        Some(Then::ServerLines) => "lines of the server, to one that is a dot, after OK, if it has no argument",
    };
    sheet.row("followed by", follows)?;
    if found.replies == Some(Replies::EachRecipient) {
        sheet.row("replies", "one for each recipient that was accepted")?;
    }
    sheet.row("hidden", hidden(found.secret))?;
    if found.lists == Some(Lists::Enabled) {
        let names: Vec<&str> = grammar.capabilities.iter().filter(|c| c.enable).map(Named::name).collect();
        sheet.names("asked for", &names)?;
    }
    if let Some(base) = &found.form_of {
        sheet.row("form of", base)?;
    }
    let form = format!("UID {}", found.name);
    if grammar.commands.exact(form.as_bytes()).is_some() {
        sheet.row("with UIDs", &form)?;
    }
    Ok(())
}

fn capability(grammar: &Grammar, found: &Capability, sheet: &mut Sheet<'_>) -> io::Result<()> {
    let name = found.name.as_str();
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
    sheet.row("instead", found.obsolete_by.as_deref().unwrap_or_default())?;
    if found.enable {
        sheet.row("switched on", "by the client with ENABLE; until then nothing changes")?;
    }
    sheet.names("allows", &strs(&found.enables))?;
    sheet.names("implies", &strs(&found.implies))?;
    let implied: Vec<&str> = grammar.capabilities.iter().filter(|c| has(&c.implies, name)).map(Named::name).collect();
    sheet.names("implied by", &implied)?;
    let commands: Vec<&str> = grammar
        .commands
        .iter()
        .filter(|c| has(&c.needs, name) && !has(&found.enables, &c.name))
        .map(Named::name)
        .collect();
    sheet.names("also needed by", &commands)?;
    let responses: Vec<&str> = grammar.responses.iter().filter(|r| has(&r.needs, name)).map(Named::name).collect();
    sheet.names("responses", &responses)?;
    let codes: Vec<&str> = grammar.codes.iter().filter(|c| has(&c.needs, name)).map(Named::name).collect();
    sheet.names("codes", &codes)?;
    for vocabulary in &grammar.vocabularies {
        let words: Vec<&str> = vocabulary.words.iter().filter(|w| has(&w.needs, name)).map(Named::name).collect();
        let title = format!("{}s", vocabulary.kind);
        sheet.names(&title, &words)?;
    }
    Ok(())
}

fn response(found: &Response, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
    after(&found.after, sheet)?;
    sheet.row("looks like", &found.arguments)?;
    sheet.row("needs", &any_of(&found.needs))?;
    sheet.row("hidden", hidden(found.secret))
}

/// What a reply means after certain commands.
fn after(meanings: &[(String, String)], sheet: &mut Sheet<'_>) -> io::Result<()> {
    for (what, does) in meanings {
        let title = match what.as_str() {
            "greeting" => "as the greeting".to_owned(),
            "message" => "after the message".to_owned(),
            command => format!("after {command}"),
        };
        sheet.row(&title, does)?;
    }
    Ok(())
}

fn code(found: &Code, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
    after(&found.after, sheet)?;
    let shape =
        if found.arguments.is_empty() { String::new() } else { format!("[{} {}]", found.name, found.arguments) };
    sheet.row("looks like", &shape)?;
    sheet.row("needs", &any_of(&found.needs))
}

fn sasl(found: &Mechanism, asked: &str, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.head(&found.name, asked, "SASL mechanism")?;
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
    for message in &found.messages {
        let from = if message.from == Peer::Client { "C:" } else { "S:" };
        sheet.row(from, &message.means)?;
    }
    let first = if found.client_first { "the client; an initial response is possible" } else { "the server" };
    sheet.row("speaks first", first)?;
    let all = found.secret.iter().any(|field| field == "*");
    let secret = if all { "every message as a whole".to_owned() } else { found.secret.join(", ") };
    sheet.row("hidden", &secret)?;
    if found.layer {
        sheet.row("may end in", "a security layer, after which nothing can be read")?;
    }
    Ok(())
}

/// What is kept out of every output.
const fn hidden(secret: Option<Secret>) -> &'static str {
    match secret {
        None => "",
        Some(Secret::AfterFirst | Secret::Rest) => "all arguments but the first",
        Some(Secret::ToServices) => "what follows the first word to a service",
        Some(Secret::AfterName) => "all arguments, but a name that is spelled like one",
        Some(Secret::All) => "all arguments",
    }
}

/// `A or B`, for capabilities.
fn any_of(needs: &[String]) -> String {
    needs.join(" or ")
}

/// True if `name` is among them, in any case.
fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// The same names, borrowed.
fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The text with line breaks, each line but the first indented.
fn folded(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for (at, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        if at > 0 && column + 1 + len > WIDTH {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if at > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += len;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is said of every word of every protocol, and of every mechanism.
    fn everything() -> String {
        let protocols = Protocols::builtin();
        let mut words: Vec<&str> = protocols.grammars().iter().flat_map(|grammar| grammar.names()).collect();
        words.extend(mechanisms().iter().map(Named::name));
        words.sort_unstable();
        words.dedup();
        let mut out = Vec::new();
        for word in words {
            explain_from(&protocols, None, word, &mut out).expect("there is room");
        }
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn facts_stand_in_a_column_and_apart_from_their_titles() {
        let said = everything();
        let protocols = Protocols::builtin();
        let kinds = protocols.grammars().iter().flat_map(|grammar| grammar.vocabularies.iter());
        let mut titles: Vec<String> = kinds.map(|vocabulary| format!("{}s", vocabulary.kind)).collect();
        titles.sort_by_key(|title| std::cmp::Reverse(title.len()));
        let mut long = 0;
        for line in said.lines().filter(|line| line.starts_with("  ")) {
            let Some(title) = titles.iter().find(|title| line[2..].starts_with(title.as_str())) else { continue };
            let fact = line[2 + title.len()..].trim_start();
            let prose = fact.len() + 1 == line.len() - 2 - title.len();
            let column = line.len() - fact.len();
            assert!(prose || fact.is_empty() || column == 2 + COLUMN, "{line}");
            long += usize::from(fact.is_empty());
        }
        assert!(long > 0, "some titles are long");
        assert!(said.contains("\n  search return options\n                      "), "of ESEARCH");
    }

    #[test]
    fn a_backslash_is_written_once() {
        let said = everything();
        assert!(said.contains("Labels such as \\Inbox hold a backslash"), "of X-GM-EXT-1");
        let doubled: Vec<&str> = said.lines().filter(|line| line.contains("\\\\")).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
    }
}
