//! The head of a request: the limits and shapes that hold for every dialect, and one form for both versions of HTTP.

use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use http::header::{COOKIE, HOST, HeaderValue};
use http::{Uri, Version};

/// Puts what HTTP/2 carries in another place where HTTP/1.1 has it, so that a signature over `host` and a cookie are
/// found where every dialect looks for them (RFC 9113, 8.2.3 and 8.3.1). A client that sends both a Host header and an
/// authority is held to one of them by [`check_host`].
pub(super) fn as_in_http1(parts: &mut http::request::Parts) {
    let authority = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let http::header::Entry::Vacant(host) = parts.headers.entry(HOST)
        && let Some(authority) = authority
    {
        host.insert(authority);
    }
    let crumbs: Vec<_> = parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(mut cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        cookie.set_sensitive(true);
        parts.headers.insert(COOKIE, cookie);
    }
}

/// Limits and shapes that hold for every dialect, before anything is read or decided.
pub(super) fn check_head(
    head: &Head,
    uri: &Uri,
    version: Version,
    holds_another: bool,
) -> Result<(), Refusal> {
    let too_large = |what, most, unit| {
        Refusal::new(Reason::TooLarge, format!("the {what} of the request has more than {most} {unit}"))
    };
    if head.path.len() > limits::PATH {
        return Err(too_large("path", limits::PATH, "bytes"));
    }
    if head.query.len() > limits::QUERY {
        return Err(too_large("query", limits::QUERY, "bytes"));
    }
    if head.headers.len() > limits::HEADERS {
        return Err(too_large("head", limits::HEADERS, "fields"));
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits::HEADER_BYTES {
        return Err(too_large("head", limits::HEADER_BYTES, "bytes"));
    }
    // Encoded dots, slashes and zero bytes mean one thing to a router and another to whoever decodes them later.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~/-".contains(&byte);
    let clear =
        || head.path.bytes().all(plain) && !head.path.split('/').any(|part| part == "." || part == "..");
    if !holds_another && !clear() {
        return Err(Refusal::new(Reason::Malformed, "the path may hold letters, digits and . _ ~ - / alone"));
    }
    check_host(head, uri, version)
}

/// Exactly one well-formed host. What it says is used for signatures alone: no answer is built from it.
fn check_host(head: &Head, uri: &Uri, version: Version) -> Result<(), Refusal> {
    let bad = |detail: &'static str| Err(Refusal::new(Reason::Malformed, detail));
    let mut hosts = head.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let Some(host) = first else {
        return if version == Version::HTTP_10 { Ok(()) } else { bad("the Host header is missing") };
    };
    if second.is_some() {
        return bad("the Host header stands twice");
    }
    let well_formed = host
        .to_str()
        .ok()
        .and_then(|text| text.parse::<http::uri::Authority>().ok())
        .is_some_and(|authority| !authority.as_str().contains('@') && authority_port_fits(&authority));
    if !well_formed {
        return bad("the Host header is not a host with an optional port");
    }
    match uri.authority() {
        Some(authority) if authority.as_str().as_bytes() != host.as_bytes() => {
            bad("the request line names another host than the Host header")
        }
        _ => Ok(()),
    }
}

fn authority_port_fits(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    after_host.is_empty() || authority.port_u16().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    fn check(target: &str, uri: &str, headers: &[(&str, &str)]) -> Option<Reason> {
        let head = request("GET", target, headers, b"").head;
        check_head(&head, &uri.parse().unwrap(), Version::HTTP_11, false).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn a_path_holds_plain_characters_alone() {
        let host = [("host", "127.0.0.1:5050")];
        assert_eq!(check("/router/rest", "/", &host), None);
        for path in ["/%2e%2e/x", "/a%00b", "/a%2fb", "/../x", "/a/./b", "/a;b", "/a\\b", "/caf\u{e9}"] {
            assert_eq!(check(path, "/", &host), Some(Reason::Malformed), "{path}");
        }
    }

    #[test]
    fn a_path_that_holds_another_one_is_left_to_its_reader() {
        let check = |target: &str, holds| {
            let head = request("GET", target, &[("host", "h")], b"").head;
            check_head(&head, &Uri::default(), Version::HTTP_11, holds).err().map(|refusal| refusal.reason)
        };
        for path in ["/f/../x", "/f/a%2fb", "/f/a;b", "/f//x"] {
            assert_eq!(check(path, true), None, "{path}");
        }
        assert_eq!(check("/f/a;b", false), Some(Reason::Malformed));
        assert_eq!(check(&format!("/f/{}", "a".repeat(limits::PATH)), true), Some(Reason::TooLarge));
    }

    #[test]
    fn exactly_one_well_formed_host() {
        for good in ["127.0.0.1", "127.0.0.1:5050", "localhost:1", "[::1]:5050", "pass.example.com"] {
            assert_eq!(check("/", "/", &[("host", good)]), None, "{good}");
        }
        for bad in ["", "a@b", "[::1", "h:99999999", "http://h", "h/p", "h:", "a b"] {
            assert_eq!(check("/", "/", &[("host", bad)]), Some(Reason::Malformed), "{bad}");
        }
        assert_eq!(check("/", "/", &[]), Some(Reason::Malformed));
        assert_eq!(check("/", "/", &[("host", "a"), ("host", "a")]), Some(Reason::Malformed));
        assert_eq!(check("/", "http://a/", &[("host", "a")]), None);
        assert_eq!(check("/", "http://b/", &[("host", "a")]), Some(Reason::Malformed));
    }

    #[test]
    fn what_http2_carries_elsewhere_is_put_where_http1_has_it() {
        let request = http::Request::get("https://pass.example.com:8443/")
            .header("cookie", "a=1")
            .header("cookie", "sid=2; b=3");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        as_in_http1(&mut parts);
        assert_eq!(parts.headers["host"], "pass.example.com:8443");
        assert_eq!(parts.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; sid=2; b=3"]);
        let other = http::Request::get("https://a/").header("host", "b").body(()).unwrap();
        let (mut parts, ()) = other.into_parts();
        as_in_http1(&mut parts);
        assert_eq!(parts.headers["host"], "b", "and check_host refuses it");
    }

    #[test]
    fn sizes_are_limited() {
        let host = ("host", "h");
        let long = "a".repeat(limits::HEADER_BYTES);
        assert_eq!(check("/", "/", &[host, ("x", &long)]), Some(Reason::TooLarge));
        assert_eq!(check("/", "/", &[("host", "h"); limits::HEADERS + 1]), Some(Reason::TooLarge));
        assert_eq!(
            check(&format!("/?{}", "a".repeat(limits::QUERY + 1)), "/", &[host]),
            Some(Reason::TooLarge)
        );
        assert_eq!(check(&format!("/{}", "a".repeat(limits::PATH)), "/", &[host]), Some(Reason::TooLarge));
    }
}
