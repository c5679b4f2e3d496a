//! What a browser says about a request: from which page it comes, and whether a script fetched it.
//!
//! Browsers set `Origin` and the `Sec-Fetch-*` headers themselves; a page cannot. Whoever is no browser can write
//! anything into them or leave them out, so they prove nothing about a caller: they stop a browser from being used
//! against its own user, and no more.
//!
//! Sources: the Fetch standard, and W3C "Fetch Metadata Request Headers".

use super::cors::Origin;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use http::header::ORIGIN;
use std::borrow::Cow;

const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
const DEST: &str = "sec-fetch-dest";

/// The origin of the page that a request comes from, where it comes from one: the `Origin` header, or our own
/// where the browser says that the page is of the same origin, because such a GET carries no `Origin`.
pub(super) fn origin(head: &Head, sent: &Origin, public_url: &str) -> Result<Option<String>, Refusal> {
    let own = || origin_of(public_url);
    match sent {
        Origin::Listed(origin) => Ok(origin.to_str().ok().map(str::to_owned)),
        Origin::Refused if is_own(head, public_url) => Ok(own().map(Cow::into_owned)),
        Origin::Refused => Err(not_listed()),
        Origin::None => match said(head, SITE) {
            None | Some("none") => Ok(None),
            Some("same-origin") => Ok(own().map(Cow::into_owned)),
            // Attack: a page of another origin lets the browser send the user's cookie along and hides where it is.
            Some(_) => Err(not_fetched("it comes from another origin and does not name it")),
        },
    }
}

/// Whether the request's one `Origin` is this service's own.
pub(super) fn is_own(head: &Head, public_url: &str) -> bool {
    head.header(ORIGIN.as_str()).is_some_and(|origin| origin_of(public_url).is_some_and(|own| own == origin))
}

/// Refuses what the browser says is no fetch of a script.
///
/// Attack: a link, a form, an image or a frame on any page makes the browser send the user's cookies as well; such
/// a page cannot read the answer, but it could use up the user's quota, or show the answer where it is copied from.
pub(super) fn check(head: &Head) -> Result<(), Refusal> {
    if said(head, MODE).is_some_and(|mode| !matches!(mode, "cors" | "same-origin")) {
        return Err(not_fetched("it is not made by fetch or XMLHttpRequest in their plain modes"));
    }
    if said(head, DEST).is_some_and(|dest| dest != "empty") {
        return Err(not_fetched("its answer is to be shown or embedded"));
    }
    Ok(())
}

/// Whether the user typed the address, or opened a bookmark: no page has a part in such a request.
pub(super) fn is_typed(head: &Head) -> bool {
    said(head, SITE) == Some("none") && said(head, MODE) == Some("navigate")
}

/// Whether a browser's page makes the request. A server's HTTP library sends neither header; Node's `fetch` sends
/// `Sec-Fetch-Mode` alone.
pub(super) fn is_from_page(head: &Head) -> bool {
    head.headers.contains_key(ORIGIN) || head.headers.contains_key(SITE)
}

/// The origin of a URL as a browser writes it: scheme and host in lower case, no default port.
pub(super) fn origin_of(url: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = authority.strip_suffix(default).unwrap_or(authority);
    let origin = url.get(..scheme.len() + "://".len() + host.len())?;
    let lower = !origin.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if lower { Cow::Borrowed(origin) } else { Cow::Owned(origin.to_ascii_lowercase()) })
}

pub(super) fn not_listed() -> Refusal {
    Refusal::new(
        Reason::OriginNotAllowed,
        "this page's origin is not one that the endpoint serves; its operator can add it to the list of origins",
    )
}

fn not_fetched(how: &str) -> Refusal {
    Refusal::new(
        Reason::NotFetched,
        format!("the browser says of this request that {how}; fetch it from the script of a listed page"),
    )
}

