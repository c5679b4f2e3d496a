//! `daypass dev`: the whole product with no configuration.

use super::demo::{self, Credentials};
use super::files::{create_directory, create_private};
use super::output::{Failure, Output};
use super::place::{DATA, Place, database, seal_key, store_url};
use super::{authority, quote, trust};
use crate::app::{Ambient, App, Opened};
use crate::config::{self, Pair};
use crate::server::{Door, Server, Tls, stop_signal};
use crate::system::KeyEntropy;
use crate::{app, reload, telemetry};
use anyhow::Context as _;
use daypass_core::directory::Certificates;
use serde_json::json;
use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};

/// Run the whole product with a demo configuration.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one. Loopback only.
    #[arg(long, default_value = "127.0.0.1:5050", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The folder that keeps clients, keys and records.
    #[arg(long, default_value = DATA, value_name = "DIR")]
    data: PathBuf,
    /// Also write the demo clients' credentials to this file, before the listener opens.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Forget what the data folder holds and begin anew.
    #[arg(long)]
    reset: bool,
    /// Serve https in place of http, for clients that insist on it. The certificate is for this machine alone, and its
    /// authority, which clients must trust, is made once for the data folder: see `daypass trust`.
    #[arg(long)]
    tls: bool,
    /// A second address, of which clients that have a certificate are asked for it; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", requires = "tls")]
    mutual_tls: Option<SocketAddr>,
    /// The base of the names in answers (token issuer, metadata), where clients do not come by the address that
    /// is listened on.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

/// How many connections may wait in the kernel's queue.
const BACKLOG: u32 = 1024;

/// Serves the demo configuration until it is stopped.
pub(super) async fn run(args: Args, log: &str, output: &Output) -> Result<(), Failure> {
    if let Some(other) =
        [Some(args.listen), args.mutual_tls].into_iter().flatten().find(|a| !a.ip().is_loopback())
    {
        return Err(Failure::Usage(format!(
            "`daypass dev` listens on loopback alone, and {} is not; for others to reach it: daypass init, then \
             daypass serve",
            other.ip()
        )));
    }
    let _logs = telemetry::init(log, !std::io::stderr().is_terminal());
    let data = std::path::absolute(&args.data).map_err(anyhow::Error::from)?;
    if args.reset {
        reset(&data)?;
    }
    create_directory(&data)?;
    // Bound now, so that a taken port is known at once and a free one can be named in the credentials file;
    // opened only after that file is complete, so that whoever can connect can also read it.
    let socket = bind(args.listen)?;
    let address = socket.local_addr().map_err(anyhow::Error::from)?;
    let tls = if args.tls { Some(Arc::new(Tls::new(&pair(&data, address)?)?)) } else { None };
    let asking = args.mutual_tls.map(|address| asking(&data, address)).transpose()?;
    let mutual_tls_url = asking.as_ref().map(|asking| format!("https://{}", asking.address));
    let url = format!("{}://{address}", if args.tls { "https" } else { "http" });
    let place = open(&data).await?;
    place.opened.begin().await?;
    let file = data.join("credentials.json");
    let credentials = demo::credentials(&place, &file, &url).await?;
    credentials.write(&file)?;
    if let Some(copy) = &args.credentials {
        credentials.write(copy)?;
    }
    let mut plan =
        place.config.plan(args.public_url.as_deref().map_or(url.as_str(), |url| url.trim_end_matches('/')));
    plan.mutual_tls_url.clone_from(&mutual_tls_url);
    if asking.is_some() {
        plan.certificates = Certificates::Registered;
    }
    plan.guesses_unbounded = true;
    let app = App::build(place.opened, plan, Ambient::system()).await?;
    let background = tokio::spawn(app.clone().background());
    reload::outlive_hangups();
    let stop = stop_signal();
    let mut doors = vec![Door::new(listen(socket)?, tls)];
    if let Some(Asking { socket, tls, .. }) = asking {
        doors.push(Door::new(listen(socket)?, Some(tls)));
    }
    let authority = args.tls.then(|| authority::certificate(&data));
    announce(output, &credentials, &file, authority.as_deref(), mutual_tls_url.as_deref());
    Server::new(app.clone()).run(doors, stop).await;
    background.abort();
    app.close().await;
    Ok(())
}

/// The listener of those who have a certificate, bound and not yet open.
struct Asking {
    address: SocketAddr,
    socket: TcpSocket,
    tls: Arc<Tls>,
}

fn asking(data: &Path, address: SocketAddr) -> anyhow::Result<Asking> {
    let socket = bind(address)?;
    let address = socket.local_addr()?;
    // Nobody vouches for anything here: the folder's authority makes no certificates of clients.
    Ok(Asking { address, socket, tls: Arc::new(Tls::asking(&pair(data, address)?, None)?) })
}

fn pair(data: &Path, address: SocketAddr) -> anyhow::Result<Pair> {
    authority::pair(data, address.ip(), app::now()).context("cannot make a certificate")
}

async fn open(data: &Path) -> Result<Place, Failure> {
    let key = seal_key(data);
    if !key.exists() {
        if database(data).exists() {
            return Err(Failure::Usage(format!(
                "`{}` is missing, and without it the data cannot be read; put it back, or begin anew with --reset",
                key.display()
            )));
        }
        create_private(&key, config::generate_seal_key(&KeyEntropy).expose())?;
    }
    let bytes = config::read_seal_key(&key).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let config = config::demo().map_err(|faults| Failure::Usage(faults.to_string()))?;
    Ok(Place { config, opened: Opened::open(&store_url(data), &bytes).await? })
}

