//! Credentials that their subjects may have again while enough of their life is left.
//!
//! A page that is loaded again, or that asks for each of its uploads, gets the credential that its user has. That
//! costs no record and no ration, and gives nothing that was not given before.

use crate::caller::WEB_IDENTITY;
use crate::clock::{Timestamp, after, before};
use crate::credential::{Brokered, Granted};
use crate::cutoff::Cutoffs;
use crate::dialect::Form;
use crate::policy::{Authorized, Policy};
use crate::record::Recorded;
use crate::standing::{Grounds, taken_back};
use crate::triple::SessionKind;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// The most credentials that are kept: some 40 MB at two kilobytes each.
///
/// Attack: an outside provider, or a backend that signs tickets, can name as many subjects as it likes.
const MOST: usize = 20_000;

/// A credential is given again while this part of its life is left, ...
const PART: u32 = 5;

/// ... and at least this many seconds: an upload that begins with it must also end with it.
const LEFT: u32 = 120;

/// How far two requests' clocks may differ, in seconds, before a credential counts as one from the future. The clock
/// was set back then, and the credential would live longer than anyone allowed.
const AHEAD: u32 = 1;

/// How many of those that nobody can have any more are dropped for each one that is kept. Two for one: the shelf can
/// never fill up with them, and nothing is ever scanned.
const SWEEP: usize = 2;

/// The credentials of one process.
#[derive(Default)]
pub struct Shelf(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<Whose>, Entry>,
    /// Until when each can be given, the first to end first; the number tells apart those that end together.
    ends: BTreeMap<(Timestamp, u64), Arc<Whose>>,
    count: u64,
}

/// Whose credential it is: a subject is unique only for whoever knows it, and for one endpoint.
#[derive(PartialEq, Eq, Hash)]
struct Whose {
    tenant: String,
    endpoint: String,
    via: String,
    subject: String,
}

struct Entry {
    granted: Arc<Recorded<Granted>>,
    what: What,
    end: (Timestamp, u64),
}

/// Everything that the subject would get now must be what it got then.
struct What {
    tenant: Uuid,
    account: String,
    answer: BTreeMap<String, String>,
    client: Option<Uuid>,
    key: Option<String>,
    role: String,
    issuer: String,
    audience: Option<String>,
    app_roles: Vec<String>,
    form: Form,
    kind: SessionKind,
    lifetime: u32,
    policy: Option<Arc<Policy>>,
    variables: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    session: Option<String>,
    source_identity: Option<String>,
}

impl Shelf {
    /// The credential that this subject already has at this endpoint, if it is still what the subject would get now,
    /// was not taken back, and has enough of its life left.
    pub fn find(
        &self,
        authorized: &Authorized,
        cutoffs: &Cutoffs,
        now: Timestamp,
    ) -> Option<Arc<Recorded<Granted>>> {
        let whose = Whose::of(authorized)?;
        let granted = {
            let kept = self.0.lock();
            let entry = kept.entries.get(&whose)?;
            let fits = now <= entry.end.0 && entry.what.is(authorized);
            fits.then(|| entry.granted.clone())?
        };
        let (from_the_future, cut) = {
            let granted = granted.get();
            let id = granted.credential.id();
            let taken_back = taken_back(cutoffs, &grounds(authorized, granted, &id));
            (granted.issued > after(now, AHEAD), taken_back.is_some())
        };
        (!from_the_future && !cut).then_some(granted)
    }

    /// Keeps a credential for its subject. Without a subject nothing is kept.
    pub fn keep(&self, authorized: &Authorized, granted: &Arc<Recorded<Granted>>, now: Timestamp) {
        let Some(whose) = Whose::of(authorized) else { return };
        let spare = (authorized.lifetime() / PART).max(LEFT);
        // What a cloud made is never handed out with less than its role promises.
        let promised = |_: &Brokered| authorized.brokering().min_remaining(authorized.lifetime());
        let spare = spare.max(granted.get().brokered.as_ref().map_or(0, promised));
        let until = before(granted.get().expires, spare);
        self.0.lock().put(Arc::new(whose), What::of(authorized), granted.clone(), until, now);
    }
}

