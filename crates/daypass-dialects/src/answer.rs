//! Answers in JSON.

use bytes::Bytes;
use daypass_core::request::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;

/// The content type, without a charset: Tencent's Python SDK compares with `==`, and given another one it takes every
/// refusal for a success whose fields are all null.
const JSON: &str = "application/json";

/// An answer with this document: never kept by a cache, never taken for anything but JSON.
pub(crate) fn json(document: &impl Serialize) -> Response {
    // Large enough for a common token, so that the buffer does not grow while it is written.
    let mut body = Vec::with_capacity(1024);
    // Writing plain structs into memory cannot fail; an empty body would be all that is left to say.
    let _ = serde_json::to_writer(&mut body, document);
    let mut response = Response::new(Bytes::from(body));
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value| _ = headers.insert(name, HeaderValue::from_static(value));
    put(CONTENT_TYPE, JSON);
    put(CACHE_CONTROL, "no-store");
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_json_and_nothing_else() {
        let response = json(&serde_json::json!({ "a\"": "b\n" }));
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.body().as_ref(), br#"{"a\"":"b\n"}"#);
    }
}
