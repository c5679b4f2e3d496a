//! What a request takes of rates and daily quotas, and who is told that nothing is left.
//!
//! A rate is taken before anything is decided, because decisions and their records are what it spares; a day is counted
//! when something is about to be made. The nearest share comes first: whoever has used up its own takes nothing of what it
//! shares with others.

use super::{Pipeline, Trail};
use crate::caller::{Caller, Proof};
use crate::client::Tenant;
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint};
use crate::freeze::oauth_path;
use crate::provider::Provider;
use crate::quota::{Bounds, Limit, Rate};
use crate::ration::{Full, Kind, Name, Place, Share};
use crate::refusal::{Reason, Refusal};
use crate::request::Head;

/// What was taken for one request, and for which of it nothing more is written down.
#[derive(Default)]
pub(super) struct Taken {
    rates: Vec<(Share, Rate)>,
    days: Vec<Share>,
    /// Nothing is left of a ration, and somebody was told so a moment ago.
    pub(super) told: bool,
}

/// The shares of a caller that something bounds, the nearest first.
type Shares = Vec<(Share, Limit)>;

impl Pipeline {
    /// Takes from the rates of a caller who proves itself with something of its own. Those who come to an endpoint without,
    /// and those whom a provider vouches for, have theirs taken at other times ([`Pipeline::admit_known`]).
    pub(super) fn admit(
        &self,
        directory: &Directory,
        caller: &Caller,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        match caller.proof() {
            Proof::Key { .. } | Proof::Temporary { .. } => {
                let network = network_of(directory, caller, &trail.head);
                self.take_all(network.into_iter().chain(others_of(directory, caller, trail)), trail)
            }
            Proof::Visitor(_) | Proof::Outside(_) => Ok(()),
        }
    }

    /// Takes from the rate of the network of a visitor, or of one whom a provider vouches for.
    pub(super) fn admit_network(
        &self,
        (place, limit): (Place, Limit),
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        if limit.rate.is_none() {
            return Ok(());
        }
        let share = Share::network(place, trail.head.source);
        self.take_all([(share, limit)], trail)
    }

    /// Takes one of the wrong proofs that the network may show there: as many as it may show right ones, and counted apart
    /// from those, so that whoever guesses takes nothing from those who do not.
    pub(super) fn admit_wrong(
        &self,
        (place, limit): (Place, Limit),
        trail: &mut Trail,
    ) -> Result<Option<(Share, Rate)>, Refusal> {
        let Some(rate) = limit.rate else { return Ok(None) };
        let share = Share::wrong(place, trail.head.source);
        match self.rations.take(&share, rate, trail.now) {
            Ok(()) => Ok(Some((share, rate))),
            Err(full) => Err(too_fast(&share, full)),
        }
    }

    /// The proof was right after all.
    pub(super) fn was_right(&self, taken: Option<(Share, Rate)>) {
        if let Some((share, rate)) = taken {
            self.rations.give_back(&share, rate);
        }
    }

    /// Takes from all further rates of such a one, once something is to be made for it.
    pub(super) fn admit_known(
        &self,
        directory: &Directory,
        caller: &Caller,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        let shares = others_of(directory, caller, trail);
        self.take_all(shares, trail)
    }

    /// Takes from each rate, or from none of these.
    fn take_all(
        &self,
        shares: impl IntoIterator<Item = (Share, Limit)>,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        let before = trail.taken.rates.len();
        for (share, limit) in shares {
            let Some(rate) = limit.rate else { continue };
            match self.rations.take(&share, rate, trail.now) {
                Ok(()) => trail.taken.rates.push((share, rate)),
                Err(full) => {
                    for (share, rate) in trail.taken.rates.drain(before..) {
                        self.rations.give_back(&share, rate);
                    }
                    trail.taken.told = !full.news;
                    return Err(too_fast(&share, full));
                }
            }
        }
        Ok(())
    }

    /// Counts a credential that is about to be made, on each day that it counts on, or on none of them.
    pub(super) fn count_day(
        &self,
        directory: &Directory,
        caller: &Caller,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        let network = network_of(directory, caller, &trail.head);
        for (share, limit) in network.into_iter().chain(others_of(directory, caller, trail)) {
            let Some(daily) = limit.daily else { continue };
            match self.rations.count(&share, daily, trail.now) {
                Ok(()) => trail.taken.days.push(share),
                Err(full) => {
                    self.uncount_day(trail);
                    trail.taken.told = !full.news;
                    return Err(too_many(&share, full));
                }
            }
        }
        Ok(())
    }

    /// Nothing was made after all.
    pub(super) fn uncount_day(&self, trail: &mut Trail) {
        for share in trail.taken.days.drain(..) {
            self.rations.uncount(&share, trail.now);
        }
    }

    /// Nothing was made that counts, because it was there.
    pub(super) fn give_back(&self, trail: &mut Trail) {
        for (share, rate) in trail.taken.rates.drain(..) {
            self.rations.give_back(&share, rate);
        }
    }
}

