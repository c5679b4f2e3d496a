//! `daypass token tencent`: asks the STS API as a client of the vendor would, in each way of signing.

use super::{FORM, finish};
use crate::cli::demo::Tencent;
use crate::cli::output::Failure;
use crate::system::{RequestEntropy, SystemClock};
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_core::id::Entropy as _;
use daypass_dialects::tencent::sign::{self, ClientKey, v1};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The policy of the vendor's own sample: one action, for speech scoring.
const SOE_POLICY: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
/// Any; the API is the same in all of them.
const REGION: &str = "ap-guangzhou";

/// What this needs of a credentials file.
#[derive(Deserialize)]
struct File {
    url: String,
    tencent: Tencent,
}

/// What to ask for, and how to sign it.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: super::From,
    /// The name of the session.
    #[arg(long, visible_alias = "session", default_value = "soe")]
    name: String,
    /// Assume this role, by its ARN `qcs::cam::uin/ACCOUNT:roleName/ROLE`, in place of a part of the default role.
    #[arg(long, value_name = "ROLE_ARN", conflicts_with = "whoami")]
    assume: Option<String>,
    /// A session tag; may be given several times. One whose key is a variable of the role fills it.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::pair, requires = "assume")]
    tag: Vec<(String, String)>,
    /// What the role's `external_id` must be.
    #[arg(long, value_name = "ID", requires = "assume")]
    external_id: Option<String>,
    /// The CAM policy to narrow the role to [default: speech scoring; with --assume the whole role].
    #[arg(long, value_name = "JSON")]
    policy: Option<String>,
    /// Seconds of life [default: the role's].
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u32>,
    /// Ask who the key belongs to instead.
    #[arg(long)]
    whoami: bool,
    /// Sign the older way, over the parameters [default: TC3-HMAC-SHA256; without a value: sha1].
    #[arg(long, value_name = "HASH", value_enum, num_args = 0..=1, default_missing_value = "sha1")]
    v1: Option<Hash>,
    /// Leave the payload out of the signature, as some SDKs can be told to.
    #[arg(long, conflicts_with = "v1")]
    unsigned_payload: bool,
}

/// The hash of an older signature.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Hash {
    /// `HmacSHA1`, what the vendor takes where nothing is said.
    Sha1,
    /// `HmacSHA256`.
    Sha256,
}

impl From<Hash> for v1::Algorithm {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::HmacSha1,
            Hash::Sha256 => Self::HmacSha256,
        }
    }
}

impl Ask {
    fn action(&self) -> &'static str {
        match (&self.assume, self.whoami) {
            (Some(_), _) => "AssumeRole",
            (None, true) => "GetCallerIdentity",
            (None, false) => "GetFederationToken",
        }
    }

    /// The action's parameters, as JSON has them.
    fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        if self.whoami {
            return parameters;
        }
        let mut put = |name: &str, value: Value| _ = parameters.insert(name.to_owned(), value);
        if let Some(arn) = &self.assume {
            put("RoleArn", arn.as_str().into());
            put("RoleSessionName", self.name.as_str().into());
        } else {
            put("Name", self.name.as_str().into());
        }
        if !self.tag.is_empty() {
            put("Tags", self.tag.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect());
        }
        if let Some(id) = &self.external_id {
            put("ExternalId", id.as_str().into());
        }
        let default = self.assume.is_none().then_some(SOE_POLICY);
        if let Some(policy) = self.policy.as_deref().or(default) {
            put("Policy", policy.into());
        }
        if let Some(seconds) = self.duration {
            put("DurationSeconds", seconds.into());
        }
        parameters
    }

    /// Everything that decides the answer: the server, the key, and what is asked in which way.
    pub(in crate::cli) fn parts(&self) -> Result<Vec<String>, Failure> {
        let File { url, tencent } = self.from.read()?;
        let way = match self.v1 {
            Some(hash) => format!("v1 {}", v1::Algorithm::from(hash).name()),
            None => format!("tc3 {}", self.unsigned_payload),
        };
        let asked = Value::Object(self.parameters()).to_string();
        let (id, key) = (tencent.secret_id, tencent.secret_key);
        Ok(vec![url, self.from.trusts(), id, key, self.action().to_owned(), asked, way])
    }

    /// Asks.
    pub(in crate::cli) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        let File { url, tencent } = self.from.read()?;
        let target = self.from.target(&url)?;
        let host = target.host();
        let key = ClientKey { id: &tencent.secret_id, secret: tencent.secret_key.as_bytes(), token: None };
        let request = match self.v1 {
            Some(hash) => self.in_parameters(&key, host, hash.into())?,
            None => self.in_headers(&key, host)?,
        };
        target.send(request).await
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
        let mut parameters = Vec::new();
        for (name, value) in &self.parameters() {
            flatten(name, value, &mut parameters);
        }
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
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

/// A JSON parameter as forms have it: `Tags.0.Key=…`.
fn flatten(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                flatten(&format!("{name}.{n}"), value, into);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                flatten(&format!("{name}.{member}"), value, into);
            }
        }
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        other => into.push((name.to_owned(), other.to_string())),
    }
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

    fn line(args: &[&str]) -> Result<Ask, clap::Error> {
        let all = [&["tencent", "--from", "f"], args].concat();
        Line::try_parse_from(all).map(|line| line.ask)
    }

    #[test]
    fn an_assumed_role_carries_its_tags_and_its_external_id() {
        let args = [
            "--assume",
            "qcs::x",
            "--session",
            "ci",
            "--tag",
            "a=1",
            "--tag",
            "b=c=d",
            "--external-id",
            "x7",
        ];
        let ask = line(&args).unwrap();
        assert_eq!(ask.action(), "AssumeRole");
        let wanted = json!({ "RoleArn": "qcs::x", "RoleSessionName": "ci", "ExternalId": "x7",
            "Tags": [{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": "c=d" }] });
        assert_eq!(Value::Object(ask.parameters()), wanted);
        let mut flat = Vec::new();
        flatten("Tags", &wanted["Tags"], &mut flat);
        let pairs: Vec<_> = flat.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(pairs, ["Tags.0.Key=a", "Tags.0.Value=1", "Tags.1.Key=b", "Tags.1.Value=c=d"]);
    }

    #[test]
    fn the_older_signature_is_by_sha1_where_nothing_is_said() {
        assert!(line(&[]).unwrap().v1.is_none());
        assert!(line(&["--v1"]).unwrap().v1 == Some(Hash::Sha1));
        assert!(line(&["--v1", "sha256"]).unwrap().v1 == Some(Hash::Sha256));
        let bad: [&[&str]; 4] =
            [&["--v1", "md5"], &["--v1", "--unsigned-payload"], &["--tag", "a=1"], &["--tag", "a"]];
        for bad in bad {
            assert!(line(bad).is_err(), "{bad:?}");
        }
    }
}
