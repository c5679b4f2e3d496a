//! Which page may read an answer to a visitor.
//!
//! The list is exact: an origin is served if the endpoint's list holds the very text that the browser sent.

use daypass_core::endpoint::{Carrier, Endpoint, SessionRule};
use daypass_core::request::{Head, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderName, HeaderValue, ORIGIN, VARY,
};

/// Headers of a page's request that a preflight admits, where the page asks for them. HTTP libraries add these of
/// themselves; none of them means anything to us.
const HEADERS: [&str; 6] =
    ["accept", "accept-language", "cache-control", "content-type", "pragma", "x-requested-with"];

/// How long a browser may remember a preflight, in seconds. A withdrawn origin loses nothing by it: each answer
/// is checked again.
const MAX_AGE: &str = "600";

/// What a page may read besides the body: our time, because phones have wrong clocks, when to ask again, and what
/// to show the next time in place of a used ticket.
const EXPOSED: &str = "date, retry-after, daypass-refresh";

/// What the answer to a preflight depends on.
const PREFLIGHT_VARIES: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// Keeps other sites' pages from embedding an answer.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Where a request says it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nowhere: it is no browser's request for another site.
    None,
    /// A listed page.
    Listed(HeaderValue),
    /// A page that is not listed, or more than one.
    Refused,
}

impl Origin {
    /// Compares the `Origin` header with the list.
    ///
    /// Attack: a match by prefix, suffix, case or without the port lets `https://good.example.evil.example` read
    /// a credential; of two headers, a proxy and we might each believe another one.
    pub(super) fn of(head: &Head, listed: &[String]) -> Self {
        let mut values = head.headers.get_all(ORIGIN).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(origin), None) if listed.iter().any(|one| one.as_bytes() == origin.as_bytes()) => {
                Self::Listed(origin.clone())
            }
            _ => Self::Refused,
        }
    }

    /// Tells the browser who may read this answer. `Vary` stands on every answer, or a shared cache could hand
    /// one page's permission to another.
    ///
    /// A page may read what the user's cookies brought only where the endpoint knows its callers by a cookie.
    /// Attack: granted everywhere, a listed page that was taken over could use whatever else the browser sends.
    pub(super) fn mark(&self, endpoint: &Endpoint, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        let Self::Listed(origin) = self else {
            headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if let Some(SessionRule { carrier: Carrier::Cookie(_), .. }) = endpoint.session() {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// Adds what only the answer to a preflight says. Other methods and private networks are never granted.
    pub(super) fn grant(&self, endpoint: &Endpoint, head: &Head, response: &mut Response) {
        self.mark(endpoint, response);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARIES));
        if !matches!(self, Self::Listed(_)) {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        let granted = granted(endpoint, head);
        if let Ok(value) = HeaderValue::try_from(granted.join(", "))
            && !granted.is_empty()
        {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
        }
    }
}

/// Of the headers that a page wants to send, those that mean nothing here and those that this endpoint reads.
fn granted<'a>(endpoint: &'a Endpoint, head: &Head) -> Vec<&'a str> {
    let explicit = endpoint.ticket().is_some() || endpoint.jwt().is_some();
    let session = endpoint.session().and_then(|rule| match &rule.carrier {
        Carrier::Header(name) => Some(name.as_str()),
        Carrier::Cookie(_) => None,
    });
    let known = || HEADERS.into_iter().chain(explicit.then_some("authorization")).chain(session);
    let asked = head.header(ACCESS_CONTROL_REQUEST_HEADERS.as_str()).unwrap_or_default();
    let mut granted: Vec<&str> = Vec::new();
    for name in asked.split(',').map(str::trim) {
        let known = known().find(|known| known.eq_ignore_ascii_case(name));
        granted.extend(known.filter(|known| !granted.contains(known)));
    }
    granted
}

#[cfg(test)]
mod tests {
    use super::super::fixture::endpoint;
    use super::*;
    use daypass_core::testing::request;

    fn origin(headers: &[(&str, &str)]) -> Origin {
        let listed = ["https://lesson.example.com".to_owned(), "http://127.0.0.1:88".to_owned()];
        Origin::of(&request("GET", "/getAuthorization", headers, b"").head, &listed)
    }

    #[test]
    fn only_the_very_text_of_the_list_is_served() {
        for listed in ["https://lesson.example.com", "http://127.0.0.1:88"] {
            assert_eq!(origin(&[("origin", listed)]), Origin::Listed(HeaderValue::from_static(listed)));
        }
        for other in [
            "https://lesson.example.com.evil.example",
            "https://lesson.example.co",
            "https://evil-lesson.example.com",
            "http://lesson.example.com",
            "https://lesson.example.com:443",
            "https://lesson.example.com/",
            "HTTPS://lesson.example.com",
            "http://127.0.0.1",
            "http://127.0.0.1:8888",
            "null",
            "*",
            "",
        ] {
            assert_eq!(origin(&[("origin", other)]), Origin::Refused, "{other}");
        }
        let two = [("origin", "https://lesson.example.com"), ("origin", "https://lesson.example.com")];
        assert_eq!(origin(&two), Origin::Refused);
        assert_eq!(origin(&[]), Origin::None);
    }

    #[test]
    fn a_preflight_grants_the_headers_that_the_endpoint_reads() {
        let granted = |ways: &str, asked: &str| {
            let endpoint = endpoint(ways);
            let headers = [("origin", "http://127.0.0.1:88"), ("access-control-request-headers", asked)];
            let head = request("OPTIONS", "/", &headers, b"").head;
            let mut response = Response::default();
            Origin::of(&head, &endpoint.origins).grant(&endpoint, &head, &mut response);
            assert_eq!(response.headers()["access-control-allow-methods"], "GET");
            assert_eq!(response.headers()["vary"], PREFLIGHT_VARIES);
            response.headers().get("access-control-allow-headers").map(|v| v.to_str().unwrap().to_owned())
        };
        for (ways, asked, expected) in [
            (
                "anonymous",
                "X-Requested-With,content-type, Content-Type",
                Some("x-requested-with, content-type"),
            ),
            ("anonymous", "authorization, x-evil", None),
            ("anonymous", "*", None),
            ("anonymous", "", None),
            ("ticket", "Authorization", Some("authorization")),
            ("jwt", "accept,authorization", Some("accept, authorization")),
            ("cookie", "authorization, cookie, x-session", None),
            ("header", "authorization, X-Session", Some("x-session")),
            ("header ticket", "x-session,authorization", Some("x-session, authorization")),
        ] {
            assert_eq!(granted(ways, asked).as_deref(), expected, "{ways}: {asked}");
        }
    }

    #[test]
    fn credentials_are_allowed_where_a_cookie_proves_something() {
        for (ways, allowed) in [("cookie", true), ("cookie jwt ticket", true), ("header jwt ticket", false)] {
            let mut response = Response::default();
            origin(&[("origin", "http://127.0.0.1:88")]).mark(&endpoint(ways), &mut response);
            let headers = response.headers();
            assert_eq!(headers.contains_key("access-control-allow-credentials"), allowed, "{ways}");
            assert!(!headers.contains_key(RESOURCE_POLICY));
        }
    }

    #[test]
    fn nobody_else_may_embed_an_answer() {
        for headers in [&[][..], &[("origin", "https://evil.example")]] {
            let mut response = Response::default();
            origin(headers).mark(&endpoint("cookie"), &mut response);
            assert_eq!(response.headers()[RESOURCE_POLICY], "same-origin");
            let cors = response.headers().keys().filter(|name| name.as_str().starts_with("access-control"));
            assert_eq!(cors.count(), 0);
        }
    }
}
