//! What a transport failure is.

use crate::fault::{Fault, FaultKind};
use std::error::Error;
use std::io;

/// There was no answer.
pub(super) fn unanswered(fault: &reqwest::Error) -> Fault {
    let (kind, what) = if is_of_tls(fault) {
        (FaultKind::Tls, "no TLS")
    } else if fault.is_connect() {
        (FaultKind::Unreached, "no connection")
    } else {
        (FaultKind::Broken, "no answer in HTTP")
    };
    Fault::new(kind, down_to_the_cause(what, fault))
}

/// The answer ended before it was whole.
pub(super) fn broken(fault: &reqwest::Error) -> Fault {
    let kind = if is_of_tls(fault) { FaultKind::Tls } else { FaultKind::Broken };
    Fault::new(kind, down_to_the_cause("the answer broke off", fault))
}

/// What went wrong, down to the first cause, without the address: a path or a query may hold what is nobody else's.
pub(super) fn down_to_the_cause(what: &str, fault: &reqwest::Error) -> String {
    causes(fault).fold(what.to_owned(), |text, cause| format!("{text}: {cause}"))
}

/// The causes of an error of reqwest, which itself shows the address.
fn causes(fault: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(fault.source(), |cause: &&(dyn Error + 'static)| (*cause).source())
}

fn is_of_tls(fault: &reqwest::Error) -> bool {
    causes(fault).any(is_tls)
}

/// An error of input and output leaves out, among its sources, the very error that it carries; and it may carry another of
/// its kind.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || carried.is_some_and(|carried| is_tls(carried))
}
