//! Claims of the operator's own in access tokens.
//!
//! A resource server often needs to know more of a client than its roles: which stores it serves, which region it is
//! for. Without such a claim it looks that up for each request. What a claim says is the operator's text, or a value
//! that the operator bound to this client; the client itself says nothing.

use super::{BadTemplate, VariableType};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The most bytes that the values of one token's variables take as JSON, all together. It keeps the longest token of a
/// resource knowable before any client is granted anything.
pub const VALUES_BYTES: usize = 2048;

/// The largest number that every reader of JSON takes for the same: many hold it as a double (RFC 7493 §2.2).
const SAFE_NUMBER: u64 = 9_007_199_254_740_991;

/// What a claim says: a fixed text, or one with a variable in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimTemplate {
    before: String,
    filling: Option<Filling>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Filling {
    name: String,
    kind: VariableType,
    after: String,
}

/// The value of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Several of either.
    Several(Vec<ClaimValue>),
}

impl ClaimTemplate {
    /// Reads a text. At most one `{name}` in it stands for the value of a variable: each variable may have several
    /// values, and with two of them nobody could tell from the token which go together.
    pub fn parse(text: &str, variables: &BTreeMap<String, VariableType>) -> Result<Self, BadTemplate> {
        let bad = |why: &str| Err(BadTemplate(format!("in `{text}`: {why}")));
        if text.is_empty() || text.contains(char::is_control) {
            return Err(BadTemplate("a claim is a text of one or more printable characters".to_owned()));
        }
        let Some((before, rest)) = text.split_once('{') else {
            return if text.contains('}') {
                bad(UNCLOSED)
            } else {
                Ok(Self { before: text.to_owned(), filling: None })
            };
        };
        let Some((name, after)) = rest.split_once('}').filter(|_| !before.contains('}')) else {
            return bad(UNCLOSED);
        };
        if after.contains(['{', '}']) {
            return bad("a claim holds one variable at most; write a claim for each");
        }
        let Some(kind) = variables.get(name) else {
            return bad(&format!(
                "the variable `{name}` is not declared; declare it with its type, such as {name} = \"slug\""
            ));
        };
        let filling = Filling { name: name.to_owned(), kind: kind.clone(), after: after.to_owned() };
        Ok(Self { before: before.to_owned(), filling: Some(filling) })
    }

    /// The variable in it.
    pub fn variable(&self) -> Option<&str> {
        self.filling.as_ref().map(|filling| filling.name.as_str())
    }

    /// What it says where its variable has these values. A number stays one where nothing else stands beside it.
    pub fn fill(&self, values: &[String]) -> ClaimValue {
        let Some(Filling { kind, after, .. }) = &self.filling else {
            return ClaimValue::Text(self.before.clone());
        };
        let bare = self.before.is_empty() && after.is_empty();
        let one = |value: &String| match value.parse().ok().filter(|_| bare && *kind == VariableType::Int) {
            Some(number) => ClaimValue::Number(number),
            None => ClaimValue::Text(format!("{}{value}{after}", self.before)),
        };
        match values {
            [value] => one(value),
            several => ClaimValue::Several(several.iter().map(one).collect()),
        }
    }

    /// What it says at its longest, where its variable has one value; for a fixed text, that text.
    pub fn longest(&self) -> ClaimValue {
        let kind = self.filling.as_ref().map(|filling| &filling.kind);
        self.fill(&[kind.map_or_else(String::new, VariableType::longest_in_claim)])
    }
}

const UNCLOSED: &str = "braces mean nothing but a variable, {name}";

impl ClaimValue {
    /// Its bytes as JSON.
    pub fn bytes(&self) -> usize {
        // Texts and numbers always serialize.
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

impl VariableType {
    /// Whether this value may stand in a claim: it is of the type, and as a number one that everyone reads alike.
    pub(crate) fn fits_claim(&self, value: &str) -> bool {
        let safe = || value.parse::<u64>().is_ok_and(|number| number <= SAFE_NUMBER);
        self.admits(value) && (*self != Self::Int || safe())
    }

    /// What such a value looks like, for an error message.
    pub(crate) fn expected_in_claim(&self) -> Cow<'static, str> {
        match self {
            Self::Int => "a decimal number without leading zeros, up to 9007199254740991".into(),
            other => other.expected(),
        }
    }

    /// A text as long as the longest of the values that may stand in a claim. None of them has a character that JSON
    /// writes longer.
    fn longest_in_claim(&self) -> String {
        match self {
            Self::Int => SAFE_NUMBER.to_string(),
            other => "0".repeat(other.longest()),
        }
    }
}

/// A name that no claim of an operator's own may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Not of the form of a name.
    #[error(
        "`{0}` is not 1 to 128 letters, digits and `_-.:/` that begin with a letter, as in `store` or `https://acme.example/store`"
    )]
    Form(String),
    /// It means something already.
    #[error(
        "`{0}` means something else in tokens; choose a name of your own, such as `x_{0}` or `https://acme.example/{0}`"
    )]
    Reserved(String),
}

