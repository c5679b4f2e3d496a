//! Text with wildcards: what actions and resources are written in.

use serde::{Deserialize, Serialize};

/// A pattern that matches whole strings: literal text with any number of `*`.
///
/// Normal form: no empty text, no two texts and no two `*` beside each other, so equal languages of simple
/// patterns have equal values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pattern(Vec<Piece>);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Piece {
    /// Exactly this text.
    Text(String),
    /// Any text, the empty one included.
    Any,
}

impl Pattern {
    /// Reads `*` as the wildcard and everything else as itself.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        for (n, part) in text.split('*').enumerate() {
            if n > 0 && pieces.last() != Some(&Piece::Any) {
                pieces.push(Piece::Any);
            }
            if !part.is_empty() {
                pieces.push(Piece::Text(part.to_owned()));
            }
        }
        Self(pieces)
    }

    /// A pattern of these pieces, brought to normal form.
    pub fn from_pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut out: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (out.last_mut(), piece) {
                (_, Piece::Text(t)) if t.is_empty() => {}
                (Some(Piece::Any), Piece::Any) => {}
                (Some(Piece::Text(last)), Piece::Text(t)) => last.push_str(&t),
                (_, piece) => out.push(piece),
            }
        }
        Self(out)
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether it matches every text.
    pub fn is_any(&self) -> bool {
        self.0 == [Piece::Any]
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Any => f.write_str("*"),
        })
    }
}
