//! `[store]`: where clients, keys and records are kept.

use super::diagnostic::Fault;
use super::section::Section;
use std::path::Path;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["url"];

/// Reads the section: the store's URL, its path made absolute against `base`.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<String> {
    let section = root.need_section("store", KEYS)?;
    let given = section.need_text("url")?;
    if given.value.contains('@') {
        // A database's password stands before the `@`.
        section.notes().hide(given.place);
    }
    section.parsed(given, |url| store_url(url, base)).map(|url| url.value)
}

fn store_url(url: &str, base: &Path) -> Result<String, Fault> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            if path.is_empty() || path.starts_with("//") || path.contains(['?', '#']) {
                return Err(Fault::new("after `sqlite:` stands the path of a file")
                    .hint("sqlite:/var/lib/daypass/daypass.db"));
            }
            if path == ":memory:" {
                return Err(Fault::new("records must survive a restart; the store is a file"));
            }
            Ok(format!("sqlite:{}", base.join(path).display()))
        }
        Some(("postgres" | "postgresql", _)) => {
            Err(Fault::new("PostgreSQL is not in this version").hint("sqlite:PATH"))
        }
        _ => Err(Fault::new("the store is not one that exists").hint("sqlite:/var/lib/daypass/daypass.db")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_starts_at_the_configuration() {
        let url = |url| store_url(url, Path::new("/etc/daypass")).map_err(|fault| fault.message);
        assert_eq!(url("sqlite:/var/lib/d.db").as_deref(), Ok("sqlite:/var/lib/d.db"));
        assert_eq!(url("sqlite:d.db").as_deref(), Ok("sqlite:/etc/daypass/d.db"));
        for bad in [
            "",
            "d.db",
            "sqlite:",
            "sqlite://d.db",
            "sqlite::memory:",
            "sqlite:a?mode=ro",
            "mysql://x",
            "postgres://x",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
