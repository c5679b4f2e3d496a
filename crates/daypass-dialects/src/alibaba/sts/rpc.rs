//! A call signed in the RPC style, version 1: the signature stands among the parameters and covers all of them.
//!
//! It is an HMAC over a text that says which name has which value, so it is no weak way in spite of its SHA-1. What it
//! does not cover is the host: such a call is as good at another service that knows the same key.

use super::parameters::{Parameters, name};
use super::{check_nonce, check_token, time};
use crate::alibaba::sign::{acs3, rpc};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Call, Claim, Signed};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::secret::{SigningKey, Witness};
use std::sync::Arc;

/// A call whose signature has the right form. Nothing about it is believed yet.
pub(super) struct Rpc {
    head: Arc<Head>,
    parameters: Parameters,
    signature: [u8; rpc::LENGTH],
    made: Timestamp,
}

impl Rpc {
    /// Reads and checks the form, in the order: key, time, nonce, signature.
    pub(super) fn read(head: &Arc<Head>, parameters: Parameters, now: Timestamp) -> Result<Self, Refusal> {
        let key_id = parameters.required(name::ACCESS_KEY_ID)?;
        check_token(key_id, parameters.get(name::SECURITY_TOKEN))?;
        let made = time::near(parameters.required(name::TIMESTAMP)?, now)?;
        check_nonce(parameters.required(name::SIGNATURE_NONCE)?)?;
        exactly(&parameters, name::SIGNATURE_METHOD, rpc::METHOD)?;
        exactly(&parameters, name::SIGNATURE_VERSION, rpc::VERSION)?;
        if parameters.get(name::SIGNATURE_TYPE).is_some() {
            return Err(malformed("SignatureType must be empty: calls are signed with an access key"));
        }
        // One signature has one spelling, so that no reader takes two for different ones.
        let signature = STANDARD.decode(parameters.required(name::SIGNATURE)?).ok();
        let signature =
            signature.and_then(|bytes| <[u8; rpc::LENGTH]>::try_from(bytes).ok()).ok_or_else(|| {
                malformed("Signature must be the 20 bytes of HMAC-SHA1 in base64, then percent-encoded once")
            })?;
        Ok(Self { head: Arc::clone(head), parameters, signature, made })
    }

    /// The parameters.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What its sender can compare with its own steps where the signature is wrong.
    ///
    /// The vendor's older Python, Java and .NET SDKs look for the text to sign behind `server string to sign is:`, to
    /// the end of the message: where it is their own, they say that the secret is wrong, which is the one thing that
    /// the user needs to know. It is the sender's own request, and nothing in it depends on a key. But answers end up
    /// in logs, so it is shown only where none of [`HARMLESS`] is exceeded: a `SecurityToken` or an `ExternalId` is not
    /// repeated to anyone. Then, and where it is long, there is a hash in its place.
    pub(super) fn seen(&self) -> String {
        let text = self.string_to_sign();
        let harmless = self.parameters.all().into_keys().all(|name| HARMLESS.contains(&name));
        if harmless && text.len() <= SHOWN {
            return format!("server string to sign is:{text}");
        }
        let hash = acs3::hex(&acs3::hash(text.as_bytes()));
        // Without any colon in the message, the older Python SDK fails with an IndexError of its own.
        format!("server string to sign is:not shown; it has {} bytes and the SHA-256 {hash}", text.len())
    }

    fn string_to_sign(&self) -> String {
        let query = rpc::canonical_query(self.parameters.all());
        rpc::string_to_sign(self.head.method.as_str(), &query)
    }
}

impl Call for Rpc {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: self.parameters.get(name::ACCESS_KEY_ID).unwrap_or_default(),
            kind: KeyKind::AccessKey,
            token: self.parameters.get(name::SECURITY_TOKEN),
            signature: &self.signature,
            once: Some(self.parameters.get(name::SIGNATURE_NONCE).unwrap_or_default().as_bytes()),
            made: self.made,
            weak: None,
        })
    }

    /// Checks the signature.
    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        key.matches(&self.signature, |secret, right| _ = right(&rpc::digest(secret, &self.string_to_sign())))
    }
}

/// Parameters that never hold a secret.
const HARMLESS: [&str; 15] = [
    name::ACCESS_KEY_ID,
    name::ACTION,
    "DurationSeconds",
    name::FORMAT,
    "Policy",
    "RegionId",
    "RoleArn",
    "RoleSessionName",
    name::SIGNATURE_METHOD,
    name::SIGNATURE_NONCE,
    name::SIGNATURE_TYPE,
    name::SIGNATURE_VERSION,
    "SourceIdentity",
    name::TIMESTAMP,
    name::VERSION,
];

/// The longest text to sign that is shown, in bytes: that of a call with a session policy of ordinary length. Attack: a
/// stranger's request must not be answered with several times what it sent.
const SHOWN: usize = 8192;

fn exactly(parameters: &Parameters, name: &'static str, value: &str) -> Result<(), Refusal> {
    if parameters.required(name)? == value {
        return Ok(());
    }
    Err(malformed(&format!("{name} must be {value}; newer clients sign with ACS3-HMAC-SHA256 in a header")))
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(Reason::MalformedProof, what.to_owned())
}
