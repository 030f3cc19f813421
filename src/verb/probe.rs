//! `imapscope probe`: asks a server by ourselves what it offers, before TLS, under TLS and after login, and prints it with
//! what it means and what changed. A password goes nowhere but to a server that is verified, under TLS, unless the user insists.

pub mod blot;
pub mod dialect;
pub mod password;
pub mod talk;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::protocols::{Protocols, Scheme, Tls};
use super::route::server_at;
use super::scope::tell;
use super::{log, secure, written};
use crate::cli::{self, Begin, Format};
use crate::event::{Probed, Stage};
use crate::grammar::Grammar;
use crate::net::tls::Trust;
use crate::net::{Call, Endpoint};
use crate::problem::Problem;
use crate::sink::{probed, safe};
use dialect::Dialect;
use talk::{Outcome, Talk};

/// Everything that was decided before a socket opens.
struct Plan {
    server: Endpoint,
    scheme: Scheme,
    grammar: Arc<Grammar>,
    dialect: Dialect,
    begin: Begin,
    /// Whom to believe, or why nobody can be.
    trust: Result<Trust, Problem>,
    insecure: bool,
    limit: Duration,
    /// Who logs in, and the password.
    login: Option<(String, Vec<u8>)>,
}

/// Asks, and prints what was found, whatever became of it.
///
/// # Errors
/// Everything in the flags that cannot be meant; nothing was opened then.
pub fn run(flags: &cli::Probe, out: &mut dyn Write) -> Result<u8, Problem> {
    let plan = Plan::read(flags)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("imapscope", format!("the system gave no threads: {error}"), "allow more processes or memory")
    })?;
    let scheme = &plan.scheme;
    let server = format!("{}://{}", scheme.name, plan.server);
    let mut found = Probed { server, protocol: plan.grammar.name.clone(), ..Probed::default() };
    found.failed = runtime.block_on(probe(&plan, &mut found)).err();
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    let code = written(match flags.format {
        Format::Json => out.write_all(probed::json::object(&found).as_bytes()).and_then(|()| out.flush()),
        // Without anything to tell, the sentence below is all.
        Format::Text if found.greeting.is_none() && found.stages.is_empty() => Ok(()),
        Format::Text => probed::write(&found, log::look(flags.color, true), out),
    });
    Ok(match &found.failed {
        Some(why) => {
            tell(&format!("error: {}: {}", found.server, safe(why)));
            1
        }
        None => code,
    })
}

impl Plan {
    /// From the flags.
    fn read(flags: &cli::Probe) -> Result<Self, Problem> {
        let origin = format!("'{}'", flags.url);
        let protocols = Protocols::with(&flags.grammar)?;
        if let Some((user, _)) = flags.url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')) {
            let user = user.split(':').next().unwrap_or_default();
            // A password may stand there, too.
            return Err(Problem::new("URL", "a user name does not belong there", format!("write --user {user}")));
        }
        let read = server_at(&flags.url, &protocols);
        let (scheme, host, port) = read.map_err(|(what, help)| Problem::new(&origin, what, help))?;
        let grammar = protocols.grammar(&scheme.protocol).expect("a scheme is that of a description").clone();
        let dialect = Dialect::of(&grammar).ok_or_else(|| {
            let help = "imap, smtp, submission, lmtp, pop3, sieve and nntp can be asked";
            Problem::new(&origin, format!("a probe does not know what to say in {}", grammar.name), help)
        })?;
        let begin = match (scheme.tls, flags.starttls) {
            (Tls::Own, Begin::Never) => {
                let help = format!("leave one of them out: {}:// has no TLS", scheme.plain);
                return Err(Problem::new("--starttls never", format!("{} is STARTTLS", scheme.name), help));
            }
            (Tls::Own, _) => Begin::Required,
            (_, begin) => begin,
        };
        let plain = scheme.tls == Tls::Asked && begin == Begin::Never;
        if flags.user.is_some() && !dialect.logs_in() {
            let what = format!("a probe does not know how to log in with {}", grammar.name);
            return Err(Problem::new("--user", what, "leave it out"));
        }
        if flags.user.as_ref().is_some_and(|user| user.is_empty() || user.contains(['\r', '\n', '\0'])) {
            return Err(Problem::new("--user", "this is no user name", "write a name without line breaks"));
        }
        if flags.user.is_some() && plain && !flags.insecure {
            let help = "leave --starttls never out, or add --insecure if everybody on the way may read it";
            return Err(Problem::new("--user", "without TLS, the password would cross the network unprotected", help));
        }
        let trust = match &flags.server_ca {
            // A mistake in the flags is a mistake, whether it matters or not.
            Some(file) => Ok(Trust::file(file, flags.insecure)?),
            None => Trust::system(flags.insecure),
        };
        if !plain {
            secure::key_log()?;
        }
        let server = Endpoint::new(host, port);
        let login = match &flags.user {
            Some(user) => Some((user.clone(), password::obtain(user, &server.to_string())?)),
            None => None,
        };
        let trust = if scheme.tls == Tls::First { Ok(trust?) } else { trust };
        let limit = flags.connect_timeout;
        Ok(Plan { server, scheme, grammar, dialect, begin, trust, insecure: flags.insecure, limit, login })
    }

    fn trust(&self) -> Outcome<&Trust> {
        self.trust.as_ref().map_err(ToString::to_string)
    }

    /// What STARTTLS is called in the lists.
    fn starttls(&self) -> Option<&str> {
        self.grammar.starttls.as_ref()?.capability.as_deref()
    }
}

