//! The types of a role's variables.

use super::value_pattern::ValuePattern;
use std::borrow::Cow;
use std::sync::Arc;

/// What a variable's values may look like. No type admits a wildcard, a separator of ARNs, a quote or a control
/// character, so that a value can never widen the policy it is put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableType {
    /// `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`: one name.
    Slug,
    /// Slugs joined by single slashes or dots, at most 256 characters: `hema/8005/photo.tar.gz`. It cannot begin
    /// or end with a slash or dot, and has no `.` or `..` part.
    Path,
    /// A UUID in lower-case hyphenated form.
    Uuid,
    /// A decimal number without sign or leading zero, at most 19 digits.
    Int,
    /// One of these.
    OneOf(Values),
    /// What an operator's own pattern matches.
    Pattern(ValuePattern),
}

/// The values of an enumeration. There is at least one, and each is a slug or slugs joined by dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Arc<[String]>);

/// An enumeration or a pattern of values that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadType(pub String);

const SLUG: usize = 64;
const PATH: usize = 256;
const UUID: usize = 36;
const INT: usize = 19;
/// How many values of an enumeration a message lists.
const LISTED: usize = 8;

impl VariableType {
    /// Every type that has a name.
    pub const ALL: &'static [Self] = &[Self::Slug, Self::Path, Self::Uuid, Self::Int];

    /// The type of this name in the configuration.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|kind| kind.name() == name).cloned()
    }

    /// An enumeration. Refused where it is empty, names a value twice, or has one that is not of slugs joined by dots.
    pub fn one_of(values: Vec<String>) -> Result<Self, BadType> {
        if values.is_empty() {
            return Err(BadType("the list of values is empty".to_owned()));
        }
        for (n, value) in values.iter().enumerate() {
            if !is_joined(value, &['.']) {
                return Err(BadType(format!(
                    "`{}` cannot be a value; a value is letters, digits, `_`, `-` and single dots, beginning with a letter or digit",
                    value.escape_debug()
                )));
            }
            if values.iter().take(n).any(|other| other == value) {
                return Err(BadType(format!("the value `{value}` is there twice")));
            }
        }
        Ok(Self::OneOf(Values(values.into())))
    }

    /// What a pattern matches as a whole ([`ValuePattern`]).
    pub fn pattern(source: &str) -> Result<Self, BadType> {
        ValuePattern::new(source).map(Self::Pattern)
    }

    /// Its name in the configuration, or what it is where it has none.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Slug => "slug",
            Self::Path => "path",
            Self::Uuid => "uuid",
            Self::Int => "int",
            Self::OneOf(_) => "enumeration",
            Self::Pattern(_) => "pattern",
        }
    }

    /// Whether this is one of its values. Only ASCII letters and digits are letters and digits: look-alikes of
    /// other scripts, full-width forms and percent escapes are not values of any type.
    pub fn admits(&self, value: &str) -> bool {
        match self {
            Self::Slug => is_slug(value),
            Self::Path => is_joined(value, &['/', '.']),
            Self::Uuid => is_uuid(value),
            Self::Int => is_int(value),
            Self::OneOf(values) => values.0.iter().any(|one| one == value),
            // Attack: a pattern such as `[a-z.]{2}` matches `..`, which some stores take for the folder above,
            // and `[a-z-]{2}` what a program takes for an option.
            Self::Pattern(pattern) => has_whole_parts(value) && pattern.matches(value),
        }
    }

    /// What its values look like, for an error message.
    pub fn expected(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Slug => {
                "letters, digits, hyphen and underscore, at most 64, beginning with a letter or digit"
            }
            Self::Path => "names joined by single slashes or dots, at most 256 characters",
            Self::Uuid => "a lower-case UUID",
            Self::Int => "a decimal number of at most 19 digits without leading zeros",
            Self::OneOf(values) => return Cow::Owned(values.listed()),
            Self::Pattern(pattern) => return Cow::Owned(format!("of the form {}", pattern.source())),
        })
    }

    /// Whether some value of the type has this character in it.
    pub(super) fn uses(&self, c: char) -> bool {
        match self {
            Self::Slug => in_slug(c),
            Self::Path => in_slug(c) || c == '/' || c == '.',
            Self::Uuid => in_uuid(c),
            Self::Int => c.is_ascii_digit(),
            Self::OneOf(values) => values.0.iter().any(|value| value.contains(c)),
            Self::Pattern(pattern) => pattern.uses(c),
        }
    }

    /// Bytes of its longest value.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Slug => SLUG,
            Self::Path => PATH,
            Self::Uuid => UUID,
            Self::Int => INT,
            Self::OneOf(values) => values.0.iter().map(String::len).max().unwrap_or_default(),
            Self::Pattern(pattern) => pattern.longest(),
        }
    }
}

