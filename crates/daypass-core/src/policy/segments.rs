//! Actions and resources are compared segment by segment.
//!
//! In `acs:oss:*:*:bucket/hema/*`, does the first wildcard end at the next colon, or does it run over colons too?
//! No vendor says. Under the second reading the intersection with `acs:oss:*:1000:bucket/*` has strange members,
//! such as `acs:oss:*:1000:bucket/*:bucket/hema/*`, which under the first reading gives what one of the two does
//! not. So we take whatever is safe under both: **what allows is read with wildcards that stay in their segment,
//! what denies is read with wildcards that run over colons.**
//!
//! A pattern with fewer segments than its language has, such as `*`, is one text without segments.

use super::intersect::{MEMBERS, Work};
use super::pattern::glob;
use super::{Language, Pattern};
use std::borrow::Cow;

/// Into how many segments a text is divided; the last one may hold colons.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape(usize);

impl Shape {
    /// `service:Name`.
    pub(super) const ACTION: Self = Self(2);

    /// `qcs:project:service:region:account:resource` or `acs:service:region:account:resource`.
    pub(super) fn resource(language: Language) -> Self {
        Self(match language {
            Language::Cam => 6,
            Language::Ram => 5,
        })
    }

    /// Whether an allowing pattern matches.
    pub(super) fn matches(self, pattern: &Pattern, text: &str) -> bool {
        if !self.is_whole(pattern.as_str()) {
            return pattern.matches(text);
        }
        self.is_whole(text)
            && self.split(pattern.as_str()).zip(self.split(text)).all(|(p, text)| glob(p, text))
    }

    /// Whether one allowing pattern matches all that another does. Exact: of a pattern, too, the spelling tells.
    pub(super) fn covers(self, outer: &Pattern, inner: &Pattern) -> bool {
        self.matches(outer, inner.as_str())
    }

    /// What two allowing patterns both match; none where it cannot be told.
    pub(super) fn intersect(self, a: &Pattern, b: &Pattern, work: &mut Work) -> Option<Vec<Pattern>> {
        if self.covers(a, b) {
            return Some(vec![b.clone()]);
        }
        if self.covers(b, a) {
            return Some(vec![a.clone()]);
        }
        match (self.stretched(a), self.stretched(b)) {
            _ if !self.is_whole(a.as_str()) && !self.is_whole(b.as_str()) => {
                let met = a.intersect_within(b, work)?;
                // One that came to have all segments would be read differently from the two it is made of.
                met.iter().all(|pattern| !self.is_whole(pattern.as_str())).then_some(met)
            }
            (Some(a), Some(b)) => self.meet(&a, &b, work),
            // Nothing in common when read as one text is nothing in common when read in segments.
            _ => a.intersect_within(b, work).filter(Vec::is_empty),
        }
    }

    /// Every segment of one with the same segment of the other, in all combinations.
    fn meet(self, a: &str, b: &str, work: &mut Work) -> Option<Vec<Pattern>> {
        let pairs = self.split(a).zip(self.split(b));
        let met: Vec<_> =
            pairs.map(|(a, b)| Pattern::parse(a).intersect_within(&Pattern::parse(b), work)).collect();
        // A segment without anything in common decides, even where another one cannot be told.
        if met.iter().flatten().any(Vec::is_empty) {
            return Some(Vec::new());
        }
        let met: Vec<_> = met.into_iter().collect::<Option<_>>()?;
        if met.iter().map(Vec::len).product::<usize>() > MEMBERS {
            return None;
        }
        let join = |begun: Vec<String>, segment: &Vec<Pattern>| {
            let longer = |begun: &String| segment.iter().map(|last| format!("{begun}:{last}")).collect();
            begun.iter().flat_map(|begun| -> Vec<String> { longer(begun) }).collect()
        };
        let (first, others) = met.split_first()?;
        let first = first.iter().map(Pattern::to_string).collect();
        Some(others.iter().fold(first, join).into_iter().map(Pattern::from).collect())
    }

    fn split(self, text: &str) -> impl Iterator<Item = &str> {
        text.splitn(self.0, ':')
    }

    fn is_whole(self, text: &str) -> bool {
        self.split(text).count() == self.0
    }

