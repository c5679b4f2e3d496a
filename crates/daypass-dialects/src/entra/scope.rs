//! The scope of a client-credentials request: one `{resource}/.default`.

use daypass_core::refusal::{Reason, Refusal};

/// Ends every scope of this grant: all app roles that the client already has on the resource.
const DEFAULT: &str = "/.default";

/// Words that old versions of MSAL for Node add and Entra ignores for this grant.
const IGNORED: [&str; 3] = ["openid", "profile", "offline_access"];

/// A longer scope is not shown back in the error. An App ID URI has at most 255 characters.
const ECHO: usize = 255;

/// The resource that a scope asks for.
pub(super) fn resource(scope: &str) -> Result<String, Refusal> {
    let mut asked = scope.split(' ').filter(|word| !word.is_empty() && !IGNORED.contains(word));
    let (first, more) = (asked.next(), asked.next());
    let Some(one) = first else {
        return Err(not_default("{resource}"));
    };
    if more.is_some() {
        return Err(not_valid("the request names several scopes; ask for one {resource}/.default at a time"));
    }
    // RFC 6749 §3.3. What passes here holds nothing that JSON or a log line would have to escape.
    if !one.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        return Err(not_valid(
            "the scope holds characters that no scope may have; ask for {resource}/.default",
        ));
    }
    match one.strip_suffix(DEFAULT) {
        Some("") => Err(not_valid("the scope names no resource; ask for {resource}/.default")),
        Some(resource) => Ok(resource.to_owned()),
        None => Err(not_default(meant(one))),
    }
}

fn not_valid(detail: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidParameter, detail).parameter("scope")
}

fn not_default(resource: &str) -> Refusal {
    Refusal::new(
        Reason::InvalidScope,
        format!(
            "this grant takes a scope that ends with /.default, and gives all the roles this client has on the resource; \
             ask for {resource}{DEFAULT}"
        ),
    )
    .parameter("scope")
}

/// The resource that a scope without `/.default` probably means: itself where it is a GUID or a URI, otherwise
/// what stands before its last slash, as in `api://orders/orders.read`.
fn meant(scope: &str) -> &str {
    let guess = match scope.rsplit_once('/') {
        Some((before, _)) if !before.is_empty() && !before.ends_with('/') && !before.ends_with(':') => before,
        None if super::place::guid(scope).is_none() => "{resource}",
        _ => scope.trim_end_matches('/'),
    };
    if guess.len() > ECHO || guess.is_empty() { "{resource}" } else { guess }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::RESOURCE;
    use proptest::prelude::*;

    #[test]
    fn the_resource_stands_before_the_last_default() {
        let table = [
            (format!("{RESOURCE}/.default"), RESOURCE),
            ("api://orders/.default".to_owned(), "api://orders"),
            ("https://orders.example//.default".to_owned(), "https://orders.example/"),
            (format!("openid profile offline_access {RESOURCE}/.default"), RESOURCE),
            (format!("  {RESOURCE}/.default  "), RESOURCE),
        ];
        for (scope, expected) in table {
            assert_eq!(resource(&scope).as_deref(), Ok(expected), "{scope}");
        }
    }

    #[test]
    fn what_does_not_end_with_default_learns_what_would_have() {
        let table = [
            (RESOURCE, RESOURCE),
            (&*format!("{RESOURCE}/orders.read"), RESOURCE),
            ("api://orders/orders.read", "api://orders"),
            ("api://orders", "api://orders"),
            ("https://orders.example/", "https://orders.example"),
            ("user.read", "{resource}"),
            ("openid", "{resource}"),
            (" ", "{resource}"),
            ("/", "{resource}"),
            (&*"a/".repeat(200), "{resource}"),
        ];
        for (scope, meant) in table {
            let refusal = resource(scope).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidScope, "{scope}");
            assert!(
                refusal.detail.ends_with(&format!("ask for {meant}/.default")),
                "{scope}: {}",
                refusal.detail
            );
        }
    }

    #[test]
    fn several_or_malformed_scopes_are_another_mistake() {
        for scope in [
            "a/.default b/.default",
            "a/.default a/.default",
            "a/.default x",
            "/.default",
            "a\"/.default",
            "ä/.default",
        ] {
            let refusal = resource(scope).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.parameter.as_deref()),
                (Reason::InvalidParameter, Some("scope")),
                "{scope}"
            );
            assert!(refusal.detail.contains("{resource}/.default"), "{scope}");
        }
    }

    proptest! {
        #[test]
        fn any_scope_gives_a_resource_or_a_refusal_that_needs_no_escape(scope in "\\PC{0,40}") {
            match resource(&scope) {
                Ok(resource) => prop_assert!(scope.contains(&(resource + DEFAULT))),
                Err(refusal) => prop_assert!(refusal.detail.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))),
            }
        }
    }
}
