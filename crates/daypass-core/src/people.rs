//! Clients and their keys, of which there may be a million, in little memory.
//!
//! A client as a value is some fifteen pieces of memory, and with its key some two thousand bytes; what tells it from the next
//! one is a tenth of that. So they lie packed, in tables of many small shards ([`table`]), and become values when somebody asks
//! for one. Those that were asked for lately are kept as values ([`recent`]). Other ways to find one are pairs of hashes
//! ([`links`]). A change of one makes one shard anew, whatever there is beside it.

mod links;
mod packed;
mod recent;
mod table;
#[cfg(test)]
mod tests;

use crate::client::{Client, Key, KeyKind};
use crate::jose::assertion::ClientKey;
use crate::standing::key_print;
use links::Links;
use packed::{KeyCommon, PackedClient, PackedKey, Under};
use std::borrow::Borrow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use table::{Shards, Table};
use uuid::Uuid;

pub use packed::Unpackable;

/// Every client.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    table: Table<PackedClient>,
    /// From object ids to guids.
    objects: Links,
}

/// What is read one by one, before it is put in order.
pub trait Gather: Default + Send {
    /// One of them.
    type One: Clone + Send;
    /// By what one is known.
    type Id: Send;
    /// All of them.
    type All;

    /// Another place to gather in, for another thread; what is in both becomes one by [`Self::finish`].
    #[must_use]
    fn beside(&self) -> Self;

    /// Takes one more. Of two of one id in one place the later counts.
    fn add(&mut self, one: &Self::One) -> Result<(), Unpackable>;

    /// Puts them in order, with those that were gathered beside them.
    fn finish(self, beside: Vec<Self>) -> Result<Self::All, Unpackable>;

    /// All of them with some as they are now: none for one that is gone.
    fn with(all: &Self::All, changes: Vec<(Self::Id, Option<Self::One>)>) -> Result<Self::All, Unpackable>;
}

/// Clients as they are read.
#[derive(Debug, Default)]
pub struct GatheredClients {
    shards: Shards<PackedClient>,
    objects: Vec<(u64, u64)>,
}

impl Gather for GatheredClients {
    type One = Client;
    type Id = Uuid;
    type All = Clients;

    fn beside(&self) -> Self {
        Self { shards: self.shards.beside(), objects: Vec::new() }
    }

    fn add(&mut self, client: &Client) -> Result<(), Unpackable> {
        let hasher = self.shards.hasher();
        self.objects.push((hash(hasher, client.object.as_bytes()), hash(hasher, client.guid.as_bytes())));
        self.shards.add(client)
    }

    fn finish(self, beside: Vec<Self>) -> Result<Clients, Unpackable> {
        let Self { shards, mut objects } = self;
        let (others, links): (Vec<_>, Vec<_>) =
            beside.into_iter().map(|other| (other.shards, other.objects)).unzip();
        objects.extend(links.into_iter().flatten());
        Ok(Clients { table: shards.finish(others)?, objects: Links::new(objects) })
    }

    fn with(all: &Clients, changes: Vec<(Uuid, Option<Client>)>) -> Result<Clients, Unpackable> {
        all.with(changes)
    }
}

impl Clients {
    /// Puts these together.
    pub fn of(all: impl IntoIterator<Item: Borrow<Client>>) -> Result<Self, Unpackable> {
        let mut gathered = GatheredClients::default();
        all.into_iter().try_for_each(|client| gathered.add(client.borrow()))?;
        gathered.finish(Vec::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client with this guid.
    pub fn get(&self, guid: Uuid) -> Option<Arc<Client>> {
        self.table.get(guid.as_bytes())
    }

    /// The client with this object id.
    pub fn of_object(&self, object: Uuid) -> Option<Arc<Client>> {
        let guids = self.objects.of(hash(self.table.hasher(), object.as_bytes()));
        guids.flat_map(|guid| self.table.of_hash(guid)).find(|client| client.object == object)
    }

    /// Every client, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Client> {
        self.table.iter(|_| true)
    }

    /// With these as they are now: none for one that is gone.
    pub fn with(&self, changes: Vec<(Uuid, Option<Client>)>) -> Result<Self, Unpackable> {
        let link = |client: &Client| {
            let of = |id: Uuid| hash(self.table.hasher(), id.as_bytes());
            (of(client.object), of(client.guid))
        };
        let gone =
            changes.iter().filter_map(|(guid, _)| self.get(*guid)).map(|client| link(&client)).collect();
        let new = changes.iter().filter_map(|(_, client)| client.as_ref()).map(link).collect();
        let objects = self.objects.with(gone, new);
        let changes = changes.into_iter().map(|(guid, client)| (guid.as_bytes().to_vec(), client)).collect();
        Ok(Self { table: self.table.with(changes)?, objects })
    }
}

/// A key as it is held by those who ask for it: with what is parsed once.
pub(crate) struct HeldKey {
    /// The key.
    pub(crate) key: Arc<Key>,
    /// The public key that it is, where it is one.
    pub(crate) public: Option<ClientKey>,
}

impl HeldKey {
    fn new(key: Key) -> Self {
        let key = Arc::new(key);
        Self { public: ClientKey::parse(&key), key }
    }
}

/// Every key of every client.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    table: Table<PackedKey>,
    /// From guids of clients to their keys for OAuth.
    of_clients: Links,
    /// From what access tokens tell of keys for OAuth to those.
    prints: Links,
}

