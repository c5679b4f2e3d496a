//! Checksums of what the tables hold.
//!
//! SQLite's pages carry none, so a bit that flips inside a document would be served as if it had been written. A
//! record carries a sum of its own. The small tables have a digest of the whole: the XOR of every row's SHA-256,
//! which a change keeps up by taking the old row out and the new one in, and which also misses a row that is gone.
//!
//! This finds accidents. Whoever can write to the file can write a sum as well; what proves a record against him
//! is its chain, and what proves a key is the seal.

use aws_lc_rs::digest::{Context, SHA256};

/// The SHA-256 of some fields.
pub(super) type Digest = [u8; 32];

/// The digest of these fields, each with its length in front so that their boundaries count.
pub(super) fn digest(fields: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// The digest of a cut-off's row.
pub(super) fn cutoff_digest(scope: &str, before: i64) -> Digest {
    digest(&[scope.as_bytes(), &before.to_be_bytes()])
}

/// The first eight bytes of the digest, as SQLite keeps a number.
pub(super) fn short(fields: &[&[u8]]) -> i64 {
    digest(fields).first_chunk().copied().map_or(0, i64::from_be_bytes)
}

/// Takes a row into a table's digest, or out of it.
pub(super) fn toggle(total: &mut Digest, row: &Digest) {
    total.iter_mut().zip(row).for_each(|(t, r)| *t ^= r);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_count() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(short(&[b"ab"]), short(&[b"ab", b""]));
    }

    #[test]
    fn a_table_is_the_same_in_any_order_and_without_a_row_it_is_not() {
        let rows = [digest(&[b"1"]), digest(&[b"2"])];
        let (mut one, mut other) = ([0; 32], [0; 32]);
        for (row, reversed) in rows.iter().zip(rows.iter().rev()) {
            toggle(&mut one, row);
            toggle(&mut other, reversed);
        }
        assert_eq!(one, other);
        toggle(&mut one, &rows[0]);
        assert_eq!(one, rows[1]);
    }
}
