//! What the proxy changed of a conversation, from the records of both its sides: commands that it answered by itself, and
//! nothing but these and the names that it hides. Knows the protocols in its own way, and only as far as the clients here go.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::hide::hide;
use super::tee::Record;

/// What marks the proxy's own words.
const MARK: &str = "[imapscope]";

/// A command that the server did not get, and what the client was answered.
#[derive(Debug)]
pub struct Refusal {
    /// Its first line.
    pub command: String,
    /// What the proxy said.
    pub answer: String,
}

/// All that were refused. Fails where anything else is not as it was sent.
pub fn refusals(scheme: &str, near: &Record, far: &Record, dropped: &[String]) -> Vec<Refusal> {
    let (commands, answers) = (taken(scheme, near, far), answers(scheme, near, far, dropped));
    assert_eq!(commands.len(), answers.len(), "an answer for each command: {commands:?}\n{answers:?}");
    let refused = commands.into_iter().zip(answers).map(|(command, answer)| Refusal { command, answer });
    let refused = refused.collect::<Vec<_>>();
    for Refusal { command, answer } in refused.iter().filter(|_| scheme == "imap") {
        let tag = |line: &str| line.split(' ').next().map(str::to_owned);
        assert_eq!(tag(command), tag(answer), "{answer} answers {command}");
    }
    refused
}

/// The lines that came from the client and did not reach the server; what belonged to them did not either.
fn taken(scheme: &str, near: &Record, far: &Record) -> Vec<String> {
    let (mut sent, mut got, mut taken) = (&near.client[..], &far.client[..], Vec::new());
    while !sent.is_empty() {
        let line = first_line(sent);
        sent = &sent[line.len()..];
        if let Some(rest) = got.strip_prefix(line) {
            got = rest;
            continue;
        }
        let text = String::from_utf8_lossy(line).into_owned();
        let other = first_line(got);
        if scheme == "imap" && enables_less(&text, &String::from_utf8_lossy(other)) {
            got = &got[other.len()..];
            continue;
        }
        // Octets come with a command whose literals do not wait, and with BDAT.
        let mut last = text.clone();
        while let Some(count) = announced(scheme, &last) {
            sent = sent.get(count..).expect("they are all there");
            if scheme == "smtp" {
                break;
            }
            let line = first_line(sent);
            sent = &sent[line.len()..];
            last = String::from_utf8_lossy(line).into_owned();
        }
        taken.push(text);
    }
    assert!(got.is_empty(), "the server got what nobody sent: {}", String::from_utf8_lossy(got));
    taken
}

/// The proxy's own lines; all others must be the server's.
fn answers(scheme: &str, near: &Record, far: &Record, dropped: &[String]) -> Vec<String> {
    let (mut others, mut answers) = (Vec::with_capacity(near.server.len()), Vec::new());
    for line in near.server.split_inclusive(|octet| *octet == b'\n') {
        let text = String::from_utf8_lossy(line);
        if text.contains(MARK) {
            answers.push(text.into_owned());
        } else {
            others.extend_from_slice(line);
        }
    }
    let hidden = hide(scheme, &far.server, dropped);
    assert!(
        others == hidden,
        "what the client got is what the server said:\n{}\n---\n{}",
        String::from_utf8_lossy(&others),
        String::from_utf8_lossy(&hidden)
    );
    answers
}

fn first_line(octets: &[u8]) -> &[u8] {
    let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
    &octets[..end]
}

/// Whether this is the same ENABLE with fewer names, or with one that nobody knows.
fn enables_less(sent: &str, got: &str) -> bool {
    let (mut sent, mut got) = (sent.split_whitespace(), got.split_whitespace());
    let same = sent.next() == got.next() && sent.next() == Some("ENABLE") && got.next() == Some("ENABLE");
    let names = sent.collect::<Vec<_>>();
    same && got.all(|name| name == "X-HIDDEN" || names.contains(&name))
}

