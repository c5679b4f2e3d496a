//! What a condition of a policy makes of the facts of a request, for every vendor's language.
//!
//! A vendor's folder says what its operators mean, as a [`Rule`]; here the rule is put to the values. Where a
//! vendor's documents leave two readings open, both are tried, and [`Truth::Unknown`] is the answer if they differ:
//! an allow then does not match and a deny does.
//!
//! What follows has no documents at either vendor, and is [`Truth::Unknown`] for that reason:
//!
//! - several values of the request under an operator without `for_any_value` or `for_all_value`, of which some
//!   satisfy it and some do not;
//! - several values of the policy under a negated operator, of which the request's value is one and is not another.
//!   Tencent's page says that any of them may do, which makes `string_not_equal: [a, b]` true for whatever there is;
//!   the author meant none of them;
//! - a value that is not of the operator's type, such as an address that is none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_core::net::{BadNet, IpNet};
use daypass_core::policy::Truth;
use std::cmp::Ordering;
use std::net::IpAddr;

/// The facts of a request: the values of each key that it has, as its language writes the key.
pub type Context = std::collections::BTreeMap<String, Vec<String>>;

/// What an operator asks of one value of the request and one of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    /// The same text.
    Text,
    /// The same text but for upper and lower case.
    IgnoreCase,
    /// A text with `*`; what `?` means is the language's.
    Like(QuestionMark),
    /// Decimal numbers, exactly.
    Number(Order),
    /// Moments.
    Date(Order),
    /// `true` or `false`.
    Bool,
    /// The same bytes, both in Base64.
    Binary,
    /// An address in a network.
    Address,
}

/// What `?` means in a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuestionMark {
    /// Any one character.
    OneCharacter,
    /// Nobody says.
    Undocumented,
}

/// How the request's value stands to the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Which of several values of the request must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// The language expects one.
    One,
    /// At least one.
    Any,
    /// Each.
    All,
}

/// What an operator means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It compares.
    Compare {
        compare: Compare,
        negated: bool,
        quantifier: Quantifier,
        /// What it is where the request does not have the key.
        absent: Truth,
    },
    /// It asks whether the key is absent (`true`) or there (`false`).
    Absent,
    /// It is taken, with values of `true` and `false`, but what it means is not documented.
    Undocumented,
}

impl Rule {
    /// Whether it holds between the values of the policy and those of the request. A key without a value is absent.
    pub(crate) fn holds(self, wanted: &[String], found: &[String]) -> Truth {
        match self {
            Self::Absent => some(wanted, |wanted| match wanted {
                "true" => Truth::from(found.is_empty()),
                "false" => Truth::from(!found.is_empty()),
                _ => Truth::Unknown,
            }),
            Self::Undocumented => Truth::Unknown,
            Self::Compare { absent, .. } if found.is_empty() => absent,
            Self::Compare { compare, negated, quantifier, .. } => {
                let one = |found: &str| {
                    let pair = |wanted: &str| compare.holds(wanted, found);
                    if negated {
                        agreed(some(wanted, pair).not(), some(wanted, |wanted| pair(wanted).not()))
                    } else {
                        some(wanted, pair)
                    }
                };
                match quantifier {
                    Quantifier::Any => some(found, one),
                    Quantifier::All => each(found, one),
                    Quantifier::One => agreed(some(found, one), each(found, one)),
                }
            }
        }
    }
}

fn some(values: &[String], holds: impl Fn(&str) -> Truth) -> Truth {
    values.iter().map(|value| holds(value)).fold(Truth::False, Truth::or)
}

fn each(values: &[String], holds: impl Fn(&str) -> Truth) -> Truth {
    values.iter().map(|value| holds(value)).fold(Truth::True, Truth::and)
}

/// What two readings have in common.
fn agreed(one: Truth, other: Truth) -> Truth {
    if one == other { one } else { Truth::Unknown }
}

