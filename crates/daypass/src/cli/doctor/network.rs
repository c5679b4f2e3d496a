//! The network: where the service listens, whether a server answers there, and whether the public address leads to it.

use super::finding::Finding;
use crate::cli::exchange::Target;
use crate::config::Loaded;
use bytes::Bytes;
use daypass_core::ring::Ring;
use http::header::{ACCEPT, HOST};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(config: &Loaded, ring: Option<&Ring>, ca: Option<&Path>, found: &mut Vec<Finding>) {
    main(config, found).await;
    let others =
        [("mutual_tls", config.mutual_tls.as_ref().map(|tls| tls.listen)), ("metrics", config.metrics)];
    for (check, address) in others.into_iter().filter_map(|(check, address)| Some((check, address?))) {
        found.push(match bind(address).await {
            Ok(()) => Finding::ok(check, format!("{address} is free, and no server runs")),
            Err(ErrorKind::AddrInUse) => Finding::ok(check, format!("somebody listens on {address}")),
            Err(kind) => cannot_listen(check, address, kind),
        });
    }
    if let (Some(url), Some(ring)) = (&config.public_url, ring) {
        found.push(public(config, url, ring, ca).await);
    }
}

/// The main listener: free, or ours, and then what the server there says of itself.
async fn main(config: &Loaded, found: &mut Vec<Finding>) {
    let (check, address) = ("listen", config.listen);
    match bind(address).await {
        Ok(()) => found.push(Finding::ok(check, format!("{address} is free, and no server runs"))),
        Err(ErrorKind::AddrInUse) if config.tls.is_some() => {
            found.push(Finding::ok(
                check,
                format!("somebody listens on {address}; `public_url` says whether it is us"),
            ));
        }
        Err(ErrorKind::AddrInUse) => {
            if let Some(report) = ready(config, address).await {
                found.push(Finding::ok(check, format!("a server answers on {address}")));
                says(&report, found);
            } else {
                let text = format!("another program listens on {address}, or a server that does not answer");
                let todo =
                    format!("`ss -ltnp` names it (port {}); stop it, or listen elsewhere", address.port());
                found.push(Finding::fault(check, text, todo));
            }
        }
        Err(kind) => found.push(cannot_listen(check, address, kind)),
    }
}

/// Whether somebody could listen there now. Nobody is kept from it: it is given up at once.
async fn bind(address: SocketAddr) -> Result<(), ErrorKind> {
    // A listener on all addresses and one on a single one can stand beside each other; whoever connects tells.
    if timeout(PATIENCE, TcpStream::connect(reached_at(address)))
        .await
        .is_ok_and(|connected| connected.is_ok())
    {
        return Err(ErrorKind::AddrInUse);
    }
    TcpListener::bind(address).await.map(drop).map_err(|error| error.kind())
}

