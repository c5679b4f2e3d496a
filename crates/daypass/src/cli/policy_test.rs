//! `daypass test`: cases beside the configuration that say what must be allowed and what must not.

use super::explain::{Question, Snapshot, Target, Words, client, plan};
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::config;
use daypass_core::client::{Client, Grant, Refuses};
use daypass_core::clock::Timestamp;
use daypass_core::directory::Directory;
use daypass_core::policy::{Access, Verdict, verdict};
use daypass_core::quota::Limit;
use daypass_core::refusal::Reason;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use uuid::Uuid;

/// Run allow and deny cases against the configuration, and issue nothing.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Files of cases; `daypass init` writes one with examples.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

/// One case: who asks for what, and what must come of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    tenant: Option<String>,
    client: Option<String>,
    /// In place of a client of the store: one that has these grants.
    grants: Option<Vec<Grant>>,
    subject: Option<String>,
    role: Option<String>,
    scope: Option<String>,
    endpoint: Option<String>,
    product: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    lifetime: Option<String>,
    policy: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    expect: String,
}

/// What a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The credential is given, and allows the action, if there is one.
    Allow,
    /// With an action: the credential is given and does not allow it. Without: nothing is given.
    Deny,
    /// Conditions decide whether the credential that is given allows the action.
    Depends,
    /// Nothing is given, for this reason.
    Refused(Reason),
}

/// How a case ended: nothing is wrong, or what is.
type Judged = Result<(), String>;

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let result = all(&place, &args.files, output).await;
    place.opened.store.close().await?;
    result
}

async fn all(place: &Place, files: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let snapshot = Snapshot::read(place).await?;
    let directory = snapshot.directory(plan(&place.config))?;
    let (mut cases, mut failures) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
        let judged = judge_file(&directory, &snapshot.clients, &text)
            .map_err(|why| Failure::Usage(format!("{}:{why}", file.display())))?;
        cases += judged.len();
        failures.extend(judged.into_iter().filter_map(|(line, judged)| Some((file, line, judged.err()?))));
    }
    if cases == 0 {
        // Attack on oneself: a file that was renamed inside passes for ever.
        return Err(Failure::Usage("there is no [[case]] in these files".to_owned()));
    }
    let line = |(file, line, why): &(&PathBuf, usize, String)| format!("{}:{line}: {why}", file.display());
    let mut lines: Vec<_> = failures.iter().map(line).collect();
    lines.push(format!("{cases} cases, {} failures", failures.len()));
    output.show(lines.join("\n"), || {
        let one = |(file, line, why): &(&PathBuf, usize, String)| {
            json!({ "file": Path::new(file), "line": line, "message": why })
        };
        json!({ "cases": cases, "failures": failures.iter().map(one).collect::<Vec<_>>() })
    });
    if failures.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Judges the cases of a file, each with its line. A case that cannot be understood is an error with its line: it would
/// pass or fail for another reason than the one that it is about.
fn judge_file(directory: &Directory, clients: &[Client], text: &str) -> Result<Vec<(usize, Judged)>, String> {
    let at = |byte: usize| text.get(..byte).map_or(0, |before| before.matches('\n').count()) + 1;
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| at(span.start));
        format!("{line}: {}", error.message())
    })?;
    file.case
        .iter()
        .map(|case| {
            let line = at(case.span().start);
            let case = case.get_ref();
            let judged =
                judge(directory, clients, case).map_err(|why| format!("{line}: {}", case.told(why)))?;
            Ok((line, judged.map_err(|why| case.told(why))))
        })
        .collect()
}

fn judge(directory: &Directory, clients: &[Client], case: &Case) -> Result<Judged, String> {
    let expected = case.expected()?;
    let question = Question::of(directory, &case.words(directory, clients)?)?;
    let answer = question.ask(directory);
    Ok(match (answer, expected) {
        (Err(refusal), Expected::Refused(reason)) if refusal.reason == reason => Ok(()),
        (Err(_), Expected::Deny) if case.access().is_none() => Ok(()),
        (Err(refusal), _) => Err(format!(
            "expected {}, and it is refused {}: {}",
            case.expect,
            refusal.reason.label(),
            refusal.detail
        )),
        (Ok(given), _) => {
            let found = match (case.access(), given.policy()) {
                (None, _) => Verdict::Allowed(0),
                (Some(access), Some(policy)) => verdict(policy, access),
                (Some(_), None) => {
                    return Err("the role gives an access token, which has no actions".to_owned());
                }
            };
            match (&found, expected) {
                (Verdict::Allowed(_), Expected::Allow)
                | (Verdict::Denied(_), Expected::Deny)
                | (Verdict::Depends(_), Expected::Depends) => Ok(()),
                _ => Err(format!("expected {}, and {}", case.expect, shown(&found))),
            }
        }
    })
}

