//! `daypass token`: asks a running server as a vendor's client would.

mod alibaba_sts;
mod browser;
mod exchange;
mod tencent;

use super::demo::Credentials;
use super::exchange::Target;
use super::output::{Failure, Output};
use crate::system::SystemClock;
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_dialects::alibaba::{self, sign::SignMethod};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Ask as a client would.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Tencent STS: GetFederationToken, AssumeRole or GetCallerIdentity, in each way of signing.
    Tencent(tencent::Ask),
    /// `GET /getAuthorization`, as a page in a browser asks.
    Browser(browser::Ask),
    /// The TOP gateway: a security token for one product, scene, tenant and store. With --sts, Alibaba Cloud STS.
    Alibaba {
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        ask: alibaba_sts::Ask,
        /// The store [default: the first of the file].
        #[arg(long, value_name = "CODE")]
        poi: Option<String>,
        /// The form of the answer.
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        /// How to sign.
        #[arg(long, default_value = "hmac-sha256", value_name = "METHOD", value_parser = ["md5", "hmac", "hmac-sha256"])]
        sign_method: String,
    },
    /// OAuth 2.0 client credentials in the shape of Microsoft Entra.
    Entra {
        #[command(flatten)]
        from: From,
        /// The scope [default: the one of the file].
        #[arg(long)]
        scope: Option<String>,
    },
    /// OAuth 2.0 token exchange: an access token in, another one or a temporary key of a cloud out.
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
    let (answer, refused) = match verb {
        Verb::Tencent(ask) => {
            let answer = ask.send().await?;
            let refused = member(&answer, "Response").is_none_or(|response| response.get("Error").is_some());
            (answer, refused)
        }
        Verb::Browser(ask) => {
            let answer = ask.send().await?;
            if let Some(ticket) = browser::next_ticket(&answer) {
                output.note(format!("ticket for the next time: {ticket}"));
            }
            let refused = !answer.status().is_success();
            (answer, refused)
        }
        Verb::Alibaba { from, ask, format, .. } if ask.sts => {
            let answer = ask.send(&from, format).await?;
            let refused = !answer.status().is_success();
            (answer, refused)
        }
        Verb::Alibaba { from, poi, format, sign_method, .. } => {
            let answer = alibaba(&from, poi.as_deref(), format, &sign_method).await?;
            let text = String::from_utf8_lossy(answer.body());
            let refused = text.contains("error_response");
            (answer, refused)
        }
        Verb::Entra { from, scope } => {
            let answer = entra(&from, scope.as_deref()).await?;
            let refused = !answer.status().is_success();
            (answer, refused)
        }
        Verb::Exchange(ask) => {
            let answer = ask.send().await?;
            let refused = !answer.status().is_success();
            (answer, refused)
        }
    };
    // The answer itself is what was asked for, with --json and without.
    output.line(String::from_utf8_lossy(answer.body()).trim_end());
    if refused { Err(Failure::Said(1)) } else { Ok(()) }
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

async fn alibaba(
    from: &From,
    poi: Option<&str>,
    format: Format,
    sign_method: &str,
) -> Result<Response<Bytes>, Failure> {
    let credentials = read(&from.file)?;
    let target = from.target(&credentials.url)?;
    let client = &credentials.alibaba;
    let poi = poi.or(client.poi_ids.first().map(String::as_str)).unwrap_or_default();
    let param = json!({
        "product_code": client.product_code,
        "scene_code": client.scene_code,
        "usage_scene": client.usage_scene,
        "op_tenant_code": client.tenant_code,
        "op_poi_id": poi,
        // Two asks in one second are then two requests, and not a repeat.
        "request_id": daypass_core::id::random_uuid(&crate::system::RequestEntropy).to_string(),
    })
    .to_string();
    let stamp = alibaba::time::stamp(SystemClock.now());
    let format = if format == Format::Xml { "xml" } else { "json" };
    let mut parameters = vec![
        ("method", alibaba::wire::METHOD),
        ("app_key", &client.app_key),
        ("timestamp", &stamp),
        ("format", format),
        ("v", alibaba::wire::VERSION),
        ("sign_method", sign_method),
        ("param", &param),
    ];
    let method = SignMethod::named(sign_method)
        .ok_or_else(|| Failure::Usage(format!("there is no sign method `{sign_method}`")))?;
    let sign = alibaba::sign::sign(method, client.app_secret.as_bytes(), parameters.iter().copied());
    parameters.push(("sign", &sign));
    post_form(&target, alibaba::wire::PATH, &parameters).await
}

async fn entra(from: &From, scope: Option<&str>) -> Result<Response<Bytes>, Failure> {
    let credentials = read(&from.file)?;
    let target = from.target(&credentials.url)?;
    let client = &credentials.entra;
    let path = format!("/{}/oauth2/v2.0/token", client.tenant);
    let parameters = [
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
        ("scope", scope.unwrap_or(&client.scope)),
    ];
    post_form(&target, &path, &parameters).await
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
