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
    confirmation: Option<Confirmation>,
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
        /// In what way.
        how: How,
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

/// In what way a client proved itself with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It signed the request.
    Signature,
    /// It showed its secret in the body.
    ClientSecretPost,
    /// It showed its secret by HTTP Basic.
    ClientSecretBasic,
    /// It signed an assertion with its private key (RFC 7523).
    PrivateKeyJwt,
    /// It showed the JWT of an outside provider as its assertion.
    Federated,
    /// It showed a certificate that an authority vouches for (RFC 8705 §2.1).
    TlsClientAuth,
    /// It showed a certificate that is known itself (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
}

impl How {
    /// The name in records: where OAuth has one for the method, that one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::Federated => "federated",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }

    /// Whether it showed a secret that whoever sees the request could show again.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::ClientSecretPost | Self::ClientSecretBasic)
    }
}

/// What a token is bound to: only whoever holds the private key behind it can use the token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// The certificate of the TLS connection: `x5t#S256` (RFC 8705 §3.1), SHA-256 as base64url without padding.
    Certificate(String),
    /// The key of DPoP proofs: `jkt` (RFC 9449 §6.1), its RFC 7638 thumbprint.
    Key(String),
}

impl Confirmation {
    /// The name of its member in the claim `cnf`.
    pub fn member(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "x5t#S256",
            Self::Key(_) => "jkt",
        }
    }

    /// The value of that member.
    pub fn value(&self) -> &str {
        match self {
            Self::Certificate(thumbprint) | Self::Key(thumbprint) => thumbprint,
        }
    }
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
        Self { tenant, proof, confirmation: None }
    }

    /// The same caller, who has also proved to hold this key.
    #[must_use]
    pub(crate) fn bound(mut self, confirmation: Option<Confirmation>) -> Self {
        self.confirmation = confirmation.or(self.confirmation);
        self
    }

    /// A caller for tests of `authorize` and of issuers.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(tenant: Arc<Tenant>, proof: Proof) -> Self {
        Self::new(tenant, proof)
    }

    /// The same caller, who has also proved to hold this key, for tests of issuers.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn bound_for_test(self, confirmation: Confirmation) -> Self {
        self.bound(Some(confirmation))
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
        self.held_client().map(|client| &**client)
    }

    pub(crate) fn shared_client(&self) -> Option<Arc<Client>> {
        self.held_client().cloned()
    }

    fn held_client(&self) -> Option<&Arc<Client>> {
        match &self.proof {
            Proof::Key { client, .. } => Some(client),
            Proof::Temporary { client, .. } => client.as_ref(),
            Proof::Visitor(visitor) => visitor.ticket.as_ref().map(|(_, client)| client),
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

    /// In what way it proved itself, where it is a client with a key of its own.
    pub fn how(&self) -> Option<How> {
        match &self.proof {
            Proof::Key { how, .. } => Some(*how),
            Proof::Temporary { .. } | Proof::Visitor(_) | Proof::Outside(_) => None,
        }
    }

    /// What a token for it is to be bound to.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
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
