//! `daypass token tencent`: asks the STS API as a client of the vendor would, in each way of signing.

use super::{FORM, finish, read};
use crate::cli::exchange::{host, send};
use crate::cli::output::Failure;
use crate::system::{RequestEntropy, SystemClock};
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_core::id::Entropy as _;
use daypass_dialects::tencent::sign::{self, ClientKey, v1};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Map, Value};

/// The policy of the vendor's own sample: one action, for speech scoring.
const SOE_POLICY: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
/// Any; the API is the same in all of them.
const REGION: &str = "ap-guangzhou";

/// What to ask for, and how to sign it.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: super::From,
    /// The session name.
    #[arg(long, default_value = "soe")]
    name: String,
    /// Take this role, by its ARN (AssumeRole), in place of a part of the client's default one.
    #[arg(long, value_name = "ARN", conflicts_with = "whoami")]
    role_arn: Option<String>,
    /// The CAM policy to narrow the role to [default: speech scoring; with --role-arn the whole role].
    #[arg(long, value_name = "JSON")]
    policy: Option<String>,
    /// Seconds of life [default: the role's].
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u32>,
    /// Ask who the key belongs to instead.
    #[arg(long)]
    whoami: bool,
    /// How to sign.
    #[arg(long, default_value = sign::ALGORITHM, value_name = "METHOD", value_parser = [sign::ALGORITHM, "HmacSHA256", "HmacSHA1"])]
    sign_method: String,
    /// Leave the payload out of the signature, as some SDKs can be told to.
    #[arg(long)]
    unsigned_payload: bool,
}

impl Ask {
    fn action(&self) -> &'static str {
        match (&self.role_arn, self.whoami) {
            (Some(_), _) => "AssumeRole",
            (None, true) => "GetCallerIdentity",
            (None, false) => "GetFederationToken",
        }
    }

    /// The action's parameters: text, but for the seconds, which are a number in JSON.
    fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        if self.whoami {
            return parameters;
        }
        let mut put = |name: &str, value: Value| _ = parameters.insert(name.to_owned(), value);
        match &self.role_arn {
            Some(arn) => {
                put("RoleArn", arn.as_str().into());
                put("RoleSessionName", self.name.as_str().into());
            }
            None => put("Name", self.name.as_str().into()),
        }
        let default = self.role_arn.is_none().then_some(SOE_POLICY);
        if let Some(policy) = self.policy.as_deref().or(default) {
            put("Policy", policy.into());
        }
        if let Some(seconds) = self.duration {
            put("DurationSeconds", seconds.into());
        }
        parameters
    }

    /// Asks.
    pub(super) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        let credentials = read(&self.from.file)?;
        let host = host(&credentials.url)?;
        let key = ClientKey {
            id: &credentials.tencent.secret_id,
            secret: credentials.tencent.secret_key.as_bytes(),
            token: None,
        };
        let request = match v1::Algorithm::named(&self.sign_method) {
            Some(_) if self.unsigned_payload => {
                let message = "--unsigned-payload is a way of TC3-HMAC-SHA256 alone";
                return Err(Failure::Usage(message.to_owned()));
            }
            Some(algorithm) => self.in_parameters(&key, &host, algorithm)?,
            None => self.in_headers(&key, &host)?,
        };
        send(&host, request).await
    }

    fn in_headers(&self, key: &ClientKey<'_>, host: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let body = Value::Object(self.parameters()).to_string();
        let outgoing = sign::Outgoing {
            method: "POST",
            host,
            query: "",
            body: body.as_bytes(),
            unsigned_payload: self.unsigned_payload,
            action: self.action(),
            region: REGION,
            at: SystemClock.now(),
        };
        let mut request = Request::builder().method(Method::POST).uri("/");
        for (name, value) in sign::sign_request(key, &outgoing) {
            request = request.header(name, value);
        }
        finish(request, body)
    }

    fn in_parameters(
        &self,
        key: &ClientKey<'_>,
        host: &str,
        algorithm: v1::Algorithm,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters = self.parameters();
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut nonce = [0; 4];
        RequestEntropy.fill(&mut nonce);
        let body = v1::sign_request(
            key,
            &v1::Outgoing {
                method: "POST",
                host,
                action: self.action(),
                region: Some(REGION),
                parameters: &parameters,
                algorithm,
                nonce: u32::from_be_bytes(nonce).into(),
                at: SystemClock.now(),
            },
        );
        finish(
            Request::builder().method(Method::POST).uri("/").header(HOST, host).header(CONTENT_TYPE, FORM),
            body,
        )
    }
}
