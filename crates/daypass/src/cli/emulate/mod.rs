//! `daypass emulate`: the clouds that Daypass stands before, faked by Daypass itself, to test clients against.
//!
//! It is no production mode: its keys may give away everything, its clock can be set, it fails on purpose, and it forgets
//! everything when it stops. Nothing that it hands out opens anything at a real cloud.

mod answer;
mod asked;
mod body;
mod clock;
mod control;
mod fault;
mod front;
mod harm;
mod limits;
mod one_live;
mod sight;

use super::demo::{self, Credentials, read_json};
use super::dev::{bind, listen};
use super::files::{create_directory, create_private, write_private};
use super::output::{Failure, Output};
use super::place::{Place, database, seal_key, store_url};
use super::{authority, quote};
use crate::app::{self, Ambient, App, Opened};
use crate::server::{Server, Tls, stop_signal};
use crate::system::{KeyEntropy, RequestEntropy, SystemClock};
use crate::{config, reload, telemetry};
use anyhow::Context as _;
use asked::Log;
use clock::{Dial, Turn};
use control::Control;
use daypass_core::id::{self, random_uuid};
use daypass_core::secret::Secret;
use fault::{Fault, Faults};
use front::Front;
use limits::{Limits, Rate};
use one_live::{Client, OneLive};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Emulate the clouds for tests: their own STS and token endpoints with a clock that can be set and faults on demand. Not for
/// production.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one. Loopback only.
    #[arg(long, default_value = "127.0.0.1:5080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the clock and the faults are controlled; loopback only.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    control: SocketAddr,
    /// Keep clients and keys in this folder. Without it everything is forgotten at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also write the credentials to this file, before the listener opens.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Serve https, for clients that insist on it; its certificate authority is ca.pem in the data folder.
    #[arg(long, requires = "data")]
    tls: bool,
    /// Set the clock: +10m, -1h, or a time such as 2030-01-01T00:00:00Z.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = Turn::parse)]
    clock: Option<Turn>,
    /// Let the clock stand.
    #[arg(long)]
    freeze: bool,
    /// Go wrong: CLOUD:FAULT or CLOUD:FAULT:CHANCE, such as tencent:429:0.3. Clouds: tencent, alibaba, top, entra, oauth. Faults:
    /// 429, 500, hang, reset, slow, garbage, html, redirect, gzip, huge, expired, short, wrong-account.
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<Fault>,
    /// What decides which questions go wrong, so that a run can be repeated.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    seed: u64,
    /// How many calls a second one key may make, such as tencent:5 [default: what the vendors publish].
    #[arg(long = "rate", value_name = "CLOUD:CALLS")]
    rates: Vec<Rate>,
    /// What a busy cloud puts into Retry-After, in seconds.
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    retry_after: u32,
    /// The keys are those of root accounts: GetFederationToken gives at most 7200 seconds and not 129600.
    #[arg(long)]
    root_account: bool,
    /// The longest session of the RAM role that AssumeRole takes.
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = session)]
    max_session: String,
}

/// The `MaxSessionDuration` of a RAM role: one to twelve hours (Alibaba Cloud, `CreateRole`).
fn session(text: &str) -> Result<String, String> {
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse::<u8>().ok());
    match hours.filter(|hours| (1..=12).contains(hours)) {
        Some(hours) => Ok(format!("{hours}h")),
        None => Err("write 1h to 12h".to_owned()),
    }
}

/// How the clock and the faults are controlled, as the credentials file has it.
#[derive(Clone, Serialize, Deserialize)]
struct Access {
    /// Where.
    url: String,
    /// What to show.
    token: String,
}

/// The credentials file: that of `daypass dev`, and two members more.
#[derive(Serialize)]
struct File<'a> {
    #[serde(flatten)]
    credentials: &'a Credentials,
    one_live: &'a Client,
    control: &'a Access,
}

/// The part of a file of an earlier run that goes on.
#[derive(Deserialize)]
struct Earlier {
    one_live: Client,
}

/// The folder that holds everything, and whether it goes when the program does.
struct Folder {
    path: PathBuf,
    thrown_away: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.thrown_away
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "cannot remove what was to be thrown away");
        }
    }
}

