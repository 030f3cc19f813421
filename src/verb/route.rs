//! Routes: `[LISTEN=]SERVER`, where SERVER is a URL and LISTEN is `[scheme://][address]:port`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::problem::Problem;

/// Where to listen and where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The grammar's name.
    pub protocol: &'static str,
    /// Where clients connect to; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The server's name or address, without brackets.
    pub host: String,
    /// The server's port.
    pub port: u16,
}

/// Schemes that this version speaks: name, grammar, port.
const SCHEMES: [(&str, &str, u16); 1] = [("imap", "imap", 143)];

/// Schemes that are known and not there yet, with what to do until they are.
const LATER: [(&str, &str); 4] = [
    ("imaps", "TLS is not read yet; use imap:// to a server that allows it, or a TLS tunnel behind imapscope"),
    (
        "imap+starttls",
        "imapscope does not start TLS by itself yet; imap:// relays what follows a STARTTLS of the client unread",
    ),
    ("smtp", "this version speaks IMAP only"),
    ("pop3", "this version speaks IMAP only"),
];

/// How far above the standard port a route listens by default.
const OFFSET: u16 = 1000;

impl Route {
    /// Reads a route as the user wrote it.
    ///
    /// # Errors
    /// Whatever cannot be meant, with the part at fault and what would be right.
    pub fn parse(text: &str) -> Result<Route, Problem> {
        let problem = |what: String, help: &str| Problem::new(format!("route '{text}'"), what, help);
        let (listen, server) = match text.split_once('=') {
            Some((listen, server)) => (Some(listen), server),
            None => (None, text),
        };
        let Some((scheme, rest)) = server.split_once("://") else {
            let help =
                format!("write the server as a URL: imap://{}", if server.is_empty() { "HOST[:PORT]" } else { server });
            return Err(problem(format!("'{server}' has no scheme"), &help));
        };
        let (protocol, standard) = scheme_of(scheme).map_err(|(what, help)| problem(what, &help))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(problem("a path has no meaning in a route".into(), "write only imap://HOST[:PORT]"));
        }
        if rest.contains('@') {
            return Err(problem(
                "a user name has no meaning in a route".into(),
                "the client logs in; write only imap://HOST[:PORT]",
            ));
        }
        let (host, port) = host_and_port(rest)
            .map_err(|what| problem(what, "write imap://HOST[:PORT], an IPv6 address in brackets"))?;
        if host.is_empty() {
            return Err(problem("the server has no name".into(), "write imap://HOST[:PORT]"));
        }
        if port == Some(0) {
            return Err(problem("a server has no port 0".into(), "leave the port out for the standard one, 143"));
        }
        let listen = match listen {
            None => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), standard + OFFSET),
            Some(listen) => listen_address(listen, protocol).map_err(|(what, help)| problem(what, &help))?,
        };
        Ok(Route { protocol, listen, host: host.to_owned(), port: port.unwrap_or(standard) })
    }

    /// The server with its port, as a URL.
    #[must_use]
    pub fn server(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}", self.protocol, self.port)
    }
}

type Fault = (String, String);

fn scheme_of(scheme: &str) -> Result<(&'static str, u16), Fault> {
    let lower = scheme.to_ascii_lowercase();
    if let Some((_, grammar, port)) = SCHEMES.iter().find(|(name, ..)| *name == lower) {
        return Ok((grammar, *port));
    }
    let base = lower.split('+').next().unwrap_or_default().trim_end_matches('s');
    let later = LATER.iter().find(|(name, _)| *name == lower).or_else(|| LATER.iter().find(|(name, _)| *name == base));
    Err(match later {
        Some((_, help)) => (format!("the scheme '{scheme}' is not available in this version"), (*help).to_owned()),
        None => (format!("the scheme '{scheme}' is not known"), "this version speaks imap".to_owned()),
    })
}

fn listen_address(text: &str, protocol: &str) -> Result<SocketAddr, Fault> {
    let rest = match text.split_once("://") {
        None => text,
        Some((scheme, rest)) => {
            let (listens, _) = scheme_of(scheme)?;
            if listens != protocol {
                return Err((
                    format!("it listens for {listens} and connects for {protocol}"),
                    "write the same protocol on both sides".to_owned(),
                ));
            }
            rest
        }
    };
    let help = "write [ADDRESS]:PORT before the '=', such as :2143, 127.0.0.1:0 or [::1]:2143".to_owned();
    let (host, port) = host_and_port(rest).map_err(|what| (what, help.clone()))?;
    let Some(port) = port else { return Err((format!("'{text}' has no port to listen on"), help)) };
    let address = match host {
        "" | "localhost" => Ipv4Addr::LOCALHOST.into(),
        "*" => Ipv4Addr::UNSPECIFIED.into(),
        host => host.parse::<IpAddr>().map_err(|_| (format!("'{host}' is no address to listen on"), help))?,
    };
    Ok(SocketAddr::new(address, port))
}

/// Parts `HOST[:PORT]`; an IPv6 address stands in brackets, which are taken off.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| format!("'{text}' has no closing bracket"))?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(format!("'{after}' stands behind the bracket")),
        }
    } else if text.matches(':').count() > 1 {
        return Err(format!("'{text}' has more than one colon"));
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a host name has no blanks".to_owned());
    }
    match port.map(|port| (port, port.parse::<u16>())) {
        None => Ok((host, None)),
        Some((_, Ok(number))) => Ok((host, Some(number))),
        Some((port, Err(_))) => Err(format!("'{port}' is no port (0 to 65535)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let read = |text: &str| {
            let route = Route::parse(text).expect(text);
            format!("{} -> {}", route.listen, route.server())
        };
        assert_eq!(read("imap://mail.example.org"), "127.0.0.1:1143 -> imap://mail.example.org:143");
        assert_eq!(read(":2143=imap://mail.example.org"), "127.0.0.1:2143 -> imap://mail.example.org:143");
        assert_eq!(read("127.0.0.2:0=IMAP://h:10143/"), "127.0.0.2:0 -> imap://h:10143");
        assert_eq!(read("imap://[::1]:9=imap://[2001:db8::1]:10143"), "[::1]:9 -> imap://[2001:db8::1]:10143");
        assert_eq!(read("*:9=imap://h"), "0.0.0.0:9 -> imap://h:143");
        assert_eq!(read("localhost:9=imap://h"), "127.0.0.1:9 -> imap://h:143");
    }

    #[test]
    fn wrong_routes_say_what_is_wrong() {
        for (text, what) in [
            ("mail.example.org", "has no scheme"),
            ("", "has no scheme"),
            ("imap://", "has no name"),
            ("imap://h:0", "no port 0"),
            ("imap://h:99999", "is no port"),
            ("imap://h/INBOX", "path"),
            ("imap://me@h", "user name"),
            ("imap://::1", "more than one colon"),
            ("imap://[::1", "no closing bracket"),
            ("imap://a b", "no blanks"),
            ("2143=imap://h", "has no port"),
            ("host:1=imap://h", "no address to listen on"),
            (":x=imap://h", "is no port"),
            ("imaps://h", "not available in this version"),
            ("smtp+starttls://h", "not available in this version"),
            ("gopher://h", "not known"),
        ] {
            let problem = Route::parse(text).expect_err(text);
            assert!(problem.what.contains(what), "{text}: {problem}");
            assert!(!problem.help.is_empty(), "{text}");
        }
    }
}
