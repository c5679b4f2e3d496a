//! What the issuer has taken back since it made a token.
//!
//! It is named in the words of tokens, each with the second up to which whatever was issued counts no more, so that it can
//! be applied without asking anybody.

use crate::claims::{Claims, strings};
use crate::clock::numeric_date;
use crate::keys::sha256;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What has been taken back. It is written as the issuer writes it, members in the order of their names, so that both
/// come to the same [`Revoked::state`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Revoked {
    /// Everything of the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<u64>,
    /// Clients, by their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clients: Cuts,
    /// Keys of clients, by what `rh` tells of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: Cuts,
    /// Roles, by what they put into a token.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<RoleCut>,
    /// Subjects, by `oid` or `sub`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subjects: Cuts,
    /// Single tokens, by `uti` or `jti`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: Cuts,
}

/// Names in lower case, each with the last second that is taken back.
type Cuts = BTreeMap<String, u64>;

/// A role, in the order in which the issuer writes and sorts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct RoleCut {
    #[serde(rename = "aud")]
    audiences: Vec<String>,
    before: u64,
    roles: Vec<String>,
}

impl Revoked {
    /// Reads the claims of a feed whose signature was found right. A member that is not known here is refused: what this
    /// version cannot apply may be the very thing that was taken back.
    pub(crate) fn read(claims: &Map<String, Value>) -> Result<Self, String> {
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

    /// The list that the claims of a feed of changes make of this one.
    pub(crate) fn changed(&self, claims: &Map<String, Value>) -> Result<Self, String> {
        let mut list = self.clone();
        list.remove(claims)?;
        let Self { all, clients, keys, roles, subjects, tokens } = Self::read(claims)?;
        list.all = all.or(list.all);
        for (of, new) in [
            (&mut list.clients, clients),
            (&mut list.keys, keys),
            (&mut list.subjects, subjects),
            (&mut list.tokens, tokens),
        ] {
            of.extend(new);
        }
        // A role has one place, whatever its second.
        list.roles.retain(|old| !roles.iter().any(|new| new.is_place_of(old)));
        list.roles.extend(roles);
        Ok(list)
    }

    /// Everything that is in this list or in another one, each up to the later of its seconds.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut list = self.clone();
        list.all = list.all.max(other.all);
        for (of, new) in [
            (&mut list.clients, &other.clients),
            (&mut list.keys, &other.keys),
            (&mut list.subjects, &other.subjects),
            (&mut list.tokens, &other.tokens),
        ] {
            for (name, before) in new {
                let cut = of.entry(name.clone()).or_insert(*before);
                *cut = before.max(cut).to_owned();
            }
        }
        // Two seconds of one role: the later one decides.
        list.roles.extend(other.roles.iter().cloned());
        list
    }

    /// Takes out what is `gone`, each by its name with `true`. Nothing counts again by that: nothing lives any more that it
    /// was about. A name that is not here is a sign that the changes are those of another list.
    fn remove(&mut self, claims: &Map<String, Value>) -> Result<(), String> {
        let gone = claims.get("gone").and_then(Value::as_object).ok_or("it has no object `gone`")?;
        for (name, value) in gone {
            let of = match name.as_str() {
                "all" => {
                    self.all.take().ok_or("it takes out what is not there")?;
                    continue;
                }
                "roles" => {
                    self.remove_roles(value)?;
                    continue;
                }
                "clients" => &mut self.clients,
                "keys" => &mut self.keys,
                "subjects" => &mut self.subjects,
                "tokens" => &mut self.tokens,
                _ => return Err("it has a list that this version does not know".to_owned()),
            };
            for name in value.as_object().ok_or("its `gone` is not what was expected")?.keys() {
                of.remove(name).ok_or("it takes out what is not there")?;
            }
        }
        Ok(())
    }

    fn remove_roles(&mut self, gone: &Value) -> Result<(), String> {
        for role in gone.as_array().ok_or("its `gone` is not what was expected")? {
            let named = |name: &str| role.get(name).and_then(strings);
            let (Some(audiences), Some(roles)) = (named("aud"), named("roles")) else {
                return Err("its `gone` is not what was expected".to_owned());
            };
            let (place, before) = (RoleCut { audiences, before: 0, roles }, self.roles.len());
            self.roles.retain(|held| !held.is_place_of(&place));
            if self.roles.len() == before {
                return Err("it takes out what is not there".to_owned());
            }
        }
        Ok(())
    }

