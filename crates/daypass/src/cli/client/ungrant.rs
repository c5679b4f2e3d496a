//! `daypass client ungrant`.

use super::document::client_document;
use super::wanted::{find as role, meant, resource};
use super::{PlaceArgs, Which, find, put, tenant_of};
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::Client;
use daypass_core::directory::Plan;
use serde_json::json;

/// What becomes of what was handed out on a grant that is not there any more.
const FALLS: &str = "what was handed out on that alone is refused when it is next shown here; an access token that its API verifies \
                     by itself lasts until it runs out";

/// Take a role from a client, or a resource that it is the API of. What was handed out on that alone is refused when it
/// is next shown here; an access token that its API verifies by itself lasts until it runs out. Granted again, it counts again: what must never, `daypass revoke`
/// takes back.
#[derive(clap::Args)]
pub(in crate::cli) struct Ungrant {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    which: Which,
    /// A role that it may not ask for any more; may be given several times.
    #[arg(long, required_unless_present = "audience")]
    role: Vec<String>,
    /// A resource that it is not the API of any more; may be given several times.
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// The role of requests that cannot name one, from now on; it must be left to the client.
    #[arg(long, value_name = "ROLE", conflicts_with = "no_default")]
    default: Option<String>,
    /// Leave it without such a role.
    #[arg(long)]
    no_default: bool,
}

/// What is taken away.
#[derive(Default)]
struct Taken<'a> {
    roles: Vec<&'a str>,
    audiences: Vec<String>,
}

/// Takes grants from a client. What it does not have stays so.
pub(super) async fn ungrant(place: &Place, args: &Ungrant, output: &Output) -> Result<(), Failure> {
    let before = find(place, &args.which).await?;
    let taken = taken(&place.config.plan(""), &before, args)?;
    let mut after = before.clone();
    after.grants.retain(|grant| !taken.roles.contains(&grant.role.as_str()));
    after.audiences.retain(|audience| !taken.audiences.contains(audience));
    after.default_role = default_role(&before, &after, args)?;
    let changed = before != after;
    if changed {
        let audiences = taken.audiences.iter().map(String::as_str);
        let names: Vec<_> = taken.roles.iter().copied().chain(audiences).collect();
        put(place, &before, &after, "client.ungrant", format!("{} {}", after.name, names.join(" ")).trim())
            .await?;
    }
    let removed: Vec<_> = before.grants.iter().filter(|grant| !after.grants.contains(grant)).collect();
    output.show(
        said(&before, &after, &taken),
        || json!({ "client": client_document(&after), "changed": changed, "removed": removed }),
    );
    Ok(())
}

/// What of the named the client has. A name that means nothing is a slip, and not something that it does not have.
fn taken<'a>(plan: &Plan, client: &Client, args: &'a Ungrant) -> Result<Taken<'a>, Failure> {
    // A client of a tenant that is gone can be taken everything from.
    let tenant = tenant_of(plan, client).ok();
    let mut taken = Taken::default();
    for name in &args.role {
        if client.grants.iter().any(|grant| grant.role == *name) {
            taken.roles.push(name);
        } else if tenant.is_none_or(|tenant| role(plan, tenant, name).is_none()) {
            let text = format!("{} has no grant on a role `{name}`", client.name);
            let known = client.grants.iter().map(|grant| grant.role.as_str());
            return Err(Failure::Usage(text + &meant(name, known)));
        }
    }
    for name in &args.audience {
        let configured = tenant.and_then(|tenant| resource(plan, tenant, name));
        let is = |audience: &&String| {
            configured.as_ref() == Some(*audience) || audience.eq_ignore_ascii_case(name)
        };
        match client.audiences.iter().find(is) {
            Some(audience) => taken.audiences.push(audience.clone()),
            None if configured.is_some() => {}
            None => {
                let text = format!("{} is not the API of a resource `{name}`", client.name);
                let known = client.audiences.iter().map(String::as_str);
                return Err(Failure::Usage(text + &meant(name, known)));
            }
        }
    }
    Ok(taken)
}

/// The default role of what is left. It is not lost by accident: requests that cannot name a role would be refused.
fn default_role(before: &Client, after: &Client, args: &Ungrant) -> Result<Option<String>, Failure> {
    let left = |name: &str| after.grants.iter().any(|grant| grant.role == name);
    if let Some(name) = &args.default {
        if left(name) {
            return Ok(Some(name.clone()));
        }
        let text = format!("`{name}` cannot be the default role of {}, which has no grant on it", after.name);
        let known = after.grants.iter().map(|grant| grant.role.as_str());
        return Err(Failure::Usage(text + &meant(name, known)));
    }
    if args.no_default {
        return Ok(None);
    }
    let had = |name: &str| before.grants.iter().any(|grant| grant.role == name);
    match before.default_role.as_deref() {
        Some(name) if had(name) && !left(name) => Err(Failure::Refused(format!(
            "`{name}` is the default role of {}, for requests that cannot name one; say which takes its place with \
             --default ROLE, or --no-default",
            after.name
        ))),
        _ => Ok(before.default_role.clone()),
    }
}

fn said(before: &Client, after: &Client, taken: &Taken<'_>) -> String {
    let name = &after.name;
    let mut lines: Vec<_> =
        taken.roles.iter().map(|role| format!("{name} may not ask for {role} any more")).collect();
    if !lines.is_empty() {
        lines.push(FALLS.to_owned());
    }
    lines.extend(taken.audiences.iter().map(|it| format!("{name} is not the API of {it} any more")));
    if before.default_role != after.default_role {
        lines.push(match &after.default_role {
            Some(role) => format!("its default role is {role}"),
            None => "it has no default role; requests that cannot name one are refused".to_owned(),
        });
    }
    if lines.is_empty() {
        lines.push(format!("{name} had nothing of that"));
    }
    lines.join("\n")
}
