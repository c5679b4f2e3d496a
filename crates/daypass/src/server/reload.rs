//! How a new certificate, or a new list of authorities, takes the place of the old one.

use super::tls::Tls;
use crate::config::{CaFile, CaSource, Errors, Files, MutualTls, Pair, TlsSource};
use daypass_core::clock::Clock;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How often the files are looked at. A few small files; comparing what is in them is right whatever moves them there,
/// which a time of change is not.
const LOOK: Duration = Duration::from_secs(3);
/// How often a certificate that ends soon is pointed out.
const REMIND: Duration = Duration::from_hours(24);

/// How long whoever has the files looked at waits for it: one that cannot be read to its end must hold up nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the listeners show.
#[derive(Clone)]
pub(crate) struct Shows {
    /// The first listener.
    pub(crate) main: Arc<Tls>,
    /// The one that asks its clients for a certificate, if there is one.
    pub(crate) asking: Option<Arc<Tls>>,
}

/// What a [`Watch`] is asked to do. It says when it is done.
enum Order {
    /// Look at the files now.
    Look(oneshot::Sender<()>),
    /// Look at these from now on.
    Read { named: Box<(TlsSource, Option<CaSource>)>, done: oneshot::Sender<()> },
}

/// How a running [`Watch`] is spoken to.
#[derive(Clone)]
pub(crate) struct Looks(mpsc::Sender<Order>);

impl Looks {
    /// Has the files looked at. Returns when what is good in them is shown.
    pub(crate) async fn look(&self) {
        self.order(Order::Look).await;
    }

