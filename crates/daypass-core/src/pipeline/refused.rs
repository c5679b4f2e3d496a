//! Requests that are answered before they are looked at: a refusal is in their protocol's own form all the same, and what is
//! public is given where that costs no more.

use super::{Answer, Pipeline, Success, Summary};
use crate::dialect::{Context, Dialect, Outcome};
use crate::directory::Directory;
use crate::refusal::Refusal;
use crate::request::{Head, Request};

impl Pipeline {
    /// Answers what is open and costs no more than a refusal, and nothing else.
    pub fn open_if_light<D: Dialect>(
        &self,
        dialect: &D,
        directory: &Directory,
        head: &Head,
    ) -> Option<Answer> {
        let context = Context { directory, now: self.now() };
        let response = dialect.open_is_light(head).then(|| dialect.open(context, head)).flatten()?;
        Some(Answer { response, summary: Summary::of(dialect.name(), Ok(Success::Open)) })
    }

    /// Refuses a request that never became one: too large, too slow, or a handler that panicked.
    pub fn refuse<D: Dialect>(&self, dialect: &D, head: &Head, refusal: Refusal) -> Answer {
        self.strangers.count(refusal.reason, head.source);
        let manner = dialect.manner(head);
        Answer {
            response: dialect.render(&manner, Outcome::Refused(refusal.clone())),
            summary: Summary::of(dialect.name(), Err(refusal)),
        }
    }

    /// The same for a request that has come whole: its form is what it asks for, wherever it says so. Nothing else of it counts.
    pub fn refuse_whole<D: Dialect>(
        &self,
        dialect: &D,
        directory: &Directory,
        request: Request,
        refusal: Refusal,
    ) -> Answer {
        self.strangers.count(refusal.reason, request.head.source);
        let mut manner = dialect.manner(&request.head);
        // What is wrong with it is not what it is refused for.
        drop(dialect.read(Context { directory, now: self.now() }, request, &mut manner));
        Answer {
            response: dialect.render(&manner, Outcome::Refused(refusal.clone())),
            summary: Summary::of(dialect.name(), Err(refusal)),
        }
    }
}