/// Asks at every stage that can be reached. What was found stays, whatever comes of it.
async fn probe(plan: &Plan, found: &mut Probed) -> Outcome<()> {
    let call = Call::dial(plan.server.clone(), &plan.scheme.plain, plan.limit).await?;
    let first = plan.scheme.tls == Tls::First;
    let mut talk = Talk::new(call, plan.grammar.clone(), plan.dialect, first, plan.limit);
    let done = stages(plan, &mut talk, found).await;
    if done.is_ok() {
        talk.leave().await;
    }
    talk.tell(found);
    done
}

async fn stages(plan: &Plan, talk: &mut Talk, found: &mut Probed) -> Outcome<()> {
    let tls = match plan.scheme.tls {
        Tls::First => Some(talk.secure(plan.trust()?, false).await?),
        Tls::Asked | Tls::Own => None,
    };
    let mut secured = tls.is_some();
    // What the handshake has told is worth telling even if nothing is said inside.
    if tls.is_some() {
        found.stages.push(Stage { tls, ..Stage::default() });
    }
    let (greeting, known) = talk.greeted().await?;
    found.greeting = Some(greeting);
    if found.stages.is_empty() {
        found.stages.push(Stage::default());
    }
    list(talk, found).await?;
    if !secured && !known {
        secured = begin(plan, talk, found).await?;
    }
    if known && !secured && plan.begin == Begin::Required {
        return Err("the server greets with PREAUTH, after which TLS cannot begin (RFC 9051 section 6.2.1)".to_owned());
    }
    if known {
        found.remarks.push("the server greets us as somebody who has logged in already (PREAUTH)".to_owned());
    } else if let Some((user, password)) = &plan.login {
        log_in(plan, talk, found, (user, password), secured).await?;
    } else if plan.dialect.logs_in() {
        found.remarks.push("--user NAME logs in, and shows what is offered then".to_owned());
    }
    if plan.dialect.is_imap() && offers(found, "ID") {
        found.id = talk.id().await?;
    }
    Ok(())
}

/// Asks for the list of the last stage.
async fn list(talk: &mut Talk, found: &mut Probed) -> Outcome<()> {
    let talk::Listed { offers, more, unasked } = talk.offers().await?;
    if unasked {
        let remark = "the question for capabilities was answered without a list: the one shown came unasked".to_owned();
        if !found.remarks.contains(&remark) {
            found.remarks.push(remark);
        }
    }
    if let Some(stage) = found.stages.last_mut() {
        (stage.offers, stage.more) = (offers, more);
    }
    Ok(())
}

/// Begins TLS if that is wanted and can be. Returns whether it was.
async fn begin(plan: &Plan, talk: &mut Talk, found: &mut Probed) -> Outcome<bool> {
    let offered = plan.starttls().is_some_and(|name| offers(found, name));
    match plan.begin {
        Begin::Never => return Ok(false),
        Begin::IfOffered if !offered => {
            found.remarks.push("the server does not offer STARTTLS".to_owned());
            return Ok(false);
        }
        Begin::Required if !offered => return Err("the server does not offer STARTTLS, which is required".to_owned()),
        Begin::IfOffered | Begin::Required => {}
    }
    let tls = talk.begin_tls(plan.trust()?).await?;
    found.stages.push(Stage { tls: Some(tls), ..Stage::default() });
    list(talk, found).await?;
    Ok(true)
}

/// Logs in, unless others could read it.
async fn log_in(
    plan: &Plan,
    talk: &mut Talk,
    found: &mut Probed,
    (user, password): (&str, &[u8]),
    secured: bool,
) -> Outcome<()> {
    if !secured && !plan.insecure {
        return Err("the server has no TLS, so the password was not sent: everybody on the way could read it; \
                    --insecure sends it all the same"
            .to_owned());
    }
    let known = |name: &str| offers(found, name);
    let Some(login) = plan.dialect.login(&known, user, password) else {
        return Err(
            "the server offers no way to log in that a probe knows: PLAIN, or an older one of the protocol".to_owned()
        );
    };
    talk.log_in(&login, password).await?;
    found.stages.push(Stage { login: Some((user.to_owned(), login.name)), ..Stage::default() });
    list(talk, found).await
}

/// True if the last list has this name.
fn offers(found: &Probed, name: &str) -> bool {
    let last = found.stages.last();
    last.is_some_and(|stage| stage.offers.iter().any(|offer| offer.name.eq_ignore_ascii_case(name)))
}
