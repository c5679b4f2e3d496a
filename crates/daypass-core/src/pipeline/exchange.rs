//! A credential in exchange for one of our own access tokens (RFC 8693).

use super::tokens::is_audience;
use super::{Pipeline, Success, Trail, Verified};
use crate::caller::{Caller, Confirmation};
use crate::dialect::{Context, Delivery, Dialect, Exchange, Outcome};
use crate::directory::Directory;
use crate::id::Draw;
use crate::inspect::{Inspection, OwnToken};
use crate::policy::{authorize_exchange, unacceptable};
use crate::record::{self, Entry, Record};
use crate::refusal::{Reason, Refusal};
use std::sync::Arc;

impl Pipeline {
    /// Makes a credential for whoever the token speaks of.
    pub(super) async fn exchange<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        exchange: &Exchange,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let (directory, caller) = (context.directory, verified.caller());
        let shown = self.own_token(dialect, context, caller.tenant(), &exchange.subject);
        let Inspection { token, .. } = shown.map_err(unacceptable)?;
        check_shown(directory, caller, &token)?;
        let authorized =
            authorize_exchange(directory, caller, &trail.head.path, &exchange.issue, &token, trail.now)
                .inspect_err(|_| trail.note_ask(caller, &exchange.issue, true))?;
        trail.role = Some(authorized.role().to_owned());
        self.count_day(directory, caller, trail)?;
        let draw = Draw::fresh(&*self.entropy, trail.now);
        let granted = self.issue(directory, &authorized, &draw).await?;
        let record = Record {
            subject: authorized.subject().map(str::to_owned),
            ..self.grant_record(trail, &exchange.issue, &authorized, &granted, false)
        };
        match record::commit(&*self.store, Entry { record, mark: None }, granted).await? {
            record::Outcome::Recorded(recorded) => {
                trail.warned = authorized.warned().iter().map(|warned| warned.whose).collect();
                Ok((Success::Granted, Outcome::Granted(Delivery::new(Arc::new(recorded), None))))
            }
            record::Outcome::Seen(_) => Err(Refusal::internal("a record without a mark was seen before")),
        }
    }
}

/// Who may show a token here: whoever asked for it, and the API that received it.
///
/// Attack: a token that leaked, shown by a client that has nothing to do with it. That the token is good for the API that
/// it is for is the bearer's risk; here it would be good for everything that its client may ask for.
fn check_shown(directory: &Directory, caller: &Caller, token: &OwnToken) -> Result<(), Refusal> {
    let client = caller.client().ok_or_else(|| Refusal::internal("a token is exchanged by no client"))?;
    if client.guid != token.client {
        // Its sender has shown the binding to this API, which cannot show it again.
        return if is_audience(directory, client, token) { Ok(()) } else { Err(not_its_business()) };
    }
    match &token.confirmation {
        Some(bound) if caller.confirmation() != Some(bound) => Err(not_shown(bound)),
        _ => Ok(()),
    }
}

fn not_its_business() -> Refusal {
    unacceptable(
        "it was neither issued to this client nor is this client registered as the API that it is for",
    )
}

/// Attack: a token that is bound to a key was stolen without the key, together with the client's secret.
fn not_shown(bound: &Confirmation) -> Refusal {
    match bound {
        Confirmation::Certificate(_) => unacceptable(
            "it is bound to a certificate; exchange it over a connection with that certificate, and without a DPoP proof",
        ),
        Confirmation::Key(_) => Refusal::new(
            Reason::DpopInvalid,
            "the subject_token is bound to the key of a DPoP proof; send a proof of the same key with the exchange",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{How, Proof};
    use crate::client::Client;
    use crate::testing::{RESOURCE, START, World, later};
    use uuid::Uuid;

    /// Judges a token of the world's client that is bound to this, shown by a client of this id that is the API or not and
    /// has proved that.
    fn judge(
        shower: Option<u128>,
        is_api: bool,
        bound: Option<&Confirmation>,
        proved: Option<&Confirmation>,
    ) -> Result<(), Reason> {
        let world = World::new();
        let token = OwnToken {
            id: Uuid::from_u128(1),
            tenant: "acme".into(),
            client: world.client.guid,
            subject: None,
            key: None,
            origin: None,
            earlier: vec![],
            origin_keys: vec![],
            audience: RESOURCE.into(),
            app_roles: vec![],
            issued: START,
            expires: later(60),
            confirmation: bound.cloned(),
            actor: None,
        };
        let guid = shower.map_or(world.client.guid, Uuid::from_u128);
        let audiences = if is_api { vec![RESOURCE.to_uppercase()] } else { vec!["api://other".to_owned()] };
        let client = Arc::new(Client { guid, audiences, ..world.client.clone() });
        let proof = Proof::Key { client, key: "key".into(), weak: None, how: How::TlsClientAuth };
        let caller = Caller::for_test(world.plan.tenants[0].clone(), proof).bound(proved.cloned());
        check_shown(&world.directory(), &caller, &token).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_token_is_shown_by_its_owner_or_by_the_api_that_it_is_for() {
        for (shower, is_api, right) in
            [(None, false, true), (None, true, true), (Some(7), true, true), (Some(7), false, false)]
        {
            let expected = if right { Ok(()) } else { Err(Reason::SubjectTokenInvalid) };
            assert_eq!(judge(shower, is_api, None, None), expected, "{shower:?} {is_api}");
        }
    }

    #[test]
    fn its_owner_shows_again_what_it_is_bound_to() {
        let key = |name: &str| Confirmation::Key(name.into());
        let certificate = |name: &str| Confirmation::Certificate(name.into());
        let shown =
            |bound: &Confirmation, proved: Option<&Confirmation>| judge(None, true, Some(bound), proved);
        for bound in [key("a"), certificate("a")] {
            assert_eq!(shown(&bound, Some(&bound)), Ok(()));
            let reason = match bound {
                Confirmation::Key(_) => Reason::DpopInvalid,
                Confirmation::Certificate(_) => Reason::SubjectTokenInvalid,
            };
            let other_kind = if bound == key("a") { certificate("a") } else { key("a") };
            for wrong in [None, Some(&key("b")), Some(&certificate("b")), Some(&other_kind)] {
                assert_eq!(shown(&bound, wrong), Err(reason), "{bound:?} {wrong:?}");
            }
            assert_eq!(judge(Some(7), true, Some(&bound), None), Ok(()), "the API cannot");
        }
        assert_eq!(judge(None, false, None, Some(&key("a"))), Ok(()), "what is bound to nothing");
    }
}
