//! The protocols that the user can name: those that come with the program, those of `--grammar`, and their URL schemes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::grammar::read;
use super::tell;
use crate::grammar::{BUILTIN, Grammar};
use crate::problem::Problem;
use crate::wording::{amount, nearest};

/// Schemes beside the names of the descriptions: name, description, port if it is not that of the description.
const ALIASES: [(&str, &str, Option<u16>); 2] = [("submission", "smtp", Some(587)), ("sieve", "managesieve", None)];

/// The standard ports of the schemes with TLS from the first octet: `NAMEs` for any scheme NAME.
const SECURE: [(&str, u16); 6] =
    [("imaps", 993), ("smtps", 465), ("submissions", 465), ("pop3s", 995), ("nntps", 563), ("ircs", 6697)];

/// When TLS begins on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not before the client asks for it, if the policy for that lets it.
    Asked,
    /// With the first octet (`imaps`).
    First,
    /// By imapscope's own STARTTLS: offered to clients, or done with the server before all else (`imap+starttls`).
    Own,
}

/// What stands behind a scheme for [`Tls::Own`].
const OWN: &str = "+starttls";

/// Every description that can be named.
#[derive(Debug)]
pub struct Protocols {
    grammars: Vec<Arc<Grammar>>,
}

/// What a scheme stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// As the user may write it, in small letters.
    pub name: String,
    /// The description's name.
    pub protocol: String,
    /// The standard port, if there is one.
    pub port: Option<u16>,
    /// When TLS begins.
    pub tls: Tls,
    /// The scheme without TLS: the same name where there is none.
    pub plain: String,
    /// Its standard port.
    pub plain_port: u16,
}

impl Protocols {
    /// Those that come with the program.
    #[must_use]
    pub fn builtin() -> Self {
        Protocols { grammars: BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect() }
    }

    /// Those that come with the program, and those in these files. What is wrong with a file is told in full, as
    /// `grammar check` tells it.
    ///
    /// # Errors
    /// A file that cannot be read, or whose name is taken.
    pub fn with(files: &[PathBuf]) -> Result<Self, Problem> {
        let mut protocols = Self::builtin();
        for file in files {
            protocols.add(load(file)?, &file.display().to_string())?;
        }
        Ok(protocols)
    }

    /// Adds a description, or puts it in the place of the one that it extends.
    fn add(&mut self, grammar: Grammar, origin: &str) -> Result<(), Problem> {
        let name = grammar.name.as_str();
        let problem = |what: String, help: String| Err(Problem::new(format!("--grammar {origin}"), what, help));
        let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fit) {
            let help = "write a name of small letters, digits and '-', which begins with a letter";
            return problem(format!("the name '{name}' cannot be a scheme"), help.to_owned());
        }
        let place = self.grammars.iter().position(|known| known.name == name);
        let builtin = BUILTIN.iter().any(|(known, _)| *known == name);
        let changed = place.is_some_and(|at| self.grammars[at].extends.as_deref() == Some(name));
        match place {
            Some(at) if builtin && !changed && grammar.extends.as_deref() == Some(name) => {
                self.grammars[at] = Arc::new(grammar);
                return Ok(());
            }
            Some(_) if changed || !builtin => {
                let what = format!("the name '{name}' is that of a description before it");
                return problem(what, "give each a name of its own".to_owned());
            }
            _ if place.is_some() || self.scheme(name).is_some() => {
                let change = if builtin {
                    format!(", or write `extends = \"{name}\"` to change the one that is there")
                } else {
                    String::new()
                };
                let what = format!("the name '{name}' is that of a scheme already");
                return problem(what, format!("give it another name{change}"));
            }
            _ => {}
        }
        self.grammars.push(Arc::new(grammar));
        Ok(())
    }

    /// All descriptions: first those that come with the program.
    #[must_use]
    pub fn grammars(&self) -> &[Arc<Grammar>] {
        &self.grammars
    }

    /// The description of this name, in any case.
    #[must_use]
    pub fn grammar(&self, name: &str) -> Option<&Arc<Grammar>> {
        self.grammars.iter().find(|grammar| grammar.name.eq_ignore_ascii_case(name))
    }

    /// What this scheme stands for, in any case. The scheme of TLS is that of the protocol with an `s` behind it.
    #[must_use]
    pub fn scheme(&self, name: &str) -> Option<Scheme> {
        let name = name.to_ascii_lowercase();
        if let Some(plain) = self.without_tls(&name) {
            return Some(plain);
        }
        if let Some(below) = name.strip_suffix(OWN) {
            let plain = self.without_tls(below)?;
            self.grammar(&plain.protocol)?.starttls.as_ref()?;
            return Some(Scheme { name, tls: Tls::Own, ..plain });
        }
        let plain = self.without_tls(name.strip_suffix('s')?)?;
        let port = SECURE.iter().find(|(secure, _)| *secure == name).map(|(_, port)| *port);
        Some(Scheme { name, port, tls: Tls::First, ..plain })
    }

    fn without_tls(&self, name: &str) -> Option<Scheme> {
        let alias = ALIASES.iter().find(|(alias, ..)| alias.eq_ignore_ascii_case(name));
        let grammar = self.grammar(alias.map_or(name, |(_, protocol, _)| protocol))?;
        let port = alias.and_then(|(.., port)| *port).unwrap_or(grammar.port);
        Some(Scheme {
            name: name.to_owned(),
            protocol: grammar.name.clone(),
            port: Some(port),
            tls: Tls::Asked,
            plain: name.to_owned(),
            plain_port: port,
        })
    }

    /// The protocol of a scheme such as `irc+starttls`, whose description does not say how TLS begins in it.
    #[must_use]
    pub fn not_described(&self, name: &str) -> Option<Scheme> {
        let plain = self.without_tls(name.to_ascii_lowercase().strip_suffix(OWN)?)?;
        self.grammar(&plain.protocol).filter(|grammar| grammar.starttls.is_none()).map(|_| plain.clone())
    }

    /// All schemes: a description's other names stand behind it, and behind those the ones with TLS that have a port.
    #[must_use]
    pub fn schemes(&self) -> Vec<Scheme> {
        let names = self.grammars.iter().flat_map(|grammar| {
            let others = ALIASES.iter().filter(|(_, protocol, _)| *protocol == grammar.name);
            std::iter::once(grammar.name.as_str()).chain(others.map(|(alias, ..)| *alias))
        });
        names.chain(SECURE.iter().map(|(name, _)| *name)).filter_map(|name| self.scheme(name)).collect()
    }

    /// What is said of a scheme that is not known.
    #[must_use]
    pub fn known(&self, asked: &str) -> String {
        let schemes = self.schemes();
        let names: Vec<&str> = schemes.iter().map(|scheme| scheme.name.as_str()).collect();
        let near = nearest(asked, names.iter().copied()).map(|near| format!("did you mean {near}? "));
        let listed = names.join(", ");
        format!("{}known are {listed}; --grammar FILE adds a protocol of your own", near.unwrap_or_default())
    }
}

