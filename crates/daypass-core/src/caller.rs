//! Who was found to be asking.

use crate::client::{Client, Tenant};
use crate::endpoint::Endpoint;
use crate::triple::Claims;
use std::sync::Arc;

/// A caller whose proof was checked. Only the pipeline makes one.
#[derive(Clone)]
pub struct Caller {
    tenant: Arc<Tenant>,
    proof: Proof,
}

/// How the caller proved itself, with what the proof is about.
#[derive(Clone)]
pub enum Proof {
    /// A client, by a key of its own.
    Key {
        /// The client.
        client: Arc<Client>,
        /// The key, by id.
        key: String,
        /// The proof was of a weak but accepted kind.
        weak: Option<&'static str>,
    },
    /// The holder of a temporary credential.
    Temporary {
        /// What the credential's token says.
        claims: Box<Claims>,
        /// The credential's id.
        id: String,
        /// The client it was issued to; none where an anonymous endpoint issued it.
        client: Option<Arc<Client>>,
        /// The proof was of a weak but accepted kind.
        weak: Option<&'static str>,
    },
    /// Nobody is known: the endpoint admits anyone, within its ration.
    Anonymous {
        /// The endpoint.
        endpoint: Arc<Endpoint>,
    },
}

impl Caller {
    pub(crate) fn new(tenant: Arc<Tenant>, proof: Proof) -> Self {
        Self { tenant, proof }
    }

    /// A caller for tests of `authorize` and of issuers.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(tenant: Arc<Tenant>, proof: Proof) -> Self {
        Self::new(tenant, proof)
    }

    pub(crate) fn shared_tenant(&self) -> Arc<Tenant> {
        self.tenant.clone()
    }

    /// The tenant it belongs to.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// How it proved itself.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The client, where one is known.
    pub fn client(&self) -> Option<&Client> {
        match &self.proof {
            Proof::Key { client, .. } => Some(client),
            Proof::Temporary { client, .. } => client.as_deref(),
            Proof::Anonymous { .. } => None,
        }
    }

    /// The id of the key or temporary credential it proved itself with.
    pub fn key(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key { key, .. } => Some(key),
            Proof::Temporary { id, .. } => Some(id),
            Proof::Anonymous { .. } => None,
        }
    }

    /// The weak mode it used, for the record.
    pub fn weak(&self) -> Option<&'static str> {
        match &self.proof {
            Proof::Key { weak, .. } | Proof::Temporary { weak, .. } => *weak,
            Proof::Anonymous { .. } => None,
        }
    }

    /// Whether anything at all was proved.
    pub fn is_known(&self) -> bool {
        !matches!(self.proof, Proof::Anonymous { .. })
    }
}
