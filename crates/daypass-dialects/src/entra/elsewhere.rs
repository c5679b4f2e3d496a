//! The proof of an OAuth client at an endpoint of ours that is not its tenant's, and speaks JSON.
//!
//! It is the same proof as at the token endpoint: HTTP Basic, a certificate, or the parameters of RFC 6749 and RFC 7523
//! as members of the document. The tenant is the client's.

use super::call::names;
use super::form::Form;
use super::place::guid;
use super::proof::{self, Shown};
use daypass_core::client::Tenant;
use daypass_core::dialect::{Claim, Context};
use daypass_core::inspect::OwnToken;
use daypass_core::peer::Peer;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::secret::Secret;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The members of a document that prove who sends it.
#[derive(Default)]
pub(crate) struct Members {
    /// `client_id`.
    pub(crate) id: Option<String>,
    /// `client_secret`.
    pub(crate) secret: Option<Secret>,
    /// `client_assertion_type`.
    pub(crate) assertion_type: Option<String>,
    /// `client_assertion`.
    pub(crate) assertion: Option<Secret>,
}

/// A proof of the right form. It is not believed yet.
pub(crate) struct ClientProof {
    tenant: Arc<Tenant>,
    shown: Shown,
    peer: Option<Arc<Peer>>,
    names: Vec<String>,
}

impl ClientProof {
    /// Takes it out of a request.
    pub(crate) fn read(context: Context<'_>, head: &Head, members: Members) -> Result<Self, Refusal> {
        proof::refuse_in_query(&head.query)?;
        let mut form = Form {
            client_id: members.id,
            client_secret: members.secret,
            client_assertion_type: members.assertion_type,
            client_assertion: members.assertion,
            ..Form::default()
        };
        let peer = head.peer.clone();
        let shown = proof::credentials(&head.headers, &mut form, peer.as_deref())?;
        let client = shown.client().ok_or_else(|| super::missing("client_id"))?;
        let directory = context.directory;
        // A client that does not exist is looked for in some tenant all the same, and not found there.
        let tenant = guid(client)
            .and_then(|guid| directory.tenant_of(guid))
            .or_else(|| directory.plan().tenants.first())
            .ok_or_else(|| Refusal::new(Reason::UnknownClient, "there are no clients here"))?;
        let names = names(directory.plan(), tenant, head);
        Ok(Self { tenant: Arc::clone(tenant), shown, peer, names })
    }

    /// What it says of its sender.
    pub(crate) fn claim(&self) -> Claim<'_> {
        self.shown.claim(&self.tenant, self.peer.as_deref(), &self.names)
    }
}

/// What one of our access tokens says, or nothing where these are no claims of ours.
pub(crate) fn own_token(context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
    super::own::token(context, claims)
}
