//! One set of parameters from the query and the body together.
//!
//! Clients put them in either, or in both: common ones in the query and `param` in the body (Java, PHP, Python),
//! all in a form (Node, taobaopy), all in the query, in a form body of a GET, or as parts of a multipart body.

use super::multipart::{is_boundary, text_parts};
use super::wire::{Format, Name};
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};

/// Every text parameter of a call, each at most once.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    values: [Option<String>; Name::ALL.len()],
    unknown: Option<String>,
    count: usize,
}

impl Parameters {
    /// Reads query and body.
    ///
    /// Decoding is strict: a value that two decoders could read differently would be verified as one thing and
    /// used as another. The same name twice in one place is refused, and so is a name with one value in the query
    /// and another in the body; equal values count once, which is what a client that merges before it signs means.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        let mut found = Self::default();
        found.form(request.head.query.as_bytes())?;
        if request.body.is_empty() {
            return Ok(found);
        }
        match BodyKind::of(&request.head)? {
            BodyKind::Form => found.form(&request.body)?,
            BodyKind::Multipart(boundary) => {
                let mut seen = 0;
                text_parts(&request.body, boundary, |name, value| {
                    found.put(&mut seen, name, || text(value.to_vec()))
                })?;
            }
        }
        Ok(found)
    }

    /// The value of a parameter; an empty one is as good as absent to whoever reads it.
    pub(super) fn get(&self, name: Name) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// What is signed: every parameter that was received, empty ones too, but `sign`; sorted by name.
    pub(super) fn signed(&self) -> impl Iterator<Item = (&str, &str)> {
        let signed = Name::ALL.into_iter().filter(|name| *name != Name::Sign);
        signed.filter_map(|name| Some((name.text(), self.raw(name)?)))
    }

    /// The names of what is signed.
    pub(super) fn names(&self) -> Names {
        let signed = Name::ALL.into_iter().filter(|name| *name != Name::Sign && self.raw(*name).is_some());
        Names(signed.fold(0, |names, name| names | bit(name)))
    }

    /// Refuses a call with a parameter that the method does not have, see [`Name::of`].
    pub(super) fn refuse_unknown(&self) -> Result<(), Refusal> {
        let Some(name) = &self.unknown else { return Ok(()) };
        let refusal = Refusal::new(
            Reason::UnknownParameter,
            "this method has only the common parameters and param; leave everything else out",
        );
        // Only what looks like a name is echoed.
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let echo = (1..=64).contains(&name.len()) && name.bytes().all(plain);
        Err(if echo { refusal.parameter(name.clone()) } else { refusal })
    }

    fn raw(&self, name: Name) -> Option<&str> {
        self.values.get(name.index())?.as_deref()
    }

    fn form(&mut self, form: &[u8]) -> Result<(), Refusal> {
        let mut seen = 0;
        for pair in form.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = halves(pair);
            // No client escapes these names, so that nearly always nothing is copied.
            if Name::of(name).is_some() {
                self.put(&mut seen, name, || decode(value))?;
            } else {
                self.put(&mut seen, decode(name)?.as_bytes(), || decode(value))?;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        seen: &mut u16,
        name: &[u8],
        value: impl FnOnce() -> Result<String, Fault>,
    ) -> Result<(), Refusal> {
        self.count += 1;
        if self.count > limits::PARAMETERS {
            let detail = format!("there are more than {} parameters", limits::PARAMETERS);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        let Some(known) = Name::of(name) else {
            self.unknown.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
            return Ok(());
        };
        if *seen & bit(known) != 0 {
            return Err(twice(known, "it came twice"));
        }
        *seen |= bit(known);
        let value = value().map_err(|fault| Refusal::from(fault).parameter(known.text()))?;
        match self.values.get_mut(known.index()) {
            Some(Some(other)) if *other != value => {
                Err(twice(known, "it has one value in the query and another in the body"))
            }
            Some(slot) => {
                *slot = Some(value);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// The format that a call asks for, as far as it can be told from one that could not be read.
pub(super) fn format_of(request: &Request) -> Format {
    let mut found = Vec::new();
    formats_in(request.head.query.as_bytes(), &mut found);
    match BodyKind::of(&request.head) {
        Ok(BodyKind::Form) => formats_in(&request.body, &mut found),
        Ok(BodyKind::Multipart(boundary)) => {
            // Whatever came before the fault counts.
            let _ = text_parts(&request.body, boundary, |name, value| {
                if name == Name::Format.text().as_bytes() {
                    found.push(named(value));
                }
                Ok(())
            });
        }
        Err(_) => {}
    }
    unanimous(&found)
}

/// The format that the head alone asks for.
pub(super) fn format_of_query(query: &str) -> Format {
    let mut found = Vec::new();
    formats_in(query.as_bytes(), &mut found);
    unanimous(&found)
}

fn formats_in(form: &[u8], found: &mut Vec<Option<Format>>) {
    let pairs = form.split(|b| *b == b'&').map(halves);
    found.extend(pairs.filter(|(name, _)| *name == b"format").map(|(_, value)| named(value)));
}

fn named(value: &[u8]) -> Option<Format> {
    std::str::from_utf8(value).ok().and_then(Format::named)
}

/// A call that contradicts itself about its format is answered in the default one.
fn unanimous(found: &[Option<Format>]) -> Format {
    match found {
        [Some(first), rest @ ..] if rest.iter().all(|other| other == &Some(*first)) => *first,
        _ => Format::default(),
    }
}

/// A set of parameter names, small enough to be kept for every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(u16);

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Name::ALL.into_iter().filter(|name| self.0 & bit(*name) != 0);
        names.enumerate().try_for_each(|(n, name)| {
            f.write_str(if n > 0 { ", " } else { "" })?;
            f.write_str(name.text())
        })
    }
}

fn bit(name: Name) -> u16 {
    1 << name.index()
}

fn twice(name: Name, how: &str) -> Refusal {
    Refusal::new(Reason::DuplicateParameter, format!("{}: {how}", name.text())).parameter(name.text())
}

/// How the body is written.
pub(super) enum BodyKind<'a> {
    /// Names and values in form encoding.
    Form,
    /// Parts between this boundary.
    Multipart(&'a str),
}

impl<'a> BodyKind<'a> {
    /// What the head says of it.
    pub(super) fn of(head: &'a Head) -> Result<Self, Refusal> {
        let unknown = || {
            Refusal::new(
                Reason::UnsupportedMediaType,
                "the body must be application/x-www-form-urlencoded or multipart/form-data, and say so in one \
                 Content-Type header",
            )
        };
        let mut parts = head.header("content-type").ok_or_else(unknown)?.split(';');
        let media = parts.next().unwrap_or_default().trim();
        let attribute = |wanted: &str| {
            let named = parts.filter_map(|one| one.split_once('='));
            let wanted = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            wanted.map(|(_, value)| value.trim().trim_matches('"')).collect::<Vec<_>>()
        };
        if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let utf8 = |charset: &&str| ["utf-8", "utf8"].iter().any(|c| c.eq_ignore_ascii_case(charset));
            let all = attribute("charset").iter().all(utf8);
            let refusal = || Refusal::new(Reason::Malformed, "the body must be in UTF-8");
            return if all { Ok(Self::Form) } else { Err(refusal()) };
        }
        if !media.eq_ignore_ascii_case("multipart/form-data") {
            return Err(unknown());
        }
        match attribute("boundary")[..] {
            [boundary] if is_boundary(boundary) => Ok(Self::Multipart(boundary)),
            _ => Err(Refusal::new(Reason::InvalidParameter, "the multipart body has no usable boundary")),
        }
    }
}

/// A name and a value in form encoding; the value is empty where there is none.
pub(super) fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|b| *b == b'=') {
        Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
        None => (pair, b""),
    }
}

