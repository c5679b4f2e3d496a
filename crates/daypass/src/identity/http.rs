//! One careful GET: in time, of bounded size, to where we were told and nowhere else.

use anyhow::Context as _;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long a connection may take to come about, within the limit of the whole question.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept: less than any usual server keeps one, so that none is used that the other
/// side is just closing.
const IDLE: Duration = Duration::from_secs(1);
/// The most idle connections to one host.
const SPARE: usize = 32;

const UNREACHED: &str = "no connection";
const UNANSWERED: &str = "no answer in HTTP";
const BROKEN: &str = "the answer broke off";

/// The way out. Attack: an answer that sends us elsewhere, or a proxy that a variable of the environment names, would
/// get a session's value, or would say who our callers are; so neither is followed.
pub(super) struct Http {
    /// For this machine. It trusts no certificate at all, so that it cannot be used for anything else.
    local: Client,
    /// For everywhere else, over TLS with the system's roots of trust.
    web: Option<Client>,
}

/// A question.
pub(super) struct Get<'a> {
    /// Where to.
    pub(super) address: &'a Address,
    /// What is sent beside the usual.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// How long it may take from beginning to end.
    pub(super) limit: Duration,
    /// The most bytes of the answer.
    pub(super) most: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// The JSON document, unread, where the status is 200; other statuses say enough by themselves.
    pub(super) document: Vec<u8>,
    /// For how many seconds it may be kept, where it says so.
    pub(super) max_age: Option<u32>,
}

/// Why there is no answer that can be used. The text is for the log; it holds neither what was sent nor what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Whoever was asked does not work now.
    #[error("{0}")]
    Down(String),
    /// It works, and answers with something else than was agreed.
    #[error("{0}")]
    Wrong(String),
}

/// Where something is fetched: `https` anywhere, plain `http` on this machine alone. Attack: whoever is on the way of
/// such an answer could say who our callers are.
///
/// What is checked is what is used: the same parsed URL goes to the connection, so that no two readers of one text
/// can disagree about its host. Private addresses are allowed over `https`: the operator names the addresses, and
/// an internal provider is the usual case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(Url);

impl Address {
    /// Reads a URL.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let refused = |why: &str| Err(Fault::Wrong(format!("an address {why}")));
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

