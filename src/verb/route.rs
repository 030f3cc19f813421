//! Routes: `[LISTEN=]SERVER`, where SERVER is a URL and LISTEN is `[scheme://][address]:port`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::protocols::{Protocols, Scheme, Tls};
use crate::explain::url;
use crate::problem::Problem;

/// Where to listen and where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The grammar's name.
    pub protocol: String,
    /// The scheme as the user wrote it, in small letters: `submission`, where the grammar is smtp.
    pub scheme: String,
    /// The scheme of the client leg: as it was written, or that of the server without TLS.
    pub listens: String,
    /// The server's scheme without TLS.
    pub plain: String,
    /// When TLS begins on each leg: `[client, server]`.
    pub tls: [Tls; 2],
    /// Where clients connect to; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The server's name or address, without brackets.
    pub host: String,
    /// The server's port.
    pub port: u16,
}

/// How far above the standard port a route listens by default.
const OFFSET: u16 = 1000;

impl Route {
    /// Reads a route as the user wrote it, with the protocols that come with the program.
    ///
    /// # Errors
    /// As [`Route::read`].
    pub fn parse(text: &str) -> Result<Route, Problem> {
        Self::read(text, &Protocols::builtin())
    }

    /// Reads a route as the user wrote it.
    ///
    /// # Errors
    /// Whatever cannot be meant, with the part at fault and what would be right.
    pub fn read(text: &str, protocols: &Protocols) -> Result<Route, Problem> {
        let problem = |(what, help): Fault| Problem::new(format!("route '{}'", without_password(text)), what, help);
        let (listen, server) = match text.split_once('=') {
            Some((listen, server)) => (Some(listen), server),
            None => (None, text),
        };
        let (scheme, host, port) = server_at(server, protocols).map_err(problem)?;
        let mut listens = None;
        let listen = match listen {
            Some(listen) => {
                let (scheme, address) = listen_address(listen, &scheme, protocols).map_err(problem)?;
                listens = scheme;
                address
            }
            None => match scheme.plain_port.checked_add(OFFSET) {
                Some(port) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                None => {
                    let what = format!("there is no port {OFFSET} above {}, to listen on", scheme.plain_port);
                    return Err(problem((what, format!("choose one, such as :2000={text}"))));
                }
            },
        };
        let tls = [listens.as_ref().map_or(Tls::Asked, |scheme| scheme.tls), scheme.tls];
        let listens = listens.map_or_else(|| scheme.plain.clone(), |scheme| scheme.name);
        let Scheme { name, protocol, plain, .. } = scheme;
        Ok(Route { protocol, scheme: name, listens, plain, tls, listen, host, port })
    }

    /// The server with its port, as a URL.
    #[must_use]
    pub fn server(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}", self.scheme, self.port)
    }
}

/// What is wrong, and what would be right.
pub type Fault = (String, String);

/// The scheme, the host and the port of a server as the user wrote it.
///
/// # Errors
/// Whatever cannot be meant: what is wrong, and what would be right.
pub fn server_at(text: &str, protocols: &Protocols) -> Result<(Scheme, String, u16), Fault> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err((format!("'{text}' has no scheme"), url(text, protocols)));
    };
    let scheme = scheme_of(scheme, protocols)?;
    let (host, port) = server_of(rest, &scheme)?;
    Ok((scheme, host, port))
}

/// How to write a server that has no scheme: with that of its port, if it has a port that is somebody's.
fn url(server: &str, protocols: &Protocols) -> String {
    if let Some(Scheme { name, .. }) = protocols.scheme(server) {
        return format!("write the server as a URL: {name}://HOST[:PORT]");
    }
    let port = host_and_port(server).ok().and_then(|(_, port)| port);
    let scheme = protocols.schemes().into_iter().find(|scheme| port.is_some() && scheme.port == port);
    let scheme = scheme.map_or("imap".to_owned(), |scheme| scheme.name);
    format!("write the server as a URL: {scheme}://{}", if server.is_empty() { "HOST[:PORT]" } else { server })
}

