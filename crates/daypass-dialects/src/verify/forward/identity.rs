//! Who sent a request, in headers for the API behind the proxy.

use daypass_core::clock::Timestamp;
use daypass_core::forward::Shows;
use daypass_core::verification::Recognized;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;
use uuid::Uuid;

/// The headers of every answer that lets a request through. Each of them is always there and never empty, so that none that
/// the sender made up is left standing.
///
/// Attack: a proxy that copies only what is there, or only what is not empty, and leaves the sender's own in its place.
pub const IDENTITY: [&str; 11] = [
    "x-daypass-tenant",
    "x-daypass-kind",
    "x-daypass-client",
    "x-daypass-key",
    "x-daypass-role",
    "x-daypass-session",
    "x-daypass-subject",
    "x-daypass-roles",
    "x-daypass-expires",
    "x-daypass-scheme",
    "x-daypass-request-id",
];

/// Stands for what there is none of.
const NONE: &str = "-";

/// Writes them all.
pub(super) fn write(headers: &mut HeaderMap, found: &Recognized, shows: Shows, request_id: Uuid) {
    let values = [
        Some(found.tenant.clone()),
        Some(found.kind.name().to_owned()),
        found.client.map(|client| client.to_string()),
        Some(found.key.clone()),
        found.role.clone(),
        found.session.clone(),
        found.subject.clone(),
        (!found.app_roles.is_empty()).then(|| found.app_roles.join(" ")),
        found.expires.map(|end| Timestamp::as_second(end).to_string()),
        Some(shows.name().to_owned()),
        Some(request_id.to_string()),
    ];
    for (name, value) in IDENTITY.into_iter().zip(values) {
        let value = HeaderValue::from_str(&value.as_deref().map_or_else(|| NONE.to_owned(), written));
        headers.insert(HeaderName::from_static(name), value.unwrap_or(HeaderValue::from_static(NONE)));
    }
}

/// Visible ASCII and single blanks between as they are; all else as the escapes of a URL, and so is what would be taken for
/// [`NONE`].
fn written(text: &str) -> String {
    if text == NONE || text.is_empty() {
        return "%2D".repeat(text.len());
    }
    let mut out = String::with_capacity(text.len());
    let last = text.len() - 1;
    for (n, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_graphic() && !b"%,\"".contains(&byte) || byte == b' ' && n > 0 && n < last;
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_one_line_and_never_that_of_none() {
        for (text, value) in [
            ("ann", "ann"),
            ("orders.read orders.write", "orders.read orders.write"),
            ("-", "%2D"),
            ("--", "--"),
            ("a\r\nX-Daypass-Role: admin", "a%0D%0AX-Daypass-Role: admin"),
            ("安", "%E5%AE%89"),
            ("100%", "100%25"),
            (" a ", "%20a%20"),
            ("a,b", "a%2Cb"),
        ] {
            assert_eq!(written(text), value);
        }
    }

    proptest! {
        #[test]
        fn every_value_fits_a_header_and_leads_back(text in ".{1,40}") {
            let value = written(&text);
            prop_assert!(HeaderValue::from_str(&value).is_ok() && value.trim() == value && value != NONE);
            let back = crate::basic::decode(value.replace('+', "%2B").as_bytes()).and_then(|back| String::from_utf8(back).ok());
            prop_assert_eq!(back, Some(text));
        }
    }
}
