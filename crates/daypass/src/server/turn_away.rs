//! Telling somebody that there is no room, in the words of the protocol that he speaks.
//!
//! Which protocol that is, and in what form it is answered, may stand in a form in the body: `format` of the TOP gateway, and
//! the `Version` by which Alibaba Cloud's older signature is told from Tencent Cloud's. Whoever is answered in another form does
//! not understand that he is to ask again later: ali-oss takes Tencent's refusal, which is a 200, for a key without its
//! parts, and the gateway's clients fail on XML that they take for JSON. What is turned away is read to its end anyway, so
//! that its connection stays good; as much as a real request has is looked at. Nothing is verified for that.
//!
//! What is public and costs no more than a refusal is given all the same: with no public keys an API refuses good tokens, with
//! no discovery document MSAL cannot say that it is to be asked again, and a page learns nothing at all of an answer that its
//! browser may not ask for. It waits as long as a refusal does.

use super::Server;
use super::http::{linger, log};
use super::route::{Route, by_request};
use crate::app::View;
use bytes::Bytes;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Head, Request, Response};
use daypass_dialects::{alibaba, entra, tencent};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;

/// How much of a body is looked at for the form of a refusal, in bytes: the requests that say it there have less.
///
/// Attack: whoever is turned away would have us keep large bodies for it.
const LOOKED_AT: usize = 16 * 1024;

/// What there is of the request of whoever is turned away.
pub(super) enum Sent {
    /// The head alone, which may be one that is refused.
    Head { sound: bool, incoming: Incoming },
    /// A sound head, and a body whose beginning was read and is gone. Attack: what its end says is not what the whole of it says.
    Begun(Incoming),
    /// A sound head, and the body, which has been read whole.
    Whole(Bytes),
}

impl Sent {
    /// All of the body, if it is looked at and is all there; and whether the request was read to its end.
    async fn whole(self, looked_at: bool) -> (Option<Bytes>, bool) {
        let (mut incoming, most) = match self {
            // A large one is let go before anything else is done: to read it takes many times its own memory.
            Self::Whole(body) => {
                return (Some(body).filter(|body| looked_at && body.len() <= LOOKED_AT), true);
            }
            Self::Head { incoming, .. } => (incoming, if looked_at { LOOKED_AT } else { 0 }),
            Self::Begun(mut incoming) => return (None, linger(&mut incoming, 0).await.ended),
        };
        let rest = linger(&mut incoming, most).await;
        (rest.kept, rest.ended)
    }
}

impl Server {
    /// Refuses a request that nobody has looked at, for want of room. What it has sent is read, so that its connection stays
    /// good: a new one would be more work than the request.
    ///
    /// Boxed, so that no other request carries the space for it.
    pub(super) fn turn_away<'a>(
        &'a self,
        began: &'a View,
        route: Route,
        head: Arc<Head>,
        sent: Sent,
    ) -> Pin<Box<dyn Future<Output = (Response, bool)> + Send + 'a>> {
        Box::pin(async move {
            let sound = !matches!(sent, Sent::Head { sound: false, .. });
            let (body, whole) = sent.whole(says_how(&route)).await;
            if sound && let Some(response) = self.open(began, &route, &head) {
                self.app.gate.pause().await;
                return (response, whole);
            }
            // Not all at the same second.
            let refusal = Refusal::overloaded(1 + u32::from(head.request_id.as_bytes()[15]) % 3);
            // Before the wait, so that nobody who waits holds what he has sent.
            let response = self.refuse_in_form(began, route, head, body, refusal);
            self.app.gate.turn_away().await;
            (response, whole)
        })
    }

    /// What is public and given to everybody, if this is asked for it and this node may vouch for it.
    fn open(&self, view: &View, route: &Route, head: &Head) -> Option<Response> {
        let (pipeline, directory) = (&view.setup.pipeline, &view.directory);
        self.app.ready().ok()?;
        let answer = match route {
            Route::Entra => pipeline.open_if_light(&entra::Entra, directory, head),
            Route::GetAuthorization(endpoint) => {
                pipeline.open_if_light(&tencent::GetAuthorization::new(endpoint.clone()), directory, head)
            }
            Route::Credentials(endpoint) => {
                pipeline.open_if_light(&alibaba::Credentials::new(endpoint.clone()), directory, head)
            }
            _ => None,
        }?;
        self.app.ended(&answer.summary);
        Some(log(head, answer))
    }

    /// A refusal in the form that the body asks for, if there is one and it may ask for any.
    fn refuse_in_form(
        &self,
        view: &View,
        route: Route,
        head: Arc<Head>,
        body: Option<Bytes>,
        refusal: Refusal,
    ) -> Response {
        match body.filter(|body| !body.is_empty() && says_how(&route)) {
            Some(body) => {
                let request = Request { head, body };
                self.refuse_whole(view, &by_request(route, &request), request, refusal)
            }
            None => self.refuse(view, &route, &head, refusal),
        }
    }
}

/// Whether the form of an answer may stand in a body that comes here.
fn says_how(route: &Route) -> bool {
    matches!(route, Route::Top | Route::TencentSts | Route::AlibabaSts)
}