fn scheme_of(name: &str, protocols: &Protocols) -> Result<Scheme, Fault> {
    if let Some(scheme) = protocols.scheme(name) {
        return Ok(scheme);
    }
    Err(match protocols.not_described(name) {
        Some(Scheme { plain, protocol, .. }) => (
            format!("the description of {protocol} does not say how TLS begins in it"),
            format!(
                "{plain}:// has no TLS and {plain}s:// has it from the first octet; [starttls] in a --grammar FILE tells more"
            ),
        ),
        None => (format!("the scheme '{name}' is not known"), protocols.known(name)),
    })
}

/// What the user wrote, without a password: a terminal may be shown to others.
fn without_password(text: &str) -> String {
    let mut shown = text.to_owned();
    for span in url::secrets(text.as_bytes()).into_iter().rev() {
        shown.replace_range(span.start as usize..span.end as usize, "<hidden>");
    }
    shown
}

/// The host and port of a server, the standard port if none is written.
fn server_of(rest: &str, scheme: &Scheme) -> Result<(String, u16), Fault> {
    let Scheme { name, port: standard, .. } = scheme;
    let form = if standard.is_some() { format!("{name}://HOST[:PORT]") } else { format!("{name}://HOST:PORT") };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(("a path has no meaning in a route".to_owned(), format!("write only {form}")));
    }
    if rest.contains('@') {
        return Err((
            "a user name has no meaning in a route".to_owned(),
            format!("the client logs in; write only {form}"),
        ));
    }
    let (host, port) =
        host_and_port(rest).map_err(|what| (what, format!("write {form}, an IPv6 address in brackets")))?;
    if host.is_empty() {
        return Err(("the server has no name".to_owned(), format!("write {form}")));
    }
    match (port, standard) {
        (Some(0), Some(standard)) => {
            Err(("a server has no port 0".to_owned(), format!("leave the port out for the standard one, {standard}")))
        }
        (Some(0), None) => Err(("a server has no port 0".to_owned(), format!("write {form}"))),
        (None, None) => Err((format!("{name} has no standard port"), format!("write {form}"))),
        (port, standard) => Ok((host.to_owned(), port.or(*standard).unwrap_or_default())),
    }
}

