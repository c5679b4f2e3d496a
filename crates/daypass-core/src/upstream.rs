//! The clouds behind Daypass: what the configuration says of each, and what each can do.

use crate::secret::{Secret, same};
use crate::triple::TripleKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A cloud that makes credentials on a root key of ours.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name that roles call it by.
    pub name: String,
    /// Which cloud, and how it is asked.
    pub cloud: Cloud,
    /// The URL that is asked, `https` or plain `http` on this machine alone. No request leaves for another host.
    pub url: String,
    /// Certificates (PEM) that its TLS certificate is checked against in place of the system's roots.
    pub ca: Option<String>,
    /// Milliseconds that one question may take from beginning to end.
    pub timeout_ms: u32,
    /// How often it may be asked.
    pub budget: Budget,
    /// The account that its credentials must be of, where that can be told; none if any will do.
    pub account: Option<String>,
    /// Where the root key comes from.
    pub root: RootSource,
}

impl Upstream {
    /// Whether this is the very same cloud, asked in the same way with the same key: what is known of one is true of the
    /// other.
    pub fn is(&self, other: &Self) -> bool {
        let Self { name, cloud, url, ca, timeout_ms, budget, account, root } = self;
        (name, cloud, url, ca) == (&other.name, &other.cloud, &other.url, &other.ca)
            && (timeout_ms, budget, account) == (&other.timeout_ms, &other.budget, &other.account)
            && root.is(&other.root)
    }
}

/// Calls that one root key may make on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Calls a second, in the long run.
    pub per_second: u32,
    /// Calls that may be made at once after a quiet time.
    pub burst: u32,
}

/// Where a root key comes from.
#[derive(Clone, Debug)]
pub enum RootSource {
    /// The configuration names a file, a variable or a systemd credential, and this was in it.
    Configured(Arc<RootKey>),
    /// The configuration names a place, and this process has not looked there: it makes no calls.
    Unread,
    /// The store keeps it, sealed, in one of two slots ([`crate::root`]).
    Stored,
}

impl RootSource {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Configured(one), Self::Configured(other)) => one.is(other),
            (Self::Unread, Self::Unread) | (Self::Stored, Self::Stored) => true,
            (Self::Configured(_) | Self::Unread | Self::Stored, _) => false,
        }
    }
}

/// A key of ours at a cloud, opened.
#[derive(Clone)]
pub struct RootKey {
    /// The cloud's id of it: a secret id, an access key id, an app key or a client id. It is no secret.
    pub id: String,
    /// What it proves itself by.
    pub proof: RootProof,
}

/// What a root key proves itself by.
#[derive(Clone)]
pub enum RootProof {
    /// A secret that signs, or is shown.
    Secret(Arc<Secret>),
    /// A private key that signs assertions (Entra's `private_key_jwt`).
    PrivateKey {
        /// PKCS#8 in PEM.
        pem: Arc<Secret>,
        /// The base64url SHA-256 thumbprint of its certificate, by which Entra finds it.
        thumbprint: Option<String>,
    },
}

/// A text that is no root key. It does not say what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a root key is `ID:SECRET` on one line, or JSON: {{\"id\": …, \"secret\": …}} or {{\"id\": …, \"private_key\": PEM, \"thumbprint\": …}}"
)]
pub struct BadRootKey;

/// A root key as JSON says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    secret: Option<Zeroizing<String>>,
    private_key: Option<Zeroizing<String>>,
    thumbprint: Option<String>,
}

impl RootKey {
    /// Whether this is the same key. Where a cloud knows its clients by one id for ever, two keys have the same one.
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id
            && match (&self.proof, &other.proof) {
                (RootProof::Secret(one), RootProof::Secret(other)) => same(one.expose(), other.expose()),
                (
                    RootProof::PrivateKey { pem: one, thumbprint },
                    RootProof::PrivateKey { pem: other, thumbprint: others },
                ) => thumbprint == others && same(one.expose(), other.expose()),
                (RootProof::Secret(_) | RootProof::PrivateKey { .. }, _) => false,
            }
    }

    /// Reads a root key as an operator keeps it: `ID:SECRET` on one line, or a JSON object.
    pub fn parse(text: &Secret) -> Result<Self, BadRootKey> {
        let bytes = text.expose().trim_ascii();
        let (id, proof) = if bytes.starts_with(b"{") {
            let document: Document = serde_json::from_slice(bytes).map_err(|_| BadRootKey)?;
            let proof = match (document.secret, document.private_key, document.thumbprint) {
                (Some(secret), None, None) => RootProof::Secret(held(&secret)?),
                (None, Some(pem), thumbprint) => RootProof::PrivateKey { pem: held(&pem)?, thumbprint },
                _ => return Err(BadRootKey),
            };
            (document.id, proof)
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| BadRootKey)?;
            let (id, secret) = text.split_once(':').ok_or(BadRootKey)?;
            if secret.contains(char::is_control) {
                return Err(BadRootKey);
            }
            (id.to_owned(), RootProof::Secret(held(secret)?))
        };
        // It stands in records, logs and headers.
        let plain = (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if plain { Ok(Self { id, proof }) } else { Err(BadRootKey) }
    }
}

