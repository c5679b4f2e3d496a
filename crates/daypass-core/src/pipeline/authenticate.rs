//! Phase two: who is asking?

mod assertion;
mod certificate;
mod guess;

use super::{Pipeline, Trail};
use crate::caller::{Caller, How, Proof};
use crate::client::{Client, Key, Material, Tenant};
use crate::clock::rfc3339;
use crate::dialect::{Call, Claim, Context, Presented, Signed, Weak};
use crate::directory::{Directory, hash_secret};
use crate::refusal::{Reason, Refusal};
use crate::ring::Purpose;
use crate::secret::{Secret, SigningKey, same};
use crate::standing::{Fallen, standing};
use crate::triple;
use std::sync::Arc;
use uuid::Uuid;

/// A caller who has proved itself, with what stands against serving it all the same. Such a refusal is one of a
/// known caller: it is recorded with its name, where a stranger's is only counted.
pub(super) struct Proved {
    pub(super) caller: Caller,
    pub(super) objection: Option<Refusal>,
}

impl From<Caller> for Proved {
    fn from(caller: Caller) -> Self {
        Self { caller, objection: None }
    }
}

impl Pipeline {
    pub(super) async fn authenticate(
        &self,
        context: Context<'_>,
        call: &impl Call,
        trail: &mut Trail,
    ) -> Result<Proved, Refusal> {
        let claim = call.claim();
        let proved = match &claim {
            Claim::Signed(signed) => match signed.token {
                Some(token) if is_temporary(signed) => temporary(context, call, signed, token, None),
                _ => permanent(context, call, signed, None),
            },
            Claim::Secret(presented) => self.shown_secret(context, presented),
            Claim::Certificate(certified) => certificate::certified(context, certified),
            // Boxed, so that a signed request does not carry the space that these need.
            Claim::Assertion(asserted) => Box::pin(self.asserted(context, asserted)).await,
            Claim::Visitor(visit) => Box::pin(self.visitor(context, visit, trail)).await,
            Claim::WebIdentity(shown) => {
                Box::pin(self.outside(context, shown, trail)).await.map(Proved::from)
            }
        };
        match proved {
            Ok(proved) => Ok(proved),
            Err(refusal) => Err(Box::pin(self.after_guess(context, &claim, refusal, trail)).await),
        }
    }

    fn shown_secret(&self, context: Context<'_>, presented: &Presented<'_>) -> Result<Proved, Refusal> {
        let guid = Uuid::try_parse(presented.client).ok();
        let client = guid.and_then(|guid| context.directory.client(presented.tenant, guid));
        let found = check_secret(context, client.as_deref(), presented.secrets);
        let client = client.ok_or_else(unknown_client)?;
        match found {
            SecretFound::Live(key, anew) => {
                // It was right: no better moment to hash it by the pepper that works now.
                if let Some(Anew { key, pepper, hash }) = anew {
                    self.rehash.note(&key, pepper, hash);
                }
                let proof = Proof::Key { client: client.clone(), key, weak: None, how: presented.how };
                let caller = Caller::new(presented.tenant.clone(), proof);
                Ok(Proved { caller, objection: (!client.enabled).then(disabled) })
            }
            SecretFound::Expired => Err(Refusal::new(
                Reason::ExpiredSecret,
                "this client secret has run out; ask the operator for a new one",
            )),
            SecretFound::No => Err(Refusal::new(
                Reason::WrongSecret,
                "the client secret is not right; send the secret itself, not its id",
            )),
        }
    }
}

/// Who signed a request that was sent to somebody else of this tenant. A key of another tenant is one that does not
/// exist, down to the work that its look-up costs.
pub(super) fn shown_to_another(
    context: Context<'_>,
    call: &dyn Call,
    tenant: &Tenant,
) -> Result<Proved, Refusal> {
    match call.claim() {
        Claim::Signed(signed) => match signed.token {
            Some(token) if is_temporary(&signed) => temporary(context, call, &signed, token, Some(tenant)),
            _ => permanent(context, call, &signed, Some(tenant)),
        },
        _ => Err(Refusal::internal("a request without a signature was shown as one with it")),
    }
}

/// Whether the id is one of a temporary credential for this protocol.
fn is_temporary(signed: &Signed<'_>) -> bool {
    triple::kind_of(signed.key_id).is_some_and(|kind| kind.signs_as() == signed.kind)
}

/// A request signed with a client's own key. An unknown id costs the same work as a wrong signature: a stand-in
/// is opened and the signature is computed with it.
fn permanent(
    context: Context<'_>,
    call: &(impl Call + ?Sized),
    signed: &Signed<'_>,
    within: Option<&Tenant>,
) -> Result<Proved, Refusal> {
    let directory = context.directory;
    let found = directory.key(signed.key_id, signed.kind, context.now);
    let found = found.filter(|found| within.is_none_or(|tenant| tenant.name == found.tenant.name));
    let secret = directory.signing_secret(found.as_ref().map(|f| &*f.key)).map_err(Refusal::internal)?;
    let witness = call.verify(&SigningKey::new(&secret));
    let Some(found) = found else {
        let detail = if signed.token.is_none() && is_temporary(signed) {
            "this is the id of a temporary credential; send its token as well"
        } else {
            "there is no such key, or it has been disabled or has run out"
        };
        return Err(Refusal::new(Reason::UnknownKey, detail));
    };
    if witness.is_none() {
        return Err(wrong_signature());
    }
    if signed.token.is_some() {
        return Err(Refusal::new(
            Reason::TokenInvalid,
            "this key is a permanent one and has no token; send none",
        ));
    }
    let objection = if found.client.enabled {
        refuse_weak(directory, &found.client, signed.weak).err()
    } else {
        Some(disabled())
    };
    let proof = Proof::Key {
        client: found.client.clone(),
        key: found.key.id.clone(),
        weak: signed.weak.map(Weak::name),
        how: How::Signature,
    };
    Ok(Proved { caller: Caller::new(found.tenant.clone(), proof), objection })
}

