//! One request: limits, body, dialect, answer.

use super::bodies::Body;
use super::connection::Running;
use super::head::{as_in_http1, check_head};
use super::peer::Who;
use super::route::{Route, by_head, by_request};
use super::turn_away::Sent;
use super::{Server, group};
use crate::app::View;
use crate::traces;
use bytes::Bytes;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Dialect;
use daypass_core::id::{Entropy, uuid_v7};
use daypass_core::limits;
use daypass_core::pipeline::{Answer, Pipeline, Success};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_dialects::{alibaba, entra, explain, tencent, verify};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a body may take to arrive.
/// Attack: a body that trickles in holds a connection and its buffers.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a body that is refused is still read, in bytes, and for how long. A client that writes its whole
/// request before it reads would otherwise get a reset in place of the refusal.
const LINGER_BYTES: usize = 8 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// The id of a request. The time stands in front, so that whoever has the id can find the record without an index.
fn request_id(entropy: &dyn Entropy, received: Timestamp) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    uuid_v7(received, random)
}

impl Server {
    /// Answers one request. Never fails: whatever happens has an answer in the envelope of the path's dialect. The
    /// `last` answer of a connection says that it is, and until it is given the connection is `running`.
    pub(super) async fn serve(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        who: Who,
        last: bool,
        _running: Running,
    ) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
        let (mut parts, body) = request.into_parts();
        let version = parts.version;
        if version == Version::HTTP_2 {
            as_in_http1(&mut parts);
        }
        let received = self.app.ambient.clock.now();
        let view = self.app.view();
        let proxies = &view.setup.proxies;
        let mut head = Head {
            source: proxies.source(who.address, &parts.headers),
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            peer: None,
            request_id: request_id(&*self.app.ambient.entropy, received),
            received,
        };
        let directory = &*view.directory;
        // A path that holds another one is judged by whoever reads that other one.
        let holds = directory.forward(&head.path).is_some_and(|forward| forward.proxy.appends_path());
        let mut fault = check_head(&head, &parts.uri, version, holds).err();
        match proxies.certificate(&who, &mut head.headers, head.received) {
            Ok(peer) => head.peer = peer,
            Err(refusal) => fault = fault.or(Some(refusal)),
        }
        let head = Arc::new(head);
        let route = by_head(&head, directory);
        // Pinned here: passing it on by value would copy its whole state.
        let work = std::pin::pin!(self.dispatch(view, route, head.clone(), fault, body));
        let (mut response, whole) = traces::watched(&head, work).await;
        if version != Version::HTTP_2 && (last || self.draining() || !whole) {
            // A body that was not read to its end makes the connection useless for a next request. HTTP/2 has no such
            // header: there the connection itself says when it ends.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(Full::new))
    }

    /// Answers, and says whether the request was read to its end.
    async fn dispatch(
        &self,
        began: Arc<View>,
        route: Route,
        head: Arc<Head>,
        fault: Option<Refusal>,
        mut incoming: Incoming,
    ) -> (Response, bool) {
        match route {
            Route::Live => return (self.live(&head), true),
            Route::Ready => return (self.ready(&head), true),
            Route::Nothing => {
                linger(&mut incoming, 0).await;
                return (not_found(&head), false);
            }
            _ => {}
        }
        let (group, most) =
            (group::of_head(&route, &head, &began.directory), began.directory.plan().in_flight);
        if !self.app.gate.admits(group, most) {
            let sent = Sent::Head { sound: fault.is_none(), incoming };
            return self.turn_away(&began, route, head, sent).await;
        }
        let mut held = self.app.gate.body(head.source);
        let body = match fault {
            Some(fault) => Err(fault),
            None => read_body(&head.headers, &mut incoming, &mut held).await,
        };
        let body = match body {
            Ok(body) => body,
            // Whoever is refused does not hold what there is too little of while he waits.
            Err(refusal) if refusal.reason == Reason::Overloaded => {
                drop(held);
                return self.turn_away(&began, route, head, Sent::Begun(incoming)).await;
            }
            Err(refusal) => {
                drop(held);
                linger(&mut incoming, 0).await;
                return (self.refuse(&began, &route, &head, refusal), false);
            }
        };
        let group = group.or_else(|| group::of_body(&route, &body, &began.directory));
        // Only now, so that whoever lets a body trickle in takes nobody's place.
        let Some(under) = self.app.gate.enter(group, most) else {
            drop(held);
            return self.turn_away(&began, route, head, Sent::Whole(body)).await;
        };
        let request = Request { head, body };
        // As the store is now: while a body trickles in, a key may be revoked.
        let view = &*self.app.view_since(began);
        let response = match by_request(route, &request) {
            Route::GetAuthorization(endpoint) => {
                self.answer(&tencent::GetAuthorization::new(endpoint), view, request).await
            }
            Route::Credentials(endpoint) => {
                self.answer(&alibaba::Credentials::new(endpoint), view, request).await
            }
            Route::TencentSts => self.answer(&tencent::Sts, view, request).await,
            Route::Top => self.answer(&alibaba::Top, view, request).await,
            Route::AlibabaSts => self.answer(&alibaba::Sts, view, request).await,
            Route::Entra => self.answer(&entra::Entra, view, request).await,
            Route::Verify => self.answer(&verify::Verify, view, request).await,
            Route::ForwardAuth(forward) => {
                self.answer(&verify::forward::Forward::new(forward), view, request).await
            }
            Route::Explain => self.answer(&explain::Explain, view, request).await,
            Route::Live | Route::Ready | Route::Nothing => not_found(&request.head),
        };
        // Whoever only waits is not worked on any more.
        drop((under, held));
        match response.extensions().get::<Later>() {
            Some(Later::TurnedAway) => self.app.gate.turn_away().await,
            Some(Later::Limited) => self.app.gate.pause().await,
            None => {}
        }
        (response, true)
    }