/// What the network of a caller may have.
fn network_of(directory: &Directory, caller: &Caller, head: &Head) -> Option<(Share, Limit)> {
    let (place, limit) = match caller.proof() {
        Proof::Visitor(visitor) => at_endpoint(directory, caller.tenant(), &visitor.endpoint),
        Proof::Outside(outside) => by_provider(directory, caller.tenant(), &outside.provider),
        Proof::Key { .. } | Proof::Temporary { .. } => {
            let limit = caller.tenant().limits.network.or(directory.plan().limits.network);
            (Place { tenant: caller.tenant().guid, name: Name::Clients }, limit)
        }
    };
    (!limit.is_none()).then(|| (Share::network(place, head.source), limit))
}

/// What a network may have at an endpoint whose callers carry no signature.
pub(super) fn at_endpoint(directory: &Directory, tenant: &Tenant, endpoint: &Endpoint) -> (Place, Limit) {
    let far = tenant.limits.network.or(directory.plan().limits.network);
    (path_of(tenant, &endpoint.path), endpoint.bounds().network.or(far))
}

/// What a network may have of those whom a provider vouches for.
pub(super) fn by_provider(directory: &Directory, tenant: &Tenant, provider: &Provider) -> (Place, Limit) {
    let far = tenant.limits.network.or(directory.plan().limits.network);
    let place = Place { tenant: tenant.guid, name: Name::Provider(provider.name.clone()) };
    (place, provider.bounds().network.or(far))
}

fn path_of(tenant: &Tenant, path: &str) -> Place {
    Place { tenant: tenant.guid, name: Name::Path(path.to_owned()) }
}

/// All shares of a caller but that of its network.
fn others_of(directory: &Directory, caller: &Caller, trail: &Trail) -> Shares {
    let (tenant, service) = (caller.tenant(), &directory.plan().limits);
    let far = |of: fn(&Bounds) -> Limit| of(&tenant.limits).or(of(service));
    let mut shares = Shares::new();
    let mut add = |limit: Limit, share: &dyn Fn() -> Share| {
        if !limit.is_none() {
            shares.push((share(), limit));
        }
    };
    let (near, provider) = match caller.proof() {
        Proof::Visitor(visitor) => (visitor.endpoint.bounds(), None),
        Proof::Outside(outside) => (outside.provider.bounds(), Some(&outside.provider)),
        Proof::Key { .. } | Proof::Temporary { .. } => (configured(directory, caller, trail), None),
    };
    let place = || match provider {
        Some(provider) => Place { tenant: tenant.guid, name: Name::Provider(provider.name.clone()) },
        None if trail.dialect == DialectName::Entra => path_of(tenant, &oauth_path(tenant)),
        // Two protocols are served at `/`.
        None if trail.head.path == "/" => path_of(tenant, trail.dialect.name()),
        None => path_of(tenant, &trail.head.path),
    };
    if let Some(subject) = caller.subject() {
        let limit = near.subject.or(far(|bounds| bounds.subject));
        add(limit, &|| Share::Subject(place(), Some(subject.name.clone())));
    }
    if let Some(client) = caller.client() {
        add(client.limit.or(far(|bounds| bounds.client)), &|| Share::Client(client.guid));
    }
    add(near.endpoint.or(far(|bounds| bounds.endpoint)), &|| Share::Place(place()));
    add(far(|bounds| bounds.tenant), &|| Share::Tenant(tenant.guid));
    shares
}

/// What is configured of the endpoint that a signed request came to, where it is one that is configured.
fn configured(directory: &Directory, caller: &Caller, trail: &Trail) -> Bounds {
    let mut there = directory.endpoints(trail.dialect, &trail.head.path);
    there
        .find(|endpoint| endpoint.tenant == caller.tenant().name)
        .map_or_else(Bounds::default, |e| e.bounds())
}

/// Whom a refusal names. Of a tenant, an endpoint and a network others use up what is shared, and their sum is told.
fn whose(kind: Kind) -> &'static str {
    match kind {
        Kind::Tenant => "of this tenant",
        Kind::Client => "of this client",
        Kind::Subject => "of this subject",
        Kind::Network => "of this network",
        Kind::Endpoint => "of this endpoint",
        Kind::Provider => "of this identity provider",
        Kind::Questions => "of this client's questions",
        Kind::Wrong => "of wrong proofs from this network",
    }
}

fn too_fast(share: &Share, full: Full) -> Refusal {
    let detail = format!(
        "too many requests: the rate {} is used up; ask again in {} seconds",
        whose(share.kind()),
        full.seconds
    );
    Refusal::new(Reason::RateLimited, detail).retry_after(full.seconds)
}

fn too_many(share: &Share, full: Full) -> Refusal {
    let detail = format!(
        "the daily quota {} is used up; it begins anew at midnight UTC, in {} seconds",
        whose(share.kind()),
        full.seconds
    );
    Refusal::new(Reason::RateLimited, detail).retry_after(full.seconds)
}