/// How many octets follow this line that belong to its command, where they wait for nothing.
fn announced(scheme: &str, line: &str) -> Option<usize> {
    let line = line.trim_end();
    match scheme {
        "smtp" => line.strip_prefix("BDAT ")?.split(' ').next()?.parse().ok(),
        _ => line.strip_suffix("+}")?.rsplit_once('{')?.1.parse().ok(),
    }
}

/// The commands that clients sent, without tags, numbers, strings and messages; each once. Two runs that differ in time
/// only have the same.
pub fn shapes(scheme: &str, records: &[Record]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for record in records {
        let (mut rest, mut message) = (&record.client[..], false);
        while !rest.is_empty() {
            let line = first_line(rest);
            rest = &rest[line.len()..];
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            if message {
                message = text != ".";
                continue;
            }
            message = scheme == "smtp" && text == "DATA";
            let waits = text.strip_suffix('}').and_then(|text| text.rsplit_once('{'));
            let waits = waits.and_then(|(_, count)| count.parse().ok());
            rest = &rest[announced(scheme, &text).or(waits).unwrap_or(0).min(rest.len())..];
            let command = match text.split_once(' ') {
                Some((_, command)) if scheme == "imap" => command,
                _ => &text,
            };
            found.insert(shape(command));
            if command.trim_matches('"') == "STARTTLS" {
                break;
            }
        }
    }
    found
}

/// Whether a client sent what may go together without waiting for an answer between.
pub fn pipelined(records: &[Record]) -> bool {
    let pairs = [("MAIL FROM", "RCPT TO"), ("STAT\r\n", "LIST\r\n")];
    records.iter().any(|record| pairs.iter().any(|(one, other)| record.at_once(one, other)))
}

/// One command without what differs from run to run, and without what it carries to log in.
fn shape(command: &str) -> String {
    if command.starts_with("PASS ") {
        return "PASS".to_owned();
    }
    let secret = |word: &str| word.len() >= 8 && word.bytes().any(|octet| octet.is_ascii_lowercase());
    let words = command.split(' ').map(|word| match STANDARD.decode(word) {
        Ok(_) if secret(word) => "(encoded)",
        _ => word,
    });
    let command = words.collect::<Vec<_>>().join(" ");
    let (mut shape, mut quoted) = (String::new(), false);
    for character in command.chars() {
        quoted ^= character == '"';
        match character {
            _ if quoted && character != '"' => {}
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            _ => shape.push(character),
        }
    }
    shape
}

/// The names in the lists that the server gave, with mechanisms as `AUTH=NAME`.
pub fn offered(scheme: &str, records: &[Record]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for record in records {
        let text = String::from_utf8_lossy(&record.server).into_owned();
        let mut before = "";
        let mut inside = false;
        for line in text.lines() {
            let name = match scheme {
                "imap" => {
                    let list = line
                        .strip_prefix("* CAPABILITY ")
                        .or_else(|| line.split_once(" OK [CAPABILITY ").map(|(_, list)| list));
                    found.extend(
                        list.into_iter()
                            .flat_map(|list| list.split(']').next().unwrap_or_default().split(' '))
                            .map(str::to_owned),
                    );
                    None
                }
                "smtp" => {
                    line.strip_prefix("250-").or(line.strip_prefix("250 ")).filter(|_| before.starts_with("250-"))
                }
                "pop3" => {
                    // The first only: messages may hold the same.
                    inside = (inside || found.is_empty() && before == "+OK" && line == "CAPA") && line != ".";
                    inside.then_some(line)
                }
                _ => {
                    inside = (inside || line.starts_with("\"IMPLEMENTATION\" ")) && !line.starts_with("OK");
                    inside.then_some(line)
                }
            };
            before = line;
            let mut words = name.into_iter().flat_map(|line| line.split(' ')).map(|word| word.trim_matches('"'));
            let Some(first) = words.next() else { continue };
            found.insert(first.to_owned());
            if matches!(first, "AUTH" | "SASL") {
                found.extend(words.map(|name| format!("AUTH={name}")));
            }
        }
    }
    found
}
