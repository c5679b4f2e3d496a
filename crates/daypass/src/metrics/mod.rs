//! What a monitoring system reads: how many requests ended in which way, and how old our keys and others' are.
//!
//! Requests are counted as they end, each by one addition; everything else is looked up when somebody asks.
//! `docs/metrics.md` lists all of it.

mod counts;
mod database;
mod health;
mod listener;
mod records;
mod reloads;
mod rotation;
mod scrape;

pub(crate) use counts::Counts;
pub(crate) use listener::serve;
pub(crate) use scrape::Scrape;
