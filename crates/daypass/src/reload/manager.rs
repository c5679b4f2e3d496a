//! What the service manager is told: `sd_notify` of systemd, by the datagrams of its protocol.

use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// Where the manager listens, in the environment.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Within how many microseconds it wants to hear that the service lives, and of which process.
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHED: &str = "WATCHDOG_PID";

/// The manager that has started this process, if it wants to be told.
#[derive(Clone, Default)]
pub(crate) struct Manager {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub(crate) fn find() -> Self {
        let variable = crate::config::variable;
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number(WATCHED).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(WATCHDOG).filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Self { to: variable(SOCKET).and_then(|socket| open(&socket)), watchdog }
    }

    /// The service is ready, or ready again.
    pub(crate) fn ready(&self, status: &str) {
        // A line feed would begin another assignment.
        let status = status.replace('\n', " ");
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// The service reads its configuration again. The time tells this reload from an earlier one.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The service ends.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=answers what was sent");
    }

    /// Says that the service lives for as long as it does, where the manager wants to hear it. `lives` is asked each time: a
    /// process whose work stands still is one to be started again.
    pub(crate) async fn watch(self, lives: impl Fn() -> bool) {
        let Some(within) = self.watchdog.filter(|_| self.to.is_some()) else { return };
        let mut turn = tokio::time::interval(within / 2);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if lives() {
                self.say("WATCHDOG=1");
            }
        }
    }

    fn say(&self, text: &str) {
        if let Some(to) = &self.to
            && let Err(error) = to.0.send_to_addr(text.as_bytes(), &to.1)
        {
            tracing::debug!(%error, "the service manager cannot be told");
        }
    }
}

fn open(socket: &OsStr) -> Option<Arc<(UnixDatagram, SocketAddr)>> {
    let address = match socket.as_bytes() {
        // A name that is in no folder.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(socket),
    };
    let from = UnixDatagram::unbound().and_then(|from| from.set_nonblocking(true).map(|()| from));
    match (address, from) {
        (Ok(address), Ok(from)) => Some(Arc::new((from, address))),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "the service manager cannot be reached");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ear: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let read = ear.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    fn manager(ear: &UnixDatagram, socket: &OsStr, watchdog: Option<Duration>) -> Manager {
        ear.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Manager { to: open(socket), watchdog }
    }

    #[test]
    fn it_is_told_by_the_words_of_its_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let manager = manager(&ear, path.as_os_str(), None);
        manager.ready("runs\non x");
        assert_eq!(told(&ear), "READY=1\nSTATUS=runs on x");
        manager.reloading();
        let (one, micros) = (told(&ear), |text: &str| {
            text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<u64>().unwrap()
        });
        manager.reloading();
        assert!(micros(&one) > 0 && micros(&told(&ear)) >= micros(&one));
        manager.stopping();
        assert!(told(&ear).starts_with("STOPPING=1\n"));
    }

    #[test]
    fn a_name_in_no_folder_is_reached() {
        let name = format!("daypass-test-{}", std::process::id());
        let ear = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager(&ear, format!("@{name}").as_ref(), None).ready("x");
        assert_eq!(told(&ear), "READY=1\nSTATUS=x");
    }

    #[tokio::test(start_paused = true)]
    async fn it_hears_twice_in_its_time_that_the_service_lives_and_nothing_when_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let manager = manager(&ear, path.as_os_str(), Some(Duration::from_secs(10)));
        let lives = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let asked = lives.clone();
        let watch = tokio::spawn(manager.watch(move || asked.load(std::sync::atomic::Ordering::Relaxed)));
        tokio::time::sleep(Duration::from_secs(11)).await;
        for _ in 0..3 {
            assert_eq!(told(&ear), "WATCHDOG=1");
        }
        lives.store(false, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(Duration::from_mins(1)).await;
        ear.set_nonblocking(true).unwrap();
        assert!(ear.recv(&mut [0; 16]).is_err());
        watch.abort();
    }

    #[test]
    fn nobody_who_listens_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        Manager { to: open(folder.path().join("gone").as_os_str()), watchdog: None }.ready("x");
        Manager::default().stopping();
    }
}
