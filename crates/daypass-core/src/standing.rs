//! Whether a credential that was handed out still counts.

mod earlier;
mod token;

pub use earlier::{Earlier, recalled};
pub use token::standing_of_token;

use crate::caller::{Outside, WEB_IDENTITY};
use crate::client::{Client, Tenant};
use crate::clock::Timestamp;
use crate::cutoff::{Cutoffs, Scope};
use crate::directory::Directory;
use crate::endpoint::Endpoint;
use crate::identity::Subject;
use crate::triple::Claims;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What a temporary credential was made on: from its own claims, or from the record of its grant.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// Its id.
    pub id: &'a str,
    /// The tenant, by name.
    pub tenant: &'a str,
    /// The client it was issued to; none where an endpoint or an outside provider knew its subject.
    pub client: Option<Uuid>,
    /// The key that the client asked with.
    pub key: Option<&'a str>,
    /// The path of the endpoint; none where that is not known, and any endpoint of the tenant and role will do.
    pub endpoint: Option<&'a str>,
    /// The role.
    pub role: &'a str,
    /// By what the subject was known, where it was by no key.
    pub via: Option<&'a str>,
    /// Whom someone trusted said it is for.
    pub subject: Option<&'a str>,
    /// The session's name.
    pub session: Option<&'a str>,
    /// The client that it speaks for, where that is another than the one it was issued to: it was exchanged for an
    /// access token of that one.
    pub behalf: Option<Uuid>,
    /// Other clients that have acted in the tokens that it came from by exchanges.
    pub actors: &'a [Uuid],
    /// The access tokens that it came from by exchanges: it falls with each of them.
    pub origins: &'a [Uuid],
    /// What the keys are recognised by that those were asked for with ([`key_print`]): it falls with each of them too.
    pub origin_keys: &'a [String],
    /// When it was made.
    pub issued: Timestamp,
    /// When it runs out.
    pub expires: Timestamp,
}

/// Why a credential does not count any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fallen {
    /// Its time is over.
    #[error("it has run out")]
    Expired,
    /// The tenant is not in the configuration any more.
    #[error("its tenant is gone")]
    Tenant,
    /// The role is not in the configuration any more.
    #[error("its role is gone")]
    Role,
    /// The client was disabled, or is gone.
    #[error("its client is disabled or gone")]
    Client,
    /// The key that it was asked for with was retired, has run out, or is gone.
    #[error("the key that it was asked for with is not live")]
    Key,
    /// The client has no grant on the role any more.
    #[error("its client has no grant on the role")]
    Grant,
    /// No endpoint gives the role any more to those who were known in this way.
    #[error("no endpoint gives its role to such a caller")]
    Endpoint,
    /// The role does not trust the outside subject any more.
    #[error("its role does not trust the subject")]
    Trust,
    /// It was taken back, by a cut-off of this scope.
    #[error("it was taken back by a cut-off of {0}")]
    Cut(Scope),
}

impl Grounds<'_> {
    /// Whether one of these cut-offs takes it back, and of which scope. Those of keys behind exchanges are not among what is
    /// looked at: they are known by their prints alone.
    pub fn taken_back(&self, cutoffs: &Cutoffs) -> Option<Scope> {
        taken_back(cutoffs, self)
    }
}

/// What a key is recognised by in an access token that was asked for with it. The resource servers that read the token
/// learn nothing from it but whether two tokens were asked for with one key.
pub fn key_print(key: &str) -> String {
    let hash = digest::digest(&digest::SHA256, [KEY_PRINT, key.as_bytes()].concat().as_slice());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}

/// Keeps the prints apart from any other hash of an id.
const KEY_PRINT: &[u8] = b"daypass rh v1";

