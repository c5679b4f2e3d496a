//! Who the caller is, in the words of `GetCallerIdentity`.
//!
//! | caller | `Type` | `Arn` | `UserId` |
//! |---|---|---|---|
//! | a client's own key | `CAMUser` | `qcs::cam::uin/<account>:uin/<uin>` | `<uin>` |
//! | `GetFederationToken`, `getAuthorization` | `CAMUser` | `qcs::sts:<account>:federated-user/<uin>` | `<uin>:<name>` |
//! | `AssumeRole…` | `CAMRole` | `qcs::sts:<account>:assumed-role/<role id>` | `<role id>:<session name>` |
//!
//! `PrincipalId` is the uin of whom the key belongs to, or of whom it was asked for by.
//!
//! The vendor knows accounts by a *uin*, a number. A tenant has one (its `account`). A client has a guid and no
//! number, so its uin is computed: `200000000000` plus the guid, as a number, modulo `10^11`. It is the same for
//! ever and on every node. It is only for reading: nothing is looked up by it, so two clients that happened to
//! share one would be a curiosity and no hole.

use super::arn::role_id;
use super::wire::CallerIdentity;
use daypass_core::dialect::Facts;
use daypass_core::triple::SessionKind;

/// Where the uins of clients begin.
const CLIENTS: u128 = 200_000_000_000;
/// How many there are.
const SPAN: u128 = 100_000_000_000;

/// The name of a federated user that gave none: a browser's, at an endpoint without known callers.
const NAMELESS: &str = "anonymous";

/// The uin of a client.
fn uin(guid: u128) -> String {
    (CLIENTS + guid % SPAN).to_string()
}

/// The answer about this caller. Source: the vendor's page of the action, with a sample for each kind of key.
pub(super) fn describe<'a>(facts: &'a Facts, request_id: &'a str) -> CallerIdentity<'a> {
    let account = &facts.account;
    // A key that belongs to no client belongs to the root account.
    let uin = facts.client.map_or_else(|| account.clone(), |guid| uin(guid.as_u128()));
    let name = facts.session.as_deref().unwrap_or(NAMELESS);
    let (r#type, arn, user_id) = match (facts.kind, &facts.role) {
        (Some(SessionKind::Assumed), Some(role)) => {
            let id = role_id(facts.tenant, role);
            ("CAMRole", format!("qcs::sts:{account}:assumed-role/{id}"), format!("{id}:{name}"))
        }
        (Some(_), _) => {
            ("CAMUser", format!("qcs::sts:{account}:federated-user/{uin}"), format!("{uin}:{name}"))
        }
        (None, _) => ("CAMUser", format!("qcs::cam::uin/{account}:uin/{uin}"), uin.clone()),
    };
    CallerIdentity { arn, account_id: account, user_id, principal_id: uin, r#type, request_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{ACME, World};

    fn facts() -> Facts {
        Facts {
            account: "100000000001".into(),
            client: Some(World::new().client.guid),
            key: Some("AKIDworld".into()),
            role: None,
            session: None,
            kind: None,
            tenant: ACME,
        }
    }

    fn temporary(kind: SessionKind) -> Facts {
        Facts { role: Some("soe".into()), session: Some("lesson".into()), kind: Some(kind), ..facts() }
    }

    fn written(facts: &Facts) -> String {
        serde_json::to_string(&describe(facts, "id")).unwrap()
    }

    #[test]
    fn a_permanent_key_is_a_sub_account() {
        insta::assert_snapshot!(written(&facts()), @r#"{"Arn":"qcs::cam::uin/100000000001:uin/220245847057","AccountId":"100000000001","UserId":"220245847057","PrincipalId":"220245847057","Type":"CAMUser","RequestId":"id"}"#);
    }

    #[test]
    fn a_federation_token_is_a_federated_user() {
        insta::assert_snapshot!(written(&temporary(SessionKind::Federated)), @r#"{"Arn":"qcs::sts:100000000001:federated-user/220245847057","AccountId":"100000000001","UserId":"220245847057:lesson","PrincipalId":"220245847057","Type":"CAMUser","RequestId":"id"}"#);
    }

    #[test]
    fn an_assumed_role_is_a_role_with_its_id() {
        insta::assert_snapshot!(written(&temporary(SessionKind::Assumed)), @r#"{"Arn":"qcs::sts:100000000001:assumed-role/4611686212277035862","AccountId":"100000000001","UserId":"4611686212277035862:lesson","PrincipalId":"220245847057","Type":"CAMRole","RequestId":"id"}"#);
    }

    #[test]
    fn a_role_without_a_client_was_asked_for_by_the_root_account() {
        let facts = Facts { client: None, ..temporary(SessionKind::Assumed) };
        assert_eq!(describe(&facts, "id").principal_id, "100000000001");
    }

    #[test]
    fn a_browsers_key_belongs_to_the_root_account() {
        let facts = Facts { session: None, client: None, ..temporary(SessionKind::Federated) };
        insta::assert_snapshot!(written(&facts), @r#"{"Arn":"qcs::sts:100000000001:federated-user/100000000001","AccountId":"100000000001","UserId":"100000000001:anonymous","PrincipalId":"100000000001","Type":"CAMUser","RequestId":"id"}"#);
    }

    #[test]
    fn a_uin_has_twelve_digits() {
        assert_eq!(uin(0), "200000000000");
        assert_eq!(uin(u128::MAX).len(), 12);
    }
}
