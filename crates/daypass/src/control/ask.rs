//! The command's side of the socket.

use super::{Answer, LINE, Request};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long an answer may take: as long as a large configuration may take to be judged.
const PATIENCE: Duration = Duration::from_mins(1);

/// How it looks when the other side has hung up without a word.
const HUNG_UP: [ErrorKind; 3] = [ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Nobody listens at any of the places.
    #[error("no service listens at {}", list(.0))]
    Nobody(Vec<PathBuf>),
    /// The socket is somebody else's.
    #[error("`{}` is for the user that the service runs as, and for root", .0.display())]
    NotOurs(PathBuf),
    /// Somebody listened and did not answer, or not in words that are understood.
    #[error("the service at `{}` does not answer: {}", .0.display(), .1)]
    Silent(PathBuf, String),
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| format!("`{}`", place.display())).collect();
    places.join(" nor at ")
}

/// Asks the service at the first of these places where one listens.
pub(crate) async fn ask(places: &[PathBuf], request: &Request) -> Result<Answer, Trouble> {
    for place in places {
        match UnixStream::connect(place).await {
            Ok(stream) => return put(place, stream, request).await,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Trouble::NotOurs(place.clone()));
            }
            Err(_) => {}
        }
    }
    Err(Trouble::Nobody(places.to_vec()))
}

async fn put(place: &Path, stream: UnixStream, request: &Request) -> Result<Answer, Trouble> {
    let told = async {
        let (from, mut to) = stream.into_split();
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        to.write_all(&text).await?;
        let mut line = String::new();
        BufReader::new(from.take(LINE)).read_line(&mut line).await?;
        if line.is_empty() {
            return Err(std::io::Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(serde_json::from_str(&line)?)
    };
    let silent = |why: String| Trouble::Silent(place.to_owned(), why);
    match timeout(PATIENCE, told).await {
        Ok(Ok(answer)) => Ok(answer),
        // A service hangs up on whoever may not ask, before the question is written or after.
        Ok(Err(error)) if HUNG_UP.contains(&error.kind()) => Err(Trouble::NotOurs(place.to_owned())),
        Ok(Err(error)) => Err(silent(error.to_string())),
        Err(_) => Err(silent(format!("nothing within {} seconds", PATIENCE.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    #[test]
    fn a_question_is_one_line_that_other_programs_can_write() {
        let text = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(text(&Request::Status), r#"{"do":"status"}"#);
        let file = Some("/etc/daypass/daypass.toml".into());
        assert_eq!(text(&Request::Reload { file }), r#"{"do":"reload","file":"/etc/daypass/daypass.toml"}"#);
        let bare: Request = serde_json::from_str(r#"{"do":"reload"}"#).unwrap();
        assert_eq!(bare, Request::Reload { file: None });
        assert!(serde_json::from_str::<Request>(r#"{"do":"reload","force":true}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"do":"stop"}"#).is_err());
    }

    #[tokio::test]
    async fn the_first_place_where_somebody_listens_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (gone, here) = (folder.path().join("gone"), folder.path().join("here"));
        let nobody = ask(&[gone.clone(), here.clone()], &Request::Status).await.unwrap_err();
        assert!(matches!(&nobody, Trouble::Nobody(places) if places.len() == 2), "{nobody}");
        let listener = UnixListener::bind(&here).unwrap();
        tokio::spawn(async move {
            for answer in
                [&b"{\"result\":\"refused\",\"message\":\"no\",\"errors\":[]}\n"[..], b"what?\n", b""]
            {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut line = String::new();
                BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
                assert_eq!(line, "{\"do\":\"status\"}\n");
                stream.write_all(answer).await.unwrap();
            }
        });
        let places = [gone, here];
        let answer = ask(&places, &Request::Status).await.unwrap();
        assert!(matches!(answer, Answer::Refused { message, .. } if message == "no"));
        assert!(matches!(ask(&places, &Request::Status).await, Err(Trouble::Silent(..))));
        assert!(matches!(ask(&places, &Request::Status).await, Err(Trouble::NotOurs(_))));
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_is_hung_up_on_may_not_ask() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("c.sock");
        let listener = UnixListener::bind(&place).unwrap();
        let hangs_up = tokio::spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
            }
        });
        // Sometimes before the question is written, and sometimes after.
        for _ in 0..100 {
            let trouble = ask(std::slice::from_ref(&place), &Request::Status).await.unwrap_err();
            assert!(matches!(trouble, Trouble::NotOurs(_)), "{trouble}");
        }
        hangs_up.abort();
    }
}
