//! Sockets: listening, connecting, TLS, one task a connection, four guarded arms each.
//!
//! Knows events and sessions. It is handed a factory of sessions and a sender of batches; what the octets mean,
//! and what becomes of the events, it must not know.

mod between;
mod call;
mod clock;
mod dial;
mod lane;
mod leg;
mod pump;
pub mod queue;
mod report;
mod socket;
pub mod tls;
mod trouble;
mod upgrade;
mod weight;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

pub use between::between;
pub use call::Call;
pub use clock::Clock;
use dial::{dial, plain};
use leg::Leg;
use pump::Pump;
use queue::Sender;
use report::Report;
use socket::Socket;
pub use socket::Stream;
use tls::handshake::{self, Outcome};
use tls::{Identity, Means, Terms, Trust};
use upgrade::Upgrade;

use crate::event::{Batch, Closed, Closer, Event, Opened, Peer, RouteName, What};
use crate::problem::Problem;
use crate::session::silence::Thresholds;
use crate::session::{Outbox, Session};
use crate::wording::amount;

/// How long connections may take to end once all is to stop; then they are cut off.
const GRACE: Duration = Duration::from_secs(2);

/// Where connections may go on for a while, and there are none, one that is on its way may come so late.
const CALM: Duration = Duration::from_millis(20);

/// How long accepting rests after an error (too many open files, most often).
const REST: Duration = Duration::from_millis(200);

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The port; 0 lets the system choose one (to listen).
    pub port: u16,
}

impl Endpoint {
    /// A host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Endpoint { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where to listen, and where what comes there goes. The two legs have TLS or not, each for itself.
#[derive(Debug, Clone)]
pub struct Route {
    /// What it is called where a connection is to be told from others.
    pub name: Arc<RouteName>,
    /// Where clients connect.
    pub listen: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// The grammar's name: `imap`.
    pub protocol: String,
    /// What stands before `://` where the route is shown: `imap`, or another name of the protocol (`submission`).
    pub scheme: String,
    /// The same for the client leg.
    pub listens: String,
    /// The scheme of the same protocol without TLS, where something is to be suggested.
    pub plain: String,
    /// Clients speak TLS, and this is who we are to them.
    pub identity: Option<Arc<Identity>>,
    /// The server speaks TLS, and this is whom we believe.
    pub trust: Option<Arc<Trust>>,
    /// Which of these legs begin in plain text and have a STARTTLS of our own, `[client, server]`: it is offered to
    /// clients, and done with the server before anything is relayed. The others have TLS from the first octet.
    pub own: [bool; 2],
    /// With this a STARTTLS of the client's is followed on both legs, if neither has TLS; else what comes behind it is
    /// relayed as it is.
    pub means: Option<Arc<Means>>,
}

/// A route with the address that it got.
#[derive(Debug)]
pub struct Bound {
    /// As it was asked for.
    pub route: Route,
    /// The address and port in use.
    pub address: SocketAddr,
    listener: TcpListener,
}

/// What one process and one connection may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time; one more is closed at once.
    pub max_connections: usize,
    /// A connection on which nothing moves for so long is closed; `None` for never.
    pub idle_timeout: Option<Duration>,
    /// How long to wait for DNS, for each address of a server, and for each handshake of TLS.
    pub connect_timeout: Duration,
    /// How long a connection waits for a log that cannot keep up, before it goes on without it.
    pub patience: Duration,
    /// After how long a silence is told in which somebody owes something.
    pub waits: &'static Thresholds,
    /// How long connections may go on once all is to stop, before they are ended.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            idle_timeout: None,
            connect_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(1),
            waits: &Thresholds::USUAL,
            linger: Duration::ZERO,
        }
    }
}

/// All routes, bound and not yet served.
#[derive(Debug)]
pub struct Relay {
    routes: Vec<Bound>,
    limits: Limits,
}

