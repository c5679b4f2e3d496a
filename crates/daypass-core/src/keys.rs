//! Making a client's keys, in the shape that each vendor's clients and consoles show, and registering those that it
//! made itself.

mod public;

pub use public::BadPublicKey;

use crate::client::{CertificateRule, Key, KeyKind, Material, NameRule, PublicKey};
use crate::clock::Timestamp;
use crate::directory::{hash_secret, seal_material};
use crate::id::{ALPHANUMERIC, DIGITS, Entropy, random_uuid, text};
use crate::ring::{Purpose, Ring};
use crate::seal::SealFault;
use crate::secret::Secret;
use uuid::Uuid;

/// Characters of a secret: 43 of 62 are just over 256 bits. Letters and digits alone, because credentials are
/// form-encoded, base64-encoded and pasted into shells by clients that do not all agree on how.
const SECRET: usize = 43;

/// How a client secret begins, so that scanners of repositories and logs can recognise one that leaked.
const CLIENT_SECRET_PREFIX: &str = "dp_cs_";

/// The most live keys of one kind that a client may have: the old one and the new one of a rotation.
pub const LIVE: usize = 2;

/// The most live federated subjects of a client. They are no secrets that take turns but places that a workload runs
/// in, such as the clusters of a company, and Entra allows as many.
pub const LIVE_FEDERATED: usize = 20;

/// The most live keys of this kind that a client may have.
pub fn most_live(kind: KeyKind) -> usize {
    if kind == KeyKind::Federated { LIVE_FEDERATED } else { LIVE }
}

/// What sort of secret to make. The other kinds of keys have none: they are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// [`KeyKind::ClientSecret`].
    ClientSecret,
    /// [`KeyKind::Tencent`].
    Tencent,
    /// [`KeyKind::Top`].
    Top,
    /// [`KeyKind::AccessKey`].
    AccessKey,
    /// [`KeyKind::Ticket`].
    Ticket,
}

impl From<SecretKind> for KeyKind {
    fn from(kind: SecretKind) -> Self {
        match kind {
            SecretKind::ClientSecret => Self::ClientSecret,
            SecretKind::Tencent => Self::Tencent,
            SecretKind::Top => Self::Top,
            SecretKind::AccessKey => Self::AccessKey,
            SecretKind::Ticket => Self::Ticket,
        }
    }
}

/// From when until when a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it is made.
    pub created: Timestamp,
    /// When it begins to work; none for at once.
    pub starts: Option<Timestamp>,
    /// When it stops, if it does.
    pub expires: Option<Timestamp>,
}

impl Span {
    /// From now on, without an end.
    pub fn from(created: Timestamp) -> Self {
        Self { created, starts: None, expires: None }
    }
}

/// A new key with its secret, which is shown once and stored only hashed or sealed.
pub struct NewKey {
    /// What is stored.
    pub key: Key,
    /// What the client keeps.
    pub secret: Secret,
}

/// Makes a key with a secret. Its randomness must be the operating system's: it lives long.
pub fn make(
    ring: &Ring,
    kind: SecretKind,
    client: Uuid,
    entropy: &dyn Entropy,
    span: Span,
) -> Result<NewKey, SealFault> {
    let id = match kind {
        SecretKind::Tencent => format!("AKID{}", text(entropy, ALPHANUMERIC, 32)),
        // A number without a leading zero, as the vendor's console shows them.
        SecretKind::Top => format!("{}{}", text(entropy, b"123456789", 1), text(entropy, DIGITS, 9)),
        SecretKind::AccessKey => format!("LTAI{}", text(entropy, ALPHANUMERIC, 20)),
        SecretKind::ClientSecret => random_uuid(entropy).to_string(),
        SecretKind::Ticket => format!("TK{}", text(entropy, ALPHANUMERIC, 20)),
    };
    let mut secret = text(entropy, ALPHANUMERIC, SECRET);
    if kind == SecretKind::ClientSecret {
        secret.insert_str(0, CLIENT_SECRET_PREFIX);
    }
    let material = if kind == SecretKind::ClientSecret {
        let pepper = ring.active(Purpose::Pepper);
        let hash = hash_secret(ring, pepper, client, secret.as_bytes()).ok_or(SealFault::Broken)?;
        Material::Hashed { pepper, hash }
    } else {
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        Material::Sealed(seal_material(ring, &id, secret.as_bytes(), nonce)?)
    };
    let key = key(id, kind.into(), client, last_four(&secret), material, span);
    Ok(NewKey { key, secret: Secret::new(secret) })
}

/// What a client proves itself with that it has made itself, and that holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The public half of what it signs assertions with.
    PublicKey(PublicKey),
    /// How its TLS certificate is known.
    Certificate(CertificateRule),
    /// A subject of an outside provider.
    Federated {
        /// The provider, by its name in the configuration of the tenant.
        provider: String,
        /// The subject; `*` stands for any text.
        subject: String,
    },
}

