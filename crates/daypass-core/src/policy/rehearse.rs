//! What somebody would get, without giving it.
//!
//! The rules are those of [`authorize`], and nothing is decided here that is not decided there. An [`Authorized`] never
//! leaves this module, so that no credential can be made of a question.

use super::{Authorized, Cut, Policy, Warned, authorize};
use crate::caller::{Caller, How, Outside, Proof, Visitor, Way};
use crate::client::{Client, Tenant};
use crate::clock::Timestamp;
use crate::dialect::{Form, Issue};
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint};
use crate::freeze;
use crate::identity::Subject;
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::ticket::Pass;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose part is played.
#[derive(Clone)]
pub enum Part {
    /// A client that has proved itself with a key of its own.
    Client(Arc<Client>),
    /// A visitor of an endpoint without signatures.
    Visitor {
        /// The endpoint.
        endpoint: Arc<Endpoint>,
        /// How it is known.
        way: Way,
        /// Who it is, where it is known.
        subject: Option<Subject>,
        /// Who made its ticket.
        maker: Option<Arc<Client>>,
    },
    /// Someone whom an outside provider vouches for.
    Outside {
        /// The provider.
        provider: Arc<Provider>,
        /// Who it is.
        subject: Subject,
    },
}

/// What would be given.
pub struct Rehearsal(Authorized);

impl Rehearsal {
    /// The role's name.
    pub fn role(&self) -> &str {
        self.0.role()
    }
    /// The policy of the credential, where it has one.
    pub fn policy(&self) -> Option<&Policy> {
        self.0.policy()
    }
    /// Who cut something off what the role gives.
    pub fn cut(&self) -> &[Cut] {
        self.0.cut()
    }
    /// What rules that are only tried would do to it.
    pub fn warned(&self) -> &[Warned] {
        self.0.warned()
    }
    /// Seconds of life.
    pub fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }
    /// What the role's variables are bound to.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        self.0.variables()
    }
    /// The OAuth resource of an access token.
    pub fn audience(&self) -> Option<&str> {
        self.0.audience()
    }
    /// The app roles of an access token.
    pub fn app_roles(&self) -> &[String] {
        self.0.app_roles()
    }
}

/// Asks what this part would get in a tenant for this ask at this path.
pub fn rehearse(
    directory: &Directory,
    tenant: &Arc<Tenant>,
    part: &Part,
    path: &str,
    issue: &Issue,
) -> Result<Rehearsal, Refusal> {
    let caller = Caller::new(tenant.clone(), proof(part)?);
    if caller.client().is_some_and(|client| !client.enabled) {
        return Err(Refusal::new(Reason::ClientDisabled, "this client is disabled"));
    }
    // OAuth has one address in each tenant, whatever the path of the question is; no other protocol's is judged otherwise.
    let dialect = if issue.form == Form::Bearer { DialectName::Entra } else { DialectName::TencentSts };
    freeze::check(directory, tenant, dialect, path)?;
    authorize(directory, &caller, path, issue).map(Rehearsal)
}

fn proof(part: &Part) -> Result<Proof, Refusal> {
    Ok(match part {
        Part::Client(client) => {
            Proof::Key { client: client.clone(), key: String::new(), weak: None, how: How::Signature }
        }
        Part::Outside { provider, subject } => {
            Proof::Outside(Box::new(Outside { provider: provider.clone(), subject: subject.clone() }))
        }
        Part::Visitor { endpoint, way, subject, maker } => {
            if !endpoint.callers.iter().any(|rule| rule.way() == *way) {
                let detail = format!("this endpoint does not know its callers by {}", way.name());
                return Err(Refusal::new(Reason::MissingProof, detail));
            }
            let ticket = maker
                .as_ref()
                .zip(subject.as_ref())
                .map(|(client, subject)| (pass(endpoint, client, subject), client.clone()));
            if *way == Way::Ticket && ticket.is_none() {
                return Err(Refusal::internal("a ticket has a maker and is for someone"));
            }
            let (endpoint, subject) = (endpoint.clone(), subject.clone());
            Proof::Visitor(Box::new(Visitor { endpoint, way: *way, subject, ticket }))
        }
    })
}

