//! The text of a configuration file, and how a place in it is shown to people.

use std::ops::Range;

/// The most characters of a source line that are shown; a longer line is cut around the place in question.
const WIDTH: usize = 100;
/// How much of a cut line is shown before the place in question.
const BEFORE: usize = 30;

/// A file's name and text.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

/// A resolved place, ready to be shown without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The file, or the environment variable that took the place of a value in it.
    pub(super) file: String,
    /// Line and column, both from 1; the column counts characters. None for an environment variable.
    pub(super) at: Option<(usize, usize)>,
    /// The source line with a caret line below it.
    pub(super) excerpt: Option<String>,
}

impl Spot {
    /// A place outside any text.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { file: name.into(), at: None, excerpt: None }
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// Resolves a span of bytes. `hidden` are spans whose characters are not shown.
    pub(super) fn spot(&self, span: Range<usize>, hidden: &[Range<usize>]) -> Spot {
        let start = self.floor(span.start);
        let line_start = self.text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |n| n + 1);
        let line_end =
            self.text.get(start..).and_then(|t| t.find('\n')).map_or(self.text.len(), |n| start + n);
        let number = self.text.get(..line_start).map_or(0, |t| t.matches('\n').count()) + 1;
        let column = self.text.get(line_start..start).map_or(0, |t| t.chars().count());
        let line: Vec<char> = self
            .text
            .get(line_start..line_end)
            .unwrap_or_default()
            .trim_end_matches('\r')
            .char_indices()
            .map(|(at, c)| shown(c, hidden.iter().any(|h| h.contains(&(line_start + at)))))
            .collect();
        let end = self.floor(span.end).clamp(start, line_end);
        let length = self.text.get(start..end).map_or(0, |t| t.chars().count()).max(1);
        Spot {
            file: self.name.to_owned(),
            at: Some((number, column + 1)),
            excerpt: Some(excerpt(&line, number, column, length)),
        }
    }

    /// The first place of the file, for what is missing from it altogether: there is no line to show.
    pub(super) fn beginning(&self) -> Spot {
        Spot { file: self.name.to_owned(), at: Some((1, 1)), excerpt: None }
    }

    /// The text of a span.
    pub(super) fn slice(&self, span: Range<usize>) -> &'a str {
        self.text.get(self.floor(span.start)..self.floor(span.end)).unwrap_or_default()
    }

    /// The line that holds this byte, up to it.
    pub(super) fn line_before(&self, at: usize) -> &'a str {
        let before = self.text.get(..self.floor(at)).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default()
    }

    /// The nearest character boundary at or before this byte.
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Control characters would let a file write to the terminal of whoever checks it.
fn shown(c: char, hidden: bool) -> char {
    match c {
        _ if hidden => '•',
        '\t' => '\t',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn excerpt(line: &[char], number: usize, column: usize, length: usize) -> String {
    let from = if line.len() > WIDTH { column.saturating_sub(BEFORE) } else { 0 };
    let part: Vec<char> = line.iter().skip(from).take(WIDTH).copied().collect();
    let (head, tail) =
        (if from > 0 { "…" } else { "" }, if from + part.len() < line.len() { "…" } else { "" });
    let before: String = part.iter().take(column - from).map(|&c| blank(c)).collect();
    let marked = length.min((from + part.len()).saturating_sub(column)).max(1);
    let carets: String =
        part.iter().skip(column - from).take(marked).map(|&c| if is_wide(c) { "^^" } else { "^" }).collect();
    let carets = if carets.is_empty() { "^" } else { &carets };
    let (text, pad) = (String::from_iter(&part), " ".repeat(head.chars().count()));
    let gutter = " ".repeat(number.to_string().len());
    format!("{number} | {head}{text}{tail}\n{gutter} | {pad}{before}{carets}")
}

/// What stands below this character so that the caret comes under the right one.
fn blank(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        c if is_wide(c) => "  ",
        _ => " ",
    }
}

/// Whether terminals give it two columns: the blocks of Chinese, Japanese and Korean, near enough for a caret.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    fn show(text: &str, span: Range<usize>, hidden: &[Range<usize>]) -> String {
        let spot = Source::new("f", text).spot(span, hidden);
        let (line, column) = spot.at.unwrap();
        format!("{line}:{column}\n{}", spot.excerpt.unwrap())
    }

    #[test]
    fn a_place_is_shown_under_its_line() {
        assert_snapshot!(show("one\ntwo = three\n", 10..15, &[]), @r"
        2:7
        2 | two = three
          |       ^^^^^
        ");
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_caret_in_place() {
        assert_snapshot!(show("\ta = '理由' + x", 15..16, &[]), @"
        1:12
        1 | 	a = '理由' + x
          | 	            ^
        ");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}here{}", "x".repeat(300), "y".repeat(300));
        let shown = show(&line, 300..304, &[]);
        assert!(shown.starts_with("1:301\n1 | …xxx") && shown.contains('…'));
        let lines: Vec<_> = shown.lines().collect();
        let at = |line: &str, what| line.find(what).map(|n| line[..n].chars().count());
        assert_eq!(at(lines[1], "here"), at(lines[2], "^^^^"));
    }

    #[test]
    fn hidden_and_control_characters_are_not_shown() {
        assert_snapshot!(show("key = 'secret'\u{1b}[2J", 6..14, std::slice::from_ref(&(6..14))), @r"
        1:7
        1 | key = ••••••••�[2J
          |       ^^^^^^^^
        ");
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text: String, start: usize, end: usize, small in 0..200_usize) {
            let source = Source::new("f", &text);
            for span in [start..end, small..small + 1, end..start] {
                prop_assert!(source.spot(span, std::slice::from_ref(&(0..small))).at.is_some());
            }
        }
    }
}
