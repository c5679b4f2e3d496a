//! What a verified token says.

use crate::clock::numeric_date;
use crate::rejected::{BoundTo, Rejected};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The claims of a token that was verified: signature, issuer, audience, times, and whatever else was asked of it.
///
/// Tokens come in three shapes (Microsoft's v1.0 and v2.0, and RFC 9068), which name the same things differently. The
/// methods read all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
    roles: Vec<String>,
    scopes: Vec<String>,
    client: Option<String>,
    expires: Duration,
}

impl Claims {
    /// Reads the claims that have one form. Nothing here is a check of what they say.
    pub(crate) fn read(all: Map<String, Value>) -> Result<Self, Rejected> {
        let expires = all.get("exp").and_then(numeric_date);
        let expires = expires.ok_or(Rejected::Malformed("an exp in seconds since 1970 was expected"))?;
        let roles = match all.get("roles") {
            None => Vec::new(),
            Some(value) => {
                strings(value).ok_or(Rejected::Malformed("roles as a list of texts were expected"))?
            }
        };
        Ok(Self { roles, scopes: scopes(&all)?, client: client(&all)?, expires, all })
    }

    /// Who made it (`iss`).
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// Whom it speaks for (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// The client that asked for it: `azp`, `appid` or `client_id`. After a token exchange that is the one which asked
    /// last, and [`Claims::subject`] is whom it asked for.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The tenant (`tid`).
    pub fn tenant(&self) -> Option<&str> {
        self.text("tid")
    }

    /// What names this one token: `jti`, or else `uti`.
    pub fn id(&self) -> Option<&str> {
        self.text("jti").or_else(|| self.text("uti"))
    }

    /// When it ends (`exp`), without any leeway.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + self.expires
    }

    /// The roles that the client has on this API.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Whether it has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|has| has == role)
    }

    /// Demands a role, for one of several routes behind one verifier.
    ///
    /// # Errors
    ///
    /// [`Rejected::Role`].
    pub fn require_role(&self, role: &str) -> Result<(), Rejected> {
        if self.has_role(role) { Ok(()) } else { Err(Rejected::Role(role.to_owned())) }
    }

    /// What a user has delegated, or the client was granted as scopes (`scp` or `scope`).
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Demands a scope.
    ///
    /// # Errors
    ///
    /// [`Rejected::Scope`].
    pub fn require_scope(&self, scope: &str) -> Result<(), Rejected> {
        let has = self.scopes.iter().any(|has| has == scope);
        if has { Ok(()) } else { Err(Rejected::Scope(scope.to_owned())) }
    }

    /// Whether an application speaks for itself, and not for a user: `idtyp` says so; where there is none, `sub` is the
    /// application's own object (`oid`) or its client id. A token with delegated scopes (`scp`) never does.
    pub fn is_application(&self) -> bool {
        if let Some(kind) = self.text("idtyp") {
            return kind == "app";
        }
        let subject = self.subject();
        let itself = subject == self.text("oid") || subject == self.client();
        subject.is_some() && itself && !self.all.contains_key("scp")
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    /// All claims, in a type of the caller's.
    ///
    /// # Errors
    ///
    /// Where they do not fit the type.
    pub fn read_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.all.clone()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }

    /// What it is bound to. Where there is anything that is not understood, or more than one thing, it is bound to what
    /// nobody can show.
    pub(crate) fn bound_to(&self) -> Option<(BoundTo, &str)> {
        let confirmation = self.all.get("cnf")?;
        let only = confirmation.as_object().filter(|members| members.len() == 1);
        let member = |name| only.and_then(|members| members.get(name)).and_then(Value::as_str);
        Some(match (member("x5t#S256"), member("jkt")) {
            (Some(thumbprint), None) => (BoundTo::Certificate, thumbprint),
            (None, Some(thumbprint)) => (BoundTo::Key, thumbprint),
            _ => (BoundTo::Other, ""),
        })
    }
}

/// The texts of a list; none where it is no list or holds anything else.
pub(crate) fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

/// `scp` or `scope`: texts separated by blanks (RFC 8693, section 4.2).
fn scopes(all: &Map<String, Value>) -> Result<Vec<String>, Rejected> {
    let mut scopes = Vec::new();
    for name in ["scp", "scope"] {
        match all.get(name) {
            None => {}
            Some(Value::String(text)) => {
                scopes.extend(text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned));
            }
            Some(value) => {
                scopes
                    .extend(strings(value).ok_or(Rejected::Malformed("scopes that are text were expected"))?);
            }
        }
    }
    Ok(scopes)
}

