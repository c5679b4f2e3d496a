//! The question behind a record, so that it can be asked again.

use super::question::{Question, ROOT};
use daypass_core::asked::{Asked, AskedPolicy, AskedRole};
use daypass_core::caller::Way;
use daypass_core::directory::Directory;
use daypass_core::identity::Subject;
use daypass_core::policy::{Part, Policy};
use daypass_core::record::{Event, Record};
use daypass_core::refusal::Reason;
use std::collections::BTreeMap;

/// What a record of a grant or a refusal holds of what was asked for.
pub(in crate::cli) enum Again {
    /// All of it.
    Question(Box<Question>),
    /// All of it, and in this configuration it leads nowhere.
    Gone(String),
    /// Not enough.
    Unknown(&'static str),
}

/// What stands before the provider's name where an outside subject is known by it.
const WEB_IDENTITY: &str = "web-identity:";

/// The question behind a record, for this configuration. Records of other things have none.
pub(in crate::cli) fn again(directory: &Directory, record: &Record) -> Again {
    let (asked, variables, issued, reason) = match &record.event {
        Event::Grant { asked: Some(asked), variables, policy, .. } => {
            (asked, variables, policy.as_deref(), None)
        }
        Event::Refusal { asked: Some(asked), reason, .. } => {
            (asked, &asked.variables, None, Some(reason.as_str()))
        }
        Event::Grant { .. } => {
            return Again::Unknown("an older version wrote the record, without what was asked for");
        }
        _ => {
            return Again::Unknown("the record does not hold what was asked for: it was decided before that");
        }
    };
    if asked.exchange {
        return Again::Unknown("it was an exchange, and the token that was exchanged is not kept");
    }
    if asked.shortened {
        return Again::Unknown("what was asked for was too long for a record");
    }
    if reason == Some(Reason::TemporaryNotAllowed.label())
        || reason == Some(Reason::ExternalIdMismatch.label())
    {
        return Again::Unknown("it was refused for something that no record keeps");
    }
    let policy = match policy(asked, issued) {
        Ok(policy) => policy,
        Err(why) => return Again::Unknown(why),
    };
    put(directory, record, asked, variables, policy)
}

fn policy(asked: &Asked, issued: Option<&Policy>) -> Result<Option<Policy>, &'static str> {
    match &asked.policy {
        AskedPolicy::None => Ok(None),
        AskedPolicy::Document(policy) => Ok(Some(policy.clone())),
        AskedPolicy::Issued => match issued {
            Some(policy) => Ok(Some(policy.clone())),
            None => Err("the policy that was asked for is not in the record"),
        },
        AskedPolicy::LeftOut => Err("the policy that was asked for was too long for a record"),
    }
}

fn put(
    directory: &Directory,
    record: &Record,
    asked: &Asked,
    variables: &BTreeMap<String, String>,
    policy: Option<Policy>,
) -> Again {
    let Some(tenant) = record.tenant.as_deref().and_then(|name| directory.tenant(name)) else {
        return Again::Gone("the tenant is not configured".to_owned());
    };
    let client = record.client.and_then(|guid| directory.client(tenant, guid));
    if record.client.is_some() && client.is_none() {
        return Again::Gone("the client is gone".to_owned());
    }
    let subject = || {
        let name = record.subject.clone()?;
        Some(Subject { name, variables: variables.clone() })
    };
    let (part, path) = match (record.via.as_deref(), &asked.role) {
        (None, _) => match client {
            Some(client) => {
                let path = if let AskedRole::Product { path, .. } = &asked.role { path } else { ROOT };
                (Part::Client(client), path)
            }
            None => return Again::Unknown("the record names no client"),
        },
        (Some(via), _) if via.starts_with(WEB_IDENTITY) => {
            let name = via.trim_start_matches(WEB_IDENTITY);
            match (directory.provider(&tenant.name, name).cloned(), subject()) {
                (Some(provider), Some(subject)) => (Part::Outside { provider, subject }, ROOT),
                (None, _) => return Again::Gone(format!("the provider `{name}` is not configured")),
                (_, None) => return Again::Unknown("the record names no subject"),
            }
        }
        (Some(via), AskedRole::Endpoint(path)) => {
            let visited = directory.visited(path).filter(|endpoint| endpoint.tenant == tenant.name).cloned();
            match (visited, way(via)) {
                (Some(endpoint), Some(way)) => {
                    (Part::Visitor { endpoint, way, subject: subject(), maker: client }, path.as_str())
                }
                (None, _) => {
                    return Again::Gone(format!("there is no endpoint at `{}`", path.escape_debug()));
                }
                (_, None) => {
                    return Again::Unknown("the record says in a way that is not known how the caller was");
                }
            }
        }
        (Some(_), _) => return Again::Unknown("the record does not say at which endpoint it was"),
    };
    // What the tokens of a resource say is bound by the grants, and not by the ask.
    let own = if matches!(asked.role, AskedRole::Resource(_)) { BTreeMap::new() } else { variables.clone() };
    let mut issue = asked.issue(own, policy);
    // It was right, or the record would say so.
    issue.external_id = match &asked.role {
        AskedRole::Named(name) => {
            directory.role(&tenant.name, name).and_then(|role| role.external_id.clone())
        }
        _ => None,
    };
    Again::Question(Box::new(Question::new(tenant.clone(), part, path, issue)))
}

