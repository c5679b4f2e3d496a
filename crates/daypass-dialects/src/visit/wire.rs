//! What is said in the same words whatever the vendor.

use daypass_core::clock::rfc3339;
use daypass_core::ticket::{FIRST_USE, IssuedTicket};
use serde::Serialize;

/// What a page shows the next time in place of a used ticket.
pub(super) const REFRESH: &str = "daypass-refresh";

/// A one-time ticket.
#[derive(Serialize)]
pub(super) struct TicketIssued<'a> {
    ticket: &'a str,
    /// UTC to the second with `Z`: the end of its first use.
    expires: String,
    /// The same in seconds from now.
    expires_in: u32,
}

impl<'a> TicketIssued<'a> {
    pub(super) fn of(issued: &'a IssuedTicket) -> Self {
        Self { ticket: issued.ticket.expose_str(), expires: rfc3339(issued.expires), expires_in: FIRST_USE }
    }
}
