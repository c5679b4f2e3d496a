//! `[server]`: where the service listens, and what it is called.

use super::control;
use super::diagnostic::Fault;
use super::metrics;
use super::mutual_tls::{self, CertificateHeader, MutualTls};
use super::notes::Given;
use super::section::{Section, no_such, refuse_twice};
use super::tenant::TenantEntry;
use super::tls::{self, TlsSource};
use super::url;
use daypass_core::client::Refuses;
use daypass_core::net::{BadNet, IpNet};
use daypass_core::policy::Language;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "listen",
    "public_url",
    "behind_proxy",
    "proxy_protocol",
    "client_certificate_header",
    "client_certificate_chain",
    "refuse",
    "tls",
    "mutual_tls",
    "metrics",
    "metrics_reason",
    "control",
    "log",
];
/// The weak proofs that can be refused for everyone.
const WEAK: &[&str] = &["unsigned-payload", "v1", "md5"];

/// What the section says.
pub(super) struct Server {
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<String>,
    pub(super) behind_proxy: Vec<IpNet>,
    pub(super) proxy_protocol: Vec<IpNet>,
    pub(super) refuses: Refuses,
    pub(super) tls: Option<TlsSource>,
    pub(super) mutual_tls: Option<MutualTls>,
    pub(super) certificate_header: Option<CertificateHeader>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) control: Option<PathBuf>,
    pub(super) log: Option<String>,
}

/// Reads the section. Relative file names in it start at `base`.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<Server> {
    let section = root.need_section("server", KEYS)?;
    let notes = section.notes();
    let public_url = section.text("public_url").and_then(|given| section.parsed(given, url::public_url));
    let networks = section.texts("behind_proxy");
    let behind_proxy: Vec<_> = networks.iter().filter_map(|&net| section.parsed(net, proxy)).collect();
    let balancers = section.texts("proxy_protocol");
    let proxy_protocol: Vec<_> = balancers.iter().filter_map(|&net| section.parsed(net, proxy)).collect();
    point_out_both(section, &behind_proxy, &proxy_protocol);
    let refuses = refuses(section);
    tls::check_public_url(section, public_url.as_ref());
    let listen = section.need_parsed("listen", listen);
    let mutual_tls = mutual_tls::read(section, base, (listen.as_ref(), public_url.as_ref()));
    let named = [
        (public_url.as_ref().map(|url| url.value.as_str()), "public_url"),
        (mutual_tls.as_ref().map(|tls| tls.public_url.as_str()), "mutual_tls.public_url"),
    ];
    let hosts = named.into_iter().filter_map(|(url, key)| Some((url::host(url?)?, key))).collect();
    let tls = tls::read(section, base, hosts);
    let certificate_header = mutual_tls::header(section);
    let metrics = metrics::read(section, listen.as_ref());
    let (control, log) = (control::read(section, base), control::log(section));
    let in_front = section.key("behind_proxy").or(section.key("proxy_protocol"));
    if let Some(place) = in_front.filter(|_| section.key("public_url").is_none()) {
        let fault = Fault::new("behind a proxy, `public_url` must say the address that clients use")
            .hint("public_url = \"https://pass.example.com\"");
        notes.error(place, fault);
    }
    if let Some(listen) = &listen {
        let declared = !networks.is_empty() || !balancers.is_empty();
        refuse_bare(section, listen, declared || section.key("tls").is_some());
    }
    if let Some(given) =
        public_url.as_ref().filter(|u| u.value.starts_with("http:") && !url::is_local(&u.value))
        && section.key("tls").is_none()
    {
        notes.warning(given.place, Fault::new("over `http` everyone on the way can read the credentials"));
    }
    Some(Server {
        listen: listen?.value,
        public_url: public_url.map(|given| given.value),
        behind_proxy: behind_proxy.into_iter().map(|given| given.value).collect(),
        proxy_protocol: proxy_protocol.into_iter().map(|given| given.value).collect(),
        refuses,
        tls,
        mutual_tls,
        certificate_header,
        metrics,
        control,
        log,
    })
}

