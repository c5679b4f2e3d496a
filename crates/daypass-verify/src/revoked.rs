//! What the issuer has taken back since it made a token: its revocation feed.
//!
//! The feed is one signed JWT of the type [`TYPE`]. It names what was taken back in the words of tokens, each with the
//! second up to which whatever was issued counts no more, so that it can be applied without asking anybody.

use crate::cache::{Origin, Told};
use crate::claims::{Claims, strings};
use crate::clock::numeric_date;
use crate::compact::Compact;
use crate::fetch::Fetch;
use crate::keys::Algorithm;
use crate::source::{PlainHttp, checked};
use crate::verifier::Keys;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The type of a feed. Attack: some other JWT of the same issuer, an access token above all, shown in its place.
const TYPE: &str = "daypass-revocations+jwt";

/// The longest feed, in bytes: some fifty thousand single tokens. Attack: an endless one fills the memory of every API.
const LONGEST: usize = 8 * 1024 * 1024;

/// How far the issuer's clock and ours may be apart for a feed, which lives for minutes.
const LEEWAY: Duration = Duration::from_mins(1);

/// What has been taken back.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Revoked {
    /// Everything of the issuer.
    all: Option<u64>,
    /// Single tokens, by `uti` or `jti`.
    tokens: Cuts,
    /// Clients, by their ids.
    clients: Cuts,
    /// Subjects, by `oid` or `sub`.
    subjects: Cuts,
    /// Keys of clients, by what `rh` tells of them.
    keys: Cuts,
    /// Roles, by what they put into a token.
    roles: Vec<RoleCut>,
}

/// Names in lower case, each with the last second that is taken back.
type Cuts = HashMap<String, u64>;

#[derive(Debug, PartialEq)]
struct RoleCut {
    audiences: Vec<String>,
    roles: Vec<String>,
    before: u64,
}

impl Revoked {
    /// Reads the claims of a feed whose signature was found right. A member that is not known here is refused: what this
    /// version cannot apply may be the very thing that was taken back.
    fn read(claims: &Map<String, Value>) -> Result<Self, String> {
        let list = claims.get("revoked").and_then(Value::as_object).ok_or("it has no object `revoked`")?;
        let mut revoked = Self::default();
        for (name, value) in list {
            let cuts = || cuts(value).ok_or_else(|| format!("its `{name}` is no list of names with seconds"));
            match name.as_str() {
                "all" => revoked.all = Some(value.as_u64().ok_or("its `all` is no number of seconds")?),
                "tokens" => revoked.tokens = cuts()?,
                "clients" => revoked.clients = cuts()?,
                "subjects" => revoked.subjects = cuts()?,
                "keys" => revoked.keys = cuts()?,
                "roles" => revoked.roles = roles(value).ok_or("its `roles` are not what was expected")?,
                _ => return Err("it has a list that this version does not know".to_owned()),
            }
        }
        Ok(revoked)
    }

    /// Whether a token has been taken back. One that does not say when it was issued is as old as can be.
    pub(crate) fn holds(&self, claims: &Claims) -> bool {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let issued = claims.get("iat").and_then(numeric_date).unwrap_or_default().as_secs();
        let cut = |cuts: &Cuts, name: &str| {
            !cuts.is_empty() && cuts.get(&name.to_ascii_lowercase()).is_some_and(|before| issued <= *before)
        };
        // `rh` is a version, the print of the key, and the ids of the tokens that it was exchanged for.
        let mut traces = text("rh").unwrap_or_default().split('.').skip(1);
        let key = traces.next();
        self.all.is_some_and(|before| issued <= before)
            || [text("uti"), text("jti")].into_iter().flatten().chain(traces).any(|id| cut(&self.tokens, id))
            || claims.client().into_iter().chain(actors(claims)).any(|client| cut(&self.clients, client))
            || [text("oid"), text("sub")].into_iter().flatten().any(|subject| cut(&self.subjects, subject))
            // A print is base64url, whose letters have a case.
            || key.is_some_and(|key| self.keys.get(key).is_some_and(|before| issued <= *before))
            || self.roles.iter().any(|role| role.before >= issued && role.made(claims))
    }
}