fn way(name: &str) -> Option<Way> {
    [Way::Session, Way::Ticket, Way::Jwt, Way::Anonymous].into_iter().find(|way| way.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, World};
    use daypass_core::triple::TripleKind;
    use uuid::Uuid;

    fn asked(role: AskedRole) -> Asked {
        Asked {
            role,
            form: Some(TripleKind::Tencent),
            lifetime: None,
            variables: BTreeMap::new(),
            policy: AskedPolicy::None,
            cut_off: false,
            app_roles: None,
            exchange: false,
            cut: vec![],
            warned: vec![],
            shortened: false,
        }
    }

    fn refusal(world: &World, reason: &str, asked: Option<Asked>) -> Record {
        let event = Event::Refusal {
            reason: reason.into(),
            detail: String::new(),
            parameter: None,
            asked: asked.map(Box::new),
        };
        Record {
            event,
            client: Some(world.client.guid),
            ..Record::change(Uuid::nil(), START, Some("acme".into()), "", "")
        }
    }

    fn soe() -> Asked {
        asked(AskedRole::Named("soe".into()))
    }

    /// `granted`, `refused REASON`, `gone WHY` or `unknown WHY`.
    fn outcome(world: &World, record: &Record) -> String {
        let directory = world.directory();
        match again(&directory, record) {
            Again::Question(question) => match question.ask(&directory) {
                Ok(_) => "granted".to_owned(),
                Err(refusal) => format!("refused {}", refusal.reason.label()),
            },
            Again::Gone(why) => format!("gone {why}"),
            Again::Unknown(why) => format!("unknown {why}"),
        }
    }

    #[test]
    fn a_refusal_is_asked_again() {
        let mut world = World::new();
        let record = refusal(&world, "role_not_granted", Some(soe()));
        assert_eq!(outcome(&world, &record), "granted");
        world.client.grants.clear();
        assert_eq!(outcome(&world, &record), "refused role_not_granted");
        world.client.enabled = false;
        assert_eq!(outcome(&world, &record), "refused client_disabled");
        world.client.guid = Uuid::from_u128(5);
        assert_eq!(outcome(&world, &record), "gone the client is gone");
        let elsewhere = Record { tenant: Some("nowhere".into()), ..record };
        assert_eq!(outcome(&world, &elsewhere), "gone the tenant is not configured");
    }

    #[test]
    fn what_a_record_does_not_hold_is_not_made_up() {
        let world = World::new();
        for (record, why) in [
            (refusal(&world, "replayed", None), "decided before"),
            (refusal(&world, "temporary_not_allowed", Some(soe())), "no record keeps"),
            (refusal(&world, "external_id_mismatch", Some(soe())), "no record keeps"),
            (refusal(&world, "invalid_target", Some(Asked { exchange: true, ..soe() })), "exchange"),
            (
                refusal(&world, "policy_too_wide", Some(Asked { policy: AskedPolicy::LeftOut, ..soe() })),
                "too long",
            ),
            (
                refusal(&world, "policy_too_wide", Some(Asked { policy: AskedPolicy::Issued, ..soe() })),
                "not in the",
            ),
            (refusal(&world, "variable_refused", Some(Asked { shortened: true, ..soe() })), "too long"),
            (Record { client: None, ..refusal(&world, "no_role", Some(soe())) }, "names no client"),
        ] {
            let outcome = outcome(&world, &record);
            assert!(outcome.starts_with("unknown") && outcome.contains(why), "{outcome}");
        }
    }

    #[test]
    fn a_visit_is_asked_again_at_its_endpoint() {
        let world = World::new();
        let at = |path: &str, via: &str| Record {
            client: None,
            via: Some(via.into()),
            ..refusal(&world, "role_not_granted", Some(asked(AskedRole::Endpoint(path.into()))))
        };
        assert_eq!(outcome(&world, &at("/getAuthorization", "anonymous")), "granted");
        assert_eq!(outcome(&world, &at("/getAuthorization", "session")), "refused missing_proof");
        assert_eq!(outcome(&world, &at("/gone", "session")), "gone there is no endpoint at `/gone`");
        assert!(outcome(&world, &at("/getAuthorization", "telepathy")).starts_with("unknown"));
        let outside = Record { subject: Some("repo".into()), ..at("/", "web-identity:corp") };
        assert_eq!(outcome(&world, &outside), "gone the provider `corp` is not configured");
    }
}
