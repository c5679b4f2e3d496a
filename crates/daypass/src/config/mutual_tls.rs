//! `mutual_tls` of `[server]`: a listener that asks its clients for a certificate, and the authorities that vouch for
//! one. And the header in which a proxy passes one on.

use super::authorities::{self, Authorities};
use super::caller;
use super::diagnostic::{Diagnostic, Errors, Fault, Severity};
use super::notes::Given;
use super::secret::{NOT_PRIVATE, read_file};
use super::section::{Section, no_such};
use super::server::listen;
use super::tls::{LIMIT, Place, file};
use super::url;
use daypass_core::clock::Timestamp;
use daypass_core::directory::Certificates;
use daypass_core::secret::Secret;
use http::HeaderName;
use std::net::SocketAddr;
use std::path::Path;

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["listen", "public_url", "ca"];
/// The header, in `[server]` itself.
const HEADER: &str = "client_certificate_header";
/// What the header proves, beside it.
const CHAIN: &str = "client_certificate_chain";
const HINT: &str =
    "mutual_tls = { listen = \"0.0.0.0:8443\", public_url = \"https://mtls.pass.example.com:8443\" }";

/// A second listener of the same service, whose handshake asks for a client's certificate. A browser that is asked
/// shows a dialog to its user, so the first listener never asks.
#[derive(Clone, Debug)]
pub(crate) struct MutualTls {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where clients reach it, without a trailing slash.
    pub(crate) public_url: String,
    /// Who vouches for certificates. Without it a certificate proves only that it is the one that was registered.
    pub(crate) ca: Option<CaSource>,
}

/// A file of authorities. It is read at the start, and again whenever it changes.
#[derive(Clone, Debug)]
pub(crate) struct CaSource(Place);

/// The file as it was at one moment.
pub(crate) struct CaFile(Secret);

impl PartialEq for CaFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

/// How a declared proxy passes on the certificate that it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateHeader {
    /// The header, which nobody else may send.
    pub(crate) name: HeaderName,
    /// Whether the proxy passes on only what an authority of its own vouches for.
    pub(crate) verified: bool,
}

/// What a client's certificate proves, come by either way.
pub(super) fn prove(listener: Option<&MutualTls>, header: Option<&CertificateHeader>) -> Certificates {
    let vouched =
        listener.is_some_and(|tls| tls.ca.is_some()) || header.is_some_and(|header| header.verified);
    match (vouched, listener.is_some() || header.is_some()) {
        (true, _) => Certificates::Vouched,
        (false, true) => Certificates::Registered,
        (false, false) => Certificates::Unseen,
    }
}

/// Reads the table, if it is there. Relative file names start at `base`; `main` is what the first listener has.
pub(super) fn read(
    server: Section<'_>,
    base: &Path,
    main: (Option<&Given<SocketAddr>>, Option<&Given<String>>),
) -> Option<MutualTls> {
    let section = server.section("mutual_tls", KEYS)?;
    let notes = section.notes();
    if server.key("tls").is_none() {
        let fault = Fault::new("`mutual_tls` shows the certificate of `tls`, which is missing")
            .hint("tls = { certificate = \"chain.pem\", key = \"key.pem\" }");
        notes.error(section.place(), fault);
    }
    let address = section.need_parsed("listen", listen);
    let public_url = section.need_parsed("public_url", public_url);
    let ca = section.key("ca").map(|_| file(section, "ca", base));
    if let (Some(mine), Some(other)) = (&address, main.0)
        && mine.value == other.value
        && mine.value.port() != 0
    {
        let message =
            format!("`{}` is where the first listener is, on {}", mine.value, notes.line(other.place));
        notes.error(mine.place, Fault::new(message).hint(HINT));
    }
    if let (Some(mine), Some(other)) = (&public_url, main.1)
        && mine.value == other.value
    {
        let fault = Fault::new("clients would come to the first listener, which asks for no certificate");
        notes.error(mine.place, fault.hint(HINT));
    }
    let ca = match ca {
        Some(ca) => Some(CaSource(ca?)),
        None => None,
    };
    Some(MutualTls { listen: address?.value, public_url: public_url?.value, ca })
}