impl Compare {
    fn holds(self, wanted: &str, found: &str) -> Truth {
        match self {
            Self::Text => Truth::from(wanted == found),
            Self::IgnoreCase => ignore_case(wanted, found),
            Self::Like(QuestionMark::OneCharacter) => Truth::from(like(wanted, found, true)),
            Self::Like(QuestionMark::Undocumented) => {
                agreed(Truth::from(like(wanted, found, true)), Truth::from(like(wanted, found, false)))
            }
            Self::Number(order) => {
                known(Decimal::read(wanted).zip(Decimal::read(found)), |(wanted, found)| {
                    order.admits(found.cmp(&wanted))
                })
            }
            Self::Date(order) => known(date(wanted).zip(date(found)), |(w, f)| order.admits(f.cmp(&w))),
            Self::Bool => known(flag(wanted).zip(flag(found)), |(wanted, found)| wanted == found),
            Self::Binary => known(bytes(wanted).zip(bytes(found)), |(wanted, found)| wanted == found),
            Self::Address => {
                known(network(wanted).zip(found.parse::<IpAddr>().ok()), |(net, one)| net.contains(one))
            }
        }
    }
}

fn known<T>(both: Option<T>, holds: impl Fn(T) -> bool) -> Truth {
    both.map_or(Truth::Unknown, |both| Truth::from(holds(both)))
}

impl Order {
    fn admits(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterEqual => found.is_ge(),
        }
    }
}

/// Beyond ASCII a vendor may fold case as Unicode has it, or not at all.
fn ignore_case(wanted: &str, found: &str) -> Truth {
    if wanted.eq_ignore_ascii_case(found) {
        return Truth::True;
    }
    // By each of them, as there are letters whose upper or lower forms alone are the same.
    let folded =
        wanted.to_lowercase() == found.to_lowercase() || wanted.to_uppercase() == found.to_uppercase();
    if folded { Truth::Unknown } else { Truth::False }
}

/// Whether a pattern matches the whole of a text; `?` is any one character or itself. A star that was passed is
/// tried again one character further, and none before it: time is at most the product of the lengths.
fn like(pattern: &str, text: &str, question_mark: bool) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let there = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), there.clone()));
                text = there;
                continue;
            }
            (Some('?'), Some(_)) if question_mark => continue,
            (Some(wanted), Some(found)) if wanted == found => continue,
            // Were a star to take more, there would be even less left for this.
            (Some(_), None) => return false,
            _ => {}
        }
        let Some((after_star, mut from)) = retry.take() else { return false };
        from.next();
        (pattern, text) = (after_star.clone(), from.clone());
        retry = Some((after_star, from));
    }
}

/// A decimal number of any length. Floating point would take a limit of many digits for another one.
#[derive(Debug, PartialEq, Eq)]
struct Decimal<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without zeros at its end.
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if !is_number(text) {
            return None;
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        // There is one zero.
        let negative = text.starts_with('-') && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole, fraction })
    }

    fn size(&self) -> (usize, &str, &str) {
        (self.whole.len(), self.whole, self.fraction)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
        }
    }
}

/// Digits, perhaps with a sign before and a fraction behind. No exponent: that a verifier elsewhere reads it is
/// not certain.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// A date with a `T` and an offset. Jiff also reads blanks; what a vendor makes of them is not known.
fn date(text: &str) -> Option<Timestamp> {
    text.contains('T').then(|| text.parse().ok()).flatten()
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// An address, perhaps with a prefix length. Host bits may be set: the vendors' own samples do.
///
/// An IPv4 network in IPv6 clothes is none: it would hold no address at all, since those are compared as what they
/// are, and a denial of it would forbid nothing.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let (address, _) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    if address.to_canonical() != address {
        return None;
    }
    match text.parse::<IpNet>() {
        Ok(net) | Err(BadNet::HostBits(net)) => Some(net),
        Err(BadNet::Syntax) => None,
    }
}

#[cfg(test)]
mod tests;
