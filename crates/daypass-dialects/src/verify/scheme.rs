//! The ways in which a request proves who sent it.

use super::bearing::{self, Held};
use super::essence::Essence;
use crate::alibaba::TopCall;
use crate::{alibaba, tencent};
use daypass_core::caller::Confirmation;
use daypass_core::dialect::{Context, Weak};
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::verification::{Foreign, ForeignCall};
use http::header::{AUTHORIZATION, CONTENT_TYPE};

/// One of those ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `TC3-HMAC-SHA256` in `Authorization`.
    Tc3,
    /// Tencent Cloud's older signature among the parameters.
    V1,
    /// The signature in the address of a speech-evaluation web socket.
    Soe,
    /// `ACS3-HMAC-SHA256` in `Authorization`.
    Acs3,
    /// Alibaba Cloud's RPC signature among the parameters.
    Rpc,
    /// The signature of a TOP call.
    Top,
    /// An access token.
    Bearer,
}

impl Scheme {
    pub(super) const ALL: [Self; 7] =
        [Self::Tc3, Self::V1, Self::Soe, Self::Acs3, Self::Rpc, Self::Top, Self::Bearer];

    /// The name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tc3 => "tencent.tc3",
            Self::V1 => "tencent.v1",
            Self::Soe => "tencent.soe",
            Self::Acs3 => "alibaba.acs3",
            Self::Rpc => "alibaba.rpc",
            Self::Top => "alibaba.top",
            Self::Bearer => "bearer",
        }
    }

    /// The way of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    /// The parts of a request that it covers. An API must not rely on any other part: whoever has the request can change
    /// it.
    pub(super) fn covers(self, weak: Option<&str>, bound: Option<&Confirmation>) -> &'static [&'static str] {
        match self {
            Self::Tc3 if weak == Some(Weak::UnsignedPayload.name()) => &["method", "host", "path", "query"],
            Self::Tc3 | Self::Acs3 | Self::V1 => &["method", "host", "path", "query", "body"],
            Self::Soe => &["method", "host", "path", "query"],
            Self::Rpc => &["method", "path", "query", "body"],
            Self::Top => &["query", "body"],
            // The proof of its key is made for one method and one URL, without the query.
            Self::Bearer if matches!(bound, Some(Confirmation::Key(_))) => &["method", "url"],
            Self::Bearer => &[],
        }
    }

    /// Whether it signs the parameters in a form, so that the hash of a body does not do.
    fn needs_body(self) -> bool {
        match self {
            Self::V1 | Self::Rpc | Self::Top => true,
            Self::Tc3 | Self::Soe | Self::Acs3 | Self::Bearer => false,
        }
    }

    /// The way that a request shows. `asked` is the one that the API expects, if it does.
    ///
    /// Attack: with two proofs in one request, whoever checks the one may be talking to whoever used the other.
    pub(super) fn of(essence: &Essence, asked: Option<Self>) -> Result<Self, Refusal> {
        let marks = marks(essence);
        match (asked, marks.as_slice()) {
            (Some(asked), marks) if marks.iter().all(|mark| *mark == asked) => Ok(asked),
            (None, [one]) => Ok(*one),
            (None, []) => {
                Err(Refusal::new(Reason::MissingProof, "the request carries no proof of any known form"))
            }
            (Some(_), [_]) => Err(Refusal::new(
                Reason::MissingProof,
                "the request carries a proof of another form than the one that was asked about",
            )),
            (_, marks) => {
                let names: Vec<_> = marks.iter().map(|mark| mark.name()).collect();
                let detail = format!("the request carries more than one proof: {}", names.join(", "));
                Err(Refusal::new(Reason::SeveralProofs, detail))
            }
        }
    }

    /// Reads the proof. An API of these services of Tencent's asks.
    pub(super) fn read(
        self,
        context: Context<'_>,
        essence: &Essence,
        services: &[&str],
        held: &Held,
    ) -> Result<Foreign, Refusal> {
        let now = context.now;
        let signed = match self {
            Self::Bearer => return bearing::read(essence, held).map(Foreign::Token),
            Self::Tc3 => tencent::foreign::tc3(essence, services, now),
            Self::Soe => tencent::foreign::soe(essence, now),
            Self::Acs3 => alibaba::foreign::acs3(context, essence),
            Self::V1 => tencent::foreign::v1(&whole(essence)?, now),
            Self::Rpc => alibaba::foreign::rpc(&whole(essence)?, now),
            Self::Top => TopCall::foreign(whole(essence)?, now).map(ForeignCall::new),
        };
        signed.map(Foreign::Signed)
    }

    /// Whether the API must tell the body itself before anything can be said.
    pub(super) fn lacks_body(self, essence: &Essence) -> bool {
        self.needs_body() && essence.request().is_none()
    }
}

/// The request with its body. Only asked where [`Scheme::lacks_body`] has said that there is one.
fn whole(essence: &Essence) -> Result<Request, Refusal> {
    essence.request().ok_or_else(|| Refusal::missing("body"))
}

/// Every proof that a request carries, by what cannot be anything else.
fn marks(essence: &Essence) -> Vec<Scheme> {
    let mut found: Vec<_> = essence
        .head
        .headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| {
            let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
            match scheme {
                b"TC3-HMAC-SHA256" => Some(Scheme::Tc3),
                b"ACS3-HMAC-SHA256" => Some(Scheme::Acs3),
                other if other.eq_ignore_ascii_case(b"bearer") || other.eq_ignore_ascii_case(b"dpop") => {
                    Some(Scheme::Bearer)
                }
                _ => None,
            }
        })
        .collect();
    let whole = essence.request();
    let form = whole.as_ref().filter(|request| is_form(request)).map(|request| &*request.body);
    let places = [essence.head.query.as_bytes(), form.unwrap_or_default()];
    let pairs =
        places.into_iter().flat_map(|place| form_urlencoded::parse(place).take(limits::PARAMETERS + 1));
    let names: Vec<_> = pairs.map(|(name, _)| name).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    found.extend(tencent::foreign::is_v1(&names).then_some(Scheme::V1));
    found.extend(tencent::foreign::is_soe(&names).then_some(Scheme::Soe));
    found.extend(alibaba::foreign::is_rpc(&names).then_some(Scheme::Rpc));
    found.extend(alibaba::is_top(&names).then_some(Scheme::Top));
    found
}

fn is_form(request: &Request) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let media = request.head.headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..form.len()));
    media.is_some_and(|media| media.eq_ignore_ascii_case(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_its_name() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::named(scheme.name()), Some(scheme));
        }
        assert_eq!(Scheme::named("auto"), None);
        assert_eq!(Scheme::named("TENCENT.TC3"), None);
    }

    #[test]
    fn what_is_not_signed_is_not_covered() {
        assert!(Scheme::Tc3.covers(None, None).contains(&"body"));
        assert!(!Scheme::Tc3.covers(Some("unsigned-payload"), None).contains(&"body"));
        for scheme in [Scheme::Rpc, Scheme::Top] {
            assert!(!scheme.covers(None, None).contains(&"host"), "{scheme:?}");
        }
        assert!(Scheme::Bearer.covers(None, None).is_empty());
        let certificate = Confirmation::Certificate("x".into());
        assert!(Scheme::Bearer.covers(None, Some(&certificate)).is_empty());
        assert_eq!(Scheme::Bearer.covers(None, Some(&Confirmation::Key("x".into()))), ["method", "url"]);
    }
}