/// A ticket as its maker would make it. Its time and key are judged before anything is authorized, and not here.
fn pass(endpoint: &Endpoint, client: &Client, subject: &Subject) -> Pass {
    Pass {
        id: String::new(),
        client: client.guid,
        key: String::new(),
        endpoint: endpoint.path.clone(),
        origin: String::new(),
        subject: subject.clone(),
        number: 0,
        expires: Timestamp::MAX,
        begun: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::RoleChoice;
    use crate::endpoint::CallerRule;
    use crate::freeze::{Freeze, Place};
    use crate::policy::Language;
    use crate::testing::{START, World, allow};
    use crate::triple::TripleKind;

    fn soe() -> Issue {
        Issue::new(RoleChoice::Named("soe".into()), Form::Triple(TripleKind::Tencent))
    }

    fn play(world: &World, part: &Part, issue: &Issue) -> Result<Rehearsal, Reason> {
        let tenant = world.plan.tenants[0].clone();
        rehearse(&world.directory(), &tenant, part, "/getAuthorization", issue)
            .map_err(|refusal| refusal.reason)
    }

    fn client(world: &World) -> Part {
        Part::Client(Arc::new(world.client.clone()))
    }

    #[test]
    fn a_rehearsal_is_what_authorize_says() {
        let world = World::new();
        let asks = [
            soe(),
            Issue { lifetime: Some(60), ..soe() },
            Issue { lifetime: Some(7201), ..soe() },
            Issue::new(RoleChoice::Named("none".into()), Form::Triple(TripleKind::Tencent)),
            Issue::new(RoleChoice::Named("store-upload".into()), Form::Triple(TripleKind::Alibaba)),
            Issue { policy: Some(allow(Language::Cam, "cos:*", "*")), ..soe() },
        ];
        for issue in asks {
            let given = authorize(&world.directory(), &world.caller("AKIDworld"), "/", &issue);
            match (given, play(&world, &client(&world), &issue)) {
                (Ok(given), Ok(played)) => {
                    assert_eq!(
                        (given.role(), given.policy(), given.lifetime(), given.variables()),
                        (played.role(), played.policy(), played.lifetime(), played.variables())
                    );
                }
                (given, played) => assert_eq!(given.err().map(|refusal| refusal.reason), played.err()),
            }
        }
    }

    #[test]
    fn a_disabled_client_would_get_nothing() {
        let mut world = World::new();
        world.client.enabled = false;
        assert_eq!(play(&world, &client(&world), &soe()).err(), Some(Reason::ClientDisabled));
    }

    #[test]
    fn where_nothing_is_issued_nothing_would_be() {
        let world = World::new();
        let (part, tenant) = (client(&world), world.plan.tenants[0].clone());
        for (place, reason) in [
            (Place::All, Some(Reason::Frozen)),
            (Place::Tenant("acme".into()), Some(Reason::Frozen)),
            (Place::Endpoint("/".into()), Some(Reason::Frozen)),
            (Place::Tenant("other".into()), None),
            (Place::Endpoint("/getAuthorization".into()), None),
        ] {
            let directory = world.directory().frozen(vec![Freeze { place, since: START }]);
            let played = rehearse(&directory, &tenant, &part, "/", &soe());
            assert_eq!(played.err().map(|refusal| refusal.reason), reason);
        }
    }

    #[test]
    fn a_boundary_that_cuts_is_named() {
        let mut world = World::new();
        assert_eq!(play(&world, &client(&world), &soe()).unwrap().cut(), &[]);
        world.client.boundary = Some(allow(Language::Cam, "soe:*", "*"));
        assert_eq!(play(&world, &client(&world), &soe()).unwrap().cut(), &[], "it is wide enough");
        world.client.boundary = Some(allow(Language::Cam, "*", "qcs::soe:*:*:app/1"));
        let cut = play(&world, &client(&world), &soe()).unwrap();
        assert_eq!(cut.cut(), &[Cut::Client]);
        let mut tenant = Tenant::clone(&world.plan.tenants[0]);
        tenant.boundary = Some(allow(Language::Cam, "cos:*", "*"));
        world.plan.tenants[0] = Arc::new(tenant);
        assert_eq!(play(&world, &client(&world), &soe()).err(), Some(Reason::RoleNotGranted));
    }

    #[test]
    fn a_visitor_is_known_in_the_ways_of_the_endpoint_alone() {
        let world = World::new();
        let directory = world.directory();
        let endpoint = directory.visited("/getAuthorization").unwrap().clone();
        let visit = Issue::new(RoleChoice::Endpoint, Form::Triple(TripleKind::Tencent));
        let part = |way, subject, maker| Part::Visitor { endpoint: endpoint.clone(), way, subject, maker };
        let known: Vec<_> = endpoint.callers.iter().map(CallerRule::way).collect();
        assert_eq!(known, [Way::Anonymous]);
        assert_eq!(play(&world, &part(Way::Anonymous, None, None), &visit).unwrap().role(), "soe");
        for way in [Way::Session, Way::Jwt, Way::Ticket] {
            assert_eq!(play(&world, &part(way, None, None), &visit).err(), Some(Reason::MissingProof));
        }
    }
}
