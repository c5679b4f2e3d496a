//! One careful question over HTTP: in time, of bounded size, to where we were told and nowhere else.

mod address;
mod fault;
mod head;
#[cfg(test)]
mod tests;

pub use address::Address;

use crate::fault::{Fault, FaultKind};
use daypass_core::clock::Timestamp;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, retry};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tracing::Instrument as _;
use zeroize::Zeroizing;

/// How long a connection may take to come about, within the limit of the whole question.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept: less than any usual server keeps one, so that none is used that the other
/// side is just closing.
const IDLE: Duration = Duration::from_secs(1);
/// The most idle connections to one host.
const SPARE: usize = 32;

/// Content types of a JSON document, beside those whose name ends in `+json`.
pub const JSON: &[&str] = &["application/json"];

/// The way out. Attack: an answer that sends us elsewhere, or a proxy that a variable of the environment names, would
/// get a session's value or a cloud's credential, or would say who our callers are; so neither is followed.
pub struct Http {
    /// For this machine. It trusts no certificate at all, so that it cannot be used for anything else.
    local: Client,
    /// For everywhere else, over TLS.
    web: Option<Client>,
}

/// Whose certificates are believed.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Nobody's: nothing is fetched over TLS.
    Nobody,
    /// Those that the system trusts.
    System,
    /// Those that these certificates (PEM) have signed, and no others.
    Only(&'a str),
}

/// Why there is no way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoWay(String);

/// A question.
pub struct Ask<'a> {
    /// Where to.
    pub address: &'a Address,
    /// What is sent in a POST, and its content type; none for a GET.
    pub body: Option<(&'static str, &'a [u8])>,
    /// What is sent beside the usual. No value of it is ever shown.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The content types that an answer may have, JSON's beside.
    pub accept: &'static [&'static str],
    /// How long it may take from beginning to end.
    pub limit: Duration,
    /// The most bytes of the answer.
    pub most: usize,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The document, unread. Where the status is not 200 it is empty unless it came whole, small and of the right type.
    pub document: Zeroizing<Vec<u8>>,
    /// For how many seconds it may be kept, where it says so.
    pub max_age: Option<u32>,
    /// What the clock of the other side showed.
    pub date: Option<Timestamp>,
    /// In how many seconds the other side wants to be asked again.
    pub retry_after: Option<u32>,
    /// The head as it came.
    pub headers: HeaderMap,
}

impl Http {
    /// Prepares the clients. Only where `trust` is the system are its certificates read, and only then must there be some.
    pub fn new(trust: Trust<'_>) -> Result<Self, NoWay> {
        // A name service that answers for `localhost` with another machine is not believed.
        let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let here = here.map(|address| SocketAddr::new(address, 0));
        let local = builder().tls_certs_only([]).resolve_to_addrs("localhost", &here).build();
        let web = match trust {
            Trust::Nobody => None,
            Trust::System => Some(builder()),
            Trust::Only(pem) => Some(builder().tls_certs_only(certificates(pem)?)),
        };
        let web = web.map(|web| web.https_only(true).build()).transpose();
        Ok(Self {
            local: local.map_err(|fault| no_way("cannot prepare requests to this machine", &fault))?,
            web: web.map_err(|fault| {
                no_way("cannot prepare requests over TLS; does this system have root certificates?", &fault)
            })?,
        })
    }

    /// Asks, and waits for the whole answer. A status other than 200 is an answer too.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Fault> {
        let limit = ask.limit;
        let late = || Fault::new(FaultKind::Late, format!("no answer within {} ms", limit.as_millis()));
        // For whoever follows requests: which cloud it is stands in the role, and what was asked is nobody's business.
        let wait = tracing::debug_span!(target: "daypass::traces", "upstream", otel.name = "upstream.call", otel.kind = "client");
        tokio::time::timeout(limit, self.send(ask)).instrument(wait).await.map_err(|_| late())?
    }

    async fn send(&self, ask: Ask<'_>) -> Result<Answer, Fault> {
        let response = self.request(&ask)?.send().await.map_err(|fault| fault::unanswered(&fault))?;
        let status = response.status();
        let mut answer = Answer {
            status,
            document: Zeroizing::default(),
            max_age: head::max_age(response.headers()),
            date: head::date(response.headers()),
            retry_after: head::retry_after(response.headers()),
            headers: response.headers().clone(),
        };
        let document = read_checked(response, &ask).await;
        match document {
            Ok(document) => answer.document = document,
            Err(fault) if status == StatusCode::OK => return Err(fault),
            // What is wrong with the document of a refusal is of less interest than that it is one.
            Err(_) => {}
        }
        Ok(answer)
    }

    fn request(&self, ask: &Ask<'_>) -> Result<RequestBuilder, Fault> {
        let client = if ask.address.is_local() { Some(&self.local) } else { self.web.as_ref() };
        let unforeseen = || Fault::new(FaultKind::Refused, "an https address that was not foreseen");
        let client = client.ok_or_else(unforeseen)?;
        let method = if ask.body.is_some() { Method::POST } else { Method::GET };
        let mut request = client
            .request(method, ask.address.url().clone())
            .header(ACCEPT, ask.accept.first().copied().unwrap_or("application/json"))
            // Attack: a few bytes that unpack to gigabytes. Nothing is unpacked here, so nothing packed is asked for.
            .header(ACCEPT_ENCODING, "identity");
        if let Some((kind, body)) = ask.body {
            request = request.header(CONTENT_TYPE, kind).body(body.to_vec());
        }
        for (name, value) in &ask.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        Ok(request)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent("daypass")
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(SPARE)
}

fn certificates(pem: &str) -> Result<Vec<Certificate>, NoWay> {
    let certificates = Certificate::from_pem_bundle(pem.as_bytes());
    let certificates = certificates.map_err(|fault| no_way("the certificates cannot be read", &fault))?;
    if certificates.is_empty() {
        return Err(NoWay("there is no certificate in it".to_owned()));
    }
    Ok(certificates)
}

fn no_way(what: &str, fault: &reqwest::Error) -> NoWay {
    NoWay(fault::down_to_the_cause(what, fault))
}

async fn read_checked(response: Response, ask: &Ask<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if let Some(encoding) = head::encoding(response.headers()) {
        return Err(Fault::new(
            FaultKind::TooLarge,
            format!("the answer is packed ({encoding}), which was not asked for"),
        ));
    }
    if !head::is_of(response.headers(), ask.accept) {
        return Err(Fault::new(FaultKind::WrongType, "the content type of the answer is not JSON"));
    }
    read(response, ask.most).await
}

/// Reads while it comes: the length that a head announces is the other side's word, and it may announce none.
async fn read(mut response: Response, most: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let large = || Fault::new(FaultKind::TooLarge, format!("the answer is larger than {most} bytes"));
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |l| l > most)) {
        return Err(large());
    }
    let mut document = Zeroizing::new(Vec::new());
    while let Some(piece) = response.chunk().await.map_err(|fault| fault::broken(&fault))? {
        if document.len() + piece.len() > most {
            return Err(large());
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}
