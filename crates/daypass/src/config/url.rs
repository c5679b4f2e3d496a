//! Origins and our own public address, both exact, and addresses that we fetch from.

use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use std::net::Ipv6Addr;

/// Reads an origin as a browser sends it: scheme, host and a port that is not the scheme's own. It is compared
/// byte by byte with the header `Origin`, so every other way of writing it would silently match nothing.
pub(super) fn origin(text: &str) -> Result<String, Fault> {
    match text {
        "*" => {
            return Err(Fault::new(
                "an origin is exact; `*` would let every page of the web fetch credentials",
            ));
        }
        "null" => {
            return Err(Fault::new(
                "`null` is the origin of every sandboxed frame and local file; it cannot be listed",
            ));
        }
        _ => {}
    }
    let (scheme, rest) = split_scheme(text)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    check_authority(scheme, authority)?;
    if path.is_empty() {
        return Ok(text.to_owned());
    }
    Err(Fault::new("an origin has no path and no final slash")
        .hint(format!("write \"{scheme}://{authority}\"")))
}

/// Reads the address under which clients reach us: scheme, host, port and a path, without a final slash.
pub(super) fn public_url(text: &str) -> Result<String, Fault> {
    let (scheme, rest) = split_scheme(text)?;
    if !["https", "http"].contains(&scheme) {
        return Err(Fault::new(format!("`{scheme}` is neither `https` nor `http`")));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    check_authority(scheme, authority)?;
    if path.ends_with('/') {
        let hint = format!("write \"{}\"", text.trim_end_matches('/'));
        return Err(Fault::new("the public address has no final slash").hint(hint));
    }
    if !is_path(path) {
        return Err(Fault::new(format!(
            "`{path}` is not a plain path: letters, digits and `- . _ ~ /` only"
        )));
    }
    Ok(text.to_owned())
}

/// Reads an address as [`fetched`]. One with a user name in it may have a password there too, and is not shown.
pub(super) fn address(section: Section<'_>, given: Given<&str>) -> Option<Given<String>> {
    if given.value.contains('@') {
        section.notes().hide(given.place);
    }
    section.parsed(given, fetched)
}

/// Reads an address that we fetch from: over TLS, or on this machine, where nobody is on the way.
///
/// Attack: whoever can change such an answer on its way says who our callers are.
pub(super) fn fetched(text: &str) -> Result<String, Fault> {
    let (scheme, rest) = split_scheme(text)?;
    if !["https", "http"].contains(&scheme) {
        return Err(Fault::new(format!("`{scheme}` is neither `https` nor `http`")));
    }
    if text.contains('#') {
        return Err(Fault::new("a fragment, from `#` on, is never sent; leave it out"));
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    check_authority(scheme, authority)?;
    if scheme == "http" && !is_local(text) {
        let fault = Fault::new("over `http` anyone on the way could answer in its place");
        return Err(fault.hint("use https, or an address on this machine, such as http://127.0.0.1:8000"));
    }
    if text.parse::<http::Uri>().is_err() || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            Fault::new(format!("`{text}` is not a URL")).hint("other characters are written as `%` and hex")
        );
    }
    Ok(text.to_owned())
}

/// Whether this is empty or a path of plain characters with no empty, `.` or `..` part, which nothing on the way
/// may rewrite.
pub(super) fn is_path(path: &str) -> bool {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}

/// The host of a URL that was read above; an IPv6 address without its brackets.
pub(super) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (host, _) = split_port(rest.split('/').next()?).ok()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Whether the host of a URL that was read above is this machine.
pub(super) fn is_local(url: &str) -> bool {
    let host = host(url).unwrap_or_default();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn split_scheme(text: &str) -> Result<(&str, &str), Fault> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| Fault::new(format!("`{text}` does not begin with a scheme such as `https://`")))?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(plain) {
        return Err(Fault::new(format!("`{scheme}` is not a scheme in lower case, such as `https`")));
    }
    Ok((scheme, rest))
}

fn check_authority(scheme: &str, authority: &str) -> Result<(), Fault> {
    if authority.contains('@') {
        return Err(Fault::new("an address here has no user name"));
    }
    if authority.contains('*') {
        return Err(
            Fault::new("a host is exact; `*` in it matches nothing").hint("list every host by its name")
        );
    }
    let (host, port) = split_port(authority)?;
    check_host(host)?;
    match (scheme, port) {
        ("https", Some(443)) | ("http", Some(80)) => {
            Err(Fault::new("the scheme's own port is never written out")
                .hint(format!("write \"{scheme}://{host}\"")))
        }
        _ => Ok(()),
    }
}

