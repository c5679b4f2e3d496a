//! The address of a request, where it has one reading alone.

use crate::limits;
use crate::refusal::{Reason, Refusal};

/// Host and path of a request, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host in lower case, without a port.
    pub(super) host: String,
    /// The segments of the path. A slash at its end is left out: to many APIs it means nothing.
    pub(super) segments: Vec<String>,
}

/// Characters that may stand in a path as they are, beside letters and digits (RFC 3986, 3.3). Without the semicolon: what
/// stands behind it belongs to the path for some, and to nobody for others (`/public/..;/admin`).
const PLAIN: &[u8] = b"-._~!$&'()*+,=:@";
/// Characters of ASCII that may stand in a path encoded. Without those that mean something to a router or a file system once
/// they are decoded, and without those that nobody needs to encode: `%61dmin` is `admin` to whoever decodes before looking.
const ENCODED: &str = " \"<>^`{|}[]!$&'()*+,=:@";

impl Target {
    /// The host, in lower case and without a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Reads the host and the path with its query, as a proxy passed them on.
    ///
    /// Attack: an address that the proxy, this and the API read differently, so that what is judged is not what is done.
    pub fn read(host: &str, uri: &str) -> Result<Self, Refusal> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        if path.len() > limits::PATH || query.len() > limits::QUERY {
            let detail = format!("a path has at most {} bytes, and a query {}", limits::PATH, limits::QUERY);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        if uri.contains('#') || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ambiguous("the address holds a fragment, or what no address holds"));
        }
        let rest =
            path.strip_prefix('/').ok_or_else(|| ambiguous("the address does not begin with a slash"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let segments = if rest.is_empty() && path == "/" {
            Vec::new()
        } else {
            rest.split('/').map(segment).collect::<Result<_, _>>()?
        };
        Ok(Self { host: self::host(host)?, segments })
    }
}

fn ambiguous(detail: &'static str) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}

/// One host, which may have a port. A list, a name of a user, or a dot at the end are names that others read differently.
fn host(text: &str) -> Result<String, Refusal> {
    let wrong = || ambiguous("the host is not one name with an optional port");
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            rest.split_once(']').map(|(name, port)| (name, port.strip_prefix(':'))).ok_or_else(wrong)?
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let address = text.starts_with('[') && name.parse::<std::net::Ipv6Addr>().is_ok();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let name_fits =
        !text.starts_with('[') && !name.is_empty() && name.bytes().all(plain) && !name.ends_with('.');
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let whole = !text.starts_with('[') || text.ends_with(']') || port.is_some();
    if (address || name_fits) && port_fits && whole { Ok(name.to_ascii_lowercase()) } else { Err(wrong()) }
}

/// Decodes a segment that nobody reads in another way.
fn segment(raw: &str) -> Result<String, Refusal> {
    if raw.is_empty() {
        return Err(ambiguous("the path has an empty segment"));
    }
    if !raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%' || PLAIN.contains(&byte)) {
        return Err(ambiguous("the path holds a character that must not stand there as it is"));
    }
    let text =
        decoded(raw).ok_or_else(|| ambiguous("the path holds an escape that others may read differently"))?;
    // Dots and blanks at the end of a name are nothing to some file systems; `.` and `..` are steps.
    if text.ends_with(['.', ' ']) || text.starts_with(' ') {
        return Err(ambiguous("a segment of the path is a step, or ends with what some leave out"));
    }
    Ok(text)
}

fn decoded(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        let (plain, escapes) = rest.split_at(at);
        text.push_str(plain);
        let mut bytes = Vec::new();
        rest = escapes;
        while let Some(escape) = rest.strip_prefix('%') {
            let digits =
                escape.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = escape.get(2..)?;
        }
        // Overlong forms and halves of characters are no UTF-8.
        let decoded = String::from_utf8(bytes).ok()?;
        if !decoded.chars().all(|c| ENCODED.contains(c) || is_letter(c)) {
            return None;
        }
        text.push_str(&decoded);
    }
    text.push_str(rest);
    Some(text)
}