    /// The name of what is in the list: base64url of the SHA-256 of its JSON, as the issuer computes it.
    pub(crate) fn state(&self) -> Option<String> {
        Some(sha256(&serde_json::to_vec(self).ok()?))
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
    /// Whether both are about the same role.
    fn is_place_of(&self, other: &Self) -> bool {
        self.audiences == other.audiences && self.roles == other.roles
    }

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

fn roles(value: &Value) -> Option<BTreeSet<RoleCut>> {
    let one = |role: &Value| {
        Some(RoleCut {
            audiences: strings(role.get("aud")?)?,
            roles: strings(role.get("roles")?)?,
            before: role.get("before")?.as_u64()?,
        })
    };
    value.as_array()?.iter().map(one).collect()
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

    /// What a list becomes by these changes.
    fn changed(list: &Value, set: &Value, gone: &Value) -> Result<Revoked, String> {
        let claims = json!({"revoked": set, "gone": gone});
        revoked(list).changed(claims.as_object().unwrap())
    }

    #[test]
    fn changes_make_one_list_of_another() {
        let role = |before: u64| json!({"aud": ["orders"], "before": before, "roles": ["r"]});
        let gone = json!({"aud": ["orders"], "before": true, "roles": ["r"]});
        let all = json!({
            "all": 5, "clients": {"c": 1}, "keys": {"k": 1}, "roles": [role(1)], "subjects": {"s": 1}, "tokens": {"t": 1},
        });
        let nothing = json!({});
        assert_eq!(changed(&all, &nothing, &nothing).unwrap(), revoked(&all));
        assert_eq!(changed(&nothing, &all, &nothing).unwrap(), revoked(&all));
        let set = json!({"all": 6, "clients": {"c": 2, "d": 2}, "roles": [role(2)]});
        let after = json!({
            "all": 6, "clients": {"c": 2, "d": 2}, "keys": {"k": 1}, "roles": [role(2)], "subjects": {"s": 1},
            "tokens": {"t": 1},
        });
        assert_eq!(changed(&all, &set, &nothing).unwrap(), revoked(&after));
        let gone = json!({
            "all": true, "clients": {"c": true}, "keys": {"k": true}, "roles": [gone], "subjects": {"s": true},
            "tokens": {"t": true},
        });
        assert_eq!(changed(&all, &nothing, &gone).unwrap(), Revoked::default());
    }

    #[test]
    fn changes_that_are_not_of_this_list_or_not_understood_are_none() {
        let list = json!({"tokens": {"t": 1}});
        let fine = json!({});
        for gone in [
            json!({"tokens": {"u": true}}),
            json!({"clients": {"t": true}}),
            json!({"all": true}),
            json!({"roles": [{"aud": ["x"], "before": true, "roles": []}]}),
            json!({"roles": [7]}),
            json!({"roles": {}}),
            json!({"tokens": ["t"]}),
            json!({"planets": {}}),
            json!([]),
            json!(null),
        ] {
            assert!(changed(&list, &fine, &gone).is_err(), "{gone}");
        }
        for set in [json!({"planets": {}}), json!({"tokens": {"t": "1"}}), json!(null)] {
            assert!(changed(&list, &set, &fine).is_err(), "{set}");
        }
    }

    #[test]
    fn a_state_is_the_hash_of_what_is_written_in_order() {
        // SHA-256 of `{}`.
        assert_eq!(Revoked::default().state().unwrap(), "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
        let list = json!({
            "tokens": {"b": 1, "a": 2}, "all": 3,
            "roles": [{"roles": ["r"], "before": 4, "aud": ["y", "x"]}, {"roles": [], "before": 5, "aud": ["a"]}],
        });
        let written = r#"{"all":3,"roles":[{"aud":["a"],"before":5,"roles":[]},{"aud":["y","x"],"before":4,"roles":["r"]}],"tokens":{"a":2,"b":1}}"#;
        assert_eq!(revoked(&list).state().unwrap(), sha256(written.as_bytes()));
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
}
