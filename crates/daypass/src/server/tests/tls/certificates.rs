//! A certificate that is replaced while the server runs: what is shown, what stays, and what is forgotten with it.

use super::*;
use crate::config::TlsSource;
use crate::server::Watch;
use rustls::HandshakeKind;
use std::path::Path;

/// Files of one pair, and the watch over them.
fn watched(folder: &Path, made: &Made) -> (Arc<Tls>, Watch) {
    let (certificate, key) = made.put(folder);
    let source = TlsSource::for_test(&certificate, &key);
    let (shows, watch) = Watch::start(&source, None, Arc::new(crate::system::SystemClock)).unwrap();
    (shows.main, watch)
}

/// The certificate itself, of a PEM text.
fn der(made: &Made) -> Vec<u8> {
    CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_under_load_without_an_error() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (tls, mut watch) = watched(folder.path(), &authority.sign(&["localhost"], -1, 90));
    let server = Secure::start_with(&authority, tls).await;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let ask = |new_connections: bool| {
        let (client, done, answered) = (server.client.clone(), done.clone(), answered.clone());
        tokio::spawn(async move {
            let mut sender: Sender = client.http2().await;
            while !done.load(Ordering::Relaxed) {
                if new_connections {
                    sender = client.http2().await;
                }
                let answer = get(&mut sender, "/getAuthorization").await.unwrap();
                assert_eq!(answer.status(), 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let asking = [ask(false), ask(true), ask(true)];
    for _ in 0..8 {
        let made = authority.sign(&["localhost"], -1, 90);
        let before = answered.load(Ordering::Relaxed);
        made.put(folder.path());
        watch.look().await;
        assert_eq!(server.client.shown().await, der(&made));
        while answered.load(Ordering::Relaxed) < before + 10 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for asking in asking {
        asking.await.expect("no request failed");
    }
    server.running.stop().await;
}

#[tokio::test]
async fn a_broken_new_pair_leaves_the_old_one() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let old = authority.sign(&["localhost"], -1, 90);
    let (tls, mut watch) = watched(folder.path(), &old);
    let server = Secure::start_with(&authority, tls).await;
    let new = authority.sign(&["localhost"], -1, 90);
    let expired = authority.sign(&["localhost"], -90, -1);
    for broken in [
        // Half of a renewal: the certificate is there, and its key is not yet.
        Made { certificate: new.certificate.clone(), key: old.key.clone() },
        Made { certificate: String::new(), key: new.key.clone() },
        Made { certificate: new.certificate.clone(), key: "junk".to_owned() },
        expired,
    ] {
        broken.put(folder.path());
        watch.look().await;
        watch.look().await;
        assert_eq!(server.client.shown().await, der(&old));
    }
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    watch.look().await;
    assert_eq!(server.client.shown().await, der(&old));
    new.put(folder.path());
    watch.look().await;
    assert_eq!(server.client.shown().await, der(&new));
    server.running.stop().await;
}

/// Whoever resumes a session shows that the old handshake was theirs. It must not outlive the pair it was made with.
#[tokio::test]
async fn a_session_is_resumed_and_forgotten_with_its_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (tls, mut watch) = watched(folder.path(), &authority.sign(&["localhost"], -1, 90));
    let server = Secure::start_with(&authority, tls).await;
    // Sessions are kept in the configuration.
    let config = server.client.config(&[b"http/1.1"]);
    let kind = async || {
        let mut stream = server.client.connect(config.clone()).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        (stream.get_ref().1.handshake_kind().unwrap(), stream.get_ref().1.is_early_data_accepted())
    };
    assert_eq!(kind().await, (HandshakeKind::Full, false));
    assert_eq!(kind().await, (HandshakeKind::Resumed, false));
    authority.sign(&["localhost"], -1, 90).put(folder.path());
    watch.look().await;
    assert_eq!(kind().await, (HandshakeKind::Full, false));
    server.running.stop().await;
}
