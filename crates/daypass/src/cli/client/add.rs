//! `daypass client add`.

use super::PlaceArgs;
use super::document::{client_document, made_document, made_lines};
use super::given::{Given, Kind, Made};
use super::refuse::{Weak, refuses};
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use crate::config;
use crate::system::KeyEntropy;
use daypass_core::client::{Client, Grant, Tenant};
use daypass_core::directory::Plan;
use daypass_core::id::random_uuid;
use daypass_core::policy::claims;
use daypass_core::role::Role;
use daypass_core::store::Change;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The value of a grant that stands for every value of the variable's type.
const ANY: &str = "*";

const EXAMPLES: &str = "\
Examples:
  A server that asks Tencent's STS:
    daypass client add video --kind tencent --role soe
  A store that may use two values of a variable:
    daypass client add box --kind top --role store-upload --bind tenant_code=hema --bind poi_id=8005,8006
  A backend that signs tickets for its own users; the role has the variable `subject`:
    daypass client add web --kind ticket --role uploads --any subject
  An OAuth client that signs its assertions with a key of its own:
    daypass client add reports --kind public-key --public-key reports.pem --role devcenter --expires 180d
  The API behind an OAuth resource, which asks about the tokens that it is shown:
    daypass client add orders-api --kind client-secret --audience d6b7c858-55fa-4d04-85a6-131af690abd4";

/// Add a client.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Add {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Its name, unique in its tenant.
    name: String,
    /// Its tenant [default: the only one].
    #[arg(long)]
    tenant: Option<String>,
    /// The kind of key it proves itself with; may be given several times.
    #[arg(long, value_enum, required = true)]
    kind: Vec<Kind>,
    #[command(flatten)]
    given: Given,
    /// A role it may ask for; may be given several times. The first is the one of requests that cannot name one.
    #[arg(long, required_unless_present = "audience")]
    role: Vec<String>,
    /// An OAuth resource that it is the API of: it may ask about tokens for it (RFC 7662) and exchange those that it
    /// was shown; may be given several times.
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// The longest that what it gets lives, `10m`, or of one role, `ROLE=10m`; may be given several times.
    #[arg(long, value_name = "[ROLE=]TIME", value_parser = parse_lifetime)]
    lifetime: Vec<(Option<String>, u32)>,
    /// Values that a variable of its roles may take, `NAME=VALUE[,VALUE…]`; may be given several times.
    #[arg(long, value_name = "NAME=VALUES", value_parser = parse_bind)]
    bind: Vec<(String, Vec<String>)>,
    /// Variables of its roles that may take any value of their type: `--any subject` is `--bind subject=*`. A backend
    /// that signs tickets for its own users needs it for `subject`; may be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    any: Vec<String>,
    /// Weak proofs that are not accepted in this client's name; see `daypass client refuse`.
    #[arg(long, value_enum, value_delimiter = ',')]
    refuse: Vec<Weak>,
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

pub(super) async fn add(place: &Place, args: Add, output: &Output) -> Result<(), Failure> {
    let plan = place.config.plan("");
    let tenant = match (&args.tenant, &plan.tenants[..]) {
        (Some(name), tenants) => tenants
            .iter()
            .find(|tenant| &tenant.name == name)
            .ok_or_else(|| Failure::Usage(format!("there is no tenant `{name}` in the configuration")))?,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::Usage("there are several tenants; name one with --tenant".to_owned()));
        }
    };
    let binds = Binds::new(&args)?;
    let roles = args.role.iter().map(|name| role_of(&plan, tenant, name)).collect::<Result<Vec<_>, _>>()?;
    binds.refuse_unknown(&roles)?;
    refuse_idle_lifetimes(&args)?;
    let grant = |role: &&Role| Ok(Grant { lifetime: lifetime(&args.lifetime, role)?, ..binds.grant(role)? });
    let grants = roles.iter().map(grant).collect::<Result<Vec<_>, Failure>>()?;
    refuse_untold(&roles, &grants)?;
    let audiences =
        args.audience.iter().map(|name| audience(&plan, tenant, name)).collect::<Result<_, _>>()?;
    let client = Client {
        guid: random_uuid(&KeyEntropy),
        object: random_uuid(&KeyEntropy),
        tenant: tenant.name.clone(),
        name: args.name,
        enabled: true,
        default_role: args.role.first().cloned(),
        grants,
        audiences,
        boundary: None,
        refuses: refuses(&args.refuse),
        created: app::now(),
    };
    let made = args.given.make(place, &client, &[], &args.kind, client.created)?;
    create(place, &client, made.iter().map(Made::change)).await?;
    let text = format!(
        "added client {} ({}) to tenant {}\n{}",
        client.name,
        client.guid,
        client.tenant,
        made_lines(&made)
    );
    output.show(text, || json!({ "client": client_document(&client), "keys": made_document(&made) }));
    Ok(())
}

