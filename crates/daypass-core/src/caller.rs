//! Who was found to be asking.

use crate::client::{Client, Tenant};
use crate::endpoint::Endpoint;
use crate::identity::Subject;
use crate::provider::Provider;
use crate::ticket::Pass;
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
    /// A visitor of an endpoint, known in one of its ways.
    Visitor(Box<Visitor>),
    /// The subject of an outside provider's JWT.
    Outside(Box<Outside>),
}

/// A visitor of an endpoint without signatures.
#[derive(Clone)]
pub struct Visitor {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// How it is known.
    pub way: Way,
    /// Who it is; none where nobody is known.
    pub subject: Option<Subject>,
    /// The ticket it has shown, with the client that made it.
    pub ticket: Option<(Pass, Arc<Client>)>,
}

/// How a visitor is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By a session of the operator's application.
    Session,
    /// By a one-time ticket.
    Ticket,
    /// By a JWT of an outside provider.
    Jwt,
    /// Not at all.
    Anonymous,
}

impl Way {
    /// The name in configuration, credentials and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Ticket => "ticket",
            Self::Jwt => "jwt",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Someone whom an outside provider vouches for.
#[derive(Clone)]
pub struct Outside {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Who it is.
    pub subject: Subject,
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
            Proof::Visitor(visitor) => visitor.ticket.as_ref().map(|(_, client)| &**client),
            Proof::Outside(_) => None,
        }
    }

    /// The id of the key or temporary credential it proved itself with.
    pub fn key(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key { key, .. } => Some(key),
            Proof::Temporary { id, .. } => Some(id),
            Proof::Visitor(visitor) => visitor.ticket.as_ref().map(|(pass, _)| pass.key.as_str()),
            Proof::Outside(_) => None,
        }
    }

    /// The weak mode it used, for the record.
    pub fn weak(&self) -> Option<&'static str> {
        match &self.proof {
            Proof::Key { weak, .. } | Proof::Temporary { weak, .. } => *weak,
            Proof::Visitor(_) | Proof::Outside(_) => None,
        }
    }

    /// Whom someone trusted says it speaks for.
    pub fn subject(&self) -> Option<&Subject> {
        match &self.proof {
            Proof::Visitor(visitor) => visitor.subject.as_ref(),
            Proof::Outside(outside) => Some(&outside.subject),
            Proof::Key { .. } | Proof::Temporary { .. } => None,
        }
    }

    /// By what it is known, where it is known by no key of its own: for credentials and records.
    pub fn via(&self) -> Option<String> {
        match &self.proof {
            Proof::Visitor(visitor) => Some(visitor.way.name().to_owned()),
            Proof::Outside(outside) => Some(format!("{WEB_IDENTITY}{}", outside.provider.name)),
            Proof::Key { .. } | Proof::Temporary { .. } => None,
        }
    }

    /// Whether anything at all was proved.
    pub fn is_known(&self) -> bool {
        !matches!(&self.proof, Proof::Visitor(visitor) if visitor.way == Way::Anonymous)
    }
}

/// What stands before the provider's name in [`Caller::via`].
pub(crate) const WEB_IDENTITY: &str = "web-identity:";
