//! Whether a folder or a file could be written.

use std::fs;
use std::io::{Error, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use thiserror::Error;

/// Why something cannot be written; the path is the one that stands in the way, which may be a folder above.
#[derive(Debug, Error)]
pub enum Unwritable {
    /// Something else has that name.
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    /// The system says no.
    #[error("{0}: {1}")]
    Refused(PathBuf, Error),
}

/// Bytes of a trial file: more than fits beside a name in a file system that is full.
const TRIAL: [u8; 4096] = [0; 4096];

/// Whether this process can make files in `folder`, and the folder first if it is missing.
///
/// It tries, and takes away again what it made. Rights alone do not tell of full disks, quotas and file systems that only pretend.
///
/// # Errors
/// What stands in the way.
pub fn writable(folder: &Path) -> Result<(), Unwritable> {
    may_write(folder)?;
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |e| Unwritable::Refused(path, e)
    };
    let missing: Vec<&Path> = folder.ancestors().take_while(|place| !place.exists()).collect();
    let mut made = Vec::new();
    let mut tried = Ok(());
    for place in missing.into_iter().rev() {
        match fs::create_dir(place) {
            Ok(()) => made.push(place),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => {
                tried = Err(refused(place)(e));
                break;
            }
        }
    }
    if tried.is_ok() {
        let file = folder.join(format!(".cupid-trial-{}", std::process::id()));
        let written = fs::File::create(&file).and_then(|mut file| {
            file.write_all(&TRIAL)?;
            file.sync_all()
        });
        let _ = fs::remove_file(&file);
        tried = written.map_err(refused(folder));
    }
    for place in made.into_iter().rev() {
        // Somebody who has put something into it meanwhile keeps it.
        let _ = fs::remove_dir(place);
    }
    tried
}

fn may_write(folder: &Path) -> Result<(), Unwritable> {
    for place in folder.ancestors() {
        match fs::metadata(place) {
            Ok(found) if found.is_dir() => return allowed(place, Access::WRITE_OK | Access::EXEC_OK),
            Ok(_) => return Err(Unwritable::NotAFolder(place.to_owned())),
            // A link that leads nowhere is in the way of a new folder.
            Err(_) if fs::symlink_metadata(place).is_ok_and(|found| found.is_symlink()) => {
                return Err(Unwritable::NotAFolder(place.to_owned()));
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) => return Err(Unwritable::Refused(place.to_owned(), e)),
        }
    }
    Err(Unwritable::Refused(folder.to_owned(), ErrorKind::NotFound.into()))
}

/// Whether this process may change `file`; one that is not there is none of its business.
///
/// # Errors
/// What stands in the way.
pub fn changeable(file: &Path) -> Result<(), Unwritable> {
    if file.exists() { allowed(file, Access::READ_OK | Access::WRITE_OK) } else { Ok(()) }
}

fn allowed(path: &Path, access: Access) -> Result<(), Unwritable> {
    accessat(CWD, path, access, AtFlags::EACCESS).map_err(|e| Unwritable::Refused(path.to_owned(), e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_fine_where_it_can_be_made() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        writable(here).unwrap();
        writable(&here.join("target/not/there/yet")).unwrap();
        assert!(!here.join("target/not").exists(), "nothing is left");
        let left = |folder: &Path| {
            fs::read_dir(folder)
                .unwrap()
                .flatten()
                .any(|e| e.file_name().as_encoded_bytes().starts_with(b".cupid-trial"))
        };
        assert!(!left(here));
        let file = here.join("Cargo.toml");
        for below in [file.clone(), file.join("folder"), file.join("folder/below")] {
            let said = writable(&below).unwrap_err().to_string();
            assert_eq!(said, format!("{} is not a folder", file.display()));
        }
    }

    /// Rights say yes to root; the file system says no.
    #[test]
    fn only_writing_tells_of_a_file_system_that_takes_nothing() {
        for below in ["/proc/cupid", "/proc/cupid/state", "/proc"] {
            let said = writable(Path::new(below)).unwrap_err().to_string();
            assert!(said.starts_with("/proc"), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_can_be_changed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        changeable(&here.join("Cargo.toml")).unwrap();
        changeable(&here.join("no-such-file")).unwrap();
    }
}
