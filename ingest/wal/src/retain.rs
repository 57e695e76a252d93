//! Deleting segments whose frames live elsewhere by now (design.md, 2.5).

use std::path::{Path, PathBuf};

use kernel::id::Seq;

use crate::disk::Disk;
use crate::error::WalError;
use crate::segment;

/// Deletes, oldest first, the segments all of whose frames are at or below `through`, durably, and returns them. The
/// last segment stays whatever it holds: it is being written, and it carries the sequence number on. May run beside
/// the writer, and again after a crash.
///
/// # Errors
/// [`WalError::List`] or [`WalError::Delete`]; what is left is a whole log in any case.
pub fn delete_through(folder: &Path, disk: &dyn Disk, through: Seq) -> Result<Vec<PathBuf>, WalError> {
    let segments = segment::list(disk, folder)?;
    let mut deleted = Vec::new();
    for pair in segments.windows(2) {
        let [(_, path), (next, _)] = pair else { break };
        if next.0 > through.0.saturating_add(1) {
            break;
        }
        // One fsync each: a crash between two must not leave the older one.
        let removed = disk.remove(path).and_then(|()| disk.sync_folder(folder));
        removed.map_err(|source| WalError::Delete { file: path.clone(), source })?;
        deleted.push(path.clone());
    }
    Ok(deleted)
}