/// Where a listener is reached from this machine.
fn reached_at(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn cannot_listen(check: &'static str, address: SocketAddr, kind: ErrorKind) -> Finding {
    let (text, todo) = match kind {
        ErrorKind::AddrNotAvailable => (
            format!("{} is no address of this machine", address.ip()),
            "`ip address` shows those that it has; 0.0.0.0 means all",
        ),
        ErrorKind::PermissionDenied => (
            format!("this user may not listen on port {}", address.port()),
            "take a port above 1023, or give the unit AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ),
        _ => (format!("cannot listen on {address}: {kind}"), "listen elsewhere"),
    };
    Finding::fault(check, text, todo)
}

/// What a server on this machine says of itself, if it is one of ours.
async fn ready(config: &Loaded, address: SocketAddr) -> Option<Value> {
    let near = reached_at(address);
    let target = Target::new(&format!("http://{near}"), Path::new("/"), None).ok()?;
    // Whoever connects to an address of his own machine comes from the same one.
    let says = config.proxy_protocol.iter().any(|network| network.contains(near.ip()));
    let target = if says { target.for_nobody() } else { target };
    let request = Request::get("/readyz").header(HOST, target.host()).header(ACCEPT, "application/json");
    let request = request.body(Full::new(Bytes::new())).ok()?;
    let answer = timeout(PATIENCE, target.send(request)).await.ok()?.ok()?;
    let report: Value = serde_json::from_slice(answer.body()).ok()?;
    report.get("checks").is_some().then_some(report)
}

/// What the running server finds wrong with itself, and whether it is this version.
fn says(report: &Value, found: &mut Vec<Finding>) {
    let check = "server";
    let before = found.len();
    for one in report.get("checks").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let said = format!("{}: {}", text("name"), text("text"));
        match text("state") {
            "warning" => found.push(Finding::warning(
                check,
                said,
                "docs/metrics.md says what each means; its log says more",
            )),
            "fault" => found.push(Finding::fault(
                check,
                said,
                "nothing is granted there until then; its log says more",
            )),
            _ => (),
        }
    }
    let version = report.get("version").and_then(Value::as_str).unwrap_or_default();
    if version != env!("CARGO_PKG_VERSION") {
        let text =
            format!("the server that runs is version {version}, and this is {}", env!("CARGO_PKG_VERSION"));
        found.push(Finding::warning(check, text, "restart it, if the newer one was installed since"));
    }
    if found.len() == before {
        found.push(Finding::ok(check, "the server is ready, and finds nothing wrong with itself"));
    }
}

/// Whether clients that ask at the public address reach this installation: whoever answers shows public keys of this ring.
async fn public(config: &Loaded, url: &str, ring: &Ring, ca: Option<&Path>) -> Finding {
    let check = "public_url";
    let plan = config.plan("");
    let Some(tenant) = plan.tenants.first() else {
        return Finding::ok(check, "there is no tenant to ask for");
    };
    let path = format!("/{}/discovery/v2.0/keys", tenant.guid);
    let base = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = if base.is_empty() { path } else { format!("/{base}{path}") };
    let asked = async {
        let target = Target::new(url, Path::new("/"), ca)?;
        let request = Request::get(&path).header(HOST, target.host()).body(Full::new(Bytes::new()));
        let request = request.map_err(|error| crate::cli::output::Failure::Usage(error.to_string()))?;
        target.send(request).await
    };
    let unreachable = |why: &str| {
        let todo = "is the service running, does the name lead here (DNS), do the firewall and the proxy in front let it through, \
                    and is its certificate for this name?";
        Finding::fault(check, format!("`{url}` does not answer: {why}"), todo)
    };
    let answer = match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => return unreachable(failure.text()),
        Err(_) => return unreachable("no answer in time"),
    };
    let keys: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let shown = keys.get("keys").and_then(Value::as_array).into_iter().flatten();
    let ours = |key: &Value| {
        let kid = key.get("kid").and_then(Value::as_str);
        ring.published().any(|(published, _)| Some(published.kid()) == kid)
    };
    if answer.status() == StatusCode::OK && shown.into_iter().any(ours) {
        return Finding::ok(check, format!("`{url}` leads to this installation"));
    }
    let text = format!("`{url}` is answered by something else (status {})", answer.status().as_u16());
    let todo =
        "point the name, or the proxy in front, to this service; or set `public_url` to where it is reached";
    Finding::fault(check, text, todo)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        let at = |text: &str| reached_at(text.parse().unwrap()).to_string();
        assert_eq!(
            [at("0.0.0.0:80"), at("[::]:80"), at("10.0.0.1:80")],
            ["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"]
        );
    }

    #[test]
    fn what_a_server_says_of_itself_is_passed_on() {
        let version = env!("CARGO_PKG_VERSION");
        let report = |version: &str, state: &str| {
            let checks = json!([{ "name": "store", "state": "ok", "text": "" }, { "name": "disk", "state": state, "text": "t" }]);
            let mut found = Vec::new();
            says(&json!({ "version": version, "checks": checks }), &mut found);
            found.iter().map(|found| found.state).collect::<Vec<_>>()
        };
        assert_eq!(report(version, "ok"), [State::Ok]);
        assert_eq!(report(version, "warning"), [State::Warning]);
        assert_eq!(report(version, "fault"), [State::Fault]);
        assert_eq!(report("0.0.1", "ok"), [State::Warning]);
    }
}
