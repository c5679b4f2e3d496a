//! `daypass token alibaba --sts`: asks Alibaba Cloud STS as a client of the vendor would, in both ways of signing.

use super::{FORM, Format, From, finish};
use crate::cli::output::Failure;
use crate::system::{RequestEntropy, SystemClock};
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_core::id::random_uuid;
use daypass_dialects::alibaba::policy::{parse_top, render};
use daypass_dialects::alibaba::sign::{ClientKey, acs3, rpc};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::Deserialize;

/// The version of the API.
const VERSION: &str = "2015-04-01";
/// The session, where nothing is said.
const SESSION: &str = "app-1";

/// What this needs of a credentials file.
#[derive(Deserialize)]
struct File {
    url: String,
    alibaba: Key,
}

/// A client of Alibaba's STS.
#[derive(Deserialize)]
struct Key {
    access_key_id: String,
    access_key_secret: String,
    #[serde(default)]
    role_arn: String,
}

/// What to ask for, and how to sign it.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Ask {
    /// Ask Alibaba Cloud STS for a role, in place of the gateway for a store.
    #[arg(long, conflicts_with_all = ["poi", "sign_method"])]
    pub(super) sts: bool,
    /// The role, by its ARN `acs:ram::ACCOUNT:role/ROLE` [default: the one of the file].
    #[arg(long, value_name = "ROLE_ARN", requires = "sts")]
    assume: Option<String>,
    /// The name of the session [default: app-1].
    #[arg(long, value_name = "NAME", requires = "sts", conflicts_with = "whoami")]
    session: Option<String>,
    /// A policy to narrow the role to: RAM's own, or the `policy` of a gateway's answer [default: the whole role].
    #[arg(long, value_name = "JSON", requires = "sts", conflicts_with = "whoami")]
    policy: Option<String>,
    /// Seconds of life, from 900 [default: the role's].
    #[arg(long, value_name = "SECONDS", requires = "sts", conflicts_with = "whoami")]
    duration: Option<u32>,
    /// What the role's `external_id` must be.
    #[arg(long, value_name = "ID", requires = "sts", conflicts_with = "whoami")]
    external_id: Option<String>,
    /// Ask who the key belongs to instead.
    #[arg(long, requires = "sts", conflicts_with = "assume")]
    whoami: bool,
    /// Sign in the RPC style, over the parameters, as older clients do [default: ACS3-HMAC-SHA256].
    #[arg(long, requires = "sts")]
    rpc: bool,
}

