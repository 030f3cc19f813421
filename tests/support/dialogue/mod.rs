//! Dialogue files: reading them, and the log that they are compared with.
#![allow(dead_code)] // each test uses a part

pub mod play;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use imapscope::cli::{Cli, Verb};
use imapscope::event::Peer;
use imapscope::rules::Rules;
use imapscope::rules::filter::Filter;
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::{Look, TimeStyle};
use imapscope::verb::log::Filtered;

/// One line of a dialogue.
#[derive(Debug, Clone)]
pub enum Step {
    /// A peer sends octets.
    Send {
        /// Who.
        from: Peer,
        /// What.
        bytes: Vec<u8>,
        /// What goes out on the other side, where it differs.
        becomes: Option<Vec<u8>>,
        /// What goes back to the sender.
        answer: Vec<u8>,
    },
    /// The leg to a peer is under TLS.
    Tls {
        /// To whom.
        from: Peer,
        /// The name that was asked for.
        name: String,
    },
    /// A peer will send no more.
    Close {
        /// Who.
        from: Peer,
    },
    /// Nothing moves for so long.
    Pause(Duration),
}

impl Step {
    /// Whose step it is, if anybody's.
    pub const fn from(&self) -> Option<Peer> {
        match self {
            Step::Send { from, .. } | Step::Tls { from, .. } | Step::Close { from } => Some(*from),
            Step::Pause(_) => None,
        }
    }
}

/// A dialogue file.
#[derive(Debug)]
pub struct Dialogue {
    /// A description of the protocol, by its file's name under `tests`, where none that is built in will do.
    pub grammar: Option<String>,
    /// The rules under which it runs.
    pub rules: Arc<Rules>,
    /// What the log shows, where that is not everything.
    pub filter: Option<Filter>,
    /// What happens.
    pub steps: Vec<Step>,
    /// What the log says.
    pub log: String,
}

/// Between the steps and the log.
const RULE: &str = "---\n";

impl Dialogue {
    /// Reads a file; says which line is wrong.
    pub fn parse(text: &str) -> Result<Dialogue, String> {
        let (head, log) = text.split_once(RULE).unwrap_or((text, ""));
        let mut steps: Vec<Step> = Vec::new();
        let mut flags = Vec::new();
        let mut grammar = None;
        if !head.starts_with("# ") {
            return Err("a dialogue begins with '# ' and its claim".to_owned());
        }
        for (number, line) in head.lines().enumerate() {
            let (mark, rest) = line.split_at(line.len().min(2));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let from = if mark.starts_with('C') { Peer::Client } else { Peer::Server };
            let wrong = |what: &str| format!("line {}: {what}: {line}", number + 1);
            match mark {
                "" | "# " | "#" => {}
                "! " => flags.push(rest.to_owned()),
                "@ " => grammar = Some(rest.to_owned()),
                "C:" | "S:" => {
                    steps.push(Step::Send { from, bytes: unescape(rest, true)?, becomes: None, answer: Vec::new() })
                }
                "C|" | "S|" => {
                    steps.push(Step::Send { from, bytes: unescape(rest, false)?, becomes: None, answer: Vec::new() })
                }
                "C*" | "S*" => {
                    let (count, what) = rest.split_once(' ').ok_or_else(|| wrong("COUNT TEXT was expected"))?;
                    let count: usize = count.parse().map_err(|_| wrong("a number was expected"))?;
                    steps.push(Step::Send {
                        from,
                        bytes: unescape(what, false)?.repeat(count),
                        becomes: None,
                        answer: Vec::new(),
                    });
                }
                "C~" | "S~" => steps.push(Step::Tls { from, name: rest.to_owned() }),
                "--" => {
                    let seconds = rest.strip_suffix(" s").and_then(|seconds| seconds.parse().ok());
                    steps.push(Step::Pause(Duration::from_secs(
                        seconds.ok_or_else(|| wrong("SECONDS s was expected"))?,
                    )));
                }
                "C." | "S." => steps.push(Step::Close { from }),
                "=>" | "=|" | "=-" => {
                    let Some(Step::Send { becomes, .. }) = steps.last_mut() else {
                        return Err(wrong("nothing was sent before"));
                    };
                    let bytes = if mark == "=-" { Vec::new() } else { unescape(rest, mark == "=>")? };
                    becomes.get_or_insert_with(Vec::new).extend(bytes);
                }
                "<=" => {
                    let Some(Step::Send { answer, .. }) = steps.last_mut() else {
                        return Err(wrong("nothing was sent before"));
                    };
                    answer.extend(unescape(rest, true)?);
                }
                _ => return Err(wrong("neither C: S: C| S| C* S* C~ S~ C. S. -- => =| =- <= ! @ nor #")),
            }
        }
        let (rules, filter) = plan(&flags)?;
        Ok(Dialogue { grammar, rules: Arc::new(rules), filter, steps, log: log.to_owned() })
    }

