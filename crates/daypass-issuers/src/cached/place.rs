//! Who may have the same credential: a mark that two requests share when one could be given what the other got.

use aws_lc_rs::hmac;
use daypass_core::directory::Directory;
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::replay::Mark;
use daypass_core::ring::Purpose;
use daypass_core::upstream::{Cloud, Upstream};
use std::collections::BTreeMap;

/// Keeps these marks apart from those of requests, which the same key makes.
const LABEL: &str = "daypass held v1";

/// Whether this cloud has one live token at a time, so that there is one for everyone.
pub(super) fn one_live(upstream: &Upstream) -> bool {
    matches!(&upstream.cloud, Cloud::OAuth(call) if call.one_live)
}

/// Whether others than the asker have the same credential. Of visitors whom nobody knows, none can be told from another.
pub(super) fn shared(upstream: &Upstream, authorized: &Authorized) -> bool {
    let nobody = authorized.client().is_none() && authorized.subject().is_none();
    one_live(upstream) || authorized.brokering().shared || nobody
}

/// The place of what this request may have. A keyed hash, so that a stolen database confirms no guess about who asked for
/// what.
///
/// Attack: whoever brings two different asks to one place gets what the other was given. So everything that the cloud is
/// asked by goes in, each part with its length in front, and with whoever it is for, unless the role says that its subjects
/// share. The key and the endpoint that were asked at are no part of it: they stand in the sheet, so that it falls with
/// them.
pub(super) fn of(
    directory: &Directory,
    upstream: &Upstream,
    authorized: &Authorized,
) -> Result<Mark, Refusal> {
    let ring = directory.ring();
    let key = ring.mac(Purpose::Replay, ring.active(Purpose::Replay));
    let key = key.ok_or_else(|| Refusal::internal("no replay key"))?;
    // Of the one that everybody has nothing is to be guessed. While the ring is changed, nodes with the old key and nodes
    // with the new one would have two places, and kill each other's tokens.
    let nobodys = hmac::Key::new(hmac::HMAC_SHA256, LABEL.as_bytes());
    let mut fields = Fields(hmac::Context::with_key(if one_live(upstream) { &nobodys } else { key }));
    fields.text(LABEL);
    // An issuer that is pointed elsewhere by a new configuration is another one.
    fields.text(&upstream.name).text(upstream.cloud.name()).text(&upstream.url);
    fields.maybe(upstream.account.as_deref());
    match &upstream.cloud {
        Cloud::Entra { tenant } => fields.text(tenant),
        Cloud::OAuth(call) => fields.text(&call.id).map(&call.parameters),
        Cloud::Tencent { .. } | Cloud::Alibaba | Cloud::Top => &mut fields,
    };
    if !one_live(upstream) {
        what(&mut fields, authorized)?;
        if !authorized.brokering().shared {
            whose(&mut fields, authorized);
        }
    }
    fields.0.sign().as_ref().first_chunk().copied().ok_or_else(|| Refusal::internal("a short mark"))
}

/// Everything that decides what the cloud is asked for.
fn what(fields: &mut Fields, authorized: &Authorized) -> Result<(), Refusal> {
    let brokering = authorized.brokering();
    fields.text("what").text(&authorized.tenant().name).text(authorized.role());
    fields.text(&format!("{:?} {:?}", authorized.form(), authorized.kind()));
    fields.bytes(&authorized.lifetime().to_be_bytes());
    fields.maybe(brokering.assume.as_deref()).maybe(brokering.scope.as_deref());
    fields.maybe(authorized.audience()).maybe(authorized.resource());
    fields.list(authorized.app_roles());
    fields.maybe(authorized.session()).maybe(authorized.source_identity());
    fields.map(authorized.tags()).map(authorized.variables());
    let policy = authorized.policy().map(serde_json::to_string).transpose().map_err(Refusal::internal)?;
    fields.maybe(policy.as_deref());
    if let Some(product) = authorized.product() {
        fields.text(&product.product_code).text(&product.scene_code).text(&product.usage_scene);
    }
    Ok(())
}

/// Whom it is for.
fn whose(fields: &mut Fields, authorized: &Authorized) {
    fields.text("whose");
    fields.maybe(authorized.client().map(|guid| guid.to_string()).as_deref());
    fields.maybe(authorized.via()).maybe(authorized.subject());
    if let Some(behalf) = authorized.behalf() {
        fields.bytes(behalf.client.as_bytes()).bytes(behalf.origin.as_bytes());
    }
}

/// Parts of a mark, none of which can run into the next.
struct Fields(hmac::Context);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// What is not there is not what is empty.
    fn maybe(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text("+").text(text),
            None => self.text("-"),
        }
    }

    fn list(&mut self, texts: &[String]) -> &mut Self {
        self.bytes(&(texts.len() as u64).to_be_bytes());
        for text in texts {
            self.text(text);
        }
        self
    }

    fn map(&mut self, map: &BTreeMap<String, String>) -> &mut Self {
        self.bytes(&(map.len() as u64).to_be_bytes());
        for (name, value) in map {
            self.text(name).text(value);
        }
        self
    }
}
