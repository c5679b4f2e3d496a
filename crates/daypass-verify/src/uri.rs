//! Whether two URLs are one, for `htu` of a DPoP proof (RFC 9449, section 4.3).

use url::Url;

/// A URL without query and fragment, in its normal form (RFC 3986, sections 6.2.2 and 6.2.3): scheme and host in lower
/// case, no default port, no dot segments, escapes only where they are needed and in capitals. None where it is not
/// http or https, or carries a user name.
pub(crate) fn normal(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    let origin = url.origin().ascii_serialization();
    Some(format!("{origin}{}", escapes(url.path())?))
}

/// A path with its escapes in one form. None where an escape is none.
fn escapes(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next()?);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_url_are_one() {
        let one = normal("https://api.example.com/orders/a~b").unwrap();
        for other in [
            "HTTPS://API.example.com:443/orders/a~b",
            "https://api.example.com/orders/a%7Eb",
            "https://api.example.com/orders/a%7eb?x=1#y",
            "https://api.example.com/x/../orders/./a~b",
        ] {
            assert_eq!(normal(other).as_deref(), Some(one.as_str()), "{other}");
        }
        assert_eq!(normal("http://h"), normal("http://h:80/"));
        assert_eq!(normal("http://h/%c3%bc"), normal("http://h/%C3%BC"));
    }

    #[test]
    fn what_differs_stays_different() {
        let all = [
            "https://h/a",
            "http://h/a",
            "https://h:8443/a",
            "https://h/A",
            "https://h/a/",
            "https://h/a%2Fb",
            "https://h/a/b",
            "https://h2/a",
        ];
        for (n, one) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                assert_ne!(normal(one).unwrap(), normal(other).unwrap());
            }
        }
        for none in
            ["", "/a", "h/a", "ftp://h/a", "https://u@h/a", "https://h/a%2", "https://h/%zz", "https://h/%+1"]
        {
            assert_eq!(normal(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_normal(text: String, path in "[a-z%0-9/.~]*") {
            let _ = normal(&text);
            if let Some(once) = normal(&format!("https://h/{path}")) {
                prop_assert_eq!(normal(&once), Some(once.clone()));
            }
        }
    }
}
