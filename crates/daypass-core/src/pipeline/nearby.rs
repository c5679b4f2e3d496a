//! Visitors of whom nothing is known but the network that they come from.
//!
//! An SDK that fetches a URL and can send nothing with it proves nothing. What is left is where it stands: on this
//! host, or in a network that its operator has named. Then everything else that could speak from there without being
//! meant must be kept out, and above all a browser.

use crate::net::IpNet;
use crate::refusal::{Reason, Refusal};
use crate::request::Head;
use http::header::HOST;
use http::uri::{Authority, Uri};
use std::net::IpAddr;

/// Headers by which a proxy says that it passes a request on, besides those that begin with [`PASSED_ON`].
///
/// Attack: a proxy on this host that passes everything on makes the whole Internet come from this host. If it says
/// that it does so, nothing is handed out, whether or not it is one that is believed about addresses. One that says
/// nothing cannot be told from an SDK; that no proxy passes this path on is for its operator to see to.
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
/// `X-Forwarded-For`, and what proxies send that name the host or the scheme and not the address.
const PASSED_ON: &str = "x-forwarded-";

/// Whether a request comes directly from one of these networks, and was meant for us.
pub(super) fn check(networks: &[IpNet], head: &Head, public_url: &str) -> Result<(), Refusal> {
    let refuse = |detail: &'static str| Err(Refusal::new(Reason::OriginNotAllowed, detail));
    if !networks.iter().any(|network| network.contains(head.source)) {
        return refuse(
            "this endpoint serves its own networks alone, and the request comes from none of them",
        );
    }
    let passed_on = |name: &str| name.starts_with(PASSED_ON) || FORWARDED.contains(&name);
    if head.headers.keys().any(|name| passed_on(name.as_str())) {
        return refuse("this endpoint is asked directly, and a proxy has passed the request on");
    }
    if !is_meant(head, public_url) {
        return refuse("this endpoint is asked by an IP address, localhost, or the name in public_url");
    }
    Ok(())
}

/// Whether the request names us by an address, or by a name that is ours.
///
/// Attack: the owner of a domain points its name at this host, after a page of it was loaded (DNS rebinding). The
/// browser takes us for that page's own server, sends no `Origin`, and lets the page read the answer. Nobody can
/// point an address, or somebody else's name, elsewhere.
fn is_meant(head: &Head, public_url: &str) -> bool {
    // Without a `Host` it is HTTP/1.0, and no browser's.
    if !head.headers.contains_key(HOST) {
        return true;
    }
    let Some(authority) = head.header(HOST.as_str()).and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host();
    let own = || public_url.parse::<Uri>().is_ok_and(|url| url.host().is_some_and(|own| same(own, name)));
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || same(name, "localhost") || own()
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    const OWN: &str = "https://pass.example.com";

    fn admitted(source: &str, headers: &[(&str, &str)]) -> bool {
        let networks = ["127.0.0.0/8", "::1", "10.1.0.0/16"].map(|net| net.parse().unwrap());
        let mut request = request("GET", "/credentials", headers, b"");
        request.head_mut().source = source.parse().unwrap();
        let refused = check(&networks, &request.head, OWN).err().map(|refusal| refusal.reason);
        assert!(matches!(refused, None | Some(Reason::OriginNotAllowed)), "{refused:?}");
        refused.is_none()
    }

    #[test]
    fn only_the_named_networks_are_near() {
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.255.1"] {
            assert!(admitted(near, &[("host", "127.0.0.1:5050")]), "{near}");
        }
        for far in ["10.2.0.1", "192.0.2.7", "::2", "128.0.0.1"] {
            assert!(!admitted(far, &[("host", "127.0.0.1:5050")]), "{far}");
        }
    }

    #[test]
    fn what_a_proxy_passes_on_is_not_near() {
        for header in
            ["x-forwarded-for", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "via"]
        {
            assert!(!admitted("127.0.0.1", &[("host", "localhost"), (header, "127.0.0.1")]), "{header}");
        }
        for header in ["x-forward", "x-request-id", "viaduct"] {
            assert!(admitted("127.0.0.1", &[("host", "localhost"), (header, "127.0.0.1")]), "{header}");
        }
    }

    #[test]
    fn a_name_that_someone_else_can_point_here_is_not_ours() {
        for ours in [
            "127.0.0.1",
            "127.0.0.1:5050",
            "10.1.2.3:80",
            "[::1]:5050",
            "localhost:5050",
            "LocalHost",
            "pass.example.com",
            "Pass.Example.com:5050",
        ] {
            assert!(admitted("127.0.0.1", &[("host", ours)]), "{ours}");
        }
        for other in [
            "evil.example:5050",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "xpass.example.com",
            "pass.example.com.",
            "",
            "[::1",
        ] {
            assert!(!admitted("127.0.0.1", &[("host", other)]), "{other}");
        }
        assert!(!admitted("127.0.0.1", &[("host", "localhost"), ("host", "localhost")]));
        assert!(admitted("127.0.0.1", &[]), "HTTP/1.0");
    }
}
