//! The control listener of the fake cloud: its clock, its faults, and what came. On this machine alone, and only for whoever has
//! the token: a page in a browser can reach a port, and must not be able to move a clock.

use super::asked::Log;
use super::clock::{Dial, Turn};
use super::fault::{Fault, Faults};
use crate::app::App;
use bytes::Bytes;
use daypass_core::secret::{Secret, same};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// The largest question.
const BODY: usize = 64 * 1024;
/// How long a question and its answer may take together.
const WHOLE: Duration = Duration::from_secs(10);

/// What is controlled.
pub(super) struct Control {
    /// What a question must show.
    pub(super) token: Secret,
    /// The clock.
    pub(super) dial: Arc<Dial>,
    /// The faults.
    pub(super) faults: Arc<Faults>,
    /// What came.
    pub(super) log: Arc<Log>,
    /// What must look at the clock anew.
    pub(super) app: Arc<App>,
}

/// `POST /clock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockTurn {
    /// `+10m`, `-1h`.
    advance: Option<String>,
    /// A time.
    set: Option<String>,
    /// Whether it stands.
    freeze: Option<bool>,
}

/// `POST /faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFaults {
    faults: Vec<String>,
}

impl Control {
    /// Answers for as long as the process lives.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let control = self.clone();
                    tokio::spawn(async move {
                        let service = service_fn(move |request| control.clone().answer(request));
                        let mut http = http1::Builder::new();
                        http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(WHOLE);
                        // Whoever is slower than that asks again.
                        let _ = timeout(WHOLE, http.serve_connection(TokioIo::new(stream), service)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections for control; trying again");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        if !same(shown.strip_prefix(b"Bearer ").unwrap_or_default(), self.token.expose()) {
            return Ok(reply(
                401,
                &json!({ "error": "show the control token: Authorization: Bearer TOKEN" }),
            ));
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY).collect().await else {
            return Ok(reply(413, &json!({ "error": "the question is too large" })));
        };
        let answer = self.act(&parts.method, parts.uri.path(), &body.to_bytes());
        if parts.method == Method::POST && parts.uri.path() == "/clock" {
            // Seen from a moved clock, the store was silent for as long as the clock was moved by.
            if let Err(error) = self.app.refresh().await {
                tracing::warn!(error = format!("{error:#}"), "the store cannot be looked at");
            }
        }
        Ok(match answer {
            Ok(document) => reply(200, &document),
            Err((status, why)) => reply(status, &json!({ "error": why })),
        })
    }

    fn act(&self, method: &Method, path: &str, body: &[u8]) -> Result<Value, (u16, String)> {
        let bad = |error: String| (400, error);
        match (path, method.as_str()) {
            ("/clock", "GET") => Ok(self.dial.shown()),
            ("/clock", "POST") => {
                let turn: ClockTurn = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
                for text in turn.set.iter().chain(&turn.advance) {
                    self.dial.turn(Turn::parse(text).map_err(bad)?).map_err(bad)?;
                }
                if let Some(stands) = turn.freeze {
                    self.dial.freeze(stands);
                }
                Ok(self.dial.shown())
            }
            ("/faults", "GET") => Ok(json!({ "faults": self.faults.shown() })),
            ("/faults", "POST") => {
                let new: NewFaults = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
                let all = new.faults.iter().map(|text| text.parse::<Fault>()).collect::<Result<_, _>>();
                self.faults.replace(all.map_err(bad)?);
                Ok(json!({ "faults": self.faults.shown() }))
            }
            ("/requests", "GET") => Ok(self.log.shown()),
            ("/requests", "DELETE") => {
                self.log.forget();
                Ok(self.log.shown())
            }
            ("/clock" | "/faults" | "/requests", _) => Err((405, "this is asked in another way".to_owned())),
            _ => Err((404, "there is /clock, /faults and /requests".to_owned())),
        }
    }
}

fn reply(status: u16, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{document}\n"))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