/// A request signed with a temporary credential: the token must be authentic and of this id, the signature must
/// be made with the secret that both prove, and whatever it was issued from must still stand.
fn temporary(
    context: Context<'_>,
    call: &(impl Call + ?Sized),
    signed: &Signed<'_>,
    token: &str,
    within: Option<&Tenant>,
) -> Result<Proved, Refusal> {
    let directory = context.directory;
    let opened = triple::open(directory.ring(), signed.key_id, token).and_then(|opened| {
        let ours = within.is_none_or(|tenant| tenant.name == opened.claims.tenant);
        if ours { Ok(opened) } else { Err(triple::not_authentic()) }
    });
    let opened = match opened {
        Ok(opened) => opened,
        Err(refusal) => {
            // The same work as for an authentic one, so that the answer's time does not say how far it came.
            call.verify(&SigningKey::new(&directory.signing_secret(None).map_err(Refusal::internal)?));
            return Err(refusal);
        }
    };
    if call.verify(&SigningKey::new(&opened.secret)).is_none() {
        return Err(wrong_signature());
    }
    let claims = opened.claims;
    let revoked = || {
        Refusal::new(
            Reason::TokenRevoked,
            "this temporary credential, or what it was issued from, was taken back",
        )
    };
    let tenant = directory.tenant(&claims.tenant).ok_or_else(revoked)?;
    let client = claims.client.and_then(|guid| directory.client(tenant, guid));
    let objection = match standing(directory, &claims.grounds(signed.key_id), context.now) {
        Ok(()) => client.as_ref().and_then(|client| refuse_weak(directory, client, signed.weak).err()),
        Err(Fallen::Expired) => {
            let end = rfc3339(claims.expires());
            let detail = format!("this temporary credential expired at {end}; ask for a new one");
            Some(Refusal::new(Reason::TokenExpired, detail))
        }
        Err(fallen) => Some(revoked().because(fallen)),
    };
    let proof = Proof::Temporary {
        claims: Box::new(claims),
        id: signed.key_id.to_owned(),
        client,
        weak: signed.weak.map(Weak::name),
    };
    Ok(Proved { caller: Caller::new(tenant.clone(), proof), objection })
}

enum SecretFound {
    Live(String, Option<Anew>),
    Expired,
    No,
}

/// A secret that was found under an old pepper, hashed by the one that works.
struct Anew {
    key: Arc<Key>,
    pepper: u32,
    hash: Vec<u8>,
}

/// Compares every presented spelling with every secret of the client. The hashes, which are the work, are computed
/// under every pepper before anything is looked at, so that they are as many for an unknown client as for any other.
fn check_secret(context: Context<'_>, client: Option<&Client>, presented: &[Secret]) -> SecretFound {
    let directory = context.directory;
    let ring = directory.ring();
    let guid = client.map(|client| client.guid).unwrap_or_default();
    let keys = client.map(|client| directory.secrets(client.guid)).unwrap_or_default();
    let mut best = SecretFound::No;
    for secret in presented {
        let hashes: Vec<_> = ring
            .versions(Purpose::Pepper)
            .filter_map(|pepper| Some((pepper, hash_secret(ring, pepper, guid, secret.expose())?)))
            .collect();
        for key in keys.iter().filter(|key| key.enabled) {
            let Material::Hashed { pepper, hash } = &key.material else { continue };
            if !hashes.iter().any(|(version, computed)| version == pepper && same(computed, hash)) {
                continue;
            }
            if key.live(context.now) {
                let active = ring.active(Purpose::Pepper);
                let newer = hashes.iter().find(|(version, _)| *version == active && active > *pepper);
                let anew =
                    newer.map(|(_, hash)| Anew { key: key.clone(), pepper: active, hash: hash.clone() });
                best = SecretFound::Live(key.id.clone(), anew);
            } else if key.has_ended(context.now) && !matches!(best, SecretFound::Live(..)) {
                // One whose time has not begun is no secret yet: as wrong as any other.
                best = SecretFound::Expired;
            }
        }
    }
    best
}

fn refuse_weak(directory: &Directory, client: &Client, weak: Option<Weak>) -> Result<(), Refusal> {
    let refuses = client.refuses.or(directory.plan().refuses);
    match weak.filter(|weak| refuses.refuses(*weak)) {
        Some(weak) => Err(Refusal::new(
            Reason::WeakProofRefused,
            format!(
                "{} is switched off for this client; sign with SHA-256 over the whole request",
                weak.name()
            ),
        )),
        None => Ok(()),
    }
}

fn wrong_signature() -> Refusal {
    Refusal::new(
        Reason::WrongSignature,
        "the signature is not the one that this key makes over this request; check the key and what is signed",
    )
}

fn unknown_client() -> Refusal {
    Refusal::new(
        Reason::UnknownClient,
        "the application was not found in this directory; check client_id and the tenant in the URL",
    )
}

pub(super) fn disabled() -> Refusal {
    Refusal::new(Reason::ClientDisabled, "this client has been disabled by its operator")
}