/// Host and port; the host of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), Fault> {
    let after_address = authority.find(']').map_or(0, |n| n + 1);
    let tail = authority.get(after_address..).unwrap_or_default();
    let Some(colon) = tail.find(':') else { return Ok((authority, None)) };
    let (host, digits) = authority.split_at(after_address + colon);
    let digits = digits.strip_prefix(':').unwrap_or_default();
    let port = digits.parse().ok().filter(|port: &u16| port.to_string() == digits && *port > 0);
    port.map(|port| (host, Some(port))).ok_or_else(|| Fault::new(format!("`{digits}` is not a port")))
}

fn check_host(host: &str) -> Result<(), Fault> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(parsed) if parsed.to_string() == address => Ok(()),
            Ok(parsed) => {
                Err(Fault::new("an address is written in its short form").hint(format!("write [{parsed}]")))
            }
            Err(_) => Err(Fault::new(format!("`{host}` is not an address"))),
        };
    }
    if !host.is_ascii() {
        return Err(
            Fault::new(format!("browsers write `{host}` in punycode")).hint("a name that begins with `xn--`")
        );
    }
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        let hint = format!("write \"{}\"", host.to_ascii_lowercase());
        return Err(Fault::new("a host is written in lower case").hint(hint));
    }
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(Fault::new(format!("`{host}` is not a host")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_origins_are_read() {
        for good in [
            "https://lesson.example.com",
            "http://127.0.0.1:88",
            "http://localhost:8080",
            "https://[::1]:8443",
            "https://xn--fiqs8s.example",
            "capacitor://localhost",
            "http://example.com:443",
        ] {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for bad in [
            "",
            "*",
            "null",
            "https://*.example.com",
            "https://example.com/",
            "https://example.com/app",
            "https://example.com?x",
            "https://example.com:443",
            "http://example.com:80",
            "https://Example.com",
            "HTTPS://example.com",
            "example.com",
            "//example.com",
            "https://",
            "https://a..b",
            "https://u@example.com",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:08",
            "https://example.com:99999",
            "https://exam ple.com",
            "https://中国.example",
            "https://[::0:1]",
            "https://[::1",
            "1http://a",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_public_address_may_have_a_path_and_no_final_slash() {
        for good in
            ["https://pass.example.com", "http://127.0.0.1:5050", "https://example.com:8443/daypass/v1"]
        {
            assert_eq!(public_url(good).as_deref(), Ok(good));
        }
        for bad in [
            "https://example.com/",
            "https://example.com/a//b",
            "https://example.com/../a",
            "https://example.com/?a",
            "https://example.com#a",
            "https://example.com/%41",
            "ftp://example.com",
            "/daypass",
            "https:///a",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_fetched_comes_over_tls_or_from_this_machine() {
        for good in [
            "https://login.example.com/keys?v=2",
            "https://login.example.com:8443",
            "http://127.0.0.1:8000/whoami",
            "http://[::1]:8000/",
            "http://localhost:8000/a%20b",
        ] {
            assert_eq!(fetched(good).as_deref(), Ok(good));
        }
        for bad in [
            "http://login.example.com/keys",
            "http://127.0.0.1.example.com/",
            "https://user:secret@login.example.com/keys",
            "http://user@127.0.0.1:8000/",
            "https://login.example.com/keys#one",
            "https://login.example.com/a b",
            "https://login.example.com/中",
            "https://login.example.com/\r\nx",
            "ftp://login.example.com/",
            "unix:/run/app.sock",
            "/whoami",
            "https://",
        ] {
            assert!(fetched(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_recognised() {
        for local in ["http://127.0.0.1:5050", "http://[::1]:80/x", "http://localhost/x"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["http://localhost.example.com", "http://192.0.2.1", "http://[2001:db8::1]", ""] {
            assert!(!is_local(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", tail in "[a-z.:/@\\[\\]0-9*]{0,20}") {
            for text in [text.clone(), format!("https://{tail}")] {
                let (_, _, _, _) = (origin(&text), public_url(&text), is_local(&text), fetched(&text));
            }
        }
    }
}