impl Kept {
    fn put(
        &mut self,
        whose: Arc<Whose>,
        what: What,
        granted: Arc<Recorded<Granted>>,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.remove(&whose);
        for _ in 0..SWEEP {
            if self.ends.first_key_value().is_some_and(|((end, _), _)| *end < now) {
                self.drop_first();
            }
        }
        if until < now {
            return;
        }
        if self.entries.len() >= MOST {
            self.drop_first();
        }
        self.count += 1;
        let end = (until, self.count);
        self.ends.insert(end, whose.clone());
        self.entries.insert(whose, Entry { granted, what, end });
    }

    fn remove(&mut self, whose: &Whose) {
        if let Some(old) = self.entries.remove(whose) {
            self.ends.remove(&old.end);
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, whose)) = self.ends.pop_first() {
            self.entries.remove(&whose);
        }
    }
}

impl Whose {
    /// None for nobody, and for those who ask for a credential by a protocol of their own, which promises a new one.
    fn of(authorized: &Authorized) -> Option<Self> {
        let via = authorized.via().filter(|via| !via.starts_with(WEB_IDENTITY))?;
        Some(Self {
            tenant: authorized.tenant().name.clone(),
            endpoint: authorized.endpoint().to_owned(),
            via: via.to_owned(),
            subject: authorized.subject()?.to_owned(),
        })
    }
}

impl What {
    fn of(authorized: &Authorized) -> Self {
        Self {
            tenant: authorized.tenant().guid,
            account: authorized.tenant().account.clone(),
            answer: authorized.answer().clone(),
            client: authorized.client(),
            key: authorized.key().map(str::to_owned),
            role: authorized.role().to_owned(),
            issuer: authorized.issuer().to_owned(),
            audience: authorized.audience().map(str::to_owned),
            app_roles: authorized.app_roles().to_vec(),
            form: authorized.form(),
            kind: authorized.kind(),
            lifetime: authorized.lifetime(),
            policy: authorized.shared_policy(),
            variables: authorized.variables().clone(),
            tags: authorized.tags().clone(),
            session: authorized.session().map(str::to_owned),
            source_identity: authorized.source_identity().map(str::to_owned),
        }
    }

    fn is(&self, authorized: &Authorized) -> bool {
        let tenant = authorized.tenant();
        (self.tenant, &self.account, &self.answer) == (tenant.guid, &tenant.account, authorized.answer())
            && self.client == authorized.client()
            && self.key.as_deref() == authorized.key()
            && self.role == authorized.role()
            && self.issuer == authorized.issuer()
            && self.audience.as_deref() == authorized.audience()
            && self.app_roles == authorized.app_roles()
            && self.form == authorized.form()
            && self.kind == authorized.kind()
            && self.lifetime == authorized.lifetime()
            && self.policy.as_deref() == authorized.policy()
            && &self.variables == authorized.variables()
            && &self.tags == authorized.tags()
            && self.session.as_deref() == authorized.session()
            && self.source_identity.as_deref() == authorized.source_identity()
    }
}

fn grounds<'a>(authorized: &'a Authorized, granted: &Granted, id: &'a str) -> Grounds<'a> {
    Grounds {
        id,
        tenant: &authorized.tenant().name,
        client: authorized.client(),
        key: authorized.key(),
        endpoint: Some(authorized.endpoint()),
        role: authorized.role(),
        via: authorized.via(),
        subject: authorized.subject(),
        session: authorized.session(),
        // Only visitors' credentials are kept, and those are never exchanged for anything.
        behalf: None,
        actors: &[],
        origins: &[],
        origin_keys: &[],
        issued: granted.issued,
        expires: granted.expires,
    }
}

#[cfg(test)]
mod tests;
