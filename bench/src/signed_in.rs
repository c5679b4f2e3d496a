//! Daypass as a page with users has it: its own configuration, run by `daypass serve`, with one browser endpoint for
//! whoever carries a token of an OIDC provider. The provider is this program; its public key is in a file.

use crate::clock;
use crate::credentials::GetAuthorization;
use crate::process::{Core, Cores, Server};
use anyhow::{Context as _, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::{Timestamp, unix};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ISSUER: &str = "https://login.bench.example";
const AUDIENCE: &str = "daypass-bench";
const SUBJECT: &str = "user-1";
const KEY_ID: &str = "bench";
/// Longer than any run, in seconds.
const LIFETIME: i64 = 6 * 3600;
/// Carries the seal key of the throw-away store.
const SEAL_KEY: &str = "BENCH_SEAL_KEY";
/// Takes the place of `server.listen`.
const LISTEN: &str = "DAYPASS__SERVER__LISTEN";

/// One installation of it.
pub(crate) struct SignedIn {
    daypass: PathBuf,
    config: PathBuf,
    seal_key: String,
    /// The token of its one user.
    pub(crate) token: String,
}

impl SignedIn {
    /// Writes configuration and public key into this folder. The endpoint has the path and the origin of `page`.
    pub(crate) fn prepare(daypass: &Path, folder: &Path, page: &GetAuthorization) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let key = RsaKeyPair::generate(KeySize::Rsa2048).context("no RSA key")?;
        fs::write(folder.join("keys.json"), key_set(&key).to_string())?;
        let config = folder.join("daypass.toml");
        fs::write(&config, toml::to_string(&configuration(page))?)?;
        let mut seal_key = String::new();
        for byte in rand::random::<[u8; 32]>() {
            // Writing to a string does not fail.
            let _ = write!(seal_key, "{byte:02x}");
        }
        Ok(Self { daypass: daypass.to_owned(), config, seal_key, token: token(&key, clock::wall())? })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.daypass);
        command.arg(name).arg("--config").arg(&self.config).env(SEAL_KEY, &self.seal_key);
        command
    }

    /// Starts it. A server that is measured is heard by nobody, so what is wrong is asked before.
    pub(crate) fn start(&self, cores: Cores) -> anyhow::Result<Server> {
        let check = self.command("check").output().context("cannot run daypass check")?;
        ensure!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr).trim());
        Server::start(cores, Core::Servers, |address| {
            let mut command = self.command("serve");
            command.env(LISTEN, address.to_string());
            command
        })
    }
}

fn configuration(page: &GetAuthorization) -> Value {
    let policy = json!({"version": "2.0", "statement": {
        "effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*",
    }});
    json!({
        "server": {"listen": "127.0.0.1:0"},
        "store": {"url": "sqlite:daypass.db"},
        "seal": {"key": {"env": SEAL_KEY}},
        "tenant": [{
            "name": "bench",
            "guid": "387c56a8-cf86-45de-b9f5-b4de88cac054",
            "account": "100000000001",
            "provider": [{
                "name": "login", "issuer": ISSUER, "audience": AUDIENCE, "jwks": {"file": "keys.json"},
            }],
            "role": [{
                "name": "soe",
                "lifetime": {"default": "30m", "max": "2h"},
                "policy": {"cam": policy.to_string()},
                "wildcard_reason": "SOE has no resource-level rights",
            }],
        }],
        "endpoint": [{
            "dialect": "tencent.getAuthorization",
            "path": page.path,
            "tenant": "bench",
            "role": "soe",
            "origins": [page.origin],
            "caller": {"jwt": {"provider": "login"}},
        }],
    })
}

fn key_set(key: &RsaKeyPair) -> Value {
    let public = key.public_key();
    let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    json!({"keys": [{
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID,
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    }]})
}

/// A token as providers make them: RS256, the one algorithm that OpenID Connect asks of everyone.
fn token(key: &RsaKeyPair, now: Timestamp) -> anyhow::Result<String> {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID});
    let (iat, exp) = (unix(now), unix(now) + LIFETIME);
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": iat, "exp": exp});
    let mut token = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
        .context("the key does not sign")?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::tests::sample;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    #[test]
    fn the_token_verifies_with_the_key_set_that_is_written() {
        let place = tempfile::tempdir().unwrap();
        let page = sample().get_authorization;
        let ours = SignedIn::prepare(Path::new("daypass"), place.path(), &page).unwrap();
        let keys: JwkSet =
            serde_json::from_slice(&fs::read(place.path().join("keys.json")).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let key = DecodingKey::from_jwk(keys.find(KEY_ID).unwrap()).unwrap();
        assert_eq!(decode::<Value>(&ours.token, &key, &validation).unwrap().claims["sub"], SUBJECT);
        assert_eq!(ours.seal_key.len(), 64);
    }

    #[test]
    fn a_configuration_that_is_refused_says_why() {
        let place = tempfile::tempdir().unwrap();
        // Any program that refuses `check` in words does.
        let ours = SignedIn::prepare(Path::new("ls"), place.path(), &sample().get_authorization).unwrap();
        let error = ours.start(Cores::choose().unwrap()).err().unwrap().to_string();
        assert!(error.contains("--config"), "{error}");
    }

    #[test]
    fn the_configuration_is_for_the_same_page_and_says_where_the_keys_are() {
        let place = tempfile::tempdir().unwrap();
        let page = sample().get_authorization;
        let ours = SignedIn::prepare(Path::new("daypass"), place.path(), &page).unwrap();
        let config: toml::Value = toml::from_str(&fs::read_to_string(&ours.config).unwrap()).unwrap();
        let endpoint = &config["endpoint"][0];
        assert_eq!(endpoint["path"].as_str(), Some(page.path.as_str()));
        assert_eq!(endpoint["origins"][0].as_str(), Some(page.origin.as_str()));
        let provider = &config["tenant"][0]["provider"][0];
        assert_eq!(provider["name"], endpoint["caller"]["jwt"]["provider"]);
        assert!(place.path().join(provider["jwks"]["file"].as_str().unwrap()).exists());
        assert!(!fs::read_to_string(&ours.config).unwrap().contains(&ours.seal_key));
    }
}
