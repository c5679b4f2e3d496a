//! What a visitor shows of itself: a ticket, a JWT, or a session of the operator's application.
//!
//! What a page's script put there on purpose stands before the session, which a browser sends along by itself. Of
//! two things shown on purpose neither is believed.

use crate::text::form_decode;
use daypass_core::dialect::Evidence;
use daypass_core::endpoint::{Carrier, Endpoint};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::secret::Secret;
use http::header::{AUTHORIZATION, COOKIE, HeaderValue};

/// The longest session, in bytes: what browsers allow a cookie to be.
const SESSION: usize = 4096;

/// Takes the evidence out of a request; none where it shows nothing that this endpoint reads.
pub(super) fn read(head: &Head, endpoint: &Endpoint) -> Result<Option<Evidence>, Refusal> {
    match (authorization(head)?, ticket_in_query(&head.query)?) {
        (Some(_), Some(_)) => Err(several("a ticket in the query and an Authorization header")),
        (Some(shown), None) | (None, Some(shown)) => Ok(Some(shown)),
        (None, None) => {
            let session = endpoint.session().map(|rule| session(head, &rule.carrier)).transpose()?.flatten();
            Ok(session.map(Evidence::Session))
        }
    }
}

/// `Authorization: Ticket …` or `Authorization: Bearer …`.
///
/// Attack: of two headers, a proxy that checks and we might each believe another one. A scheme that means nothing
/// here is refused rather than passed over, so that whoever shows something is never served as a nobody.
fn authorization(head: &Head) -> Result<Option<Evidence>, Refusal> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(several("two Authorization headers"));
    }
    let (scheme, shown) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(scheme)?;
    let shown = token(shown.trim_matches(' '), "the Authorization header")?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case("ticket") => Ok(Some(Evidence::Ticket(shown))),
        _ if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(Evidence::Jwt(shown))),
        _ => Err(self::scheme()),
    }
}

/// `?ticket=…`, for pages whose library cannot set a header. Everything else in a query means nothing here.
fn ticket_in_query(query: &str) -> Result<Option<Evidence>, Refusal> {
    let mut tickets = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decode(name)? == "ticket").then_some(value)
    });
    let Some(value) = tickets.next() else { return Ok(None) };
    if tickets.next().is_some() {
        return Err(several("two tickets in the query"));
    }
    let value = form_decode(value).unwrap_or_default();
    token(&value, "the query").map(|ticket| Some(Evidence::Ticket(ticket)))
}

/// The characters that RFC 7235 gives to such a value; tickets and JWTs have fewer.
fn token(text: &str, place: &str) -> Result<Secret, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() || !text.bytes().all(plain) {
        let detail = format!("what stands in {place} is no ticket and no token, or it was cut or encoded");
        return Err(Refusal::new(Reason::MalformedProof, detail));
    }
    Ok(Secret::new(text))
}

fn session(head: &Head, carrier: &Carrier) -> Result<Option<Secret>, Refusal> {
    let found = match carrier {
        Carrier::Cookie(name) => cookie(head, name)?,
        Carrier::Header(name) => {
            let mut values = head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
            let found = values.next();
            if values.next().is_some() {
                return Err(several("two sessions"));
            }
            found.map(<[u8]>::trim_ascii)
        }
    };
    let Some(value) = found.filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.len() > SESSION || !value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        let detail = format!("a session has at most {SESSION} bytes, all of them visible ASCII characters");
        return Err(Refusal::new(Reason::MalformedProof, detail));
    }
    Ok(Some(Secret::new(value)))
}

/// The value of the cookie of this very name, quotes included: the application gets what it would have got.
///
/// Attack: a neighbouring host of the same domain can set a cookie of the same name; which of the two comes first is
/// the browser's choice, so neither is believed. A quoted value with a semicolon in it is one cookie to some readers
/// and two to others, and is believed by none.
fn cookie<'a>(head: &'a Head, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let fields = head.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut values = fields.flat_map(|field| field.split(|byte| *byte == b';')).filter_map(|pair| {
        let (key, value) = pair.trim_ascii().split_at_checked(name.len())?;
        value.strip_prefix(b"=").filter(|_| key == name.as_bytes())
    });
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(several("two cookies of the session's name"));
    }
    let inner = value.strip_prefix(b"\"").map_or(Some(value), |rest| rest.strip_suffix(b"\""));
    match inner {
        Some([]) => Ok(None),
        Some(inner) if !inner.contains(&b'"') => Ok(Some(value)),
        _ => Err(Refusal::new(Reason::MalformedProof, "the quotes of the session's cookie do not match")),
    }
}

