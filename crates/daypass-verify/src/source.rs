//! Where an issuer's keys come from.

use crate::cache::{Origin, Told};
use crate::fetch::Fetch;
use crate::json;
use crate::keys::{self, KeySet};
use parking_lot::Mutex;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The longest discovery document, in bytes; usual ones have three to six thousand.
const METADATA: usize = 64 * 1024;

/// For how long the address of the keys is used before the issuer is asked for it again.
const ADDRESS: Duration = Duration::from_hours(1);

/// Whether plain http may be used off this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// Attack: whoever is on the way of a key set can put a key of their own into it.
    Refused,
    /// The operator has said that nobody is.
    Allowed,
}

/// Where the keys are.
pub(crate) enum Place {
    /// Where the discovery document of this issuer says.
    Issuer(String),
    /// Here.
    Keys(String),
}

/// Fetches the keys of an issuer.
pub(crate) struct Source {
    place: Place,
    fetch: Arc<dyn Fetch>,
    plain_http: PlainHttp,
    /// What the issuer said last of where its keys are, and when that was.
    address: Mutex<Option<(String, Duration)>>,
}

impl Origin for Source {
    type Item = KeySet;
    const WHAT: &'static str = "keys";

    async fn get(&self, now: Duration) -> Result<Told<KeySet>, String> {
        self.keys(now).await
    }
}

impl Source {
    /// Refused where the address cannot be one, or is plain http off this machine.
    pub(crate) fn new(place: Place, fetch: Arc<dyn Fetch>, plain_http: PlainHttp) -> Result<Self, String> {
        let source = Self { place, fetch, plain_http, address: Mutex::new(None) };
        match &source.place {
            Place::Issuer(issuer) => source.check(&discovery(issuer)),
            Place::Keys(url) => source.check(url),
        }?;
        Ok(source)
    }

    /// The keys as they are now, and for how long they may be kept. The error is for the log.
    pub(crate) async fn keys(&self, now: Duration) -> Result<(KeySet, Option<Duration>), String> {
        let url = match &self.place {
            Place::Keys(url) => url.clone(),
            Place::Issuer(issuer) => self.discovered(issuer, now).await?,
        };
        let found = self.document(&url, keys::LONGEST).await;
        let found = found.and_then(|(body, max_age)| Ok((KeySet::parse(&body)?, max_age)));
        if found.is_err() {
            // It may have moved: the next attempt asks the issuer again.
            *self.address.lock() = None;
        }
        found.map_err(|fault| format!("{url}: {fault}"))
    }

    async fn discovered(&self, issuer: &str, now: Duration) -> Result<String, String> {
        if let Some((url, since)) = &*self.address.lock()
            && (*since..since.saturating_add(ADDRESS)).contains(&now)
        {
            return Ok(url.clone());
        }
        let from = discovery(issuer);
        let (body, _) = self.document(&from, METADATA).await.map_err(|fault| format!("{from}: {fault}"))?;
        let url = self.read_metadata(&body, issuer).map_err(|fault| format!("{from}: {fault}"))?;
        *self.address.lock() = Some((url.clone(), now));
        Ok(url)
    }

    /// The address of the keys, out of a discovery document.
    ///
    /// Attack: a document that names another issuer was put there by a mix-up, or by someone who may write below that
    /// host but is not the issuer; so the name is compared byte for byte (OpenID Connect Discovery 1.0, section 4.3).
    fn read_metadata(&self, body: &[u8], issuer: &str) -> Result<String, String> {
        let metadata = json::object(body).ok_or("it is no JSON object without doubled members")?;
        match metadata.get("issuer").and_then(Value::as_str) {
            Some(named) if named == issuer => {}
            Some(named) => {
                let named: String = named.chars().take(100).collect();
                return Err(format!("it is of the issuer {named:?}, and {issuer:?} was expected"));
            }
            None => return Err("it names no issuer".to_owned()),
        }
        let url = metadata.get("jwks_uri").and_then(Value::as_str).ok_or("it has no `jwks_uri`")?;
        self.check(url).map_err(|fault| format!("its `jwks_uri` is refused: {fault}"))?;
        Ok(url.to_owned())
    }

    async fn document(&self, url: &str, most: usize) -> Result<(Vec<u8>, Option<Duration>), String> {
        let fetched = self.fetch.fetch(url, most).await.map_err(|fault| fault.to_string())?;
        if fetched.body.len() > most {
            return Err(format!("the document is longer than {most} bytes"));
        }
        Ok((fetched.body, fetched.max_age))
    }

    /// Whether a document may be fetched from this address.
    fn check(&self, url: &str) -> Result<(), String> {
        checked(url, self.plain_http)
    }
}