    /// What a peer must have been sent.
    pub fn expected(&self, to: Peer) -> Vec<u8> {
        let mut expected = Vec::new();
        for step in &self.steps {
            if let Step::Send { from, bytes, becomes, answer } = step {
                let sent = if *from == to { answer } else { becomes.as_ref().unwrap_or(bytes) };
                expected.extend_from_slice(sent);
            }
        }
        expected
    }

    /// The file with another log.
    pub fn with_log(&self, text: &str, log: &str) -> String {
        let head = text.split_once(RULE).map_or(text, |(head, _)| head);
        let gap = if head.ends_with('\n') { "" } else { "\n" };
        format!("{head}{gap}{RULE}{log}")
    }
}

/// The route of every dialogue.
pub const ROUTE: &str = "imap://mail.example.org";

/// Makes rules of `! --drop-cap IDLE` and the like, and a filter, as the program itself does.
fn plan(flags: &[String]) -> Result<(Rules, Option<Filter>), String> {
    let words = ["imapscope", "proxy", ROUTE].map(str::to_owned);
    let words = words.into_iter().chain(flags.iter().flat_map(|line| split(line)));
    let words: Vec<String> = words.collect();
    match Cli::try_parse_from(&words).map_err(|error| error.to_string())?.verb {
        Verb::Proxy(proxy) => {
            let hidden = ["STARTTLS", "STLS"];
            let rules = imapscope::verb::rules_of(&proxy, &[], &hidden, proxy.rules.seed.unwrap_or(0));
            let filter = imapscope::verb::log::filter(&proxy.log);
            rules.and_then(|rules| Ok((rules, filter?))).map_err(|problem| problem.to_string())
        }
        _ => Err("the flags are those of proxy".to_owned()),
    }
}

/// Splits flags at blanks; apostrophes hold words together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Octets with escapes: `\r \n \t \0 \\ \xNN`; all else stands for itself, in UTF-8.
fn unescape(text: &str, line: bool) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, used) = match rest {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [b'0', ..] => (0, 1),
            [b'x', high, low, ..] => {
                let digits = [*high, *low];
                let number = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                (number.ok_or_else(|| format!("\\x needs two digits: {text}"))?, 3)
            }
            // A flag such as \Seen stands for itself; a backslash before an escape letter is written twice.
            [b'\\', ..] => (b'\\', 1),
            _ => (b'\\', 0),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    if line {
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(bytes)
}

/// A log in memory, with times that do not depend on where the test runs.
pub fn log(written: Written, filter: Option<&Filter>) -> Box<dyn Sink> {
    let pretty = Pretty::new(written, Look { time: TimeStyle::Delta, ..Look::default() });
    match filter {
        Some(filter) => Box::new(Filtered::new(filter.clone(), pretty)),
        None => Box::new(pretty),
    }
}

/// Memory that a log is written to, and that can be looked at.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// What was written.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("the log is UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
