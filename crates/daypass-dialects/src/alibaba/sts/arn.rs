//! How the vendor writes roles and identity providers down, and which ids it gives to what has none here.
//!
//! | what | form |
//! |---|---|
//! | a role | `acs:ram::<account>:role/<name>` |
//! | an OpenID provider | `acs:ram::<account>:oidc-provider/<name>` |
//! | the session of a role | `acs:ram::<account>:role/<name>/<session>`, `acs:ram::<account>:assumed-role/<name>/<session>` |
//! | a client | `acs:ram::<account>:user/<guid>` |
//!
//! Names are compared as they are written: the vendor's are in lower case in every ARN, ours in whatever case the
//! configuration has.

use aws_lc_rs::digest::{Context, SHA256};
use daypass_core::refusal::{Reason, Refusal};
use uuid::Uuid;

/// The longest name, in characters: the vendor's of roles.
const NAME: usize = 64;

/// What an ARN names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arn {
    /// The account that it is said to belong to.
    pub(super) account: String,
    /// The name.
    pub(super) name: String,
}

impl Arn {
    /// Reads the ARN of a role, from the parameter `RoleArn`.
    pub(super) fn role(text: &str) -> Result<Self, Refusal> {
        Self::parse("RoleArn", "role", text)
    }

    /// Reads the ARN of an OpenID provider, from the parameter `OIDCProviderArn`.
    pub(super) fn provider(text: &str) -> Result<Self, Refusal> {
        Self::parse("OIDCProviderArn", "oidc-provider", text)
    }

    fn parse(parameter: &'static str, kind: &str, text: &str) -> Result<Self, Refusal> {
        let parts = text.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(':'));
        let resource = parts.and_then(|(account, resource)| {
            let (is, name) = resource.split_once('/')?;
            (is == kind).then_some((account, name))
        });
        let number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        let fits = |name: &str| (1..=NAME).contains(&name.len()) && name.bytes().all(plain);
        match resource {
            Some((account, name)) if number(account) && fits(name) => {
                Ok(Self { account: account.to_owned(), name: name.to_owned() })
            }
            _ => {
                let detail = format!("it must have the form acs:ram::<account>:{kind}/<name>");
                Err(Refusal::new(Reason::InvalidParameter, detail).parameter(parameter))
            }
        }
    }
}

/// The id of a role: `3` and seventeen digits computed from the tenant and the name. The vendor's are numbers of this
/// look. It is the same for ever and on every node, and a renamed role is another role. Nothing is looked up by it.
pub(super) fn role_id(tenant: Uuid, role: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"daypass ram role id v1");
    context.update(tenant.as_bytes());
    context.update(role.as_bytes());
    let number = context.finish().as_ref().first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
    format!("3{:017}", u128::from(number) % SPAN)
}

/// The id of a client: `2` and seventeen digits, computed from its guid in the same way.
pub(super) fn user_id(client: Uuid) -> String {
    format!("2{:017}", client.as_u128() % SPAN)
}

/// How many ids there are: seventeen digits.
const SPAN: u128 = 100_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::ACME;

    #[test]
    fn an_arn_says_whose_it_is_and_what() {
        let arn = Arn::role("acs:ram::1234567890123456:role/Store-Upload.v2_x").unwrap();
        assert_eq!((arn.account.as_str(), arn.name.as_str()), ("1234567890123456", "Store-Upload.v2_x"));
        let arn = Arn::provider("acs:ram::100000000001:oidc-provider/ci").unwrap();
        assert_eq!((arn.account.as_str(), arn.name.as_str()), ("100000000001", "ci"));
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        let long = format!("acs:ram::1:role/{}", "n".repeat(65));
        for text in [
            "",
            "soe",
            "acs:ram::1",
            "acs:ram::1:",
            "acs:ram::1:role",
            "acs:ram::1:role/",
            "acs:ram::1:role/a/b",
            "acs:ram::1:role/a:b",
            "acs:ram::1:role/a b",
            "acs:ram::1:role/门",
            "acs:ram::1:user/a",
            "acs:ram::1:oidc-provider/a",
            "acs:ram:::role/a",
            "acs:ram::acme:role/a",
            "acs:ram:*:1:role/a",
            "acs:RAM::1:role/a",
            " acs:ram::1:role/a",
            "qcs::cam::uin/1:roleName/a",
            &long,
        ] {
            let refusal = Arn::role(text).expect_err(text);
            assert_eq!(refusal.reason, Reason::InvalidParameter);
            assert_eq!(refusal.parameter.as_deref(), Some("RoleArn"));
        }
        assert_eq!(
            Arn::provider("acs:ram::1:role/a").unwrap_err().parameter.as_deref(),
            Some("OIDCProviderArn")
        );
    }

    #[test]
    fn an_id_looks_like_the_vendors_and_never_changes() {
        assert_eq!(role_id(ACME, "store-upload").len(), 18);
        assert_eq!(role_id(ACME, "store-upload"), role_id(ACME, "store-upload"));
        assert_ne!(role_id(ACME, "store-upload"), role_id(Uuid::nil(), "store-upload"));
        assert_ne!(role_id(ACME, "store-upload"), role_id(ACME, "store-uploa"));
        insta::assert_snapshot!(role_id(ACME, "store-upload"), @"345673593793175527");
        insta::assert_snapshot!(user_id(ACME), @"227259138178859092");
        assert_eq!(user_id(Uuid::nil()), "200000000000000000");
        assert_eq!(user_id(Uuid::max()).len(), 18);
    }
}