    /// The pattern with all its segments. One such as `acs:oss:*` is the same as `acs:oss:*:*:*`, as far as texts
    /// with all segments go, but only if it has a single wildcard, and no colon behind it.
    fn stretched(self, pattern: &Pattern) -> Option<Cow<'_, str>> {
        let spelling = pattern.as_str();
        if self.is_whole(spelling) {
            return Some(Cow::Borrowed(spelling));
        }
        let (before, after) = spelling.split_once('*').filter(|(_, after)| !after.contains([':', '*']))?;
        let missing = self.0.checked_sub(1 + before.matches(':').count())?;
        Some(Cow::Owned(format!("{before}*{}{after}", ":*".repeat(missing))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::brute;
    use proptest::prelude::*;

    const RAM: Shape = Shape(5);

    fn intersect(shape: Shape, a: &str, b: &str) -> Option<Vec<String>> {
        let met = shape.intersect(&Pattern::parse(a), &Pattern::parse(b), &mut Work::new())?;
        Some(met.iter().map(Pattern::to_string).collect())
    }

    #[test]
    fn a_wildcard_stays_in_its_segment() {
        let pattern = Pattern::parse("acs:oss:*:*:bucket/hema/*");
        assert!(RAM.matches(&pattern, "acs:oss:cn-hangzhou:1000:bucket/hema/8005/a.jpg"));
        assert!(RAM.matches(&pattern, "acs:oss:::bucket/hema/name:with:colons"));
        assert!(!RAM.matches(&pattern, "acs:oss:cn:1000:other/x:bucket/hema/a"));
        assert!(pattern.matches("acs:oss:cn:1000:other/x:bucket/hema/a"), "the wide reading has it");
        assert!(!RAM.matches(&pattern, "acs:oss:*"));
    }

    #[test]
    fn documents_of_every_day_meet_in_one_pattern() {
        for (a, b, expected) in [
            ("acs:oss:*:*:b/hema/8005/*", "acs:oss:*:1000:b/*", "acs:oss:*:1000:b/hema/8005/*"),
            ("acs:oss:cn-*:*:b/*", "acs:oss:*:1000:b/hema/*", "acs:oss:cn-*:1000:b/hema/*"),
            ("acs:oss:*:1000:b/*", "acs:oss:cn-hangzhou:*", "acs:oss:cn-hangzhou:1000:b/*"),
            ("acs:oss:*:1000:b/*", "acs:oss:*", "acs:oss:*:1000:b/*"),
            ("acs:oss:*:1000:b/*", "*", "acs:oss:*:1000:b/*"),
        ] {
            assert_eq!(intersect(RAM, a, b).unwrap(), [expected], "{a} {b}");
            assert_eq!(intersect(RAM, b, a).unwrap(), [expected], "{b} {a}");
        }
        assert_eq!(intersect(Shape::ACTION, "cos:Put*", "*:*Object").unwrap(), ["cos:Put*Object"]);
        assert_eq!(intersect(Shape::ACTION, "cos:Put*", "*Object").unwrap(), ["cos:Put*Object"]);
        assert_eq!(intersect(Shape::ACTION, "cos:*", "oss:*").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_segment_without_anything_in_common_decides() {
        let (a, b) = ("acs:oss:*:1:*a*b*c*", "acs:oss:*:2:*d*e*f*");
        assert_eq!(intersect(RAM, a, b).unwrap(), Vec::<String>::new());
        assert_eq!(intersect(RAM, &a.replace(":1:", ":2:"), b), None);
    }

    #[test]
    fn two_readings_are_not_mixed() {
        assert_eq!(intersect(RAM, "acs:oss:*:1:*b/*", "acs:*:b/x/*"), None);
        assert_eq!(intersect(RAM, "acs:oss:*:1:b/*", "qcs:*:b/*").unwrap(), Vec::<String>::new());
        assert_eq!(intersect(RAM, "a:b:c*", "*d:e:f"), None, "it would have all five segments");
    }

    #[test]
    fn every_language_has_its_number_of_segments() {
        let cam = Pattern::parse("qcs::cos:*:uid/1:b/*");
        assert!(Shape::resource(Language::Cam).matches(&cam, "qcs::cos:gz:uid/1:b/x:y"));
        assert!(!Shape::resource(Language::Cam).matches(&cam, "qcs::cos:gz:x:uid/1:b/x"));
    }

    /// The reading of an allowing pattern, said again without the code above.
    fn reads(pattern: &str, text: &str, segments: usize) -> bool {
        if pattern.matches(':').count() + 1 < segments {
            return brute::glob(pattern, text);
        }
        let (Some((p, patterns)), Some((t, texts))) = (pattern.split_once(':'), text.split_once(':')) else {
            return brute::glob(pattern, text) && segments == 1;
        };
        segments == 1 && brute::glob(pattern, text)
            || segments > 1 && brute::glob(p, t) && reads(patterns, texts, segments - 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn matching_is_what_the_reading_says(pattern in "[a:*]{0,6}", text in "[a:]{0,7}") {
            let pattern_read = Pattern::parse(&pattern);
            for segments in 2..4 {
                let matched = Shape(segments).matches(&pattern_read, &text);
                prop_assert_eq!(matched, reads(&pattern_read.to_string(), &text, segments));
            }
        }

        #[test]
        fn covering_is_inclusion(outer in "[a:*]{0,5}", inner in "[a:*]{0,5}") {
            let (o, i) = (Pattern::parse(&outer), Pattern::parse(&inner));
            for segments in 2..4 {
                let included = brute::texts("ab:", 5)
                    .iter()
                    .all(|text| !reads(&inner, text, segments) || reads(&outer, text, segments));
                prop_assert_eq!(Shape(segments).covers(&o, &i), included, "{} segments", segments);
            }
        }

        #[test]
        fn an_intersection_is_exact_and_safe_under_both_readings(a in "[ab:*]{0,5}", b in "[ab:*]{0,5}") {
            for segments in 2..4 {
                let Some(met) = intersect(Shape(segments), &a, &b) else { continue };
                for text in brute::texts("ab:", 5) {
                    let both = reads(&a, &text, segments) && reads(&b, &text, segments);
                    let found = met.iter().any(|m| reads(m, &text, segments));
                    prop_assert_eq!(found, both, "{} in {:?} by {}", text, met, segments);
                    if met.iter().any(|m| brute::glob(m, &text)) {
                        prop_assert!(brute::glob(&a, &text) && brute::glob(&b, &text));
                    }
                }
            }
        }
    }
}
