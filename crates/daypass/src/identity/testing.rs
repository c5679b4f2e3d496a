//! A small application on this machine that answers as it is told, and remembers what it was asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What is said to every request, or to those for one path.
#[derive(Clone)]
pub(super) struct Say {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    announced: bool,
    hangs: bool,
    silent: bool,
}

impl Say {
    /// Status 200 with this document.
    pub(super) fn json(body: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        let body = body.to_owned();
        Self { status: 200, headers, body, announced: true, hangs: false, silent: false }
    }
    /// Nothing, for ever.
    pub(super) fn nothing() -> Self {
        Self { silent: true, ..Self::json("") }
    }
    /// With another status.
    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
    /// With this header instead of what there was of its name.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }
    /// Without telling how long the document is.
    pub(super) fn unannounced(self) -> Self {
        Self { announced: false, ..self }
    }
    /// Without ending.
    pub(super) fn and_then_hang(self) -> Self {
        Self { hangs: true, ..self }
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and path with query.
    pub(super) line: String,
    /// All headers.
    pub(super) headers: HeaderMap,
}

/// The application.
#[derive(Clone)]
pub(super) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    says: Mutex<Say>,
    at: Mutex<HashMap<String, Say>>,
    asked: Mutex<Vec<Asked>>,
    /// Each answer takes one; without a limit unless a test holds answers back.
    gate: Semaphore,
}

impl Fake {
    /// One that says this to every request.
    pub(super) async fn saying(say: Say) -> Self {
        let (fake, listener) = Self::listening(say).await;
        let shared = fake.shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let service = service_fn(move |request| answer(shared.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        fake
    }

    /// One that says these bytes to everyone and hangs up.
    pub(super) async fn raw(bytes: &'static [u8]) -> Self {
        let (fake, listener) = Self::listening(Say::nothing()).await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(bytes).await;
            }
        });
        fake
    }

    /// One that is not there.
    pub(super) async fn gone() -> Self {
        Self::listening(Say::nothing()).await.0
    }

    async fn listening(says: Say) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (says, gate) = (Mutex::new(says), Semaphore::new(Semaphore::MAX_PERMITS));
        let shared = Arc::new(Shared { says, at: Mutex::default(), asked: Mutex::default(), gate });
        (Self { address: listener.local_addr().unwrap(), shared }, listener)
    }

    /// Says something else from now on.
    pub(super) fn say(&self, say: Say) {
        *self.shared.says.lock() = say;
    }
    /// Says something else to requests for this path.
    pub(super) fn at(&self, path: &str, say: Say) {
        self.shared.at.lock().insert(path.to_owned(), say);
    }
    /// Holds all answers back until [`Fake::release`].
    pub(super) fn hold(&self) {
        self.shared.gate.forget_permits(Semaphore::MAX_PERMITS);
    }
    /// Lets all answers go.
    pub(super) fn release(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS);
    }
    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }
    /// How often something was asked so far.
    pub(super) fn count(&self) -> usize {
        self.shared.asked.lock().len()
    }
    /// Waits until so many requests have come.
    pub(super) async fn has_heard(&self, count: usize) {
        while self.count() < count {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    shared.asked.lock().push(Asked { line, headers: request.headers().clone() });
    shared.gate.acquire().await.unwrap().forget();
    let say = shared.at.lock().get(request.uri().path()).cloned();
    let say = say.unwrap_or_else(|| shared.says.lock().clone());
    if say.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(body(&say));
    *response.status_mut() = say.status.try_into().unwrap();
    for (name, value) in say.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
    }
    Ok(response)
}

fn body(say: &Say) -> BoxBody<Bytes, Infallible> {
    let bytes = Bytes::from(say.body.clone());
    if say.announced {
        return Full::new(bytes).boxed();
    }
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
    let hangs = say.hangs;
    tokio::spawn(async move {
        let _ = sender.send_data(bytes).await;
        if hangs {
            std::future::pending::<()>().await;
        }
    });
    body.boxed()
}