/// Keys as they are read.
#[derive(Debug, Default)]
pub struct GatheredKeys {
    shards: Shards<PackedKey>,
    of_clients: Vec<(u64, u64)>,
    prints: Vec<(u64, u64)>,
}

impl Gather for GatheredKeys {
    type One = Key;
    type Id = String;
    type All = Keys;

    fn beside(&self) -> Self {
        Self { shards: self.shards.beside(), ..Self::default() }
    }

    fn add(&mut self, key: &Key) -> Result<(), Unpackable> {
        if key.kind.is_oauth() {
            let (of_client, print) = links_of(self.shards.hasher(), key);
            self.of_clients.push(of_client);
            self.prints.push(print);
        }
        self.shards.add(key)
    }

    fn finish(self, beside: Vec<Self>) -> Result<Keys, Unpackable> {
        let Self { shards, mut of_clients, mut prints } = self;
        let mut others = Vec::new();
        for other in beside {
            others.push(other.shards);
            of_clients.extend(other.of_clients);
            prints.extend(other.prints);
        }
        let (of_clients, prints) = (Links::new(of_clients), Links::new(prints));
        Ok(Keys { table: shards.finish(others)?, of_clients, prints })
    }

    fn with(all: &Keys, changes: Vec<(String, Option<Key>)>) -> Result<Keys, Unpackable> {
        all.with(changes)
    }
}

impl Keys {
    /// Puts these together.
    pub fn of(all: impl IntoIterator<Item: Borrow<Key>>) -> Result<Self, Unpackable> {
        let mut gathered = GatheredKeys::default();
        all.into_iter().try_for_each(|key| gathered.add(key.borrow()))?;
        gathered.finish(Vec::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Key>> {
        self.table.get(id.as_bytes()).map(|held| held.key.clone())
    }

    /// The keys of a client by which it proves itself to OAuth's endpoints.
    pub(crate) fn of_client(&self, client: Uuid) -> impl Iterator<Item = Arc<HeldKey>> {
        let keys = self.of_clients.of(hash(self.table.hasher(), client.as_bytes()));
        keys.flat_map(|key| self.table.of_hash(key))
            .filter(move |held| held.key.client == client && held.key.kind.is_oauth())
    }

    /// Of those, the keys of one kind.
    pub(crate) fn of_kind(&self, client: Uuid, kind: KeyKind) -> Vec<Arc<Key>> {
        let all = self.of_client(client).filter(|held| held.key.kind == kind);
        all.map(|held| held.key.clone()).collect()
    }

    /// The key for OAuth of this [`key_print`].
    pub(crate) fn of_print(&self, print: &str) -> Option<Arc<Key>> {
        let keys = self.prints.of(hash(self.table.hasher(), print.as_bytes()));
        let mut held = keys.flat_map(|key| self.table.of_hash(key));
        held.find(|held| held.key.kind.is_oauth() && key_print(&held.key.id) == print)
            .map(|held| held.key.clone())
    }

    /// Every key, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Key> {
        self.table.iter(|_| true)
    }

    /// The enabled keys that end at some time, in no order. Costs little where there are few, however many others there are.
    pub fn ending(&self) -> impl Iterator<Item = Key> {
        self.table.iter(|common| KeyCommon::read(common).is_some_and(|common| common.enabled && common.ends))
    }

    /// The keys that are kept under another `rest` key or another pepper of the ring than these, in no order. Costs little where
    /// there are few, however many others there are.
    pub fn not_under(&self, rest: u32, pepper: u32) -> impl Iterator<Item = Key> {
        self.table.iter(move |common| match KeyCommon::read(common).map(|common| common.under) {
            Some(Under::Rest(version)) => version != Some(rest),
            Some(Under::Pepper(version)) => version != pepper,
            Some(Under::Nothing) | None => false,
        })
    }

    /// With these as they are now: none for one that is gone.
    pub fn with(&self, changes: Vec<(String, Option<Key>)>) -> Result<Self, Unpackable> {
        let before: Vec<Arc<Key>> = changes.iter().filter_map(|(id, _)| self.get(id)).collect();
        let links = |key: &Key| key.kind.is_oauth().then(|| links_of(self.table.hasher(), key));
        let (gone_of, gone_prints) = before.iter().filter_map(|key| links(key)).unzip();
        let (new_of, new_prints) =
            changes.iter().filter_map(|(_, key)| key.as_ref()).filter_map(links).unzip();
        let of_clients = self.of_clients.with(gone_of, new_of);
        let prints = self.prints.with(gone_prints, new_prints);
        let changes = changes.into_iter().map(|(id, key)| (id.into_bytes(), key)).collect();
        Ok(Self { table: self.table.with(changes)?, of_clients, prints })
    }
}

/// From its client, and from its print, to a key.
fn links_of(hasher: &RandomState, key: &Key) -> ((u64, u64), (u64, u64)) {
    let id = hash(hasher, key.id.as_bytes());
    let print = hash(hasher, key_print(&key.id).as_bytes());
    ((hash(hasher, key.client.as_bytes()), id), (print, id))
}

fn hash(hasher: &RandomState, bytes: &[u8]) -> u64 {
    hasher.hash_one(bytes)
}
