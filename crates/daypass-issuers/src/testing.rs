//! A cloud that misbehaves, for tests of this crate and of others.

pub mod hostile;