impl RoleCut {
    /// Whether a token may have been made in this role: one for its audience, with one of its app roles or with none.
    fn made(&self, claims: &Claims) -> bool {
        let ours = |audience: &str| self.audiences.iter().any(|its| its.eq_ignore_ascii_case(audience));
        let audience = match claims.get("aud") {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(ours),
            _ => false,
        };
        let roles = claims.roles();
        audience && (roles.is_empty() || roles.iter().any(|role| self.roles.contains(role)))
    }
}

/// The clients that a token went through, by exchanges (`act`; RFC 8693, section 4.1).
fn actors(claims: &Claims) -> impl Iterator<Item = &str> {
    let nested = std::iter::successors(claims.get("act"), |actor| actor.get("act"));
    nested.filter_map(|actor| actor.get("client_id").and_then(Value::as_str))
}

fn cuts(value: &Value) -> Option<Cuts> {
    value.as_object()?.iter().map(|(name, before)| Some((name.clone(), before.as_u64()?))).collect()
}

fn roles(value: &Value) -> Option<Vec<RoleCut>> {
    let one = |role: &Value| {
        Some(RoleCut {
            audiences: strings(role.get("aud")?)?,
            roles: strings(role.get("roles")?)?,
            before: role.get("before")?.as_u64()?,
        })
    };
    value.as_array()?.iter().map(one).collect()
}

/// Where the feed of an issuer is: beside its version 2.0 issuer, whichever of the two names it goes by.
pub(crate) fn address(issuer: &str) -> String {
    format!("{}/revocations", version_2(issuer))
}

/// The issuer that signs the feed.
fn version_2(issuer: &str) -> String {
    let bare = issuer.strip_suffix('/').unwrap_or(issuer);
    if bare.ends_with("/v2.0") { bare.to_owned() } else { format!("{bare}/v2.0") }
}

/// Fetches the feed and proves it.
pub(crate) struct Feed {
    url: String,
    issuer: String,
    fetch: Arc<dyn Fetch>,
    keys: Keys,
}

impl Feed {
    /// Refused where the address is plain http off this machine.
    pub(crate) fn new(
        issuer: &str,
        fetch: Arc<dyn Fetch>,
        plain_http: PlainHttp,
        keys: Keys,
    ) -> Result<Self, String> {
        let url = address(issuer);
        checked(&url, plain_http)?;
        Ok(Self { url, issuer: version_2(issuer), fetch, keys })
    }

    async fn fetched(&self, now: Duration) -> Result<Told<Revoked>, String> {
        let fetched = self.fetch.fetch(&self.url, LONGEST).await.map_err(|fault| fault.to_string())?;
        let text = std::str::from_utf8(&fetched.body).map_err(|_| "it is no text".to_owned())?;
        Ok((self.proved(text, now).await?, fetched.max_age))
    }

    /// Everything that makes it the issuer's own, of now, and no other JWT.
    async fn proved(&self, text: &str, now: Duration) -> Result<Revoked, String> {
        let compact = Compact::parse_within(text, LONGEST).map_err(|rejected| rejected.to_string())?;
        if compact.typ().ok().flatten().as_deref() != Some(TYPE) {
            return Err(format!("its type is not {TYPE}"));
        }
        let algorithm = compact.header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let algorithm = algorithm.ok_or("its algorithm is not known")?;
        let kid = compact.kid().ok().flatten().ok_or("it names no key")?;
        let keys = self.keys.of(Some(kid)).await.map_err(|rejected| rejected.log())?;
        let key = keys.choose(Some(kid), algorithm).map_err(|_| "its key is not one of the issuer's")?;
        if !key.verifies(algorithm, compact.signed, &compact.signature) {
            return Err("its signature is wrong".to_owned());
        }
        let claims = compact.claims().map_err(|rejected| rejected.to_string())?;
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err("it is of another issuer".to_owned());
        }
        let date = |name: &str| claims.get(name).and_then(numeric_date).ok_or("it has no times");
        // Attack: an older feed, from before a token was taken back, is shown again for ever.
        if date("exp")?.saturating_add(LEEWAY) <= now {
            return Err("it has expired".to_owned());
        }
        if date("iat")? > now.saturating_add(LEEWAY) {
            return Err("it is from the future".to_owned());
        }
        Revoked::read(&claims)
    }
}

