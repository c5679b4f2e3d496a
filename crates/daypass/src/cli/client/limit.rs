//! `daypass client limit`.

use super::document::client_document;
use super::{PlaceArgs, Which, find, put, tenant_of};
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::Client;
use daypass_core::directory::Plan;
use daypass_core::quota::{LARGEST_DAILY, Limit, Rate};
use daypass_core::ration::{Share, day_of};
use daypass_core::store::StoreError;
use serde_json::{Value, json};
use uuid::Uuid;

const EXAMPLES: &str = "\
A rate counts what the client asks for on each node, given or refused; above it the answer is the protocol's own for too
many requests, and says when to ask again. A daily quota counts the credentials that all nodes together made for it in a
UTC day. What is not said here is as the configuration has it: `limits.client` of the client's tenant, or of the service.

Examples:
  At most 50 requests a second, 100 at once, and 100000 credentials a day:
    daypass client limit web --rate 50/s --burst 100 --daily 100000
  A day alone:
    daypass client limit web --daily 100000
  As the configuration says:
    daypass client limit web --none";

/// Say how much a client may ask for and get, in place of what was said before.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct LimitArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    wanted: Wanted,
    /// How many go at once [default: as many as the number of the rate].
    #[arg(long, value_name = "COUNT", requires = "rate")]
    burst: Option<u32>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Wanted {
    /// Requests for credentials and tickets: 50/s, 600/m or 1000/h.
    #[arg(long, conflicts_with = "none")]
    rate: Option<String>,
    /// Credentials in a UTC day.
    #[arg(long, value_name = "COUNT", conflicts_with = "none")]
    daily: Option<u64>,
    /// Nothing of its own any more.
    #[arg(long)]
    none: bool,
}

/// Sets a client's own limit.
pub(super) async fn set(place: &Place, args: &LimitArgs, output: &Output) -> Result<(), Failure> {
    let before = find(place, &args.which).await?;
    let plan = place.config.plan("");
    tenant_of(&plan, &before)?;
    let limit = read(&args.wanted, args.burst)?;
    let after = Client { limit, ..before.clone() };
    if before != after {
        put(place, &before, &after, "client.limit", &format!("{}: {limit}", after.name)).await?;
    }
    output.show(
        said(&plan, &after).unwrap_or_else(|| format!("{} has no limit", after.name)),
        || json!({ "client": client_document(&after), "changed": before != after }),
    );
    Ok(())
}

fn read(wanted: &Wanted, burst: Option<u32>) -> Result<Limit, Failure> {
    let rate = wanted.rate.as_deref().map(|text| Rate::parse(text, burst)).transpose();
    let rate = rate.map_err(|fault| Failure::Usage(fault.to_string()))?;
    if wanted.daily.is_some_and(|daily| !(1..=LARGEST_DAILY).contains(&daily)) {
        return Err(Failure::Usage(format!("a daily quota is 1 to {LARGEST_DAILY} credentials")));
    }
    Ok(Limit { rate, daily: wanted.daily })
}

/// What a client may ask for and get, by itself or as the configuration says.
fn effective(plan: &Plan, client: &Client) -> Limit {
    let tenant = plan.tenants.iter().find(|tenant| tenant.name == client.tenant);
    client.limit.or(tenant.map(|tenant| tenant.limits.client).unwrap_or_default()).or(plan.limits.client)
}

/// The same in words, with whose word it is; none where nothing bounds it.
pub(super) fn said(plan: &Plan, client: &Client) -> Option<String> {
    let limit = effective(plan, client);
    if limit.is_none() {
        return None;
    }
    let whose = if client.limit == limit { "" } else { " (by the configuration)" };
    Some(format!("{} is limited to {limit}{whose}", client.name))
}

/// How many credentials all nodes together have made for a client today, as far as they have written it down: within a
/// second. None where nobody counts.
pub(super) async fn today(place: &Place, plan: &Plan, client: &Client) -> Result<Option<u64>, StoreError> {
    if effective(plan, client).daily.is_none() {
        return Ok(None);
    }
    let counts = place.opened.store.counts(day_of(app::now()), Uuid::nil()).await?;
    let mark = Share::Client(client.guid).mark();
    Ok(Some(counts.iter().find(|(place, _)| *place == mark).map_or(0, |(_, count)| *count)))
}

/// The client's own as a member of its document; nothing where it has none.
pub(super) fn member(client: &Client) -> Option<(String, Value)> {
    let Limit { rate, daily } = client.limit;
    let rate = rate.map(|rate| json!({ "rate": rate.to_string(), "burst": rate.burst() }));
    (!client.limit.is_none()).then(|| ("limit".to_owned(), json!({ "rate": rate, "daily": daily })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::World;
    use std::sync::Arc;

    fn wanted(rate: Option<&str>, daily: Option<u64>) -> Wanted {
        Wanted { rate: rate.map(str::to_owned), daily, none: rate.is_none() && daily.is_none() }
    }

    #[test]
    fn what_is_wanted_is_read_or_refused() {
        let shown = |rate, burst, daily| match read(&wanted(rate, daily), burst) {
            Ok(limit) => limit.to_string(),
            Err(Failure::Usage(text)) => text,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(shown(Some("50/s"), Some(100), Some(7)), "50/s and 100 at once, 7 a day");
        assert_eq!(shown(None, None, None), "no limit");
        assert!(shown(Some("50/d"), None, None).contains("a rate is a number"));
        assert!(shown(Some("50"), Some(0), None).contains("a burst is 1 to"));
        assert!(shown(None, None, Some(0)).contains("a daily quota is 1 to"));
    }

    #[test]
    fn the_nearest_word_counts_and_whose_it_is_is_said() {
        let mut world = World::new();
        assert_eq!(said(&world.plan, &world.client), None);
        world.plan.limits.client.daily = Some(9);
        assert_eq!(
            said(&world.plan, &world.client).as_deref(),
            Some("app is limited to 9 a day (by the configuration)")
        );
        let tenant = Arc::make_mut(&mut world.plan.tenants[0]);
        tenant.limits.client = Limit { rate: Rate::parse("5", None).ok(), daily: Some(8) };
        assert!(said(&world.plan, &world.client).unwrap().contains("5/s, 8 a day (by"));
        world.client.limit = tenant_limit(3);
        assert_eq!(said(&world.plan, &world.client).as_deref(), Some("app is limited to 3/m, 3 a day"));
        let (name, value) = member(&world.client).unwrap();
        assert_eq!((name.as_str(), value["rate"]["rate"].as_str()), ("limit", Some("3/m")));
    }

    fn tenant_limit(count: u32) -> Limit {
        Limit { rate: Some(Rate::per_minute(count)), daily: Some(count.into()) }
    }
}