/// Whether a claim of an operator's own may have this name.
///
/// Attack: whoever could write `roles`, `sub` or `cnf` into a token from a configuration of variables would decide what a
/// resource server believes about who asks and what is allowed. Names compare without case, because readers may.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !first || name.len() > 128 || !name.bytes().all(plain) {
        return Err(BadName::Form(name.to_owned()));
    }
    let low = name.to_ascii_lowercase();
    if reserved().any(|name| name == low) || RESERVED_PREFIXES.iter().any(|prefix| low.starts_with(prefix)) {
        return Err(BadName::Reserved(name.to_owned()));
    }
    Ok(())
}

fn reserved() -> impl Iterator<Item = &'static str> {
    RESERVED.iter().flat_map(|names| names.split(' '))
}

/// Beginnings of names that Microsoft uses for claims of its own.
const RESERVED_PREFIXES: [&str; 3] = ["xms_", "ms_", "http://schemas."];

/// Names that mean something to the readers of tokens, in lower case: what IANA registers for JWTs (RFC 7519 §10.1 and
/// later) and for introspection (RFC 7662 §2.2), Entra's access token claims, and ours.
const RESERVED: &[&str] = &[
    // RFC 7519, and what JOSE headers repeat.
    "iss sub aud exp nbf iat jti typ alg kid cty crit x5t x5c",
    // Who asks and what for: RFC 6749, 8693, 9068, 7800, 9396, 9449, 8705, introspection.
    "scope client_id act may_act cnf roles groups entitlements authorization_details active username",
    "token_type token_introspection jkt htm htu ath cnonce ace_profile exi rph sub_id sub_jwk",
    "trust_framework",
    // A person: OpenID Connect.
    "name given_name family_name middle_name nickname preferred_username profile picture website",
    "email email_verified gender birthdate zoneinfo locale phone_number phone_number_verified address",
    "updated_at verified_claims place_of_birth nationalities birth_family_name birth_given_name",
    "birth_middle_name salutation title msisdn also_known_as",
    // A sign-in: OpenID Connect and others.
    "azp nonce auth_time at_hash c_hash s_hash acr amr sid vot vtm events toe txn orig dest mky",
    "attest origid opt div jcard at_use_nbr vc vp sph sip_from_tag sip_date sip_callid sip_cseq_num",
    "sip_via_branch cdniv cdnicrit cdniip cdniuc cdniets cdnistt cdnistd sig_val_claims _claim_names",
    "_claim_sources crit_claims ueid sueids oemid hwmodel hwversion oemboot dbgstat location",
    "eat_profile submods uptime bootcount bootseed dloas swname swversion manifests measurements",
    "measres intuse eat_nonce atc rcd rcdi crn htu_hash status ect",
    // Entra.
    "tid oid uti ver idp idtyp appid appidacr azpacr app_displayname aio rh scp wids hasgroups",
    "groups:src1 unique_name upn upn_verified onprem_sid puid ipaddr in_corp deviceid platf pwd_exp",
    "pwd_url signin_state tenant_ctry tenant_region_scope verified_primary_email",
    "verified_secondary_email vnet fwd ctry acct acrs home_oid altsecid nameid app_chain client_ip",
    "login_hint employeeid e_exp",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables() -> BTreeMap<String, VariableType> {
        [("poi_id", VariableType::Slug), ("n", VariableType::Int), ("dir", VariableType::Path)]
            .map(|(name, kind)| (name.to_owned(), kind))
            .into()
    }

    fn parse(text: &str) -> ClaimTemplate {
        ClaimTemplate::parse(text, &variables()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn json(text: &str, values: &[&str]) -> String {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        serde_json::to_string(&parse(text).fill(&values)).unwrap()
    }

    #[test]
    fn a_claim_is_a_text_a_number_or_a_list() {
        for (text, values, expected) in [
            ("cn", &[][..], r#""cn""#),
            ("cn", &["x"], r#""cn""#),
            ("店 \"a\"", &[], r#""店 \"a\"""#),
            ("{poi_id}", &["8005"], r#""8005""#),
            ("{poi_id}", &["8005", "8006"], r#"["8005","8006"]"#),
            ("{n}", &["8005"], "8005"),
            ("{n}", &["1", "2"], "[1,2]"),
            ("no. {n}", &["8005"], r#""no. 8005""#),
            ("shop:{poi_id}/x", &["a", "b"], r#"["shop:a/x","shop:b/x"]"#),
        ] {
            assert_eq!(json(text, values), expected, "{text}");
        }
        assert_eq!(parse("{poi_id}").variable(), Some("poi_id"));
        assert_eq!(parse("cn").variable(), None);
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        for (text, why) in [
            ("", "one or more printable"),
            ("a\nb", "one or more printable"),
            ("{poi_id}{n}", "one variable at most"),
            ("{poi_id} {", "one variable at most"),
            ("{poi_id", "braces"),
            ("poi_id}", "braces"),
            ("}{poi_id}", "braces"),
            ("{}", "not declared"),
            ("{store}", "the variable `store` is not declared"),
            ("{ poi_id }", "not declared"),
        ] {
            let error = ClaimTemplate::parse(text, &variables()).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn names_that_mean_something_are_refused_in_any_case() {
        for name in reserved() {
            assert_eq!(name, name.to_ascii_lowercase());
            assert!(check_name(name).is_err(), "{name}");
            assert!(check_name(&name.to_uppercase()).is_err(), "{name}");
        }
        for name in ["xms_cc", "Roles", "http://schemas.microsoft.com/identity/claims/objectidentifier"] {
            assert_eq!(check_name(name), Err(BadName::Reserved(name.into())), "{name}");
        }
        for name in ["", "1a", "_a", "a b", "a\"", "a{b}", "é", &"a".repeat(129)] {
            assert_eq!(check_name(name), Err(BadName::Form(name.into())), "{name}");
        }
        for name in ["store", "region", "https://acme.example/store", "acme:store", "store-id", "x_roles"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn some_value_is_as_long_as_the_longest_and_no_longer_one_is() {
        let stage = VariableType::one_of(vec!["test".into(), "v1.2.3".into()]).unwrap();
        let own = VariableType::pattern("[a-z]{2}-[0-9]{4}").unwrap();
        for (kind, longest) in [
            (VariableType::Slug, "x".repeat(64)),
            (VariableType::Path, ["x"; 128].join("/") + "x"),
            (VariableType::Uuid, "00000000-0000-0000-0000-000000000000".to_owned()),
            (VariableType::Int, SAFE_NUMBER.to_string()),
            (stage, "v1.2.3".to_owned()),
            (own, "cn-0001".to_owned()),
        ] {
            assert_eq!(kind.longest_in_claim().len(), longest.len(), "{kind:?}");
            assert!(kind.fits_claim(&longest), "{kind:?}");
            assert!(!kind.fits_claim(&(longest.clone() + "0")), "{kind:?}");
        }
        assert!(!VariableType::Int.fits_claim("9007199254740992"));
        assert!(VariableType::Int.admits("9007199254740992"), "elsewhere it is text");
        assert_eq!(parse("no. {n}").longest(), ClaimValue::Text("no. 9007199254740991".into()));
        assert_eq!(parse("cn").longest(), ClaimValue::Text("cn".into()));
    }

    proptest! {
        #[test]
        fn no_value_is_longer_than_the_longest(
            template in prop::sample::select(&["{poi_id}", "{n}", "{dir}", "a {dir} \" b"][..]),
            value in "[a-z0-9/._-]{0,80}",
        ) {
            let template = parse(template);
            let kind = &template.filling.as_ref().unwrap().kind;
            if kind.fits_claim(&value) {
                prop_assert!(template.fill(&[value]).bytes() <= template.longest().bytes());
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(template) = ClaimTemplate::parse(&text, &variables()) {
                let said = template.fill(&["1".to_owned()]);
                prop_assert!(template.variable().is_some() || said == ClaimValue::Text(text));
            }
        }
    }
}
