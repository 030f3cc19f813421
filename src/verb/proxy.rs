//! `imapscope proxy`: reads the user's flags into a plan, and runs it until Ctrl-C, or to the end of a command.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::child::{Child, LINGER, environment};
use super::ending::{Hangups, interrupted, tending};
use super::gate::Gatekeeper;
use super::input::Pipes;
use super::protocols::{Protocols, Tls};
use super::route::Route;
use super::scope::{self, Plan, RuleSets, Shared, tell};
use super::secure::Secure;
use super::{log, rules_from, unknown_capabilities, unknown_commands, unknown_protocols, unknown_routes};
use crate::cli;
use crate::event::RouteName;
use crate::grammar::Grammar;
use crate::net::{self, Endpoint, Limits};
use crate::problem::Problem;
use crate::rules::filter::Filter;
use crate::rules::{Rules, Source};

/// Relays until the user interrupts it, or the command behind `--` has ended.
///
/// # Errors
/// Everything in the flags that cannot be meant; nothing was opened then.
pub fn run(flags: &cli::Proxy) -> Result<u8, Problem> {
    let protocols = Protocols::with(&flags.grammar)?;
    let routes = flags.routes.iter().map(|text| Route::read(text, &protocols)).collect::<Result<Vec<_>, _>>()?;
    apart(&routes, &flags.routes)?;
    let seed = flags.rules.seed.unwrap_or_else(super::seed);
    let sets = rule_sets(flags, &routes, &protocols, seed, Pipes::Wait)?;
    let rules = sets.rules.clone();
    let tell_seed = |rules: &Rules| {
        if rules.has_chances() && flags.rules.seed.is_none() {
            tell(&format!("the chances of rules have the seed {seed}; --seed {seed} gives the same ones again"));
        }
    };
    tell_seed(&rules);
    let filter = log::filter(&flags.log)?;
    let gatekeeper = Gatekeeper::read(&flags.gate)?;
    let used = |grammar: &&Arc<Grammar>| routes.iter().any(|route| route.protocol == grammar.name);
    let grammars: Vec<_> = protocols.grammars().iter().filter(used).cloned().collect();
    warn(&rules, &grammars, &protocols, filter.as_ref(), routes.len());
    let child = Child::read(&flags.command, log::is_on_standard_output(&flags.log))?;
    let defaults = Limits::default();
    let limits = Limits {
        max_connections: flags.max_connections.map_or(defaults.max_connections, |count| count as usize),
        idle_timeout: flags.idle_timeout,
        connect_timeout: flags.connect_timeout,
        // What is judged is judged whole.
        patience: if gatekeeper.is_some() { scope::RECORDING } else { defaults.patience },
        linger: if child.is_some() { LINGER } else { defaults.linger },
        ..defaults
    };
    let secure = Secure::read(&flags.tls, &routes)?;
    let written = routes.iter().zip(&flags.routes).zip(1..);
    let bound = written.map(|((route, written), number)| bind(route.clone(), number, written, &secure)).collect();
    let mut sinks = log::open(&flags.log, filter.as_ref(), &log::head(&flags.routes, &grammars, &flags.log), None)?;
    if let Some(gatekeeper) = &gatekeeper {
        sinks.add("findings", gatekeeper.sink());
    }
    let shared = Shared::new(sets);
    let plan = Plan {
        routes: bound,
        limits,
        grammars: grammars.clone(),
        rules: shared.clone(),
        sinks,
        show_secrets: flags.log.show_secrets,
    };
    // What came through a pipe is gone.
    let pipe = flags.rules.rules.iter().find(|file| file.metadata().is_ok_and(|it| !it.is_file())).cloned();
    let again = || {
        if let Some(file) = &pipe {
            let what = "this is no plain file, and cannot be read again";
            return tell(&format!("error: --rules {}: {what}\n  the old rules stay", file.display()));
        }
        // Whoever waits here does not hear signals.
        match rule_sets(flags, &routes, &protocols, seed, Pipes::Refuse) {
            Ok(sets) => {
                let rules = sets.rules.clone();
                shared.replace(sets);
                tell("the rules were read again; new connections have them");
                tell_seed(&rules);
                warn(&rules, &grammars, &protocols, None, routes.len());
            }
            Err(problem) => tell(&format!("error: {problem}\n  the old rules stay")),
        }
    };
    let files = !flags.rules.rules.is_empty() || flags.rules.caps_like.is_some();
    let hangups = if files { Hangups::Other } else { Hangups::End };
    let until = |addresses: Vec<SocketAddr>| {
        let end: Pin<Box<dyn Future<Output = u8>>> = match child {
            None => Box::pin(interrupted(hangups)),
            Some(child) => {
                let schemes = routes.iter().map(|route| route.listens.as_str());
                Box::pin(child.run(environment(schemes.zip(addresses)), hangups))
            }
        };
        tending(files.then_some(again), end)
    };
    match scope::run(plan, until) {
        Ok(code) => Ok(gatekeeper.map_or(code, |gatekeeper| gatekeeper.judge(code))),
        // The flags were fine: that the port is taken is no mistake in writing.
        Err(problem) => {
            tell(&format!("error: {problem}"));
            Ok(1)
        }
    }
}

