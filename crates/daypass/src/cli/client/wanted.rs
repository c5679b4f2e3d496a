//! What a client may ask for, as `client add` and `client grant` are told it.

use crate::cli::output::Failure;
use crate::config;
use daypass_core::client::{Grant, Tenant};
use daypass_core::directory::Plan;
use daypass_core::policy::claims;
use daypass_core::role::Role;
use daypass_core::verification::service_of;
use std::collections::{BTreeMap, BTreeSet};

/// The value of a grant that stands for every value of the variable's type.
const ANY: &str = "*";

/// Roles with the values of their variables, and resources.
#[derive(clap::Args)]
pub(in crate::cli) struct Wanted {
    /// A role it may ask for; may be given several times. The first is the default role, that of requests that cannot
    /// name one; with `client grant`, only if --default says so.
    #[arg(long, required_unless_present = "audience")]
    pub(super) role: Vec<String>,
    /// What it is the API of; may be given several times. An OAuth resource: it may ask about tokens for it (RFC 7662)
    /// and exchange those that it was shown. Or a service in the words of a policy, `cam:soe` or `ram:oss`: it may ask at
    /// /v1/verify who signed a request that it got, and whether an action of that service is allowed.
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// The longest that what it gets lives, `10m`, or of one role, `ROLE=10m`; may be given several times.
    #[arg(long, value_name = "[ROLE=]TIME", value_parser = parse_lifetime, requires = "role")]
    pub(super) lifetime: Vec<(Option<String>, u32)>,
    /// Values that a variable of its roles may take, `NAME=VALUE[,VALUE…]`; may be given several times.
    #[arg(long, value_name = "NAME=VALUES", value_parser = parse_bind)]
    bind: Vec<(String, Vec<String>)>,
    /// Variables of its roles that may take any value of their type: `--any subject` is `--bind subject=*`. A backend
    /// that signs tickets for its own users needs it for `subject`; may be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    any: Vec<String>,
}

fn parse_bind(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, values) = text.split_once('=').ok_or("write NAME=VALUE or NAME=VALUE,VALUE")?;
    let values: Vec<_> = values.split(',').map(str::to_owned).collect();
    if name.is_empty() || values.iter().any(String::is_empty) {
        return Err("neither the name nor a value may be empty".to_owned());
    }
    Ok((name.to_owned(), values))
}

/// For all roles, or for the one that is named.
fn parse_lifetime(text: &str) -> Result<(Option<String>, u32), String> {
    let (role, time) = match text.split_once('=') {
        Some((role, time)) => (Some(role.to_owned()), time),
        None => (None, text),
    };
    Ok((role, config::seconds_of(time)?))
}

impl Wanted {
    /// The grants of a client that has had these: one on each wanted role takes the place of what was there, and keeps
    /// of it what was not said anew.
    pub(super) fn grants(&self, plan: &Plan, tenant: &Tenant, had: &[Grant]) -> Result<Vec<Grant>, Failure> {
        let roles =
            self.role.iter().map(|name| role_of(plan, tenant, name)).collect::<Result<Vec<_>, _>>()?;
        let binds = Binds::new(self)?;
        binds.refuse_unknown(&roles)?;
        self.refuse_idle_lifetimes()?;
        let mut grants = had.to_vec();
        for role in &roles {
            let old = had.iter().find(|grant| grant.role == role.name);
            let lifetime = lifetime(&self.lifetime, role)?.or(old.and_then(|grant| grant.lifetime));
            put(&mut grants, Grant { lifetime, ..binds.grant(role, old)? });
        }
        refuse_untold(plan, tenant, &roles, &grants)?;
        Ok(grants)
    }

    /// The resources that the client is to be the API of.
    pub(super) fn audiences(&self, plan: &Plan, tenant: &Tenant) -> Result<Vec<String>, Failure> {
        self.audience.iter().map(|name| audience(plan, tenant, name)).collect()
    }

