//! One case for each cloud: a world that is authorized something, and what a good and a bad answer are.

mod answers;

use crate::cloud::{Cloud, Wanted, build};
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Hostile, Reply};
use daypass_core::dialect::{Form, Issue, RoleChoice};
use daypass_core::endpoint::Product;
use daypass_core::policy::{Authorized, authorize};
use daypass_core::role::Role;
use daypass_core::secret::Secret;
use daypass_core::testing::{ACME, RESOURCE, World};
use daypass_core::triple::TripleKind;
use daypass_core::upstream::{
    self, Budget, RootKey, RootProof, RootSource, TokenCall, TokenCarrier, Upstream,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use answers::{claims, jwt};

/// A fault of the cloud's own, and what it is.
pub(super) type Own = (&'static str, Act, FaultKind);

/// The role of Alibaba Cloud that is assumed.
pub(super) const ROLE: &str = "acs:ram::100000000009:role/upload";

/// The client id that Entra knows us by.
pub(crate) const CLIENT: &str = "5b0d2f2e-6f0b-4f43-9d1c-3a3f1a6b7c11";

/// A cloud with what it is asked and what it answers.
pub(crate) struct Case {
    /// For messages.
    pub(crate) name: &'static str,
    /// What the configuration says.
    pub(crate) cloud: upstream::Cloud,
    /// The path that it is asked at.
    pub(crate) path: &'static str,
    /// What is wanted.
    pub(crate) wanted: fn(&dyn Cloud) -> Wanted,
    /// Our key.
    pub(crate) key: RootKey,
    /// A right answer to a question of the test world's beginning.
    pub(crate) good: Reply,
    /// Answers that are wrong in this cloud's own ways.
    pub(crate) faults: Vec<Own>,
}

impl Case {
    pub(crate) fn build(&self, hostile: &Hostile, timeout_ms: u32) -> Arc<dyn Cloud> {
        build(&upstream(self.cloud.clone(), &hostile.url(self.path), hostile.authority(), timeout_ms))
            .unwrap()
    }
}

/// What the configuration says of a cloud. Its account is 100000000009, or the tenant of the test world.
pub(crate) fn upstream(
    cloud: upstream::Cloud,
    url: &str,
    ca: Option<&str>,
    timeout_ms: u32,
) -> Arc<Upstream> {
    let account = match cloud {
        upstream::Cloud::Entra { .. } => ACME.to_string(),
        _ => "100000000009".to_owned(),
    };
    Arc::new(Upstream {
        name: "up".into(),
        cloud,
        url: url.into(),
        ca: ca.map(str::to_owned),
        timeout_ms,
        budget: Budget { per_second: 10, burst: 10 },
        account: Some(account),
        root: RootSource::Stored,
    })
}

/// A root key with the secret `root-secret`.
pub(crate) fn key(id: &str) -> RootKey {
    RootKey { id: id.into(), proof: RootProof::Secret(Arc::new(Secret::new("root-secret"))) }
}

/// What the world's client is authorized, after a change to its roles.
pub(crate) fn authorized(change: impl Fn(&mut Role), ask: &Issue) -> Authorized {
    let mut world = World::new();
    for role in &mut world.plan.roles {
        change(Arc::make_mut(role));
    }
    authorize(&world.directory(), &world.caller("AKIDworld"), "/", ask).unwrap_or_else(|r| panic!("{r:?}"))
}

/// An ask for SOE's role.
pub(crate) fn soe() -> Issue {
    Issue::new(RoleChoice::Named("soe".into()), Form::Triple(TripleKind::Tencent))
}

/// An ask for the upload of a store.
pub(crate) fn upload() -> Issue {
    let variables = [("tenant_code", "hema"), ("poi_id", "8005")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let role = RoleChoice::Named("store-upload".into());
    Issue { variables, ..Issue::new(role, Form::Triple(TripleKind::Alibaba)) }
}

/// The same in TOP's words.
pub(crate) fn product() -> Issue {
    let product =
        Product { product_code: "oss".into(), scene_code: "app-upload".into(), usage_scene: "upload".into() };
    Issue { role: RoleChoice::Product { path: "/router/rest".into(), product }, ..upload() }
}

/// An ask for a token.
pub(crate) fn devcenter() -> Issue {
    Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer)
}

/// What a cloud is to be asked for, for this.
pub(crate) fn wanted(cloud: &dyn Cloud, ask: &Issue) -> Wanted {
    let authorized =
        authorized(|role| role.brokering.assume = (role.name == "store-upload").then(|| ROLE.into()), ask);
    cloud.wanted(&authorized).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

pub(crate) fn tencent() -> Case {
    Case {
        name: "tencent",
        cloud: upstream::Cloud::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false },
        path: "/",
        wanted: |cloud| wanted(cloud, &soe()),
        key: key("AKIDroot"),
        good: Reply::json(answers::tencent().to_string()),
        faults: answers::tencent_faults(),
    }
}

pub(crate) fn alibaba() -> Case {
    Case {
        name: "alibaba",
        cloud: upstream::Cloud::Alibaba,
        path: "/",
        wanted: |cloud| wanted(cloud, &upload()),
        key: key("LTAIroot"),
        good: Reply::json(answers::alibaba().to_string()),
        faults: answers::alibaba_faults(),
    }
}

pub(crate) fn top() -> Case {
    let good = Reply::json(answers::top().to_string());
    Case {
        name: "top",
        cloud: upstream::Cloud::Top,
        path: "/router/rest",
        wanted: |cloud| wanted(cloud, &product()),
        key: key("12345678"),
        good: good.header("content-type", "text/javascript;charset=UTF-8"),
        faults: answers::top_faults(),
    }
}

pub(crate) fn entra() -> Case {
    Case {
        name: "entra",
        cloud: upstream::Cloud::Entra { tenant: ACME.to_string() },
        path: "/",
        wanted: |cloud| wanted(cloud, &devcenter()),
        key: key(CLIENT),
        good: Reply::json(answers::entra(|_| ()).to_string()),
        faults: answers::entra_faults(),
    }
}

/// `WeChat`'s way of asking.
pub(crate) fn call(carrier: TokenCarrier) -> TokenCall {
    TokenCall {
        carrier,
        id: "appid".into(),
        secret: "secret".into(),
        parameters: BTreeMap::from([("grant_type".into(), "client_credential".into())]),
        one_live: true,
    }
}

pub(crate) fn oauth() -> Case {
    Case {
        name: "oauth",
        cloud: upstream::Cloud::OAuth(call(TokenCarrier::Query)),
        path: "/cgi-bin/token",
        wanted: |cloud| wanted(cloud, &devcenter()),
        key: key("wx1234567890abcdef"),
        good: Reply::json(answers::oauth().to_string()),
        faults: answers::oauth_faults(),
    }
}

/// A want for an access token.
pub(crate) fn bearer() -> Wanted {
    crate::oauth::any_token()
}