/// Refuses what the tokens of a resource could not say: any value at all, or other values for each of its roles.
fn refuse_untold(roles: &[&Role], grants: &[Grant]) -> Result<(), Failure> {
    for role in roles {
        let of_resource = |(other, _): &(&&Role, &Grant)| other.audience == role.audience;
        let grants = roles.iter().zip(grants).filter(of_resource).map(|(_, grant)| grant);
        claims::check_grants(role, grants)
            .map_err(|bad| Failure::Usage(format!("the role `{}` cannot be granted so: {bad}", role.name)))?;
    }
    Ok(())
}

/// The resource as the configuration writes it, by any of its names. Without a role that has it there are no tokens to
/// ask about.
fn audience(plan: &Plan, tenant: &Tenant, name: &str) -> Result<String, Failure> {
    let roles = || plan.roles.iter().filter(|role| role.tenant == tenant.name);
    let found = roles().find(|role| role.called(name).is_some());
    let known: BTreeSet<_> = roles().filter_map(|role| role.audience.as_deref()).collect();
    found.and_then(|role| role.audience.clone()).ok_or_else(|| {
        let known = match known.len() {
            0 => "it has none".to_owned(),
            _ => format!("it has {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let tenant = &tenant.name;
        Failure::Usage(format!("the tenant `{tenant}` has no role with the audience `{name}`; {known}"))
    })
}

fn refuse_idle_lifetimes(args: &Add) -> Result<(), Failure> {
    let mut named = args.lifetime.iter().filter_map(|(role, _)| role.as_ref());
    match named.find(|role| !args.role.contains(role)) {
        Some(role) => {
            Err(Failure::Usage(format!("--lifetime names the role `{role}`, which --role does not")))
        }
        None => Ok(()),
    }
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

fn role_of<'p>(plan: &'p Plan, tenant: &Tenant, name: &str) -> Result<&'p Role, Failure> {
    let mut roles = plan.roles.iter();
    let found = roles.find(|role| role.tenant == tenant.name && role.name == name);
    found.map(|role| &**role).ok_or_else(|| {
        let text = format!("the tenant `{}` has no role `{name}` in the configuration", tenant.name);
        Failure::Usage(text)
    })
}

/// Which values each variable may take.
struct Binds(BTreeMap<String, Vec<String>>);

impl Binds {
    fn new(args: &Add) -> Result<Self, Failure> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, values) in &args.bind {
            all.entry(name.clone()).or_default().extend(values.iter().cloned());
        }
        for name in &args.any {
            if all.insert(name.clone(), vec![ANY.to_owned()]).is_some_and(|values| values != [ANY]) {
                let text = format!("`{name}` has both --any and --bind; one of them is meant");
                return Err(Failure::Usage(text));
            }
        }
        Ok(Self(all))
    }

    fn refuse_unknown(&self, roles: &[&Role]) -> Result<(), Failure> {
        let known = |name: &String| roles.iter().any(|role| role.variables.contains_key(name));
        match self.0.keys().find(|name| !known(name)) {
            Some(name) => Err(Failure::Usage(format!("none of the roles has a variable `{name}`"))),
            None => Ok(()),
        }
    }

    /// The role with values for each of its variables. None is left open by default: a client with a value that
    /// nobody thought of is how one customer reaches another one's files.
    fn grant(&self, role: &Role) -> Result<Grant, Failure> {
        let bound = |variable: &String| {
            let values = self.0.get(variable).cloned().ok_or_else(|| {
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

/// Adds a client with its keys in one change.
pub(in crate::cli) async fn create(
    place: &Place,
    client: &Client,
    keys: impl Iterator<Item = Change>,
) -> Result<(), Failure> {
    let changes = std::iter::once(Change::PutClient(client.clone())).chain(keys).collect();
    let record = app::change(Some(&client.tenant), "client.add", &client.name);
    Ok(place.opened.store.change(changes, record).await?)
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
}
