//! The running parts: the relay in the runtime's threads, and beside it one thread in which everything is explained
//! and shown. Octets never wait for what is made of them, but for a bounded time when the log cannot keep up.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::desk::{Desk, named};
use crate::grammar::Grammar;
use crate::net::queue::{self, Receiver};
use crate::net::{Limits, Relay, Route};
use crate::problem::Problem;
use crate::rules::Rules;
use crate::session::Session;
use crate::sink::{Sink, Sinks};

/// Events may take so many octets between the relay and the log before the relay waits.
const QUEUE: usize = 8 * 1024 * 1024;

/// So long a connection waits for an output that is to keep everything, such as a recording on a slow disk.
pub(super) const RECORDING: Duration = Duration::from_secs(60);

/// The rules of all routes.
#[derive(Debug, Clone, Default)]
pub struct RuleSets {
    /// On routes that offer clients no TLS of our own.
    pub rules: Arc<Rules>,
    /// On those that do, by protocol.
    pub offering: Vec<(String, Arc<Rules>)>,
}

/// Rules that may be replaced while connections run: each keeps those that it began with.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<RwLock<RuleSets>>);

impl Shared {
    /// These rules.
    #[must_use]
    pub fn new(sets: RuleSets) -> Self {
        Shared(Arc::new(RwLock::new(sets)))
    }

    /// From now on, new connections have these rules.
    pub fn replace(&self, sets: RuleSets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sets;
    }

    /// The rules of a route.
    fn of(&self, route: &Route) -> Arc<Rules> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = sets.offering.iter().find(|(protocol, _)| route.own[0] && *protocol == route.protocol);
        own.map_or(&sets.rules, |(_, rules)| rules).clone()
    }
}

/// Everything that was decided before the first socket is opened.
pub struct Plan {
    /// What to relay.
    pub routes: Vec<Route>,
    /// What limits it.
    pub limits: Limits,
    /// The protocols of the routes.
    pub grammars: Vec<Arc<Grammar>>,
    /// What to rewrite.
    pub rules: Shared,
    /// Where the log goes.
    pub sinks: Sinks,
    /// Whether passwords are shown.
    pub show_secrets: bool,
}

/// Runs a plan until `until` is done; it is given the addresses in use. Returns the exit code.
///
/// # Errors
/// A route that cannot be listened on.
pub fn run<U, F>(plan: Plan, until: U) -> Result<u8, Problem>
where
    U: FnOnce(Vec<SocketAddr>) -> F,
    F: Future<Output = u8>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("imapscope", format!("the system gave no threads: {error}"), "allow more processes or memory")
    })?;
    let code = runtime.block_on(serve(plan, until))?;
    // What still runs there has reported its end; a name that is being looked up is not waited for.
    runtime.shutdown_background();
    Ok(code)
}

async fn serve<U, F>(plan: Plan, until: U) -> Result<u8, Problem>
where
    U: FnOnce(Vec<SocketAddr>) -> F,
    F: Future<Output = u8>,
{
    let Plan { routes, mut limits, grammars, rules, sinks, show_secrets } = plan;
    let octets = sinks.wants_octets();
    if octets {
        limits.patience = RECORDING;
    }
    let relay = Relay::bind(routes, limits).await?;
    // What ends us is waited for before anybody hears that we listen.
    let until = until(relay.routes().iter().map(|bound| bound.address).collect());
    for bound in relay.routes() {
        let (Route { listens, scheme, server, .. }, address) = (&bound.route, bound.address);
        tell(&format!("listening on {listens}://{address} -> {scheme}://{server}"));
        if !address.ip().is_loopback() {
            tell(&format!("  {address} is not loopback: whoever reaches it can use this route and is seen in the log"));
        }
    }
    let (sender, receiver) = queue::channel(QUEUE);
    let consumer = thread::Builder::new().name("log".to_owned()).spawn({
        let desk = Desk::new(grammars.clone(), sinks, show_secrets);
        move || consume(receiver, desk)
    });
    let consumer = consumer.map_err(|error| {
        Problem::new("imapscope", format!("the system gave no thread: {error}"), "allow more processes or memory")
    })?;
    let (stop, stopped) = watch::channel(false);
    let make = move |route: &Route, number| {
        let grammar = named(&grammars, &route.protocol).expect("the plan has the grammars of its routes");
        Session::new(number, grammar, rules.of(route)).reporting_octets(octets)
    };
    let serving = tokio::spawn(relay.serve(make, sender, stopped, tell));
    let code = until.await;
    // Nobody listens only if serving has failed, which the join below reports.
    let _ = stop.send(true);
    let served = serving.await;
    let logged = tokio::task::spawn_blocking(move || consumer.join()).await;
    let fine = served.is_ok() && matches!(logged, Ok(Ok(true)));
    Ok(if fine { code } else { code.max(1) })
}

/// Explains and shows what comes, until nothing more can come. Returns false if an output failed.
fn consume(mut events: Receiver, mut desk: Desk) -> bool {
    let mut next = events.recv();
    while let Some(mut batch) = next {
        desk.explain(&mut batch);
        events.recycle(batch);
        next = match events.try_recv() {
            Some(batch) => Some(batch),
            None => {
                desk.flush();
                events.recv()
            }
        };
    }
    desk.end()
}

/// Says something on standard error that concerns no connection. If nobody reads it, nothing is lost.
pub fn tell(sentence: &str) {
    let _ = writeln!(io::stderr().lock(), "{sentence}");
}
