//! What one request may have of what is kept.

use super::memory::Kept;
use super::place;
use super::sheet::Sheet;
use daypass_core::clock::{Timestamp, after};
use daypass_core::directory::Directory;
use daypass_core::policy::Authorized;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::replay::Mark;
use daypass_core::standing::{Earlier, recalled};
use daypass_core::upstream::Upstream;

/// A token that is this young is not asked for anew because someone found it refused, in seconds.
///
/// Attack: whoever says of every token that it was refused would have the cloud asked at each request, and where a new
/// token kills the old one, would kill everybody's.
const YOUNG: u32 = 10;

/// Each renewal for that reason doubles the age that the next one must have, up to this many seconds.
///
/// Attack: one caller that always says so would use up the calls of a day, of which some services give two thousand, and
/// nobody else would get a token then.
const OLD: u32 = 600;

/// One that has lasted this many seconds was no trouble, and its successor is believed in as the first was.
const CALM: u32 = 3_600;

/// One request, before its place.
pub(super) struct Question<'a> {
    pub(super) directory: &'a Directory,
    pub(super) authorized: &'a Authorized,
    /// Where what it may have is kept.
    pub(super) place: Mark,
    /// Seconds of life that must be left.
    pub(super) least: u32,
}

/// What a kept credential is to a request.
pub(super) enum Verdict {
    /// It may have it.
    Good(Box<Sheet>),
    /// It cannot be read, or too little of its life is left.
    Over,
    /// It was taken back since, or the caller found it refused: only one of a later turn will do.
    Unwanted {
        /// How many in a row were given up because a caller found them refused, this one among them.
        doubted: u8,
    },
}

impl<'a> Question<'a> {
    pub(super) fn of(
        directory: &'a Directory,
        upstream: &Upstream,
        authorized: &'a Authorized,
    ) -> Result<Self, Refusal> {
        let place = place::of(directory, upstream, authorized)?;
        let lifetime = authorized.lifetime();
        let least = authorized.brokering().min_remaining(lifetime);
        if lifetime <= least {
            // Whatever the cloud gave would be too short, and it would be asked again and again.
            let detail = format!(
                "this role gives nothing with less than {least} seconds of life left, and {lifetime} were asked for"
            );
            return Err(Refusal::new(Reason::InvalidParameter, detail));
        }
        Ok(Self { directory, authorized, place, least })
    }

    /// Opens what is kept and judges it.
    pub(super) fn judge(&self, kept: &Kept, now: Timestamp) -> Verdict {
        let Ok(sheet) = Sheet::open(self.directory.ring(), &self.place, &kept.sealed) else {
            return Verdict::Over;
        };
        if !sheet.lasts(self.least, now) {
            return Verdict::Over;
        }
        let (id, endpoint) = (sheet.id(), sheet.endpoint.as_str());
        let earlier = Earlier { id: &id, key: sheet.key.as_deref(), endpoint, issued: sheet.issued };
        if recalled(self.directory, self.authorized, &earlier) {
            return Verdict::Unwanted { doubted: 0 };
        }
        if self.refused(&sheet, now) {
            let calm = after(sheet.obtained, CALM) <= now;
            let doubted = if calm { 1 } else { sheet.doubted.saturating_add(1) };
            return Verdict::Unwanted { doubted };
        }
        Verdict::Good(Box::new(sheet))
    }

    /// Whether the caller had this very token, it was refused, and that can still be so.
    fn refused(&self, sheet: &Sheet, now: Timestamp) -> bool {
        let young = (YOUNG << u32::from(sheet.doubted).min(16)).min(OLD);
        self.authorized.refused().is_some_and(|fingerprint| {
            after(sheet.obtained, young) < now && fingerprint == sheet.fingerprint()
        })
    }
}
