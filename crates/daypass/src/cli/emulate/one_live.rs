//! A token endpoint whose new token kills the one before, as `WeChat`'s does. Daypass has no such endpoint of its own.
//!
//! Source: `WeChat` Official Accounts, "Get access token" (`/cgi-bin/token`, errors with status 200 and an `errcode`) and "Get the
//! IP addresses of the callback servers" (`/cgi-bin/getcallbackip`), which any holder of a token may ask. There the former
//! token goes on for up to five minutes; here it is dead at once, so that a test finds whoever still shows it.

use super::answer::Plain;
use super::sight::{Cloud, Sight};
use daypass_core::clock::{Timestamp, after};
use daypass_core::id::{self, Entropy};
use daypass_core::secret::{Secret, same};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where its paths begin.
pub(super) const PATH: &str = "/cgi-bin/";
/// How long a token lives, in seconds.
const LIFE: u32 = 7_200;
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The one client of it, as the credentials file has it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Client {
    /// Where it asks for a token.
    pub(super) path: String,
    /// `appid`.
    pub(super) appid: String,
    /// `secret`.
    pub(super) secret: String,
}

impl Client {
    /// A new one.
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let hex = b"0123456789abcdef";
        let appid = format!("wx{}", id::text(entropy, hex, 16));
        Self { path: format!("{PATH}token"), appid, secret: id::text(entropy, hex, 32) }
    }
}

/// The endpoint.
pub(super) struct OneLive {
    client: Client,
    live: Mutex<Option<Token>>,
}

struct Token {
    secret: Secret,
    expires: Timestamp,
}

impl OneLive {
    /// With this one client.
    pub(super) fn new(client: Client) -> Self {
        Self { client, live: Mutex::new(None) }
    }

    /// Answers at `/cgi-bin/token` and `/cgi-bin/getcallbackip`.
    pub(super) fn answer(&self, sight: &Sight, now: Timestamp, entropy: &dyn Entropy) -> Plain {
        let document = match sight.action.as_str() {
            "token" => self.token(sight, now, entropy),
            "getcallbackip" => self.hold(sight, now),
            _ => return Plain::new(404, super::answer::json_type(Cloud::OAuth), r#"{"error":"not_found"}"#),
        };
        Plain::new(200, super::answer::json_type(Cloud::OAuth), document.to_string())
    }

    fn token(&self, sight: &Sight, now: Timestamp, entropy: &dyn Entropy) -> Value {
        let is = |name: &str, ours: &str| {
            sight.get(name).is_some_and(|shown| same(shown.as_bytes(), ours.as_bytes()))
        };
        if !is("grant_type", "client_credential") {
            return error(40_002, "invalid grant_type");
        }
        if !is("appid", &self.client.appid) {
            return error(40_013, "invalid appid");
        }
        if !is("secret", &self.client.secret) {
            return error(40_125, "invalid appsecret");
        }
        let token = id::text(entropy, LETTERS, 136);
        let answer = json!({ "access_token": token, "expires_in": LIFE });
        *self.live.lock() = Some(Token { secret: Secret::new(token), expires: after(now, LIFE) });
        answer
    }

    fn hold(&self, sight: &Sight, now: Timestamp) -> Value {
        let shown = sight.get("access_token").unwrap_or_default();
        match &*self.live.lock() {
            Some(live) if !same(live.secret.expose(), shown.as_bytes()) => {
                error(40_001, "invalid credential, access_token is invalid or not latest")
            }
            Some(live) if live.expires <= now => error(42_001, "access_token expired"),
            Some(_) => json!({ "ip_list": ["127.0.0.1"] }),
            None => error(40_001, "invalid credential, access_token is invalid or not latest"),
        }
    }
}

fn error(code: i32, text: &str) -> Value {
    json!({ "errcode": code, "errmsg": text })
}

#[cfg(test)]
mod tests {
    use super::super::sight::tests::sight;
    use super::*;
    use daypass_core::testing::{START, SeededEntropy, later};

    fn ask(service: &OneLive, entropy: &SeededEntropy, target: &str, at: u32) -> Value {
        let plain = service.answer(&sight(target, &[], ""), later(at), entropy);
        serde_json::from_slice(&plain.body).unwrap()
    }

    #[test]
    fn a_new_token_kills_the_one_before() {
        let entropy = SeededEntropy::new(1);
        let service =
            OneLive::new(Client { path: "/cgi-bin/token".into(), appid: "wx1".into(), secret: "s".into() });
        let good = "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=s";
        let token = |at| ask(&service, &entropy, good, at)["access_token"].as_str().unwrap().to_owned();
        let holds = |token: &str, at| {
            ask(&service, &entropy, &format!("/cgi-bin/getcallbackip?access_token={token}"), at)["errcode"]
                .clone()
        };
        assert_eq!(holds("", 0), 40_001);
        let (first, second) = (token(0), token(1));
        assert_ne!(first, second);
        assert_eq!((holds(&first, 1), holds(&second, 1)), (json!(40_001), Value::Null));
        assert_eq!((holds(&second, LIFE), holds(&second, LIFE + 1)), (Value::Null, json!(42_001)));
    }

    #[test]
    fn a_wrong_client_is_told_what_is_wrong_with_status_200() {
        let entropy = SeededEntropy::new(1);
        let client = Client::new(&entropy);
        assert!(client.appid.starts_with("wx") && client.secret.len() == 32);
        let (appid, secret) = (client.appid.clone(), client.secret.clone());
        let service = OneLive::new(client);
        for (query, code) in [
            ("grant_type=client_credentials".to_owned(), 40_002),
            ("grant_type=client_credential&appid=wx2".to_owned(), 40_013),
            (format!("grant_type=client_credential&appid={appid}&secret=x"), 40_125),
        ] {
            let plain = service.answer(&sight(&format!("/cgi-bin/token?{query}"), &[], ""), START, &entropy);
            let document: Value = serde_json::from_slice(&plain.body).unwrap();
            assert_eq!((plain.status.as_u16(), &document["errcode"]), (200, &json!(code)), "{query}");
            assert!(!document.to_string().contains(&secret));
        }
        assert_eq!(service.answer(&sight("/cgi-bin/menu", &[], ""), START, &entropy).status, 404);
    }
}
