//! The address: what is understood of it, what is refused, and how a connection is made to it.

use super::schema;
use super::traffic;
use daypass_core::secret::Secret;
use daypass_core::store::StoreError;
use deadpool_postgres::Connect;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What may stand behind the `?` of an address.
const PARAMETERS: &[&str] = &["connections", "host", "passwordfile", "port", "sslmode", "sslrootcert"];

/// How many connections a node has at most, unless the address says otherwise: one that writes, one that watches, and four that
/// read. What serves requests reads nothing; reading is start-up, following changes, and commands.
const CONNECTIONS: usize = 6;

/// The fewest that do: to write, to watch and to read; and more than this is a mistake, since one writes everything.
const BOUNDS: RangeInclusive<usize> = 3..=100;

/// How long a server may take to be reached. Shorter than a request waits, so that the answer is a reason and not silence;
/// of several servers each has as long.
const CONNECT: Duration = Duration::from_millis(900);

/// How long the kernel waits for the other end to confirm what was sent, and asks of a quiet one, before the connection is
/// given up. A network that was cut is noticed by this, and not by requests that wait.
const UNCONFIRMED: Duration = Duration::from_secs(3);

/// The permission bits of a password's file that are refused: others may not read it, and a group may do no more than that.
///
/// Attack: whoever can log in to the machine reads the password and writes what he likes past every check of ours.
const TOO_OPEN: u32 = 0o037;

/// The longest password, in bytes.
const LONGEST_PASSWORD: u64 = 4096;

/// Where the database is, and how it is reached.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// Read anew for each connection: a password that is changed there needs no restart.
    password: Option<PathBuf>,
    connections: usize,
}

impl Address {
    /// Understands an address such as `postgres://daypass@db.example/daypass`. It is never repeated in an error: it may carry a
    /// password that does not belong there.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut parameters = Parameters::default();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "connections" => {
                    let number = value.parse().ok().filter(|number| BOUNDS.contains(number));
                    let (least, most) = (BOUNDS.start(), BOUNDS.end());
                    let wanted =
                        || bad(format_args!("has `connections` that is no number from {least} to {most}"));
                    parameters.connections = Some(number.ok_or_else(wanted)?);
                }
                "sslmode" => parameters.mode = Some(value.into_owned()),
                "sslrootcert" => parameters.roots = Some(PathBuf::from(&*value)),
                "passwordfile" => parameters.password = Some(PathBuf::from(&*value)),
                "host" | "port" => _ = rest.append_pair(&name, &value),
                other => {
                    let known = PARAMETERS.join("`, `");
                    return Err(bad(format_args!("does not know `{other}`, but `{known}`")));
                }
            }
        }
        let rest = rest.finish();
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        let mut config: Config =
            plain.parse().map_err(|_| bad("is not of the form `postgres://USER@HOST/DATABASE`"))?;
        if config.get_password().is_some() {
            return Err(bad("carries a password, which belongs in a file of its own"));
        }
        if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
            return Err(bad("names no user, no host or no database"));
        }
        let tls = parameters.tls(&config)?;
        config
            .ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable })
            .application_name("daypass")
            // After a failover the old server may come back as one that only reads.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNCONFIRMED)
            .keepalives(true)
            .keepalives_idle(UNCONFIRMED)
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(2);
        let connections = parameters.connections.unwrap_or(CONNECTIONS);
        Ok(Self { config, tls, password: parameters.password, connections })
    }

    /// How many of a node's connections read.
    pub(super) fn readers(&self) -> usize {
        self.connections.saturating_sub(2).max(1)
    }

    /// The settings that a pool shows of itself; connections are made by [`Self::dial`].
    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Makes a connection that is set up as [`schema::SESSION`] says. Its driver runs by itself until the client is dropped,
    /// and tells `notices` of notifications if anybody listens.
    pub(super) async fn dial(
        &self,
        notices: Option<mpsc::Sender<()>>,
    ) -> Result<(Client, JoinHandle<()>), Error> {
        let mut config = self.config.clone();
        if let Some(path) = &self.password {
            match password(path) {
                Ok(secret) => {
                    config.password(secret.expose());
                }
                // The server may let us in without one; if not, this says why.
                Err(reason) => {
                    tracing::error!(file = %path.display(), %reason, "the store's password cannot be read");
                }
            }
        }
        let dialled = self.reach(&config, notices).await;
        if dialled.is_err() {
            traffic::failed();
        }
        dialled
    }

    async fn reach(
        &self,
        config: &Config,
        notices: Option<mpsc::Sender<()>>,
    ) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, driver) = if let Some(tls) = &self.tls {
            let (client, connection) = config.connect(tls.clone()).await?;
            (client, drive(connection, notices))
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            (client, drive(connection, notices))
        };
        client.batch_execute(schema::SESSION).await?;
        Ok((client, driver))
    }
}

