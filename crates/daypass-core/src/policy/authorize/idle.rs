//! Grants that give nothing any more, because the configuration has changed since they were made.
//!
//! A role that gets a variable leaves its clients' grants without a value for it, and each of their requests is refused
//! until one is bound. The configuration alone cannot tell, and neither can a client; this is how an operator hears.

use super::claims::{BadBind, check_grants};
use crate::client::{Client, Grant};
use crate::directory::Plan;
use crate::policy::VariableType;
use crate::role::Role;

/// A role that a client has a grant on, and for which it is refused whatever it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle<'a> {
    /// The role.
    pub role: &'a str,
    /// Why it is refused.
    pub why: Why,
    /// The roles that must be granted anew together, this one among them: a token says the same of all roles of its
    /// resource.
    pub together: Vec<&'a str>,
    /// The variables that need other values. Empty where the role is gone.
    pub variables: Vec<&'a str>,
}

/// Why a grant gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nobody can ask for it. One of the same name that is configured later would be this client's at once.
    #[error("the role is not in the configuration any more")]
    Gone,
    /// No value of a variable is both allowed and of its type.
    #[error("the role has the variable {0}, and the grant binds no value to it that anyone could ask for")]
    Unbound(String),
    /// The tokens of the resource cannot say what is bound.
    #[error(transparent)]
    Untold(#[from] BadBind),
}

/// The roles that this client has grants on and gets nothing for, each once, in the order of its grants.
pub fn idle<'a>(plan: &'a Plan, client: &'a Client) -> Vec<Idle<'a>> {
    let mut found: Vec<Idle<'a>> = Vec::new();
    for grant in &client.grants {
        if !found.iter().any(|idle| idle.role == grant.role) {
            found.extend(check(plan, client, &grant.role));
        }
    }
    found
}

fn check<'a>(plan: &'a Plan, client: &'a Client, name: &'a str) -> Option<Idle<'a>> {
    let Some(role) = role_of(plan, client, name) else {
        return Some(Idle { role: name, why: Why::Gone, together: vec![name], variables: Vec::new() });
    };
    let granted = match &role.audience {
        Some(_) => of_resource(plan, client, role),
        None => client.grants.iter().filter(|grant| grant.role == name).collect(),
    };
    let why = match &role.audience {
        Some(_) => Why::from(check_grants(role, granted.iter().copied()).err()?),
        None => Why::Unbound(unbound(role, &granted)?),
    };
    let mut together: Vec<&str> = Vec::new();
    for grant in &granted {
        if !together.contains(&grant.role.as_str()) {
            together.push(&grant.role);
        }
    }
    Some(Idle { role: name, variables: to_bind(role, &granted, &why), together, why })
}

fn role_of<'a>(plan: &'a Plan, client: &Client, name: &str) -> Option<&'a Role> {
    plan.roles.iter().map(|role| &**role).find(|role| role.tenant == client.tenant && role.name == name)
}

/// The client's grants on the roles of one resource.
fn of_resource<'a>(plan: &Plan, client: &'a Client, role: &Role) -> Vec<&'a Grant> {
    let same = |grant: &&Grant| {
        role_of(plan, client, &grant.role).is_some_and(|other| other.audience == role.audience)
    };
    client.grants.iter().filter(same).collect()
}

/// A variable for which no grant that could fill all variables has a value.
fn unbound(role: &Role, grants: &[&Grant]) -> Option<String> {
    let lacking = |grant: &&Grant| {
        let mut variables = role.variables.iter();
        variables.find(|(name, kind)| !fills(grant, name, kind)).map(|(name, _)| name.clone())
    };
    // One grant that lacks nothing is enough.
    grants.iter().map(lacking).collect::<Option<Vec<_>>>()?.into_iter().next()
}

fn fills(grant: &Grant, name: &str, kind: &VariableType) -> bool {
    grant.bind.get(name).is_some_and(|values| values.iter().any(|value| value == "*" || kind.admits(value)))
}