/// Removes what `dev` made, and nothing else: the folder may be one that the user named by mistake.
fn reset(data: &Path) -> Result<(), Failure> {
    let made = ["daypass.db", "daypass.db-wal", "daypass.db-shm", "seal.key", "credentials.json"];
    let authority = [authority::certificate(data), authority::key(data)];
    for path in made.map(|name| data.join(name)).into_iter().chain(authority) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(anyhow::Error::from(error)
                    .context(format!("cannot remove `{}`", path.display()))
                    .into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes an address, and lets nobody connect to it yet.
pub(super) fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of the last run to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address).map_err(|error| cannot_listen(address, error))?;
    Ok(socket)
}

/// Lets connections come.
pub(super) fn listen(socket: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = socket.local_addr()?;
    socket.listen(BACKLOG).map_err(|error| cannot_listen(address, error))
}

/// Why an address cannot be listened on, and who would know more.
pub(super) fn cannot_listen(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let who = match error.kind() {
        ErrorKind::AddrInUse => " (`ss -ltnp` shows who does, perhaps a Daypass that still runs)",
        ErrorKind::AddrNotAvailable => " (`ip address` shows the addresses of this machine)",
        _ => "",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}{who}"))
}

fn announce(
    output: &Output,
    credentials: &Credentials,
    file: &Path,
    authority: Option<&Path>,
    mutual_tls: Option<&str>,
) {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("daypass"));
    let (program, from) = (quote(&program), quote(file));
    let Credentials { url, entra, get_authorization, .. } = credentials;
    let curl = authority.map_or("curl".to_owned(), |ca| format!("curl --cacert {}", quote(ca)));
    let mut commands = json!({
        "tencent": [
            format!("{curl} -sS {url}{}", get_authorization.path),
            format!("{program} token tencent --from {from}"),
        ],
        "alibaba": [format!("{program} token alibaba --from {from}")],
        "entra": [
            format!(
                "{curl} -sS -X POST '{url}/{}/oauth2/v2.0/token' -H 'Content-Type: application/x-www-form-urlencoded' \
                 --data-urlencode 'grant_type=client_credentials' --data-urlencode 'client_id={}' --data-urlencode \
                 'client_secret={}' --data-urlencode 'Type=oauth2' --data-urlencode 'scope={}'",
                entra.tenant, entra.client_id, entra.client_secret, entra.scope
            ),
            format!("{program} token exchange --from {from} --to tencent"),
        ],
    });
    if let (Some(url), Some(commands)) = (mutual_tls, commands.as_object_mut()) {
        commands.insert("mutual_tls".to_owned(), with_certificate(&curl, url, credentials, file));
    }
    if output.is_json() {
        let mut ready = json!({ "ready": url, "credentials": file, "commands": commands });
        if let (Some(url), Some(ready)) = (mutual_tls, ready.as_object_mut()) {
            ready.insert("mutual_tls".to_owned(), json!(url));
        }
        if let (Some(ca), Some(ready)) = (authority, ready.as_object_mut()) {
            ready.insert("ca".to_owned(), json!(ca));
            ready.insert("trust".to_owned(), trust::advice(ca));
        }
        output.line(ready);
        return;
    }
    let list = |name: &str| {
        let lines = commands
            .get(name)
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str);
        lines.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    };
    let trust = authority.map_or_else(String::new, |ca| {
        format!("Clients must trust its certificate authority:\n\n{}\n\n", trust::lines(ca))
    });
    let with_certificate = mutual_tls.map_or_else(String::new, |url| {
        let lines = list("mutual_tls");
        format!("OAuth 2.0 for a client with a certificate, at {url}\n{lines}\n\n")
    });
    output.line(format!(
        "Daypass {} is ready on {url}\n\n{trust}\
         Paste into another terminal:\n\n\
         Tencent Cloud: temporary keys for a browser SDK, and the STS call behind it\n{}\n\n\
         Alibaba TOP: a security token for one product, scene, tenant and store\n{}\n\n\
         Azure China: OAuth 2.0 client credentials, and such a token exchanged for a temporary key of Tencent Cloud\n{}\n\n{with_certificate}\
         The demo clients' credentials are in {from}.\n\
         dev sets no rate limit and writes these secrets to a file; everything else is as in production.",
        env!("CARGO_PKG_VERSION"),
        list("tencent"),
        list("alibaba"),
        list("entra"),
    ));
}

/// How to make a certificate that signs itself, how to let the demo client be known by it, and how to ask with it.
fn with_certificate(curl: &str, url: &str, credentials: &Credentials, from: &Path) -> serde_json::Value {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("daypass"));
    let data = from.parent().unwrap_or(from);
    let demo::Entra { tenant, client_id, scope, .. } = &credentials.entra;
    json!([
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=demo -keyout client.key \
         -out client.pem",
        format!(
            "{} client rotate {client_id} --kind certificate --certificate client.pem --data {}",
            quote(&program),
            quote(data)
        ),
        format!(
            "{curl} -sS --cert client.pem --key client.key -X POST '{url}/{tenant}/oauth2/v2.0/token' --data-urlencode \
             'grant_type=client_credentials' --data-urlencode 'client_id={client_id}' --data-urlencode 'scope={scope}'"
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_names_who_would_know_more() {
        let first = listen(bind(([127, 0, 0, 1], 0).into()).unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).and_then(listen).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.starts_with(&format!("cannot listen on {address} (`ss -ltnp`")), "{said}");
        assert!(said.contains("Address already in use"), "the cause stays: {said}");
    }

    #[test]
    fn reset_removes_only_its_own_files() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["daypass.db", "seal.key", "ca.key", "ca.pem", "mine.txt"] {
            std::fs::write(directory.path().join(name), b"x").unwrap();
        }
        reset(directory.path()).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }
}
