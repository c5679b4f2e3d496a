//! Clients that show a JWT in place of a secret: their own (RFC 7523), or that of an outside provider.

use super::{Proved, disabled, unknown_client};
use crate::caller::{Caller, How, Proof};
use crate::client::{Client, Key, Material};
use crate::clock::{Timestamp, rfc3339};
use crate::dialect::{Asserted, Context};
use crate::directory::Directory;
use crate::identity::Subject;
use crate::jose::assertion::{Assertion, Once, guid};
use crate::pipeline::Pipeline;
use crate::policy::Pattern;
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::replay::Mark;
use crate::store::Spent;
use aws_lc_rs::digest;
use std::sync::Arc;
use uuid::Uuid;

impl Pipeline {
    /// Finds out which client has made the assertion, or whom its provider vouches for. Clients call themselves by their
    /// GUID, and no provider does: OpenID Connect wants a URL.
    pub(super) async fn asserted(
        &self,
        context: Context<'_>,
        asserted: &Asserted<'_>,
    ) -> Result<Proved, Refusal> {
        let assertion = Assertion::read(asserted.token)?;
        match guid(assertion.issuer()?) {
            Some(issuer) => self.own_assertion(context, asserted, &assertion, issuer).await,
            None => self.federated(context, asserted, &assertion).await,
        }
    }

    async fn own_assertion(
        &self,
        context: Context<'_>,
        asserted: &Asserted<'_>,
        assertion: &Assertion<'_>,
        issuer: Uuid,
    ) -> Result<Proved, Refusal> {
        if asserted.client.is_some_and(|client| guid(client) != Some(issuer)) {
            return Err(another_client());
        }
        let Context { directory, now } = context;
        let signed = assertion.signed()?;
        let client = directory.client(asserted.tenant, issuer);
        let keys = client.as_ref().map(|client| directory.public_keys(client.guid)).unwrap_or_default();
        let public = keys.iter().filter_map(|held| held.public.as_ref());
        let key = signed.by(public, directory.stand_in_keys(), now);
        let client = client.ok_or_else(unknown_client)?;
        let key = key.ok_or_else(|| signed.refusal())?;
        is_live(key, now, "the public key that has signed the client assertion")?;
        let once = assertion.check(client.guid, asserted.audiences, now)?;
        let objection = if client.enabled {
            self.spend_assertion(&asserted.tenant.name, client.guid, &once).await?
        } else {
            Some(disabled())
        };
        Ok(proved(asserted, &client, key, How::PrivateKeyJwt, objection))
    }

    /// Uses an assertion up. One that is shown again is its client's, or a copy: who shows it is known by the signature,
    /// so that the refusal is recorded.
    async fn spend_assertion(
        &self,
        tenant: &str,
        client: Uuid,
        once: &Once,
    ) -> Result<Option<Refusal>, Refusal> {
        let mark =
            mark(tenant, client, &once.id).ok_or_else(|| Refusal::internal("no mark of an assertion"))?;
        match self.store.spend(mark, once.until).await.map_err(Refusal::unavailable)? {
            Spent::Now => Ok(None),
            Spent::Before => Ok(Some(Refusal::new(
                Reason::Replayed,
                "this client assertion was used before; make a new one, with a new jti, for each request",
            ))),
        }
    }

    /// A client that stores no secret at all: whoever a provider vouches for in the right words is this client. Its
    /// tokens may be shown again until they end, because those who get them (Kubernetes hands a pod one an hour) cannot
    /// get another for each request.
    async fn federated(
        &self,
        context: Context<'_>,
        asserted: &Asserted<'_>,
        assertion: &Assertion<'_>,
    ) -> Result<Proved, Refusal> {
        let Context { directory, now } = context;
        let named = asserted.client.ok_or_else(|| {
            let detail =
                "an assertion of an outside provider does not say which client it is for; send client_id";
            Refusal::new(Reason::MissingParameter, detail).parameter("client_id")
        })?;
        let issuer = assertion.issuer()?;
        let client = guid(named).and_then(|guid| directory.client(asserted.tenant, guid));
        let keys = client.as_ref().map(|client| directory.federated(client.guid)).unwrap_or_default();
        let trusted =
            client.as_ref().map(|client| trusted(directory, client, &keys, issuer)).unwrap_or_default();
        if trusted.is_empty() {
            // The same work as for a client that trusts this issuer.
            if let Ok(signed) = assertion.signed() {
                signed.in_vain(directory.stand_in_keys(), now);
            }
        }
        let client = client.ok_or_else(unknown_client)?;
        let (provider, subject) = self.vouched_by_one(&trusted, asserted, now).await?;
        let key = matching(&trusted, provider, &subject, now).ok_or_else(|| {
            let detail = format!(
                "the token is accepted, and its subject {} is none that this client trusts there; \
                 a federated key of the client must have this subject, letter by letter",
                subject.name
            );
            Refusal::new(Reason::IdentityInvalid, detail).parameter("sub")
        })?;
        is_live(key, now, "the federated key that trusts this subject")?;
        let objection = (!client.enabled).then(disabled);
        Ok(proved(asserted, &client, key, How::Federated, objection))
    }

