//! The configuration: one TOML file, read at the start and again when it is to be reloaded.
//!
//! Reading is nearly pure: [`parse`] turns a text into a [`Loaded`] or into every error in it, each with its place. Only
//! [`load`] and [`SealSource::read`] touch files and the environment, [`TlsSource`] and [`CaSource`] the files that they
//! name, and `provider` a file of public keys. Each section of the file is a module here.

mod authorities;
mod boundary;
mod brokering;
mod bytes;
mod caller;
mod certificate;
mod control;
mod diagnostic;
mod duration;
mod endpoint;
mod environment;
mod fixed;
#[cfg(test)]
pub(crate) mod fixture;
mod forward_auth;
mod glimpse;
mod issuer;
mod lifetime;
mod limits;
mod lint;
mod metrics;
mod mutual_tls;
mod notes;
mod policy;
mod provider;
mod quota;
mod records;
mod ring;
mod role;
mod seal;
mod secret;
mod section;
mod server;
mod source;
mod store;
mod template;
mod tenant;
mod tls;
mod token;
mod tree;
mod trust;
mod url;
mod variable;
mod visited;

#[cfg(test)]
mod tests;

pub(crate) use authorities::Authorities;
pub(crate) use certificate::Pair;
pub(crate) use control::LONGEST as LONGEST_SOCKET;
pub(crate) use diagnostic::{Diagnostic, Errors, to_json};
pub(crate) use duration::seconds_of;
pub(crate) use environment::variable;
pub(crate) use fixed::Fixed;
pub(crate) use glimpse::{Glimpse, glimpse};
pub(crate) use lint::{Lint, Stored};
pub(crate) use mutual_tls::{CaFile, CaSource, CertificateHeader, MutualTls};
pub(crate) use seal::{SealKeys, SealSource, generate_seal_key, read_seal_key};
pub(crate) use secret::read_private;
pub(crate) use section::closest;
pub(crate) use template::template;
pub(crate) use tls::{Files, TlsSource};

use daypass_core::client::{Refuses, Tenant};
use daypass_core::directory::Plan;
use daypass_core::endpoint::Endpoint;
use daypass_core::forward::ForwardAuth;
use daypass_core::net::IpNet;
use daypass_core::provider::Provider;
use daypass_core::ring::Rotation;
use daypass_core::role::Role;
use daypass_core::upstream::Upstream;
use diagnostic::Fault;
use environment::Variable;
use notes::Notes;
use section::Section;
use source::{Source, Spot};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration that `daypass dev` runs.
pub(crate) const DEMO: &str = include_str!("demo.toml");

/// The cases that `daypass init` writes.
pub(crate) const CASES: &str = include_str!("cases.toml");

/// The sections of the file.
const KEYS: &[&str] =
    &["server", "store", "seal", "ring", "limits", "records", "issuer", "tenant", "endpoint", "forward_auth"];

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// `daypass dev`: anonymous use need not be rationed.
    Dev,
    /// Everything else.
    Production,
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The certificate and the key that the listener shows; without them it speaks plain HTTP.
    pub(crate) tls: Option<TlsSource>,
    /// A second listener, which asks its clients for a certificate.
    pub(crate) mutual_tls: Option<MutualTls>,
    /// How the proxies in front pass on the certificate of a client.
    pub(crate) certificate_header: Option<CertificateHeader>,
    /// Where metrics are read, by plain HTTP.
    pub(crate) metrics: Option<SocketAddr>,
    /// The networks of the proxies in front, whose word about a caller's address is taken.
    pub(crate) behind_proxy: Vec<IpNet>,
    /// The networks of the balancers in front that say by the PROXY protocol for whom they connect.
    pub(crate) proxy_protocol: Vec<IpNet>,
    /// Where clients reach us, without a trailing slash; if it is not set, at the address of the listener.
    pub(crate) public_url: Option<String>,
    /// The store's URL; a relative path in the file is already joined to the file's directory.
    pub(crate) store_url: String,
    /// How many bytes of its disk are kept for operators, where the file says so.
    pub(crate) reserve: Option<u64>,
    /// Where the seal key is kept.
    pub(crate) seal: SealSource,
    /// Where whoever runs the service speaks to it; if it is not set, where the service finds a place.
    pub(crate) control: Option<PathBuf>,
    /// What is logged, where the command line does not say it.
    pub(crate) log: Option<String>,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub(crate) digest: String,
    /// What stays as it is until a restart.
    pub(crate) fixed: Fixed,
    /// What deserves a look.
    pub(crate) warnings: Vec<Diagnostic>,
    /// How records are signed and kept.
    pub(crate) records: crate::records::Settings,
    rotation: Rotation,
    limits: limits::Limits,
    refuses: Refuses,
    tenants: Vec<Arc<Tenant>>,
    providers: Vec<Arc<Provider>>,
    roles: Vec<Arc<Role>>,
    endpoints: Vec<Arc<Endpoint>>,
    forward: Vec<Arc<ForwardAuth>>,
    issuers: Vec<issuer::Declared>,
    spots: lint::Spots,
}

impl Loaded {
    /// What requests are judged by, under this public address.
    pub(crate) fn plan(&self, public_url: &str) -> Plan {
        Plan {
            public_url: public_url.to_owned(),
            mutual_tls_url: self.mutual_tls.as_ref().map(|tls| tls.public_url.clone()),
            certificates: mutual_tls::prove(self.mutual_tls.as_ref(), self.certificate_header.as_ref()),
            tenants: self.tenants.clone(),
            roles: self.roles.clone(),
            endpoints: self.endpoints.clone(),
            forward: self.forward.clone(),
            providers: self.providers.clone(),
            upstreams: self.issuers.iter().map(issuer::Declared::unread).collect(),
            refuses: self.refuses,
            rotation: self.rotation,
            limits: self.limits.bounds,
            in_flight: Some(self.limits.in_flight),
            guesses_unbounded: false,
        }
    }