/// What every connection needs.
struct Plan<F> {
    make: F,
    limits: Limits,
    clock: Clock,
    events: Sender,
    stop: watch::Receiver<bool>,
    own: Vec<SocketAddr>,
}

impl Relay {
    /// Binds all routes; none is served before all are bound.
    pub async fn bind(routes: Vec<Route>, limits: Limits) -> Result<Relay, Problem> {
        let mut bound = Vec::with_capacity(routes.len());
        for route in routes {
            let listener = listen(&route.listen).await.map_err(|e| cannot_listen(&route.listen, &e))?;
            let address = listener.local_addr().map_err(|e| cannot_listen(&route.listen, &e))?;
            bound.push(Bound { route, address, listener });
        }
        Ok(Relay { routes: bound, limits })
    }

    /// The routes with their addresses, in the order in which they were given.
    #[must_use]
    pub fn routes(&self) -> &[Bound] {
        &self.routes
    }

    /// Serves all routes until `stop` becomes true and all connections have ended: those that are left when
    /// [`Limits::linger`] is over are ended then, within two seconds.
    /// `make` makes the session of a connection from its route and number; `notice` is told, in a sentence, what
    /// concerns no connection.
    pub async fn serve<F, N>(self, make: F, events: Sender, stop: watch::Receiver<bool>, notice: N)
    where
        F: Fn(&Route, u64) -> Session + Send + Sync + 'static,
        N: Fn(&str),
    {
        let (routes, listeners): (Vec<_>, Vec<_>) =
            self.routes.into_iter().map(|bound| (Arc::new(bound.route), bound.listener)).unzip();
        let own = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let (end, ended) = watch::channel(false);
        let plan = Plan { make, limits: self.limits, clock: Clock::start(), events, stop: ended, own };
        let plan = Arc::new(plan);
        let (mut stop, mut leave) = (stop, None);
        let mut tasks = JoinSet::new();
        let (mut number, mut turn, mut resume) = (0, 0, None);
        loop {
            // Connections over the limit are tasks too until their end is reported: so twice as many at the most.
            let may = resume.is_none() && tasks.len() < plan.limits.max_connections.saturating_mul(2).max(1);
            let (last, calm) = (leave.unwrap_or_else(Instant::now), Instant::now() + CALM);
            tokio::select! {
                () = stopped(&mut stop), if leave.is_none() => leave = Some(Instant::now() + plan.limits.linger),
                () = sleep_until(last), if leave.is_some() => break,
                () = sleep_until(calm), if leave.is_some() && tasks.is_empty() => break,
                Some(done) = tasks.join_next() => inspect(done, &notice),
                () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => resume = None,
                (index, accepted) = accept(&listeners, &mut turn), if may => match accepted {
                    Ok((socket, client)) => {
                        number += 1;
                        let over = tasks.len() >= plan.limits.max_connections;
                        tasks.spawn(connection(plan.clone(), routes[index].clone(), socket, client, number, over));
                    }
                    Err(e) if passing(&e) => {}
                    Err(e) => {
                        notice(&format!("cannot accept connections for the moment: {}; trying again", plain(&e)));
                        resume = Some(Instant::now() + REST);
                    }
                },
            }
        }
        drop(listeners);
        // The plan holds a receiver, so that somebody is told.
        let _ = end.send(true);
        let all = async {
            while let Some(done) = tasks.join_next().await {
                inspect(done, &notice);
            }
        };
        if timeout(GRACE, all).await.is_err() {
            tasks.shutdown().await;
        }
    }
}

/// Returns when `stop` is true; never if its sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn listen(endpoint: &Endpoint) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((endpoint.host.as_str(), endpoint.port)).await? {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn cannot_listen(endpoint: &Endpoint, error: &io::Error) -> Problem {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: choose another, or 0 for any free one",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose a higher one",
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: use one of its own, such as 127.0.0.1"
        }
        _ => "the address to listen on must be one of this machine",
    };
    Problem::new(format!("cannot listen on {endpoint}"), plain(error), help)
}

