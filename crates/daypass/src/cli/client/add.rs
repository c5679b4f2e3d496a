//! `daypass client add`.

use super::PlaceArgs;
use super::document::{client_document, made_document, made_lines};
use super::given::{Given, Kind, Made};
use super::refuse::{Weak, refuses};
use super::wanted::Wanted;
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use crate::system::KeyEntropy;
use daypass_core::client::Client;
use daypass_core::id::random_uuid;
use daypass_core::quota::Limit;
use daypass_core::store::Change;
use serde_json::json;

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
    #[command(flatten)]
    wanted: Wanted,
    /// Weak proofs that are not accepted in this client's name; see `daypass client refuse`.
    #[arg(long, value_enum, value_delimiter = ',')]
    refuse: Vec<Weak>,
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
    let grants = args.wanted.grants(&plan, tenant, &[])?;
    let audiences = args.wanted.audiences(&plan, tenant)?;
    let client = Client {
        guid: random_uuid(&KeyEntropy),
        object: random_uuid(&KeyEntropy),
        tenant: tenant.name.clone(),
        name: args.name,
        enabled: true,
        default_role: args.wanted.role.first().cloned(),
        grants,
        audiences,
        boundary: None,
        boundary_warn: None,
        limit: Limit::default(),
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