    /// Has these files looked at from now on, in the place of those that were named before.
    pub(crate) async fn read(&self, source: TlsSource, ca: Option<CaSource>) {
        self.order(|done| Order::Read { named: Box::new((source, ca)), done }).await;
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, told) = oneshot::channel();
        let obeyed = async {
            // A watch that has ended looks at nothing any more: the process ends.
            if self.0.send(order(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        if timeout(PATIENCE, obeyed).await.is_err() {
            tracing::error!(
                "the files of the certificate cannot be read; what was shown before stays until they can"
            );
        }
    }
}

/// Takes up what comes to stand in the files, for as long as the process lives.
pub(crate) struct Watch {
    shows: Shows,
    clock: Arc<dyn Clock>,
    source: Arc<TlsSource>,
    shown: Pair,
    seen: Seen<Files>,
    ca: Option<(Arc<CaSource>, Seen<CaFile>)>,
}

/// Files as they were seen last. What was judged once is not judged, nor complained of, again.
enum Seen<T> {
    Files(T),
    /// They could not be read, and this was said of it.
    Unread(String),
}

impl<T: PartialEq> Seen<T> {
    fn is(&self, files: &T) -> bool {
        matches!(self, Self::Files(seen) if seen == files)
    }

    /// Says once what is wrong with what is there now.
    fn refuse(&mut self, now: Self, what: &str, errors: &Errors) {
        let again = matches!((&*self, &now), (Self::Unread(before), Self::Unread(now)) if before == now);
        if !again {
            tracing::error!("{what} not taken, and the old one stays: {errors}");
        }
        *self = now;
    }
}

fn warn(concerns: impl IntoIterator<Item = impl Display>) {
    for concern in concerns {
        tracing::warn!("{concern}");
    }
}

impl Watch {
    /// Reads the files for the first time; what no client would take, or nobody can vouch by, is an error.
    pub(crate) fn start(
        source: &TlsSource,
        mutual: Option<&MutualTls>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<(Shows, Self)> {
        let (files, now) = (source.files()?, clock.now());
        let (shown, concerns) = source.judge(&files, now)?;
        warn(concerns);
        let (mut asking, mut ca) = (None, None);
        if let Some(mutual) = mutual {
            let mut authorities = None;
            if let Some(source) = &mutual.ca {
                let file = source.file()?;
                let (good, concerns) = source.judge(&file, now)?;
                warn(concerns);
                (authorities, ca) = (Some(good), Some((Arc::new(source.clone()), Seen::Files(file))));
            }
            asking = Some(Arc::new(Tls::asking(&shown, authorities)?));
        }
        let shows = Shows { main: Arc::new(Tls::new(&shown)?), asking };
        let source = Arc::new(source.clone());
        Ok((shows.clone(), Self { shows, clock, source, shown, seen: Seen::Files(files), ca }))
    }

    /// Looks every few seconds, and at once when it is told to.
    pub(crate) fn run(self) -> (Looks, impl Future<Output = ()>) {
        let (orders, come) = mpsc::channel(1);
        (Looks(orders), self.follow(come))
    }

    async fn follow(mut self, mut come: mpsc::Receiver<Order>) {
        let mut remind = tokio::time::interval(REMIND);
        // The first tick is at once, and the start has said it already.
        remind.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => self.look().await,
                Some(order) = come.recv() => self.obey(order).await,
                _ = remind.tick() => self.remind(),
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        let done = match order {
            Order::Look(done) => done,
            Order::Read { named, done } => {
                let (source, ca) = *named;
                self.source = Arc::new(source);
                // Whether there are authorities is settled at the start; which, is not.
                if let (Some((named, _)), Some(ca)) = (&mut self.ca, ca) {
                    *named = Arc::new(ca);
                }
                done
            }
        };
        self.look().await;
        // Whoever asked may have gone.
        let _ = done.send(());
    }

    /// Takes what is in the files if it is something else and good.
    pub(super) async fn look(&mut self) {
        self.look_at_pair().await;
        self.look_at_authorities().await;
    }

    async fn look_at_pair(&mut self) {
        const WHAT: &str = "the new certificate is";
        let source = self.source.clone();
        let Ok(files) = tokio::task::spawn_blocking(move || source.files()).await else { return };
        let files = match files {
            Ok(files) if self.seen.is(&files) => return,
            Ok(files) => files,
            Err(errors) => return self.seen.refuse(Seen::Unread(errors.to_string()), WHAT, &errors),
        };
        match self.source.judge(&files, self.clock.now()) {
            Err(errors) => self.seen.refuse(Seen::Files(files), WHAT, &errors),
            Ok((pair, concerns)) => {
                warn(concerns);
                let asking = self.shows.asking.iter();
                if let Err(error) =
                    asking.chain([&self.shows.main]).try_for_each(|listener| listener.replace(&pair))
                {
                    return tracing::error!(
                        error = format!("{error:#}"),
                        "the new certificate cannot be used"
                    );
                }
                (self.seen, self.shown) = (Seen::Files(files), pair);
                tracing::info!(days = self.shown.days_left(self.clock.now()), "a new certificate is shown");
            }
        }
    }

    async fn look_at_authorities(&mut self) {
        const WHAT: &str = "the new list of authorities is";
        let (Some((source, seen)), Some(listener)) = (&mut self.ca, &self.shows.asking) else { return };
        let reader = source.clone();
        let Ok(file) = tokio::task::spawn_blocking(move || reader.file()).await else { return };
        let file = match file {
            Ok(file) if seen.is(&file) => return,
            Ok(file) => file,
            Err(errors) => return seen.refuse(Seen::Unread(errors.to_string()), WHAT, &errors),
        };
        match source.judge(&file, self.clock.now()) {
            Err(errors) => seen.refuse(Seen::Files(file), WHAT, &errors),
            Ok((authorities, concerns)) => {
                warn(concerns);
                listener.trust(authorities);
                *seen = Seen::Files(file);
                tracing::info!("clients' certificates are judged by a new list of authorities");
            }
        }
    }

    fn remind(&self) {
        let now = self.clock.now();
        if self.shown.is_due(now) {
            tracing::warn!(days = self.shown.days_left(now), "the certificate expires soon");
        }
        if let Some((source, Seen::Files(file))) = &self.ca {
            match source.judge(file, now) {
                Ok((_, concerns)) => warn(concerns),
                Err(errors) => tracing::error!("nobody vouches for clients' certificates: {errors}"),
            }
        }
    }
}