/// The address to listen on, and the scheme before it, if there is one.
fn listen_address(text: &str, server: &Scheme, protocols: &Protocols) -> Result<(Option<Scheme>, SocketAddr), Fault> {
    let mut scheme = None;
    let rest = match text.split_once("://") {
        None => text,
        Some((name, rest)) => {
            let listens = scheme_of(name, protocols)?;
            if listens.protocol != server.protocol {
                return Err((
                    format!("it listens for {} and connects for {}", listens.name, server.name),
                    "write the same protocol on both sides".to_owned(),
                ));
            }
            scheme = Some(listens);
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
    Ok((scheme, SocketAddr::new(address, port)))
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
    fn a_password_in_a_route_is_not_said_again() {
        let problem = Route::parse(":0=imap://bob:kanarie77@mail.example.org").expect_err("a user has no place there");
        assert_eq!(problem.origin, "route ':0=imap://bob:<hidden>@mail.example.org'");
    }

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
    fn every_protocol_has_its_ports() {
        for (text, expected) in [
            ("smtp://h", "smtp 127.0.0.1:1025 -> smtp://h:25"),
            ("submission://h", "smtp 127.0.0.1:1587 -> submission://h:587"),
            ("lmtp://h", "lmtp 127.0.0.1:1024 -> lmtp://h:24"),
            ("POP3://h", "pop3 127.0.0.1:1110 -> pop3://h:110"),
            ("sieve://h", "managesieve 127.0.0.1:5190 -> sieve://h:4190"),
            ("managesieve://h", "managesieve 127.0.0.1:5190 -> managesieve://h:4190"),
            ("nntp://h", "nntp 127.0.0.1:1119 -> nntp://h:119"),
            ("irc://h:6668", "irc 127.0.0.1:7667 -> irc://h:6668"),
            ("smtp://:9=submission://h", "smtp 127.0.0.1:9 -> submission://h:587"),
            ("imaps://h", "imap 127.0.0.1:1143 -> imaps://h:993"),
            ("submission+starttls://h", "smtp 127.0.0.1:1587 -> submission+starttls://h:587"),
            ("submissions://h", "smtp 127.0.0.1:1587 -> submissions://h:465"),
            ("smtps://h", "smtp 127.0.0.1:1025 -> smtps://h:465"),
            ("pop3s://h", "pop3 127.0.0.1:1110 -> pop3s://h:995"),
            ("sieves://h:4191", "managesieve 127.0.0.1:5190 -> sieves://h:4191"),
        ] {
            let route = Route::parse(text).expect(text);
            assert_eq!(format!("{} {} -> {}", route.protocol, route.listen, route.server()), expected);
        }
    }

    #[test]
    fn each_leg_has_tls_for_itself() {
        use Tls::{Asked, First, Own};
        for (text, listens, tls) in [
            ("imap://h", "imap", [Asked, Asked]),
            ("imaps://h", "imap", [Asked, First]),
            (":2143=imaps://h", "imap", [Asked, First]),
            ("imap://:2143=imaps://h", "imap", [Asked, First]),
            ("imaps://:1993=imap://h", "imaps", [First, Asked]),
            ("IMAPS://:1993=imaps://h", "imaps", [First, First]),
            ("submissions://:0=smtp://h", "submissions", [First, Asked]),
            ("sieves://:0=sieve://h", "sieves", [First, Asked]),
            (":0=submissions://h", "submission", [Asked, First]),
            ("imap+starttls://h", "imap", [Asked, Own]),
            ("imap+starttls://:1143=imap://localhost", "imap+starttls", [Own, Asked]),
            ("pop3+STARTTLS://:0=pop3s://h", "pop3+starttls", [Own, First]),
            ("submission+starttls://:0=smtp+starttls://h", "submission+starttls", [Own, Own]),
        ] {
            let route = Route::parse(text).expect(text);
            assert_eq!((route.listens.as_str(), route.tls), (listens, tls), "{text}");
        }
    }

    #[test]
    fn help_speaks_of_what_the_user_wrote() {
        for (text, help) in [
            ("pop3://", "pop3://HOST[:PORT]"),
            ("smtp://me@h", "smtp://HOST[:PORT]"),
            ("sieve://h:0", "4190"),
            ("mail.example.org:993", "imaps://mail.example.org:993"),
            ("sieves://h", "sieves://HOST:PORT"),
            ("irc+starttls://h", "ircs://"),
            ("pop://h", "did you mean pop3? known are imap, smtp, submission"),
            ("mail.example.org:587", "submission://mail.example.org:587"),
            ("mail.example.org:9999", "imap://mail.example.org:9999"),
            ("smtp", "smtp://HOST[:PORT]"),
        ] {
            let problem = Route::parse(text).expect_err(text);
            assert!(problem.help.contains(help), "{text}: {problem}");
        }
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
            ("sieves://h", "no standard port"),
            ("sieves://h:0", "no port 0"),
            ("imaps://:1993=pop3s://h", "listens for imaps and connects for pop3s"),
            ("irc+starttls://h", "does not say how TLS begins"),
            ("smtps+starttls://h", "not known"),
            ("gopher://h", "not known"),
            ("smtp://:25=pop3://h", "listens for smtp and connects for pop3"),
        ] {
            let problem = Route::parse(text).expect_err(text);
            assert!(problem.what.contains(what), "{text}: {problem}");
            assert!(!problem.help.is_empty(), "{text}");
        }
    }
}