/// Why a text cannot be decoded.
pub(super) struct Fault(&'static str);

impl From<Fault> for Refusal {
    fn from(Fault(what): Fault) -> Self {
        Self::new(Reason::Malformed, what)
    }
}

/// Undoes form encoding, strictly.
pub(super) fn decode(raw: &[u8]) -> Result<String, Fault> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let ([high, low], after) =
                    rest.split_first_chunk().ok_or(Fault("a percent sign escapes nothing"))?;
                rest = after;
                let digits = hex(*high).zip(hex(*low)).ok_or(Fault("a percent sign escapes nothing"))?;
                digits.0 << 4 | digits.1
            }
            plain => *plain,
        });
    }
    text(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn text(bytes: Vec<u8>) -> Result<String, Fault> {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err(Fault("a value holds a null character")),
        Err(_) => Err(Fault("a value is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    fn read(query: &str, headers: &[(&str, &str)], body: &str) -> Result<Parameters, Refusal> {
        Parameters::read(&request("POST", &format!("/router/rest?{query}"), headers, body.as_bytes()))
    }

    fn shown(read: Result<Parameters, Refusal>) -> String {
        match read {
            Ok(parameters) => parameters
                .signed()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&"),
            Err(refusal) => {
                format!("{:?} {}", refusal.reason, refusal.parameter.as_deref().unwrap_or_default())
            }
        }
    }

    #[test]
    fn query_and_body_are_one_set() {
        assert_eq!(shown(read("v=2.0&sign=X", &[FORM], "app_key=1&method=m")), "app_key=1&method=m&v=2.0");
        assert_eq!(shown(read("v=2.0", &[], "")), "v=2.0");
        assert_eq!(shown(read("v=2.0", &[FORM], "v=2.0")), "v=2.0", "one thing said twice is one thing");
        assert_eq!(shown(read("v=2.0", &[FORM], "v=2.1")), "DuplicateParameter v");
        assert_eq!(shown(read("v=2.0&v=2.0", &[], "")), "DuplicateParameter v");
        assert_eq!(shown(read("", &[FORM], "v=2.0&%76=2.0")), "DuplicateParameter v");
    }

    #[test]
    fn decoding_is_strict() {
        let param = |value: &str| shown(read("", &[FORM], &format!("param={value}")));
        assert_eq!(param("a+b%20c%2b%E9%97%A8"), "param=a b c+门");
        assert_eq!(param("门"), "param=门");
        assert_eq!(param("a=b"), "param=a=b");
        assert_eq!(param(""), "param=");
        assert_eq!(shown(read("", &[FORM], "&param&&")), "param=");
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%E9%97", "%c0%80", "%00"] {
            assert_eq!(param(bad), "Malformed param", "{bad}");
        }
    }

    #[test]
    fn a_body_says_what_it_is() {
        let with = |headers: &[(&str, &str)]| shown(read("", headers, "v=2.0"));
        for good in [
            "Application/X-WWW-Form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=\"utf8\"",
        ] {
            assert_eq!(with(&[("content-type", good)]), "v=2.0", "{good}");
        }
        assert_eq!(with(&[("content-type", "application/x-www-form-urlencoded; charset=gbk")]), "Malformed ");
        assert_eq!(with(&[]), "UnsupportedMediaType ");
        assert_eq!(with(&[FORM, FORM]), "UnsupportedMediaType ");
        assert_eq!(with(&[("content-type", "application/json")]), "UnsupportedMediaType ");
        assert_eq!(with(&[("content-type", "text/xml")]), "UnsupportedMediaType ");
        assert_eq!(with(&[("content-type", "multipart/form-data")]), "InvalidParameter ");
        assert_eq!(with(&[("content-type", "multipart/form-data; boundary=a:b")]), "InvalidParameter ");
        assert_eq!(
            with(&[("content-type", "multipart/form-data; boundary=a; boundary=b")]),
            "InvalidParameter "
        );
    }

    #[test]
    fn a_part_is_a_parameter() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\n2+0%20\r\n--b--\r\n";
        let kind = [("content-type", "multipart/form-data; boundary=\"b\"")];
        assert_eq!(shown(read("", &kind, body)), "v=2+0%20", "a part is not escaped");
        assert_eq!(shown(read("v=2.0", &kind, body)), "DuplicateParameter v");
    }

    #[test]
    fn an_unknown_name_is_remembered_and_echoed_only_if_it_is_a_name() {
        let unknown = |form: &str| {
            let refusal = read("", &[FORM], form).unwrap().refuse_unknown().unwrap_err();
            (refusal.reason, refusal.parameter.map(String::from).unwrap_or_default())
        };
        assert_eq!(unknown("ab=c&zz=1"), (Reason::UnknownParameter, "ab".into()));
        for odd in ["Foo=1", "=1", "%E9%97%A8=1", "a-b=1", &format!("{}=1", "a".repeat(65))] {
            assert_eq!(unknown(odd), (Reason::UnknownParameter, String::new()), "{odd}");
        }
        assert_eq!(read("", &[FORM], "v=1").unwrap().refuse_unknown(), Ok(()));
    }

    #[test]
    fn parameters_are_counted() {
        let many = |n: usize| read("", &[FORM], &"x=1&".repeat(n)).map(|_| ()).map_err(|r| r.reason);
        assert_eq!(many(limits::PARAMETERS), Ok(()));
        assert_eq!(many(limits::PARAMETERS + 1), Err(Reason::TooLarge));
    }

    #[test]
    fn the_format_is_found_in_what_cannot_be_read() {
        let of = |query: &str, kind: &str, body: &str| {
            let target = format!("/router/rest?{query}");
            format_of(&request("POST", &target, &[("content-type", kind)], body.as_bytes()))
        };
        assert_eq!(of("param=%ff&format=json", "", ""), Format::Json);
        assert_eq!(of("", FORM.1, "param=%ff&format=json"), Format::Json);
        assert_eq!(of("format=json", "text/xml", "<a/>"), Format::Json);
        let part = "--b\r\nContent-Disposition: form-data; name=\"format\"\r\n\r\njson\r\n--b broken";
        assert_eq!(of("", "multipart/form-data; boundary=b", part), Format::Json);
        for doubtful in ["format=json&format=xml", "format=jsom", "format=", "", "xformat=json"] {
            assert_eq!(of(doubtful, "", ""), Format::Xml, "{doubtful}");
        }
    }
}