    /// The same with the root keys that the configuration names, read now: for a process that makes calls with them.
    pub(crate) fn calling_plan(&self, public_url: &str) -> Result<Plan, Errors> {
        let upstreams = self.issuers.iter().map(issuer::Declared::read).collect::<Result<_, _>>()?;
        Ok(Plan { upstreams, ..self.plan(public_url) })
    }

    /// The issuer of this name with everything that it is asked with, read now; none where there is no such one.
    pub(crate) fn upstream(&self, name: &str) -> Result<Option<Arc<Upstream>>, Errors> {
        self.issuers.iter().find(|issuer| issuer.is(name)).map(issuer::Declared::read).transpose()
    }
}

/// Reads a configuration file, with the overrides of the process's environment.
pub(crate) fn load(path: &Path) -> Result<Loaded, Errors> {
    let name = path.display().to_string();
    let unreadable = |message: String| Errors(vec![Fault::new(message).at(Spot::named(&name))]);
    let bytes = std::fs::read(path).map_err(|error| {
        let mut fault = Fault::new(format!("cannot read the configuration: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound {
            fault = fault.hint("`daypass init` writes one");
        }
        Errors(vec![fault.at(Spot::named(&name))])
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        unreadable(format!("the byte at offset {} is not UTF-8", error.utf8_error().valid_up_to()))
    })?;
    parse(&name, &text, Mode::Production, &environment::overrides())
}

/// The configuration of `daypass dev`.
pub(crate) fn demo() -> Result<Loaded, Errors> {
    parse("demo.toml", DEMO, Mode::Dev, &[])
}

/// A configuration that a command brings along, read as that of `daypass dev` is.
pub(crate) fn built_in(name: &str, text: &str) -> Result<Loaded, Errors> {
    parse(name, text, Mode::Dev, &[])
}

/// Reads a configuration. Relative paths in it start where the file is.
fn parse(name: &str, text: &str, mode: Mode, overrides: &[Variable]) -> Result<Loaded, Errors> {
    let variables = overrides.iter().map(|(name, _)| name.clone()).collect();
    let notes = Notes::new(Source::new(name, text), variables);
    let mut table = tree::read(text, &notes);
    if notes.failed() {
        // What a half-understood file means is a guess, and guesses would bury the real error.
        return Err(Errors(notes.diagnostics()));
    }
    environment::apply(overrides, &mut table, &notes);
    let fixed = fixed::read(&notes, &table);
    let base = Path::new(name).parent().unwrap_or(Path::new(""));
    let root = Section::root(&notes, &table, KEYS);
    let server = server::read(root, base);
    let store = store::read(root, base);
    let seal = seal::read(root, base);
    let rotation = ring::read(root, mode);
    let limits = limits::read(root);
    let records = records::read(root, base);
    let issuers = issuer::read(root, base);
    let tenants = tenant::read(root, &issuers, base);
    let refuses = server.as_ref().map(|server| server.refuses).unwrap_or_default();
    server::point_out_weak(root, refuses, &tenants);
    let proxies = server.as_ref().map(|server| &*server.behind_proxy).unwrap_or_default();
    let endpoints = endpoint::read(root, &tenants, refuses, proxies, mode);
    let forward = forward_auth::read(root, &tenants, &endpoints);
    provider::point_out_idle(&notes, &tenants, &endpoints);
    brokering::agree(&notes, &tenants, &issuers);
    lint::roles(&notes, &tenants, &issuers);
    let spots = lint::Spots::read(&notes, &tenants);
    if let Some(server) = &server {
        // Without a public URL, the address of the listener stands in every token.
        let here = || format!("https://{}", server.listen);
        token::check_sizes(&notes, &tenants, &server.public_url.clone().unwrap_or_else(here));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) =
        notes.diagnostics().into_iter().partition(Diagnostic::is_error);
    let (Some(server), Some(store), Some(seal), Some(rotation), Some(limits), Some(records), true) =
        (server, store, seal, rotation, limits, records, errors.is_empty())
    else {
        return Err(Errors(errors));
    };
    let (mut known, mut providers, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for entry in tenants {
        known.extend(entry.tenant.map(Arc::new));
        providers.extend(entry.providers.into_iter().filter_map(|entry| entry.provider).map(Arc::new));
        roles.extend(entry.roles.into_iter().filter_map(|entry| entry.role).map(Arc::new));
    }
    Ok(Loaded {
        listen: server.listen,
        tls: server.tls,
        mutual_tls: server.mutual_tls,
        certificate_header: server.certificate_header,
        metrics: server.metrics,
        behind_proxy: server.behind_proxy,
        proxy_protocol: server.proxy_protocol,
        public_url: server.public_url,
        store_url: store.url,
        reserve: store.reserve,
        seal,
        control: server.control,
        log: server.log,
        digest: sha256(text),
        fixed,
        warnings,
        records,
        rotation,
        limits,
        refuses,
        tenants: known,
        providers,
        roles,
        endpoints: endpoints.into_iter().map(Arc::new).collect(),
        forward: forward.into_iter().map(Arc::new).collect(),
        issuers: issuers.declared(),
        spots,
    })
}

/// What `sha256sum` says of the file.
fn sha256(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
