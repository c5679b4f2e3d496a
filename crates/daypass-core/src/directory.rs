//! Everything a decision needs to know, as one immutable snapshot in memory.
//!
//! Nothing on the path of a request reads storage. The server builds a new directory when the store's version
//! changes and swaps it in; a request uses the one it began with.

use crate::board::Board;
use crate::client::{Client, Key, KeyKind, Material, Refuses, Tenant};
use crate::clock::Timestamp;
use crate::contents::{Contents, Part};
use crate::cutoff::{Cutoff, Cutoffs};
use crate::endpoint::{DialectName, Endpoint};
use crate::forward::ForwardAuth;
use crate::freeze::{Freeze, Freezes};
use crate::jose::assertion::ClientKey;
use crate::people::{Clients, HeldKey, Keys, Unpackable};
use crate::provider::Provider;
use crate::quota::Bounds;
use crate::ring::{Purpose, Ring, Rotation, Rules};
use crate::role::Role;
use crate::root::{RootRow, RootState};
use crate::seal::{self, Place, SealFault};
use crate::secret::Secret;
use crate::upstream::{RootKey, RootSource, Upstream};
use aws_lc_rs::hmac;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What the configuration says. A reload puts another one in its place, whole.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Where clients reach us, without a trailing slash. The only source of our own name in any answer.
    pub public_url: String,
    /// Where clients that prove themselves by a certificate reach us, without a trailing slash: the base of
    /// `mtls_endpoint_aliases` in the metadata (RFC 8705, 5). None where no listener asks for certificates; a declared
    /// proxy may pass some on all the same.
    pub mutual_tls_url: Option<String>,
    /// What a client's certificate proves here.
    pub certificates: Certificates,
    /// The tenants.
    pub tenants: Vec<Arc<Tenant>>,
    /// The roles of all tenants.
    pub roles: Vec<Arc<Role>>,
    /// The configured paths.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Where reverse proxies ask.
    pub forward: Vec<Arc<ForwardAuth>>,
    /// The outside providers that tenants trust.
    pub providers: Vec<Arc<Provider>>,
    /// The clouds behind Daypass.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Legacy proofs that no client may use.
    pub refuses: Refuses,
    /// How Daypass's own keys take turns.
    pub rotation: Rotation,
    /// How much each of a kind may ask for and get, where nothing nearer says otherwise.
    pub limits: Bounds,
    /// How many requests are worked on at one time; none for no bound.
    pub in_flight: Option<u32>,
    /// Whether wrong proofs have no bound ([`crate::guesses`]). Only where nothing is worth guessing at:
    /// `daypass dev`, whose users make mistakes on purpose.
    pub guesses_unbounded: bool,
}

/// What a client's TLS certificate proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificates {
    /// Nothing: none ever reaches us.
    #[default]
    Unseen,
    /// That it is the very one that was registered.
    Registered,
    /// What its names say as well, because an authority vouches for it.
    Vouched,
}

/// The plan together with what the store holds. A later snapshot shares with it what has not changed since.
pub struct Directory {
    plan: Arc<Plan>,
    rules: Arc<Rules>,
    roles: Arc<Roles>,
    contents: Contents,
    freezes: Arc<Freezes>,
    ring: Arc<Ring>,
    stand_ins: Arc<StandIns>,
    board: Arc<Board>,
    number: u64,
}

/// The roles by their tenants and names.
type Roles = HashMap<String, BTreeMap<String, Arc<Role>>>;

fn by_tenant(roles: &[Arc<Role>]) -> Roles {
    let mut all = Roles::new();
    for role in roles {
        all.entry(role.tenant.clone()).or_default().insert(role.name.clone(), role.clone());
    }
    all
}

/// What takes the places of keys that are not there.
struct StandIns {
    secret: Secret,
    public_keys: Vec<ClientKey>,
}

impl StandIns {
    fn new(ring: &Ring) -> Result<Self, SealFault> {
        let secret = Secret::new(seal_material(ring, "", &[0; 32], [0; 12])?);
        Ok(Self { secret, public_keys: ClientKey::stand_ins(ring) })
    }
}

/// Why a snapshot cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryFault {
    /// What takes the places of keys that are not there cannot be made.
    #[error(transparent)]
    Seal(#[from] SealFault),
    /// A client or a key is none that a store can hold.
    #[error(transparent)]
    Unpackable(#[from] Unpackable),
}

/// A key with whom it belongs to.
pub struct Found<'a> {
    /// The key.
    pub key: Arc<Key>,
    /// Its client.
    pub client: Arc<Client>,
    /// Its client's tenant.
    pub tenant: &'a Arc<Tenant>,
}