impl Origin for Feed {
    type Item = Revoked;
    const WHAT: &'static str = "revocation feed";

    async fn get(&self, now: Duration) -> Result<Told<Revoked>, String> {
        self.fetched(now).await.map_err(|fault| format!("{}: {fault}", self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PRINT: &str = "AbCdEfGhIjKlMnOpQrStUv";

    fn token(changes: &Value) -> Claims {
        let mut all = json!({
            "iss": "i", "aud": "orders", "exp": 2000, "iat": 1000, "uti": "u-1", "azp": "c-1", "oid": "o-1", "sub": "o-1",
            "roles": ["orders.read"], "rh": format!("1.{PRINT}.before-1.before-2"),
            "act": {"client_id": "c-2", "act": {"client_id": "c-3"}},
        });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Claims::read(all.as_object().unwrap().clone()).unwrap()
    }

    fn revoked(list: &Value) -> Revoked {
        Revoked::read(json!({"revoked": list}).as_object().unwrap()).unwrap()
    }

    #[test]
    fn each_list_takes_back_what_was_issued_until_then() {
        let role =
            |roles: &[&str], before: u64| json!([{"aud": ["x", "ORDERS"], "roles": roles, "before": before}]);
        for list in [
            |before: u64| json!({"all": before}),
            |before| json!({"tokens": {"u-1": before}}),
            |before| json!({"tokens": {"before-2": before}}),
            |before| json!({"clients": {"c-1": before}}),
            |before| json!({"clients": {"c-3": before}}),
            |before| json!({"subjects": {"o-1": before}}),
            |before| json!({"keys": {PRINT: before}}),
        ] {
            assert!(revoked(&list(1000)).holds(&token(&json!({}))), "{}", list(1000));
            assert!(!revoked(&list(999)).holds(&token(&json!({}))), "{}", list(999));
            assert!(revoked(&list(1)).holds(&token(&json!({"iat": null}))), "as old as can be: {}", list(1));
        }
        let held = |list: &Value, changes: &Value| revoked(&json!({"roles": list})).holds(&token(changes));
        assert!(held(&role(&["orders.read"], 1000), &json!({})));
        assert!(!held(&role(&["orders.read"], 999), &json!({})));
        assert!(!held(&role(&["orders.write"], 1000), &json!({})), "it was not made in that role");
        assert!(held(&role(&["orders.write"], 1000), &json!({"roles": []})), "it may have been");
        assert!(held(&role(&["orders.read"], 1000), &json!({"aud": ["a", "orders"]})));
        assert!(!held(&role(&["orders.read"], 1000), &json!({"aud": "other"})));
    }

    #[test]
    fn nothing_else_is_taken_back() {
        for list in [
            json!({}),
            json!({"tokens": {"c-1": 1000, "u-2": 1000}, "clients": {"u-1": 1000, "o-1": 1000}}),
            json!({"keys": {PRINT.to_lowercase(): 1000}, "subjects": {"c-1": 1000}}),
        ] {
            assert!(!revoked(&list).holds(&token(&json!({}))), "{list}");
        }
        assert!(revoked(&json!({"clients": {"c-1": 1000}})).holds(&token(&json!({"azp": "C-1"}))));
    }

    #[test]
    fn a_feed_that_is_not_understood_whole_is_no_feed() {
        for claims in [
            json!({}),
            json!({"revoked": []}),
            json!({"revoked": {"everybody": 1}}),
            json!({"revoked": {"all": "1"}}),
            json!({"revoked": {"all": -1}}),
            json!({"revoked": {"tokens": ["u-1"]}}),
            json!({"revoked": {"clients": {"c": 1.5}}}),
            json!({"revoked": {"roles": [{"aud": "a", "roles": [], "before": 1}]}}),
            json!({"revoked": {"roles": [{"aud": ["a"], "before": 1}]}}),
        ] {
            assert!(Revoked::read(claims.as_object().unwrap()).is_err(), "{claims}");
        }
    }

    #[test]
    fn both_issuers_of_a_tenant_have_one_feed() {
        for issuer in ["https://x/t/", "https://x/t/v2.0"] {
            assert_eq!(address(issuer), "https://x/t/v2.0/revocations");
        }
    }
}
