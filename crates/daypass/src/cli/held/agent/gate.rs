//! Who may ask the agent: programs of its own user at the socket, and at loopback whoever knows the token.
//!
//! Loopback is open to every user of the machine, and to every page in a browser on it: the port alone admits nobody.

use daypass_core::secret::{Secret, same};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

/// A loopback listener.
pub(super) struct Loopback {
    pub(super) port: u16,
    pub(super) token: Secret,
}

/// The way a request came.
pub(super) enum Way {
    /// The socket, from a peer whose user is known to be the agent's own.
    Socket,
    /// Loopback.
    Loopback(Loopback),
}

/// The header in which programs on an App Service show their token.
const IDENTITY: &str = "x-identity-header";
/// Headers of requests that a page in a browser makes, or that a proxy passes on: neither has any business here. A page
/// can be made to ask an address of this machine, and a proxy speaks for somebody who is somewhere else.
const STRANGE: [&str; 6] =
    ["sec-fetch-site", "sec-fetch-mode", "x-forwarded-for", "x-forwarded-host", "forwarded", "via"];

/// Whether the peer of a socket is of the user who runs the agent; root is not, who needs no socket to read memory.
pub(super) fn is_own(peer: u32, own: u32) -> bool {
    peer == own
}

/// The path that is asked for, without the token, where the request may be answered at all.
pub(super) fn admitted<'a>(way: &Way, request: &'a Parts) -> Option<&'a str> {
    let path = request.uri.path();
    if request.method != Method::GET {
        return None;
    }
    let Way::Loopback(own) = way else { return Some(path) };
    let headers = &request.headers;
    // A name that a stranger's DNS leads to this machine is in the Host header of the page that is made to ask.
    if !is_own_address(headers, own.port) || headers.contains_key(ORIGIN) {
        return None;
    }
    if STRANGE.iter().any(|name| headers.contains_key(*name)) {
        return None;
    }
    if let Some(shown) = in_header(headers) {
        return same(shown, own.token.expose()).then_some(path);
    }
    let rest = path.strip_prefix('/')?;
    let end = rest.find('/')?;
    let (shown, rest) = rest.split_at(end);
    same(shown.as_bytes(), own.token.expose()).then_some(rest)
}

/// The Host header must be the address that was given out. Some libraries leave the port away.
fn is_own_address(headers: &HeaderMap, port: u16) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host == "127.0.0.1" || host.as_bytes() == format!("127.0.0.1:{port}").as_bytes()
}

fn in_header(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(shown) = headers.get(IDENTITY) {
        return Some(shown.as_bytes());
    }
    let shown = headers.get(AUTHORIZATION)?.as_bytes();
    // Another scheme is a wrong token, and not none.
    Some(shown.strip_prefix(b"Bearer ").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn way() -> Way {
        Way::Loopback(Loopback { port: 5051, token: Secret::new("tok") })
    }

    fn path(way: &Way, method: &str, target: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        admitted(way, &parts).map(str::to_owned)
    }

    const OWN: (&str, &str) = ("host", "127.0.0.1:5051");

    #[test]
    fn the_token_admits_in_each_place_where_an_sdk_has_it() {
        for (target, headers) in [
            ("/tok/credentials", vec![OWN]),
            ("/tok/credentials", vec![("host", "127.0.0.1")]),
            ("/credentials", vec![OWN, ("authorization", "Bearer tok")]),
            ("/credentials", vec![OWN, (IDENTITY, "tok")]),
        ] {
            assert_eq!(path(&way(), "GET", target, &headers).as_deref(), Some("/credentials"), "{headers:?}");
        }
    }

    #[test]
    fn without_the_token_nobody_is_admitted() {
        for (target, headers) in [
            ("/credentials", vec![OWN]),
            ("/", vec![OWN]),
            ("//credentials", vec![OWN]),
            ("/to/credentials", vec![OWN]),
            ("/tokk/credentials", vec![OWN]),
            ("/TOK/credentials", vec![OWN]),
            ("/tok", vec![OWN]),
            ("/x?tok", vec![OWN]),
            ("/credentials", vec![OWN, ("authorization", "Bearer to")]),
            ("/credentials", vec![OWN, ("authorization", "tok")]),
            ("/credentials", vec![OWN, ("authorization", "Basic tok")]),
            ("/credentials", vec![OWN, (IDENTITY, "")]),
            // A wrong one in a header is not mended by a right one in the path.
            ("/tok/credentials", vec![OWN, (IDENTITY, "no")]),
        ] {
            assert_eq!(path(&way(), "GET", target, &headers), None, "{target} {headers:?}");
        }
    }

    /// A page that a stranger's name leads here has that name in its Host header.
    #[test]
    fn another_host_is_not_admitted_even_with_the_token() {
        for host in [
            "evil.example",
            "evil.example:5051",
            "localhost:5051",
            "127.0.0.1:80",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert_eq!(path(&way(), "GET", "/tok/credentials", &[("host", host)]), None, "{host}");
        }
        assert_eq!(path(&way(), "GET", "/tok/credentials", &[]), None);
        assert_eq!(path(&way(), "GET", "/tok/credentials", &[OWN, OWN]), None);
    }

    #[test]
    fn a_page_or_a_proxy_is_not_admitted_even_with_the_token() {
        for header in [
            ("origin", "http://127.0.0.1:5051"),
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "no-cors"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("via", "1.1 proxy"),
        ] {
            assert_eq!(path(&way(), "GET", "/tok/credentials", &[OWN, header]), None, "{header:?}");
        }
        for method in ["POST", "PUT", "OPTIONS", "HEAD"] {
            assert_eq!(path(&way(), method, "/tok/credentials", &[OWN]), None, "{method}");
            assert_eq!(path(&Way::Socket, method, "/credentials", &[]), None, "{method}");
        }
    }

    #[test]
    fn the_socket_knows_its_peer_and_needs_no_token() {
        assert_eq!(path(&Way::Socket, "GET", "/credentials", &[]).as_deref(), Some("/credentials"));
        assert!(is_own(1000, 1000) && !is_own(1001, 1000) && !is_own(0, 1000));
    }
}