/// The place of a key's sealed material in the store.
fn place(id: &str) -> Place<'_> {
    Place { table: "key", row: id, column: "material" }
}

impl Directory {
    /// Puts a snapshot together.
    pub fn new(
        plan: Arc<Plan>,
        ring: Arc<Ring>,
        clients: Vec<Client>,
        keys: Vec<Key>,
        cutoffs: Vec<Cutoff>,
    ) -> Result<Self, DirectoryFault> {
        let contents = Contents {
            clients: Part::unstamped(Clients::of(clients)?),
            keys: Part::unstamped(Keys::of(keys)?),
            cutoffs: Part::unstamped(Cutoffs::new(cutoffs)),
            ..Contents::default()
        };
        Ok(Self::of(plan, ring, contents)?)
    }

    /// Puts the first snapshot of a store together. `ring` is opened from what is in it.
    pub fn of(plan: Arc<Plan>, ring: Arc<Ring>, contents: Contents) -> Result<Self, SealFault> {
        Ok(Self {
            rules: Arc::new(Rules::of(&plan)),
            roles: Arc::new(by_tenant(&plan.roles)),
            freezes: Arc::new(Freezes::new(contents.freezes.held().iter().cloned())),
            stand_ins: Arc::new(StandIns::new(&ring)?),
            board: Arc::default(),
            number: 0,
            contents,
            plan,
            ring,
        })
    }

    /// The snapshot that comes after this one, where these are the store's contents now: what is the same in both is taken
    /// over, and so is the memory of what was published. `ring` is this one's as long as its rows are.
    pub fn next(&self, ring: Arc<Ring>, contents: Contents) -> Result<Self, SealFault> {
        let before = &self.contents;
        let same_ring = Arc::ptr_eq(&ring, &self.ring);
        let freezes = || Arc::new(Freezes::new(contents.freezes.held().iter().cloned()));
        Ok(Self {
            plan: self.plan.clone(),
            rules: self.rules.clone(),
            roles: self.roles.clone(),
            freezes: if contents.freezes.is(&before.freezes) { self.freezes.clone() } else { freezes() },
            stand_ins: if same_ring { self.stand_ins.clone() } else { Arc::new(StandIns::new(&ring)?) },
            board: self.board.clone(),
            number: self.number + 1,
            contents,
            ring,
        })
    }

    /// The snapshot that comes after this one when the configuration has changed and the store has not.
    #[must_use]
    pub fn planned(&self, plan: Arc<Plan>) -> Self {
        Self {
            rules: Arc::new(Rules::of(&plan)),
            roles: Arc::new(by_tenant(&plan.roles)),
            number: self.number + 1,
            plan,
            ..self.again()
        }
    }

    /// What the store held here, under the configuration of an earlier snapshot: for a request that began with that one, and
    /// is judged by it to its end.
    #[must_use]
    pub fn under(&self, earlier: &Self) -> Self {
        Self {
            plan: earlier.plan.clone(),
            rules: earlier.rules.clone(),
            roles: earlier.roles.clone(),
            number: earlier.number,
            ..self.again()
        }
    }

