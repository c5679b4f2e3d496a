//! How the vendor writes a role down, and which role of ours that is.
//!
//! | form | role |
//! |---|---|
//! | `qcs::cam::uin/<account>:roleName/<name>` | the one of this name |
//! | `qcs::cam::uin/<account>:role/<id>` | the one whose [`role_id`] this is |
//! | `…:role/tencentcloudServiceRoleName/<name>`, `…:role/tencentcloudServiceRole/<id>` | none: these belong to the vendor's own services |
//!
//! Source: the vendor's page of `AssumeRole`, parameter `RoleArn`.

use super::parameters::invalid;
use aws_lc_rs::digest::{Context, SHA256};
use daypass_core::directory::Directory;
use daypass_core::refusal::Refusal;
use uuid::Uuid;

/// What every ARN of a role begins with.
const PREFIX: &str = "qcs::cam::uin/";

/// How the vendor's role ids begin: they count up from 2^62, which is 4611686018427387904.
const ID_PREFIX: &str = "4611686";
/// How many ids follow it: twelve more digits.
const ID_SPAN: u64 = 1_000_000_000_000;

/// A role as an ARN names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleArn {
    /// The uin of the account that the role is said to belong to.
    pub(super) owner: String,
    /// What stands behind the account.
    resource: String,
}

impl RoleArn {
    /// Reads one. What is refused here is no ARN of a role; what is read may still name a role that does not exist.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'));
        let number = |owner: &str| !owner.is_empty() && owner.bytes().all(|c| c.is_ascii_digit());
        parts
            .filter(|(owner, resource)| number(owner) && named(resource).is_some())
            .map(|(owner, resource)| Self { owner: owner.to_owned(), resource: resource.to_owned() })
            .ok_or_else(|| {
                let rule =
                    format!("must be {PREFIX}<account>:roleName/<name> or {PREFIX}<account>:role/<id>");
                invalid("RoleArn", &rule)
            })
    }

    /// The name of the role among those of this tenant. A role that is not found keeps what stands in the ARN, with
    /// a slash that no role's name has, so that the core refuses it like one that was not granted.
    pub(super) fn role(&self, directory: &Directory, tenant: (&str, Uuid)) -> String {
        let found = match named(&self.resource) {
            Some(Named::Name(name)) => Some(name.to_owned()),
            Some(Named::Id(id)) => by_id(directory, tenant, id),
            Some(Named::Service) | None => None,
        };
        found.unwrap_or_else(|| self.resource.clone())
    }
}

/// What the end of an ARN says.
enum Named<'a> {
    Name(&'a str),
    Id(&'a str),
    /// A role of one of the vendor's services.
    Service,
}

fn named(resource: &str) -> Option<Named<'_>> {
    let mut parts = resource.split('/');
    let found = match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        ("roleName", name, None, None) => (Named::Name(name), name),
        ("role", id, None, None) => (Named::Id(id), id),
        (
            "role" | "roleName",
            "tencentcloudServiceRole" | "tencentcloudServiceRoleName",
            Some(name),
            None,
        ) => (Named::Service, name),
        _ => return None,
    };
    (!found.1.is_empty()).then_some(found.0)
}

/// The role of a tenant with this id; nothing where two share it, which is as likely as a lost lottery, because the
/// wrong one of the two must never be taken.
fn by_id(directory: &Directory, (tenant, guid): (&str, Uuid), id: &str) -> Option<String> {
    let mut roles =
        directory.plan().roles.iter().filter(|role| role.tenant == tenant && role_id(guid, &role.name) == id);
    let first = roles.next()?;
    roles.next().is_none().then(|| first.name.clone())
}

