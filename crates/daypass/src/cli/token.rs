//! `daypass token`: asks a running server as a vendor's client would.

pub(super) mod alibaba;
mod alibaba_sts;
mod browser;
pub(super) mod entra;
mod exchange;
pub(super) mod tencent;

use super::demo::{Credentials, read_json};
use super::exchange::Target;
use super::held::{self, Keep, Question, Trouble};
use super::output::{Failure, Output};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Ask as a client would.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Tencent STS: GetFederationToken, AssumeRole or GetCallerIdentity, in each way of signing.
    Tencent {
        #[command(flatten)]
        ask: Box<tencent::Ask>,
        #[command(flatten)]
        keep: Keep,
    },
    /// `GET /getAuthorization`, as a page in a browser asks. The answer is never kept.
    Browser(browser::Ask),
    /// The TOP gateway: a security token for one product, scene, tenant and store. With --sts, Alibaba Cloud STS.
    Alibaba {
        #[command(flatten)]
        ask: Box<alibaba::Ask>,
        /// The form of the answer.
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        #[command(flatten)]
        keep: Keep,
    },
    /// OAuth 2.0 client credentials in the shape of Microsoft Entra.
    Entra {
        #[command(flatten)]
        ask: Box<entra::Ask>,
        #[command(flatten)]
        keep: Keep,
    },
    /// OAuth 2.0 token exchange: an access token in, another one or a temporary key of a cloud out. The answer is
    /// never kept.
    Exchange(exchange::Ask),
}

/// Where the client's credentials come from.
#[derive(clap::Args)]
pub(super) struct From {
    /// The credentials file, as `daypass dev` writes it.
    #[arg(long = "from", value_name = "FILE")]
    file: PathBuf,
    /// The certificate authority to trust for an https address, in PEM [default: ca.pem beside the credentials file,
    /// else the system's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl From {
    /// The server of this URL.
    fn target(&self, url: &str) -> Result<Target, Failure> {
        Target::new(url, &self.file, self.ca.as_deref())
    }

    /// The part of the credentials file that one way of asking needs: a client of one's own has no other.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(read_json(&self.file)?)
    }

    /// What of this decides whom the answer comes from: two authorities may stand behind one address.
    fn trusts(&self) -> String {
        self.ca.as_deref().map(|ca| ca.display().to_string()).unwrap_or_default()
    }
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A JSON document.
    Json,
    /// An XML document.
    Xml,
}

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let (question, keep) = match verb {
        Verb::Tencent { ask, keep } => (Question::Tencent(ask), keep),
        Verb::Alibaba { ask, format, keep } => (Question::Alibaba(ask, format), keep),
        Verb::Entra { ask, keep } => (Question::Entra(ask), keep),
        Verb::Browser(ask) => {
            let answer = ask.send().await?;
            if let Some(ticket) = browser::next_ticket(&answer) {
                output.note(format!("ticket for the next time: {ticket}"));
            }
            return show(&answer, output);
        }
        Verb::Exchange(ask) => return show(&ask.send().await?, output),
    };
    match held::obtain(&question, &keep, output).await {
        Ok(found) => {
            if let Some(left) = found.kept_for {
                output.note(format!("daypass: kept from before, good for {left} s; --no-cache asks anew"));
            }
            // The answer itself is what was asked for, with --json and without.
            output.line(found.text());
            Ok(())
        }
        Err(Trouble::Refused(answer) | Trouble::Busy(answer)) => {
            output.line(answer.trim_end());
            Err(Failure::Said(1))
        }
        Err(Trouble::Failed(failure)) => Err(failure),
    }
}

/// Prints an answer whose status says whether it is a refusal.
fn show(answer: &Response<Bytes>, output: &Output) -> Result<(), Failure> {
    output.line(String::from_utf8_lossy(answer.body()).trim_end());
    if answer.status().is_success() { Ok(()) } else { Err(Failure::Said(1)) }
}

fn read(file: &Path) -> Result<Credentials, Failure> {
    Ok(Credentials::read(file)?)
}

/// `NAME=VALUE`; the value may have an equals sign of its own.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

async fn post_form(
    target: &Target,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<Response<Bytes>, Failure> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, target.host())
        .header(CONTENT_TYPE, FORM);
    target.send(finish(request, body)?).await
}

fn finish(request: http::request::Builder, body: String) -> Result<Request<Full<Bytes>>, Failure> {
    let unusable = |error| Failure::Usage(format!("the credentials file makes no request: {error}"));
    request.body(Full::new(Bytes::from(body))).map_err(unusable)
}

fn member(answer: &Response<Bytes>, name: &str) -> Option<Value> {
    serde_json::from_slice::<Value>(answer.body()).ok()?.get(name).cloned()
}
