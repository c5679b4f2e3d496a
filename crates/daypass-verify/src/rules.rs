//! What is asked of a token's claims.

use crate::claims::{Claims, strings};
use crate::clock::numeric_date;
use crate::rejected::Rejected;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::time::Duration;

/// The rules of one API.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Names of the issuer; more than one only where one issuer has two.
    pub(crate) issuers: Vec<String>,
    /// Names of this API.
    pub(crate) audiences: Vec<String>,
    /// How far clocks may be apart.
    pub(crate) leeway: Duration,
    /// The tenant, where it matters.
    pub(crate) tenant: Option<String>,
    /// Whether only applications may ask.
    pub(crate) applications_only: bool,
    /// The clients that may ask; all, where there are none.
    pub(crate) clients: HashSet<String>,
    /// The roles that every token must have.
    pub(crate) roles: Vec<String>,
    /// The scopes that every token must have.
    pub(crate) scopes: Vec<String>,
}

impl Rules {
    /// Whether a token is meant for this API and for now. Its claims, if so.
    pub(crate) fn authenticate(&self, claims: Map<String, Value>, now: Duration) -> Result<Claims, Rejected> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if !text("iss").is_some_and(|issuer| self.issuers.iter().any(|ours| ours == issuer)) {
            return Err(Rejected::Issuer);
        }
        if !self.is_audience(claims.get("aud")) {
            return Err(Rejected::Audience);
        }
        self.check_times(&claims, now)?;
        // Ids of tenants are GUIDs, whose letters have no case (RFC 9562, section 4).
        if let Some(tenant) = &self.tenant
            && !text("tid").is_some_and(|its| its.eq_ignore_ascii_case(tenant))
        {
            return Err(Rejected::Tenant);
        }
        Claims::read(claims)
    }

    /// Whether its holder may ask here at all.
    pub(crate) fn authorize(&self, claims: &Claims) -> Result<(), Rejected> {
        if self.applications_only && !claims.is_application() {
            return Err(Rejected::NotAnApplication);
        }
        let is_one = |client: &str| self.clients.contains(&client.to_ascii_lowercase());
        if !self.clients.is_empty() && !claims.client().is_some_and(is_one) {
            return Err(Rejected::Client);
        }
        self.roles.iter().try_for_each(|role| claims.require_role(role))?;
        self.scopes.iter().try_for_each(|scope| claims.require_scope(scope))
    }

    /// `aud` is one text, or a list of texts of which one is ours (RFC 7519, section 4.1.3).
    fn is_audience(&self, audience: Option<&Value>) -> bool {
        let ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        match audience {
            Some(Value::String(audience)) => ours(audience),
            Some(list) => strings(list).is_some_and(|list| list.iter().any(|audience| ours(audience))),
            None => false,
        }
    }

    fn check_times(&self, claims: &Map<String, Value>, now: Duration) -> Result<(), Rejected> {
        let date = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match numeric_date(value) {
                Some(date) => Ok(Some(date)),
                None => Err(Rejected::Malformed("times in seconds since 1970 were expected")),
            },
        };
        // Attack: a token without an end would be good for ever.
        let end = date("exp")?.ok_or(Rejected::Malformed("an exp in seconds since 1970 was expected"))?;
        if end.saturating_add(self.leeway) <= now {
            return Err(Rejected::Expired);
        }
        for name in ["nbf", "iat"] {
            if date(name)?.is_some_and(|from| from > now.saturating_add(self.leeway)) {
                return Err(Rejected::NotYet);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    fn rules() -> Rules {
        Rules {
            issuers: vec!["https://i/t/v2.0".to_owned(), "https://i/t/".to_owned()],
            audiences: vec!["guid".to_owned(), "api://orders".to_owned()],
            leeway: Duration::from_mins(1),
            tenant: Some("aaaaaaaa-0000-4000-8000-000000000000".to_owned()),
            applications_only: false,
            clients: HashSet::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
        }
    }

    fn token(more: &Value) -> Map<String, Value> {
        let mut all = json!({
            "iss": "https://i/t/v2.0", "aud": "guid", "tid": "AAAAAAAA-0000-4000-8000-000000000000",
            "exp": NOW + 3600, "nbf": NOW - 300, "iat": NOW, "sub": "s", "oid": "s", "azp": "c", "roles": ["r"],
        });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        // A value of null leaves the claim out.
        let all = all.as_object().unwrap().clone().into_iter();
        all.filter(|(_, value)| !value.is_null()).collect()
    }

    fn judged(more: &Value) -> Result<Claims, Rejected> {
        rules().authenticate(token(more), Duration::from_secs(NOW))
    }

    #[test]
    fn what_is_meant_for_this_api_and_for_now_is_taken() {
        for more in [
            json!({}),
            json!({"iss": "https://i/t/"}),
            json!({"aud": "api://orders"}),
            json!({"aud": ["other", "api://orders"]}),
            json!({"nbf": null, "iat": null}),
            json!({"exp": 1_799_999_940.5, "nbf": NOW + 60, "iat": 1_800_000_059.5}),
            json!({"extra": {"a": [1]}}),
        ] {
            assert!(judged(&more).is_ok(), "{more}");
        }
    }

    #[test]
    fn what_is_not_is_told_apart() {
        const MALFORMED: Rejected = Rejected::Malformed("");
        for (more, expected) in [
            (json!({"iss": null}), Rejected::Issuer),
            (json!({"iss": "https://i/t"}), Rejected::Issuer),
            (json!({"iss": "https://I/t/v2.0"}), Rejected::Issuer),
            (json!({"iss": ["https://i/t/v2.0"]}), Rejected::Issuer),
            (json!({"aud": null}), Rejected::Audience),
            (json!({"aud": "GUID"}), Rejected::Audience),
            (json!({"aud": "guid guid"}), Rejected::Audience),
            (json!({"aud": []}), Rejected::Audience),
            (json!({"aud": ["guid", 1]}), Rejected::Audience),
            (json!({"aud": {"guid": 1}}), Rejected::Audience),
            (json!({"exp": NOW - 60}), Rejected::Expired),
            (json!({"exp": 0}), Rejected::Expired),
            (json!({"nbf": NOW + 61}), Rejected::NotYet),
            (json!({"iat": NOW + 61}), Rejected::NotYet),
            (json!({"tid": null}), Rejected::Tenant),
            (json!({"tid": "b"}), Rejected::Tenant),
            (json!({"exp": null}), MALFORMED),
            (json!({"exp": "9999999999"}), MALFORMED),
            (json!({"exp": 1e300}), MALFORMED),
            (json!({"exp": -1}), MALFORMED),
            (json!({"nbf": "0"}), MALFORMED),
            (json!({"iat": true}), MALFORMED),
        ] {
            let got = judged(&more).unwrap_err();
            assert_eq!(got.label(), expected.label(), "{more}");
        }
    }

    #[test]
    fn who_may_ask_is_judged_last_and_says_what_is_missing() {
        let claims = judged(&json!({})).unwrap();
        let with = |change: fn(&mut Rules)| {
            let mut rules = rules();
            change(&mut rules);
            rules
        };
        assert_eq!(rules().authorize(&claims), Ok(()));
        let good = with(|rules| {
            rules.applications_only = true;
            rules.clients = HashSet::from(["c".to_owned()]);
            rules.roles = vec!["r".to_owned()];
        });
        assert_eq!(good.authorize(&claims), Ok(()));
        let capitals = judged(&json!({"azp": "C"})).unwrap();
        assert_eq!(good.authorize(&capitals), Ok(()), "client ids are GUIDs");
        let user = judged(&json!({"oid": "o"})).unwrap();
        assert_eq!(good.authorize(&user), Err(Rejected::NotAnApplication));
        let nobody = judged(&json!({"azp": null})).unwrap();
        assert_eq!(good.authorize(&nobody), Err(Rejected::Client));
        let other = with(|rules| rules.clients = HashSet::from(["d".to_owned()]));
        assert_eq!(other.authorize(&claims), Err(Rejected::Client));
        let more = with(|rules| rules.roles = vec!["r".to_owned(), "w".to_owned()]);
        assert_eq!(more.authorize(&claims), Err(Rejected::Role("w".to_owned())));
        let scoped = with(|rules| rules.scopes = vec!["x".to_owned()]);
        assert_eq!(scoped.authorize(&claims), Err(Rejected::Scope("x".to_owned())));
    }
}
