//! The token that `sign-in` keeps for a data folder: a file of this user alone, under `$XDG_CONFIG_HOME` or
//! `~/.config`.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use engine::access::Secret;

use crate::call::{Failure, failed};

/// The file of a data folder: named by SHA-256 of the folder's path, which may hold anything and be of any length.
fn file(folder: &Path) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    let folder = folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok()?;
    let name = Secret::new(folder.to_string_lossy()).sha256();
    Some(config.join("meterledger").join(format!("{}.token", &name[..16])))
}

/// The secret that is kept for a folder, if there is one.
pub(super) fn read(folder: &Path) -> Result<Option<Secret>, Failure> {
    let Some(path) = file(folder) else { return Ok(None) };
    let fault = |error: std::io::Error| {
        Failure(format!("cannot read {}: {error}; remove it and sign in again", path.display()))
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    if fs::metadata(&path).map_err(fault)?.permissions().mode() & 0o077 != 0 {
        return Err(Failure(format!(
            "{} can be read by others, who could sign in by it: remove it, run `meterledger user password`, and sign in again",
            path.display()
        )));
    }
    Ok(text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new))
}

/// Keeps a secret for a folder, in the place of the one before.
pub(super) fn keep(folder: &Path, secret: &Secret) -> Result<(), Failure> {
    let path = file(folder).ok_or_else(|| {
        Failure("there is no place to keep the sign-in: set HOME or XDG_CONFIG_HOME to an absolute path".to_owned())
    })?;
    let fault = |error: std::io::Error| Failure(format!("cannot keep the sign-in in {}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(fault)?;
    }
    // Written aside and renamed: it is there whole or not at all, and nobody else can read it at any moment.
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&aside);
    let mut written = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&aside).map_err(fault)?;
    let text = format!("{}\n# meterledger's sign-in on {}\n", secret.expose(), folder.display());
    written.write_all(text.as_bytes()).map_err(fault)?;
    fs::rename(&aside, &path).map_err(fault)
}

/// Forgets what is kept for a folder.
pub(super) fn forget(folder: &Path) -> Result<(), Failure> {
    match file(folder).map(fs::remove_file) {
        Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}
