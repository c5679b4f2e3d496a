//! Phase five: what is written down of a request.

use super::{Pipeline, Trail};
use crate::asked::Asked;
use crate::caller::{Caller, How};
use crate::credential::Granted;
use crate::dialect::Issue;
use crate::id::uuid_v7;
use crate::policy::Authorized;
use crate::record::{self, Entry, Event, Record};
use crate::refusal::{Reason, Refusal};

impl Pipeline {
    /// A refusal of a known caller is recorded before it is told; a stranger's is counted, and so is one for want of what
    /// somebody was refused before in the same minute.
    pub(super) async fn record_refusal(&self, trail: &Trail, refusal: Refusal) -> Refusal {
        // Nor does what is under too much load need a record each.
        if matches!(refusal.reason, Reason::Unavailable | Reason::Overloaded) {
            return refusal;
        }
        // Attack: a client in a loop, far above its rate, costs a commit each time that it is told so, and fills the disk.
        let told = refusal.reason == Reason::RateLimited && trail.taken.told;
        if told || !trail.caller.as_ref().is_some_and(Caller::is_known) {
            self.strangers.count(refusal.reason, trail.head.source);
            return refusal;
        }
        let (reason, detail) = (refusal.reason.label().to_owned(), refusal.detail.to_string());
        let event = match refusal.reason {
            Reason::TicketSpent => Event::Alarm { reason, detail },
            _ => Event::Refusal {
                reason,
                detail,
                parameter: refusal.parameter.as_ref().map(ToString::to_string),
                asked: trail.asked.clone(),
            },
        };
        let entry = Entry { record: self.record(trail, event), mark: None };
        match record::commit(&*self.store, entry, ()).await {
            Ok(_) => refusal,
            Err(unavailable) => unavailable,
        }
    }

    pub(super) fn grant_record(
        &self,
        trail: &Trail,
        issue: &Issue,
        authorized: &Authorized,
        granted: &Granted,
        repeat: bool,
    ) -> Record {
        let event = Event::Grant {
            credential: granted.credential.id(),
            expires: granted.expires,
            policy: granted.policy.clone(),
            app_roles: authorized.app_roles().to_vec(),
            audience: authorized.audience().map(str::to_owned),
            upstream: granted.brokered.clone().map(Box::new),
            kid: granted.credential.kid().map(str::to_owned),
            bound: granted.confirmation.as_ref().map(|bound| format!("{} {}", bound.member(), bound.value())),
            origin: authorized.behalf().map(|behalf| behalf.origin),
            correlation: authorized.correlation().map(str::to_owned),
            variables: granted.variables.clone(),
            tags: authorized.tags().clone(),
            source_identity: authorized.source_identity().map(str::to_owned),
            asked: Some(Box::new(Asked::of_grant(issue, authorized))),
            repeat,
        };
        self.record(trail, event)
    }

    pub(super) fn record(&self, trail: &Trail, event: Event) -> Record {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        let caller = trail.caller.as_ref();
        Record {
            tenant: caller.map(|caller| caller.tenant().name.clone()),
            dialect: Some(trail.dialect.name().to_owned()),
            request: Some(trail.head.request_id),
            client: caller.and_then(Caller::client).map(|client| client.guid),
            key: caller.and_then(Caller::key).map(str::to_owned),
            role: trail.role.clone(),
            session: trail.session.clone(),
            subject: caller.and_then(Caller::subject).map(|subject| subject.name.clone()),
            via: caller.and_then(Caller::via),
            source: Some(trail.head.source),
            weak: caller.and_then(Caller::weak).map(str::to_owned),
            proof: caller
                .and_then(Caller::how)
                .filter(|how| *how != How::Signature)
                .map(|how| how.name().to_owned()),
            ..Record::bare(uuid_v7(trail.now, random), trail.now, event)
        }
    }
}
