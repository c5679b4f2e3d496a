//! `daypass client grant`.

use super::boundary::refuse_other_language;
use super::document::{client_document, terms};
use super::wanted::Wanted;
use super::{PlaceArgs, Which, find, put, tenant_of};
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::{Client, Grant as Granted};
use daypass_core::directory::Plan;
use serde_json::json;

const EXAMPLES: &str = "\
Where the client has a grant on the role already, the values and the lifetime that are named take the place of those that
were there, and the others stay. What was handed out before keeps what it had until it runs out.

Examples:
  Another role:
    daypass client grant web --role uploads --any subject
  Other values of a variable; the roles of one OAuth resource must bind the same ones:
    daypass client grant shop --role orders-reader --role orders-writer --bind poi_id=8005,8007
  A role for requests that cannot name one:
    daypass client grant video --role soe --default
  The API behind an OAuth resource:
    daypass client grant orders-api --audience d6b7c858-55fa-4d04-85a6-131af690abd4";

/// Let a client ask for more, or for something else.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Grant {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    wanted: Wanted,
    /// Let it live as long as the role says, whatever the grant said before.
    #[arg(long, requires = "role", conflicts_with = "lifetime")]
    no_lifetime: bool,
    /// Make the first role the default one, that of requests that cannot name one.
    #[arg(long, requires = "role")]
    default: bool,
}

/// Adds grants to a client, or replaces those on the same roles.
pub(super) async fn grant(place: &Place, args: &Grant, output: &Output) -> Result<(), Failure> {
    let before = find(place, &args.which).await?;
    let after = granted(&place.config.plan(""), &before, args)?;
    let changed = before != after;
    if changed {
        let new = after.audiences.iter().filter(|audience| !before.audiences.contains(audience));
        let names: Vec<_> = args.wanted.role.iter().chain(new).map(String::as_str).collect();
        put(place, &before, &after, "client.grant", &format!("{} {}", after.name, names.join(" "))).await?;
    }
    let replaced = replaced(&before, &after);
    output.show(
        said(&before, &after, args),
        || json!({ "client": client_document(&after), "changed": changed, "replaced": replaced }),
    );
    Ok(())
}

fn granted(plan: &Plan, before: &Client, args: &Grant) -> Result<Client, Failure> {
    let tenant = tenant_of(plan, before)?;
    let wanted = |grant: &Granted| args.wanted.role.contains(&grant.role);
    let mut had = before.grants.clone();
    if args.no_lifetime {
        had.iter_mut().filter(|grant| wanted(grant)).for_each(|grant| grant.lifetime = None);
    }
    let grants = args.wanted.grants(plan, tenant, &had)?;
    let mut audiences = before.audiences.clone();
    for audience in args.wanted.audiences(plan, tenant)? {
        if !audiences.contains(&audience) {
            audiences.push(audience);
        }
    }
    let after = Client { grants, audiences, ..before.clone() };
    for boundary in [&before.boundary, &before.boundary_warn].into_iter().flatten() {
        refuse_other_language(plan, &after, boundary.language)?;
    }
    let first = args.wanted.role.first().filter(|_| args.default);
    let default_role = first.or(before.default_role.as_ref()).cloned();
    Ok(Client { default_role, ..after })
}

/// What was there of the roles whose grants have changed.
fn replaced<'a>(before: &'a Client, after: &Client) -> Vec<&'a Granted> {
    before.grants.iter().filter(|grant| !after.grants.contains(grant)).collect()
}

/// What the client has now of what was named, and what it had before.
fn said(before: &Client, after: &Client, args: &Grant) -> String {
    let name = &after.name;
    let mut lines = Vec::new();
    for grant in after.grants.iter().filter(|grant| args.wanted.role.contains(&grant.role)) {
        let old: Vec<_> = before.grants.iter().filter(|old| old.role == grant.role).map(terms).collect();
        lines.push(match &old[..] {
            [] => format!("{name} may ask for {}", terms(grant)),
            [old] if *old == terms(grant) => format!("{name} may ask for {old} already"),
            old => format!("{name} may ask for {}, no longer for {}", terms(grant), old.join(" or ")),
        });
    }
    for audience in &after.audiences {
        let already = if before.audiences.contains(audience) { " already" } else { "" };
        lines.push(format!("{name} is the API of {audience}{already}"));
    }
    if before.default_role != after.default_role {
        let old = before.default_role.as_ref().map_or_else(String::new, |old| format!(", no longer {old}"));
        lines.extend(after.default_role.as_ref().map(|new| format!("its default role is {new}{old}")));
    }
    if !replaced(before, after).is_empty() {
        lines.push("what was handed out before keeps what it had until it runs out".to_owned());
    }
    lines.join("\n")
}
