//! Paths as rules name them.

use super::target::{fold, is_letter};
use std::fmt;
use std::str::FromStr;

/// `/orders/*/lines/**`: `*` is one segment, and `**`, at the end alone, any number of them, none included. There is nothing
/// between a name and a wildcard, because what an API takes for the rest of a name is its own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    One,
    Rest,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPattern {
    /// It does not begin with a slash.
    NoSlash,
    /// It has an empty segment, or ends with a slash: paths are compared without one.
    Empty,
    /// A query or a fragment: rules are about paths.
    Query,
    /// `**` stands before the end.
    RestInside,
    /// A segment is neither a wildcard nor a plain name.
    Name(String),
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a path begins with a slash"),
            Self::Empty => f.write_str("a path has no empty segment and no slash at its end"),
            Self::Query => f.write_str("a rule is about the path alone, without query and fragment"),
            Self::RestInside => f.write_str("`**` stands for the rest of a path, at its end"),
            Self::Name(name) => write!(
                f,
                "the segment `{name}` is neither `*`, `**` nor a plain name: letters, digits and - . _ ~, not encoded, \
                 without a dot at its end"
            ),
        }
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.contains(['?', '#']) {
            return Err(BadPattern::Query);
        }
        let rest = text.strip_prefix('/').ok_or(BadPattern::NoSlash)?;
        if rest.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let segments: Vec<_> = rest.split('/').map(segment).collect::<Result<_, _>>()?;
        let open = segments.iter().position(|segment| *segment == Segment::Rest);
        if open.is_some_and(|place| place + 1 < segments.len()) {
            return Err(BadPattern::RestInside);
        }
        Ok(Self(segments))
    }
}

fn segment(text: &str) -> Result<Segment, BadPattern> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c) || is_letter(c);
    match text {
        "" => Err(BadPattern::Empty),
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Rest),
        name if !name.ends_with('.') && name.chars().all(plain) => Ok(Segment::Name(name.to_owned())),
        name => Err(BadPattern::Name(name.to_owned())),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Name(name) => write!(f, "/{name}"),
            Segment::One => f.write_str("/*"),
            Segment::Rest => f.write_str("/**"),
        })
    }
}

impl Pattern {
    /// Whether a path belongs to it; with `folded`, whatever the case of its letters.
    pub(super) fn matches(&self, path: &[String], folded: bool) -> bool {
        let same = |name: &str, part: &str| if folded { fold(name) == fold(part) } else { name == part };
        let mut parts = path.iter();
        for segment in &self.0 {
            let fits = match segment {
                Segment::Rest => return true,
                Segment::One => parts.next().is_some(),
                Segment::Name(name) => parts.next().is_some_and(|part| same(name, part)),
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none()
    }

    /// How far from a single path it is, among patterns of which each covers the next: a name is closer than a wildcard.
    pub(super) fn width(&self) -> Vec<u8> {
        let width = |segment: &Segment| match segment {
            Segment::Name(_) => 0,
            Segment::One => 1,
            Segment::Rest => 2,
        };
        self.0.iter().map(width).collect()
    }

    /// Whether it is the other one but for the case of letters.
    pub(super) fn is_but_for_case(&self, other: &Self) -> bool {
        self.to_string() != other.to_string() && fold(&self.to_string()) == fold(&other.to_string())
    }

    /// Whether some path belongs to both, cases of letters aside.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.0, &other.0)
    }

    /// Whether every path of the other one belongs to it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

fn overlap(one: &[Segment], other: &[Segment]) -> bool {
    match (one.split_first(), other.split_first()) {
        (Some((Segment::Rest, _)), _) | (_, Some((Segment::Rest, _))) | (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Segment::Name(a), one)), Some((Segment::Name(b), other))) => {
            fold(a) == fold(b) && overlap(one, other)
        }
        (Some((_, one)), Some((_, other))) => overlap(one, other),
    }
}

fn covers(wide: &[Segment], close: &[Segment]) -> bool {
    match (wide.split_first(), close.split_first()) {
        (Some((Segment::Rest, _)), _) | (None, None) => true,
        (Some((Segment::One, wide)), Some((Segment::One | Segment::Name(_), close))) => covers(wide, close),
        (Some((Segment::Name(a), wide)), Some((Segment::Name(b), close))) => a == b && covers(wide, close),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        for text in ["/", "/orders", "/orders/*", "/**", "/a/*/b.json/**", "/a-b_c~d", "/订单/**"] {
            assert_eq!(text.parse::<Pattern>().map(|pattern| pattern.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for (text, bad) in [
            ("", BadPattern::NoSlash),
            ("orders", BadPattern::NoSlash),
            ("/orders/", BadPattern::Empty),
            ("//", BadPattern::Empty),
            ("/a//b", BadPattern::Empty),
            ("/a?x=1", BadPattern::Query),
            ("/a#b", BadPattern::Query),
            ("/**/a", BadPattern::RestInside),
            ("/a/**/**", BadPattern::RestInside),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(bad), "{text}");
        }
        for name in [
            "a*", "***", "..", ".", "a.", "a%20b", "a;b", "{id}", ":id", "a b", "a\\b", "\u{ff0f}", "\u{17f}",
        ] {
            let text = format!("/x/{name}");
            assert_eq!(text.parse::<Pattern>(), Err(BadPattern::Name(name.to_owned())));
        }
    }
}