/// Weak proofs that no client may use, whatever is said of the client itself.
fn refuses(section: Section<'_>) -> Refuses {
    let listed = section.texts("refuse");
    refuse_twice(section.notes(), "weak proof", listed.iter().copied());
    let one = |word: &str| match word {
        "unsigned-payload" => Ok(Refuses { unsigned_payload: true, ..Refuses::default() }),
        "v1" => Ok(Refuses { v1: true, ..Refuses::default() }),
        "md5" => Ok(Refuses { md5: true, ..Refuses::default() }),
        _ => Err(no_such("weak proof", word, WEAK)),
    };
    let read = listed.iter().filter_map(|&given| section.parsed(given, one));
    read.fold(Refuses::default(), |all, given| all.or(given.value))
}

/// Points out the weak proofs of Tencent's STS API that are accepted. Unlike TOP it has no endpoint to say that at: it
/// is always served, and matters where a role can be handed out by it.
pub(super) fn point_out_weak(root: Section<'_>, refuses: Refuses, tenants: &[TenantEntry<'_>]) {
    let mut roles = tenants.iter().flat_map(|tenant| &tenant.roles);
    let accepted = match (refuses.unsigned_payload, refuses.v1) {
        (true, true) => return,
        (true, false) => "the older signature `v1` is",
        (false, true) => "`unsigned-payload` is",
        (false, false) => "`unsigned-payload` and the older signature `v1` are",
    };
    let Some(server) = root.table("server") else { return };
    if roles.any(|role| role.language == Some(Language::Cam)) {
        let message = format!("{accepted} accepted by Tencent's STS API, because vendors' clients send them");
        let hint = "where all clients sign whole requests with TC3-HMAC-SHA256: refuse = [\"unsigned-payload\", \"v1\"] \
                    in [server]; for one: daypass client refuse";
        server.notes().warning(server.place(), Fault::new(message).hint(hint));
    }
}

/// An address and a port to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(format!("`{text}` is not an address and a port"))
            .hint("such as \"127.0.0.1:5050\" or \"[::1]:5050\"")
    })
}

fn proxy(text: &str) -> Result<IpNet, Fault> {
    let net = network(text)?;
    // Whoever is believed here can give itself any source address, and with it a ration of its own.
    if net.is_everything() {
        let fault = Fault::new(format!("`{net}` would believe anyone about where they come from"));
        return Err(fault.hint("list only the proxy's own addresses"));
    }
    Ok(net)
}

/// Points out a network of which two things are believed.
///
/// Attack: a balancer passes on the connections of its own network too, and whoever is in there writes an `X-Forwarded-For` that is
/// believed as that of a proxy.
fn point_out_both(section: Section<'_>, proxies: &[Given<IpNet>], balancers: &[Given<IpNet>]) {
    for balancer in balancers {
        let Some(proxy) = proxies.iter().find(|proxy| proxy.value.overlaps(&balancer.value)) else {
            continue;
        };
        let message = format!(
            "{} is in `behind_proxy` as well ({}): visitors from there whom the balancer passes on can name any address",
            balancer.value, proxy.value
        );
        let hint = "a balancer that passes TCP on belongs into `proxy_protocol` alone; name single addresses where both are \
                    in one network";
        section.notes().warning(balancer.place, Fault::new(message).hint(hint));
    }
}

/// A network in CIDR form.
pub(super) fn network(text: &str) -> Result<IpNet, Fault> {
    text.parse().map_err(|bad| match bad {
        BadNet::Syntax => Fault::new(format!("`{text}` is not a network such as `10.0.0.0/8`")),
        BadNet::HostBits(net) => Fault::new(format!("`{text}` has bits beyond its prefix"))
            .hint(format!("did you mean \"{net}\"?")),
    })
}

/// Off loopback without TLS, every credential and every client secret would cross the network in clear.
fn refuse_bare(section: Section<'_>, listen: &Given<SocketAddr>, covered: bool) {
    if listen.value.ip().to_canonical().is_loopback() || covered {
        return;
    }
    let message =
        format!("`{}` is reached from other machines, and credentials would travel in clear", listen.value);
    let hint = "listen on 127.0.0.1, or give it a certificate: tls = { certificate = \"chain.pem\", key = \"key.pem\" }, \
                or end TLS in a proxy and declare it: behind_proxy = [\"10.0.0.0/8\"], or proxy_protocol if it sends PROXY headers";
    section.notes().error(listen.place, Fault::new(message).hint(hint));
}