    fn refuse_idle_lifetimes(&self) -> Result<(), Failure> {
        let mut named = self.lifetime.iter().filter_map(|(role, _)| role.as_ref());
        match named.find(|role| !self.role.contains(role)) {
            Some(role) => {
                Err(Failure::Usage(format!("--lifetime names the role `{role}`, which --role does not")))
            }
            None => Ok(()),
        }
    }
}

/// One grant in place of all those on its role.
fn put(grants: &mut Vec<Grant>, grant: Grant) {
    let at = grants.iter().position(|other| other.role == grant.role).unwrap_or(grants.len());
    grants.retain(|other| other.role != grant.role);
    grants.insert(at, grant);
}

/// Refuses what the tokens of a resource could not say: any value at all, or other values for each of the client's
/// roles on it.
fn refuse_untold(plan: &Plan, tenant: &Tenant, roles: &[&Role], grants: &[Grant]) -> Result<(), Failure> {
    for role in roles {
        let of_resource = |grant: &&Grant| {
            find(plan, tenant, &grant.role).is_some_and(|other| other.audience == role.audience)
        };
        let grants: Vec<_> = grants.iter().filter(of_resource).collect();
        claims::check_grants(role, grants.iter().copied()).map_err(|bad| {
            let all: Vec<_> = grants.iter().map(|grant| format!("--role {}", grant.role)).collect();
            let others = grants.iter().any(|grant| !roles.iter().any(|role| role.name == grant.role));
            let together = if others {
                format!("; the client has others of its roles, to be granted together: {}", all.join(" "))
            } else {
                String::new()
            };
            Failure::Usage(format!("the role `{}` cannot be granted so: {bad}{together}", role.name))
        })?;
    }
    Ok(())
}

/// The resource as the configuration writes it, by any of its names. Without a role that has it there are no tokens to
/// ask about.
fn audience(plan: &Plan, tenant: &Tenant, name: &str) -> Result<String, Failure> {
    resource(plan, tenant, name).ok_or_else(|| {
        let roles = plan.roles.iter().filter(|role| role.tenant == tenant.name);
        let known: BTreeSet<_> = roles.filter_map(|role| role.audience.as_deref()).collect();
        let known = match known.len() {
            0 => "it has none".to_owned(),
            _ => format!("it has {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let tenant = &tenant.name;
        Failure::Usage(format!("the tenant `{tenant}` has no role with the audience `{name}`; {known}"))
    })
}

/// The audience of the tenant's resource of this name, or the service as it is written: that exists in policies alone.
pub(super) fn resource(plan: &Plan, tenant: &Tenant, name: &str) -> Option<String> {
    if service_of(name).is_some() {
        return Some(name.to_owned());
    }
    let mut roles = plan.roles.iter().filter(|role| role.tenant == tenant.name);
    roles.find(|role| role.called(name).is_some())?.audience.clone()
}

/// The cap of this role: its own one, or else the one of all.
fn lifetime(given: &[(Option<String>, u32)], role: &Role) -> Result<Option<u32>, Failure> {
    let find = |name: Option<&str>| given.iter().rfind(|(role, _)| role.as_deref() == name);
    let seconds = find(Some(&role.name)).or_else(|| find(None)).map(|(_, seconds)| *seconds);
    match seconds.filter(|seconds| *seconds > role.lifetime.max) {
        Some(_) => Err(Failure::Usage(format!(
            "the role `{}` gives at most {} seconds, so a longer --lifetime means nothing",
            role.name, role.lifetime.max
        ))),
        None => Ok(seconds),
    }
}

/// A role of the tenant.
pub(super) fn find<'p>(plan: &'p Plan, tenant: &Tenant, name: &str) -> Option<&'p Role> {
    plan.roles.iter().map(|role| &**role).find(|role| role.tenant == tenant.name && role.name == name)
}

