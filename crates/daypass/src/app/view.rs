//! What requests see, and how another configuration takes the place of the one before.

use super::{App, Outbound, Settings, Setup, View, idle};
use crate::system::KeyEntropy;
use daypass_core::directory::Directory;
use std::sync::Arc;

impl App {
    /// What a request that begins now sees.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The same for a request that has begun: what it began with, where nothing else has come, or its own configuration
    /// with what the store holds now. No request is judged by one configuration here and by another there.
    pub(crate) fn view_since(&self, began: Arc<View>) -> Arc<View> {
        let now = self.view.load();
        if Arc::ptr_eq(&now, &began) {
            return began;
        }
        if Arc::ptr_eq(&now.setup, &began.setup) {
            return now.clone();
        }
        let directory = Arc::new(now.directory.under(&began.directory));
        Arc::new(View { setup: began.setup.clone(), directory })
    }

    /// The configuration with what the store holds, now.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.view.load().directory.clone()
    }

    /// What follows from the configuration, now.
    pub(crate) fn setup(&self) -> Arc<Setup> {
        self.view.load().setup.clone()
    }

    /// Puts another configuration in the place of the one before, at once for all requests that begin from now on. What
    /// this process remembers stays. An error has changed nothing.
    pub(crate) async fn replace(&self, settings: Settings) -> anyhow::Result<()> {
        let Settings { plan, proxies } = settings;
        let (store, ambient) = (&self.opened.store, &self.ambient);
        let _reading = self.reading.lock().await;
        let before = self.view();
        let issuers = before.setup.issuers.next(&plan, store, ambient)?;
        let identity = if before.setup.identity.suits(&plan) {
            before.setup.identity.clone()
        } else {
            Arc::new(Outbound::new(&plan, &ambient.clock, &KeyEntropy)?)
        };
        let pipeline = before.setup.pipeline.with(issuers.all.clone(), identity.clone());
        let directory = Arc::new(before.directory.planned(Arc::new(plan)));
        idle::point_out(&directory);
        let setup = Arc::new(Setup { pipeline, proxies, issuers, identity });
        self.roots.keep(setup.clouds());
        self.view.store(Arc::new(View { setup, directory }));
        Ok(())
    }
}

#[cfg(test)]
impl App {
    /// Puts another snapshot in the place of this one, for a test.
    pub(crate) fn put_directory(&self, directory: Directory) {
        let setup = self.setup();
        self.view.store(Arc::new(View { setup, directory: Arc::new(directory) }));
    }

    /// Puts these clouds behind this node, for a test.
    pub(super) fn put_clouds(&self, clouds: Vec<Arc<dyn daypass_issuers::cloud::Cloud>>) {
        let view = self.view();
        let mut issuers = view.setup.issuers.clone();
        issuers.clouds = clouds;
        let setup = Arc::new(Setup { issuers, ..(*view.setup).clone() });
        self.view.store(Arc::new(View { setup, directory: view.directory.clone() }));
    }
}
