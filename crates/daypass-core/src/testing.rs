//! A fixed clock, seeded randomness, a store in memory and a small world, for tests of this crate and of others.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot be made should end the test there"
)]

mod identity;
mod oauth;
mod rows;
mod store;

pub use identity::{NoIdentity, OneProvider, provider_keys, provider_signer};
pub use oauth::{client_assertion, client_signer, oauth_key, public_key};
pub use rows::{Rows, chain_part, ring_part};
pub use store::MemoryStore;

use crate::caller::{Caller, How, Proof};
use crate::client::{Client, Grant, Key, KeyKind, Material, Refuses, Tenant};
use crate::clock::{Clock, Timestamp, after};
use crate::credential::Credential;
use crate::cutoff::Cutoff;
use crate::dialect::Form;
use crate::directory::{Certificates, Directory, Plan, hash_secret, seal_material};
use crate::endpoint::{CallerRule, DialectName, Endpoint, Product, Quota, Route, Shape, Whence};
use crate::id::{Draw, Entropy};
use crate::issuer::{Issued, Issuer};
use crate::policy::{Authorized, Effect, Language, Pattern, Policy, Statement, Template, VariableType};
use crate::quota::{Bounds, Limit};
use crate::refusal::Refusal;
use crate::request::{Head, Request};
use crate::ring::{Kek, Purpose, Ring, RingRow, Rotation};
use crate::role::{Algorithm, Lifetime, Profile, Role, TokenVersion};
use crate::triple::{self, Claims};
use crate::upstream::Brokering;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

pub use crate::clock::before;

/// 2023-11-14T22:13:20Z, the instant of the signature vectors.
pub const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// A clock that stands still until it is moved.
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Stands at this time.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_millisecond()))
    }
    /// Moves by so many milliseconds.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
    /// Moves to this time.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millisecond(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(START)
    }
}

/// A generator that repeats for a seed (`SplitMix64`). Never for anything but tests.
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// Begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z =
                self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The seal key of the test ring.
pub fn kek() -> Kek {
    Kek::new(&[42; 32]).expect("32 bytes")
}

/// One ring for the whole test process: making an RSA key takes long.
static ROWS: LazyLock<Vec<RingRow>> =
    LazyLock::new(|| Ring::generate(&kek(), &SeededEntropy::new(42), START).expect("a ring"));

/// The stored rows of the test ring.
pub fn ring_rows() -> Vec<RingRow> {
    ROWS.clone()
}

/// The test ring.
pub fn ring() -> Arc<Ring> {
    static RING: LazyLock<Arc<Ring>> =
        LazyLock::new(|| Arc::new(Ring::open(&ROWS, &kek()).expect("it opens")));
    RING.clone()
}

/// A request with these parts, from 192.0.2.1 at [`START`].
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
    }
    Request {
        head: Arc::new(Head {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            peer: None,
            request_id: Uuid::from_u128(0x59a5_e07e_4147_4d2e_a808_dca7_6ac5_b3fd),
            received: START,
        }),
        body: Bytes::copy_from_slice(body),
    }
}

/// A policy with one allowing statement.
pub fn allow(language: Language, action: &str, resource: &str) -> Policy {
    let statement = Statement {
        effect: Effect::Allow,
        actions: vec![Pattern::parse(action)],
        resources: vec![Pattern::parse(resource)],
        conditions: vec![],
    };
    Policy { language, statements: vec![statement] }
}

/// Tenants `acme` and `other`, three roles, one client with a key of each kind, and an endpoint of each dialect.
pub struct World {
    /// What the configuration would say.
    pub plan: Plan,
    /// The client of `acme`.
    pub client: Client,
    /// Its keys: `AKIDworld`, `12345678` (TOP), one client secret and `LTAIworld` (Alibaba Cloud). The secret of a
    /// key is `secret of ` and its id.
    pub keys: Vec<Key>,
    /// Further clients, none at first.
    pub others: Vec<Client>,
    /// Cut-offs, none at first.
    pub cutoffs: Vec<Cutoff>,
}

