//! What requests see, and how another configuration takes the place of the one before.

use super::{App, Outbound, Prepared, Settings, Setup, View, idle};
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

    /// Makes another configuration ready. Everything that can fail is done here, and nothing has changed yet. Whoever calls
    /// this and [`App::put`] does so for one configuration after the other.
    pub(crate) fn prepare(&self, settings: Settings) -> anyhow::Result<Prepared> {
        let Settings { plan, proxies, records, digest } = settings;
        let (before, ambient) = (self.setup(), &self.ambient);
        let issuers = before.issuers.next(&plan, &self.opened.store, ambient)?;
        let identity = if before.identity.suits(&plan) {
            before.identity.clone()
        } else {
            Arc::new(Outbound::new(&plan, &ambient.clock, &KeyEntropy)?)
        };
        let pipeline = before.pipeline.with(issuers.all.clone(), identity.clone());
        Ok(Prepared { setup: Setup { pipeline, proxies, records, digest, issuers, identity }, plan })
    }

    /// Puts a configuration in the place of the one before, at once for all requests that begin from now on. What this
    /// process remembers stays.
    pub(crate) async fn put(&self, prepared: Prepared) {
        let _reading = self.reading.lock().await;
        let directory = Arc::new(self.directory().planned(Arc::new(prepared.plan)));
        let setup = Arc::new(prepared.setup);
        self.roots.keep(setup.clouds());
        self.view.store(Arc::new(View { setup, directory: directory.clone() }));
        idle::point_out(&directory);
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

#[cfg(test)]
mod tests;
