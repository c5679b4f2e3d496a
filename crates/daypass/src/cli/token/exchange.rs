//! `daypass token exchange`: gives an access token away for another one, or for a temporary key of a cloud.

use super::{entra, post_form, read};
use crate::cli::demo::Credentials;
use crate::cli::files::read_token;
use crate::cli::output::Failure;
use bytes::Bytes;
use http::Response;
use serde_json::Value;
use std::path::PathBuf;

/// RFC 8693 §2.1 and §3.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TENCENT: &str = "urn:daypass:params:oauth:token-type:tencent";
const ALIBABA: &str = "urn:daypass:params:oauth:token-type:alibaba";

/// What to give, and what for.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: super::From,
    /// A file with nothing but the access token; `-` for standard input [default: ask for one first].
    #[arg(long, value_name = "FILE")]
    subject_token_file: Option<PathBuf>,
    /// What to get: `tencent` or `alibaba` for a temporary key, or the resource of an access token.
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// The role of the temporary key [default: that of the demo configuration].
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// A variable of that role; may be given several times. One that has a single value need not be.
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::pair, requires = "role")]
    variable: Vec<(String, String)>,
}

impl Ask {
    /// Asks.
    pub(super) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        let credentials = read(&self.from.file)?;
        let token = match &self.subject_token_file {
            Some(path) => read_token(path)?,
            None => match self.own().await? {
                Ok(token) => token,
                Err(refusal) => return Ok(refusal),
            },
        };
        let target = self.from.target(&credentials.url)?;
        let client = &credentials.entra;
        let path = format!("/{}/oauth2/v2.0/token", client.tenant);
        let mut parameters = vec![
            ("grant_type", GRANT),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
            ("subject_token", &token),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        let wanted = self.wanted(&credentials);
        parameters.extend(wanted.iter().map(|(name, value)| (*name, value.as_str())));
        post_form(&target, &path, &parameters).await
    }

    /// A token of the client itself, or the answer that has none in it.
    async fn own(&self) -> Result<Result<String, Response<Bytes>>, Failure> {
        let answer = entra::ask(&self.from, None).await?;
        let token = super::member(&answer, "access_token").and_then(|token| match token {
            Value::String(token) => Some(token),
            _ => None,
        });
        Ok(token.ok_or(answer))
    }

    /// The parameters that say what is wanted.
    fn wanted(&self, credentials: &Credentials) -> Vec<(&'static str, String)> {
        let key = |form: &str, role: &str, variables: &[(String, String)]| {
            let role = self.role.as_deref().unwrap_or(role);
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(variables).finish();
            let mark = if query.is_empty() { "" } else { "?" };
            vec![("requested_token_type", form.to_owned()), ("audience", format!("role:{role}{mark}{query}"))]
        };
        match (self.to.as_str(), &self.role) {
            ("tencent", _) => key(TENCENT, "soe", &self.variable),
            ("alibaba", Some(_)) => key(ALIBABA, "", &self.variable),
            ("alibaba", None) => {
                let poi = credentials.alibaba.poi_ids.first().cloned().unwrap_or_default();
                key(ALIBABA, "store-upload", &[("poi_id".to_owned(), poi)])
            }
            (resource, _) => vec![("scope", format!("{resource}/.default"))],
        }
    }
}