impl Registration {
    /// The kind of key that it becomes.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::PublicKey(_) => KeyKind::PublicKey,
            Self::Certificate(_) => KeyKind::Certificate,
            Self::Federated { .. } => KeyKind::Federated,
        }
    }

    /// The last four characters of what tells two apart.
    fn hint(&self) -> String {
        last_four(match self {
            Self::PublicKey(public) => public.kid(),
            Self::Certificate(CertificateRule::Pinned { x5t_s256 }) => x5t_s256,
            Self::Certificate(CertificateRule::Named(rule)) => rule.value(),
            Self::Federated { subject, .. } => subject,
        })
    }
}

impl From<Registration> for Material {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::PublicKey(public) => Self::Public(public),
            Registration::Certificate(rule) => Self::Certificate(rule),
            Registration::Federated { provider, subject } => Self::Federated { provider, subject },
        }
    }
}

impl PublicKey {
    /// The id that an assertion may name it by; empty where it has none.
    pub fn kid(&self) -> &str {
        self.jwk.get("kid").and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

impl NameRule {
    /// The method's parameter of RFC 8705 (2.1.2), without `tls_client_auth_`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SubjectDn(_) => "subject_dn",
            Self::SanDns(_) => "san_dns",
            Self::SanUri(_) => "san_uri",
            Self::SanIp(_) => "san_ip",
            Self::SanEmail(_) => "san_email",
        }
    }

    /// The name that the certificate must bear.
    pub fn value(&self) -> &str {
        let (Self::SubjectDn(value)
        | Self::SanDns(value)
        | Self::SanUri(value)
        | Self::SanIp(value)
        | Self::SanEmail(value)) = self;
        value
    }
}

/// Registers what a client has made itself. There is nothing to keep secret.
pub fn register(registration: Registration, client: Uuid, entropy: &dyn Entropy, span: Span) -> Key {
    let (kind, hint) = (registration.kind(), registration.hint());
    key(random_uuid(entropy).to_string(), kind, client, hint, registration.into(), span)
}

fn key(id: String, kind: KeyKind, client: Uuid, hint: String, material: Material, span: Span) -> Key {
    let Span { created, starts, expires } = span;
    Key { id, client, kind, enabled: true, created, starts, expires, hint, material }
}

fn last_four(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(4);
    text.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;
    use crate::testing::{self, START, SeededEntropy};
    use serde_json::json;

    #[test]
    fn keys_have_their_vendors_shape_and_safe_characters() {
        let entropy = SeededEntropy::new(11);
        for (kind, prefix, length) in [
            (SecretKind::Tencent, "AKID", 36),
            (SecretKind::Top, "", 10),
            (SecretKind::AccessKey, "LTAI", 24),
            (SecretKind::ClientSecret, "", 36),
            (SecretKind::Ticket, "TK", 22),
        ] {
            let made = make(&testing::ring(), kind, Uuid::nil(), &entropy, Span::from(START)).unwrap();
            assert!(made.key.id.starts_with(prefix) && made.key.id.len() == length, "{}", made.key.id);
            let secret = made.secret.expose_str();
            assert!(secret.len() >= SECRET && secret.ends_with(&made.key.hint));
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
            assert!(secret.chars().chain(made.key.id.chars()).all(safe));
            assert!(!format!("{:?}", made.key).contains(secret), "only hashed or sealed");
            assert_eq!(made.key.kind, kind.into());
        }
    }

    #[test]
    fn what_a_client_made_itself_is_kept_as_it_is() {
        let public = PublicKey { jwk: json!({"kty": "OKP", "kid": "key-2026"}), x5t: None, x5t_s256: None };
        let named = CertificateRule::Named(NameRule::SanDns("a.b".into()));
        let federated =
            || Registration::Federated { provider: "k8s".into(), subject: "ns:\u{e4}\u{e4}".into() };
        for (registration, kind, hint) in [
            (Registration::PublicKey(public), KeyKind::PublicKey, "2026"),
            (Registration::Certificate(named), KeyKind::Certificate, "a.b"),
            (federated(), KeyKind::Federated, "s:\u{e4}\u{e4}"),
        ] {
            let span =
                Span { starts: Some(after(START, 5)), expires: Some(after(START, 9)), ..Span::from(START) };
            let key = register(registration.clone(), Uuid::nil(), &SeededEntropy::new(1), span);
            assert_eq!((key.kind, &*key.hint, &key.material), (kind, hint, &registration.into()));
            assert!(Uuid::try_parse(&key.id).is_ok() && key.enabled);
            assert_eq!([4, 5, 8, 9].map(|s| key.live(after(START, s))), [false, true, true, false]);
        }
        assert_eq!((most_live(KeyKind::PublicKey), most_live(KeyKind::Federated)), (2, 20));
    }
}