/// The guid of the tenant `acme`: that of the demo configuration.
pub const ACME: Uuid = Uuid::from_u128(0x387c_56a8_cf86_45de_b9f5_b4de_88ca_c054);
/// The OAuth resource of the role `devcenter`.
pub const RESOURCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// The world as it begins.
    pub fn new() -> Self {
        let tenant = |name: &str, guid, account: &str| {
            Arc::new(Tenant {
                name: name.into(),
                guid,
                account: account.into(),
                boundary: None,
                boundary_warn: None,
                limits: Bounds::default(),
            })
        };
        let client = Client {
            guid: Uuid::from_u128(0x0d1f_6f0e_6f0b_4f43_9d1c_3a3f_1a6b_7c11),
            object: Uuid::from_u128(0x0b0b),
            tenant: "acme".into(),
            name: "app".into(),
            enabled: true,
            default_role: Some("soe".into()),
            grants: vec![
                Grant::of("soe"),
                Grant {
                    role: "store-upload".into(),
                    bind: [
                        ("tenant_code".to_owned(), vec!["hema".to_owned()]),
                        ("poi_id".to_owned(), vec!["8005".to_owned(), "8006".to_owned()]),
                    ]
                    .into(),
                    lifetime: None,
                },
                Grant::of("devcenter"),
            ],
            audiences: vec![],
            boundary: None,
            boundary_warn: None,
            limit: Limit::default(),
            refuses: Refuses::default(),
            created: START,
        };
        let keys = vec![
            signing_key("AKIDworld", KeyKind::Tencent, client.guid),
            signing_key("12345678", KeyKind::Top, client.guid),
            secret_key(Uuid::from_u128(0x5ec), client.guid),
            signing_key("LTAIworld", KeyKind::AccessKey, client.guid),
        ];
        Self {
            plan: Plan {
                public_url: "http://127.0.0.1:5050".into(),
                mutual_tls_url: None,
                certificates: Certificates::Unseen,
                tenants: vec![
                    tenant("acme", ACME, "100000000001"),
                    tenant("other", Uuid::from_u128(0x07e4), "100000000002"),
                ],
                roles: roles(),
                endpoints: endpoints(),
                forward: vec![],
                providers: vec![],
                upstreams: vec![],
                refuses: Refuses::default(),
                rotation: Rotation::default(),
                limits: Bounds::default(),
                in_flight: None,
                guesses_unbounded: false,
            },
            client,
            others: vec![],
            keys,
            cutoffs: vec![],
        }
    }

    /// The snapshot of this world.
    pub fn directory(&self) -> Directory {
        Directory::new(
            Arc::new(self.plan.clone()),
            ring(),
            [&self.client].into_iter().chain(&self.others).cloned().collect(),
            self.keys.clone(),
            self.cutoffs.clone(),
        )
        .expect("a directory")
    }

    /// The world's client, as a caller that has proved itself with the key of this id.
    pub fn caller(&self, key: &str) -> Caller {
        let proof = Proof::Key {
            client: Arc::new(self.client.clone()),
            key: key.to_owned(),
            weak: None,
            how: How::Signature,
        };
        Caller::for_test(self.plan.tenants[0].clone(), proof)
    }
}

/// A signing key of this id, whose secret is `secret of ` and the id.
pub fn signing_key(id: &str, kind: KeyKind, client: Uuid) -> Key {
    let sealed = seal_material(&ring(), id, format!("secret of {id}").as_bytes(), [1; 12]).expect("sealed");
    key(id, kind, client, Material::Sealed(sealed))
}

/// A client secret of this id, whose secret is `secret of ` and the id.
pub fn secret_key(id: Uuid, client: Uuid) -> Key {
    let pepper = ring().active(Purpose::Pepper);
    let hash = hash_secret(&ring(), pepper, client, format!("secret of {id}").as_bytes()).expect("hashed");
    key(&id.to_string(), KeyKind::ClientSecret, client, Material::Hashed { pepper, hash })
}