/// A description from a file.
fn load(file: &Path) -> Result<Grammar, Problem> {
    let (origin, read) = read(file)?;
    read.map_err(|wrong| {
        for problem in &wrong {
            tell(&problem.to_string());
        }
        Problem::new(origin, amount(wrong.len() as u64, "problem"), "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Grammar {
        Grammar::load("test", text).expect("the description loads")
    }

    #[test]
    fn every_scheme_has_its_description_and_port() {
        let protocols = Protocols::builtin();
        let found: Vec<_> =
            protocols.schemes().iter().map(|s| format!("{} {} {}", s.name, s.protocol, s.port.unwrap_or(0))).collect();
        let expected = "imap imap 143,smtp smtp 25,submission smtp 587,lmtp lmtp 24,pop3 pop3 110,\
                        managesieve managesieve 4190,sieve managesieve 4190,nntp nntp 119,irc irc 6667,\
                        imaps imap 993,smtps smtp 465,submissions smtp 465,pop3s pop3 995,nntps nntp 563,ircs irc 6697";
        assert_eq!(found.join(","), expected);
        assert_eq!(protocols.scheme("SMTP").map(|s| s.name), Some("smtp".to_owned()));
        for (name, plain, port) in [("IMAPS", "imap", Some(993)), ("sieves", "sieve", None), ("lmtps", "lmtp", None)] {
            let scheme = protocols.scheme(name).expect(name);
            assert_eq!((scheme.plain.as_str(), scheme.port, scheme.tls), (plain, port, Tls::First), "{name}");
        }
        for (name, plain, port) in [("IMAP+starttls", "imap", 143), ("submission+starttls", "submission", 587)] {
            let scheme = protocols.scheme(name).expect(name);
            assert_eq!((scheme.plain.as_str(), scheme.port, scheme.tls), (plain, Some(port), Tls::Own), "{name}");
        }
        assert_eq!(protocols.not_described("irc+starttls").map(|s| s.name), Some("irc".to_owned()));
        assert_eq!(protocols.not_described("imap+starttls"), None);
        for name in ["gophers", "imapss", "s", "", "imaps+starttls", "irc+starttls", "+starttls", "imap+starttlss"] {
            assert_eq!(protocols.scheme(name), None, "{name}");
        }
    }

    #[test]
    fn a_description_may_take_the_place_of_what_it_extends_only() {
        let mut protocols = Protocols::builtin();
        let own = "name = \"ftp\"\ntitle = \"FTP\"\nport = 21\n";
        protocols.add(described(own), "a").expect("a new name");
        assert_eq!(protocols.scheme("ftp").and_then(|s| s.port), Some(21));
        protocols.add(described("extends = \"imap\"\n"), "b").expect("it extends imap");
        assert_eq!(protocols.grammars().len(), BUILTIN.len() + 1);
        assert!(protocols.grammar("imap").is_some_and(|imap| imap.extends.is_some()));
        let lmtp = described("extends = \"lmtp\"\n");
        assert!(lmtp.command("MAIL").is_some() && lmtp.form == crate::event::Form::Codes, "SMTP lies under it too");
        for name in ["ftp", "imap", "smtp", "sieve", "submission", "imaps", "Mine", "my mail", "a+b", "1a"] {
            let text = own.replace("ftp", name);
            let problem = protocols.add(described(&text), "c").expect_err(name);
            assert!(problem.what.contains(name) && problem.help.contains("name"), "{problem}");
        }
        let twice = protocols.add(described("extends = \"imap\"\n"), "d").expect_err("twice");
        assert!(twice.what.contains("before it"), "{twice}");
    }
}
