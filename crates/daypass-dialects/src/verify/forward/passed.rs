//! The request that a proxy asks about, as it passed it on.

use crate::verify::essence::{Body, Essence, Told};
use bytes::Bytes;
use daypass_core::forward::{ForwardAuth, Proxy, Target};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, UPGRADE};

/// The header in which the proxy shows whose API it stands before. The proxy sets it in place of whatever came.
pub const API: &str = "x-daypass-api";

/// What begins with this is said by us alone.
const OURS: &str = "x-daypass-";

/// Where nginx, as the guide configures it, puts method, host and address with query.
const NGINX: [&str; 3] = ["x-original-method", "x-original-host", "x-original-uri"];
/// Where Caddy and Traefik put them.
const FORWARDED: [&str; 3] = ["x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"];

/// Headers by which frameworks take another method or address for that of the request.
///
/// Attack: `GET`, which the rules allow, with `X-HTTP-Method-Override: DELETE`.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-override-url",
];
/// The parameters of the query by which frameworks do the same, beside those that are called as such a header, with each
/// character that is neither letter nor digit as a hyphen.
const METHOD_PARAMETERS: [&str; 2] = ["-method", "-httpmethod"];

/// The one protocol to which a connection may be changed.
///
/// Attack: `Upgrade: h2c`, to an API that knows it: of what is sent on that connection afterwards nobody is asked.
const UPGRADE_TO: &[u8] = b"websocket";
/// Comes with a change to `h2c` (RFC 7540, section 3.2.1), and may stand alone where a proxy takes `Upgrade` away.
const H2C: &str = "http2-settings";

/// A request with one reading.
pub(super) struct Passed {
    /// Its method.
    pub(super) method: String,
    /// What it is about.
    pub(super) target: Target,
    /// Its URL as its sender sees it, but for the query.
    pub(super) url: String,
    /// What its proof can be about.
    pub(super) essence: Essence,
}

impl Passed {
    /// Finds it where this kind of proxy puts it, and nowhere else.
    pub(super) fn read(forward: &ForwardAuth, head: &Head) -> Result<Self, Refusal> {
        refuse_disguised(&head.headers)?;
        let (method, host, uri) = match forward.proxy {
            Proxy::Nginx => told(head, NGINX)?,
            Proxy::Caddy | Proxy::Traefik => told(head, FORWARDED)?,
            Proxy::Envoy => {
                let path = head.path.strip_prefix(forward.path.as_str()).unwrap_or_default();
                let uri =
                    if head.query.is_empty() { path.to_owned() } else { format!("{path}?{}", head.query) };
                (head.method.as_str(), one(head, "host")?, uri)
            }
        };
        let target = Target::read(host, &uri)?;
        let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
        if names_another_method(query) {
            return Err(ambiguous("the query names another method than the request"));
        }
        let headers = [AUTHORIZATION, HeaderName::from_static("dpop")];
        let proofs =
            headers.iter().flat_map(|name| head.headers.get_all(name).iter().map(move |value| (name, value)));
        let proofs =
            proofs.map(|(name, value)| Ok((name.as_str(), value.to_str().map_err(|_| malformed_proof())?)));
        let told =
            Told { method, host: Some(host), path, query, headers: proofs.collect::<Result<_, Refusal>>()? };
        Ok(Self {
            method: method.to_owned(),
            url: format!("https://{host}{path}"),
            essence: Essence::new(head, &told, Body::Whole(Bytes::new()))?,
            target,
        })
    }
}

/// Method, host and address in headers of these names.
fn told<'a>(
    head: &'a Head,
    [method, host, uri]: [&'static str; 3],
) -> Result<(&'a str, &'a str, String), Refusal> {
    Ok((one(head, method)?, one(head, host)?, one(head, uri)?.to_owned()))
}

/// What stands in this header, once.
fn one<'a>(head: &'a Head, name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        // Attack: a proxy that adds its header beside the one that came, in place of putting its own there.
        (Some(_), Some(_)) => Err(ambiguous("a header of the proxy's stands twice")),
        (Some(value), None) if !value.is_empty() => {
            value.to_str().map_err(|_| ambiguous("a header of the proxy's holds what no address holds"))
        }
        _ => Err(Refusal::missing(name)),
    }
}

/// Refuses a request with a header that the API, or what runs it, could take for another one.
fn refuse_disguised(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in headers.keys().map(HeaderName::as_str) {
        // To CGI, WSGI and others, `X_Daypass_Client` is `X-Daypass-Client`, and so is `X.Daypass.Client` to some.
        let plain = plain(name);
        if plain.starts_with(OURS) && name != API {
            return Err(ambiguous("the request claims a header of Daypass's own"));
        }
        if OVERRIDES.contains(&plain.as_str()) {
            return Err(ambiguous("the request names another method or address than its own"));
        }
        let read = [AUTHORIZATION.as_str(), "dpop", "host"].into_iter().chain(NGINX).chain(FORWARDED);
        if plain != name && read.into_iter().any(|one| one == plain) {
            return Err(ambiguous("the request has a header in the disguise of another one"));
        }
    }
    let leads_away = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(UPGRADE_TO);
    if headers.get_all(UPGRADE).iter().any(leads_away) || headers.contains_key(H2C) {
        return Err(ambiguous("the request changes its connection to a protocol that is not judged"));
    }
    Ok(())
}

/// A name in lower case, with a hyphen for each character that is neither letter nor digit.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Whether a framework could find another method in the query than the request's.
///
/// Attack: a way of writing that some read and others do not. To Ruby's Rack a semicolon parts parameters; to PHP
/// `.method`, `[method` and `%20_method` are `_method`, and a name ends at NUL.
fn names_another_method(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        form_urlencoded::parse(name.as_bytes()).any(|(name, _)| {
            let name = plain(name.split('\0').next().unwrap_or_default().trim_start());
            METHOD_PARAMETERS.contains(&&*name) || OVERRIDES.contains(&&*name)
        })
    })
}

fn ambiguous(detail: &'static str) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}

fn malformed_proof() -> Refusal {
    Refusal::new(Reason::MalformedProof, "an Authorization header holds visible characters alone")
}
