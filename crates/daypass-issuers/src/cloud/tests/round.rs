//! The cloud is Daypass itself: a request that was caught goes through one of our own dialects, its proof is verified, and the
//! answer goes back. Nothing of a request is made up here.

use crate::cloud::{BadUpstream, Cloud, Fetched, Parts, Wanted, build};
use crate::fault::Fault;
use crate::local::Local;
use crate::testing::hostile::{Act, Asked, Hostile, Reply};
use daypass_core::dialect::Dialect;
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::Pipeline;
use daypass_core::secret::Secret;
use daypass_core::testing::{
    FixedClock, MemoryStore, NoIdentity, START, SeededEntropy, World, request, ring,
};
use daypass_core::triple::{self, Claims};
use daypass_core::upstream::{self, RootKey, RootProof, Upstream};
use std::collections::HashMap;
use std::sync::Arc;

/// What no other question has.
pub(crate) const ONCE: [u8; 16] = *b"once and no more";

/// A cloud in front of a world.
pub(crate) struct Round<D: Dialect> {
    pub(crate) world: World,
    pub(crate) hostile: Hostile,
    pub(crate) cloud: Arc<dyn Cloud>,
    dialect: D,
    pipeline: Pipeline,
}

impl<D: Dialect> Round<D> {
    pub(crate) async fn new(dialect: D, kind: upstream::Cloud, path: &str) -> Self {
        let hostile = Hostile::plain(Act::HangUp).await;
        let mut world = World::new();
        world.plan.public_url = hostile.url("");
        let cloud = build(&for_world(&kind, &hostile.url(path))).unwrap_or_else(|bad| panic!("{bad}"));
        let issuers = HashMap::from([("local".to_owned(), Arc::new(Local::new()) as Arc<dyn Issuer>)]);
        let pipeline = Pipeline::new(
            Arc::new(FixedClock::new(START)),
            Arc::new(SeededEntropy::new(7)),
            Arc::new(MemoryStore::new()),
            issuers,
            Arc::new(NoIdentity),
        );
        Self { world, hostile, cloud, dialect, pipeline }
    }

    /// The key of the world's client with this id.
    pub(crate) fn key(id: &str) -> RootKey {
        let secret = Secret::new(format!("secret of {id}"));
        RootKey { id: id.into(), proof: RootProof::Secret(Arc::new(secret)) }
    }

    /// What our dialect answers to what was asked last.
    async fn answer(&self) -> Reply {
        let asked = self.hostile.asked().pop().unwrap();
        let response =
            self.pipeline.answer(&self.dialect, &self.world.directory(), incoming(&asked)).await.response;
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        Reply::json(response.body().to_vec()).status(response.status().as_u16()).header("content-type", &kind)
    }

    /// Asks once so that the request is caught, and once more for the answer: the same key, time and nonce make the same
    /// request.
    pub(crate) async fn fetch(&self, wanted: &Wanted, key: &RootKey) -> Result<Fetched, Fault> {
        self.hostile.does(Act::HangUp);
        let caught = self.cloud.fetch(wanted, key, START, ONCE).await;
        assert!(caught.is_err());
        self.hostile.does(Act::Answer(self.answer().await));
        self.cloud.fetch(wanted, key, START, ONCE).await
    }

    pub(crate) async fn canary(&self, key: &RootKey) -> Result<Option<String>, Fault> {
        let once = [9; 16];
        self.hostile.does(Act::HangUp);
        assert!(self.cloud.canary(key, START, once).await.is_err());
        self.hostile.does(Act::Answer(self.answer().await));
        self.cloud.canary(key, START, once).await
    }
}

/// The world's own account.
fn for_world(kind: &upstream::Cloud, url: &str) -> Arc<Upstream> {
    let mut upstream = (*super::upstream(kind.clone(), url, None, 10_000)).clone();
    if !matches!(kind, upstream::Cloud::Entra { .. }) {
        upstream.account = Some("100000000001".into());
    }
    Arc::new(upstream)
}

/// What was caught, as our server would hand it on.
fn incoming(asked: &Asked) -> daypass_core::request::Request {
    let headers: Vec<_> = asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    request(&asked.method, &asked.target, &headers, &asked.body)
}

/// What the token of a triple that came says; its secret must be that of its id and token.
pub(crate) fn opened(fetched: &Fetched) -> Claims {
    let Parts::Triple { id, secret, token } = &fetched.parts else { panic!("a triple") };
    let opened =
        triple::open(&ring(), id, token.expose_str()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(opened.secret.expose(), secret.expose());
    opened.claims
}

/// The text of a bad configuration.
pub(crate) fn refused(kind: &upstream::Cloud, url: &str) -> Option<BadUpstream> {
    build(&for_world(kind, url)).err()
}
