//! `multipart/form-data`, read strictly and in place.
//!
//! Only text parts are parameters. A part with a file name is a file: TOP neither signs it nor does this method
//! use it, so it is passed over. Whatever this reader and a client's writer could understand differently is
//! refused, because what is verified must be what is used.

use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};

/// The longest boundary of RFC 2046, section 5.1.1.
const BOUNDARY: usize = 70;

/// Calls `each` with the name and the bytes of every text part, in order.
pub(super) fn text_parts<'a>(
    body: &'a [u8],
    boundary: &str,
    mut each: impl FnMut(&[u8], &'a [u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let delimiter = ["\r\n--", boundary].concat().into_bytes();
    // The official Java SDK begins with an empty line, all others with the boundary itself.
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let opening = delimiter.get(2..).unwrap_or_default();
    let mut rest = body.strip_prefix(opening).ok_or_else(|| broken("it does not begin with its boundary"))?;
    for _ in 0..=limits::PARAMETERS {
        if let Some(end) = rest.strip_prefix(b"--") {
            let nothing = end.is_empty() || end == b"\r\n";
            return nothing.then_some(()).ok_or_else(|| broken("something follows its last boundary"));
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(|| broken("a boundary does not end its line"))?;
        let (headers, after) =
            cut(rest, b"\r\n\r\n").ok_or_else(|| broken("the headers of a part have no end"))?;
        let (content, next) = cut(after, &delimiter).ok_or_else(|| broken("the last boundary is missing"))?;
        if let Some(name) = text_part(headers)? {
            each(&name, content)?;
        }
        rest = next;
    }
    Err(Refusal::new(Reason::TooLarge, format!("there are more than {} parts", limits::PARAMETERS)))
}

/// Whether a `boundary` parameter is one. A colon, which RFC 2046 allows, could make a boundary look like a
/// header; a blank could be lost at its end.
pub(super) fn is_boundary(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./=?".contains(&b);
    (1..=BOUNDARY).contains(&text.len()) && text.bytes().all(fine)
}

/// Splits at the first `needle`, which begins with CR and, for a boundary, has no other: each byte is then looked
/// at no more than twice, however the body is made.
fn cut<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|b| *b == b'\r')?;
        if let Some(after) = text.get(at..)?.strip_prefix(needle) {
            return Some((text.get(..at)?, after));
        }
        from = at + 1;
    }
}

/// The name of a text part; none for a file.
fn text_part(headers: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut disposition = None;
    for line in std::str::from_utf8(headers).map_err(|_| broken("a header is not UTF-8"))?.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a header has no colon"))?;
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.is_some() => {
                return Err(broken("a part has two dispositions"));
            }
            "content-disposition" => disposition = Some(Disposition::read(value)?),
            "content-type" => check_charset(value)?,
            "content-transfer-encoding" => check_encoding(value)?,
            _ => {}
        }
    }
    let disposition = disposition.ok_or_else(|| broken("a part has no disposition"))?;
    match disposition {
        Disposition { file: true, .. } => Ok(None),
        Disposition { name, .. } => name.map(Some).ok_or_else(|| broken("a part has no name")),
    }
}

/// Text is UTF-8, and ASCII is part of it. (Apache's client declares every text part to be US-ASCII.)
fn check_charset(content_type: &str) -> Result<(), Refusal> {
    let charset = content_type.split(';').filter_map(|one| one.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match charset {
        Some(other) if !["utf-8", "utf8", "us-ascii"].iter().any(|c| c.eq_ignore_ascii_case(other)) => {
            Err(Refusal::new(Reason::Malformed, "a part is in another charset than UTF-8"))
        }
        _ => Ok(()),
    }
}

fn check_encoding(value: &str) -> Result<(), Refusal> {
    match value.trim().to_ascii_lowercase().as_str() {
        "7bit" | "8bit" | "binary" => Ok(()),
        _ => Err(Refusal::new(Reason::Malformed, "a part has a transfer encoding; send it as it is")),
    }
}

/// What `Content-Disposition` says of a part.
struct Disposition {
    name: Option<Vec<u8>>,
    file: bool,
}

impl Disposition {
    fn read(value: &str) -> Result<Self, Refusal> {
        let (kind, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err(broken("a part is not form-data"));
        }
        let mut found = Self { name: None, file: false };
        while let Some(parameter) = rest.trim_start().strip_prefix(';') {
            let bad = || broken("a disposition cannot be read");
            let (name, value) = parameter.split_once('=').ok_or_else(bad)?;
            let (value, after) = unquote(value).ok_or_else(bad)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "name" if found.name.is_some() => return Err(broken("a part has two names")),
                "name" => found.name = Some(value),
                "filename" | "filename*" => found.file = true,
                _ => {}
            }
            rest = after;
        }
        if rest.trim().is_empty() { Ok(found) } else { Err(broken("a disposition cannot be read")) }
    }
}

/// The value at the beginning of a text, quoted or not, and what follows it. A backslash only escapes a quote:
/// file names of Windows come with bare backslashes.
fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let value = value.trim();
        return (!value.is_empty() && !value.contains('"')).then(|| (value.as_bytes().to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b'"' if escaped => {
                value.pop();
                value.push(byte);
            }
            b'"' => return Some((value, quoted.get(at + 1..)?)),
            _ => value.push(byte),
        }
        escaped = byte == b'\\' && !escaped;
    }
    None
}