/// Tells what of the rules and of the filter can hardly be meant.
fn warn(rules: &Rules, grammars: &[Arc<Grammar>], protocols: &Protocols, filter: Option<&Filter>, routes: usize) {
    let unknown = unknown_capabilities(rules, grammars);
    let commands = rules.commands().chain(filter.into_iter().flat_map(Filter::commands));
    let commands = unknown_commands(commands, grammars);
    let named = rules.protocols().chain(filter.into_iter().flat_map(Filter::protocols));
    let named = unknown_protocols(named, protocols);
    let numbered = unknown_routes(rules.routes().chain(filter.into_iter().flat_map(Filter::routes)), routes);
    let added = super::added_capabilities(rules);
    for warning in unknown.into_iter().chain(added).chain(commands).chain(named).chain(numbered) {
        tell(&format!("warning: {warning}"));
    }
}

/// The rules of all routes.
fn rule_sets(
    flags: &cli::Proxy,
    routes: &[Route],
    protocols: &Protocols,
    seed: u64,
    pipes: Pipes,
) -> Result<RuleSets, Problem> {
    let rules = Arc::new(rules_from(flags, &[], &offered(routes, protocols), seed, pipes)?);
    Ok(RuleSets { rules, offering: offering(flags, routes, protocols, seed, pipes)? })
}

/// What STARTTLS is called in the lists of these routes, but for those that have one of their own.
fn offered<'a>(routes: &[Route], protocols: &'a Protocols) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for route in routes.iter().filter(|route| route.tls[0] != Tls::Own) {
        let name = starttls(route, protocols);
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// What STARTTLS is called in the lists of this route's protocol, if there are lists.
fn starttls<'a>(route: &Route, protocols: &'a Protocols) -> Option<&'a str> {
    protocols.grammar(&route.protocol)?.starttls.as_ref()?.capability.as_deref()
}

/// The rules of routes that offer clients TLS by themselves, by protocol: what it is called is in every list until TLS has
/// begun, and in none behind that.
fn offering(
    flags: &cli::Proxy,
    routes: &[Route],
    protocols: &Protocols,
    seed: u64,
    pipes: Pipes,
) -> Result<Vec<(String, Arc<Rules>)>, Problem> {
    let mut found: Vec<(String, Arc<Rules>)> = Vec::new();
    for route in routes.iter().filter(|route| route.tls[0] == Tls::Own) {
        if found.iter().all(|(protocol, _)| *protocol != route.protocol) {
            let first = starttls(route, protocols).map(|name| Source::offering(&route.listens, name));
            let first = first.as_ref().map_or(&[][..], |first| &first[..]);
            // Of a dry run, these two are left.
            let dry = flags.rules.dry_run;
            let rules = if dry { super::compile(first, pipes)? } else { rules_from(flags, first, &[], seed, pipes)? };
            found.push((route.protocol.clone(), Arc::new(rules)));
        }
    }
    Ok(found)
}

/// Refuses two routes that want the same port, before one takes it from the other. `written` is how the user wrote them.
fn apart(routes: &[Route], written: &[String]) -> Result<(), Problem> {
    for (nth, route) in routes.iter().enumerate() {
        if route.listen.port() != 0
            && let Some(first) = routes[..nth].iter().position(|other| other.listen == route.listen)
        {
            let what = format!("route '{}' listens on {} already", written[first], route.listen);
            let help =
                format!("give each its own port, such as :{}={}", route.listen.port().wrapping_add(1), route.server());
            return Err(Problem::new(format!("route '{}'", written[nth]), what, help));
        }
    }
    Ok(())
}

/// A route for the relay, with its place on the command line, and as it was written there.
pub(super) fn bind(route: Route, number: u32, written: &str, secure: &Secure) -> net::Route {
    let [client, server] = route.tls;
    let has = |leg| leg != Tls::Asked;
    net::Route {
        name: Arc::new(RouteName { number, written: written.to_owned() }),
        // A leg that is to have TLS and silently has none must be impossible.
        identity: has(client).then(|| secure.identity.clone().expect("who we are was read for this route")),
        trust: has(server).then(|| secure.trust.clone().expect("whom to believe was read for this route")),
        own: [client == Tls::Own, server == Tls::Own],
        listens: route.listens,
        plain: route.plain,
        listen: Endpoint::new(route.listen.ip().to_string(), route.listen.port()),
        server: Endpoint::new(route.host, route.port),
        protocol: route.protocol,
        scheme: route.scheme,
        means: secure.means.clone().filter(|_| route.tls == [Tls::Asked; 2]),
    }
}
