//! Opening the server leg: finding the addresses of a server and trying them in order. Every failure becomes one
//! sentence for the log, with a remedy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Endpoint;

/// Connects to `server`, each of its addresses for `limit` at most, and never to one of our `own` listeners.
pub async fn dial(server: &Endpoint, limit: Duration, own: &[SocketAddr]) -> Result<TcpStream, String> {
    let found = match timeout(limit, lookup_host((server.host.as_str(), server.port))).await {
        Ok(Ok(found)) => found,
        Ok(Err(e)) => {
            return Err(format!(
                "cannot find the address of {}: {e}; check the name, and the network's DNS",
                server.host
            ));
        }
        Err(_) => {
            let limit = limit.as_secs_f64();
            return Err(format!("no answer from DNS about {} within {limit} s; check the network's DNS", server.host));
        }
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut failures = Vec::new();
    let mut last = io::ErrorKind::NotFound;
    for address in addresses {
        if own.iter().any(|own| leads_to(address, *own)) {
            return Err(format!(
                "the route to {server} leads back to imapscope itself ({address}); name the real server, or listen elsewhere"
            ));
        }
        let error = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(e)) => e,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs_f64())),
        };
        last = error.kind();
        failures.push((address, plain(&error)));
    }
    // A server that is named by its address is not named twice.
    let tried = match failures.as_slice() {
        [(address, why)] if address.to_string() == server.to_string() => format!(": {why}"),
        _ => format!(" ({})", failures.iter().map(|(at, why)| format!("{at}: {why}")).collect::<Vec<_>>().join(", ")),
    };
    Err(format!("cannot connect to {server}{tried}; {}", remedy(last)))
}

/// True if connecting to `address` would reach the listener `own`.
fn leads_to(address: SocketAddr, own: SocketAddr) -> bool {
    let (there, here) = (address.ip().to_canonical(), own.ip().to_canonical());
    let any =
        matches!(here, IpAddr::V4(ip) if ip.is_unspecified()) || matches!(here, IpAddr::V6(ip) if ip.is_unspecified());
    address.port() == own.port() && (there == here || any && there.is_loopback())
}

/// An error in words, without the number of the operating system.
pub fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::TimedOut if error.raw_os_error().is_none() => error.to_string(),
        _ if error.raw_os_error().is_some() => {
            let text = error.to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            text[..end].to_lowercase()
        }
        kind => kind.to_string(),
    }
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "is the server running, and is this its port?",
        io::ErrorKind::TimedOut => "a firewall may be in the way; --connect-timeout waits longer",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "check the network and the route to it",
        io::ErrorKind::NotFound => "its name has no address",
        _ => "check the host and the port of the route",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_to_ourselves_is_seen() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(leads_to(address("127.0.0.1:143"), address("127.0.0.1:143")));
        assert!(leads_to(address("127.0.0.1:143"), address("0.0.0.0:143")));
        assert!(leads_to(address("[::1]:143"), address("[::]:143")));
        assert!(!leads_to(address("127.0.0.1:144"), address("127.0.0.1:143")));
        assert!(!leads_to(address("127.0.0.2:143"), address("127.0.0.1:143")));
        assert!(!leads_to(address("192.0.2.1:143"), address("0.0.0.0:143")));
    }
}
