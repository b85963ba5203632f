//! Secrets and passwords: in the document, or in files of their own.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::problem::Place;
use super::section::Section;
use super::value;

/// The largest document that is read.
const MAX_DOCUMENT: u64 = 256 << 20;

/// The longest secret in a file.
const MAX: u64 = 4096;

/// Anybody but owner and group may read.
const OTHERS_READ: u32 = 0o004;

/// The octets of a secret, by the key that has it or by the key that names its file.
pub(super) fn secret(
    section: &Section<'_>,
    here: &'static str,
    file: &'static str,
) -> Option<Zeroizing<Vec<u8>>> {
    let inline = section.get(here, value::secret);
    let path = section.get(file, value::text);
    if section.either(here, file)? == here {
        section.reader.secrets.set(true);
        return inline.map(|text| Zeroizing::new(text.as_bytes().to_vec()));
    }
    let path = section.reader.path(&path?);
    match read(&path) {
        Ok(octets) => {
            if readable_by_others(&path) {
                section.warn(file, others(&path));
            }
            Some(octets)
        }
        Err(message) => {
            section.error(file, format!("{}: {message}", path.display()));
            None
        }
    }
}

/// Opens a file; what can be done about it if that is not allowed.
fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => io::Error::new(
            error.kind(),
            format!(
                "{error}; it has to belong to the user that ol2tp runs as, root included: a daemon gives up the \
                 right to read the files of others"
            ),
        ),
        _ => error,
    })
}

/// The text of a file that may have secrets in it; no copy of it stays in memory.
pub(super) fn text(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_DOCUMENT {
        return Err(io::Error::other(format!("it has more than {} MB", MAX_DOCUMENT >> 20)));
    }
    let mut text = Zeroizing::new(String::with_capacity(size as usize + 1));
    file.take(MAX_DOCUMENT).read_to_string(&mut text)?;
    Ok(text)
}

/// All that a file has, of which no copy stays in memory either.
pub(super) fn octets(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = open(path)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(file.metadata()?.len() as usize + 1));
    (&file).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The first line of a file, which is the only one.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut octets = Zeroizing::new(Vec::with_capacity(MAX as usize + 1));
    let file = open(path).map_err(|error| error.to_string())?;
    file.take(MAX + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() as u64 > MAX {
        return Err(format!("it has more than {MAX} octets, which is no secret"));
    }
    for end in [b'\n', b'\r'] {
        if octets.last() == Some(&end) {
            octets.pop();
        }
    }
    match octets.iter().position(|octet| *octet == b'\n') {
        _ if octets.is_empty() => Err("it is empty".into()),
        Some(_) => Err("it has more than one line; the secret is all there may be".into()),
        None => Ok(octets),
    }
}

/// Warns of a document with secrets that anybody may read.
pub(super) fn guard_document(section: &Section<'_>) {
    if let Some(file) = &section.reader.file
        && section.reader.secrets.get()
        && readable_by_others(file)
    {
        section.reader.warn(Place::File {}, "", others(file));
    }
}

/// Whether anybody on this machine may read the file.
pub(super) fn readable_by_others(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.mode() & OTHERS_READ != 0)
}

/// What to do about it.
pub(super) fn others(path: &Path) -> String {
    format!("everybody on this machine can read the secret in it; chmod o= {}", path.display())
}
