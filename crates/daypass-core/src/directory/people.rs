//! Clients with their keys, in every way in which a request looks for them.

use crate::client::{Client, Key, KeyKind};
use crate::jose::assertion::ClientKey;
use crate::standing::key_print;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Clients and keys, made anew when one of them has changed and shared between snapshots otherwise: a public key is parsed
/// here, and a store may hold many.
pub(super) struct People {
    pub(super) clients: HashMap<Uuid, Arc<Client>>,
    pub(super) keys: HashMap<String, Arc<Key>>,
    pub(super) secrets: HashMap<Uuid, Vec<Arc<Key>>>,
    pub(super) public_keys: HashMap<Uuid, Vec<ClientKey>>,
    pub(super) certificates: HashMap<Uuid, Vec<Arc<Key>>>,
    pub(super) federated: HashMap<Uuid, Vec<Arc<Key>>>,
    /// OAuth clients' keys, by what access tokens tell of them.
    pub(super) prints: HashMap<String, Arc<Key>>,
    /// Clients by their object ids.
    pub(super) objects: HashMap<Uuid, Uuid>,
}

impl People {
    pub(super) fn new(clients: &[Arc<Client>], keys: &[Arc<Key>]) -> Self {
        let keys: HashMap<_, _> = keys.iter().map(|key| (key.id.clone(), key.clone())).collect();
        let mut public_keys: HashMap<Uuid, Vec<ClientKey>> = HashMap::new();
        for key in keys.values().filter(|key| key.kind == KeyKind::PublicKey) {
            public_keys.entry(key.client).or_default().extend(ClientKey::parse(key));
        }
        let oauth = keys.values().filter(|key| key.kind.is_oauth());
        Self {
            prints: oauth.map(|key| (key_print(&key.id), key.clone())).collect(),
            objects: clients.iter().map(|client| (client.object, client.guid)).collect(),
            secrets: of_kind(&keys, KeyKind::ClientSecret),
            certificates: of_kind(&keys, KeyKind::Certificate),
            federated: of_kind(&keys, KeyKind::Federated),
            public_keys,
            clients: clients.iter().map(|client| (client.guid, client.clone())).collect(),
            keys,
        }
    }
}

/// The keys of one kind, by the client that they belong to.
fn of_kind(keys: &HashMap<String, Arc<Key>>, kind: KeyKind) -> HashMap<Uuid, Vec<Arc<Key>>> {
    let mut of: HashMap<Uuid, Vec<Arc<Key>>> = HashMap::new();
    for key in keys.values().filter(|key| key.kind == kind) {
        of.entry(key.client).or_default().push(key.clone());
    }
    of
}
