//! `daypass client boundary`.

use super::document::client_document;
use super::{PlaceArgs, Which, find, put, tenant_of};
use crate::cli::explain::line;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::{Client, Tenant};
use daypass_core::directory::Plan;
use daypass_core::policy::{Language, Policy, Template};
use daypass_dialects::{alibaba, tencent};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Nothing that the client gets goes beyond its boundary, whatever its roles say. With --warn it is tried first: records,
metrics and `daypass explain` say what it would cut, and it cuts nothing. A boundary that counts takes the place of one that
is tried.

Examples:
  Try it:
    daypass client boundary web --cam boundary.json --warn
  Let it count:
    daypass client boundary web --cam boundary.json
  Take both away:
    daypass client boundary web --none";

/// Say what nothing that a client gets may go beyond, in place of what was said before.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Boundary {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    document: Document,
    /// Only try it: it cuts nothing, and what it would cut is recorded and counted.
    #[arg(long)]
    warn: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Document {
    /// A file with a policy of Tencent Cloud's CAM.
    #[arg(long, value_name = "FILE")]
    cam: Option<PathBuf>,
    /// A file with a policy of Alibaba Cloud's RAM.
    #[arg(long, value_name = "FILE")]
    ram: Option<PathBuf>,
    /// No boundary any more; with --warn, none that is tried.
    #[arg(long)]
    none: bool,
}

/// Sets a client's boundary, or the one that is tried.
pub(super) async fn set(place: &Place, args: &Boundary, output: &Output) -> Result<(), Failure> {
    let before = find(place, &args.which).await?;
    let plan = place.config.plan("");
    let boundary = match &args.document {
        Document { cam: Some(file), .. } => Some((Language::Cam, text(file)?)),
        Document { ram: Some(file), .. } => Some((Language::Ram, text(file)?)),
        Document { none: _, .. } => None,
    };
    let tenant = tenant_of(&plan, &before)?;
    let boundary = boundary.map(|(language, text)| parse(language, &text, tenant)).transpose()?;
    if let Some(boundary) = &boundary {
        refuse_other_language(&plan, &before, boundary.language)?;
    }
    let after = with(&before, boundary, args.warn);
    if before != after {
        let action = if args.warn { "client.boundary-warn" } else { "client.boundary" };
        put(place, &before, &after, action, &after.name).await?;
    }
    output.show(
        said(&after).join("\n"),
        || json!({ "client": client_document(&after), "changed": before != after }),
    );
    Ok(())
}

fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))
}

fn parse(language: Language, text: &str, tenant: &Tenant) -> Result<Policy, Failure> {
    let parsed = match language {
        Language::Cam => tencent::policy::parse(text)
            // What is asked for gets it as well, so that the two can be compared.
            .map(|policy| tencent::policy::with_account(policy, &tenant.account))
            .map_err(|fault| fault.to_string()),
        Language::Ram => alibaba::policy::parse(text).map_err(|fault| fault.to_string()),
    };
    let policy = parsed.map_err(|fault| Failure::Usage(format!("the boundary is no policy: {fault}")))?;
    // It is never bound to values: `{name}` in it would match those very characters and nothing else.
    Template::new(policy.clone(), &BTreeMap::new())
        .map_err(|bad| Failure::Usage(format!("a boundary has no variables: {bad}")))?;
    Ok(policy)
}

/// Policies of two languages have nothing in common: everyone who asks for such a role would be refused.
pub(super) fn refuse_other_language(plan: &Plan, client: &Client, language: Language) -> Result<(), Failure> {
    let other = |name: &str| {
        let mut roles = plan.roles.iter().filter(|role| role.tenant == client.tenant && role.name == name);
        roles.any(|role| role.policy.as_ref().is_some_and(|policy| policy.language() != language))
    };
    let others: Vec<_> =
        client.grants.iter().map(|grant| grant.role.as_str()).filter(|name| other(name)).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{} may ask for {}, whose policy is in the other language, and the boundary would leave nothing of it: give \
         these roles to a client of their own, or bound the tenant or the endpoint",
        client.name,
        others.join(", ")
    )))
}

/// A client with a boundary. One that counts ends the trial of what was tried.
fn with(before: &Client, boundary: Option<Policy>, warn: bool) -> Client {
    let before = before.clone();
    if warn {
        return Client { boundary_warn: boundary, ..before };
    }
    Client { boundary, boundary_warn: None, ..before }
}