/// The value of a header that browsers set. One that is doubled or broken says nothing that is known.
fn said<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
    head.headers.contains_key(name).then(|| head.header(name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    const OWN: &str = "https://pass.example.com";
    const LISTED: &str = "https://lesson.example.com";

    fn page(headers: &[(&str, &str)]) -> Result<Option<String>, Reason> {
        let head = request("GET", "/getAuthorization", headers, b"").head;
        let sent = Origin::of(&head, &[LISTED.to_owned()]);
        origin(&head, &sent, "https://pass.example.com:443/base").map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_origin_is_the_header_or_what_the_browser_says() {
        let from = |origin: &str| Ok(Some(origin.to_owned()));
        let site = |site| ("sec-fetch-site", site);
        for (headers, expected) in [
            (&[][..], Ok(None)),
            (&[site("none")], Ok(None)),
            (&[("origin", LISTED)], from(LISTED)),
            (&[("origin", LISTED), site("cross-site")], from(LISTED)),
            (&[site("same-origin")], from(OWN)),
            (&[("origin", OWN)], from(OWN)),
            (&[("origin", OWN), site("same-origin")], from(OWN)),
            (&[("origin", "https://pass.example.com:443")], Err(Reason::OriginNotAllowed)),
            (&[("origin", "HTTPS://pass.example.com")], Err(Reason::OriginNotAllowed)),
            (&[("origin", OWN), ("origin", OWN)], Err(Reason::OriginNotAllowed)),
            (&[("origin", "null"), site("same-origin")], Err(Reason::OriginNotAllowed)),
            (&[("origin", "https://evil.example"), site("same-origin")], Err(Reason::OriginNotAllowed)),
            (&[site("cross-site")], Err(Reason::NotFetched)),
            (&[site("same-site")], Err(Reason::NotFetched)),
            (&[site("Same-Origin")], Err(Reason::NotFetched)),
            (&[site("same-origin"), site("same-origin")], Err(Reason::NotFetched)),
            (&[site("")], Err(Reason::NotFetched)),
        ] {
            assert_eq!(page(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn only_a_scripts_fetch_is_one() {
        let allowed = |headers: &[(&str, &str)]| check(&request("GET", "/", headers, b"").head).is_ok();
        let (mode, dest) = (|mode| ("sec-fetch-mode", mode), |dest| ("sec-fetch-dest", dest));
        assert!(allowed(&[]));
        assert!(allowed(&[mode("cors"), dest("empty")]));
        assert!(allowed(&[mode("same-origin"), dest("empty")]));
        assert!(allowed(&[mode("cors")]), "Node's fetch");
        for wrong in ["navigate", "no-cors", "websocket", "CORS", "", "cors, cors", "x"] {
            assert!(!allowed(&[mode(wrong)]), "{wrong}");
        }
        for wrong in ["document", "iframe", "image", "script", "style", "embed", "object", "worker", "", "x"]
        {
            assert!(!allowed(&[mode("cors"), dest(wrong)]), "{wrong}");
        }
        assert!(!allowed(&[mode("cors"), mode("cors")]), "twice is not once");
    }

    #[test]
    fn an_origin_has_no_default_port_and_no_path() {
        for (url, expected) in [
            ("https://pass.example.com", Some("https://pass.example.com")),
            ("https://pass.example.com:443", Some("https://pass.example.com")),
            ("https://Pass.Example.com:443/a/b?c#d", Some("https://pass.example.com")),
            ("https://pass.example.com:8443/", Some("https://pass.example.com:8443")),
            ("https://pass.example.com:80", Some("https://pass.example.com:80")),
            ("HTTP://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://127.0.0.1:5050", Some("http://127.0.0.1:5050")),
            ("http://[::1]:5050/x", Some("http://[::1]:5050")),
            ("http://[::80]", Some("http://[::80]")),
            ("ftp://pass.example.com", None),
            ("pass.example.com", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(origin_of(url).as_deref(), expected, "{url}");
        }
    }
}
