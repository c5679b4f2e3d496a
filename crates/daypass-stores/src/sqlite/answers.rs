//! Gives out the answers of a commit.
//!
//! A commit answers everyone who waited for it. Given one by one from the writer's thread, each answer wakes a thread
//! of the runtime, which runs one request and sleeps again: with many waiting, more than a turn of the processor for
//! each. So a whole batch goes to one task of the runtime, which wakes the requests where they run.

use crate::waiting::Write;
use daypass_core::store::StoreError;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A batch with what became of it: nothing went wrong, or this.
type Batch = (Vec<Write>, Option<StoreError>);

/// The way to the task, once there is one.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<OnceLock<mpsc::UnboundedSender<Batch>>>);

impl Answers {
    /// Starts the task on the runtime that the caller runs on, the first time. A store that is opened and closed
    /// without a runtime needs none.
    pub(super) fn start(&self) {
        self.0.get_or_init(|| {
            let (sender, mut batches) = mpsc::unbounded_channel::<Batch>();
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move {
                    while let Some((batch, failed)) = batches.recv().await {
                        give(batch, failed.as_ref());
                    }
                });
            }
            sender
        });
    }

    /// Answers everyone of a batch. One answer alone is given at once; and so are all if the task is gone with its
    /// runtime.
    pub(super) fn give(&self, batch: Vec<Write>, failed: Option<StoreError>) {
        let left = match self.0.get() {
            Some(task) if batch.len() > 1 => task.send((batch, failed)).err().map(|unsent| unsent.0),
            _ => Some((batch, failed)),
        };
        if let Some((batch, failed)) = left {
            give(batch, failed.as_ref());
        }
    }
}

fn give(batch: Vec<Write>, failed: Option<&StoreError>) {
    for write in batch {
        write.send(failed);
    }
}

#[cfg(test)]
mod tests {
    use crate::conformance;
    use daypass_core::store::Appended;
    use std::sync::Arc;
    use tokio::runtime::Builder;

    /// The task lives on the runtime that asked first; whoever asks from another one later is answered all the same.
    #[test]
    fn answers_outlive_the_runtime_that_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::open(&format!("sqlite:{}", folder.path().join("a.db").display())).unwrap();
        for turn in 0..2 {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let store = Arc::clone(&store);
            runtime.block_on(async move {
                if turn == 0 {
                    store.begin(conformance::chain(1)).await.unwrap();
                }
                let waiting: Vec<_> = (0..200)
                    .map(|n| {
                        let store = Arc::clone(&store);
                        tokio::spawn(async move { store.append(conformance::entry(turn * 1000 + n)).await })
                    })
                    .collect();
                for one in waiting {
                    assert_eq!(one.await.unwrap(), Ok(Appended::Appended));
                }
            });
        }
    }
}
