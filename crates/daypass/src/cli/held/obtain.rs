//! Getting a credential: the one that is kept while it is good, and else one question for all programs that want it.

use super::answer::{Credential, Vendor, Verdict, said};
use super::cache::{Cache, Kept, Lock, Note, NoteKind, Stage};
use super::moment::Moment;
use super::question::Question;
use crate::cli::output::{Failure, Output};
use bytes::Bytes;
use daypass_core::secret::Secret;
use http::Response;
use std::time::Duration;

/// How long another program that is asking is waited for: longer than its question may take.
const WAIT: Duration = Duration::from_secs(40);
/// How often it is looked whether that program is done.
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take to renew a credential that is still good: who wants it does not wait longer for that.
const RENEWAL: Duration = Duration::from_secs(5);
/// After a failed renewal the server is left in peace for so many seconds.
const PEACE: i64 = 30;

/// Whether a credential is kept, and for how long it must be good.
#[derive(clap::Args)]
pub(in crate::cli) struct Keep {
    /// Ask the server in any case, and keep nothing. Without this a credential is kept in the folder `daypass`
    /// of the user's runtime directory, else of the user's cache; where neither is known, nothing is kept.
    #[arg(long)]
    no_cache: bool,
    /// Ask for another when fewer seconds than these are left [default: a fifth of its life, or 300].
    #[arg(long, value_name = "SECONDS")]
    min_remaining: Option<u32>,
}

/// A credential that was got.
pub(in crate::cli) struct Found {
    answer: Secret,
    /// Seconds that are left, where it says so.
    pub(super) left: Option<i64>,
    /// Seconds that are left of one that was kept from before.
    pub(in crate::cli) kept_for: Option<i64>,
}

/// Why there is none.
#[derive(Debug)]
pub(in crate::cli) enum Trouble {
    /// The server said no; its answer.
    Refused(String),
    /// The server has too much to do; its answer.
    Busy(String),
    /// There was no answer.
    Failed(Failure),
}

impl Found {
    fn of(kept: Kept, now: Moment, from_before: bool) -> Self {
        let left = kept.left(now);
        Self { answer: kept.into_answer(), left: Some(left), kept_for: from_before.then_some(left) }
    }

    /// The server's answer, as it came.
    pub(in crate::cli) fn text(&self) -> &str {
        self.answer.expose_str().trim_end()
    }

    /// The credential in it.
    pub(super) fn credential(&self, vendor: Vendor) -> Result<Credential, Failure> {
        vendor.credential(self.answer.expose()).ok_or_else(|| {
            Failure::Refused("the answer has no credential in it; `daypass token` prints it".to_owned())
        })
    }
}

impl Trouble {
    /// The end of a command that needs the credential.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Refused(answer) => Failure::Refused(said(&answer)),
            Self::Busy(answer) => Failure::Unreachable(format!(
                "the server has too much to do, try again later ({})",
                said(&answer)
            )),
            Self::Failed(failure) => failure,
        }
    }
}

/// The credential of this question: the one that is kept, or a new one.
pub(in crate::cli) async fn obtain(
    question: &Question,
    keep: &Keep,
    output: &Output,
) -> Result<Found, Trouble> {
    let vendor = question.vendor();
    let cache = if keep.no_cache { None } else { Cache::of_user().map_err(Trouble::Failed)? };
    let Some(cache) = cache else {
        let (answer, life) = judged(vendor, question.send().await)?;
        let left = life.map(i64::from);
        return Ok(Found { answer: Secret::new(answer.to_vec()), left, kept_for: None });
    };
    let name = question.name().map_err(Trouble::Failed)?;
    let flow = Flow { vendor, cache: &cache, name: &name, least: keep.min_remaining, now: Moment::now };
    flow.run(async || question.send().await, &|text| output.note(text)).await
}

/// As [`obtain`], for a command whose end it is when there is none.
pub(super) async fn credential(
    question: &Question,
    keep: &Keep,
    output: &Output,
) -> Result<(Credential, Found), Failure> {
    let vendor = question.vendor();
    let found = obtain(question, keep, output).await.map_err(Trouble::into_failure)?;
    Ok((found.credential(vendor)?, found))
}

/// How what came back of a question is to be taken: the answer, and the seconds that a credential in it lives.
pub(super) fn judged(
    vendor: Vendor,
    answer: Result<Response<Bytes>, Failure>,
) -> Result<(Bytes, Option<u32>), Trouble> {
    let answer = answer.map_err(Trouble::Failed)?;
    let text = |answer: &Response<Bytes>| String::from_utf8_lossy(answer.body()).into_owned();
    match vendor.verdict(&answer) {
        Verdict::Given => {
            let life = vendor.life(&answer, Moment::now().wall);
            Ok((answer.into_body(), life))
        }
        Verdict::Refused => Err(Trouble::Refused(text(&answer))),
        Verdict::Busy => Err(Trouble::Busy(text(&answer))),
    }
}

/// One name in one cache.
struct Flow<'a> {
    vendor: Vendor,
    cache: &'a Cache,
    name: &'a str,
    least: Option<u32>,
    now: fn() -> Moment,
}

