//! What the standard tool made, and what is told of files that were harmed.

use super::*;
use crate::secret::Secret;
use crate::testing::SeededEntropy;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::io::{Read as _, Write as _};

const IDENTITY: &str = "AGE-SECRET-KEY-1NPNKATP83Q2Y84JTA23M5HX7QRYNVZPFVSSG5YD4EVT5HE04R9RSCK07ZD";
const RECIPIENT: &str = "age1kzy0r7syr83xdfwqh6069wj8tnnk8laxl03mev0q58kgfd3aq9rq0zrx0w";

/// `printf 'hello, daypass\n' | age -r RECIPIENT`, by age 1.3.2.
const HELLO: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBQQlhrK04vbWdZRXRYSk9BdFdBTkJRaitIeVdQOThlY2RiYVJYUmlUaTNV\
    Cm1pcllrR2FjMDJ0STgwRUJHVDI2NGJWTUYxNkE2ZW9pV1NNcjE2aE5wU1EKLS0tIFlmcnhiQXVROFNPUVBGOExZbktES2VOUnExeXBoODBIMlpkdHZrTXRn\
    NTgKOMWX54lAuvsr0k35zYrPBPtkT+bBchMZCRM/zfyTkpvg2a0op821J/FCXhxPwKo=";

fn hello() -> Vec<u8> {
    STANDARD.decode(HELLO).unwrap()
}

fn identity() -> Opener {
    Opener::Identities(Identity::all(&format!("# a comment\n\n{IDENTITY}\n")).unwrap())
}

fn open(file: &[u8], opener: &Opener) -> Result<Vec<u8>, AgeFault> {
    let mut plain = Vec::new();
    Reader::new(file, opener)?.read_to_end(&mut plain)?;
    Ok(plain)
}

fn made(plain: &[u8], lock: &Lock) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), lock, &SeededEntropy::new(5)).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn recipients() -> Lock {
    Lock::To(vec![RECIPIENT.parse().unwrap()])
}

#[test]
fn a_file_of_the_standard_tool_opens() {
    assert_eq!(open(&hello(), &identity()).unwrap(), b"hello, daypass\n");
}

#[test]
fn keys_are_written_as_the_standard_tool_writes_them() {
    let all = Identity::all(IDENTITY).unwrap();
    assert_eq!(all[0].recipient().to_string(), RECIPIENT);
    assert_eq!(all[0].line().expose_str(), IDENTITY);
    let new = Identity::generate(&SeededEntropy::new(1)).unwrap();
    let again = Identity::all(new.line().expose_str()).unwrap();
    assert_eq!(again[0].recipient(), new.recipient());
    for bad in ["", "age1", IDENTITY, &RECIPIENT.replace('k', "l"), &RECIPIENT[..60]] {
        assert!(bad.parse::<Recipient>().is_err(), "{bad}");
    }
    for bad in ["", "# only a comment", RECIPIENT, "AGE-SECRET-KEY-1"] {
        assert!(Identity::all(bad).is_err(), "{bad}");
    }
}

#[test]
fn each_recipient_opens_a_file_and_nobody_else() {
    let other = Identity::generate(&SeededEntropy::new(1)).unwrap();
    let stranger = Identity::generate(&SeededEntropy::new(2)).unwrap();
    let file = made(b"both", &Lock::To(vec![RECIPIENT.parse().unwrap(), other.recipient()]));
    assert_eq!(open(&file, &identity()).unwrap(), b"both");
    assert_eq!(open(&file, &Opener::Identities(vec![stranger, other])).unwrap(), b"both");
    let stranger = Identity::generate(&SeededEntropy::new(2)).unwrap();
    assert!(matches!(open(&file, &Opener::Identities(vec![stranger])), Err(AgeFault::WrongKey)));
    let passphrase = Opener::Passphrase(Secret::new("guess"));
    assert!(matches!(open(&file, &passphrase), Err(AgeFault::WrongKey)));
    assert!(matches!(
        Writer::new(Vec::new(), &Lock::To(vec![]), &SeededEntropy::new(1)),
        Err(AgeFault::Cannot(_))
    ));
}

