//! A file with checkpoints, one a line, and nothing but added to.

use daypass_core::record::checkpoint::Kept;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// No line is longer, in bytes. What is, is none of ours.
const LONGEST: u64 = 64 * 1024;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// A checkpoint, of which nothing is believed yet but the number that it claims.
    Kept(Kept),
    /// Something else, on the line of this number.
    Unreadable(usize),
}

/// Every whole line of a file, each given away as it is read.
pub(crate) fn copies(path: &Path, mut take: impl FnMut(Copy)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let whole = line.strip_suffix(b"\n");
        if whole.is_none() && (line.len() as u64) < LONGEST {
            // It is being written, or was when the machine went down.
            break;
        }
        let kept = whole.and_then(|line| std::str::from_utf8(line).ok()).and_then(claimed);
        take(kept.map_or(Copy::Unreadable(number), Copy::Kept));
    }
    Ok(())
}

/// The last whole line, if there is one.
pub(super) fn last(path: &Path) -> io::Result<Option<Copy>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let size = file.metadata()?.len();
    let from = size.saturating_sub(2 * LONGEST);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    // What was being written when the machine went down has no end.
    let Some(whole) = end.iter().rposition(|byte| *byte == b'\n').and_then(|at| end.get(..at)) else {
        return Ok((size > LONGEST).then_some(Copy::Unreadable(0)));
    };
    let line = whole.rsplit(|byte| *byte == b'\n').next().unwrap_or(whole);
    let kept = std::str::from_utf8(line).ok().and_then(claimed);
    Ok(Some(kept.map_or(Copy::Unreadable(0), Copy::Kept)))
}

/// Adds lines, durable when it returns. A line that was cut off when the machine went down is taken away first.
pub(super) fn append(path: &Path, all: &[Kept]) -> io::Result<()> {
    let made = !path.exists();
    // Readable by a group: whoever checks the copies is not the service.
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    let size = file.metadata()?.len();
    if size > 0 {
        file.seek(SeekFrom::Start(size.saturating_sub(LONGEST)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        let torn = end.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
        if torn > 0 && file.set_len(size.saturating_sub(torn)).is_err() {
            // The file may only be added to: then the line ends here.
            file.write_all(b"\n")?;
        }
    }
    let lines: String = all.iter().flat_map(|kept| [kept.jws.as_str(), "\n"]).collect();
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    if made {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// A line as a checkpoint, by the number that it claims.
fn claimed(line: &str) -> Option<Kept> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = line.split('.').nth(1)?;
    let payload: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(Kept { number: payload.get("number")?.as_u64()?, jws: line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn kept(number: u64) -> Kept {
        let payload = URL_SAFE_NO_PAD.encode(format!("{{\"number\":{number}}}"));
        Kept { number, jws: format!("e30.{payload}.AA") }
    }

    fn all(path: &Path) -> Vec<Copy> {
        let mut all = Vec::new();
        copies(path, |copy| all.push(copy)).unwrap();
        all
    }

    #[test]
    fn lines_are_added_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        assert_eq!(last(&path).unwrap(), None);
        append(&path, &[kept(1), kept(2)]).unwrap();
        append(&path, &[]).unwrap();
        append(&path, &[kept(3)]).unwrap();
        assert_eq!(all(&path), [1, 2, 3].map(|number| Copy::Kept(kept(number))));
        assert_eq!(last(&path).unwrap(), Some(Copy::Kept(kept(3))));
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_line_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        append(&path, &[kept(1), kept(2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..kept(2).jws.len() {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(last(&path).unwrap(), Some(Copy::Kept(kept(1))), "{cut}");
            append(&path, &[kept(2)]).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{cut}");
        }
        std::fs::write(&path, "e30.eyJ").unwrap();
        assert_eq!(last(&path).unwrap(), None, "not even the first is whole");
    }

    #[test]
    fn what_is_no_checkpoint_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        std::fs::write(&path, format!("{}\nhello\n\n\u{fffd}\n", kept(1).jws)).unwrap();
        let unreadable = [2, 3, 4].map(Copy::Unreadable);
        assert_eq!(all(&path), [&[Copy::Kept(kept(1))][..], &unreadable[..]].concat());
        assert_eq!(last(&path).unwrap(), Some(Copy::Unreadable(0)));
        std::fs::write(&path, "x".repeat(200_000)).unwrap();
        assert!(all(&path).iter().all(|copy| matches!(copy, Copy::Unreadable(_))));
        assert_eq!(last(&path).unwrap(), Some(Copy::Unreadable(0)));
    }
}