/// What bounds a client, and what is tried.
pub(super) fn said(client: &Client) -> Vec<String> {
    let name = &client.name;
    let mut lines = Vec::new();
    for (policy, words) in [
        (&client.boundary, "gets nothing beyond"),
        (&client.boundary_warn, "would get nothing beyond, which is only tried"),
    ] {
        let Some(policy) = policy else { continue };
        lines.push(format!("{name} {words}:"));
        lines.extend(policy.statements.iter().map(|statement| format!("  {}", line(statement))));
    }
    if lines.is_empty() {
        lines.push(format!("{name} has no boundary"));
    }
    lines
}

/// The same as members of a document; nothing where there is none.
pub(super) fn members(client: &Client) -> impl Iterator<Item = (String, serde_json::Value)> {
    let both = [("boundary", &client.boundary), ("boundary_warn", &client.boundary_warn)];
    both.into_iter().filter_map(|(name, policy)| Some((name.to_owned(), json!(policy.as_ref()?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::client::Grant;
    use daypass_core::testing::{World, allow};

    const CAM: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":"soe:*","resource":"*"}}"#;
    const RAM: &str =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:b/*"}]}"#;

    fn tenant() -> Tenant {
        (*World::new().plan.tenants[0]).clone()
    }

    fn why(result: Result<Policy, Failure>) -> String {
        match result {
            Err(Failure::Usage(text) | Failure::Refused(text)) => text,
            Err(other) => panic!("{other:?}"),
            Ok(policy) => panic!("{policy:?}"),
        }
    }

    #[test]
    fn a_document_is_read_in_the_language_that_was_named() {
        assert_eq!(parse(Language::Cam, CAM, &tenant()).unwrap().language, Language::Cam);
        assert_eq!(parse(Language::Ram, RAM, &tenant()).unwrap().language, Language::Ram);
        for (language, text) in [(Language::Cam, RAM), (Language::Ram, CAM), (Language::Ram, "")] {
            assert!(why(parse(language, text, &tenant())).contains("is no policy"), "{text}");
        }
        let bound = RAM.replace("b/*", "b/{dir}/*");
        assert!(why(parse(Language::Ram, &bound, &tenant())).contains("no variables"));
    }

    #[test]
    fn a_boundary_that_would_leave_nothing_is_refused() {
        let mut world = World::new();
        let refused =
            |world: &World, language| match refuse_other_language(&world.plan, &world.client, language) {
                Err(Failure::Refused(text)) => Some(text),
                Err(other) => panic!("{other:?}"),
                Ok(()) => None,
            };
        let text = refused(&world, Language::Cam).expect("it may ask for a role in RAM's language");
        assert!(text.contains("store-upload") && !text.contains("soe"), "{text}");
        assert!(refused(&world, Language::Ram).unwrap().contains("may ask for soe,"));
        world.client.grants = vec![Grant::of("soe"), Grant::of("devcenter")];
        assert_eq!(refused(&world, Language::Cam), None, "an access token has no policy");
    }

    #[test]
    fn one_that_counts_ends_the_trial() {
        let (one, other) = (allow(Language::Ram, "oss:*", "*"), allow(Language::Ram, "oss:Get*", "*"));
        let client = World::new().client;
        let tried = with(&client, Some(one.clone()), true);
        assert_eq!((&tried.boundary, &tried.boundary_warn), (&None, &Some(one.clone())));
        let real = with(&tried, Some(one.clone()), false);
        assert_eq!((&real.boundary, &real.boundary_warn), (&Some(one.clone()), &None));
        let both = with(&real, Some(other.clone()), true);
        assert_eq!((&both.boundary, &both.boundary_warn), (&Some(one), &Some(other)));
        assert_eq!(with(&both, None, true), real, "the trial alone");
        assert_eq!(with(&both, None, false), client);
    }

    #[test]
    fn what_bounds_a_client_is_said() {
        let mut client = World::new().client;
        assert_eq!(said(&client), ["app has no boundary"]);
        assert_eq!(members(&client).count(), 0);
        client.boundary = Some(allow(Language::Ram, "oss:*", "*"));
        client.boundary_warn = Some(allow(Language::Ram, "oss:Get*", "*"));
        insta::assert_snapshot!(said(&client).join("\n"), @r"
        app gets nothing beyond:
          allow oss:* on *
        app would get nothing beyond, which is only tried:
          allow oss:Get* on *
        ");
        assert_eq!(members(&client).map(|(name, _)| name).collect::<Vec<_>>(), ["boundary", "boundary_warn"]);
    }
}