/// Refuses an address that a document must not be fetched from.
pub(crate) fn checked(url: &str, plain_http: PlainHttp) -> Result<(), String> {
    let url = Url::parse(url).map_err(|fault| format!("{url:?} is no URL ({fault})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name in it".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if plain_http == PlainHttp::Allowed || is_this_machine(&url) => Ok(()),
        _ => Err(format!("{url} is neither https nor plain http on this machine")),
    }
}

/// The address of an issuer's discovery document: one slash at the end of its name is dropped first (OpenID Connect
/// Discovery 1.0, section 4.1). That is how the two issuers of a Microsoft-like tenant, `…/{tenant}/` and
/// `…/{tenant}/v2.0`, each lead to their own.
fn discovery(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// Whether a URL's host is this machine by its own name; nobody is on the way to it.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, key_set};

    const ISSUER: &str = "https://pass.example.com/tenant/v2.0";
    const HERE: Duration = Duration::from_hours(500_000);

    fn source(place: Place, script: &Script) -> Source {
        Source::new(place, Arc::new(script.clone()), PlainHttp::Refused).unwrap()
    }

    fn metadata(issuer: &str, keys: &str) -> String {
        format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","more":1}}"#)
    }

    #[tokio::test]
    async fn keys_are_found_by_the_issuers_name_and_the_way_is_remembered() {
        let script = Script::default();
        script.set(&discovery(ISSUER), metadata(ISSUER, "https://keys.example.com/k"));
        script.set("https://keys.example.com/k", key_set(&["a"]));
        let source = source(Place::Issuer(ISSUER.to_owned()), &script);
        for _ in 0..3 {
            assert!(source.keys(HERE).await.unwrap().0.has("a"));
        }
        assert_eq!((script.asked(&discovery(ISSUER)), script.asked("https://keys.example.com/k")), (1, 3));
        source.keys(HERE + ADDRESS).await.unwrap();
        assert_eq!(script.asked(&discovery(ISSUER)), 2, "not for ever");
        script.set("https://keys.example.com/k", "{}");
        assert!(source.keys(HERE + ADDRESS).await.unwrap_err().contains("https://keys.example.com/k"));
        script.set(&discovery(ISSUER), metadata(ISSUER, "https://keys.example.com/moved"));
        script.set("https://keys.example.com/moved", key_set(&["b"]));
        assert!(source.keys(HERE + ADDRESS).await.unwrap().0.has("b"), "they had moved");
    }

    #[tokio::test]
    async fn a_document_of_another_issuer_is_not_believed() {
        let script = Script::default();
        let keys = "https://keys.example.com/k";
        script.set(keys, key_set(&["a"]));
        let source = source(Place::Issuer(ISSUER.to_owned()), &script);
        for other in [
            metadata("https://pass.example.com/tenant/v2.0/", keys),
            metadata("https://PASS.example.com/tenant/v2.0", keys),
            metadata("https://evil.example/tenant/v2.0", keys),
            format!(r#"{{"jwks_uri":"{keys}"}}"#),
            format!(r#"{{"issuer":["{ISSUER}"],"jwks_uri":"{keys}"}}"#),
            format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{keys}"}}"#),
            format!(r#"{{"issuer":"{ISSUER}"}}"#),
            metadata(ISSUER, "http://keys.example.com/k"),
            metadata(ISSUER, "file:///etc/passwd"),
            metadata(ISSUER, "/relative"),
            format!("{}{}", metadata(ISSUER, keys), " ".repeat(METADATA)),
            "not JSON".to_owned(),
        ] {
            script.set(&discovery(ISSUER), &other);
            assert!(source.keys(HERE).await.is_err(), "{}", &other[..other.len().min(100)]);
            assert_eq!(script.asked(keys), 0);
        }
        script.set(&discovery(ISSUER), metadata(ISSUER, keys));
        assert!(source.keys(HERE).await.is_ok());
    }

    #[test]
    fn addresses_are_https_or_on_this_machine() {
        let new = |url: &str, plain_http| {
            let script = Arc::new(Script::default());
            Source::new(Place::Keys(url.to_owned()), script.clone(), plain_http).is_ok()
                && Source::new(Place::Issuer(url.to_owned()), script, plain_http).is_ok()
        };
        let here = ["https://x.example", "http://localhost:5050/t", "http://127.0.0.2", "http://[::1]:80/"];
        for url in here {
            assert!(new(url, PlainHttp::Refused), "{url}");
        }
        for url in ["http://x.example", "http://10.0.0.1", "http://localhost.evil.example", "http://0.0.0.0"]
        {
            assert!(!new(url, PlainHttp::Refused) && new(url, PlainHttp::Allowed), "{url}");
        }
        for url in [
            "ftp://localhost",
            "file:///keys",
            "localhost",
            "https://user@x.example",
            "https://u:p@x.example",
        ] {
            assert!(!new(url, PlainHttp::Allowed), "{url}");
        }
    }

    #[test]
    fn both_versions_of_an_issuer_lead_to_their_own_document() {
        assert_eq!(discovery("https://x/t/"), "https://x/t/.well-known/openid-configuration");
        assert_eq!(discovery("https://x/t/v2.0"), "https://x/t/v2.0/.well-known/openid-configuration");
    }
}
