use std::cell::Cell;

thread_local! {
    /// Signatures that this thread has computed.
    pub(crate) static VERIFIED: Cell<usize> = const { Cell::new(0) };
}
