//! Checkpoints as messages of syslog (RFC 5424), to a server or to this machine's log.

use daypass_core::record::checkpoint::Kept;
use std::fmt;
use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, lookup_host};

/// Facility 13 (log audit), severity 5 (notice): RFC 5424 §6.2.1.
const PRIORITY: u32 = 13 * 8 + 5;

/// How a message goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One datagram each (RFC 5426). Nothing says whether it arrived.
    Udp(String),
    /// One connection for what there is to send, each with its length in front (RFC 6587 §3.4.1).
    Tcp(String),
    /// This machine's own log.
    Unix(PathBuf),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Way {
    /// Reads `udp://host:port`, `tcp://host:port` or `unix:/path`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Some(Self::Unix(path.into()));
        }
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = rest.rsplit_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let good =
            !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok_and(|port| port > 0);
        match scheme {
            "udp" if good => Some(Self::Udp(rest.to_owned())),
            "tcp" if good => Some(Self::Tcp(rest.to_owned())),
            _ => None,
        }
    }

    /// Sends these, in order.
    pub(super) async fn send(&self, all: &[Kept]) -> io::Result<()> {
        match self {
            Self::Udp(address) => {
                let to = lookup_host(address).await?.next();
                let to = to.ok_or_else(|| io::Error::other(format!("`{address}` has no address")))?;
                let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(from).await?;
                socket.connect(to).await?;
                for kept in all {
                    socket.send(message(kept).as_bytes()).await?;
                }
                Ok(())
            }
            Self::Tcp(address) => {
                let mut stream = TcpStream::connect(address).await?;
                for kept in all {
                    let message = message(kept);
                    stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
                }
                stream.shutdown().await?;
                // A server that has gone down would reset the connection now; one that lives closes it.
                let mut rest = [0; 64];
                while stream.read(&mut rest).await? > 0 {}
                Ok(())
            }
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                for kept in all {
                    socket.send(message(kept).as_bytes()).await?;
                }
                Ok(())
            }
        }
    }
}

/// The message: its own time is in the checkpoint, so the field is nil, as the host is.
fn message(kept: &Kept) -> String {
    let process = std::process::id();
    format!("<{PRIORITY}>1 {} - daypass {process} checkpoint - {}", NIL_TIME, kept.jws)
}

/// RFC 5424 §6.2.3: no time is said.
const NIL_TIME: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn kept(number: u64) -> Kept {
        Kept { number, jws: format!("a.b{number}.c") }
    }

    fn expected(number: u64) -> String {
        format!("<109>1 - - daypass {} checkpoint - a.b{number}.c", std::process::id())
    }

    #[test]
    fn ways_are_written_in_one_way() {
        for good in ["udp://log.example.com:514", "tcp://10.0.0.1:6514", "tcp://[::1]:601", "unix:/dev/log"] {
            assert_eq!(Way::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "udp://",
            "udp://host",
            "udp://host:0",
            "udp://host:70000",
            "tcp://user@host:1",
            "unix:log",
            "http://host:1",
            "host:514",
        ] {
            assert_eq!(Way::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn over_udp_each_is_a_datagram() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let way = Way::Udp(server.local_addr().unwrap().to_string());
        way.send(&[kept(1), kept(2)]).await.unwrap();
        let mut buffer = [0; 1000];
        for number in [1, 2] {
            let size = server.recv(&mut buffer).await.unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..size]).unwrap(), expected(number));
        }
    }

    #[tokio::test]
    async fn over_tcp_each_has_its_length_and_a_server_that_is_gone_is_noticed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Way::Tcp(server.local_addr().unwrap().to_string());
        let taken = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        });
        way.send(&[kept(1), kept(23)]).await.unwrap();
        let (one, two) = (expected(1), expected(23));
        assert_eq!(taken.await.unwrap(), format!("{} {one}{} {two}", one.len(), two.len()));
        assert!(way.send(&[kept(3)]).await.is_err());
    }

    #[tokio::test]
    async fn the_machines_own_log_is_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let way = Way::Unix(path.clone());
        assert!(way.send(&[kept(1)]).await.is_err(), "nobody is there");
        let server = UnixDatagram::bind(&path).unwrap();
        way.send(&[kept(1)]).await.unwrap();
        let mut buffer = [0; 1000];
        let size = server.recv(&mut buffer).await.unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..size]).unwrap(), expected(1));
    }
}