    /// The first of the trusted providers that the token is right for. There is more than one only where an issuer is
    /// configured twice, for two audiences.
    async fn vouched_by_one<'a>(
        &self,
        trusted: &[Trusted<'a>],
        asserted: &Asserted<'_>,
        now: Timestamp,
    ) -> Result<(&'a Provider, Subject), Refusal> {
        let mut refused = None;
        let mut asked: Vec<&str> = Vec::new();
        for Trusted { provider, .. } in trusted {
            if asked.contains(&provider.name.as_str()) {
                continue;
            }
            asked.push(&provider.name);
            match self.vouched(provider, asserted.token, now).await {
                Ok(subject) => return Ok((provider, subject)),
                Err(refusal) => refused = Some(refusal),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let detail = "this client trusts no issuer of the name in the assertion; a client's own assertion has \
                          its client id as iss, and an issuer must be written letter by letter as in the configuration";
            Refusal::new(Reason::IdentityInvalid, detail).parameter("iss")
        }))
    }
}

/// A federated key with the provider that it trusts.
struct Trusted<'a> {
    key: &'a Arc<Key>,
    provider: &'a Arc<Provider>,
    subject: &'a str,
}

/// What a client trusts of an issuer. A retired key trusts nobody; one that has run out is still looked at, because
/// that is worth another answer.
fn trusted<'a>(
    directory: &'a Directory,
    client: &Client,
    keys: &'a [Arc<Key>],
    issuer: &str,
) -> Vec<Trusted<'a>> {
    let keys = keys.iter().filter(|key| key.enabled);
    let trusted = keys.filter_map(|key| {
        let Material::Federated { provider, subject } = &key.material else { return None };
        let provider = directory.provider(&client.tenant, provider)?;
        Some(Trusted { key, provider, subject })
    });
    trusted.filter(|trusted| trusted.provider.issuer == issuer).collect()
}

/// The key that trusts this subject, a live one before any other.
fn matching<'a>(
    trusted: &[Trusted<'a>],
    provider: &Provider,
    subject: &Subject,
    now: Timestamp,
) -> Option<&'a Arc<Key>> {
    let fits = |trusted: &&Trusted<'_>| {
        trusted.provider.name == provider.name && Pattern::parse(trusted.subject).matches(&subject.name)
    };
    let keys = || trusted.iter().filter(fits).map(|trusted| trusted.key);
    keys().find(|key| key.live(now)).or_else(|| keys().next())
}

fn proved(
    asserted: &Asserted<'_>,
    client: &Arc<Client>,
    key: &Key,
    how: How,
    objection: Option<Refusal>,
) -> Proved {
    let proof = Proof::Key { client: client.clone(), key: key.id.clone(), weak: None, how };
    Proved { caller: Caller::new(asserted.tenant.clone(), proof), objection }
}

/// Refuses a key outside its time, once it is sure that whoever asks has it.
fn is_live(key: &Key, now: Timestamp, what: &str) -> Result<(), Refusal> {
    let detail = match (key.starts.filter(|start| *start > now), key.expires.filter(|end| *end <= now)) {
        (_, Some(end)) => format!("{what} ran out at {}; register a new one", rfc3339(end)),
        (Some(start), None) => format!("{what} works from {} on, and it is {}", rfc3339(start), rfc3339(now)),
        (None, None) => return Ok(()),
    };
    Err(Refusal::new(Reason::ExpiredSecret, detail))
}

fn another_client() -> Refusal {
    Refusal::new(
        Reason::MalformedProof,
        "the client assertion and the parameter client_id name two clients; its iss and sub must be the client id",
    )
    .parameter("client_id")
}

/// The single-use mark of an assertion.
///
/// It depends on the assertion alone, unlike a signed request's ([`crate::replay::mark`]), for the reason that a
/// ticket's does ([`crate::ticket::mark`]). Attack: an assertion is good for an hour. With a key of the ring, one use
/// before a rotation and one after it, or at a node that has not heard of it yet, would have two marks.
fn mark(tenant: &str, client: Uuid, id: &str) -> Option<Mark> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"daypass assertion mark v1");
    context.update(&(tenant.len() as u64).to_be_bytes());
    context.update(tenant.as_bytes());
    context.update(client.as_bytes());
    context.update(id.as_bytes());
    context.finish().as_ref().first_chunk().copied()
}