impl Flow<'_> {
    async fn run(
        &self,
        send: impl AsyncFn() -> Result<Response<Bytes>, Failure>,
        warn: &dyn Fn(String),
    ) -> Result<Found, Trouble> {
        let (began, kept) = ((self.now)(), self.read());
        let (mut lock, waited) = match kept {
            Some((kept, Stage::Fresh)) => return Ok(Found::of(kept, began, true)),
            // Still good: whoever is asking already is not waited for.
            Some((kept, _)) => match self.cache.try_lock(self.name) {
                Ok(Some(lock)) => (lock, false),
                _ => return Ok(Found::of(kept, began, true)),
            },
            None => self.wait().await?,
        };
        // Whoever had the lock before may have got one in the meantime, or found that there is none to be had.
        let kept = self.read();
        let note = lock.note().filter(|note| note.at <= (self.now)().wall);
        match (kept, note) {
            (Some((kept, Stage::Fresh)), _) => Ok(Found::of(kept, (self.now)(), true)),
            (Some((kept, _)), Some(note)) if (self.now)().wall - note.at < PEACE => {
                warn(self.warning(&kept, &note.text));
                Ok(Found::of(kept, (self.now)(), true))
            }
            (None, Some(note)) if waited && note.at >= began.wall => Err(note.into_trouble()),
            (Some((kept, _)), _) => self.renew(kept, lock, send, warn).await,
            (None, _) => self.first(lock, send).await,
        }
    }

    /// What is kept and good.
    fn read(&self) -> Option<(Kept, Stage)> {
        let kept = self.cache.read(self.name)?;
        let stage = kept.stage((self.now)(), self.least);
        (stage != Stage::Over).then_some((kept, stage))
    }

    /// The lock, and whether somebody else had it.
    async fn wait(&self) -> Result<(Lock, bool), Trouble> {
        let take = async || {
            let mut waited = false;
            loop {
                match self.cache.try_lock(self.name)? {
                    Some(lock) => return Ok::<_, std::io::Error>((lock, waited)),
                    None => tokio::time::sleep(LOOK).await,
                }
                waited = true;
            }
        };
        let failed = |text: String| Trouble::Failed(Failure::Unreachable(text));
        match tokio::time::timeout(WAIT, take()).await {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(error)) => Err(failed(format!("the cache cannot be locked ({error}); use --no-cache"))),
            Err(_) => {
                let seconds = WAIT.as_secs();
                Err(failed(format!(
                    "another daypass has been asking for this credential for {seconds} seconds; --no-cache does not wait"
                )))
            }
        }
    }

    async fn first(
        &self,
        mut lock: Lock,
        send: impl AsyncFn() -> Result<Response<Bytes>, Failure>,
    ) -> Result<Found, Trouble> {
        match self.asked(send).await {
            Ok(found) => {
                lock.leave(None);
                Ok(found)
            }
            Err(trouble) => {
                lock.leave(Note::of(&trouble, (self.now)()).as_ref());
                Err(trouble)
            }
        }
    }

    /// Asks for another one, and goes on with the old one where the server cannot answer. A server that says no is
    /// believed: the credential is then forgotten.
    async fn renew(
        &self,
        kept: Kept,
        mut lock: Lock,
        send: impl AsyncFn() -> Result<Response<Bytes>, Failure>,
        warn: &dyn Fn(String),
    ) -> Result<Found, Trouble> {
        let slow = || Failure::Unreachable(format!("no answer in {} seconds", RENEWAL.as_secs()));
        let asked = tokio::time::timeout(RENEWAL, self.asked(send)).await;
        let trouble = match asked.unwrap_or_else(|_| Err(Trouble::Failed(slow()))) {
            Ok(found) => {
                lock.leave(None);
                return Ok(found);
            }
            Err(trouble) => trouble,
        };
        let note = Note::of(&trouble, (self.now)());
        lock.leave(note.as_ref());
        match (trouble, note) {
            (Trouble::Busy(_) | Trouble::Failed(_), Some(note)) => {
                let now = (self.now)();
                if kept.stage(now, self.least) == Stage::Over {
                    return Err(note.into_trouble());
                }
                warn(self.warning(&kept, &note.text));
                Ok(Found::of(kept, now, true))
            }
            (trouble, _) => {
                if matches!(trouble, Trouble::Refused(_)) {
                    self.cache.forget(self.name);
                }
                Err(trouble)
            }
        }
    }

    /// Asks, and keeps the answer.
    async fn asked(
        &self,
        send: impl AsyncFn() -> Result<Response<Bytes>, Failure>,
    ) -> Result<Found, Trouble> {
        let made = (self.now)();
        let (answer, life) = judged(self.vendor, send().await)?;
        // An answer with nothing in it that ends is shown, and not kept.
        let Some(life) = life else {
            return Ok(Found { answer: Secret::new(answer.to_vec()), left: None, kept_for: None });
        };
        let kept = Kept::new(made, life, &answer);
        self.cache.write(self.name, &kept).map_err(|error| Trouble::Failed(error.into()))?;
        Ok(Found::of(kept, (self.now)(), false))
    }

    fn warning(&self, kept: &Kept, why: &str) -> String {
        let left = kept.left((self.now)());
        let why = said(why);
        format!(
            "daypass: no other credential is to be had now ({why}); going on with the one that is good for {left} s"
        )
    }
}

impl Note {
    /// What those who wait are told. A wrong file or option is everyone's own.
    pub(super) fn of(trouble: &Trouble, now: Moment) -> Option<Self> {
        let (kind, text) = match trouble {
            Trouble::Refused(answer) => (NoteKind::Refused, answer),
            Trouble::Busy(answer) => (NoteKind::Busy, answer),
            Trouble::Failed(Failure::Unreachable(text)) => (NoteKind::Unreachable, text),
            Trouble::Failed(_) => return None,
        };
        Some(Self { at: now.wall, kind, text: text.clone() })
    }

    pub(super) fn into_trouble(self) -> Trouble {
        match self.kind {
            NoteKind::Refused => Trouble::Refused(self.text),
            NoteKind::Busy => Trouble::Busy(self.text),
            NoteKind::Unreachable => Trouble::Failed(Failure::Unreachable(self.text)),
        }
    }
}

#[cfg(test)]
mod tests;
