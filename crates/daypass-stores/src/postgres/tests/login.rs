//! Whom we believe to be the server, and as whom it lets us in.

use super::super::address::Address;
use super::outage::recover;
use crate::conformance::{chain, entry};
use daypass_core::store::StoreError;
use daypass_faults::postgres::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// An authority, and the certificates that it gives.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name that ends in this year, with its key.
    fn certificate(&self, name: &str, to: i32) -> (String, String) {
        let (mut params, key) =
            (CertificateParams::new(vec![name.to_owned()]).unwrap(), KeyPair::generate().unwrap());
        (params.not_before, params.not_after) = (date_time_ymd(1999, 1, 1), date_time_ymd(to, 1, 1));
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn file(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, self.0.pem()).unwrap();
        path
    }
}

fn checked(server: &Server, host: &str, database: &str, roots: &Path) -> String {
    let port = server.address().port();
    format!("postgres://daypass@{host}:{port}/{database}?sslmode=verify-full&sslrootcert={}", roots.display())
}

fn refused(url: &str) -> String {
    match crate::open(url).err() {
        Some(StoreError::Unavailable(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Whoever mistypes an address is told which part of it, and what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_and_a_user_that_are_not_there_are_called_that() {
    let Some(server) = Server::start() else { return };
    let said = refused(&server.tcp("nowhere"));
    assert!(said.starts_with("database \"nowhere\" does not exist (PostgreSQL 3D000); make that"), "{said}");
    let database = server.database();
    let said = refused(&server.tcp(&database).replacen("//daypass@", "//nobody@", 1));
    assert!(said.starts_with("role \"nobody\" does not exist (PostgreSQL 28000); mend the user"), "{said}");
}

/// Attack: whoever stands between takes the server's part. What he can show is a certificate for another name, one that
/// somebody else made, one that has ended, or none at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_named_server_with_a_certificate_of_the_named_authority_is_spoken_to() {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let roots = ours.file(folder.path(), "ours.pem");
    let database = server.database();
    let url = checked(&server, "localhost", &database, &roots);

    let plain = refused(&url);
    assert!(plain.contains("TLS"), "a server without TLS: {plain}");

    let certify = |(certificate, key): (String, String)| server.certify(&certificate, &key).unwrap();
    certify(ours.certificate("localhost", 2100));
    let store = crate::open(&url).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    let plain = "SELECT count(*) FILTER (WHERE NOT ssl) || ' of ' || count(*) FROM pg_stat_ssl
         JOIN pg_stat_activity USING (pid) WHERE application_name = 'daypass'";
    let plain = server.psql(&database, plain).unwrap();
    assert!(plain.starts_with("0 of ") && plain != "0 of 0", "unencrypted: {plain}");

    let elsewhere = refused(&checked(&server, "127.0.0.1", &database, &roots));
    assert!(elsewhere.contains("not valid for name"), "by an address that it is not for: {elsewhere}");
    let stranger =
        refused(&checked(&server, "localhost", &database, &theirs.file(folder.path(), "theirs.pem")));
    assert!(stranger.contains("UnknownIssuer") || stranger.contains("BadSignature"), "{stranger}");

    certify(ours.certificate("db.example", 2100));
    assert!(refused(&url).contains("not valid for name"));
    certify(ours.certificate("localhost", 2000));
    assert!(refused(&url).contains("expired"));
    certify(theirs.certificate("localhost", 2100));
    let stranger = refused(&url);
    assert!(stranger.contains("UnknownIssuer") || stranger.contains("BadSignature"), "{stranger}");

    // What runs is not any less strict: its connections end, and none is made to whoever took the server's place.
    server.terminate("").unwrap();
    assert!(matches!(store.append(entry(2)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.append(entry(3)).await, Err(StoreError::Unavailable(_))));
    certify(ours.certificate("localhost", 2100));
    recover(&store, 4).await;
}

fn write(path: &Path, password: &str) {
    fs::write(path, format!("{password}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_proved_and_may_change_while_we_run() {
    let Some(server) = Server::start() else { return };
    let (folder, database) = (tempfile::tempdir().unwrap(), server.database());
    let file = folder.path().join("password");
    let set = |password: &str| {
        server.psql("postgres", &format!("ALTER ROLE daypass PASSWORD '{password}'")).unwrap();
    };
    set("the first one");
    let kept =
        server.psql("postgres", "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'daypass'");
    assert_eq!(kept.unwrap(), "SCRAM-SHA-256");
    server.admit("host all all 127.0.0.1/32 scram-sha-256").unwrap();
    let url = format!("{}?passwordfile={}", server.tcp(&database), file.display());

    write(&file, "a wrong one");
    let text = refused(&url);
    assert!(text.contains("password authentication failed") && !text.contains("a wrong one"), "{text}");
    fs::remove_file(&file).unwrap();
    assert!(!refused(&url).is_empty());

    write(&file, "the first one");
    let store = crate::open(&url).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();

    // First at the server, so that there is a time in which every new connection is refused.
    set("the second one");
    store.append(entry(2)).await.expect("what is connected stays connected");
    server.terminate("").unwrap();
    let failures = crate::traffic().failures;
    for n in 3..6 {
        assert!(matches!(store.append(entry(n)).await, Err(StoreError::Unavailable(_))));
    }
    assert!(crate::traffic().failures > failures, "it is counted");
    write(&file, "the second one");
    recover(&store, 6).await;
}

/// Somebody else has taken all the connections that the server gives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_more_connections_is_asked_again() {
    let Some(server) = Server::start_with(&["max_connections=12"]) else { return };
    let database = server.database();
    let url = format!("{}?connections=3", server.tcp(&database));
    let store = crate::open(&url).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    assert!(store.clients().await.unwrap().is_empty());

    let address = Address::parse(&url).unwrap();
    let mut taken = Vec::new();
    let full = loop {
        match address.dial(None).await {
            Ok(connection) => taken.push(connection),
            Err(error) => break error,
        }
        assert!(taken.len() <= 12, "it gives more than it says");
    };
    assert_eq!(full.code().unwrap().code(), "53300", "{full}");
    assert_eq!(taken.len(), 9, "a node has three: {full}");
    store.append(entry(2)).await.expect("what is connected stays connected");
    assert!(refused(&url).contains("53300"));

    // A node whose connections were cut finds all places taken.
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
         AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 3";
    let (one, _) = taken.first().unwrap();
    one.batch_execute(sql).await.unwrap();
    let mut more = Vec::new();
    while let Ok(connection) = address.dial(None).await {
        more.push(connection);
    }
    let refusal = store.append(entry(3)).await;
    assert!(matches!(refusal, Err(StoreError::Unavailable(_))), "{refusal:?}");
    drop((taken, more));
    recover(&store, 4).await;
}
