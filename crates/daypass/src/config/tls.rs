//! `tls` of `[server]`: where the certificate and the key are that the listener shows.

use super::certificate::{self, Bad, Pair};
use super::diagnostic::{Diagnostic, Errors, Fault, Severity};
use super::notes::Given;
use super::secret::{BEYOND_GROUP, NOT_PRIVATE, read_file};
use super::section::Section;
use super::source::Spot;
use daypass_core::clock::Timestamp;
use daypass_core::secret::Secret;
use std::path::{Path, PathBuf};

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["certificate", "key"];
/// The longest file, in bytes: a chain of a dozen certificates has a tenth of it.
pub(super) const LIMIT: u64 = 256 * 1024;

/// Where certificate and key are kept. They are read at the start, and again whenever they change.
#[derive(Clone, Debug)]
pub(crate) struct TlsSource {
    certificate: Place,
    key: Place,
    /// The hosts of our public addresses, which the certificate should be for, each with the key that says so.
    hosts: Vec<(String, &'static str)>,
}

/// A file, and where the configuration names it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) spot: Spot,
}

/// The files as they were at one moment.
pub(crate) struct Files {
    certificate: Secret,
    key: Secret,
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| daypass_core::secret::same(a.expose(), b.expose());
        same(&self.certificate, &other.certificate) && same(&self.key, &other.key)
    }
}

/// Reads the table, if it is there. Relative file names start at `base`; `hosts` are those of our public addresses, each
/// with the key that says so.
pub(super) fn read(
    server: Section<'_>,
    base: &Path,
    hosts: Vec<(String, &'static str)>,
) -> Option<TlsSource> {
    let section = server.section("tls", KEYS)?;
    let (certificate, key) = (file(section, "certificate", base), file(section, "key", base));
    Some(TlsSource { certificate: certificate?, key: key?, hosts })
}

/// The PEM file that a key must name. A relative name starts at `base`.
pub(super) fn file(section: Section<'_>, key: &str, base: &Path) -> Option<Place> {
    let given = section.need_text(key)?;
    if given.value.contains("-----BEGIN") {
        section.notes().hide(given.place);
    }
    let path = section.parsed(given, |name| named(key, name))?;
    Some(Place { path: base.join(path.value), spot: section.notes().spot(path.place) })
}

fn named(key: &str, name: &str) -> Result<PathBuf, Fault> {
    if name.contains("-----BEGIN") {
        return Err(Fault::new(format!("`{key}` is the name of a PEM file, not its content")));
    }
    if name.is_empty() { Err(Fault::new(format!("`{key}` is empty"))) } else { Ok(PathBuf::from(name)) }
}

/// The public address must say what the certificate says, or no client would come over TLS.
pub(super) fn check_public_url(server: Section<'_>, public_url: Option<&Given<String>>) {
    let Some(place) = server.key("tls") else { return };
    let hint = "public_url = \"https://pass.example.com\"";
    match public_url {
        None if server.key("public_url").is_some() => {}
        None => {
            let fault = Fault::new("with TLS, `public_url` must say the address that the certificate is for");
            server.notes().error(place, fault.hint(hint));
        }
        Some(given) if given.value.starts_with("https://") => {}
        Some(given) => {
            let fault = Fault::new("with TLS, the public address begins with `https://`").hint(hint);
            server.notes().error(given.place, fault);
        }
    }
}

impl TlsSource {
    /// Reads both files.
    pub(crate) fn files(&self) -> Result<Files, Errors> {
        // A group may read the key, as it does where one file serves several daemons; the world may not.
        let certificate = read_file(&self.certificate.path, NOT_PRIVATE, LIMIT);
        let key = read_file(&self.key.path, BEYOND_GROUP, LIMIT);
        match (certificate, key) {
            (Ok(certificate), Ok(key)) => Ok(Files { certificate, key }),
            (certificate, key) => {
                let certificate = certificate.err().map(|fault| fault.at(self.certificate.spot.clone()));
                let key = key.err().map(|fault| fault.at(self.key.spot.clone()));
                Err(Errors(certificate.into_iter().chain(key).collect()))
            }
        }
    }

    /// Judges what was read: a pair that clients will take now, and what deserves a look about it.
    pub(crate) fn judge(&self, files: &Files, now: Timestamp) -> Result<(Pair, Vec<Diagnostic>), Errors> {
        let pair = certificate::read(files.certificate.expose(), files.key.expose(), now);
        let pair = pair.map_err(|bad| {
            let (place, fault) = match bad {
                Bad::Certificate(fault) => (&self.certificate, fault),
                Bad::Key(fault) => (&self.key, fault),
            };
            let named = Fault { message: format!("`{}` {}", place.path.display(), fault.message), ..fault };
            Errors(vec![named.at(place.spot.clone())])
        })?;
        let concern = |fault: Fault| {
            let message = format!("`{}` {}", self.certificate.path.display(), fault.message);
            Diagnostic::new(Severity::Warning, self.certificate.spot.clone(), Fault { message, ..fault })
        };
        let concerns = pair.concerns(now, &self.hosts).into_iter().map(concern).collect();
        Ok((pair, concerns))
    }

    /// Reads and judges.
    pub(crate) fn read(&self, now: Timestamp) -> Result<(Pair, Vec<Diagnostic>), Errors> {
        self.judge(&self.files()?, now)
    }
}

#[cfg(test)]
impl TlsSource {
    /// For these files.
    pub(crate) fn for_test(certificate: &Path, key: &Path) -> Self {
        Self { certificate: Place::for_test(certificate), key: Place::for_test(key), hosts: vec![] }
    }
}

#[cfg(test)]
impl Place {
    pub(super) fn for_test(path: &Path) -> Self {
        Self { path: path.to_owned(), spot: Spot::named("a test") }
    }
}