fn public_url(text: &str) -> Result<String, Fault> {
    let url = url::public_url(text)?;
    if url.starts_with("https://") {
        Ok(url)
    } else {
        Err(Fault::new("certificates are asked for by TLS alone: the address begins with `https://`")
            .hint(HINT))
    }
}

/// Reads how a proxy passes on a certificate, if it does.
pub(super) fn header(server: Section<'_>) -> Option<CertificateHeader> {
    let notes = server.notes();
    if let Some(place) = server.key(HEADER).filter(|_| server.key("behind_proxy").is_none()) {
        let fault =
            Fault::new(format!("nobody's `{HEADER}` is believed while `behind_proxy` names no proxy"));
        notes.error(place, fault.hint("behind_proxy = [\"10.0.0.0/8\"]"));
    }
    if let Some(place) = server.key(CHAIN).filter(|_| server.key(HEADER).is_none()) {
        let fault = Fault::new(format!("`{CHAIN}` is about `{HEADER}`, which is missing"));
        notes.error(place, fault.hint(format!("{HEADER} = \"Client-Cert\"")));
    }
    let chain = server.text(CHAIN).map(|given| server.parsed(given, verified));
    let name = server.text(HEADER).and_then(|given| server.parsed(given, name))?;
    let verified = match chain {
        Some(chain) => chain?.value,
        None => false,
    };
    Some(CertificateHeader { name: name.value, verified })
}

fn verified(word: &str) -> Result<bool, Fault> {
    match word {
        "verified" => Ok(true),
        "unverified" => Ok(false),
        _ => Err(no_such("state of a chain", word, &["verified", "unverified"])),
    }
}

fn name(text: &str) -> Result<HeaderName, Fault> {
    let hint = "\"Client-Cert\" (RFC 9440), or one that the proxy sets itself, such as \"X-SSL-Client-Cert\"";
    let name = caller::header(text).map_err(|fault| fault.hint(hint))?;
    match name.parse() {
        Ok(name) if name != "dpop" && name != "content-md5" => Ok(name),
        _ => Err(Fault::new(format!("the header `{name}` has a meaning of its own")).hint(hint)),
    }
}

impl CaSource {
    /// Reads the file.
    pub(crate) fn file(&self) -> Result<CaFile, Errors> {
        // Nothing in it is secret; this is the one way in which files are read here, with its limits.
        let read = read_file(&self.0.path, NOT_PRIVATE, LIMIT);
        read.map(CaFile).map_err(|fault| Errors(vec![fault.at(self.0.spot.clone())]))
    }

    /// Judges what was read: those who vouch for certificates now, and what deserves a look about them.
    pub(crate) fn judge(
        &self,
        file: &CaFile,
        now: Timestamp,
    ) -> Result<(Authorities, Vec<Diagnostic>), Errors> {
        let named = |fault: Fault| Fault {
            message: format!("`{}` {}", self.0.path.display(), fault.message),
            ..fault
        };
        let (authorities, concerns) = authorities::read(file.0.expose(), now)
            .map_err(|fault| Errors(vec![named(fault).at(self.0.spot.clone())]))?;
        let concern = |fault| Diagnostic::new(Severity::Warning, self.0.spot.clone(), named(fault));
        Ok((authorities, concerns.into_iter().map(concern).collect()))
    }

    /// Reads and judges.
    pub(crate) fn read(&self, now: Timestamp) -> Result<(Authorities, Vec<Diagnostic>), Errors> {
        self.judge(&self.file()?, now)
    }
}

#[cfg(test)]
impl CaSource {
    /// For this file.
    pub(crate) fn for_test(path: &Path) -> Self {
        Self(Place::for_test(path))
    }
}
