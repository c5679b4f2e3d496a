//! `daypass audit discard-forged`: out of a store whose last checkpoints none of our keys has signed.

use super::super::output::{Failure, Output};
use super::super::place::{Place, PlaceArgs};
use crate::app::{change, now, trouble};
use crate::records::sign;
use daypass_core::record::checkpoint::Kept;
use daypass_core::record::{Entry, Record};
use daypass_core::ring::Ring;
use daypass_core::store::{Proof, Store, StoreError};
use serde_json::json;
use std::fmt::Write as _;

/// The warning that stands in the records, with what was taken away.
const FORGED: &str = "records.checkpoints_forged";

/// How many checkpoints are read at a time.
const PAGE: usize = 1000;

/// The longest that a forged checkpoint may be to be written down whole, in bytes: some tens of our own. Of a longer one its
/// digest tells.
///
/// Attack: whoever wrote it chose how long it is.
const LONGEST: usize = 16 << 10;

/// How many second places are told of.
const PLACES: usize = 10;
/// How many characters of the name of one.
const NAME: usize = 300;

/// Of which store, and why.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// What happened, in your own words: it stands in the records for ever.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Takes away the checkpoints behind the last one that our keys have signed, writes down what they were, and signs anew.
pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::Usage("--reason says why, and is empty".into()));
    }
    let place = args.place.open().await?;
    let mut forged = forged(&*place.opened.store, &place.opened.ring).await?;
    if !forged.is_empty() {
        // A key that another node began to sign with after the ring was read makes its checkpoints look forged.
        let again = args.place.open().await?;
        forged = self::forged(&*again.opened.store, &again.opened.ring).await?;
        again.opened.store.close().await?;
    }
    let (Some(first), Some(last)) = (forged.first(), forged.last()) else {
        place.opened.store.close().await?;
        output.show(
            "the last checkpoint is one of ours; there is nothing to take away",
            || json!({ "discarded": [], "number": null, "handed_out": [] }),
        );
        return Ok(());
    };
    let object = match first.number {
        number if number == last.number => format!("checkpoint {number}"),
        number => format!("checkpoints {number} to {}", last.number),
    };
    let got = handed_out(&*place.opened.store, first.number).await?;
    let number = discard(&place, &object, &told(&forged, &got), &forged, args.reason).await?;
    place.opened.store.close().await?;
    let text = format!(
        "{object} had not been signed by us and went; what was said there stands in the records (`daypass audit search \
         --event {FORGED}`). The last one is now {number}.\n{}next: whoever wrote them could write to the store. `daypass audit \
         verify`, with --checkpoints and the copies of a second place, tells what else he has changed.",
        written_over(&got).map_or(String::new(), |text| format!("{text}.\n")),
    );
    output.show(text, || {
        let gone = |kept: &Kept| json!({ "number": kept.number, "checkpoint": kept.jws });
        let got = got.iter().map(|(place, number)| json!({ "place": place, "number": number }));
        json!({ "discarded": forged.iter().map(gone).collect::<Vec<_>>(), "number": number,
            "handed_out": got.collect::<Vec<_>>() })
    });
    Ok(())
}

/// Writes down what goes, before it goes; then the next one of ours, which covers that. Gives its number.
async fn discard(
    place: &Place,
    object: &str,
    told: &str,
    forged: &[Kept],
    reason: String,
) -> Result<u64, Failure> {
    let store = &*place.opened.store;
    place.opened.begin().await?;
    store.append(Entry { record: trouble(FORGED, object, told), mark: None }).await?;
    let record = Record { why: Some(reason), ..change(None, "records.discard-forged", object) };
    store.change(Vec::new(), record).await?;
    if !store.prove(Proof::Discard { forged: forged.to_vec() }).await? {
        return Err(Failure::Refused(
            "the last checkpoints of the store have changed meanwhile, and nothing was taken away; give the command again".into(),
        ));
    }
    let signed = sign(store, &place.opened.ring, now(), None).await?;
    Ok(signed.last.map_or(0, |last| last.number))
}

/// The second places that have got checkpoints from this number on. None of us hands out what none of us has signed, so they were
/// ours, and somebody has written over them.
async fn handed_out(store: &dyn Store, first: u64) -> Result<Vec<(String, u64)>, StoreError> {
    let mut got = store.delivered().await?;
    got.retain(|(_, number)| *number >= first);
    Ok(got)
}

/// Says so, of the first few of these names, which somebody may have written as well; nothing where no place has got one.
fn written_over(got: &[(String, u64)]) -> Option<String> {
    let name = |place: &str| place.chars().take(NAME).collect::<String>();
    let places: Vec<_> =
        got.iter().take(PLACES).map(|(place, number)| format!("{} up to {number}", name(place))).collect();
    (!places.is_empty()).then(|| {
        format!(
            "checkpoints of ours were written over, which have copies at second places: {}",
            places.join(", ")
        )
    })
}

/// What goes, for the record: first who has copies of what was there before, then each by its digest, and as it stands unless it
/// is very long.
fn told(forged: &[Kept], got: &[(String, u64)]) -> String {
    let mut text = written_over(got).unwrap_or_default();
    for kept in forged {
        let digest: String = kept.digest().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let _ =
            write!(text, "{}{} with sha256 {digest}", if text.is_empty() { "" } else { "; " }, kept.number);
        if text.len() + kept.jws.len() <= LONGEST {
            let _ = write!(text, ": {}", kept.jws);
        } else if text.len() > LONGEST {
            text.push_str("; and more");
            break;
        }
    }
    text
}

/// The checkpoints behind the last one that these keys have signed.
async fn forged(store: &dyn Store, ring: &Ring) -> Result<Vec<Kept>, StoreError> {
    let (mut after, mut forged) = (0, Vec::new());
    loop {
        let all = store.checkpoints(after, PAGE).await?;
        let Some(last) = all.last() else { return Ok(forged) };
        after = last.number;
        for kept in all {
            if kept.open(ring.checkpoint_keys()).is_ok() {
                forged.clear();
            } else {
                forged.push(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told_and_the_record_stays_short() {
        let one = Kept { number: 7, jws: "e30.e30.AA".into() };
        let text = told(std::slice::from_ref(&one), &[]);
        // printf e30.e30.AA | sha256sum
        assert_eq!(
            text,
            "7 with sha256 4357466b02e9ee7980d03934e529bb5fa13485bae584cd2b0e2434eaf72dd161: e30.e30.AA"
        );
        let long = Kept { number: 8, jws: "x".repeat(1 << 20) };
        let text = told(&[one.clone(), long.clone()], &[]);
        assert!(text.contains("; 8 with sha256 ") && text.len() < 300, "{text}");
        let many: Vec<Kept> = (1..10_000).map(|number| Kept { number, ..long.clone() }).collect();
        let text = told(&many, &[]);
        assert!(text.len() < LONGEST + 200 && text.ends_with("; and more"), "{}", text.len());
        let text = told(&[one], &[("http:a".into(), 7), ("syslog:b".into(), 9)]);
        assert!(
            text.contains("at second places: http:a up to 7, syslog:b up to 9; 7 with sha256 "),
            "{text}"
        );
    }
}