fn broken(what: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidParameter, format!("the multipart body cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts = Vec<(String, Vec<u8>)>;

    fn read(body: &[u8]) -> Result<Parts, Refusal> {
        let mut parts = Vec::new();
        text_parts(body, "b", |name, value| {
            parts.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            Ok(())
        })?;
        Ok(parts)
    }

    /// The parts, or what is wrong, on one line.
    fn shown(body: &str) -> String {
        match read(body.replace('\n', "\r\n").as_bytes()) {
            Ok(parts) => parts
                .iter()
                .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
                .collect::<Vec<_>>()
                .join("&"),
            Err(refusal) => format!("{:?}: {}", refusal.reason, refusal.detail),
        }
    }

    #[test]
    fn text_parts_are_read_and_files_passed_over() {
        let cases = [
            ("--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b--\n", "a=1"),
            // As the official Java SDK writes it: an empty line first, no blank behind the colon.
            (
                "\n--b\nContent-Disposition:form-data;name=\"a\"\nContent-Type:text/plain\n\n1\n--b\nContent-Disposition:form-data;name=\"f\";filename=\"x;\\\"y.png\"\nContent-Type:image/png\n\n\u{1}\n\n--b--\n",
                "a=1",
            ),
            ("--b\ncontent-disposition: form-data; name=a\n\n\n--b--", "a="),
            ("--b\nContent-Disposition: form-data; name=\"\\\"a\"\n\n\n2\n\n--b--", "\"a=\r\n2\r\n"),
            (
                "--b\nContent-Disposition: form-data; name=\"a\"\nContent-Type: text/plain; charset=US-ASCII\nContent-Transfer-Encoding: 8bit\n\n1\n--b--",
                "a=1",
            ),
            ("--b\nContent-Disposition: form-data; name=\"f\"; filename*=UTF-8''x\n\n1\n--b--", ""),
            ("--b--", ""),
        ];
        for (body, parts) in cases {
            assert_eq!(shown(body), parts, "{body}");
        }
    }

    #[test]
    fn what_two_readers_might_take_differently_is_refused() {
        let part = "--b\nContent-Disposition: form-data; name=\"a\"";
        let cases = [
            (String::new(), "does not begin with its boundary"),
            ("preamble\n--b--".into(), "does not begin with its boundary"),
            (format!("{part}\n\n1"), "last boundary is missing"),
            (format!("{part}\n\n1\n--b"), "does not end its line"),
            (format!("{part}\n\n1\n--b \n"), "does not end its line"),
            (format!("{part}\n\n1\n--bc\n--b--"), "does not end its line"),
            (format!("{part}\n\n1\n--b--more"), "something follows"),
            (part.to_owned(), "headers of a part have no end"),
            (format!("{part}\n--b\n\n1\n--b--"), "no colon"),
            (format!("{part}; name=\"c\"\n\n1\n--b--"), "two names"),
            (format!("{part}\nContent-Disposition: form-data; name=\"c\"\n\n1\n--b--"), "two dispositions"),
            ("--b\nContent-Type: text/plain\n\n1\n--b--".into(), "no disposition"),
            ("--b\nContent-Disposition: form-data\n\n1\n--b--".into(), "no name"),
            ("--b\nContent-Disposition: attachment; name=\"a\"\n\n1\n--b--".into(), "not form-data"),
            ("--b\nContent-Disposition: form-data; name=\"a\n\n1\n--b--".into(), "cannot be read"),
            ("--b\nContent-Disposition: form-data; name=\"a\"x\n\n1\n--b--".into(), "cannot be read"),
            (format!("{part}\nContent-Type: text/plain; charset=gbk\n\n1\n--b--"), "another charset"),
            (format!("{part}\nContent-Transfer-Encoding: base64\n\n1\n--b--"), "transfer encoding"),
        ];
        for (body, fault) in cases {
            let shown = shown(&body);
            assert!(shown.contains(fault), "{body:?} gave {shown:?}");
        }
    }

    #[test]
    fn parts_are_counted() {
        let many = |n: usize| {
            let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n\r\n";
            read(format!("{}--b--", part.repeat(n)).as_bytes())
        };
        assert!(many(limits::PARAMETERS).is_ok());
        assert_eq!(many(limits::PARAMETERS + 1).unwrap_err().reason, Reason::TooLarge);
    }

    #[test]
    fn a_boundary_is_short_and_cannot_look_like_a_header() {
        for good in ["b", "----WebKitFormBoundary7MA4YWxk", &"x".repeat(70)] {
            assert!(is_boundary(good), "{good}");
        }
        for bad in ["", "a b", "a:b", "a\"b", "ü", &"x".repeat(71)] {
            assert!(!is_boundary(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            parts in prop::collection::vec(("[a-z_]{1,10}", prop::collection::vec(any::<u8>(), 0..40)), 0..6)
        ) {
            let clash = |value: &Vec<u8>| value.windows(5).any(|w| w == b"\r\n--b");
            prop_assume!(!parts.iter().any(|(_, value)| clash(value)));
            let mut body = Vec::new();
            for (name, value) in &parts {
                body.extend_from_slice(
                    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
                );
                body.extend_from_slice(value);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--b--\r\n");
            prop_assert_eq!(read(&body).unwrap(), parts);
        }

        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), text in "(--b|\r\n|name=|[ -~]){0,30}") {
            let _ = (read(&body), read(text.as_bytes()));
        }
    }
}
