//! Who the caller is, in the words of `GetCallerIdentity`.
//!
//! | caller | `IdentityType` | `Arn` | `PrincipalId` |
//! |---|---|---|---|
//! | a client's own key | `RAMUser` | `acs:ram::<account>:user/<guid>` | `<user id>` |
//! | whatever was handed out | `AssumedRoleUser` | `acs:ram::<account>:assumed-role/<role>/<session>` | `<role id>:<session>` |
//!
//! The vendor knows no temporary key that is not the session of a role, so those of the TOP gateway and of endpoints
//! are one as well. Their session is called by their subject, or where nobody has named one, by the client's user id.

use super::arn::{role_id, user_id};
use crate::alibaba::document::{Document, Writer};
use daypass_core::dialect::Facts;
use uuid::Uuid;

/// The session of a credential that belongs to nobody.
const NAMELESS: &str = "anonymous";

/// The answer about a caller. Source: the vendor's page of the action, with a sample for each kind of caller.
pub(super) struct Identity<'a> {
    /// What is known of it.
    pub(super) facts: &'a Facts,
    /// Our id of the request.
    pub(super) request_id: Uuid,
}

impl Document for Identity<'_> {
    const ROOT: &'static str = "GetCallerIdentityResponse";

    fn members<W: Writer>(&self, writer: &mut W) {
        let Facts { account, client, role, session, tenant, .. } = self.facts;
        let user = client.map(user_id);
        writer.text("RequestId", super::answer::request_id(self.request_id));
        writer.text("AccountId", account);
        if let Some(role) = role {
            let id = role_id(*tenant, role);
            let session = session.as_deref().or(user.as_deref()).unwrap_or(NAMELESS);
            writer.text("IdentityType", "AssumedRoleUser");
            writer.text("PrincipalId", format_args!("{id}:{session}"));
            writer.text("RoleId", &id);
            writer.text("Arn", format_args!("acs:ram::{account}:assumed-role/{role}/{session}"));
            return;
        }
        let user = user.unwrap_or_default();
        writer.text("IdentityType", "RAMUser");
        writer.text("PrincipalId", &user);
        writer.text("UserId", &user);
        let guid = client.unwrap_or_default();
        writer.text("Arn", format_args!("acs:ram::{account}:user/{guid}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alibaba::document::{Style, write};
    use crate::alibaba::wire::Format;
    use daypass_core::testing::{ACME, World};
    use daypass_core::triple::SessionKind;

    fn facts() -> Facts {
        Facts {
            account: "100000000001".into(),
            client: Some(World::new().client.guid),
            key: Some("LTAIworld".into()),
            role: None,
            session: None,
            kind: None,
            tenant: ACME,
        }
    }

    fn written(facts: &Facts) -> String {
        write(&Identity { facts, request_id: Uuid::nil() }, Format::Json, Style::Simple)
    }

    #[test]
    fn a_client_is_a_user() {
        insta::assert_snapshot!(written(&facts()), @r#"{"RequestId":"00000000-0000-0000-0000-000000000000","AccountId":"100000000001","IdentityType":"RAMUser","PrincipalId":"241772420245847057","UserId":"241772420245847057","Arn":"acs:ram::100000000001:user/0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11"}"#);
    }

    #[test]
    fn a_session_is_called_by_what_is_known_of_it() {
        let temporary = Facts {
            role: Some("uploads".into()),
            session: Some("app-1".into()),
            kind: Some(SessionKind::Assumed),
            ..facts()
        };
        insta::assert_snapshot!(written(&temporary), @r#"{"RequestId":"00000000-0000-0000-0000-000000000000","AccountId":"100000000001","IdentityType":"AssumedRoleUser","PrincipalId":"316327298413895584:app-1","RoleId":"316327298413895584","Arn":"acs:ram::100000000001:assumed-role/uploads/app-1"}"#);
        let of_top = Facts { session: None, kind: Some(SessionKind::Federated), ..temporary.clone() };
        insta::assert_snapshot!(written(&of_top), @r#"{"RequestId":"00000000-0000-0000-0000-000000000000","AccountId":"100000000001","IdentityType":"AssumedRoleUser","PrincipalId":"316327298413895584:241772420245847057","RoleId":"316327298413895584","Arn":"acs:ram::100000000001:assumed-role/uploads/241772420245847057"}"#);
        let of_nobody = Facts { client: None, ..of_top };
        assert!(written(&of_nobody).contains("assumed-role/uploads/anonymous"));
    }

    #[test]
    fn it_is_the_same_in_xml() {
        let xml = write(&Identity { facts: &facts(), request_id: Uuid::nil() }, Format::Xml, Style::Simple);
        insta::assert_snapshot!(xml, @r#"<?xml version="1.0" encoding="utf-8" ?><GetCallerIdentityResponse><RequestId>00000000-0000-0000-0000-000000000000</RequestId><AccountId>100000000001</AccountId><IdentityType>RAMUser</IdentityType><PrincipalId>241772420245847057</PrincipalId><UserId>241772420245847057</UserId><Arn>acs:ram::100000000001:user/0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11</Arn></GetCallerIdentityResponse>"#);
    }
}