/// The next connection of any listener; each gets its turn.
async fn accept(listeners: &[TcpListener], turn: &mut usize) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|cx| {
        for step in 0..listeners.len() {
            let index = (*turn + step) % listeners.len();
            if let Poll::Ready(accepted) = listeners[index].poll_accept(cx) {
                *turn = index + 1;
                return Poll::Ready((index, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

/// Errors of `accept` that concern only the connection that was about to be.
fn passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn inspect(done: Result<(), tokio::task::JoinError>, notice: &impl Fn(&str)) {
    if done.is_err_and(|e| e.is_panic()) {
        notice(
            "a connection was lost to an error in imapscope itself; please report it, with what was sent before if you can",
        );
    }
}

/// The task of one connection.
async fn connection<F>(
    plan: Arc<Plan<F>>,
    route: Arc<Route>,
    socket: TcpStream,
    client: SocketAddr,
    number: u64,
    over: bool,
) where
    F: Fn(&Route, u64) -> Session,
{
    let mut report = Report::new(plan.events.clone(), number, plan.clock, plan.limits.patience);
    // Boxed, and so is what it takes to connect: what is held while something is awaited takes room in this task.
    let session = Box::new(session(&plan, &route, client, number));
    report_opening(&route, &session, client.to_string(), &mut report);
    let mut stop = plan.stop.clone();
    let opening = Box::pin(open(&plan, &route, socket, over, &mut report, &mut stop)).await;
    match opening {
        Ok(legs) => {
            let upgrade = upgrade(&route, plan.limits.connect_timeout);
            let pump = Pump::new(legs, unboxed(session), report, plan.limits.idle_timeout, upgrade);
            let pump = Box::new(pump.telling(plan.limits.waits));
            pump.run(&mut stop).await;
        }
        Err((by, why)) => Box::pin(unopened(unboxed(session), report, by, why, &mut stop)).await,
    }
}

/// Reports who speaks to whom, and what rules may change.
fn report_opening(route: &Route, session: &Session, client: String, report: &mut Report) {
    let opened = Opened {
        middle: None,
        protocol: route.protocol.clone(),
        form: session.form(),
        client,
        server: format!("{}://{}", route.scheme, route.server),
        route: Arc::clone(&route.name),
        edit: session.edits(),
        rules: session.rules(),
    };
    let events = vec![Event { from: Peer::Client, what: What::Opened(Box::new(opened)) }];
    report.put(&mut Batch { events, ..Batch::default() }, Instant::now());
}

/// What it takes to begin TLS in the middle, if that may come; each handshake may take `limit`.
fn upgrade(route: &Arc<Route>, limit: Duration) -> Option<Upgrade> {
    let may = follows(route) || route.own != [false; 2];
    may.then(|| Upgrade { route: Arc::clone(route), limit })
}

/// The session without its box. The box ends here: one that is moved out of lasts as long as its variable, which is as long
/// as the connection.
fn unboxed(session: Box<Session>) -> Session {
    *session
}

/// True if a STARTTLS of the client's is followed.
fn follows(route: &Route) -> bool {
    route.means.is_some() && route.identity.is_none() && route.trust.is_none()
}

/// The session of a connection, which is told what its route does about TLS.
fn session<F>(plan: &Plan<F>, route: &Route, client: SocketAddr, number: u64) -> Session
where
    F: Fn(&Route, u64) -> Session,
{
    let session = (plan.make)(route, number).with_client(&client.ip().to_string(), Arc::clone(&route.name));
    on_route(session, route)
}

/// The session, told what this route does about TLS.
fn on_route(mut session: Session, route: &Route) -> Session {
    session = session.under_tls([route.identity.is_some() && !route.own[0], route.trust.is_some() && !route.own[1]]);
    if follows(route) {
        session = session.following_tls();
    }
    if route.own[Peer::Client.index()] {
        session = session.offering_tls();
    }
    if route.own[Peer::Server.index()] {
        session = session.beginning_tls();
    }
    session
}

/// Opens both legs, or says who did not want it and why. Nothing is read from a client without TLS before the server
/// leg is open; the handshake of one with TLS runs meanwhile.
async fn open<F>(
    plan: &Plan<F>,
    route: &Route,
    client: TcpStream,
    over: bool,
    report: &mut Report,
    stop: &mut watch::Receiver<bool>,
) -> Result<[Leg; 2], (Closer, String)> {
    if over {
        let limit = plan.limits.max_connections;
        return Err((
            Closer::Ours,
            format!("the limit of {} is reached; --max-connections raises it", amount(limit as u64, "connection")),
        ));
    }
    let limit = plan.limits.connect_timeout;
    let dialled = async {
        let tcp = dial(&route.server, limit, &plan.own).await.map_err(|why| (Closer::Unreachable, why))?;
        Ok(Socket::new(tcp, Vec::new()))
    };
    tokio::select! {
        legs = legs(route, Socket::new(client, Vec::new()), dialled, limit, report) => legs,
        () = stopped(stop) => Err((Closer::Ours, "imapscope ended".into())),
    }
}

/// Puts both sockets under the TLS that the route has from the first byte; each handshake may take `limit`.
async fn legs(
    route: &Route,
    client: Socket,
    server: impl Future<Output = Result<Socket, (Closer, String)>>,
    limit: Duration,
    report: &mut Report,
) -> Result<[Leg; 2], (Closer, String)> {
    let name = route.server.to_string();
    let given = route.identity.as_ref().is_some_and(|identity| identity.is_given());
    let terms =
        Terms { host: &route.server.host, server: &name, plain: &route.plain, given, starttls: false, own: false };
    let report = Mutex::new(report);
    let secured = |peer: Peer, outcome: Outcome| {
        let (leg, facts) = outcome.map_err(|why| (Closer::Tls(peer), why))?;
        let events = vec![Event { from: peer, what: What::Tls(Box::new(facts)) }];
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.put(&mut Batch { events, ..Batch::default() }, Instant::now());
        Ok(leg)
    };
    let client_leg = async {
        match route.identity.as_ref().filter(|_| !route.own[Peer::Client.index()]) {
            None => Ok(Leg::plain(client)),
            Some(identity) => secured(Peer::Client, handshake::with_client(identity, client, terms, limit).await),
        }
    };
    let server_leg = async {
        let socket = server.await?;
        match route.trust.as_ref().filter(|_| !route.own[Peer::Server.index()]) {
            None => Ok(Leg::plain(socket)),
            Some(trust) => secured(Peer::Server, handshake::with_server(trust, socket, terms, limit).await),
        }
    };
    tokio::try_join!(client_leg, server_leg).map(|(client, server)| [client, server])
}

/// Reports a connection that never had both legs.
async fn unopened(mut session: Session, report: Report, by: Closer, why: String, stop: &mut watch::Receiver<bool>) {
    let mut out = Outbox::default();
    let from = match by {
        Closer::Unreachable => Peer::Server,
        Closer::Tls(peer) => peer,
        _ => Peer::Client,
    };
    session.ended(from, Closed { by, why: Some(why), received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] }, &mut out);
    report.end(out.batch, stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the task of a connection carries along while it waits. A state machine that grows is seen by no other test,
    /// and a proxy in front of a mail server has thousands of idle connections.
    #[test]
    fn an_idle_connection_is_small() {
        fn future<P, R, S, A, F>(_: fn(P, R, S, A, u64, bool) -> F) -> usize {
            size_of::<F>()
        }
        let task = future(connection::<fn(&Route, u64) -> Session>);
        let (pump, session) = (size_of::<Pump>(), size_of::<Session>());
        // 1784 before waits were told; legs with `legacy-tls` are larger.
        assert!(task <= 704 && pump <= 1808 && session <= 1184, "task {task}, pump {pump}, session {session}");
    }
}
