//! One connection over two streams that are no sockets: the pump as a listener runs it, for whoever plays both
//! peers and the clock. Knows what a connection needs; must not know who plays.

use std::sync::Arc;

use tokio::sync::watch;

use super::pump::Pump;
use super::queue::Sender;
use super::report::Report;
use super::socket::{Socket, Stream};
use super::{Clock, Limits, Route, legs, on_route, report_opening, unopened, upgrade};
use crate::session::Session;

/// Relays between `[client, server]` as the route says, with TLS where it has TLS, until the connection is over or `stop`
/// becomes true. Everything is reported to `events` as connection 1. A peer resets by a read that fails with
/// [`std::io::ErrorKind::ConnectionReset`]; a reset of ours is a stream that is dropped.
pub async fn between(
    streams: [Box<dyn Stream>; 2],
    route: Arc<Route>,
    session: Session,
    limits: &Limits,
    events: Sender,
    mut stop: watch::Receiver<bool>,
) {
    let mut report = Report::new(events, 1, Clock::start(), limits.patience);
    let session = on_route(session, &route);
    report_opening(&route, &session, "memory".to_owned(), &mut report);
    let [client, server] = streams.map(Socket::other);
    let server = std::future::ready(Ok(server));
    match legs(&route, client, server, limits.connect_timeout, &mut report).await {
        Ok(legs) => {
            let upgrade = upgrade(&route, limits.connect_timeout);
            let pump = Pump::new(legs, session, report, limits.idle_timeout, upgrade).telling(limits.waits);
            Box::new(pump).run(&mut stop).await;
        }
        Err((by, why)) => unopened(session, report, by, why, &mut stop).await,
    }
}