    fn again(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            rules: self.rules.clone(),
            roles: self.roles.clone(),
            contents: self.contents.clone(),
            freezes: self.freezes.clone(),
            ring: self.ring.clone(),
            stand_ins: self.stand_ins.clone(),
            board: self.board.clone(),
            number: self.number,
        }
    }

    /// What the store held.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whether clients and keys are the very ones of another snapshot.
    pub fn has_people_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.contents, &other.contents);
        one.clients.is(&other.clients) && one.keys.is(&other.keys)
    }

    /// With the places where nothing is issued.
    #[must_use]
    pub fn frozen(mut self, freezes: Vec<Freeze>) -> Self {
        self.freezes = Arc::new(Freezes::new(freezes.iter().cloned()));
        self.contents.freezes = Part::unstamped(freezes);
        self
    }

    /// With the root keys that the store keeps.
    #[must_use]
    pub fn rooted(mut self, roots: Vec<RootRow>) -> Self {
        self.contents.roots = Part::unstamped(roots);
        self
    }

    /// The root keys that the store keeps, of all issuers.
    pub fn roots(&self) -> &[RootRow] {
        self.contents.roots.held()
    }

    /// A cloud behind Daypass, by its name.
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.plan.upstreams.iter().find(|upstream| upstream.name == name)
    }

    /// The key that an issuer's calls are made with, opened; none where the store has no active one.
    pub fn root_key(&self, upstream: &Upstream) -> Result<Option<Arc<RootKey>>, SealFault> {
        match &upstream.root {
            RootSource::Configured(key) => Ok(Some(key.clone())),
            RootSource::Unread => Ok(None),
            RootSource::Stored => {
                let active = |row: &&RootRow| row.issuer == upstream.name && row.state == RootState::Active;
                self.roots().iter().find(active).map(|row| row.open(&self.ring).map(Arc::new)).transpose()
            }
        }
    }

    /// Where nothing is issued.
    pub fn freezes(&self) -> &Freezes {
        &self.freezes
    }

    /// What the configuration says.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When Daypass's own keys take their turns.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Daypass's own keys.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// What has been taken back.
    pub fn cutoffs(&self) -> &Cutoffs {
        self.contents.cutoffs.held()
    }

    /// In the place of an earlier snapshot that this one was not made from: the memory of what was published is taken over.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        Self { board: earlier.board.clone(), number: earlier.number + 1, ..self }
    }

    /// What is published, with the number of this snapshot: a later one has a greater number.
    pub fn board(&self) -> (&Board, u64) {
        (&self.board, self.number)
    }

    /// A tenant by its name.
    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.plan.tenants.iter().find(|tenant| tenant.name == name)
    }

    /// A tenant by its guid.
    pub fn tenant_by_guid(&self, guid: Uuid) -> Option<&Arc<Tenant>> {
        self.plan.tenants.iter().find(|tenant| tenant.guid == guid)
    }

    /// A client of a tenant. One of another tenant is not found.
    pub fn client(&self, tenant: &Tenant, guid: Uuid) -> Option<Arc<Client>> {
        self.people().get(guid).filter(|client| client.tenant == tenant.name)
    }

    /// A client of a tenant, by its object id.
    pub fn client_of_object(&self, tenant: &Tenant, object: Uuid) -> Option<Arc<Client>> {
        self.people().of_object(object).filter(|client| client.tenant == tenant.name)
    }

    /// Every client, in no order.
    pub fn clients(&self) -> impl Iterator<Item = Client> {
        self.people().iter()
    }

    /// Every enabled key that ends at some time and whose client is known, with that client, in no order.
    pub fn ending_keys(&self) -> impl Iterator<Item = (Arc<Client>, Key)> {
        self.keys().ending().filter_map(|key| Some((self.people().get(key.client)?, key)))
    }

    /// Every key whose client is known, with that client, in no order.
    pub fn clients_keys(&self) -> impl Iterator<Item = (Arc<Client>, Key)> {
        self.keys().iter().filter_map(|key| Some((self.people().get(key.client)?, key)))
    }

    fn people(&self) -> &Clients {
        self.contents.clients.held()
    }

    fn keys(&self) -> &Keys {
        self.contents.keys.held()
    }

    /// The tenant of the key of this id, of whatever kind and live or not: it proves nothing.
    pub fn holder_of(&self, id: &str) -> Option<&Arc<Tenant>> {
        self.tenant_of(self.keys().get(id)?.client)
    }

    /// A role of a tenant.
    pub fn role(&self, tenant: &str, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(tenant)?.get(name)
    }

    /// The roles of a tenant that belong to the OAuth resource of this name, be it the audience or another identifier.
    pub fn roles_of(&self, tenant: &str, resource: &str) -> impl Iterator<Item = &Arc<Role>> {
        self.roles
            .get(tenant)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(move |role| role.called(resource).is_some())
    }

    /// An outside provider of a tenant.
    pub fn provider(&self, tenant: &str, name: &str) -> Option<&Arc<Provider>> {
        self.plan.providers.iter().find(|provider| provider.tenant == tenant && provider.name == name)
    }

    /// The endpoints of a dialect at this path; several only where tenants share one.
    pub fn endpoints(&self, dialect: DialectName, path: &str) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.plan.endpoints.iter().filter(move |e| e.dialect == dialect && e.path == path)
    }

    /// The endpoint at this path whose callers carry no signature. There is never more than one at a path.
    pub fn visited(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.plan.endpoints.iter().find(|e| e.dialect.knows_visitors() && e.path == path)
    }

    /// What reverse proxies ask about at this path.
    pub fn forward(&self, path: &str) -> Option<&Arc<ForwardAuth>> {
        self.plan.forward.iter().find(|forward| forward.answers(path))
    }

    /// A live key of this kind with its client and tenant.
    pub fn key(&self, id: &str, kind: KeyKind, at: Timestamp) -> Option<Found<'_>> {
        let key = self.keys().get(id).filter(|key| key.kind == kind && key.live(at))?;
        let client = self.people().get(key.client)?;
        let tenant = self.tenant(&client.tenant)?;
        Some(Found { key, client, tenant })
    }

    /// Whether a key of this id is one of a tenant's clients' for OAuth, live or not.
    pub fn is_key_of(&self, id: &str, tenant: &Tenant) -> bool {
        let key = self.keys().get(id).filter(|key| key.kind.is_oauth());
        key.is_some_and(|key| self.client(tenant, key.client).is_some())
    }

    /// Whether a key of this id, of any kind, is live and belongs to this client.
    pub fn has_live_key(&self, id: &str, client: Uuid, at: Timestamp) -> bool {
        self.keys().get(id).is_some_and(|key| key.client == client && key.live(at))
    }

    /// When a key of this id runs out, if it does.
    pub fn key_end(&self, id: &str) -> Option<Timestamp> {
        self.keys().get(id)?.expires
    }

    /// The tenant of the client with this guid.
    pub fn tenant_of(&self, client: Uuid) -> Option<&Arc<Tenant>> {
        self.tenant(&self.people().get(client)?.tenant)
    }

    /// The key of any client that is recognised by this print: [`crate::standing::key_print`].
    pub fn key_with_print(&self, print: &str) -> Option<Arc<Key>> {
        self.keys().of_print(print)
    }

    /// The key of a client that an access token was asked for with, by its [`crate::standing::key_print`].
    pub fn key_of_print(&self, client: Uuid, print: &str) -> Option<Arc<Key>> {
        self.keys().of_print(print).filter(|key| key.client == client)
    }

    /// The secret part of a signing key, opened for one verification. Without a key: a stand-in that costs the
    /// same work, so that an unknown id cannot be told from a wrong signature by the clock.
    pub fn signing_secret(&self, key: Option<&Key>) -> Result<Secret, SealFault> {
        let (id, sealed) = match key.map(|key| (key.id.as_str(), &key.material)) {
            Some((id, Material::Sealed(sealed))) => (id, sealed.as_slice()),
            _ => ("", self.stand_ins.secret.expose()),
        };
        open_material(&self.ring, id, sealed)
    }

    /// The hashed secrets of a client, disabled and expired ones included.
    pub fn secrets(&self, client: Uuid) -> Vec<Arc<Key>> {
        self.keys().of_kind(client, KeyKind::ClientSecret)
    }

    /// The public keys of a client's assertions, disabled and expired ones included.
    pub(crate) fn public_keys(&self, client: Uuid) -> Vec<Arc<HeldKey>> {
        self.keys().of_client(client).filter(|held| held.public.is_some()).collect()
    }

    /// A public key of each kind, to take the places of those that are not there.
    pub(crate) fn stand_in_keys(&self) -> &[ClientKey] {
        &self.stand_ins.public_keys
    }

    /// What a client's certificate must be, disabled and expired keys included.
    pub fn certificates(&self, client: Uuid) -> Vec<Arc<Key>> {
        self.keys().of_kind(client, KeyKind::Certificate)
    }

    /// Whom outside providers must vouch for as this client, disabled and expired keys included.
    pub fn federated(&self, client: Uuid) -> Vec<Arc<Key>> {
        self.keys().of_kind(client, KeyKind::Federated)
    }
}

