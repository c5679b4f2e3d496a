//! Variables as each shell takes them, quoted so that no value can break out.

use serde_json::{Map, Value};

/// Whose syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shell {
    /// Bash, dash, zsh and every other shell of the POSIX family.
    #[value(alias = "sh", alias = "zsh")]
    Bash,
    /// Fish.
    Fish,
    /// `PowerShell`.
    #[value(alias = "pwsh")]
    Powershell,
    /// No shell: one JSON object.
    Json,
}

/// A name and its value.
pub(super) type Variable = (String, String);

impl Shell {
    /// The lines that set these variables.
    pub(super) fn lines(self, variables: &[Variable]) -> String {
        let each = |line: fn(&str, &str) -> String| {
            let lines: Vec<_> = variables.iter().map(|(name, value)| line(name, value)).collect();
            lines.join("\n")
        };
        match self {
            Self::Bash => each(|name, value| format!("export {name}={}", bash(value))),
            Self::Fish => each(|name, value| format!("set -gx {name} {}", fish(value))),
            Self::Powershell => each(|name, value| format!("$env:{name} = {}", powershell(value))),
            Self::Json => {
                let all = variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
                Value::Object(all.collect::<Map<_, _>>()).to_string()
            }
        }
    }
}

/// Between single quotes nothing means anything but a single quote.
fn bash(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Between single quotes fish takes a backslash before a quote and before itself.
fn fish(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// `PowerShell` ends a single-quoted text at any of five characters, four of them typographic; doubled, each stands
/// for itself.
fn powershell(value: &str) -> String {
    let quoted = value.chars().flat_map(|c| {
        let twice = matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}');
        std::iter::repeat_n(c, if twice { 2 } else { 1 })
    });
    format!("'{}'", quoted.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What would be harmful if it came out of its quotes.
    const HOSTILE: [&str; 9] = [
        "plain",
        "it's",
        "'; touch /tmp/owned; '",
        "$(id) `id` ${HOME} %PATH%",
        "a\\'b\\",
        "two\nlines",
        "“”‘’‚‛",
        "-n \"x\" !! ~ *",
        "",
    ];

    /// What the shell has after it ran the lines.
    fn through_sh(shell: &str, value: &str) -> String {
        let lines = Shell::Bash.lines(&[("V".to_owned(), value.to_owned())]);
        let script = format!("{lines}\nprintf '%s' \"$V\"");
        let output = Command::new(shell).args(["-c", &script]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_real_shell_gets_back_what_went_in() {
        for value in HOSTILE {
            assert_eq!(through_sh("sh", value), value);
        }
    }

    /// Fish's rules for a text in single quotes.
    fn as_fish_reads(text: &str) -> Option<String> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let (mut value, mut chars) = (String::new(), inner.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' => value.push(chars.next().filter(|c| ['\\', '\''].contains(c))?),
                '\'' => return None,
                c => value.push(c),
            }
        }
        Some(value)
    }

    /// `PowerShell`'s rules for a text in single quotes.
    fn as_powershell_reads(text: &str) -> Option<String> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let (mut value, mut chars) = (String::new(), inner.chars());
        while let Some(c) = chars.next() {
            if "'‘’‚‛".contains(c) && chars.next() != Some(c) {
                return None;
            }
            value.push(c);
        }
        Some(value)
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_quotes(value in "[ -~\n'‘’‚‛\\\\é]{0,40}") {
            prop_assert_eq!(as_fish_reads(&fish(&value)), Some(value.clone()));
            prop_assert_eq!(as_powershell_reads(&powershell(&value)), Some(value.clone()));
            // A single quote appears only as the four characters that close, escape and open again.
            let inner = bash(&value).replace(r"'\''", "");
            prop_assert_eq!(inner.matches('\'').count(), 2);
        }
    }

    #[test]
    fn each_shell_has_its_own_lines() {
        let variables = [("A".to_owned(), "x'y".to_owned()), ("B".to_owned(), "z".to_owned())];
        let lines = |shell: Shell| shell.lines(&variables);
        assert_eq!(lines(Shell::Bash), "export A='x'\\''y'\nexport B='z'");
        assert_eq!(lines(Shell::Fish), "set -gx A 'x\\'y'\nset -gx B 'z'");
        assert_eq!(lines(Shell::Powershell), "$env:A = 'x''y'\n$env:B = 'z'");
        assert_eq!(lines(Shell::Json), r#"{"A":"x'y","B":"z"}"#);
    }
}