/// The variables whose values are missing or wrong; where that is no single one's fault, all of them.
fn to_bind<'a>(role: &'a Role, grants: &[&Grant], why: &Why) -> Vec<&'a str> {
    let told = |grant: &Grant, name: &str, kind: &VariableType| {
        let values = grant.bind.get(name).map(Vec::as_slice).unwrap_or_default();
        !values.is_empty() && values.iter().all(|value| value != "*" && kind.fits_claim(value))
    };
    let good = |name: &str, kind: &VariableType| match why {
        Why::Untold(BadBind::Differ(differs)) => name != differs,
        Why::Untold(_) => grants.iter().all(|grant| told(grant, name, kind)),
        Why::Gone | Why::Unbound(_) => grants.iter().any(|grant| fills(grant, name, kind)),
    };
    let all = || role.variables.iter();
    let wrong: Vec<_> =
        all().filter(|(name, kind)| !good(name, kind)).map(|(name, _)| name.as_str()).collect();
    if wrong.is_empty() { all().map(|(name, _)| name.as_str()).collect() } else { wrong }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ClaimTemplate;
    use crate::testing::World;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// The world with a variable in each of its resource's roles, of which its client has two.
    fn with_claim() -> World {
        let mut world = World::new();
        let variables: BTreeMap<_, _> = [("poi_id".to_owned(), VariableType::Slug)].into();
        let template = ClaimTemplate::parse("{poi_id}", &variables).unwrap();
        let role = world.plan.roles.iter_mut().find(|role| role.name == "devcenter").unwrap();
        let role = Arc::make_mut(role);
        role.claims.insert("store".into(), template);
        role.variables = variables;
        let second = Role { name: "devcenter-admin".into(), ..role.clone() };
        world.plan.roles.push(Arc::new(second));
        world.client.grants.push(Grant::of("devcenter-admin"));
        world
    }

    fn bind(world: &mut World, role: &str, name: &str, values: &[&str]) {
        let grants = world.client.grants.iter_mut().filter(|grant| grant.role == role);
        for grant in grants {
            grant.bind.insert(name.into(), values.iter().map(|value| (*value).to_owned()).collect());
        }
    }

    fn found(world: &World) -> Vec<(&str, String, Vec<&str>, Vec<&str>)> {
        let all = idle(&world.plan, &world.client).into_iter();
        all.map(|idle| (idle.role, idle.why.to_string(), idle.together, idle.variables)).collect()
    }

    #[test]
    fn grants_that_give_something_are_not_pointed_out() {
        assert_eq!(found(&World::new()), []);
        let mut world = with_claim();
        for role in ["devcenter", "devcenter-admin"] {
            bind(&mut world, role, "poi_id", &["8005"]);
        }
        assert_eq!(found(&world), []);
        // What a role does not have any more hurts nobody.
        bind(&mut world, "soe", "gone", &["1"]);
        assert_eq!(found(&world), []);
    }

    #[test]
    fn the_roles_of_one_resource_are_pointed_out_together() {
        let mut world = with_claim();
        let both = ["devcenter", "devcenter-admin"];
        for (role, bound) in [("devcenter", &["8005"][..]), ("devcenter-admin", &["*"])] {
            let all = found(&world);
            assert_eq!(all.iter().map(|(role, ..)| *role).collect::<Vec<_>>(), both);
            for (_, why, together, variables) in &all {
                assert!(why.contains("poi_id"), "{why}");
                assert_eq!((&together[..], &variables[..]), (&both[..], &["poi_id"][..]));
            }
            bind(&mut world, role, "poi_id", bound);
        }
        assert!(found(&world)[1].1.contains("any value"));
        bind(&mut world, "devcenter-admin", "poi_id", &["8006"]);
        assert!(found(&world)[0].1.contains("different values"));
        bind(&mut world, "devcenter-admin", "poi_id", &["8005"]);
        assert_eq!(found(&world), []);
    }

    #[test]
    fn a_variable_of_a_policy_needs_one_value_that_can_be_asked_for() {
        for (values, good) in
            [(&["8005"][..], true), (&["*"], true), (&["a b", "8005"], true), (&["a b"], false)]
        {
            let mut world = World::new();
            bind(&mut world, "store-upload", "poi_id", values);
            let all = found(&world);
            assert_eq!(all.is_empty(), good, "{values:?}: {all:?}");
            assert!(all.iter().all(|one| one.3 == ["poi_id"] && one.2 == ["store-upload"]), "{all:?}");
        }
        let mut world = World::new();
        world.client.grants[1].bind.clear();
        assert_eq!(found(&world)[0].3, ["poi_id", "tenant_code"]);
        // Another grant on the same role that lacks nothing is enough.
        world.client.grants.push(World::new().client.grants[1].clone());
        assert_eq!(found(&world), []);
    }

    #[test]
    fn a_role_that_is_gone_is_pointed_out_once() {
        let mut world = World::new();
        world.plan.roles.retain(|role| role.name != "soe");
        world.client.grants.push(Grant::of("soe"));
        let all = idle(&world.plan, &world.client);
        let gone = Idle { role: "soe", why: Why::Gone, together: vec!["soe"], variables: vec![] };
        assert_eq!(all, [gone]);
        world.client.tenant = "other".into();
        assert_eq!(idle(&world.plan, &world.client).len(), 3, "another tenant's role is none of its own");
    }
}