fn role_of<'p>(plan: &'p Plan, tenant: &Tenant, name: &str) -> Result<&'p Role, Failure> {
    find(plan, tenant, name).ok_or_else(|| {
        let text = format!("the tenant `{}` has no role `{name}` in the configuration", tenant.name);
        let known = plan.roles.iter().filter(|role| role.tenant == tenant.name);
        Failure::Usage(text + &meant(name, known.map(|role| role.name.as_str())))
    })
}

/// The word that was probably meant, as the end of a sentence.
pub(super) fn meant<'w>(word: &str, among: impl Iterator<Item = &'w str>) -> String {
    config::closest(word, among).map_or_else(String::new, |other| format!("; did you mean `{other}`?"))
}

/// Which values each variable may take.
struct Binds(BTreeMap<String, Vec<String>>);

impl Binds {
    fn new(wanted: &Wanted) -> Result<Self, Failure> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, values) in &wanted.bind {
            all.entry(name.clone()).or_default().extend(values.iter().cloned());
        }
        for name in &wanted.any {
            if all.insert(name.clone(), vec![ANY.to_owned()]).is_some_and(|values| values != [ANY]) {
                let text = format!("`{name}` has both --any and --bind; one of them is meant");
                return Err(Failure::Usage(text));
            }
        }
        Ok(Self(all))
    }

    fn refuse_unknown(&self, roles: &[&Role]) -> Result<(), Failure> {
        let known = || roles.iter().flat_map(|role| role.variables.keys());
        match self.0.keys().find(|name| !known().any(|other| other == *name)) {
            Some(name) => {
                let text = format!("none of the roles has a variable `{name}`");
                Err(Failure::Usage(text + &meant(name, known().map(String::as_str))))
            }
            None => Ok(()),
        }
    }

    /// The role with values for each of its variables. None is left open by default: a client with a value that
    /// nobody thought of is how one customer reaches another one's files.
    fn grant(&self, role: &Role, old: Option<&Grant>) -> Result<Grant, Failure> {
        let kept = |variable: &String| old.and_then(|grant| grant.bind.get(variable));
        let bound = |variable: &String| {
            let values = self.0.get(variable).or_else(|| kept(variable)).filter(|values| !values.is_empty());
            let values = values.cloned().ok_or_else(|| {
                Failure::Usage(format!(
                    "the role `{}` has the variable `{variable}`; say which values this client may use: --bind \
                     {variable}=VALUE[,VALUE…], or --any {variable}",
                    role.name
                ))
            })?;
            Ok((variable.clone(), values))
        };
        let bind = role.variables.keys().map(bound).collect::<Result<_, Failure>>()?;
        Ok(Grant { bind, ..Grant::of(&role.name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_names_a_variable_and_its_values() {
        assert_eq!(parse_bind("poi_id=8005,8006"), Ok(("poi_id".into(), vec!["8005".into(), "8006".into()])));
        assert_eq!(parse_bind("poi_id=*"), Ok(("poi_id".into(), vec!["*".into()])));
        for bad in ["poi_id", "=8005", "poi_id=", "poi_id=8005,"] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lifetime_is_for_all_roles_or_for_one() {
        assert_eq!(parse_lifetime("10m"), Ok((None, 600)));
        assert_eq!(parse_lifetime("soe=1h"), Ok((Some("soe".into()), 3600)));
        for bad in ["", "10", "soe=", "soe=0s", "soe=x"] {
            assert!(parse_lifetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grant_takes_the_place_of_all_on_its_role() {
        let mut grants = ["a", "b", "c", "b"].map(Grant::of).to_vec();
        put(&mut grants, Grant { lifetime: Some(60), ..Grant::of("b") });
        put(&mut grants, Grant::of("d"));
        let all: Vec<_> = grants.iter().map(|grant| (grant.role.as_str(), grant.lifetime)).collect();
        assert_eq!(all, [("a", None), ("b", Some(60)), ("c", None), ("d", None)]);
    }
}
