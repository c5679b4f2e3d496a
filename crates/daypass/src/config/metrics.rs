//! `metrics` of `[server]`: the listener that a monitoring system reads.

use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use super::server::listen;
use std::net::SocketAddr;

/// Where to listen, in `[server]` itself.
const METRICS: &str = "metrics";
/// Why others may read it.
const REASON: &str = "metrics_reason";

/// Reads where metrics are to be read, if anywhere. It speaks plain HTTP and asks nobody who they are, so without a
/// written reason it is for this machine alone: it tells the names of clients, and when their keys end.
pub(super) fn read(section: Section<'_>, main: Option<&Given<SocketAddr>>) -> Option<SocketAddr> {
    let notes = section.notes();
    let reason = section.text(REASON);
    let Some(given) = section.text(METRICS) else {
        if let Some(place) = section.key(REASON).filter(|_| section.key(METRICS).is_none()) {
            notes.error(place, Fault::new(format!("`{REASON}` is for `{METRICS}`, which is not there")));
        }
        return None;
    };
    let address = section.parsed(given, listen)?;
    if main.is_some_and(|main| main.value == address.value && main.value.port() != 0) {
        let fault = Fault::new("the service itself listens there, and metrics are not for its clients");
        notes.error(address.place, fault.hint("metrics = \"127.0.0.1:9464\""));
        return None;
    }
    let reason = reason.filter(|reason| !reason.value.trim().is_empty());
    if !address.value.ip().to_canonical().is_loopback() && reason.is_none() {
        let message =
            format!("`{}` is reached from other machines, and no `{REASON}` says why", address.value);
        let hint = "metrics tell the names of clients to whoever asks: listen on 127.0.0.1, or see that only the \
                    monitoring system gets there, and write so: metrics_reason = \"…\"";
        notes.error(address.place, Fault::new(message).hint(hint));
        return None;
    }
    Some(address.value)
}