/// Whether a credential still counts: it never outlives its time, nor the authority of its tenant, client, key, role
/// or endpoint, nor a cut-off of any of them.
pub fn standing(directory: &Directory, grounds: &Grounds<'_>, now: Timestamp) -> Result<(), Fallen> {
    if grounds.expires <= now {
        return Err(Fallen::Expired);
    }
    let tenant = directory.tenant(grounds.tenant).ok_or(Fallen::Tenant)?;
    if let Some(guid) = grounds.client {
        of_client(directory, grounds, tenant, guid, now)?;
    }
    // An exchange gives what all of them have.
    for guid in grounds.behalf.iter().chain(grounds.actors) {
        has_grant(&*enabled(directory, tenant, *guid)?, grounds.role)?;
    }
    of_origin_keys(directory, grounds.origin_keys, grounds.issued, now)?;
    // A ticket's has both: the client that made it, and the endpoint that took it.
    if grounds.client.is_none() || grounds.via.is_some() {
        of_subject(directory, grounds)?;
    }
    if directory.role(grounds.tenant, grounds.role).is_none() {
        return Err(Fallen::Role);
    }
    taken_back(directory.cutoffs(), grounds).map_or(Ok(()), |scope| Err(Fallen::Cut(scope)))
}

/// The scope of a cut-off that takes a credential back, if one does.
pub(crate) fn taken_back(cutoffs: &Cutoffs, grounds: &Grounds<'_>) -> Option<Scope> {
    // The common case: nothing was ever taken back, and no scope need be written out.
    if cutoffs.is_empty() {
        return None;
    }
    scopes(grounds).find(|scope| cutoffs.cut(grounds.issued, scope))
}

fn of_client(
    directory: &Directory,
    grounds: &Grounds<'_>,
    tenant: &Tenant,
    guid: Uuid,
    now: Timestamp,
) -> Result<(), Fallen> {
    let client = enabled(directory, tenant, guid)?;
    if !grounds.key.is_some_and(|key| directory.has_live_key(key, guid, now)) {
        return Err(Fallen::Key);
    }
    has_grant(&client, grounds.role)
}

/// The keys that the tokens before it were asked for with.
///
/// Attack: whoever has a client's secret for a moment exchanges a token. When the secret is taken back, the token falls, and
/// what it was exchanged for, on another client's key, must not live on.
fn of_origin_keys(
    directory: &Directory,
    prints: &[String],
    issued: Timestamp,
    now: Timestamp,
) -> Result<(), Fallen> {
    for print in prints {
        let key = directory.key_with_print(print).filter(|key| key.live(now)).ok_or(Fallen::Key)?;
        let scope = Scope::Key(key.id.clone());
        if directory.cutoffs().cut(issued, &scope) {
            return Err(Fallen::Cut(scope));
        }
    }
    Ok(())
}

fn enabled(directory: &Directory, tenant: &Tenant, guid: Uuid) -> Result<Arc<Client>, Fallen> {
    directory.client(tenant, guid).filter(|client| client.enabled).ok_or(Fallen::Client)
}

fn has_grant(client: &Client, role: &str) -> Result<(), Fallen> {
    let granted = client.grants.iter().any(|grant| grant.role == role);
    if granted { Ok(()) } else { Err(Fallen::Grant) }
}

/// What a credential was made on that was asked for with no client's key: the endpoint and the way its visitor was
/// known, or the role's trust in an outside subject.
fn of_subject(directory: &Directory, grounds: &Grounds<'_>) -> Result<(), Fallen> {
    let via = grounds.via.unwrap_or_default();
    if let Some(name) = via.strip_prefix(WEB_IDENTITY) {
        let trusted = directory
            .provider(grounds.tenant, name)
            .zip(grounds.subject)
            .zip(directory.role(grounds.tenant, grounds.role));
        let trusted = trusted.is_some_and(|((provider, subject), role)| {
            let subject = Subject { name: subject.to_owned(), variables: BTreeMap::new() };
            let outside = Outside { provider: provider.clone(), subject };
            role.trusts.iter().any(|trust| trust.admits(&outside))
        });
        return if trusted { Ok(()) } else { Err(Fallen::Trust) };
    }
    let gives = |endpoint: &Arc<Endpoint>| {
        endpoint.dialect.knows_visitors()
            && grounds.endpoint.is_none_or(|path| endpoint.path == path)
            && endpoint.tenant == grounds.tenant
            && endpoint.role.as_deref() == Some(grounds.role)
            && endpoint.callers.iter().any(|rule| rule.way().name() == via)
    };
    if directory.plan().endpoints.iter().any(gives) { Ok(()) } else { Err(Fallen::Endpoint) }
}