/// The client, under whichever name. Attack: where they name two, one reader lets in the one, another the other.
fn client(all: &Map<String, Value>) -> Result<Option<String>, Rejected> {
    const NAMED: Rejected =
        Rejected::Malformed("azp, appid and client_id that name one client were expected");
    let named: Option<HashSet<&str>> =
        ["azp", "appid", "client_id"].iter().filter_map(|name| all.get(*name)).map(Value::as_str).collect();
    let mut named = named.ok_or(NAMED)?.into_iter();
    match (named.next(), named.next()) {
        (client, None) => Ok(client.map(str::to_owned)),
        _ => Err(NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(more: &Value) -> Result<Claims, Rejected> {
        let mut all = json!({"iss": "i", "sub": "s", "exp": 1_800_000_000});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Claims::read(all.as_object().unwrap().clone())
    }

    fn good(more: &Value) -> Claims {
        read(more).unwrap()
    }

    #[test]
    fn the_three_shapes_say_the_same() {
        for more in [
            json!({"appid": "c", "uti": "u", "tid": "t", "roles": ["r"]}),
            json!({"azp": "c", "uti": "u", "tid": "t", "roles": ["r"]}),
            json!({"client_id": "c", "jti": "u", "tid": "t", "roles": ["r"]}),
            json!({"client_id": "c", "azp": "c", "appid": "c", "jti": "u", "uti": "v", "tid": "t", "roles": ["r"]}),
        ] {
            let claims = good(&more);
            assert_eq!((claims.issuer(), claims.subject()), ("i", Some("s")));
            assert_eq!((claims.client(), claims.id(), claims.tenant()), (Some("c"), Some("u"), Some("t")));
            assert_eq!(claims.roles(), ["r"]);
            assert_eq!(claims.expires(), UNIX_EPOCH + Duration::from_hours(500_000));
        }
        let bare = good(&json!({}));
        assert_eq!((bare.client(), bare.id(), bare.tenant(), bare.roles().len()), (None, None, None, 0));
    }

    #[test]
    fn claims_of_another_form_are_refused() {
        for more in [
            json!({"roles": "orders.read"}),
            json!({"roles": ["orders.read", 1]}),
            json!({"roles": null}),
            json!({"scp": 1}),
            json!({"scope": [1]}),
            json!({"azp": 1}),
            json!({"azp": "a", "appid": "b"}),
            json!({"azp": "a", "client_id": null}),
            json!({"exp": "1800000000"}),
            json!({"exp": null}),
        ] {
            assert!(matches!(read(&more), Err(Rejected::Malformed(_))), "{more}");
        }
        assert!(Claims::read(Map::new()).is_err(), "a token must end");
    }

    #[test]
    fn roles_and_scopes_are_whole_words() {
        let claims = good(&json!({"roles": ["orders.read", ""], "scp": "a  b", "scope": ["c d"]}));
        assert!(
            claims.has_role("orders.read") && !claims.has_role("orders") && !claims.has_role("Orders.Read")
        );
        assert_eq!(claims.require_role("x"), Err(Rejected::Role("x".to_owned())));
        assert_eq!(claims.scopes(), ["a", "b", "c d"]);
        assert_eq!(
            (claims.require_scope("b"), claims.require_scope("c")),
            (Ok(()), Err(Rejected::Scope("c".into())))
        );
    }

    #[test]
    fn an_application_speaks_for_itself() {
        for (more, is) in [
            (json!({"idtyp": "app"}), true),
            (json!({"idtyp": "user", "oid": "s"}), false),
            (json!({"oid": "s"}), true),
            (json!({"oid": "o"}), false),
            (json!({"oid": "s", "scp": "a"}), false),
            (json!({"client_id": "s"}), true),
            (json!({"client_id": "c"}), false),
            (json!({}), false),
            (json!({"sub": null, "oid": null}), false),
        ] {
            assert_eq!(good(&more).is_application(), is, "{more}");
        }
    }

    #[test]
    fn what_it_is_bound_to_is_one_thing_that_is_known_or_nothing_that_can_be_shown() {
        let bound =
            |cnf: Value| good(&json!({"cnf": cnf})).bound_to().map(|(to, what)| (to, what.to_owned()));
        assert_eq!(bound(json!({"x5t#S256": "a"})), Some((BoundTo::Certificate, "a".to_owned())));
        assert_eq!(bound(json!({"jkt": "a"})), Some((BoundTo::Key, "a".to_owned())));
        let other = Some((BoundTo::Other, String::new()));
        for cnf in [json!({}), json!(null), json!("a"), json!({"jkt": 1}), json!({"jwk": {}})] {
            assert_eq!(bound(cnf.clone()), other, "{cnf}");
        }
        assert_eq!(bound(json!({"jkt": "a", "x5t#S256": "b"})), other);
        assert_eq!(bound(json!({"jkt": "a", "jwk": {}})), other, "and nothing is passed over");
        assert_eq!(good(&json!({})).bound_to(), None);
    }

    #[test]
    fn they_can_be_read_as_a_type_of_the_callers() {
        #[derive(serde::Deserialize)]
        struct Mine {
            store: String,
        }
        let claims = good(&json!({"store": "8005"}));
        assert_eq!(claims.read_as::<Mine>().unwrap().store, "8005");
        assert!(good(&json!({})).read_as::<Mine>().is_err());
        assert_eq!(claims.get("store"), Some(&json!("8005")));
    }
}