impl Values {
    fn listed(&self) -> String {
        let shown: Vec<_> = self.0.iter().take(LISTED).map(String::as_str).collect();
        let more = if self.0.len() > LISTED { ", ..." } else { "" };
        format!("one of {}{more}", shown.join(", "))
    }
}

fn in_slug(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether a character may stand in some value of an enumeration or a pattern. A slash is not among them: it would
/// make one name two, and there is a type for paths.
pub(super) fn in_name(c: char) -> bool {
    in_slug(c) || c == '.'
}

/// Whether every part between dots begins with a letter or digit.
fn has_whole_parts(value: &str) -> bool {
    value.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn in_uuid(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f' | '-')
}

fn is_slug(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value.len() <= SLUG
        && value.chars().all(in_slug)
}

fn is_joined(value: &str, by: &[char]) -> bool {
    value.len() <= PATH && value.split(by).all(is_slug)
}

fn is_uuid(value: &str) -> bool {
    value.len() == UUID && value.chars().all(in_uuid) && value.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn is_int(value: &str) -> bool {
    let digits = !value.is_empty() && value.len() <= INT && value.chars().all(|c| c.is_ascii_digit());
    digits && (value == "0" || !value.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_type_admits_its_own_values() {
        for (kind, values) in [
            (VariableType::Slug, vec!["a", "0", "hema", "8005", "A_b-9", &"x".repeat(64)]),
            (VariableType::Path, vec!["a", "hema/8005", "a/b.c/d.tar.gz", "2026/11/22/img_1-2.jpg"]),
            (VariableType::Uuid, vec!["387c56a8-cf86-45de-b9f5-b4de88cac054"]),
            (VariableType::Int, vec!["0", "7", "8005", "9999999999999999999"]),
        ] {
            for value in values {
                assert!(kind.admits(value), "{kind:?} {value}");
                assert!(value.chars().all(|c| kind.uses(c)), "{kind:?} {value}");
            }
        }
        let longest = ["x"; 128].join("/") + "y";
        assert_eq!(longest.len(), 256);
        assert!(VariableType::Path.admits(&longest));
        assert!(!VariableType::Path.admits(&(longest + "y")));
    }

    #[test]
    fn no_type_admits_what_could_widen_a_policy() {
        let overlong = "1".repeat(257);
        for value in [
            "",
            " ",
            "*",
            "?",
            "a*",
            "*a",
            "a?b",
            "..",
            ".",
            "a..b",
            "../a",
            "a/..",
            "a/../b",
            "a/./b",
            "/a",
            "a/",
            "a//b",
            "a:b",
            "a\"b",
            "a'b",
            "a`b",
            "a\\b",
            "a{b}",
            "{a}",
            "}",
            "a b",
            " a",
            "a ",
            "a\n",
            "\ta",
            "a\u{0}",
            "\u{0}",
            "a\u{7f}",
            "a,b",
            "a;b",
            "a$b",
            "${a}",
            "a|b",
            "a@b",
            "a=b",
            "a&b",
            "a+b",
            "a#b",
            "%2a",
            "a%2Fb",
            "%00",
            "%",
            ".hidden",
            "a.",
            "a.-b",
            "-a",
            "_a",
            "a/-b",
            &overlong,
            // Look-alikes: Cyrillic a, Greek omicron, full-width digit, Arabic digit, asterisks of other blocks,
            // a fraction slash, a one-dot leader, a combining accent, a zero-width space, a right-to-left mark.
            "\u{430}",
            "\u{3bf}",
            "\u{ff11}",
            "\u{661}",
            "\u{2217}",
            "\u{ff0a}",
            "\u{2731}",
            "a\u{2044}b",
            "a\u{2215}b",
            "a\u{2024}b",
            "e\u{301}",
            "a\u{200b}",
            "a\u{200f}",
            "\u{feff}a",
            "\u{212a}",
            "店",
        ] {
            for kind in VariableType::ALL.iter().chain(&own()) {
                assert!(!kind.admits(value), "{kind:?} {value:?}");
            }
        }
    }

    /// Types of an operator's own.
    fn own() -> [VariableType; 4] {
        [
            VariableType::one_of(vec!["test".into(), "prod".into(), "v1.2".into()]).unwrap(),
            VariableType::pattern("[a-z]{2}-[0-9]{4}").unwrap(),
            VariableType::pattern("[a-z0-9._-]{1,256}").unwrap(),
            VariableType::pattern(r"(?i)\w{1,64}|v\d(?:\.\d){0,3}").unwrap(),
        ]
    }

    #[test]
    fn an_enumeration_admits_its_values_and_nothing_near_them() {
        let [stage, ..] = own();
        for value in ["test", "prod", "v1.2"] {
            assert!(stage.admits(value), "{value}");
        }
        for value in ["", "Test", "tes", "testx", "test ", "v1", "v1x2", "staging", "test\0", "t\u{435}st"] {
            assert!(!stage.admits(value), "{value}");
        }
        assert_eq!(stage.expected(), "one of test, prod, v1.2");
        assert_eq!(stage.longest(), 4);
        assert!(stage.uses('.') && stage.uses('t') && !stage.uses('x') && !stage.uses('/'));
        let many = VariableType::one_of((0..9).map(|n| n.to_string()).collect()).unwrap();
        assert_eq!(many.expected(), "one of 0, 1, 2, 3, 4, 5, 6, 7, ...");
    }

    #[test]
    fn an_enumeration_of_what_could_widen_a_policy_is_refused() {
        for (values, fault) in [
            (vec![], "empty"),
            (vec!["a", "b", "a"], "twice"),
            (vec!["a", ""], "cannot be a value"),
            (vec!["*"], "cannot be a value"),
            (vec!["a/b"], "cannot be a value"),
            (vec![".."], "cannot be a value"),
            (vec!["a:b"], "cannot be a value"),
            (vec!["{a}"], "cannot be a value"),
            (vec!["a\u{0}"], "`a\\0` cannot be a value"),
            (vec!["\u{430}"], "cannot be a value"),
        ] {
            let bad = VariableType::one_of(values.iter().map(ToString::to_string).collect()).unwrap_err();
            assert!(bad.0.contains(fault), "{values:?}: {bad}");
        }
    }

    #[test]
    fn types_are_told_apart() {
        for (kind, value) in [
            (VariableType::Slug, "a.b"),
            (VariableType::Slug, "a/b"),
            (VariableType::Slug, &"x".repeat(65)),
            (VariableType::Path, &"x".repeat(65)),
            (VariableType::Uuid, "387C56A8-CF86-45DE-B9F5-B4DE88CAC054"),
            (VariableType::Uuid, "387c56a8cf8645deb9f5b4de88cac054"),
            (VariableType::Uuid, "{387c56a8-cf86-45de-b9f5-b4de88cac054}"),
            (VariableType::Uuid, "387c56a8-cf86-45de-b9f5b-4de88cac054"),
            (VariableType::Uuid, "387c56a8-cf86-45de-b9f5-b4de88cac05g"),
            (VariableType::Int, "01"),
            (VariableType::Int, "00"),
            (VariableType::Int, "-1"),
            (VariableType::Int, "+1"),
            (VariableType::Int, "1.0"),
            (VariableType::Int, "1e3"),
            (VariableType::Int, "0x1"),
            (VariableType::Int, "10000000000000000000"),
        ] {
            assert!(!kind.admits(value), "{kind:?} {value}");
        }
    }

    #[test]
    fn names_lead_back_to_their_types() {
        for kind in VariableType::ALL {
            assert_eq!(VariableType::named(kind.name()), Some(kind.clone()));
        }
        assert_eq!(VariableType::named("Slug"), None);
        assert_eq!(VariableType::named("string"), None);
    }

    /// Texts of which a fair part is admitted by some type.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c0-2/._-]{0,8}",
            "[a-c*?:/.{}\"'\\\\ \u{0}\u{e9}_-]{0,5}",
            "[0-9]{0,21}",
            "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8192))]

        #[test]
        fn an_admitted_value_is_harmless(value in texts()) {
            let own = own();
            for kind in VariableType::ALL.iter().chain(&own).filter(|kind| kind.admits(&value)) {
                prop_assert!(value.len() <= kind.longest());
                prop_assert!(value.is_ascii() && !value.is_empty());
                let active = ['*', '?', ':', '"', '\'', '`', '\\', '{', '}', ' ', '%', '$'];
                prop_assert!(!value.contains(active));
                prop_assert!(!value.contains(char::is_control));
                prop_assert!(!value.contains("..") && !value.contains("//"));
                prop_assert!(!value.starts_with(['/', '.']) && !value.ends_with(['/', '.']));
                prop_assert!(*kind == VariableType::Path || !value.contains('/'));
                let dots = matches!(kind, VariableType::Path | VariableType::OneOf(_) | VariableType::Pattern(_));
                prop_assert!(dots || !value.contains('.'));
                prop_assert!(value.chars().all(|c| kind.uses(c)));
            }
        }
    }
}
