//! The same questions answered the slow and obvious way, for tests to compare with.
//!
//! Nothing here calls the code under test: patterns are matched by backtracking over their spelling.

/// Whether `pattern` matches the whole of `text`, by trying everything.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let after = &pattern[1..];
            glob(after, text) || text.chars().next().is_some_and(|c| glob(pattern, &text[c.len_utf8()..]))
        }
        Some(c) => text.strip_prefix(c).is_some_and(|rest| glob(&pattern[c.len_utf8()..], rest)),
    }
}

/// Every text over these letters up to this length.
pub(super) fn texts(letters: &str, length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..length {
        let until = all.len();
        for n in from..until {
            for letter in letters.chars() {
                all.push(format!("{}{letter}", all[n]));
            }
        }
        from = until;
    }
    all
}
