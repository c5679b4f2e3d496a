//! What the fault suite is made of: an installation that can be hurt, clients that write down what they were given, and
//! the means of hurting.
//!
//! The program under test is a process, never a library: what is asserted here is what an operator would see.

pub mod ask;
pub mod cluster;
pub mod flood;
pub mod installation;
pub mod ledger;
pub mod load;
pub mod node;
pub mod port;
pub mod postgres;
pub mod proxy;
pub mod shim;
pub mod time;