    /// Scheme, host and port: what may be told of it. A path or a query may be a secret.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether it is on this machine and without TLS.
    pub(super) fn is_local(&self) -> bool {
        self.0.scheme() == "http"
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

impl Http {
    /// Prepares the clients. `web` says whether anything is fetched from elsewhere than this machine: only then are
    /// the system's roots of trust read, and only then must there be some.
    pub(super) fn new(web: bool) -> anyhow::Result<Self> {
        // A name service that answers for `localhost` with another machine is not believed.
        let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let here = here.map(|address| SocketAddr::new(address, 0));
        let local = builder().tls_certs_only([]).resolve_to_addrs("localhost", &here).build();
        let web = web.then(|| builder().https_only(true).build()).transpose();
        Ok(Self {
            local: local.context("cannot prepare requests to this machine")?,
            web: web.context("cannot prepare requests over TLS: does this system have root certificates?")?,
        })
    }

    /// Asks, and waits for the whole answer.
    pub(super) async fn get(&self, get: Get<'_>) -> Result<Answer, Fault> {
        let limit = get.limit;
        let late = || Fault::Down(format!("no answer within {} ms", limit.as_millis()));
        tokio::time::timeout(limit, self.fetch(get)).await.map_err(|_| late())?
    }

    async fn fetch(&self, get: Get<'_>) -> Result<Answer, Fault> {
        let Address(url) = get.address;
        let client = if get.address.is_local() { Some(&self.local) } else { self.web.as_ref() };
        let client =
            client.ok_or_else(|| Fault::Wrong("an https address that was not foreseen".to_owned()))?;
        let mut request = client.get(url.clone()).header(ACCEPT, "application/json");
        if let Some((name, mut value)) = get.header {
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let response = request
            .send()
            .await
            .map_err(|fault| down(if fault.is_connect() { UNREACHED } else { UNANSWERED }, &fault))?;
        let (status, max_age) = (response.status(), max_age(&response));
        if status != StatusCode::OK {
            return Ok(Answer { status, document: Vec::new(), max_age });
        }
        if !is_json(&response) {
            return Err(Fault::Wrong("the content type of the answer is not JSON".to_owned()));
        }
        Ok(Answer { status, document: read(response, get.most).await?, max_age })
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent("daypass")
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(SPARE)
}

/// Reads while it comes: the length that a head announces is the other side's word, and it may announce none.
async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, Fault> {
    let large = || Fault::Wrong(format!("the answer is larger than {most} bytes"));
    if response.content_length().is_some_and(|length| usize::try_from(length).is_ok_and(|l| l > most)) {
        return Err(large());
    }
    let mut document = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|fault| down(BROKEN, &fault))? {
        if document.len() + piece.len() > most {
            return Err(large());
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}

/// What went wrong, down to the first cause, without the address: a path or a query may hold what is nobody else's.
fn down(what: &str, fault: &reqwest::Error) -> Fault {
    let mut text = what.to_owned();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Fault::Down(text)
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// `max-age` of `Cache-Control`, RFC 9111 section 5.2.2.1. Where it stands twice, the first one counts.
fn max_age(response: &Response) -> Option<u32> {
    let directives = response.headers().get_all(CACHE_CONTROL);
    let mut directives = directives.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    directives.find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fake, Say};
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 1_000;

    async fn ask(fake: &Fake, header: Option<(HeaderName, HeaderValue)>) -> Result<Answer, Fault> {
        let address = Address::parse(&fake.url("/asked?with=a-query")).unwrap();
        let get = Get { address: &address, header, limit: Duration::from_millis(300), most: MOST };
        Http::new(false).unwrap().get(get).await
    }

    async fn told(say: Say) -> Result<Answer, Fault> {
        ask(&Fake::saying(say).await, None).await
    }

    fn wrong(text: &str) -> Fault {
        Fault::Wrong(text.to_owned())
    }

    #[tokio::test]
    async fn a_question_says_no_more_than_it_must() {
        let fake = Fake::saying(Say::json("{}")).await;
        let header = (HeaderName::from_static("cookie"), HeaderValue::from_static("sid=1"));
        assert_eq!(ask(&fake, Some(header)).await.unwrap().document, b"{}");
        let [asked] = &fake.asked()[..] else { panic!("one request") };
        assert_eq!(asked.line, "GET /asked?with=a-query");
        let names: Vec<_> = asked.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(asked.headers["accept"], "application/json");
        assert_eq!(asked.headers["user-agent"], "daypass");
        assert_eq!(asked.headers["cookie"], "sid=1");
        assert_eq!(names.len(), 4, "and the host: {names:?}");
    }

    #[tokio::test]
    async fn other_statuses_come_without_a_document_and_no_redirect_is_followed() {
        for status in [204, 301, 302, 303, 307, 308, 401, 403, 404, 429, 500, 503] {
            let fake = Fake::saying(Say::json("{}").status(status).header("location", "/elsewhere")).await;
            let answer = ask(&fake, None).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.document.len()), (status, 0));
            assert_eq!(fake.count(), 1);
        }
    }

    #[tokio::test]
    async fn only_json_is_read() {
        let types = ["application/json", "application/json; charset=utf-8", "Application/JWK-Set+JSON"];
        for kind in types {
            assert!(told(Say::json("{}").header("content-type", kind)).await.is_ok(), "{kind}");
        }
        for kind in ["text/html", "text/json+x", "application/jsonp", "text/plain; application/json", ""] {
            let fault = told(Say::json("{}").header("content-type", kind)).await.unwrap_err();
            assert_eq!(fault, wrong("the content type of the answer is not JSON"), "{kind}");
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_limit_announced_or_not() {
        let large = wrong("the answer is larger than 1000 bytes");
        assert_eq!(told(Say::json(&"x".repeat(MOST))).await.unwrap().document.len(), MOST);
        assert_eq!(told(Say::json(&"x".repeat(MOST + 1))).await.unwrap_err(), large);
        assert_eq!(told(Say::json(&"x".repeat(MOST)).unannounced()).await.unwrap().document.len(), MOST);
        assert_eq!(told(Say::json(&"x".repeat(MOST + 1)).unannounced()).await.unwrap_err(), large);
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_down() {
        let late = Fault::Down("no answer within 300 ms".to_owned());
        assert_eq!(told(Say::nothing()).await.unwrap_err(), late);
        assert_eq!(told(Say::json("{}").unannounced().and_then_hang()).await.unwrap_err(), late);
    }

    #[tokio::test]
    async fn who_is_not_there_or_speaks_no_http_is_down_and_the_address_is_not_told() {
        let gone = Fake::gone().await;
        let not_http = Fake::raw(b"SSH-2.0-x\r\n").await;
        let breaks_off =
            Fake::raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
                .await;
        for (fake, beginning) in [
            (gone, "no connection: "),
            (not_http, "no answer in HTTP: "),
            (breaks_off, "the answer broke off: "),
        ] {
            let Fault::Down(text) = ask(&fake, None).await.unwrap_err() else { panic!("down") };
            assert!(text.starts_with(beginning), "{text}");
            assert!(!text.contains("a-query") && !text.contains("asked"), "{text}");
        }
    }

    #[tokio::test]
    async fn how_long_an_answer_may_be_kept_is_read_from_its_head() {
        for (given, expected) in [
            ("max-age=90", Some(90)),
            ("public, Max-Age=\"7\", max-age=8", Some(7)),
            ("s-maxage=5", None),
            ("max-age=-1", None),
            ("max-age=99999999999", None),
            ("no-store", None),
        ] {
            let answer = told(Say::json("{}").header("cache-control", given)).await.unwrap();
            assert_eq!(answer.max_age, expected, "{given}");
        }
    }

    #[tokio::test]
    async fn a_name_on_this_machine_is_this_machine() {
        let fake = Fake::saying(Say::json("{}")).await;
        let address = Address::parse(&fake.url("/").replace("127.0.0.1", "localhost")).unwrap();
        let get = Get { address: &address, header: None, limit: Duration::from_secs(2), most: MOST };
        assert!(Http::new(false).unwrap().get(get).await.is_ok());
    }

    #[tokio::test]
    async fn without_roots_of_trust_nothing_is_fetched_over_tls() {
        let address = Address::parse("https://127.0.0.1:1/").unwrap();
        let get = Get { address: &address, header: None, limit: Duration::from_secs(2), most: MOST };
        let fault = Http::new(false).unwrap().get(get).await.unwrap_err();
        assert_eq!(fault, wrong("an https address that was not foreseen"));
    }

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
    }
}