fn held(text: &str) -> Result<Arc<Secret>, BadRootKey> {
    if text.is_empty() { Err(BadRootKey) } else { Ok(Arc::new(Secret::new(text))) }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Which cloud, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Tencent Cloud's STS (API 2018-08-13): `AssumeRole` where the role names one, else `GetFederationToken`.
    Tencent {
        /// `X-TC-Region`.
        region: String,
        /// Whether the body is left out of the signature (`UNSIGNED-PAYLOAD`).
        unsigned_payload: bool,
    },
    /// Alibaba Cloud's STS (API 2015-04-01): `AssumeRole`, signed by ACS3.
    Alibaba,
    /// The TOP method itself, signed by hmac-sha256: a gateway in the middle that feeds the boxes of stores.
    Top,
    /// Microsoft Entra's client credentials, of any authority: China's, the global one, or one of Daypass's.
    Entra {
        /// The tenant in the path: a GUID or a domain.
        tenant: String,
    },
    /// Any other token endpoint for client credentials.
    OAuth(TokenCall),
}

/// How a plain token endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCall {
    /// Where the parameters go.
    pub carrier: TokenCarrier,
    /// The name of the parameter with the root key's id.
    pub id: String,
    /// The name of the parameter with the secret.
    pub secret: String,
    /// Parameters beside these, `grant_type` among them.
    pub parameters: BTreeMap<String, String>,
    /// Each new token kills the one before, as `WeChat`'s does. Then there is one for everyone who asks, and it is asked for
    /// anew only ahead of its end, or when someone says that just this one was refused.
    pub one_live: bool,
}

/// Where the parameters of a token request go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCarrier {
    /// The query of a GET.
    Query,
    /// The form of a POST.
    Form,
    /// The JSON document of a POST.
    Json,
    /// The form of a POST, with id and secret in `Authorization: Basic`.
    Basic,
}

/// What a role says about its upstream issuer. Nothing of it means anything for `local`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brokering {
    /// The cloud's own role to take, by its ARN; none for `GetFederationToken`.
    pub assume: Option<String>,
    /// The OAuth scope to ask for, where it is not `{audience}/.default`.
    pub scope: Option<String>,
    /// Whether all subjects of the role share one credential. Never by default.
    pub shared: bool,
    /// Seconds of life that whatever is handed out has left at least; none for [`MIN_REMAINING`] or a quarter of the
    /// lifetime, whichever is less.
    pub min_remaining: Option<u32>,
}

/// Nothing is handed out with less than this many seconds of life left, where the role says nothing else.
pub const MIN_REMAINING: u32 = 300;

impl Brokering {
    /// Seconds of life that a credential of this lifetime must have left to be handed out.
    pub fn min_remaining(&self, lifetime: u32) -> u32 {
        self.min_remaining.unwrap_or_else(|| MIN_REMAINING.min(lifetime / 4))
    }
}

/// What a cloud can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four questions that an operator asks, each answered by yes or no"
)]
pub struct Capabilities {
    /// What its credentials look like; none for access tokens.
    pub triple: Option<TripleKind>,
    /// Whether a policy can be sent that narrows what it gives.
    pub narrows: bool,
    /// Whether what it gave can be taken back. None of them can: a disabled role stops the next call and no earlier one.
    pub revokes: bool,
    /// Whether a credential's life can be made longer without a new one.
    pub renews: bool,
    /// Whether the lifetime can be asked for. Otherwise the cloud decides.
    pub asks_lifetime: bool,
    /// The shortest lifetime that may be asked for, in seconds.
    pub min_lifetime: u32,
    /// The longest lifetime that may be asked for, in seconds.
    pub max_lifetime: u32,
    /// The longest policy, in bytes as it is sent; none where none is sent.
    pub policy_bytes: Option<usize>,
}

