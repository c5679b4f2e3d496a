//! The crate's own way to fetch: reqwest over rustls.

use crate::fetch::{Fetch, FetchError, Fetched};
use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// What we ask for: the kinds of document there are.
const ACCEPTED: &str = "application/json, application/jwk-set+json, application/daypass-revocations+jwt, \
                        application/daypass-revocations-delta+jwt";
/// How long one document may take.
const WHOLE: Duration = Duration::from_secs(5);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// Fetches by HTTP, without redirects, cookies or a proxy from the environment. Roots of trust are the system's.
///
/// Both clients are made when they are first needed: an API whose issuer is on its own machine needs no root
/// certificates.
#[derive(Default)]
pub(crate) struct Http {
    /// For plain http. It trusts no certificate at all, so that it can be used for nothing else.
    plain: Mutex<Option<Client>>,
    /// For https.
    tls: Mutex<Option<Client>>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn client(&self, url: &Url) -> Result<Client, FetchError> {
        let plain = url.scheme() == "http";
        let mut place = if plain { self.plain.lock() } else { self.tls.lock() };
        if let Some(client) = &*place {
            return Ok(client.clone());
        }
        let made = if plain {
            // A name service that answers for `localhost` with another machine is not believed.
            let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let here = here.map(|address| SocketAddr::new(address, 0));
            builder().tls_certs_only([]).resolve_to_addrs("localhost", &here).build()
        } else {
            builder().https_only(true).build()
        };
        let client = made.map_err(|fault| FetchError::new(causes("no client for HTTP", &fault)))?;
        *place = Some(client.clone());
        Ok(client)
    }
}

#[async_trait]
impl Fetch for Http {
    async fn fetch(&self, url: &str, most: usize) -> Result<Fetched, FetchError> {
        // A 304 that nobody asked for is no document.
        self.ask(url, most, None).await?.ok_or_else(|| status(StatusCode::NOT_MODIFIED))
    }

    async fn fetch_unless(&self, url: &str, most: usize, tag: &str) -> Result<Option<Fetched>, FetchError> {
        self.ask(url, most, Some(tag)).await
    }
}

impl Http {
    async fn ask(&self, url: &str, most: usize, known: Option<&str>) -> Result<Option<Fetched>, FetchError> {
        let url = Url::parse(url).map_err(|fault| FetchError::new(fault.to_string()))?;
        let request = self.client(&url)?.get(url).header(ACCEPT, ACCEPTED);
        let request = match known {
            Some(tag) => request.header(IF_NONE_MATCH, tag),
            None => request,
        };
        let response = request.send().await.map_err(|fault| FetchError::new(causes("no answer", &fault)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(None),
            other => return Err(status(other)),
        }
        let max_age = max_age(&response);
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Some(Fetched::new(read(response, most).await?).with_max_age(max_age).with_tag(tag)))
    }
}

fn status(status: StatusCode) -> FetchError {
    FetchError::new(format!("it answered with status {}", status.as_u16()))
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("daypass-verify/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .timeout(WHOLE)
        .connect_timeout(CONNECT)
        // Keys are fetched so rarely that a connection is of no use for the next time.
        .pool_max_idle_per_host(0)
}

/// Reads while it comes: the length that a head announces is the other side's word, and it may announce none.
async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let broken = |fault: reqwest::Error| FetchError::new(causes("the answer broke off", &fault));
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > most {
            return Err(FetchError::new(format!("the answer is longer than {most} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// `max-age` of `Cache-Control` (RFC 9111, section 5.2.2.1), where it is not told to be forgotten.
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(CACHE_CONTROL).iter();
    let directives = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut found = None;
    for directive in directives {
        let directive = directive.trim().to_ascii_lowercase();
        if directive == "no-store" || directive == "no-cache" {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            found = found.or(seconds.trim_matches('"').parse().ok().map(Duration::from_secs));
        }
    }
    found
}

/// What went wrong, down to the first cause.
fn causes(what: &str, fault: &reqwest::Error) -> String {
    let mut text = what.to_owned();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers one request with these bytes; the URL, and what was asked.
    async fn answering(bytes: &str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/keys", listener.local_addr().unwrap().port());
        let bytes = bytes.to_owned();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&head[..length]).to_lowercase()
        });
        (url, asked)
    }

    async fn fetch(head: &str, body: &str, most: usize) -> Result<Fetched, FetchError> {
        let (url, _) = answering(&format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}")).await;
        Http::new().fetch(&url, most).await
    }

    #[tokio::test]
    async fn a_document_comes_with_how_long_it_may_be_kept() {
        let age = |seconds| Some(Duration::from_secs(seconds));
        for (header, expected) in [
            ("x: y", None),
            ("cache-control: max-age=60", age(60)),
            ("Cache-Control: public, MAX-AGE=\"60\"", age(60)),
            ("cache-control: max-age=60, no-cache", age(0)),
            ("cache-control: no-store", age(0)),
            ("cache-control: max-age=-1", None),
            ("cache-control: max-age=x, max-age=7", age(7)),
        ] {
            let fetched = fetch(&format!("200 OK\r\n{header}"), "{}", 2).await.unwrap();
            assert_eq!((fetched.body.as_slice(), fetched.max_age), (&b"{}"[..], expected), "{header}");
        }
    }

    #[tokio::test]
    async fn it_asks_for_json_and_says_nothing_of_anyone() {
        let (url, asked) = answering("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}").await;
        Http::new().fetch(&url, 10).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(
            asked.starts_with("get /keys http/1.1\r\n") && asked.contains("accept: application/json"),
            "{asked}"
        );
        assert!(!asked.contains("cookie") && !asked.contains("referer") && !asked.contains("authorization"));
    }

    #[tokio::test]
    async fn a_document_that_is_known_is_not_sent_again() {
        let (url, asked) = answering("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n").await;
        assert!(Http::new().fetch_unless(&url, 10, "W/\"7\"").await.unwrap().is_none());
        assert!(asked.await.unwrap().contains("if-none-match: w/\"7\"\r\n"));
        let (url, _) = answering("HTTP/1.1 200 OK\r\netag: W/\"8\"\r\nconnection: close\r\n\r\n{}").await;
        let other = Http::new().fetch_unless(&url, 10, "W/\"7\"").await.unwrap().unwrap();
        assert_eq!((other.body.as_slice(), other.tag.as_deref()), (&b"{}"[..], Some("W/\"8\"")));
        let fault = fetch("304 Not Modified", "", 10).await.unwrap_err();
        assert!(fault.to_string().contains("304"), "nobody asked for that: {fault}");
    }

    #[tokio::test]
    async fn redirects_and_failures_are_no_documents() {
        for head in
            ["302 Found\r\nlocation: /elsewhere", "404 Not Found", "500 Oh", "204 No Content", "206 Part"]
        {
            let fault = fetch(head, "", 10).await.unwrap_err();
            assert!(fault.to_string().contains(&head[..3]), "{fault}");
        }
        let fault = fetch("200 OK\r\ncontent-length: 10", "{}", 10).await.unwrap_err();
        assert!(fault.to_string().contains("broke off"), "{fault}");
    }

    #[tokio::test]
    async fn a_document_is_bounded_whatever_its_head_says() {
        assert!(fetch("200 OK", "12345", 5).await.is_ok());
        assert!(fetch("200 OK", "123456", 5).await.unwrap_err().to_string().contains("longer than 5"));
    }

    #[tokio::test]
    async fn who_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert!(Http::new().fetch(&url, 10).await.is_err());
        assert!(Http::new().fetch("no url", 10).await.is_err());
    }
}