    async fn answer<D: Dialect>(&self, dialect: &D, view: &View, request: Request) -> Response {
        let head = request.head.clone();
        let pipeline = &view.setup.pipeline;
        if let Err(silent) = self.app.ready() {
            // Whoever cannot hear of a revocation must not vouch for anything.
            let refusal = Refusal::unavailable(silent);
            let answer = pipeline.refuse_whole(dialect, &view.directory, request, refusal);
            self.app.ended(&answer.summary);
            return log(&head, answer);
        }
        // Pinned here: passing it on by value would copy its whole state.
        let work = std::pin::pin!(pipeline.answer(dialect, &view.directory, request));
        let answer = match unpanicked(work).await {
            Some(answer) if answer.summary.result == Ok(Success::Changed) => {
                self.in_force(pipeline, dialect, &head, answer).await
            }
            Some(answer) => answer,
            // The hook in `telemetry` has logged where; the caller gets the dialect's own envelope.
            None => pipeline.refuse(dialect, &head, Refusal::internal("a handler panicked")),
        };
        self.app.ended(&answer.summary);
        let later = Later::of(&answer);
        let mut response = log(&head, answer);
        if let Some(later) = later {
            response.extensions_mut().insert(later);
        }
        response
    }

    /// Whoever is told that something was taken back must not find it alive here a moment later. If this node cannot read
    /// its own change, the answer is that of a store that is down, and the client asks again (RFC 7009 §2.2.1).
    async fn in_force<D: Dialect>(
        &self,
        pipeline: &Pipeline,
        dialect: &D,
        head: &Head,
        answer: Answer,
    ) -> Answer {
        // Boxed, so that no other request carries the space for it.
        match Box::pin(self.app.refresh()).await {
            Ok(()) => answer,
            Err(error) => {
                let refusal =
                    Refusal::unavailable(format!("the change is made and not in force here: {error:#}"));
                pipeline.refuse(dialect, head, refusal)
            }
        }
    }

    pub(super) fn refuse(&self, view: &View, route: &Route, head: &Head, refusal: Refusal) -> Response {
        let pipeline = &view.setup.pipeline;
        let answer = match route {
            Route::GetAuthorization(endpoint) => {
                pipeline.refuse(&tencent::GetAuthorization::new(endpoint.clone()), head, refusal)
            }
            Route::Credentials(endpoint) => {
                pipeline.refuse(&alibaba::Credentials::new(endpoint.clone()), head, refusal)
            }
            Route::TencentSts => pipeline.refuse(&tencent::Sts, head, refusal),
            Route::Top => pipeline.refuse(&alibaba::Top, head, refusal),
            Route::AlibabaSts => pipeline.refuse(&alibaba::Sts, head, refusal),
            Route::Entra => pipeline.refuse(&entra::Entra, head, refusal),
            Route::Verify => pipeline.refuse(&verify::Verify, head, refusal),
            Route::ForwardAuth(forward) => {
                pipeline.refuse(&verify::forward::Forward::new(forward.clone()), head, refusal)
            }
            Route::Explain => pipeline.refuse(&explain::Explain, head, refusal),
            Route::Live | Route::Ready | Route::Nothing => return not_found(head),
        };
        self.app.ended(&answer.summary);
        log(head, answer)
    }

    /// The same for a request that is there whole, whose body may say in what form it is answered.
    pub(super) fn refuse_whole(
        &self,
        view: &View,
        route: &Route,
        request: Request,
        refusal: Refusal,
    ) -> Response {
        let (pipeline, directory, head) = (&view.setup.pipeline, &view.directory, request.head.clone());
        let answer = match route {
            Route::Top => pipeline.refuse_whole(&alibaba::Top, directory, request, refusal),
            Route::AlibabaSts => pipeline.refuse_whole(&alibaba::Sts, directory, request, refusal),
            _ => return self.refuse(view, route, &head, refusal),
        };
        self.app.ended(&answer.summary);
        log(&head, answer)
    }
}