fn drive<T>(mut connection: Connection<Socket, T>, notices: Option<mpsc::Sender<()>>) -> JoinHandle<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(std::future::poll_fn(move |context| {
        loop {
            match connection.poll_message(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => {
                    // One that waits already says as much.
                    if let Some(notices) = &notices {
                        let _ = notices.try_send(());
                    }
                }
                Poll::Ready(Some(Ok(_))) => (),
                Poll::Ready(Some(Err(error))) => {
                    tracing::warn!(%error, "a connection to the store has ended");
                    return Poll::Ready(());
                }
            }
        }
    }))
}

impl Connect for Address {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.dial(None))
    }
}

#[derive(Default)]
struct Parameters {
    mode: Option<String>,
    roots: Option<PathBuf>,
    password: Option<PathBuf>,
    connections: Option<usize>,
}

impl Parameters {
    /// TLS with the server's certificate and name checked, unless the server is this machine or it was said otherwise.
    ///
    /// Attack: with the modes between (`prefer`, `require`), whoever stands between takes the server's part, reads the sealed
    /// keys and every record, and answers with what he likes.
    fn tls(&self, config: &Config) -> Result<Option<MakeRustlsConnect>, StoreError> {
        let checked = match self.mode.as_deref() {
            Some("verify-full") => true,
            Some("disable") => false,
            Some(_) => {
                return Err(bad(
                    "has an `sslmode` that is neither `verify-full` nor `disable`; what is between them looks \
                                safe and lets anyone be the server",
                ));
            }
            None => !config.get_hosts().iter().all(here),
        };
        if !checked {
            return match &self.roots {
                Some(_) => Err(bad("names an `sslrootcert`, and uses no TLS; add `sslmode=verify-full`")),
                None => Ok(None),
            };
        }
        if config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            return Err(bad("asks for TLS over a socket of this machine, where PostgreSQL has none"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?;
        let builder = match &self.roots {
            Some(path) => builder.with_root_certificates(authorities(path)?),
            None => builder.with_platform_verifier().map_err(bad)?,
        };
        Ok(Some(MakeRustlsConnect::new(builder.with_no_client_auth())))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, StoreError> {
    let cannot = |error: String| bad(format_args!("names `{}` as `sslrootcert`: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(path).map_err(|error| cannot(error.to_string()))? {
        let one = one.map_err(|error| cannot(error.to_string()))?;
        roots.add(one).map_err(|error| cannot(error.to_string()))?;
    }
    if roots.is_empty() { Err(cannot("it holds no certificate".into())) } else { Ok(roots) }
}

/// Whether a server can only be this machine.
fn here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    }
}

fn bad(what: impl std::fmt::Display) -> StoreError {
    StoreError::BadUrl(format!("the store's address {what}"))
}

/// The password, without the end of its line.
fn password(path: &Path) -> Result<Secret, String> {
    let cannot = |error: std::io::Error| error.to_string();
    // Before it is opened: opening a pipe waits for someone to write into it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("it is not a file".into());
    }
    let file = fs::File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        return Err(format!("it is open to others than its owner and group (mode {mode:04o}); chmod 600"));
    }
    let mut read = Vec::with_capacity(usize::try_from(LONGEST_PASSWORD).unwrap_or_default());
    file.take(LONGEST_PASSWORD).read_to_end(&mut read).map_err(cannot)?;
    while read.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        read.pop();
    }
    if read.is_empty() { Err("it is empty".into()) } else { Ok(Secret::new(read)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match Address::parse(url) {
            Err(StoreError::BadUrl(text)) => text,
            Err(other) => panic!("{url}: {other:?}"),
            Ok(_) => panic!("{url}: is not refused"),
        }
    }

    fn encrypted(url: &str) -> bool {
        Address::parse(url).unwrap().tls.is_some()
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for url in ["postgres://daypass:hunter2@db/daypass", "postgres://daypass@db/daypass?password=hunter2"]
        {
            assert!(!refusal(url).contains("hunter2"), "{url}");
        }
        assert!(refusal("postgres://daypass:hunter2@db/daypass").contains("carries a password"));
    }

    #[test]
    fn an_address_names_user_host_and_database() {
        for url in ["postgres://db/daypass", "postgres://daypass@db", "postgres://daypass@/daypass"] {
            assert!(refusal(url).contains("names no"), "{url}");
        }
        assert!(refusal("postgres://daypass@db:port/daypass").contains("is not of the form"));
        assert!(refusal("postgres://daypass@db/daypass?options=-c").contains("does not know `options`"));
    }

    #[test]
    fn another_machine_is_reached_by_checked_tls_alone() {
        assert!(encrypted("postgres://daypass@db.example/daypass"));
        assert!(encrypted("postgres://daypass@192.0.2.1/daypass"));
        assert!(encrypted("postgres://daypass@localhost,db/daypass"), "one of them is another machine");
        assert!(!encrypted("postgres://daypass@db.example/daypass?sslmode=disable"), "said in so many words");
        for local in ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"] {
            assert!(!encrypted(&format!("postgres://daypass@{local}/daypass")), "{local}");
        }
        assert!(encrypted("postgres://daypass@localhost/daypass?sslmode=verify-full"));
        assert!(!encrypted("postgres://daypass@/daypass?host=/run/postgresql"));
        for mode in ["prefer", "require", "verify-ca", "allow", ""] {
            assert!(
                refusal(&format!("postgres://daypass@db/daypass?sslmode={mode}")).contains("verify-full")
            );
        }
        assert!(refusal("postgres://daypass@localhost/daypass?sslrootcert=/x").contains("uses no TLS"));
        assert!(refusal("postgres://daypass@db/daypass?sslrootcert=/nowhere").contains("/nowhere"));
    }

    #[test]
    fn the_number_of_connections_is_a_choice_within_bounds() {
        let readers =
            |query: &str| Address::parse(&format!("postgres://a@localhost/d{query}")).map(|it| it.readers());
        assert_eq!(readers(""), Ok(4));
        assert_eq!(readers("?connections=3"), Ok(1));
        assert_eq!(readers("?connections=100"), Ok(98));
        for wrong in ["2", "101", "many", "", "-3"] {
            let text = refusal(&format!("postgres://a@localhost/d?connections={wrong}"));
            assert!(text.contains("no number from 3 to 100"), "{text}");
        }
    }

    #[test]
    fn a_password_is_read_without_the_end_of_its_line_and_from_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |content: &str, mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            password(&path).map(|secret| secret.expose_str().to_owned())
        };
        assert_eq!(read("hunter 2\n", 0o600).as_deref(), Ok("hunter 2"));
        assert_eq!(read("hunter2", 0o440).as_deref(), Ok("hunter2"));
        assert!(read("hunter2", 0o644).unwrap_err().contains("0644"));
        assert!(read("\n", 0o600).is_err());
        assert!(password(folder.path()).is_err());
    }
}