#[test]
fn a_passphrase_opens_what_it_closed() {
    let file = made(b"secret", &Lock::Passphrase(Secret::new("correct horse")));
    let text = String::from_utf8_lossy(&file).into_owned();
    assert!(text.starts_with("age-encryption.org/v1\n-> scrypt ") && text.contains(" 18\n"), "{text}");
    assert_eq!(open(&file, &Opener::Passphrase(Secret::new("correct horse"))).unwrap(), b"secret");
    let wrong = open(&file, &Opener::Passphrase(Secret::new("correct house")));
    assert!(matches!(wrong, Err(AgeFault::WrongKey)));
    assert!(matches!(open(&file, &identity()), Err(AgeFault::WrongKey)));
}

#[test]
fn a_passphrase_that_takes_too_much_work_is_refused_at_once() {
    for (work, told) in
        [("21", "more work"), ("99", "more work"), ("018", "no age file"), ("+9", "no age file")]
    {
        let file =
            format!("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA {work}\nAAAA\n--- AAAA\n");
        let fault = open(file.as_bytes(), &Opener::Passphrase(Secret::new("x"))).unwrap_err().to_string();
        assert!(fault.contains(told), "{work}: {fault}");
    }
}

#[test]
fn every_bit_of_a_file_counts() {
    let file = hello();
    for at in 0..file.len() {
        let mut harmed = file.clone();
        harmed[at] ^= 1;
        assert!(open(&harmed, &identity()).is_err(), "byte {at}");
    }
    for length in 0..file.len() {
        assert!(open(&file[..length], &identity()).is_err(), "{length} bytes");
    }
    let mut longer = file;
    longer.push(0);
    assert!(open(&longer, &identity()).is_err());
}

#[test]
fn chunks_are_neither_moved_nor_left_out() {
    const CHUNK: usize = 64 * 1024 + 16;
    let plain: Vec<u8> = (0..3 * 64 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
    let file = made(&plain, &recipients());
    let begin = file.len() - 3 * CHUNK;
    let (head, chunks) = file.split_at(begin);
    let chunk = |n: usize| &chunks[n * CHUNK..(n + 1) * CHUNK];
    assert_eq!(open(&[head, chunk(0), chunk(1), chunk(2)].concat(), &identity()).unwrap(), plain);
    for harmed in [
        vec![chunk(0), chunk(1)],
        vec![chunk(1), chunk(0), chunk(2)],
        vec![chunk(0), chunk(2)],
        vec![chunk(0), chunk(1), chunk(2), chunk(2)],
        vec![],
    ] {
        let harmed = [vec![head], harmed].concat().concat();
        assert!(open(&harmed, &identity()).is_err(), "{} bytes", harmed.len());
    }
}

#[test]
fn a_header_that_never_ends_is_not_read_for_ever() {
    struct Endless;
    impl std::io::Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            into.fill(b'x');
            Ok(into.len())
        }
    }
    let file = std::io::BufReader::new(b"age-encryption.org/v1\n-> ".chain(Endless));
    assert!(matches!(Reader::new(file, &identity()).err(), Some(AgeFault::NotAge)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_written_in_whatever_pieces_is_read(
        length in prop_oneof![0..100_usize, 65_530..65_545_usize, 131_070..131_075_usize],
        piece in 1..70_000_usize,
    ) {
        let plain: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut writer = Writer::new(Vec::new(), &recipients(), &SeededEntropy::new(5)).unwrap();
        for piece in plain.chunks(piece) {
            writer.write_all(piece).unwrap();
        }
        let file = writer.finish().unwrap();
        prop_assert_eq!(open(&file, &identity()).unwrap(), plain);
    }
}
