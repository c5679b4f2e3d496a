//! Requests that were sent to another API and signed in one of the vendor's ways, read for whoever got them.
//!
//! The rules are those of a request to us, but for what is known of the API: it has other services, other paths and other
//! parameters. Whatever a signature does not cover must not be there.

use super::form::Form;
use super::legacy::{self, Legacy, Receiver, required};
use super::proof::{Proof, near, no_secret_id};
use super::sign::{Digest, soe::Address};
use super::wire::parameter;
use crate::verify::essence::Essence;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Call, Claim, Signed, Weak};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::secret::{SigningKey, Witness};
use daypass_core::verification::ForeignCall;
use http::Method;
use std::sync::Arc;

/// A request signed with TC3-HMAC-SHA256 to an API of these services.
pub(crate) fn tc3(essence: &Essence, services: &[&str], now: Timestamp) -> Result<ForeignCall, Refusal> {
    let head = &essence.head;
    // Attack: what the signature leaves out is whatever somebody on the way makes of it.
    match head.method {
        Method::GET if !essence.has_no_body() => return Err(uncovered("the body of a GET")),
        Method::GET => {}
        _ if !head.query.is_empty() => return Err(uncovered("the query of a request that is no GET")),
        _ => {}
    }
    let proof = Proof::read_for(head, &head.path, now, services)?;
    let payload = proof.hashed(head, || essence.body_hash());
    Ok(ForeignCall::new(Tc3 { head: Arc::clone(head), payload, proof }))
}

/// A request with the older signature among its parameters. That signs the path `/` whatever the path is.
pub(crate) fn v1(request: &Request, now: Timestamp) -> Result<ForeignCall, Refusal> {
    let head = &request.head;
    if head.path != "/" {
        return Err(uncovered("a path other than /"));
    }
    let form = legacy::form(request)?;
    Legacy::read_for(Arc::clone(head), form, now, Receiver::Other).map(ForeignCall::new)
}

/// The opening of a web socket with a signature in its address.
pub(crate) fn soe(essence: &Essence, now: Timestamp) -> Result<ForeignCall, Refusal> {
    let head = &essence.head;
    if head.method != Method::GET {
        return Err(uncovered("a method other than GET"));
    }
    if !essence.has_no_body() {
        return Err(uncovered("a body"));
    }
    Soe::read(Arc::clone(head), now).map(ForeignCall::new)
}

fn uncovered(what: &str) -> Refusal {
    Refusal::new(
        Reason::MalformedProof,
        format!("this signature does not cover {what}, so that it proves nothing of it"),
    )
}

struct Tc3 {
    head: Arc<Head>,
    payload: Digest,
    proof: Proof,
}

impl Call for Tc3 {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(self.proof.claim())
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        self.proof.verify_over(&self.head, self.payload, key)
    }
}

/// Names in the address of a web socket, as the vendor's SDK writes them.
mod name {
    /// The key id.
    pub(super) const SECRET_ID: &str = "secretid";
    /// The token of a temporary key.
    pub(super) const TOKEN: &str = "token";
    /// When the address was made.
    pub(super) const TIMESTAMP: &str = "timestamp";
    /// Until when it is meant to be good; it says nothing about the key.
    pub(super) const EXPIRED: &str = "expired";
    /// The proof.
    pub(super) const SIGNATURE: &str = "signature";
}

/// How many bytes HMAC-SHA1 has.
const SIGNATURE: usize = 20;

/// An address whose signature has the right form.
struct Soe {
    head: Arc<Head>,
    form: Form,
    signature: String,
    made: Timestamp,
}

impl Soe {
    fn read(head: Arc<Head>, now: Timestamp) -> Result<Self, Refusal> {
        let form = Form::parse(&head.query)?;
        let made = near(required(&form, name::TIMESTAMP)?, now)?;
        if no_secret_id(form.get(name::SECRET_ID).unwrap_or_default()) {
            let detail = "there is no secretid in the address: the client's own setting is empty";
            return Err(Refusal::new(Reason::MalformedProof, detail));
        }
        let expired = required(&form, name::EXPIRED)?.parse::<i64>().ok();
        if expired.is_none_or(|end| end <= now.as_second()) {
            return Err(
                Refusal::new(Reason::ClockSkew, "the time in expired is over").parameter(name::EXPIRED)
            );
        }
        let signature = required(&form, name::SIGNATURE)?.to_owned();
        // One signature has one spelling.
        if STANDARD.decode(&signature).ok().is_none_or(|bytes| bytes.len() != SIGNATURE) {
            let detail = "signature must be the Base64 of 20 bytes, percent-encoded once";
            return Err(Refusal::new(Reason::WrongSignature, detail).parameter(name::SIGNATURE));
        }
        unambiguous(&form, &head)?;
        Ok(Self { head, form, signature, made })
    }
}

/// Attack: values are joined without being encoded, so that one could hold what looks like another parameter.
fn unambiguous(form: &Form, head: &Head) -> Result<(), Refusal> {
    let host = head.header("host").unwrap_or_default();
    let plain = !host.is_empty() && !host.contains(['/', '?']) && !head.path.contains('?');
    let joins = |(name, value): (&str, &str)| name.contains(['=', '&']) || value.contains('&');
    if plain && !form.iter().any(joins) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::DuplicateParameter,
        "a value in the address holds an ampersand, and this signature cannot tell it from the next parameter",
    ))
}

impl Call for Soe {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: self.form.get(name::SECRET_ID).unwrap_or_default(),
            kind: KeyKind::Tencent,
            token: self.form.get(name::TOKEN).filter(|token| !token.is_empty()),
            signature: self.signature.as_bytes(),
            once: None,
            made: self.made,
            weak: Some(Weak::SoeHmacSha1),
        })
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        let parameters: Vec<_> = self.form.iter().filter(|(name, _)| *name != name::SIGNATURE).collect();
        let address = Address {
            host: self.head.header("host").unwrap_or_default(),
            path: &self.head.path,
            parameters: &parameters,
        };
        key.matches(self.signature.as_bytes(), |secret, right| _ = right(address.sign(secret).as_bytes()))
    }
}

/// Whether these parameters hold what tells the older signature.
pub(crate) fn is_v1(names: &[&str]) -> bool {
    names.contains(&parameter::SECRET_ID)
}

/// Whether these parameters are those of a signed web socket.
pub(crate) fn is_soe(names: &[&str]) -> bool {
    names.contains(&name::SECRET_ID)
}