/// A letter outside ASCII that stays itself: no normal form and no change of case makes ASCII of it, and it is not put
/// together of others. Attack: `U+FF0F`, which is a slash, and `U+017F`, which is an `S`, to whoever normalizes.
pub(super) fn is_letter(c: char) -> bool {
    let listed = matches!(c,
        '\u{c0}'..='\u{ff}' | '\u{391}'..='\u{3ce}' | '\u{410}'..='\u{44f}' | '\u{401}' | '\u{451}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}' | '\u{3005}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let ascii = c.to_lowercase().chain(c.to_uppercase()).any(|c| c.is_ascii());
    listed && c.is_alphabetic() && !ascii
}

/// Without the case of letters.
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(uri: &str) -> Result<Vec<String>, Reason> {
        Target::read("api.example.com", uri).map(|target| target.segments).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn ordinary_addresses_are_read() {
        for (uri, segments) in [
            ("/", &[][..]),
            ("/?a=/x&b=%2e%2e/", &[]),
            ("/orders", &["orders"]),
            ("/orders/", &["orders"]),
            ("/orders/7?a?b", &["orders", "7"]),
            ("/a%20b/%E8%AE%A2%E5%8D%95/caf%C3%A9", &["a b", "订单", "café"]),
            ("/v1/things:batch/me@example.com/(1,2)", &["v1", "things:batch", "me@example.com", "(1,2)"]),
            ("/.well-known/x..y/...a", &[".well-known", "x..y", "...a"]),
            ("/%7Bid%7D/%2B49", &["{id}", "+49"]),
        ] {
            assert_eq!(
                read(uri).as_deref(),
                Ok(segments.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
            );
        }
    }

    /// Ways around some gateway or other that were published.
    const AROUND: &[&str] = &[
        // Steps, plain and encoded once, twice, and by half.
        "/public/../admin",
        "/public/./admin",
        "/..",
        "/.",
        "/public/%2e%2e/admin",
        "/public/.%2e/admin",
        "/public/%2E/admin",
        "/public/%252e%252e/admin",
        "/%2e",
        "/a/..",
        // Parameters of a path, by which Java's containers cut a name short.
        "/public/..;/admin",
        "/admin;/",
        "/admin;x=1",
        "/public;/../admin",
        "/%3b/admin",
        "/a%3Bx",
        // Slashes: doubled, encoded, and the other way round.
        "//admin",
        "/public//admin",
        "/admin//",
        "//",
        "///",
        "/public%2fadmin",
        "/public%2Fadmin",
        "/%2fadmin",
        "/public%252fadmin",
        "/public\\admin",
        "\\admin",
        "/..\\admin",
        "/public%5cadmin",
        "/public%5C..%5Cadmin",
        "/%5c%5cevil.example.com",
        // Ends of strings and lines.
        "/admin%00",
        "/admin%00.json",
        "/admin%0a",
        "/admin%0d%0aX:1",
        "/admin%09",
        "/a%7f",
        "/a%1b",
        // Encodings that are longer than they need to be, or none at all.
        "/%c0%af",
        "/%c0%ae%c0%ae/admin",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%u002fadmin",
        "/%",
        "/%2",
        "/%zz",
        "/%-1",
        "/%+1",
        "/a%",
        "/%ff",
        "/%e8%ae",
        "/%ed%a0%80",
        "/caf%e9",
        "/%ef%bb%bfadmin",
        // Letters that need no escape, and look-alikes that some fold.
        "/%61dmin",
        "/adm%69n",
        "/%41DMIN",
        "/a%2db",
        "/a%5fb",
        "/%7euser",
        "/%31",
        "/%ef%bc%8fadmin",
        "/%ef%bc%8e%ef%bc%8e",
        "/%c5%bf",
        "/%e2%84%aa",
        "/%ef%bd%81dmin",
        "/%e2%88%95admin",
        "/%c3%9f",
        "/e%cc%81",
        "/%f0%9d%90%9adminx",
        // Fragments, and question marks that are part of the path for one and not for the other.
        "/admin#",
        "/public#/../admin",
        "/public?x#y",
        "/public?x y",
        "/public?x\t",
        "/public?x\0",
        "/public?\u{e9}",
        "/public%23admin",
        "/public%3fadmin",
        "/admin%3F",
        // What some leave out at the end of a name.
        "/admin.",
        "/admin%20",
        "/%20admin",
        "/admin...",
        "/admin./x",
        // No path at all.
        "",
        "*",
        "?",
        "?/orders",
        "orders",
        "http://evil.example.com/orders",
        "https:orders",
        "@evil.example.com/",
        "api.example.com:443",
        // Blanks and bytes that no address holds.
        "/a b",
        " /a",
        "/a ",
        "/a\tb",
        "/caf\u{e9}",
        "/a\0",
        "/a\r\nX: 1",
        "/订单",
        // Characters of a URL's own that must be encoded.
        "/a\"b",
        "/a<b",
        "/a^b",
        "/a`b",
        "/a{b}",
        "/a|b",
        "/[x]",
    ];

    #[test]
    fn an_address_with_two_readings_is_refused() {
        for uri in AROUND {
            assert_eq!(read(uri), Err(Reason::Malformed), "{uri:?}");
        }
        assert_eq!(read(&format!("/{}", "a".repeat(limits::PATH))), Err(Reason::TooLarge));
        assert_eq!(read(&format!("/?{}", "a".repeat(limits::QUERY + 1))), Err(Reason::TooLarge));
    }

    #[test]
    fn a_host_is_one_name() {
        let host =
            |text: &str| Target::read(text, "/").map(|target| target.host).map_err(|refusal| refusal.reason);
        for (text, name) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com:8443", "api.example.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:8080", "::1"),
            ("[fd00::A]", "fd00::a"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(name));
        }
        for text in [
            "", ":80", "a,b", "a, b", "a b", "a@b", "u:p@a", "a/b", "a?b", "a#b", "a\\b", "a.", "a.:80",
            "a:", "a:0", "a:x", "a:1:2", "a:99999", "a:+80", "[::1", "::1", "[a]", "[]", "[::1]x", "[::1]:",
            "a_b", "a%2eb", "\u{ff41}", "a\0",
        ] {
            assert_eq!(host(text), Err(Reason::Malformed), "{text:?}");
        }
    }

    #[test]
    fn letters_stay_what_they_are() {
        assert!("é订ひカ한яΩЁ々ー".chars().all(is_letter));
        assert!(
            "/.\u{ff0f}\u{ff41}\u{17f}\u{212a}ß\u{d7}\u{301}\u{37e}\u{1d41a}ﬁ²ª\u{2024}\u{200b}"
                .chars()
                .all(|c| !is_letter(c))
        );
    }

    proptest! {
        /// Whatever is read has one reading: decoded once more it is the same, and it holds nothing that routes.
        #[test]
        fn what_is_read_has_one_reading(uri in "[/a-zA-Z0-9.%;:\\\\?#_~ -]{0,30}", odd in any::<String>()) {
            for uri in [uri, odd] {
                let Ok(segments) = read(&uri) else { continue };
                for segment in &segments {
                    prop_assert!(!segment.is_empty() && segment != "." && segment != "..");
                    prop_assert!(!segment.contains(['/', '\\', '%', ';', '?', '#']) && !segment.contains(char::is_control));
                }
                let path = uri.split('?').next().unwrap_or_default();
                if !path.contains('%') {
                    let again = format!("/{}", segments.join("/"));
                    prop_assert_eq!(again.trim_end_matches('/'), path.trim_end_matches('/'));
                }
            }
        }

        /// An address of plain segments is always read as it stands.
        #[test]
        fn plain_paths_are_read(segments in prop::collection::vec("[a-z0-9_-]{1,8}", 0..6)) {
            prop_assert_eq!(read(&format!("/{}", segments.join("/"))), Ok(segments));
        }
    }
}
