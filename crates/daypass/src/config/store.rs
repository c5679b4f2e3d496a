//! `[store]`: where clients, keys and records are kept, and how much of the disk for operators alone.

use super::bytes;
use super::diagnostic::Fault;
use super::environment::variable;
use super::secret;
use super::section::Section;
use std::path::{Path, PathBuf};

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["url", "password", "reserve"];

/// What stands in front of a database server's address.
const SERVERS: [&str; 2] = ["postgres:", "postgresql:"];

/// The smallest reserve that is of use, in bytes: a change takes some tens of thousands.
const LEAST: u64 = 1 << 20;

/// What the section says.
pub(super) struct StoreAt {
    /// The store's URL, a path in it made absolute, with the file of its password if it has one.
    pub(super) url: String,
    /// How many bytes of the disk are kept for operators, if it is said.
    pub(super) reserve: Option<u64>,
}

/// Reads the section. A relative path in it starts at `base`.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<StoreAt> {
    let section = root.need_section("store", KEYS)?;
    let given = section.need_text("url")?;
    if given.value.contains(['@', '?']) {
        // Where a database's password stands that does not belong there.
        section.notes().hide(given.place);
    }
    let password = match section.node("password") {
        Some(node) => {
            let source = secret::source(section, "password", node, base)?;
            let found = source.path(&variable).and_then(|path| {
                let path = path.ok_or_else(|| {
                    Fault::new("the store's password is read anew for each connection, and a variable stays as it is")
                        .hint("{ file = \"/path\" } or { credential = \"NAME\" }")
                });
                if SERVERS.iter().any(|kind| given.value.starts_with(kind)) {
                    path
                } else {
                    Err(Fault::new("a store in a file has no password").hint("remove `password`"))
                }
            });
            match found {
                Ok(path) => Some(path),
                Err(fault) => {
                    section.notes().error(node.place, fault);
                    return None;
                }
            }
        }
        None => None,
    };
    let server = SERVERS.iter().any(|kind| given.value.starts_with(kind));
    let url = section.parsed(given, |url| store_url(url, password, base))?.value;
    let reserve = match section.text("reserve") {
        Some(given) => Some(section.parsed(given, |text| reserve(text, server))?.value),
        None if section.key("reserve").is_some() => return None,
        None => None,
    };
    Some(StoreAt { url, reserve })
}

fn reserve(text: &str, server: bool) -> Result<u64, Fault> {
    let bytes = bytes::parse(text)?;
    if server {
        return Err(Fault::new("a database server keeps its own disk in order").hint("remove `reserve`"));
    }
    if bytes > 0 && bytes < LEAST {
        return Err(
            Fault::new("the reserve is too small for a change").hint("at least \"1MiB\", or \"0\" for none")
        );
    }
    Ok(bytes)
}

fn store_url(url: &str, password: Option<PathBuf>, base: &Path) -> Result<String, Fault> {
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
            daypass_stores::understand(url).map_err(|fault| {
                Fault::new(fault.to_string()).hint(
                    "postgres://daypass@db.example.com/daypass, and below it password = { file = \"/path\" }",
                )
            })?;
            let Some(path) = password else { return Ok(url.to_owned()) };
            let path: String = form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()).collect();
            Ok(format!("{url}{}passwordfile={path}", if url.contains('?') { '&' } else { '?' }))
        }
        _ => Err(Fault::new("the store is not one that exists")
            .hint("sqlite:/var/lib/daypass/daypass.db or postgres://daypass@db.example.com/daypass")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str, password: Option<&str>) -> Result<String, String> {
        store_url(url, password.map(PathBuf::from), Path::new("/etc/daypass")).map_err(|fault| fault.message)
    }

    #[test]
    fn a_reserve_is_large_enough_or_none_and_for_a_disk_of_ours() {
        assert_eq!(reserve("16MiB", false).ok(), Some(16 << 20));
        assert_eq!(reserve("0", false).ok(), Some(0));
        for (bad, server) in [("1000KiB", false), ("16", false), ("16MiB", true)] {
            assert!(reserve(bad, server).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_relative_path_starts_at_the_configuration() {
        assert_eq!(url("sqlite:/var/lib/d.db", None).as_deref(), Ok("sqlite:/var/lib/d.db"));
        assert_eq!(url("sqlite:d.db", None).as_deref(), Ok("sqlite:/etc/daypass/d.db"));
        for bad in
            ["", "d.db", "sqlite:", "sqlite://d.db", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://x"]
        {
            assert!(url(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_has_its_password_in_a_file() {
        let plain = "postgres://daypass@db/daypass";
        assert_eq!(url(plain, None).as_deref(), Ok(plain));
        let with = url(plain, Some("/etc/daypass/db password")).unwrap();
        assert_eq!(with, format!("{plain}?passwordfile=%2Fetc%2Fdaypass%2Fdb+password"));
        assert_eq!(daypass_stores::understand(&with), Ok(()));
        let with = url(&format!("{plain}?sslmode=disable"), Some("/p")).unwrap();
        assert!(with.ends_with("?sslmode=disable&passwordfile=%2Fp"), "{with}");
        for bad in [
            "postgres://daypass:hunter2@db/daypass",
            "postgres://x",
            "postgres://daypass@db/daypass?sslmode=require",
        ] {
            let refused = url(bad, None).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