fn shown(found: &Verdict) -> String {
    match found {
        Verdict::Allowed(_) => "it is allowed".to_owned(),
        Verdict::Denied(None) => "no statement allows it".to_owned(),
        Verdict::Denied(Some(n)) => format!("statement {} denies it", n + 1),
        Verdict::Depends(all) => {
            let numbers: Vec<_> = all.iter().map(|n| (n + 1).to_string()).collect();
            format!("it depends on the conditions of statement {}", numbers.join(", "))
        }
    }
}

impl Case {
    /// A sentence with the name of the case.
    fn told(&self, why: String) -> String {
        match &self.name {
            Some(name) => format!("{}: {why}", name.escape_debug()),
            None => why,
        }
    }

    fn access(&self) -> Option<Access<'_>> {
        Some(Access { action: self.action.as_deref()?, resource: self.resource.as_deref()? })
    }

    fn expected(&self) -> Result<Expected, String> {
        if self.action.is_some() != self.resource.is_some() {
            return Err("`action` and `resource` go together".to_owned());
        }
        match (self.expect.as_str(), self.action.is_some()) {
            ("allow", _) => Ok(Expected::Allow),
            ("deny", _) => Ok(Expected::Deny),
            ("depends", true) => Ok(Expected::Depends),
            ("depends", false) => Err("only an action can depend on conditions".to_owned()),
            (label, false) => {
                let reason = Reason::ALL.iter().find(|reason| reason.label() == label);
                reason.copied().map(Expected::Refused).ok_or_else(|| {
                    format!(
                        "`{}` is neither allow, deny nor depends, nor a reason such as role_not_granted",
                        label.escape_debug()
                    )
                })
            }
            (_, true) => Err("with an action, `expect` is allow, deny or depends".to_owned()),
        }
    }

    fn words(&self, directory: &Directory, clients: &[Client]) -> Result<Words<'_>, String> {
        let target = match (&self.endpoint, &self.role, &self.scope) {
            (Some(path), None, None) => Target::Endpoint(path),
            (None, Some(role), None) => Target::Role(role),
            (None, None, Some(scope)) => Target::Scope(scope),
            _ => return Err("a case has exactly one of `role`, `scope` and `endpoint`".to_owned()),
        };
        let client = match (&self.client, &self.grants) {
            (Some(_), Some(_)) => {
                return Err("a case has either a `client` or `grants` of its own".to_owned());
            }
            (Some(name), None) => Some(client(clients, name, self.tenant.as_deref())?),
            (None, Some(grants)) => Some(Arc::new(self.made_up(directory, grants)?)),
            (None, None) => None,
        };
        let lifetime = self.lifetime.as_deref().map(config::seconds_of).transpose()?;
        Ok(Words {
            target,
            client,
            subject: self.subject.as_deref(),
            product: self.product.as_deref(),
            variables: self.variables.clone(),
            lifetime,
            policy: self.policy.as_deref(),
        })
    }

    /// A client that the store need not have.
    fn made_up(&self, directory: &Directory, grants: &[Grant]) -> Result<Client, String> {
        let tenants = &directory.plan().tenants;
        let tenant = match (&self.tenant, tenants.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.name.clone(),
            (None, _) => return Err("several tenants are configured; name one with `tenant`".to_owned()),
        };
        if let Some(grant) = grants.iter().find(|grant| directory.role(&tenant, &grant.role).is_none()) {
            return Err(format!("the tenant {tenant} has no role `{}`", grant.role.escape_debug()));
        }
        Ok(Client {
            guid: Uuid::nil(),
            object: Uuid::nil(),
            tenant,
            name: "of the case".to_owned(),
            enabled: true,
            default_role: None,
            grants: grants.to_vec(),
            audiences: Vec::new(),
            boundary: None,
            boundary_warn: None,
            limit: Limit::default(),
            refuses: Refuses::default(),
            created: Timestamp::UNIX_EPOCH,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::policy::{Condition, Language, Template};
    use daypass_core::role::Role;
    use daypass_core::testing::{World, allow};

    const UPLOAD: &str = r#"
role = "store-upload"
client = "app"
variables = { tenant_code = "hema", poi_id = "8005" }
action = "oss:PutObject"
"#;

    fn judged(world: &World, text: &str) -> Result<Vec<(usize, Judged)>, String> {
        judge_file(&world.directory(), std::slice::from_ref(&world.client), text)
    }

    /// Judges one case: `ok`, what is wrong with its answer, or with itself.
    fn one(world: &World, case: &str) -> String {
        match judged(world, &format!("[[case]]\n{case}")).as_deref() {
            Ok([(1, Ok(()))]) => "ok".to_owned(),
            Ok([(1, Err(why))]) => why.clone(),
            Err(why) => format!("error {why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_expected_passes_and_nothing_else_does() {
        let world = World::new();
        let inside = "resource = \"acs:oss:cn:1:bucket/hema/8005/a\"";
        let beside = "resource = \"acs:oss:cn:1:bucket/hema/80050/a\"";
        for (resource, expect, wrong) in [
            (inside, "allow", None),
            (inside, "deny", Some("it is allowed")),
            (inside, "depends", Some("it is allowed")),
            (beside, "deny", None),
            (beside, "allow", Some("no statement allows it")),
        ] {
            let said = one(&world, &format!("{UPLOAD}{resource}\nexpect = \"{expect}\""));
            match wrong {
                None => assert_eq!(said, "ok"),
                Some(wrong) => assert_eq!(said, format!("expected {expect}, and {wrong}")),
            }
        }
    }

    #[test]
    fn a_refusal_is_no_denial_of_an_action() {
        let world = World::new();
        let other = UPLOAD.replace("8005", "9999") + "resource = \"x\"\nexpect = \"deny\"";
        assert!(one(&world, &other).contains("refused variable_refused"), "it would pass for another reason");
        let role =
            |expect: &str| one(&world, &format!("role = \"none\"\nclient = \"app\"\nexpect = \"{expect}\""));
        assert_eq!((role("deny").as_str(), role("role_not_granted").as_str()), ("ok", "ok"));
        assert!(role("variable_refused").contains("refused role_not_granted"));
        assert!(role("allow").contains("refused role_not_granted"));
    }

    #[test]
    fn a_client_can_be_made_up() {
        let mut world = World::new();
        world.plan.tenants.truncate(1);
        let case = |grants: &str| format!("role = \"soe\"\ngrants = {grants}\nexpect = \"allow\"");
        assert_eq!(one(&world, &case("[{ role = \"soe\" }]")), "ok");
        assert!(one(&world, &case("[]")).contains("role_not_granted"));
        assert!(
            one(&world, &case("[{ role = \"so\" }]")).starts_with("error 1: the tenant acme has no role")
        );
        assert!(one(&World::new(), &case("[]")).contains("several tenants"));
    }

    #[test]
    fn conditions_are_something_else_than_yes_and_no() {
        let mut world = World::new();
        let mut policy = allow(Language::Cam, "soe:*", "*");
        policy.statements[0].conditions = vec![Condition {
            operator: "ip_equal".into(),
            key: "qcs:ip".into(),
            values: vec!["10.0.0.0/8".into()],
        }];
        for role in world.plan.roles.iter_mut().filter(|role| role.name == "soe") {
            let policy = Template::new(policy.clone(), &BTreeMap::new()).unwrap();
            *role = Arc::new(Role { policy: Some(policy), ..Role::clone(role) });
        }
        let case = |expect: &str| {
            let asked = "role = \"soe\"\nclient = \"app\"\naction = \"soe:X\"\nresource = \"*\"";
            one(&world, &format!("{asked}\nexpect = \"{expect}\""))
        };
        assert_eq!(case("depends"), "ok");
        for expect in ["allow", "deny"] {
            assert_eq!(
                case(expect),
                format!("expected {expect}, and it depends on the conditions of statement 1")
            );
        }
    }

    #[test]
    fn a_case_that_cannot_be_understood_is_an_error_with_its_line() {
        let world = World::new();
        for (text, said) in [
            ("[[case]]\nexpect = 1", "2: "),
            ("[[case]]\nrole = \"soe\"\nclient = \"app\"\nexpct = \"allow\"", "4: "),
            ("\n\n[[case]]\nrole = \"soe\"\nclient = \"nobody\"\nexpect = \"deny\"", "3: there is no client"),
            (
                "[[case]]\nrole = \"soe\"\nscope = \"x/y\"\nclient = \"app\"\nexpect = \"deny\"",
                "1: a case has exactly one",
            ),
            ("[[case]]\nrole = \"soe\"\nclient = \"app\"\nexpect = \"denied\"", "1: `denied` is neither"),
            ("[[case]]\nrole = \"soe\"\nclient = \"app\"\nexpect = \"depends\"", "1: only an action"),
            (
                "[[case]]\nrole = \"soe\"\nclient = \"app\"\naction = \"a\"\nexpect = \"allow\"",
                "1: `action` and",
            ),
            ("[[case]]\nname = \"n\"\nrole = \"soe\"\nexpect = \"deny\"", "1: n: say which client asks"),
            (
                "[[case]]\nrole = \"devcenter\"\nclient = \"app\"\naction = \"a\"\nresource = \"b\"\nexpect = \"deny\"",
                "1: the role gives an access token",
            ),
            ("[[case]]\nrole = \"soe\"\nclient = \"app\"\nlifetime = \"5\"\nexpect = \"allow\"", "1: "),
        ] {
            let error = judged(&world, text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn every_case_is_judged_and_told_with_its_line_and_name() {
        let world = World::new();
        let text = "[[case]]\nrole = \"soe\"\nclient = \"app\"\nexpect = \"allow\"\n\n\
                    [[case]]\nname = \"nobody\"\nrole = \"soe\"\nclient = \"app\"\nexpect = \"deny\"\n";
        let judged = judged(&world, text).unwrap();
        assert_eq!(judged, [(1, Ok(())), (6, Err("nobody: expected deny, and it is allowed".to_owned()))]);
    }
}
