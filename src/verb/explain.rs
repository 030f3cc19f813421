//! `imapscope explain WORD`: everything that the descriptions know of a word, of whatever kind it is, and what hangs
//! together with it. An unknown word gets the known one that it may be meant for.

use std::io::{self, Write};

use super::grammar::told;
use crate::event::Peer;
use crate::grammar::{
    BUILTIN, Capability, Code, Command, Grammar, Lists, Mechanism, Named, Replies, Response, Secret, Standing, Then,
    mechanism, mechanisms, prefix,
};
use crate::problem::Problem;
use crate::wording::nearest;

/// Lines are folded at this column.
const WIDTH: usize = 96;

/// How many names a list shows before it only counts.
const MAX_LISTED: usize = 24;

/// Explains a word. Returns the exit code: 0 if it is known, 1 if not.
///
/// # Errors
/// If the word is empty, or `out` cannot be written to.
pub fn explain(word: &str, out: &mut dyn Write) -> Result<u8, Problem> {
    let mut wanted = word.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(code) = wanted.strip_prefix('[') {
        wanted = code.trim_end_matches(']').to_owned(); // copied from a reply with its brackets
    }
    if wanted.is_empty() {
        return Err(Problem::new("explain", "there is no word to explain", "such as `imapscope explain IDLE`"));
    }
    told(explain_to(&wanted, out))
}

fn explain_to(wanted: &str, out: &mut dyn Write) -> io::Result<u8> {
    let mut sheet = Sheet { out, begun: false };
    let mut known = false;
    for (name, _) in BUILTIN {
        if let Some(grammar) = Grammar::builtin(name) {
            known |= protocol(&grammar, wanted, &mut sheet)?;
        }
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
    if known {
        return Ok(0);
    }
    if sheet.begun {
        writeln!(sheet.out)?;
    } else {
        writeln!(sheet.out, "`{}` is not known.", wanted.escape_debug())?;
    }
    let grammars: Vec<_> = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let names = grammars.iter().flat_map(|g| g.names()).chain(mechanisms().iter().map(Named::name));
    if let Some(near) = nearest(wanted, names) {
        writeln!(sheet.out, "Did you mean `{near}`?")?;
    } else {
        writeln!(sheet.out, "`imapscope grammar show imap` lists all words that are known.")?;
    }
    Ok(1)
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
        writeln!(self.out, "  {title:<20}{}", folded(fact, 22))
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
fn protocol(grammar: &Grammar, wanted: &str, sheet: &mut Sheet<'_>) -> io::Result<bool> {
    let mut known = false;
    let of = |kind: &str| format!("{kind} of {}", grammar.name.to_ascii_uppercase());
    if let Some(found) = grammar.command(wanted) {
        sheet.head(&found.name, wanted, &of("command"))?;
        command(grammar, found, sheet)?;
        known |= !is_generic(&found.name);
    }
    if let Some(found) = grammar.capability(wanted) {
        sheet.head(&found.name, wanted, &of("capability"))?;
        capability(grammar, found, sheet)?;
        known |= !is_generic(&found.name);
    }
    if let Some(found) = grammar.response(wanted) {
        sheet.head(&found.name, wanted, &of("response"))?;
        response(found, sheet)?;
        known = true;
    }
    if let Some(found) = grammar.code(wanted) {
        sheet.head(&found.name, wanted, &of("response code"))?;
        code(found, sheet)?;
        known = true;
    }
    for vocabulary in &grammar.vocabularies {
        if let Some(found) = vocabulary.words.get(wanted.as_bytes()) {
            sheet.head(&found.name, wanted, &of(&vocabulary.kind))?;
            sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
            sheet.row("needs", &any_of(&found.needs))?;
            known = true;
        }
    }
    Ok(known)
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
        Some(Then::ClientOctets) => "so many octets of the client as its first argument says",
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
    sheet.row("looks like", &found.arguments)?;
    sheet.row("needs", &any_of(&found.needs))?;
    sheet.row("hidden", hidden(found.secret))
}

fn code(found: &Code, sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.about(&found.does, &found.rfc, found.status, &found.note)?;
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
        Some(Secret::AfterFirst) => "all arguments but the first",
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
