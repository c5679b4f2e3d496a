//! `daypass token browser`: asks `getAuthorization` as the script of a page would.

use crate::cli::demo::{GetAuthorization, read_json};
use crate::cli::output::Failure;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, ORIGIN};
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use serde::Deserialize;

/// The header of the answer that holds the ticket for the next time.
const REFRESH: &str = "daypass-refresh";

/// Where to ask, and what to show.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: super::From,
    /// A one-time ticket, as `daypass ticket` makes it.
    #[arg(long, group = "evidence")]
    ticket: Option<String>,
    /// A JWT of an outside provider.
    #[arg(long, value_name = "JWT", group = "evidence")]
    bearer: Option<String>,
    /// A cookie of the application's session.
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::pair, group = "evidence")]
    cookie: Option<(String, String)>,
    /// The origin of the page [default: the one of the file].
    #[arg(long)]
    origin: Option<String>,
    /// The path of the endpoint [default: the one of the file].
    #[arg(long)]
    path: Option<String>,
}

/// What this needs of a credentials file: a file for a server of one's own can have no more than this.
#[derive(Deserialize)]
struct Page {
    url: String,
    get_authorization: GetAuthorization,
}

impl Ask {
    /// Asks.
    pub(super) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        let Page { url, get_authorization: page } = read_json(&self.from.file)?;
        let target = self.from.target(&url)?;
        let mut request =
            Request::builder().uri(self.path.as_deref().unwrap_or(&page.path)).header(HOST, target.host());
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers(self.origin.as_deref().unwrap_or(&page.origin))?);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| Failure::Usage(format!("this makes no request: {error}")))?;
        target.send(request).await
    }

    /// What a browser sends along for a script of this origin.
    fn headers(&self, origin: &str) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        let plain =
            [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "cross-site")];
        headers.extend(
            plain.map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))),
        );
        headers.insert(ORIGIN, value("--origin", origin)?);
        if let Some(ticket) = &self.ticket {
            headers.insert(AUTHORIZATION, value("--ticket", &format!("Ticket {ticket}"))?);
        }
        if let Some(token) = &self.bearer {
            headers.insert(AUTHORIZATION, value("--bearer", &format!("Bearer {token}"))?);
        }
        if let Some((name, content)) = &self.cookie {
            headers.insert(COOKIE, value("--cookie", &format!("{name}={content}"))?);
        }
        Ok(headers)
    }
}

fn value(option: &str, text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::Usage(format!("{option} has characters that no header can carry")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The ticket for the next time, where there is one.
pub(super) fn next_ticket(answer: &Response<Bytes>) -> Option<&str> {
    answer.headers().get(REFRESH)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    fn headers(args: &[&str]) -> Option<HeaderMap> {
        let all = [&["browser", "--from", "f"], args].concat();
        Line::try_parse_from(all).ok()?.ask.headers("https://a.example").ok()
    }

    #[test]
    fn each_evidence_stands_where_a_page_puts_it() {
        for (args, name, expected) in [
            (["--ticket", "dpt_x"], "authorization", "Ticket dpt_x"),
            (["--bearer", "a.b.c"], "authorization", "Bearer a.b.c"),
            (["--cookie", "sid=1=2"], "cookie", "sid=1=2"),
        ] {
            let headers = headers(&args).unwrap();
            assert_eq!(headers[name], expected);
            assert_eq!(
                (&headers["origin"], &headers["sec-fetch-mode"]),
                (&"https://a.example".parse().unwrap(), &"cors".parse().unwrap())
            );
        }
        assert!(headers(&["--ticket", "a", "--bearer", "b"]).is_none(), "one evidence at a time");
        assert!(headers(&["--cookie", "sid"]).is_none() && headers(&["--ticket", "a\nb"]).is_none());
    }
}
