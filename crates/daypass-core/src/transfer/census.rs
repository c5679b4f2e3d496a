//! How many rows there are of each part, and a digest over them: what two stores are compared by.

use super::{Part, Row};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The rows of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many there are.
    pub rows: u64,
    /// SHA-256 over each row's JSON and a line feed, in their order, in hexadecimal digits.
    pub sha256: String,
}

/// Counts rows as they go by.
#[derive(Clone, Default)]
pub struct Census(BTreeMap<Part, (u64, Option<Context>)>);

impl Census {
    /// Takes a row with its JSON.
    pub fn take(&mut self, part: Part, json: &[u8]) {
        let (rows, digest) = self.0.entry(part).or_default();
        *rows += 1;
        let digest = digest.get_or_insert_with(|| Context::new(&SHA256));
        digest.update(json);
        digest.update(b"\n");
    }

    /// Takes rows.
    pub fn take_all(&mut self, rows: &[Row]) -> Result<(), serde_json::Error> {
        rows.iter().try_for_each(|row| {
            self.take(row.part(), &serde_json::to_vec(row)?);
            Ok(())
        })
    }

    /// What there is of each part that has rows.
    pub fn finish(self) -> BTreeMap<Part, Count> {
        let count = |(rows, digest): (u64, Option<Context>)| Count {
            rows,
            sha256: digest.map(|digest| hex(digest.finish().as_ref())).unwrap_or_default(),
        };
        self.0.into_iter().map(|(part, taken)| (part, count(taken))).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(rows: &[Row]) -> BTreeMap<Part, Count> {
        let mut census = Census::default();
        census.take_all(rows).unwrap();
        census.finish()
    }

    #[test]
    fn rows_count_in_their_order_part_by_part() {
        let [a, b] = ["a", "b"].map(|key| Row::Use { key: key.into(), at: 1 });
        let client = Row::Client("{}".into());
        let all = census(&[client.clone(), a.clone(), b.clone()]);
        assert_eq!(all[&Part::Use].rows, 2);
        assert_eq!(all[&Part::Client].rows, 1);
        assert_eq!(all.len(), 2, "a part without rows is not there");
        assert_eq!(census(&[a.clone(), b.clone()])[&Part::Use], all[&Part::Use]);
        assert_ne!(census(&[b, a.clone()])[&Part::Use], all[&Part::Use]);
        assert_ne!(census(std::slice::from_ref(&a))[&Part::Use].sha256, all[&Part::Use].sha256);
        let json = serde_json::to_string(&census(&[client])).unwrap();
        // printf '{"client":"{}"}\n' | sha256sum
        let sum = "6d52d9773cd6f615153d4272d6e3dd1434862f619f2d3a626418489bc501cd19";
        assert_eq!(json, format!(r#"{{"client":{{"rows":1,"sha256":"{sum}"}}}}"#));
    }
}
