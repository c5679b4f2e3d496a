//! `daypass client add`.

use super::document::{client_document, secret_lines, secrets_document};
use super::refuse::{Weak, refuses};
use super::{Kind, PlaceArgs};
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use crate::system::KeyEntropy;
use daypass_core::client::{Client, Grant, KeyKind, Tenant};
use daypass_core::directory::Plan;
use daypass_core::id::random_uuid;
use daypass_core::keys::{self, NewKey};
use daypass_core::role::Role;
use daypass_core::store::Change;
use serde_json::json;
use std::collections::BTreeMap;

/// The value of a grant that stands for every value of the variable's type.
const ANY: &str = "*";

const EXAMPLES: &str = "\
Examples:
  A server that asks Tencent's STS:
    daypass client add video --kind tencent --role soe
  A store that may use two values of a variable:
    daypass client add box --kind top --role store-upload --bind tenant_code=hema --bind poi_id=8005,8006
  A backend that signs tickets for its own users; the role has the variable `subject`:
    daypass client add web --kind ticket --role uploads --any subject";

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
    /// A role it may ask for; may be given several times. The first is the one of requests that cannot name one.
    #[arg(long, required = true)]
    role: Vec<String>,
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
    let grants = roles.iter().map(|role| binds.grant(role)).collect::<Result<Vec<_>, _>>()?;
    let client = Client {
        guid: random_uuid(&KeyEntropy),
        object: random_uuid(&KeyEntropy),
        tenant: tenant.name.clone(),
        name: args.name,
        enabled: true,
        default_role: args.role.first().cloned(),
        grants,
        audiences: Vec::new(),
        boundary: None,
        refuses: refuses(&args.refuse),
        created: app::now(),
    };
    let made = create(place, &client, args.kind.iter().map(|kind| KeyKind::from(*kind))).await?;
    let mut text = format!("added client {} ({}) to tenant {}", client.name, client.guid, client.tenant);
    for new in &made {
        text.push('\n');
        text.push_str(&secret_lines(new));
    }
    text.push_str("\nthe secrets are shown this once");
    output.show(text, || json!({ "client": client_document(&client), "keys": secrets_document(&made) }));
    Ok(())
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

/// Adds a client with new keys in one change.
pub(in crate::cli) async fn create(
    place: &Place,
    client: &Client,
    kinds: impl Iterator<Item = KeyKind>,
) -> Result<Vec<NewKey>, Failure> {
    let made = kinds
        .map(|kind| keys::make(&place.opened.ring, kind, client.guid, &KeyEntropy, client.created))
        .collect::<Result<Vec<_>, _>>()
        .map_err(anyhow::Error::from)?;
    let mut changes = vec![Change::PutClient(client.clone())];
    changes.extend(made.iter().map(|new| Change::PutKey(new.key.clone())));
    let record = app::change(Some(&client.tenant), "client.add", &client.name);
    place.opened.store.change(changes, record).await?;
    Ok(made)
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
}