/// Every scope in which a credential may have been taken back.
fn scopes(grounds: &Grounds<'_>) -> impl Iterator<Item = Scope> {
    let tenant = || grounds.tenant.to_owned();
    let subject = |subject: &str| Scope::Subject { tenant: tenant(), subject: subject.to_owned() };
    let own = [
        Some(Scope::All),
        Some(Scope::Tenant(tenant())),
        grounds.client.map(Scope::Client),
        grounds.behalf.map(Scope::Client),
        grounds.key.map(|key| Scope::Key(key.to_owned())),
        Some(Scope::Role { tenant: tenant(), role: grounds.role.to_owned() }),
        grounds.session.map(subject),
        grounds.subject.map(subject),
        Some(Scope::Credential(grounds.id.to_owned())),
    ];
    let actors = grounds.actors.iter().map(|guid| Scope::Client(*guid));
    let origins = grounds.origins.iter().map(|id| Scope::Credential(id.to_string()));
    own.into_iter().flatten().chain(actors).chain(origins)
}

impl Claims {
    /// What a credential of this id and these claims was made on.
    pub fn grounds<'a>(&'a self, id: &'a str) -> Grounds<'a> {
        Grounds {
            id,
            tenant: &self.tenant,
            client: self.client,
            key: self.key.as_deref(),
            endpoint: Some(&self.endpoint),
            role: &self.role,
            via: self.via.as_deref(),
            subject: self.subject.as_deref(),
            session: self.session.as_deref(),
            behalf: self.behalf,
            actors: &self.actors,
            origins: &self.origins,
            origin_keys: &self.origin_keys,
            issued: self.issued(),
            expires: self.expires(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Key;
    use crate::cutoff::Cutoff;
    use crate::endpoint::{CallerRule, DialectName, TicketRule, Whence};
    use crate::policy::Pattern;
    use crate::provider::{KeySource, Provider};
    use crate::role::Trust;
    use crate::testing::{START, World, before, later, secret_key};

    const ID: &str = "AKIDcredential";

    /// A credential that the world's client got a minute ago for its key.
    fn of_key(world: &World) -> Grounds<'static> {
        Grounds {
            id: ID,
            tenant: "acme",
            client: Some(world.client.guid),
            key: Some("AKIDworld"),
            endpoint: Some("/"),
            role: "soe",
            via: None,
            subject: None,
            session: Some("lesson"),
            behalf: None,
            actors: &[],
            origins: &[],
            origin_keys: &[],
            issued: before(START, 60),
            expires: later(60),
        }
    }

    /// One that a visitor of the page got.
    fn of_page() -> Grounds<'static> {
        let world = World::new();
        let anonymous = Grounds { client: None, key: None, session: None, ..of_key(&world) };
        Grounds { endpoint: Some("/getAuthorization"), via: Some("anonymous"), ..anonymous }
    }

    fn check(world: &World, grounds: &Grounds<'_>) -> Result<(), Fallen> {
        standing(&world.directory(), grounds, START)
    }

    #[test]
    fn it_stands_until_its_last_instant() {
        let world = World::new();
        let grounds = of_key(&world);
        assert_eq!(check(&world, &grounds), Ok(()));
        let at = |now| standing(&world.directory(), &grounds, now);
        assert_eq!(at(before(grounds.expires, 1)), Ok(()));
        assert_eq!(at(grounds.expires), Err(Fallen::Expired));
    }

    #[test]
    fn it_falls_with_whatever_it_was_made_on() {
        type Undo = fn(&mut World);
        let cases: [(Undo, Fallen); 8] = [
            (|world| world.client.enabled = false, Fallen::Client),
            (|world| world.client.guid = Uuid::from_u128(1), Fallen::Client),
            (|world| world.client.tenant = "other".into(), Fallen::Client),
            (|world| world.keys[0].enabled = false, Fallen::Key),
            (|world| world.keys[0].expires = Some(START), Fallen::Key),
            (|world| world.client.grants.retain(|grant| grant.role != "soe"), Fallen::Grant),
            (|world| world.plan.roles.retain(|role| role.name != "soe"), Fallen::Role),
            (|world| world.plan.tenants.retain(|tenant| tenant.name != "acme"), Fallen::Tenant),
        ];
        let grounds = of_key(&World::new());
        for (undo, fallen) in cases {
            let mut world = World::new();
            undo(&mut world);
            assert_eq!(check(&world, &grounds), Err(fallen));
        }
    }

    #[test]
    fn a_visitors_falls_with_the_endpoint_and_the_way_it_was_known() {
        let gives = |world: &mut World| {
            let endpoint = world.plan.endpoints.iter_mut().find(|e| e.path == "/getAuthorization").unwrap();
            let endpoint = Arc::make_mut(endpoint);
            endpoint.role = Some("soe".into());
            endpoint.callers =
                vec![CallerRule::Anonymous { reason: "a test".into(), whence: Whence::Anywhere }];
        };
        let mut world = World::new();
        gives(&mut world);
        for endpoint in [Some("/getAuthorization"), None] {
            assert_eq!(check(&world, &Grounds { endpoint, ..of_page() }), Ok(()));
        }
        let dialect = |world: &mut World, name| Arc::make_mut(&mut world.plan.endpoints[0]).dialect = name;
        dialect(&mut world, DialectName::AlibabaCredentials);
        assert_eq!(check(&world, &of_page()), Ok(()), "every dialect that knows visitors");
        dialect(&mut world, DialectName::AlibabaTop);
        assert_eq!(check(&world, &of_page()), Err(Fallen::Endpoint), "TOP knows none");
        dialect(&mut world, DialectName::TencentGetAuthorization);
        for other in [
            Grounds { endpoint: Some("/elsewhere"), ..of_page() },
            Grounds { via: Some("session"), ..of_page() },
            Grounds { via: None, ..of_page() },
            Grounds { role: "devcenter", ..of_page() },
            Grounds { tenant: "other", ..of_page() },
        ] {
            assert_eq!(check(&world, &other), Err(Fallen::Endpoint), "{other:?}");
        }
    }

    #[test]
    fn a_tickets_falls_with_its_maker_and_with_the_endpoint_that_took_it() {
        let mut world = World::new();
        let of_ticket = Grounds { via: Some("ticket"), subject: Some("ann"), ..of_key(&world) };
        let of_ticket = Grounds { endpoint: Some("/getAuthorization"), ..of_ticket };
        assert_eq!(check(&world, &of_ticket), Err(Fallen::Endpoint), "it takes no tickets any more");
        let rule = CallerRule::Ticket(TicketRule { refreshes: 0, refresh_for: 0 });
        let endpoint = world.plan.endpoints.iter_mut().find(|e| e.path == "/getAuthorization").unwrap();
        Arc::make_mut(endpoint).callers = vec![rule];
        assert_eq!(check(&world, &of_ticket), Ok(()));
        world.client.enabled = false;
        assert_eq!(check(&world, &of_ticket), Err(Fallen::Client));
    }

    #[test]
    fn an_outside_subjects_falls_with_the_roles_trust() {
        let mut world = World::new();
        world.plan.providers.push(Arc::new(Provider {
            tenant: "acme".into(),
            name: "corp".into(),
            issuer: "https://login.example.com".into(),
            audiences: vec!["daypass".into()],
            keys: KeySource::Discovery,
            subject: "sub".into(),
            variables: BTreeMap::new(),
            quota: crate::provider::Quota::default(),
        }));
        let role = world.plan.roles.iter_mut().find(|role| role.name == "soe").unwrap();
        Arc::make_mut(role).trusts =
            vec![Trust { provider: "corp".into(), subjects: vec![Pattern::parse("repo:acme/*")] }];
        let of = |subject| Grounds { via: Some("web-identity:corp"), subject: Some(subject), ..of_page() };
        assert_eq!(check(&world, &of("repo:acme/app")), Ok(()));
        for other in [
            of("repo:other/app"),
            Grounds { subject: None, ..of("repo:acme/app") },
            Grounds { via: Some("web-identity:elsewhere"), ..of("repo:acme/app") },
        ] {
            assert_eq!(check(&world, &other), Err(Fallen::Trust), "{other:?}");
        }
    }

    #[test]
    fn a_cut_off_of_any_of_its_scopes_takes_it_back() {
        let (world, subject) = exchanged();
        let origins = [Uuid::from_u128(0xf1), Uuid::from_u128(0xf2)];
        let (behalf, actors, origins) = (Some(subject), &[world.others[1].guid][..], origins.as_slice());
        let grounds = Grounds { subject: Some("alice"), behalf, actors, origins, ..of_key(&world) };
        let every: Vec<_> = scopes(&grounds).collect();
        assert_eq!(every.len(), 12);
        for scope in every {
            let (mut world, _) = exchanged();
            world.cutoffs = vec![Cutoff { scope: scope.clone(), before: before(grounds.issued, 1) }];
            assert_eq!(check(&world, &grounds), Ok(()), "{scope} before it was made");
            world.cutoffs = vec![Cutoff { scope: scope.clone(), before: grounds.issued }];
            assert_eq!(check(&world, &grounds), Err(Fallen::Cut(scope)));
        }
        let (mut world, _) = exchanged();
        world.cutoffs = vec![Cutoff { scope: Scope::Key("AKIDother".into()), before: START }];
        assert_eq!(check(&world, &grounds), Ok(()));
    }

    /// A world with a second client, for which credentials are exchanged, and a third that has acted for it before.
    fn exchanged() -> (World, Uuid) {
        let mut world = World::new();
        let subject = Uuid::from_u128(0xb1);
        world.others.push(Client { guid: subject, name: "subject".into(), ..world.client.clone() });
        let between = Uuid::from_u128(0xb2);
        world.others.push(Client { guid: between, name: "between".into(), ..world.client.clone() });
        (world, subject)
    }

    #[test]
    fn an_exchanged_one_falls_with_each_key_that_a_token_before_it_was_asked_for_with() {
        let (mut world, subject) = exchanged();
        let secret = Uuid::from_u128(0x5ec2);
        world.keys.push(secret_key(secret, subject));
        let prints = [Uuid::from_u128(0x5ec), secret].map(|key| key_print(&key.to_string()));
        let grounds = Grounds { behalf: Some(subject), origin_keys: &prints, ..of_key(&world) };
        assert_eq!(check(&world, &grounds), Ok(()));
        let last = world.keys.len() - 1;
        for undo in [|key: &mut Key| key.enabled = false, |key: &mut Key| key.expires = Some(START)] {
            let key = world.keys[last].clone();
            undo(&mut world.keys[last]);
            assert_eq!(check(&world, &grounds), Err(Fallen::Key));
            world.keys[last] = key;
        }
        let scope = Scope::Key(secret.to_string());
        world.cutoffs = vec![Cutoff { scope: scope.clone(), before: before(grounds.issued, 1) }];
        assert_eq!(check(&world, &grounds), Ok(()));
        world.cutoffs = vec![Cutoff { scope: scope.clone(), before: grounds.issued }];
        assert_eq!(check(&world, &grounds), Err(Fallen::Cut(scope)));
        world.cutoffs.clear();
        world.keys.pop();
        assert_eq!(check(&world, &grounds), Err(Fallen::Key), "it is gone");
    }

    #[test]
    fn an_exchanged_one_falls_with_each_client_behind_it() {
        let (world, subject) = exchanged();
        let actors = [world.others[1].guid];
        let whole = Grounds { behalf: Some(subject), actors: &actors, ..of_key(&world) };
        assert_eq!(check(&world, &whole), Ok(()));
        for (which, grounds) in [
            (0, Grounds { behalf: Some(subject), ..of_key(&world) }),
            (1, Grounds { actors: &actors, ..of_key(&world) }),
        ] {
            assert_eq!(check(&World::new(), &grounds), Err(Fallen::Client), "it is gone");
            let (mut world, _) = exchanged();
            world.others[which].enabled = false;
            assert_eq!(check(&world, &grounds), Err(Fallen::Client));
            let (mut world, _) = exchanged();
            world.others[which].grants.retain(|grant| grant.role != "soe");
            assert_eq!(check(&world, &grounds), Err(Fallen::Grant));
        }
    }
}