/// Seals the secret part of a signing key for the store.
pub fn seal_material(ring: &Ring, id: &str, secret: &[u8], nonce: [u8; 12]) -> Result<Vec<u8>, SealFault> {
    let key = ring.seal(Purpose::Rest, ring.active(Purpose::Rest)).ok_or(SealFault::Broken)?;
    key.seal_at(place(id), nonce, secret)
}

/// Opens what [`seal_material`] has sealed, by whichever key of the ring it was.
pub(crate) fn open_material(ring: &Ring, id: &str, sealed: &[u8]) -> Result<Secret, SealFault> {
    let version = seal::version_of(sealed).ok_or(SealFault::DoesNotOpen)?;
    ring.seal(Purpose::Rest, version).ok_or(SealFault::DoesNotOpen)?.open_at(place(id), sealed)
}

/// Hashes a client secret under one pepper: HMAC-SHA-256 over a label, the client and the whole secret.
pub fn hash_secret(ring: &Ring, pepper: u32, client: Uuid, secret: &[u8]) -> Option<Vec<u8>> {
    let mut context = hmac::Context::with_key(ring.mac(Purpose::Pepper, pepper)?);
    context.update(b"daypass client secret v1");
    context.update(client.as_bytes());
    context.update(secret);
    Some(context.sign().as_ref().to_vec())
}

#[cfg(test)]
mod tests;