/// That an answer is to ask again later; it stands beside the answer and does not go out.
#[derive(Clone, Copy)]
enum Later {
    /// There was too much to do.
    TurnedAway,
    /// Too much was asked by whoever asked.
    Limited,
}

impl Later {
    fn of(answer: &Answer) -> Option<Self> {
        match answer.summary.result.as_ref().err()?.reason {
            Reason::Overloaded => Some(Self::TurnedAway),
            Reason::RateLimited => Some(Self::Limited),
            _ => None,
        }
    }
}

async fn read_body(headers: &HeaderMap, body: &mut Incoming, held: &mut Body) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large =
        || Refusal::new(Reason::TooLarge, format!("the body is larger than {} bytes", limits::BODY));
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits::BODY as u64) {
        return Err(too_large());
    }
    let read = async {
        while let Some(frame) = body.frame().await {
            let broken =
                |error| Refusal::new(Reason::Malformed, "the body did not arrive whole").because(error);
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if held.length() + data.len() > limits::BODY {
                return Err(too_large());
            }
            if !held.push(data) {
                return Err(Refusal::overloaded(1));
            }
        }
        Ok(held.whole())
    };
    match timeout(BODY_TIMEOUT, read).await {
        Ok(whole) => whole,
        Err(_) => Err(Refusal::new(
            Reason::TooSlow,
            format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs()),
        )),
    }
}

/// What is known of the rest of a body, once it was read on for a moment.
pub(super) struct Rest {
    /// That it came to its end.
    pub(super) ended: bool,
    /// All of it, if it came to its end and is no larger than what was asked for.
    pub(super) kept: Option<Bytes>,
}

/// Reads on for a moment, and keeps what comes if that is no more than this; the rest is thrown away.
pub(super) async fn linger(body: &mut Incoming, most: usize) -> Rest {
    let mut kept = Some(Vec::new());
    // A body in chunks does not know that it was the last one until it is asked for another.
    let mut ended = body.is_end_stream();
    let rest = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            let frame = match body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return,
                None => {
                    ended = true;
                    return;
                }
            };
            let piece = frame.data_ref().map_or(&[][..], |piece| piece);
            left = left.saturating_sub(piece.len().max(1));
            kept = kept.take().filter(|kept| kept.len() + piece.len() <= most);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(piece);
            }
        }
    };
    // What has not come by then is not waited for.
    let _ = timeout(LINGER, rest).await;
    Rest { ended, kept: kept.filter(|_| ended).map(Bytes::from) }
}

/// Runs to the end, or to a panic. One bad request must not take the process, nor its own answer, with it.
async fn unpanicked<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// One line for each request, at the boundary; nothing else is logged about it anywhere. What was granted stands
/// in the records, which are durable and say more: its line is for debugging.
pub(super) fn log(head: &Head, answer: Answer) -> Response {
    let summary = answer.summary;
    let (dialect, request_id) = (summary.dialect.name(), head.request_id);
    let client = summary.client.map(tracing::field::display);
    match summary.result {
        Ok(success) => {
            tracing::debug!(dialect, ?success, %request_id, source = %head.source, client, "answered");
        }
        Err(refusal) => {
            let (reason, detail, cause) =
                (refusal.reason.label(), &*refusal.detail, refusal.cause.as_deref());
            if refusal.reason == Reason::Overloaded {
                // There are many, and one line a second tells how many.
                tracing::debug!(dialect, reason, %request_id, source = %head.source, "turned away");
            } else if refusal.reason.kind() == daypass_core::refusal::Kind::Us {
                tracing::error!(dialect, reason, cause, %request_id, source = %head.source, client, "refused");
            } else {
                tracing::info!(dialect, reason, detail, cause, %request_id, source = %head.source, client, "refused");
            }
        }
    }
    answer.response
}

fn not_found(head: &Head) -> Response {
    tracing::debug!(path = %head.path.escape_debug(), source = %head.source, "no such path");
    plain(StatusCode::NOT_FOUND, "application/json", r#"{"error":"not_found"}"#)
}

/// An answer outside of any dialect.
pub(super) fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stays_in_its_request() {
        std::panic::set_hook(Box::new(|_| ()));
        let broken = async {
            assert!(std::hint::black_box(false), "a test");
        };
        assert!(unpanicked(std::pin::pin!(broken)).await.is_none());
        assert_eq!(unpanicked(std::pin::pin!(async { 7 })).await, Some(7));
    }
}
