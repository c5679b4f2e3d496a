//! The port to a vendor's protocol.
//!
//! A dialect fills hooks; the order in which they run is the pipeline's alone. It does no I/O, stores nothing and
//! takes no policy decision.

use crate::caller::{Caller, Proof};
use crate::client::{KeyKind, Tenant};
use crate::clock::Timestamp;
use crate::credential::Granted;
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint, Product};
use crate::pipeline::Verified;
use crate::policy::Policy;
use crate::record::Recorded;
use crate::refusal::Refusal;
use crate::request::{Head, Request, Response};
use crate::secret::{Secret, SigningKey, Witness};
use crate::triple::TripleKind;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What a hook may know besides the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Tenants, roles, endpoints, keys: for names and metadata, never to decide.
    pub directory: &'a Directory,
    /// The present.
    pub now: Timestamp,
}

/// A vendor's protocol.
pub trait Dialect: Send + Sync {
    /// All that rendering needs, even of a request that could not be read: format, origin, ids.
    type Manner: Send + Sync;
    /// A request that was parsed and is not believed yet.
    type Call: Call;

    /// Which protocol this is.
    fn name(&self) -> DialectName;

    /// Finds out from the head how to answer. Cannot fail.
    fn manner(&self, head: &Head) -> Self::Manner;

    /// Answers what needs no proof and decides nothing: a preflight, metadata, public keys.
    fn open(&self, context: Context<'_>, head: &Head) -> Option<Response> {
        let _ = (context, head);
        None
    }

    /// Parses. Owns the bytes, believes nothing, does no I/O, never panics. Whatever part of the manner stands in
    /// the body (TOP's `format`) is set here, before anything that can fail. The vendor's checks of presence and
    /// of time come here too, in the vendor's order.
    fn read(
        &self,
        context: Context<'_>,
        request: Request,
        manner: &mut Self::Manner,
    ) -> Result<Self::Call, Refusal>;

    /// What a verified call asks for.
    fn ask(&self, context: Context<'_>, verified: &Verified<Self::Call>) -> Result<Ask, Refusal>;

    /// Writes the answer. Total: every outcome, every refusal included, has one.
    fn render(&self, manner: &Self::Manner, outcome: Outcome) -> Response;
}

/// A request that was parsed and is not believed yet.
pub trait Call: Send + Sync {
    /// Who it says it is, and by what proof.
    fn claim(&self) -> Claim<'_>;

    /// Checks the signature over the bytes as received. Only asked of calls whose claim is [`Claim::Signed`].
    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        let _ = key;
        None
    }
}

/// What a call says about who sends it.
pub enum Claim<'a> {
    /// It is signed with a symmetric key.
    Signed(Signed<'a>),
    /// It shows a client secret.
    Secret(Presented<'a>),
    /// It says nothing; the endpoint decides whether that is enough.
    Anonymous(&'a Arc<Endpoint>),
}

/// The claim of a signed call.
pub struct Signed<'a> {
    /// The id of the key.
    pub key_id: &'a str,
    /// What kind of key the protocol signs with.
    pub kind: KeyKind,
    /// The token of a temporary credential, if one was sent.
    pub token: Option<&'a str>,
    /// The signature as presented, for the replay rule.
    pub signature: &'a [u8],
    /// The weak mode it uses, if it does.
    pub weak: Option<Weak>,
}

/// A weak but documented way to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    /// TC3 with `UNSIGNED-PAYLOAD`.
    UnsignedPayload,
    /// TOP with `md5`.
    Md5,
    /// TOP with `hmac`, which is HMAC-MD5.
    HmacMd5,
}

impl Weak {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnsignedPayload => "unsigned-payload",
            Self::Md5 => "md5",
            Self::HmacMd5 => "hmac-md5",
        }
    }
}

/// The claim of a call that shows a secret.
pub struct Presented<'a> {
    /// The tenant of the path.
    pub tenant: &'a Arc<Tenant>,
    /// The client id.
    pub client: &'a str,
    /// The secret; several where the protocol's encoding is ambiguous, any one of which may be right.
    pub secrets: &'a [Secret],
}

/// What a verified call asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A credential.
    Issue(Box<Issue>),
    /// Who am I?
    WhoAmI,
}

/// An ask for a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Which role, in the protocol's way of saying so.
    pub role: RoleChoice,
    /// What form the credential must have.
    pub form: Form,
    /// Values for the role's variables.
    pub variables: BTreeMap<String, String>,
    /// Seconds; none for the role's default.
    pub lifetime: Option<u32>,
    /// A policy to narrow the role's.
    pub policy: Option<Policy>,
    /// The session name.
    pub session: Option<String>,
    /// The caller's own id of the request, to be echoed.
    pub correlation: Option<String>,
    /// A credential may not be asked for with a temporary one. Every protocol so far says so.
    pub permanent_only: bool,
}

/// A protocol's way of naming a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChoice {
    /// The role of the endpoint.
    Endpoint,
    /// The client's default role.
    Default,
    /// TOP's table, at this path.
    Product {
        /// The path of the endpoint.
        path: String,
        /// What is asked for.
        product: Product,
    },
    /// Every app role that the client has on this OAuth resource.
    Resource(String),
}

/// What form a credential must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Id, secret and token in a vendor's shape.
    Triple(TripleKind),
    /// An access token.
    Bearer,
}

/// What the pipeline came to.
pub enum Outcome {
    /// A credential, durably recorded. Boxed because refusals are the common small case.
    Granted(Box<Recorded<Granted>>),
    /// An answer to a question. Reads are counted, not recorded.
    Facts(Facts),
    /// No.
    Refused(Refusal),
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The account of its tenant.
    pub account: String,
    /// The client, where one is known.
    pub client: Option<Uuid>,
    /// The key it proved itself with, by id.
    pub key: Option<String>,
    /// For a temporary credential: its role.
    pub role: Option<String>,
    /// For a temporary credential: its session name.
    pub session: Option<String>,
}

impl Facts {
    pub(crate) fn of(caller: &Caller) -> Self {
        let (role, session) = match caller.proof() {
            Proof::Temporary { claims, .. } => (Some(claims.role.clone()), claims.session.clone()),
            _ => (None, None),
        };
        Self {
            account: caller.tenant().account.clone(),
            client: caller.client().map(|client| client.guid),
            key: caller.key().map(str::to_owned),
            role,
            session,
        }
    }
}
