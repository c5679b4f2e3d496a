//! `daypass token alibaba`: asks the TOP gateway for one store, or Alibaba Cloud STS.

use super::{Format, From, alibaba_sts, post_form};
use crate::cli::output::Failure;
use crate::system::{RequestEntropy, SystemClock};
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_core::id::random_uuid;
use daypass_dialects::alibaba::{self, sign::SignMethod};
use http::Response;
use serde::Deserialize;
use serde_json::json;

/// What this needs of a credentials file.
#[derive(Deserialize)]
struct File {
    url: String,
    alibaba: App,
}

/// A client of the TOP gateway.
#[derive(Deserialize)]
struct App {
    #[serde(rename = "app_key")]
    key: String,
    #[serde(rename = "app_secret")]
    secret: String,
    product_code: String,
    scene_code: String,
    usage_scene: String,
    tenant_code: String,
    poi_ids: Vec<String>,
}

/// What to ask for, and how to sign it.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    sts: alibaba_sts::Ask,
    /// The store [default: the first of the file].
    #[arg(long, value_name = "CODE")]
    poi: Option<String>,
    /// How to sign.
    #[arg(long, default_value = "hmac-sha256", value_name = "METHOD", value_parser = ["md5", "hmac", "hmac-sha256"])]
    sign_method: String,
}

impl Ask {
    /// Everything that decides the answer: the server, the key, and what is asked in which way.
    pub(in crate::cli) fn parts(&self, format: Format) -> Result<Vec<String>, Failure> {
        if self.sts.sts {
            return self.sts.parts(&self.from, format);
        }
        let File { url, alibaba: app } = self.from.read()?;
        let poi = self.poi(&app);
        let form = form(format).to_owned();
        let codes = [app.product_code, app.scene_code, app.usage_scene, app.tenant_code];
        let mut parts = vec![url, self.from.trusts(), app.key, app.secret];
        parts.extend(codes);
        parts.extend([poi, form, self.sign_method.clone()]);
        Ok(parts)
    }

    fn poi(&self, app: &App) -> String {
        self.poi.as_ref().or(app.poi_ids.first()).cloned().unwrap_or_default()
    }

    /// Asks.
    pub(in crate::cli) async fn send(&self, format: Format) -> Result<Response<Bytes>, Failure> {
        if self.sts.sts {
            return self.sts.send(&self.from, format).await;
        }
        let File { url, alibaba: app } = self.from.read()?;
        let target = self.from.target(&url)?;
        let param = json!({
            "product_code": app.product_code,
            "scene_code": app.scene_code,
            "usage_scene": app.usage_scene,
            "op_tenant_code": app.tenant_code,
            "op_poi_id": self.poi(&app),
            // Two asks in one second are then two requests, and not a repeat.
            "request_id": random_uuid(&RequestEntropy).to_string(),
        })
        .to_string();
        let stamp = alibaba::time::stamp(SystemClock.now());
        let mut parameters = vec![
            ("method", alibaba::wire::METHOD),
            ("app_key", &app.key),
            ("timestamp", &stamp),
            ("format", form(format)),
            ("v", alibaba::wire::VERSION),
            ("sign_method", &self.sign_method),
            ("param", &param),
        ];
        let method = SignMethod::named(&self.sign_method)
            .ok_or_else(|| Failure::Usage(format!("there is no sign method `{}`", self.sign_method)))?;
        let sign = alibaba::sign::sign(method, app.secret.as_bytes(), parameters.iter().copied());
        parameters.push(("sign", &sign));
        post_form(&target, alibaba::wire::PATH, &parameters).await
    }
}

fn form(format: Format) -> &'static str {
    if format == Format::Xml { "xml" } else { "json" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    /// Whatever changes the answer changes what it is kept under.
    #[test]
    fn every_way_of_asking_has_parts_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        let text = r#"{"url":"http://127.0.0.1:1","alibaba":{"app_key":"a","app_secret":"s","access_key_id":"i",
            "access_key_secret":"k","role_arn":"r","product_code":"p","scene_code":"c","usage_scene":"u",
            "tenant_code":"t","poi_ids":["1","2"]}}"#;
        let parts = |text: &str, more: &[&str], format| {
            std::fs::write(&file, text).unwrap();
            let all = [&["alibaba", "--from", file.to_str().unwrap()], more].concat();
            Line::try_parse_from(all).unwrap().ask.parts(format).unwrap()
        };
        let base = parts(text, &[], Format::Json);
        assert_eq!(base, parts(text, &["--poi", "1"], Format::Json), "the default is the first");
        let mut seen = BTreeSet::from([base, parts(text, &[], Format::Xml)]);
        let mut count = 2;
        let more: [&[&str]; 8] = [
            &["--poi", "2"],
            &["--sign-method", "md5"],
            &["--ca", "ca.pem"],
            &["--sts"],
            &["--sts", "--rpc"],
            &["--sts", "--assume", "other"],
            &["--sts", "--duration", "900"],
            &["--sts", "--whoami"],
        ];
        for more in more {
            seen.insert(parts(text, more, Format::Json));
            count += 1;
        }
        for (from, to) in [("\"s\"", "\"x\""), (":1\"", ":2\""), ("\"t\"", "\"y\""), ("\"a\"", "\"b\"")] {
            seen.insert(parts(&text.replace(from, to), &[], Format::Json));
            count += 1;
        }
        assert_eq!(seen.len(), count);
    }
}