/// Serves the fake clouds until it is stopped.
pub(super) async fn run(args: Args, log: &str, output: &Output) -> Result<(), Failure> {
    if let Some(other) = [args.listen, args.control].iter().find(|address| !address.ip().is_loopback()) {
        return Err(Failure::Usage(format!(
            "`daypass emulate` listens on loopback alone, and {} is not: whatever it hands out is for tests on this machine",
            other.ip()
        )));
    }
    let _logs = telemetry::init(log, !std::io::stderr().is_terminal());
    let folder = folder(args.data.as_deref())?;
    // As in `dev`: taken now, and opened when the credentials file is complete, so that whoever can connect can also read it.
    let (socket, control) = (bind(args.listen)?, bind(args.control)?);
    let address = socket.local_addr().map_err(anyhow::Error::from)?;
    let scheme = if args.tls { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    let tls = if args.tls { Some(Arc::new(tls(&folder.path, address)?)) } else { None };
    let place = open(&folder.path, &args.max_session).await?;
    place.opened.begin().await?;
    let file = folder.path.join("credentials.json");
    let one_live =
        read_json::<Earlier>(&file).map_or_else(|_| Client::new(&KeyEntropy), |earlier| earlier.one_live);
    let credentials = demo::credentials(&place, &file, &url).await?;
    let access = Access {
        url: format!("http://{}", control.local_addr().map_err(anyhow::Error::from)?),
        token: id::text(&KeyEntropy, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 43),
    };
    let written = File { credentials: &credentials, one_live: &one_live, control: &access };
    write(&written, std::iter::once(file.as_path()).chain(args.credentials.as_deref()))?;

    let dial = Arc::new(Dial::new(Arc::new(SystemClock)));
    if let Some(turn) = args.clock {
        dial.turn(turn).map_err(Failure::Usage)?;
    }
    dial.freeze(args.freeze);
    let mut plan = place.config.plan(&url);
    plan.guesses_unbounded = true;
    let account = plan.tenants.first().map(|tenant| tenant.account.clone()).unwrap_or_default();
    let entropy = Arc::new(RequestEntropy);
    let ambient = Ambient { clock: dial.clone(), entropy: entropy.clone() };
    let app = App::build(place.opened, plan, ambient).await?;
    let (faults, log) = (Arc::new(Faults::new(args.faults, args.seed)), Arc::new(Log::default()));
    let front = Arc::new(Front {
        server: Server::new(app.clone()),
        dial: dial.clone(),
        faults: faults.clone(),
        limits: Limits::new(args.root_account, args.rates),
        log: log.clone(),
        one_live: OneLive::new(one_live.clone()),
        entropy,
        account,
        retry_after: args.retry_after,
    });
    let controls = Control { token: Secret::new(access.token.as_str()), dial, faults, log, app: app.clone() };
    reload::outlive_hangups();
    let stop = stop_signal();
    let (listener, control) = (listen(socket)?, listen(control)?);
    announce(
        output,
        &written,
        args.credentials.as_deref().unwrap_or(&file),
        tls.is_some().then_some(&folder.path),
    );
    tokio::select! {
        () = stop => {}
        () = front.run(listener, tls) => {}
        () = Arc::new(controls).run(control) => {}
        () = app.clone().background() => {}
    }
    app.close().await;
    drop(folder);
    Ok(())
}

fn folder(data: Option<&Path>) -> anyhow::Result<Folder> {
    let folder = if let Some(data) = data {
        Folder { path: std::path::absolute(data)?, thrown_away: false }
    } else {
        let name = format!("daypass-emulate-{}", random_uuid(&KeyEntropy).simple());
        Folder { path: std::env::temp_dir().join(name), thrown_away: true }
    };
    create_directory(&folder.path)?;
    Ok(folder)
}

fn tls(data: &Path, address: SocketAddr) -> anyhow::Result<Tls> {
    let pair = authority::pair(data, address.ip(), app::now()).context("cannot make a certificate")?;
    Tls::new(&pair)
}

async fn open(data: &Path, max_session: &str) -> Result<Place, Failure> {
    let key = seal_key(data);
    if !key.exists() {
        if database(data).exists() {
            let missing = format!("`{}` is missing, and without it the data cannot be read", key.display());
            return Err(Failure::Usage(missing));
        }
        create_private(&key, config::generate_seal_key(&KeyEntropy).expose())?;
    }
    let bytes = config::read_seal_key(&key).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let text = include_str!("cloud.toml").replace("@max_session@", max_session);
    let config =
        config::built_in("cloud.toml", &text).map_err(|faults| Failure::Usage(faults.to_string()))?;
    Ok(Place { config, opened: Opened::open(&store_url(data), &bytes).await? })
}

fn write<'a>(file: &File<'_>, paths: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(file)?;
    text.push('\n');
    for path in paths {
        write_private(path, text.as_bytes())?;
    }
    Ok(())
}

