//! Where something may be fetched.

use crate::fault::{Fault, FaultKind};
use reqwest::Url;
use std::net::IpAddr;

/// Where something is fetched: `https` anywhere, plain `http` on this machine alone. Attack: whoever is on the way of
/// such an answer could say who our callers are, or take what a cloud gives.
///
/// What is checked is what is used: the same parsed URL goes to the connection, so that no two readers of one text
/// can disagree about its host. Private addresses are allowed over `https`: the operator names the addresses, and
/// an internal provider is the usual case.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = |why: &str| Err(Fault::new(FaultKind::Wrong, format!("an address {why}")));
        let Ok(url) = Url::parse(text) else { return refused("that is no URL") };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("with a user name in it");
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_here(&url) => Ok(Self(url)),
            _ => refused("that is neither https nor plain http on this machine"),
        }
    }

    /// The same place with these parameters behind those that it has. Nothing in them can change the host or the path.
    #[must_use]
    pub fn with<'a>(&self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        Self(url)
    }

    /// The same place with this query instead of its own, encoded already.
    #[must_use]
    pub fn asking(&self, query: &str) -> Self {
        let mut url = self.0.clone();
        url.set_query(Some(query));
        Self(url)
    }

    /// The same server, at this path and without a query.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(None);
        Self(url)
    }

    /// Scheme, host and port: what may be told of it. A path or a query may be a secret.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// What stands in the Host header: with the port where it is not the scheme's own.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The name of the host alone.
    pub fn host_name(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// Whether it has a query or a fragment.
    pub fn has_more(&self) -> bool {
        self.0.query().is_some() || self.0.fragment().is_some()
    }

    /// The whole URL, as the other side knows it.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is on this machine and without TLS.
    pub fn is_local(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.origin())
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for text in [
            "https://login.example.com/keys",
            "https://10.0.0.1/",
            "http://127.0.0.1:8000/whoami",
            "http://127.8.8.8/",
            "http://[::1]:8000/",
            "http://localhost/",
        ] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
        for text in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "https://user@example.com/",
            "https://:secret@example.com/",
            "http://0.0.0.0/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "//127.0.0.1/",
            "",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_stay_in_the_query_and_out_of_sight() {
        let address = Address::parse("https://api.example.com/token?v=1").unwrap();
        let asked = address.with([("secret", "a&b=c#d@evil.example/"), ("@evil.example", "x")]);
        assert_eq!(
            asked.text(),
            "https://api.example.com/token?v=1&secret=a%26b%3Dc%23d%40evil.example%2F&%40evil.example=x"
        );
        assert_eq!((asked.origin(), asked.path()), (address.origin(), "/token"));
        assert_eq!(format!("{asked:?}"), "Address(https://api.example.com)");
        assert_eq!(address.at("/a b").text(), "https://api.example.com/a%20b");
        assert_eq!(address.asking("x=%2A").text(), "https://api.example.com/token?x=%2A");
    }

    #[test]
    fn the_host_has_its_port_where_it_is_not_the_usual_one() {
        for (text, host) in [
            ("https://sts.example.com/", "sts.example.com"),
            ("https://sts.example.com:443/", "sts.example.com"),
            ("https://STS.example.com:8443/", "sts.example.com:8443"),
            ("http://127.0.0.1:5050/", "127.0.0.1:5050"),
            ("http://[::1]:80/", "[::1]"),
        ] {
            assert_eq!(Address::parse(text).unwrap().host(), host);
        }
    }

    proptest! {
        /// Whatever text names a host, plain http goes to this machine alone.
        #[test]
        fn no_spelling_of_a_host_leads_plain_http_away(host in "[a-z0-9.@:\\[\\]%/\\\\#?-]{1,24}") {
            if let Ok(Address(url)) = Address::parse(&format!("http://{host}/")) {
                let host = url.host_str().unwrap();
                let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
                prop_assert!(host == "localhost" || address.unwrap().to_canonical().is_loopback());
            }
        }

        /// Whatever is put into a query or a path, the request goes to the same server.
        #[test]
        fn nothing_that_is_sent_leads_away(name: String, value: String, path: String) {
            let address = Address::parse("https://api.example.com:8443/token").unwrap();
            for other in [address.with([(name.as_str(), value.as_str())]), address.asking(&value), address.at(&path)] {
                prop_assert_eq!(other.origin(), address.origin());
            }
        }
    }
}
