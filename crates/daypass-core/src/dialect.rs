//! The port to a vendor's protocol.
//!
//! A dialect fills hooks; the order in which they run is the pipeline's alone. It does no I/O, stores nothing and
//! takes no policy decision.

mod outcome;

pub use outcome::{Delivery, Facts, Outcome};

use crate::caller::How;
use crate::client::{KeyKind, Tenant};
use crate::clock::Timestamp;
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint, Product};
use crate::explained::Lookup;
use crate::identity::Subject;
use crate::inspect::OwnToken;
use crate::peer::Peer;
use crate::pipeline::Verified;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::{Head, Request, Response};
use crate::secret::{Secret, SigningKey, Witness, same};
use crate::triple::{SessionKind, TripleKind};
use crate::verification::Question;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

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

    /// Whether what [`Dialect::open`] answers here costs no more than a refusal does. It is answered even where there is no
    /// room for anything else: whoever is refused public keys takes good credentials for bad ones.
    fn open_is_light(&self, head: &Head) -> bool {
        let _ = head;
        false
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

    /// What one of our own access tokens says whose signature and time were found right; none where these are no claims
    /// that this protocol writes. Only asked by protocols that have access tokens.
    fn own_token(&self, context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
        let _ = (context, claims);
        None
    }

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

    /// The proof that its sender holds a private key, to which what it gets is to be bound.
    fn dpop(&self) -> Option<Dpop<'_>> {
        None
    }
}

/// What a call says about who sends it.
pub enum Claim<'a> {
    /// It is signed with a symmetric key.
    Signed(Signed<'a>),
    /// It shows a client secret.
    Secret(Presented<'a>),
    /// It shows a JWT in place of a secret.
    Assertion(Asserted<'a>),
    /// Its TLS connection shows a certificate.
    Certificate(Certified<'a>),
    /// It comes to an endpoint that has its own ways of knowing callers.
    Visitor(Visit<'a>),
    /// It shows a JWT of an outside provider in place of a signature.
    WebIdentity(WebIdentity<'a>),
}

/// The claim of a call with a client assertion (RFC 7523).
pub struct Asserted<'a> {
    /// The tenant of the path.
    pub tenant: &'a Arc<Tenant>,
    /// The client id, where it is sent beside the assertion.
    pub client: Option<&'a str>,
    /// The JWT.
    pub token: &'a Secret,
    /// Our names, any one of which its `aud` may be.
    pub audiences: &'a [String],
}

/// The claim of a call over a TLS connection with a client's certificate (RFC 8705).
pub struct Certified<'a> {
    /// The tenant of the path.
    pub tenant: &'a Arc<Tenant>,
    /// The client id.
    pub client: &'a str,
    /// What the certificate says, and who vouches for it.
    pub peer: &'a Peer,
}

/// A DPoP proof (RFC 9449) with what it must be about.
pub struct Dpop<'a> {
    /// The JWT of the header.
    pub proof: &'a Secret,
    /// `htm`: the method of the request.
    pub method: &'a str,
    /// `htu`: our addresses of the endpoint, without query and fragment, any one of which may have been called.
    pub urls: &'a [String],
}

/// The claim of a call to an endpoint without signatures.
pub struct Visit<'a> {
    /// The endpoint, whose rules decide.
    pub endpoint: &'a Arc<Endpoint>,
    /// What the call shows of itself.
    pub evidence: Option<&'a Evidence>,
    /// The origin of the page that it comes from, where it comes from one.
    pub origin: Option<&'a str>,
}

/// What a call to an endpoint without signatures shows of itself.
pub enum Evidence {
    /// A session of the operator's application: the value of its cookie or header.
    Session(Secret),
    /// A one-time ticket.
    Ticket(Secret),
    /// A JWT of an outside provider.
    Jwt(Secret),
}

/// The claim of a call with an outside provider's JWT.
pub struct WebIdentity<'a> {
    /// The tenant that it wants a role of; none where it named one that does not exist.
    pub tenant: Option<&'a Arc<Tenant>>,
    /// The provider, by name.
    pub provider: &'a str,
    /// The JWT.
    pub token: &'a Secret,
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
    /// The nonce that it covers, where the protocol wants one to be used once: then the replay rule goes by that.
    pub once: Option<&'a [u8]>,
    /// When it was signed, as it says itself. The dialect has found that near enough to now.
    pub made: Timestamp,
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
    /// Tencent's legacy signature in the parameters, with HMAC-SHA1.
    LegacyHmacSha1,
    /// The same with HMAC-SHA256: what it signs is as ambiguous.
    LegacyHmacSha256,
    /// The signature in the address of a speech-evaluation web socket, with HMAC-SHA1 over a text like the legacy one.
    SoeHmacSha1,
}