/// What a client of each cloud is pointed at, and what to paste.
fn commands(file: &File<'_>, from: &Path) -> Value {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("daypass"));
    let (program, from) = (quote(&program), quote(from));
    let Credentials { url, entra, .. } = file.credentials;
    let Access { url: control, token } = file.control;
    let Client { path, appid, secret } = file.one_live;
    let control = |what: &str| format!("curl -sS -H 'Authorization: Bearer {token}' {control}{what}");
    json!({
        "tencent": [format!("{program} token tencent --from {from}")],
        "alibaba": [
            format!("{program} token alibaba --sts --from {from}"),
            format!("{program} token alibaba --from {from}"),
        ],
        "entra": [format!(
            "curl -sS '{url}/{}/oauth2/v2.0/token' --data-urlencode grant_type=client_credentials --data-urlencode \
             client_id={} --data-urlencode client_secret={} --data-urlencode scope={}",
            entra.tenant, entra.client_id, entra.client_secret, entra.scope
        )],
        "oauth": [format!(
            "curl -sS '{url}{path}?grant_type=client_credential&appid={appid}&secret={secret}'"
        )],
        "control": [
            control("/clock -d '{\"advance\":\"+10m\"}'"),
            control("/faults -d '{\"faults\":[\"tencent:429:0.3\"]}'"),
            control("/requests"),
        ],
    })
}

fn announce(output: &Output, file: &File<'_>, from: &Path, tls: Option<&PathBuf>) {
    let (commands, url) = (commands(file, from), &file.credentials.url);
    if output.is_json() {
        output.line(json!({
            "ready": url, "credentials": from, "control": file.control.url, "commands": commands,
            "ca": tls.map(|data| authority::certificate(data)),
        }));
        return;
    }
    let list = |name: &str| {
        let lines =
            commands.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        lines.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    };
    output.line(format!(
        "Daypass {} emulates the clouds on {url}\n\n\
         NOT FOR PRODUCTION: its keys may give away everything, its clock can be set, and it fails when told to.\n\n\
         Paste into another terminal:\n\n\
         Tencent Cloud STS\n{}\n\nAlibaba Cloud STS, and the TOP gateway\n{}\n\nMicrosoft Entra\n{}\n\n\
         A service whose new token kills the one before\n{}\n\nThe clock, the faults, and what was asked\n{}\n\n\
         The credentials are in {}.",
        env!("CARGO_PKG_VERSION"),
        list("tencent"),
        list("alibaba"),
        list("entra"),
        list("oauth"),
        list("control"),
        quote(from),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_configuration_is_good_and_named_as_that_of_dev() {
        let names = |loaded: config::Loaded| {
            let plan = loaded.plan("");
            let roles = plan.roles.iter().map(|role| role.name.clone()).collect::<Vec<_>>();
            (plan.tenants.iter().map(|t| (t.guid, t.account.clone())).collect::<Vec<_>>(), roles)
        };
        let text = include_str!("cloud.toml").replace("@max_session@", "12h");
        let (tenants, roles) = names(config::built_in("cloud.toml", &text).unwrap());
        let (of_dev, roles_of_dev) = names(config::demo().unwrap());
        assert_eq!(tenants, of_dev);
        for role in ["soe", "store-upload", "uploads", "devcenter"].map(str::to_owned) {
            assert!(roles.contains(&role) && roles_of_dev.contains(&role), "{role}");
        }
    }

    #[test]
    fn a_session_of_a_role_is_one_to_twelve_hours() {
        assert_eq!((session("1h"), session("12h")), (Ok("1h".into()), Ok("12h".into())));
        for bad in ["0h", "13h", "30m", "h", ""] {
            assert!(session(bad).is_err(), "{bad}");
        }
    }
}