fn key(id: &str, kind: KeyKind, client: Uuid, material: Material) -> Key {
    Key {
        id: id.to_owned(),
        client,
        kind,
        enabled: true,
        created: START,
        starts: None,
        expires: None,
        hint: id.chars().rev().take(4).collect::<String>().chars().rev().collect(),
        material,
    }
}

fn roles() -> Vec<Arc<Role>> {
    let base = Role {
        tenant: "acme".into(),
        name: "soe".into(),
        issuer: "local".into(),
        lifetime: Lifetime { default: 1800, max: 7200 },
        variables: BTreeMap::new(),
        policy: None,
        policy_warn: None,
        answer: BTreeMap::new(),
        audience: None,
        identifiers: vec![],
        app_roles: vec![],
        version: TokenVersion::V2,
        profile: Profile::Entra,
        claims: BTreeMap::new(),
        algorithm: Algorithm::Rs256,
        external_id: None,
        trusts: vec![],
        brokering: Brokering::default(),
    };
    let template = |policy, variables: &BTreeMap<String, VariableType>| {
        Some(Template::new(policy, variables).expect("a template"))
    };
    let variables: BTreeMap<_, _> =
        [("tenant_code".to_owned(), VariableType::Slug), ("poi_id".to_owned(), VariableType::Slug)].into();
    let soe = Role {
        policy: template(allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*"), &BTreeMap::new()),
        ..base.clone()
    };
    let upload = Role {
        name: "store-upload".into(),
        lifetime: Lifetime { default: 3600, max: 43_200 },
        policy: template(
            allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"),
            &variables,
        ),
        variables,
        answer: [
            ("end_point_public", "https://oss-cn-hangzhou.aliyuncs.com"),
            ("end_point_internal", "https://oss-cn-hangzhou-internal.aliyuncs.com"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into(),
        ..base.clone()
    };
    let devcenter = Role {
        name: "devcenter".into(),
        lifetime: Lifetime { default: 3600, max: 3600 },
        audience: Some(RESOURCE.into()),
        app_roles: vec!["orders.read".into()],
        algorithm: Algorithm::Es256,
        ..base
    };
    [soe, upload, devcenter].map(Arc::new).to_vec()
}

fn endpoints() -> Vec<Arc<Endpoint>> {
    let base = Endpoint {
        dialect: DialectName::TencentGetAuthorization,
        path: "/getAuthorization".into(),
        tenant: "acme".into(),
        role: Some("soe".into()),
        origins: vec!["http://127.0.0.1:88".into()],
        callers: vec![CallerRule::Anonymous { reason: "a test".into(), whence: Whence::Anywhere }],
        quota: Quota::default(),
        limits: Bounds::default(),
        shape: Shape::default(),
        routes: vec![],
        boundary: None,
        boundary_warn: None,
    };
    let top = Endpoint {
        dialect: DialectName::AlibabaTop,
        path: "/router/rest".into(),
        role: None,
        origins: vec![],
        callers: vec![],
        routes: vec![Route {
            product: Product {
                product_code: "oss".into(),
                scene_code: "app-upload".into(),
                usage_scene: "upload".into(),
            },
            role: "store-upload".into(),
        }],
        ..base.clone()
    };
    vec![Arc::new(base), Arc::new(top)]
}

/// The least that an issuer can be: makes triples of the form that was asked for, and counts them.
#[derive(Default)]
pub struct TripleIssuer(AtomicUsize);

impl TripleIssuer {
    /// How many it has made.
    pub fn made(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Issuer for TripleIssuer {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let Form::Triple(kind) = authorized.form() else {
            return Err(Refusal::internal("this test issuer makes triples only"));
        };
        self.0.fetch_add(1, Ordering::SeqCst);
        let triple = triple::make(directory.ring(), kind, &Claims::of(authorized, draw)?, draw)?;
        Ok(Issued::ours(Credential::Triple(triple), authorized, draw))
    }
}

/// A lifetime later, for tests that wait for an expiry.
pub fn later(seconds: u32) -> Timestamp {
    after(START, seconds)
}