/// The id of a role: the vendor's are numbers of nineteen digits, so ours are `4611686` and twelve digits computed
/// from the tenant and the name. It is the same for ever and on every node, and a renamed role is another role.
pub(super) fn role_id(tenant: Uuid, role: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"daypass role id v1");
    context.update(tenant.as_bytes());
    context.update(role.as_bytes());
    let number = context.finish().as_ref().first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
    format!("{ID_PREFIX}{:012}", number % ID_SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::role::Role;
    use daypass_core::testing::{ACME, World};
    use std::sync::Arc;

    fn role(resource: &str) -> String {
        let arn = RoleArn::parse(&format!("qcs::cam::uin/100000000001:{resource}")).unwrap();
        assert_eq!(arn.owner, "100000000001");
        arn.role(&World::new().directory(), ("acme", ACME))
    }

    #[test]
    fn a_role_is_found_by_its_name_and_by_its_id() {
        assert_eq!(role("roleName/soe"), "soe");
        assert_eq!(role(&format!("role/{}", role_id(ACME, "soe"))), "soe");
    }

    #[test]
    fn what_is_no_role_of_ours_has_a_name_that_none_has() {
        for resource in [
            "role/4611686018427397919",
            "role/soe",
            "role/tencentcloudServiceRole/4611686018427397920",
            "role/tencentcloudServiceRoleName/soe",
            "roleName/tencentcloudServiceRoleName/soe",
        ] {
            assert_eq!(role(resource), resource);
        }
        let of_other = RoleArn::parse(&format!("qcs::cam::uin/1:role/{}", role_id(ACME, "soe"))).unwrap();
        let other = World::new().directory().tenant("other").unwrap().guid;
        assert!(
            of_other.role(&World::new().directory(), ("other", other)).contains('/'),
            "an id is of one tenant"
        );
    }

    #[test]
    fn a_role_of_the_same_name_in_another_tenant_is_not_in_the_way() {
        let mut world = World::new();
        let role = Role { tenant: "other".into(), ..(*world.plan.roles[0]).clone() };
        world.plan.roles.push(Arc::new(role));
        let arn =
            RoleArn::parse(&format!("qcs::cam::uin/100000000001:role/{}", role_id(ACME, "soe"))).unwrap();
        assert_eq!(arn.role(&world.directory(), ("acme", ACME)), "soe");
    }

    #[test]
    fn an_id_that_two_roles_share_is_of_neither() {
        // Found by trying a million names.
        let names = ["r410763", "r985307"];
        let id = format!("role/{}", role_id(ACME, names[0]));
        assert_eq!(role_id(ACME, names[1]), role_id(ACME, names[0]));
        let arn = RoleArn::parse(&format!("qcs::cam::uin/100000000001:{id}")).unwrap();
        let mut world = World::new();
        for (name, found) in [(names[0], names[0]), (names[1], id.as_str())] {
            let role = Role { name: name.into(), ..(*world.plan.roles[0]).clone() };
            world.plan.roles.push(Arc::new(role));
            assert_eq!(arn.role(&world.directory(), ("acme", ACME)), found);
        }
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for text in [
            "",
            "soe",
            "qcs::cam::uin/100000000001",
            "qcs::cam::uin/100000000001:",
            "qcs::cam::uin/100000000001:role",
            "qcs::cam::uin/100000000001:role/",
            "qcs::cam::uin/100000000001:roleName/",
            "qcs::cam::uin/100000000001:roleName/a/b",
            "qcs::cam::uin/100000000001:role/tencentcloudServiceRole/",
            "qcs::cam::uin/100000000001:role/tencentcloudServiceRole/1/2",
            "qcs::cam::uin/:roleName/soe",
            "qcs::cam::uin/acme:roleName/soe",
            "qcs::cam::uid/1:roleName/soe",
            "qcs::CAM::uin/1:roleName/soe",
            " qcs::cam::uin/1:roleName/soe",
            "acs:ram::100000000001:role/soe",
        ] {
            let refusal = RoleArn::parse(text).expect_err(text);
            assert_eq!(refusal.parameter.as_deref(), Some("RoleArn"));
        }
    }

    #[test]
    fn an_id_looks_like_the_vendors_and_never_changes() {
        assert_eq!(role_id(ACME, "soe"), "4611686212277035862");
        assert_eq!(role_id(ACME, "soe").len(), 19);
        assert_ne!(role_id(ACME, "soe"), role_id(Uuid::nil(), "soe"));
        assert_ne!(role_id(ACME, "soe"), role_id(ACME, "so"));
    }
}