impl Ask {
    fn action(&self) -> &'static str {
        if self.whoami { "GetCallerIdentity" } else { "AssumeRole" }
    }

    /// The parameters, those of a role from the file where nothing is said.
    fn parameters(&self, role_arn: &str, format: Format) -> Vec<(&'static str, String)> {
        let format = if format == Format::Xml { "XML" } else { "JSON" };
        let mut parameters = vec![("Format", format.to_owned())];
        if self.whoami {
            return parameters;
        }
        let text = |given: &Option<String>, otherwise: &str| given.as_deref().unwrap_or(otherwise).to_owned();
        parameters.push(("RoleArn", text(&self.assume, role_arn)));
        parameters.push(("RoleSessionName", text(&self.session, SESSION)));
        parameters.extend(self.duration.map(|seconds| ("DurationSeconds", seconds.to_string())));
        parameters.extend(self.external_id.clone().map(|id| ("ExternalId", id)));
        parameters.extend(self.policy.as_deref().map(|policy| ("Policy", in_rams_shape(policy))));
        parameters
    }

    /// Everything that decides the answer: the server, the key, and what is asked in which way.
    pub(super) fn parts(&self, from: &From, format: Format) -> Result<Vec<String>, Failure> {
        let File { url, alibaba: client } = from.read()?;
        let mut parts = vec![url, from.trusts(), client.access_key_id, client.access_key_secret];
        parts.extend([self.action().to_owned(), format!("rpc {}", self.rpc)]);
        let parameters = self.parameters(&client.role_arn, format);
        parts.extend(parameters.into_iter().map(|(name, value)| format!("{name}={value}")));
        Ok(parts)
    }

    /// Asks.
    pub(super) async fn send(&self, from: &From, format: Format) -> Result<Response<Bytes>, Failure> {
        let File { url, alibaba: client } = from.read()?;
        let target = from.target(&url)?;
        let host = target.host();
        let key =
            ClientKey { id: &client.access_key_id, secret: client.access_key_secret.as_bytes(), token: None };
        let parameters = self.parameters(&client.role_arn, format);
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = if self.rpc {
            self.in_parameters(&key, host, parameters)
        } else {
            self.in_headers(&key, host, &parameters)
        };
        target.send(request?).await
    }

    fn in_headers(
        &self,
        key: &ClientKey<'_>,
        host: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let outgoing = acs3::Outgoing {
            method: "POST",
            host,
            query: parameters,
            body: b"",
            action: self.action(),
            version: VERSION,
            nonce: &nonce(),
            at: SystemClock.now(),
        };
        let target = format!("/?{}", rpc::canonical_query(parameters.iter().copied()));
        let mut request = Request::builder().method(Method::POST).uri(target);
        for (name, value) in acs3::sign_request(key, &outgoing) {
            request = request.header(name, value);
        }
        finish(request, String::new())
    }

    fn in_parameters(
        &self,
        key: &ClientKey<'_>,
        host: &str,
        mut parameters: Vec<(&str, &str)>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        parameters.extend([("Action", self.action()), ("Version", VERSION)]);
        let signed = rpc::sign_request(key, "POST", &parameters, &nonce(), SystemClock.now());
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(signed).finish();
        let request =
            Request::builder().method(Method::POST).uri("/").header(HOST, host).header(CONTENT_TYPE, FORM);
        finish(request, body)
    }
}

fn nonce() -> String {
    random_uuid(&RequestEntropy).simple().to_string()
}

/// RAM's own shape of a policy that a gateway's answer showed; any other text is the server's to judge.
fn in_rams_shape(text: &str) -> String {
    let shown = parse_top(text).and_then(|policy| render(&policy));
    shown.unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[arg(long)]
        poi: Option<String>,
        #[arg(long, default_value = "hmac-sha256")]
        sign_method: String,
        #[command(flatten)]
        ask: Ask,
    }

    fn line(args: &[&str]) -> Result<Ask, clap::Error> {
        Line::try_parse_from([&["alibaba"], args].concat()).map(|line| line.ask)
    }

    #[test]
    fn a_role_is_asked_for_as_the_file_or_the_line_says() {
        let shown = r#"{"version":"1","statement":[{"resource":["acs:oss:*:*:b/x"],"effect":"Allow","action":["oss:Get*"]}]}"#;
        let asked = |args: &[&str]| {
            let parameters = line(args).unwrap().parameters("acs:ram::1:role/r", Format::Json);
            parameters.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(asked(&["--sts"]), "Format=JSON&RoleArn=acs:ram::1:role/r&RoleSessionName=app-1");
        assert_eq!(asked(&["--sts", "--whoami"]), "Format=JSON");
        assert_eq!(
            asked(&[
                "--sts",
                "--assume",
                "a",
                "--session",
                "s",
                "--duration",
                "900",
                "--external-id",
                "x7",
                "--policy",
                shown
            ]),
            r#"Format=JSON&RoleArn=a&RoleSessionName=s&DurationSeconds=900&ExternalId=x7&Policy={"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*"],"Resource":["acs:oss:*:*:b/x"]}]}"#
        );
        assert!(asked(&["--sts", "--policy", "oss:*"]).ends_with("&Policy=oss:*"), "not ours to judge");
    }

    #[test]
    fn what_belongs_to_the_one_api_is_not_taken_for_the_other() {
        let bad: [&[&str]; 6] = [
            &["--rpc"],
            &["--assume", "a"],
            &["--sts", "--poi", "1"],
            &["--sts", "--sign-method", "md5"],
            &["--sts", "--whoami", "--assume", "a"],
            &["--sts", "--whoami", "--duration", "900"],
        ];
        for bad in bad {
            assert!(line(bad).is_err(), "{bad:?}");
        }
        assert!(!line(&[]).unwrap().sts);
    }
}
