//! `daypass freeze` and `daypass thaw`: nothing new is issued at a place, for as long as it takes.

use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use super::revoke::parse_reason;
use crate::app;
use daypass_core::client::Tenant;
use daypass_core::freeze::{self, Freeze, oauth_path};
use daypass_core::record::Record;
use daypass_core::store::Change;
use serde_json::json;
use std::sync::Arc;

/// Which place, or `list`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    list: Option<Verb>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    which: Which,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Print where nothing is issued, and since when.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// A place: one of these.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// One path: of a configured endpoint, `/` for both clouds' STS, or `/TENANT/oauth2/v2.0/token`.
    #[arg(long, value_name = "PATH")]
    endpoint: Option<String>,
    /// One tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// The path that both clouds' STS share.
const STS: &str = "/";

/// Stops issuing.
pub(super) async fn freeze(args: Args, output: &Output) -> Result<(), Failure> {
    change(args, true, output).await
}

/// Goes on issuing.
pub(super) async fn thaw(args: Args, output: &Output) -> Result<(), Failure> {
    change(args, false, output).await
}

async fn change(args: Args, freezes: bool, output: &Output) -> Result<(), Failure> {
    if let Some(Verb::List { place }) = args.list {
        let place = place.open().await?;
        let result = list(&place, output).await;
        place.opened.store.close().await?;
        return result;
    }
    let place = args.place.open().await?;
    place.opened.begin().await?;
    let result = set(&place, &args.which, args.reason, freezes, output).await;
    place.opened.store.close().await?;
    result
}

async fn set(
    place: &Place,
    which: &Which,
    reason: Option<String>,
    freezes: bool,
    output: &Output,
) -> Result<(), Failure> {
    let before = place.opened.store.freezes().await?;
    let (at, tenant) = match find(place, which) {
        // What is frozen can be thawed when the configuration does not know it any more.
        Err(unknown) => match named(which).filter(|at| before.iter().any(|freeze| freeze.place == *at)) {
            Some(at) => (at, None),
            None => return Err(unknown),
        },
        found => found?,
    };
    let changed = before.iter().any(|freeze| freeze.place == at) != freezes;
    if changed {
        let action = if freezes { "freeze" } else { "thaw" };
        let record = Record { why: reason, ..app::change(tenant.as_deref(), action, &at.to_string()) };
        let change = if freezes {
            Change::Freeze(Freeze { place: at.clone(), since: app::now() })
        } else {
            Change::Thaw(at.clone())
        };
        place.opened.store.change(vec![change], record).await?;
    }
    let others: Vec<_> = before.iter().filter(|freeze| freeze.place != at).collect();
    let state = if freezes { "frozen" } else { "not frozen" };
    let already = if changed { "" } else { "already " };
    let mut text = format!(
        "{at} is {already}{state}; in force on this store's nodes within {} seconds",
        super::revoke::WITHIN
    );
    text.push_str(if freezes {
        "\nwhat was issued before stays good: daypass revoke takes it back"
    } else if others.is_empty() {
        ""
    } else {
        "\nother places are frozen still: daypass freeze list"
    });
    output.show(text, || {
        json!({
            "place": at, "frozen": freezes, "changed": changed,
            "effective_within_seconds": super::revoke::WITHIN, "others": others.len(),
        })
    });
    Ok(())
}

/// The place that is meant, and the tenant that it is in. A name that is not known is refused: whoever misspells it would
/// think that it is done.
fn find(place: &Place, which: &Which) -> Result<(freeze::Place, Option<String>), Failure> {
    let plan = place.config.plan("");
    if let Some(name) = &which.tenant {
        let tenant = plan.tenants.iter().find(|tenant| tenant.name == *name);
        let tenant = tenant.ok_or_else(|| unknown(&format!("tenant `{}`", name.escape_debug())))?;
        return Ok((freeze::Place::Tenant(tenant.name.clone()), Some(tenant.name.clone())));
    }
    let Some(path) = &which.endpoint else { return Ok((freeze::Place::All, None)) };
    if path == STS {
        return Ok((freeze::Place::Endpoint(path.clone()), None));
    }
    if let Some(tenant) = oauth(&plan.tenants, path) {
        return Ok((freeze::Place::Endpoint(oauth_path(tenant)), Some(tenant.name.clone())));
    }
    let mut endpoints = plan.endpoints.iter().filter(|endpoint| endpoint.path == *path);
    let first = endpoints.next().ok_or_else(|| unknown(&format!("endpoint `{}`", path.escape_debug())))?;
    // Tenants may share a path, and then the record is nobody's alone.
    let tenant = endpoints.all(|other| other.tenant == first.tenant).then(|| first.tenant.clone());
    Ok((freeze::Place::Endpoint(path.clone()), tenant))
}

/// The tenant whose OAuth endpoint this path is, by the tenant's guid or its name.
fn oauth<'a>(tenants: &'a [Arc<Tenant>], path: &str) -> Option<&'a Tenant> {
    let named = path.strip_prefix('/')?.strip_suffix("/oauth2/v2.0/token")?;
    let is =
        |tenant: &&Arc<Tenant>| tenant.name == named || tenant.guid.to_string().eq_ignore_ascii_case(named);
    tenants.iter().find(is).map(|tenant| &**tenant)
}

/// The place as it was written.
fn named(which: &Which) -> Option<freeze::Place> {
    let tenant = which.tenant.clone().map(freeze::Place::Tenant);
    tenant.or_else(|| which.endpoint.clone().map(freeze::Place::Endpoint))
}

fn unknown(what: &str) -> Failure {
    Failure::Refused(format!("there is no {what}, and nothing was changed"))
}

async fn list(place: &Place, output: &Output) -> Result<(), Failure> {
    let mut all = place.opened.store.freezes().await?;
    all.sort_by_key(|freeze| freeze.since);
    let rows = all.iter().map(|freeze| vec![freeze.place.to_string(), format!("since {}", freeze.since)]);
    let text = if all.is_empty() { "nothing is frozen".to_owned() } else { table(&rows.collect::<Vec<_>>()) };
    output.show(text, || json!(all));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::World;

    #[test]
    fn the_path_of_oauth_may_name_the_tenant_in_either_way() {
        let tenants = World::new().plan.tenants;
        let name = |path: &str| oauth(&tenants, path).map(|tenant| tenant.name.clone());
        let guid = tenants[0].guid.to_string();
        for right in [guid.clone(), guid.to_uppercase(), tenants[0].name.clone()] {
            assert_eq!(name(&format!("/{right}/oauth2/v2.0/token")), Some(tenants[0].name.clone()));
        }
        for wrong in ["/oauth2/v2.0/token", "/nobody/oauth2/v2.0/token", "/acme/oauth2/v2.0", "acme"] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }
}