impl Weak {
    /// Every mode.
    pub const ALL: [Self; 6] = [
        Self::UnsignedPayload,
        Self::Md5,
        Self::HmacMd5,
        Self::LegacyHmacSha1,
        Self::LegacyHmacSha256,
        Self::SoeHmacSha1,
    ];

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weak| weak.name() == name)
    }

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnsignedPayload => "unsigned-payload",
            Self::Md5 => "md5",
            Self::HmacMd5 => "hmac-md5",
            Self::LegacyHmacSha1 => "v1-hmacsha1",
            Self::LegacyHmacSha256 => "v1-hmacsha256",
            Self::SoeHmacSha1 => "soe-hmacsha1",
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
    /// Where it stands.
    pub how: How,
}

/// What a verified call asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A credential.
    Issue(Box<Issue>),
    /// Who am I?
    WhoAmI,
    /// A one-time ticket for someone else.
    Ticket(Box<TicketAsk>),
    /// What is this access token, and does it count?
    Inspect(Shown),
    /// Take this access token back.
    Revoke(Shown),
    /// A credential in exchange for an access token.
    Exchange(Box<Exchange>),
    /// Who sent this request to me, and may they?
    Verify(Box<Question>),
    /// Why was this decided about me?
    Explain(Lookup),
}

/// A token that a verified call shows, and of which nothing is believed yet.
#[derive(Clone)]
pub struct Shown(Arc<Secret>);

impl Shown {
    /// The token as it came.
    pub fn new(token: Secret) -> Self {
        Self(Arc::new(token))
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.0
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.expose(), other.0.expose())
    }
}

/// An ask for a credential in exchange for an access token (RFC 8693).
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The token of whoever it is to be for.
    pub subject: Shown,
    /// What is asked for. It can only be less than what the subject, and the client that asks, could get themselves.
    pub issue: Issue,
}

/// An ask for a one-time ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct TicketAsk {
    /// The path of the endpoint that the ticket is for.
    pub endpoint: String,
    /// Whom it is for.
    pub subject: Subject,
    /// The origin of the page that will show it.
    pub origin: String,
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
    /// What becomes of the part of that policy that the role does not give.
    pub excess: Excess,
    /// The session name.
    pub session: Option<String>,
    /// The caller's own id of the request, to be echoed.
    pub correlation: Option<String>,
    /// A credential may not be asked for with a temporary one. Every protocol so far says so.
    pub permanent_only: bool,
    /// How the session comes about.
    pub kind: SessionKind,
    /// The tags of the session: they go with the credential and into its record.
    pub tags: BTreeMap<String, String>,
    /// Who stands behind the session, as the client says.
    pub source_identity: Option<String>,
    /// What the role's `external_id` must be.
    pub external_id: Option<String>,
    /// The only app roles that are wanted of an OAuth resource; none for all that there are to have.
    pub app_roles: Option<Vec<String>>,
    /// The token that the caller had and that was refused, by the base64url SHA-256 of it: not that one again, where the
    /// cloud behind the role has one for everyone.
    pub refused: Option<String>,
}

impl Issue {
    /// The plainest ask for a role in this form.
    pub fn new(role: RoleChoice, form: Form) -> Self {
        Self {
            role,
            form,
            variables: BTreeMap::new(),
            lifetime: None,
            policy: None,
            excess: Excess::default(),
            session: None,
            correlation: None,
            permanent_only: true,
            kind: SessionKind::Federated,
            tags: BTreeMap::new(),
            source_identity: None,
            external_id: None,
            app_roles: None,
            refused: None,
        }
    }
}

/// What becomes of an ask for more than there is to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    /// The whole ask is refused, so that its sender learns at once and not from a failure later.
    #[default]
    Refused,
    /// It is cut off, and what both allow is given. For protocols that document it so, whose clients send the same wide
    /// policy with every role. Where nothing is left, the ask is refused all the same.
    CutOff,
}

/// A protocol's way of naming a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChoice {
    /// The role of the endpoint.
    Endpoint,
    /// The client's default role.
    Default,
    /// The role of this name, in the caller's tenant.
    Named(String),
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
