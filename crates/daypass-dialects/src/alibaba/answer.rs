//! The success answer: the vendor's `SecurityTokenCredential` in the gateway's envelope.
//!
//! Source: the page of the method. Its samples leave the list wrappers of `resource` and `action` out, for want
//! of an example value; the item name of a list of texts is `string` everywhere on this gateway.

use super::document::{Document, Writer};
use super::policy;
use super::wire::{FIELD_ID, POI_ID, ROOT, TENANT_CODE};
use daypass_core::clock::rfc3339;
use daypass_core::credential::Granted;
use daypass_core::triple::Triple;

/// A credential that was granted.
pub(super) struct Success<'a> {
    /// What was granted.
    pub granted: &'a Granted,
    /// Its id, secret and token.
    pub triple: &'a Triple,
    /// Our id of the request, in the gateway's form.
    pub request_id: &'a str,
}

impl Document for Success<'_> {
    const ROOT: &'static str = ROOT;

    // Never `code`, `msg`, `sub_code`, `sub_msg` or `flag` at the top: the official Java SDK takes them for an
    // error. `request_id` is last.
    fn members<W: Writer>(&self, writer: &mut W) {
        writer.object("result", |writer| self.result(writer));
        writer.literal("resp_code", 200);
        writer.literal("resp_success", true);
        writer.text("resp_request_id", self.granted.correlation.as_deref().unwrap_or(self.request_id));
        writer.text("message", "成功");
        writer.text("request_id", self.request_id);
    }
}

impl Success<'_> {
    /// A member that has no value (an endpoint that the role does not name) is left out, as Java's writers leave
    /// out what is null: an empty text would be taken for an address.
    fn result<W: Writer>(&self, writer: &mut W) {
        let Self { granted, triple, .. } = self;
        writer.text("access_key_id", &triple.id);
        writer.text("access_key_secret", triple.secret.expose_str());
        let product = granted.product.as_ref();
        optional(writer, "product_code", product.map(|p| &p.product_code));
        optional(writer, "end_point_public", granted.answer.get("end_point_public"));
        optional(writer, "scene_code", product.map(|p| &p.scene_code));
        optional(writer, "end_point_internal", granted.answer.get("end_point_internal"));
        writer.text("expiration", rfc3339(granted.expires));
        optional(writer, "tenant_code", granted.variables.get(TENANT_CODE));
        optional(writer, FIELD_ID, granted.variables.get(POI_ID));
        if let Some(granted) = &granted.policy {
            writer.object("policy", |writer| policy::top_shape(granted, writer));
        }
        writer.text("token", &triple.token);
    }
}

fn optional<W: Writer>(writer: &mut W, name: &str, value: Option<&String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        writer.text(name, value);
    }
}