impl Cloud {
    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tencent { .. } => "tencent",
            Self::Alibaba => "alibaba",
            Self::Top => "top",
            Self::Entra { .. } => "entra",
            Self::OAuth(_) => "oauth",
        }
    }

    /// What it can do for a role. Tencent Cloud has two actions, with limits of their own.
    pub fn capabilities(&self, role: &Brokering) -> Capabilities {
        let token = Capabilities {
            triple: None,
            narrows: false,
            revokes: false,
            renews: false,
            asks_lifetime: false,
            min_lifetime: 1,
            max_lifetime: 86_400,
            policy_bytes: None,
        };
        match self {
            Self::Tencent { .. } => Capabilities {
                triple: Some(TripleKind::Tencent),
                narrows: true,
                asks_lifetime: true,
                max_lifetime: if role.assume.is_some() { 43_200 } else { 7_200 },
                policy_bytes: Some(2_048),
                ..token
            },
            Self::Alibaba => Capabilities {
                triple: Some(TripleKind::Alibaba),
                narrows: true,
                asks_lifetime: true,
                min_lifetime: 900,
                max_lifetime: 43_200,
                policy_bytes: Some(2_048),
                ..token
            },
            Self::Top => Capabilities { triple: Some(TripleKind::Alibaba), ..token },
            Self::Entra { .. } | Self::OAuth(_) => token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_life_is_not_all_reserve() {
        let role = Brokering::default();
        assert_eq!(role.min_remaining(7_200), 300);
        assert_eq!(role.min_remaining(900), 225);
        let said = Brokering { min_remaining: Some(60), ..role };
        assert_eq!(said.min_remaining(900), 60);
    }

    #[test]
    fn a_root_key_is_a_line_or_a_document() {
        let read = |text: &str| RootKey::parse(&Secret::new(text));
        let secret = |text: &str| match read(text).unwrap().proof {
            RootProof::Secret(secret) => secret.expose_str().to_owned(),
            RootProof::PrivateKey { .. } => panic!("a private key"),
        };
        assert_eq!(secret("AKIDroot:s3:cret\n"), "s3:cret");
        assert_eq!(secret(r#" {"id":"AKIDroot","secret":"s3cret"} "#), "s3cret");
        let key = read(r#"{"id":"c","private_key":"PEM","thumbprint":"t"}"#).unwrap();
        assert!(matches!(key.proof, RootProof::PrivateKey { thumbprint: Some(t), .. } if t == "t"));
        for bad in [
            "",
            "AKIDroot",
            ":secret",
            "AKID root:secret",
            "AKIDroot:",
            "AKIDroot:a\nb",
            r#"{"id":"a"}"#,
            r#"{"id":"a","secret":""}"#,
            r#"{"id":"a","secret":"b","private_key":"c"}"#,
            r#"{"id":"a","secret":"b","thumbprint":"c"}"#,
            r#"{"id":"a","secret":"b","more":1}"#,
        ] {
            assert_eq!(read(bad).err(), Some(BadRootKey), "{bad}");
        }
    }

    #[test]
    fn a_root_key_shows_its_id_alone() {
        let proof = RootProof::Secret(Arc::new(Secret::new("hidden")));
        let text = format!("{:?}", RootKey { id: "AKIDroot".into(), proof });
        assert!(text.contains("AKIDroot") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn an_upstream_is_the_same_only_if_nothing_of_it_is_another() {
        let key = |text: &str| RootSource::Configured(Arc::new(RootKey::parse(&Secret::new(text)).unwrap()));
        let upstream = || Upstream {
            name: "main".into(),
            cloud: Cloud::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false },
            url: "https://sts.example.com".into(),
            ca: None,
            timeout_ms: 5_000,
            budget: Budget { per_second: 20, burst: 40 },
            account: None,
            root: key("AKIDroot:s3cret"),
        };
        assert!(upstream().is(&upstream()), "read twice, it is the same");
        let document = r#"{"id":"AKIDroot","private_key":"s3cret"}"#;
        for other in [
            Upstream { name: "other".into(), ..upstream() },
            Upstream { cloud: Cloud::Alibaba, ..upstream() },
            Upstream { url: "https://sts.example.org".into(), ..upstream() },
            Upstream { ca: Some("PEM".into()), ..upstream() },
            Upstream { timeout_ms: 5_001, ..upstream() },
            Upstream { budget: Budget { per_second: 20, burst: 41 }, ..upstream() },
            Upstream { account: Some("100000000001".into()), ..upstream() },
            Upstream { root: RootSource::Stored, ..upstream() },
            Upstream { root: key("AKIDother:s3cret"), ..upstream() },
            Upstream { root: key("AKIDroot:s3creT"), ..upstream() },
            Upstream { root: key(document), ..upstream() },
        ] {
            assert!(!upstream().is(&other) && !other.is(&upstream()), "{other:?}");
            assert!(other.is(&other.clone()));
        }
    }
}