fn several(what: &str) -> Refusal {
    Refusal::new(Reason::SeveralProofs, format!("the request carries {what}; send one"))
}

fn scheme() -> Refusal {
    Refusal::new(
        Reason::MalformedProof,
        "the Authorization header must be Ticket or Bearer, a blank, and the ticket or token",
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::endpoint;
    use super::*;
    use daypass_core::testing::request;
    use proptest::prelude::*;

    /// What is found, in short.
    fn found(ways: &str, query: &str, headers: &[(&str, &str)]) -> Result<String, Reason> {
        let head = request("GET", &format!("/getAuthorization?{query}"), headers, b"").head;
        match read(&head, &endpoint(ways)) {
            Ok(None) => Ok("nothing".into()),
            Ok(Some(Evidence::Session(value))) => Ok(format!("session {}", value.expose_str())),
            Ok(Some(Evidence::Ticket(value))) => Ok(format!("ticket {}", value.expose_str())),
            Ok(Some(Evidence::Jwt(value))) => Ok(format!("jwt {}", value.expose_str())),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[track_caller]
    fn check(ways: &str, query: &str, headers: &[(&str, &str)], expected: Result<&str, Reason>) {
        let found = found(ways, query, headers);
        assert_eq!(found.as_deref().map_err(|reason| *reason), expected, "{ways} ?{query} {headers:?}");
    }

    #[test]
    fn a_ticket_or_a_jwt_stands_in_one_header() {
        let authorization = |value| [("authorization", value)];
        for (value, expected) in [
            ("Ticket dpt_a-b", Ok("ticket dpt_a-b")),
            ("tICKET  a.b.c ", Ok("ticket a.b.c")),
            ("Bearer a.b.c", Ok("jwt a.b.c")),
            ("bearer x", Ok("jwt x")),
            ("Bearer", Err(Reason::MalformedProof)),
            ("Bearer ", Err(Reason::MalformedProof)),
            ("Bearer a b", Err(Reason::MalformedProof)),
            ("Bearer a, Bearer b", Err(Reason::MalformedProof)),
            ("Bearer\ta", Err(Reason::MalformedProof)),
            ("Bearer \"a\"", Err(Reason::MalformedProof)),
            ("Basic YTpi", Err(Reason::MalformedProof)),
            ("Token a", Err(Reason::MalformedProof)),
            ("TicketX a", Err(Reason::MalformedProof)),
            ("", Err(Reason::MalformedProof)),
        ] {
            for ways in ["ticket jwt", "anonymous", "cookie"] {
                check(ways, "", &authorization(value), expected);
            }
        }
        let two = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        check("jwt", "", &two, Err(Reason::SeveralProofs));
    }

    #[test]
    fn a_ticket_may_stand_in_the_query() {
        for (query, expected) in [
            ("ticket=dpt_a", Ok("ticket dpt_a")),
            ("a=b&%74icket=a.b%2Dc&x=%zz&&", Ok("ticket a.b-c")),
            ("Ticket=a&tickets=b&ticket%00=c", Ok("nothing")),
            ("ticket=a&ticket=a", Err(Reason::SeveralProofs)),
            ("ticket=a&tick%65t=b", Err(Reason::SeveralProofs)),
            ("ticket", Err(Reason::MalformedProof)),
            ("ticket=", Err(Reason::MalformedProof)),
            ("ticket=a+b", Err(Reason::MalformedProof)),
            ("ticket=%zz", Err(Reason::MalformedProof)),
            ("ticket=a%0d%0ab", Err(Reason::MalformedProof)),
        ] {
            check("ticket", query, &[], expected);
        }
    }

    #[test]
    fn two_things_shown_on_purpose_are_none() {
        for scheme in ["Ticket a", "Bearer a"] {
            check("ticket jwt", "ticket=a", &[("authorization", scheme)], Err(Reason::SeveralProofs));
        }
    }

    #[test]
    fn what_is_shown_on_purpose_stands_before_the_session() {
        let cookies = [("cookie", "sid=s"), ("authorization", "Ticket t")];
        check("cookie ticket", "", &cookies, Ok("ticket t"));
        check("cookie ticket", "ticket=t", &cookies[..1], Ok("ticket t"));
        check("header jwt", "", &[("x-session", "s"), ("authorization", "Bearer j")], Ok("jwt j"));
        let doubled = [("cookie", "sid=a; sid=b"), ("authorization", "Ticket t")];
        check("cookie ticket", "", &doubled, Ok("ticket t"));
        let broken = [("cookie", "sid=s"), ("authorization", "Ticket")];
        check("cookie ticket", "", &broken, Err(Reason::MalformedProof));
    }

    #[test]
    fn a_cookie_is_read_by_its_very_name() {
        let long = "s".repeat(SESSION);
        for (cookies, expected) in [
            ("sid=s", Ok("session s")),
            ("a=b;sid=s;c", Ok("session s")),
            ("  sid=s  ; x=y", Ok("session s")),
            ("sid=a=b==", Ok("session a=b==")),
            ("sid=s%3Ax.y+z/_-~!", Ok("session s%3Ax.y+z/_-~!")),
            ("sid=\"quoted, text\"", Ok("session \"quoted, text\"")),
            ("sid", Ok("nothing")),
            ("sid=", Ok("nothing")),
            ("sid=\"\"", Ok("nothing")),
            ("SID=s; xsid=s; sidx=s; =sid; x=sid=s", Ok("nothing")),
            ("sid =s", Ok("nothing")),
            ("", Ok("nothing")),
            ("sid=a; sid=a", Err(Reason::SeveralProofs)),
            ("sid=; sid=a", Err(Reason::SeveralProofs)),
            ("sid=\"a; x=b\"", Err(Reason::MalformedProof)),
            ("sid=\"", Err(Reason::MalformedProof)),
            ("sid=a\"b", Err(Reason::MalformedProof)),
            ("sid=a\tb", Err(Reason::MalformedProof)),
            (&format!("sid={long}x"), Err(Reason::MalformedProof)),
        ] {
            check("cookie", "", &[("cookie", cookies)], expected);
        }
        check("cookie", "", &[("cookie", &format!("sid={long}"))], Ok(&format!("session {long}")));
        check("cookie", "", &[("cookie", "a=b"), ("cookie", "sid=s")], Ok("session s"));
        check("cookie", "", &[("cookie", "sid=a"), ("cookie", "sid=b")], Err(Reason::SeveralProofs));
        check("ticket jwt", "", &[("cookie", "sid=a; sid=b")], Ok("nothing"));
    }

    #[test]
    fn a_session_may_stand_in_a_header() {
        check("header", "", &[("x-session", " a b ")], Ok("session a b"));
        check("header", "", &[("x-session", "")], Ok("nothing"));
        check("header", "", &[("cookie", "x-session=a")], Ok("nothing"));
        check("header", "", &[("x-session", "a"), ("x-session", "a")], Err(Reason::SeveralProofs));
        check("header", "", &[("x-session", "caf\u{e9}")], Err(Reason::MalformedProof));
        check("cookie", "", &[("x-session", "a")], Ok("nothing"));
    }

    proptest! {
        /// What is passed on to the application could not end its header or begin another cookie.
        #[test]
        fn a_session_is_one_cookies_value(cookies in "[ -~\t]{0,60}", more in "(sid=[ -~]{0,12};? ?){0,3}") {
            let (cookies, more) = (cookies.trim(), more.trim());
            let headers = [("cookie", cookies), ("cookie", more)];
            if let Ok(found) = found("cookie", "", &headers)
                && let Some(value) = found.strip_prefix("session ")
            {
                prop_assert!(!value.contains([';', '\r', '\n', '\t']), "{value}");
                let joined = format!("{cookies};{more}");
                let pair = format!("sid={value}");
                prop_assert!(joined.contains(&pair), "{pair}");
            }
        }

        #[test]
        fn any_query_and_header_can_be_read(query: String, header in "\\PC{0,40}") {
            let query = query.replace('#', "");
            let value = HeaderValue::from_str(&header);
            for name in ["authorization", "cookie", "x-session"] {
                let mut sent = request("GET", &format!("/getAuthorization?{query}"), &[], b"");
                if let Ok(value) = &value {
                    sent.head_mut().headers.append(name, value.clone());
                }
                for ways in ["cookie ticket jwt", "header"] {
                    let _ = read(&sent.head, &endpoint(ways));
                }
            }
        }
    }
}
