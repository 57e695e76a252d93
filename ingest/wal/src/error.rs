//! What can go wrong: one variant per step, each with its place and its remedy.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kernel::id::Seq;
use thiserror::Error;

use crate::format::{LogId, VERSION};
use crate::payload::{EncodeError, MAX_OBSERVATIONS, MAX_ROWS};

/// Why the log cannot be opened, read, written or pruned.
#[derive(Debug, Error)]
pub enum WalError {
    /// The folder cannot be made.
    #[error("cannot make the log's folder {folder}: {source}; check the path and its permissions")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder cannot be listed.
    #[error("cannot list the log's folder {folder}: {source}; check the path and its permissions")]
    List {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be opened.
    #[error("cannot open the log segment {file}: {source}; check its permissions")]
    Open {
        /// The segment.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be read.
    #[error("cannot read the log segment {file} at byte {offset}: {source}; check the disk, or restore the file")]
    Read {
        /// The segment.
        file: PathBuf,
        /// From here.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be created.
    #[error(
        "cannot create the log segment {file} of {length} bytes: {source}; free space on its disk, or check the \
         folder's permissions"
    )]
    Create {
        /// The segment.
        file: PathBuf,
        /// Its length.
        length: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A group cannot be written.
    #[error(
        "cannot write the log segment {file} at byte {offset}: {source}; the log takes nothing more: check the disk, \
         then restart"
    )]
    Write {
        /// The segment.
        file: PathBuf,
        /// From here.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A group was written, but it is unknown whether it is durable.
    #[error(
        "cannot fsync the log segment {file} at byte {offset}: {source}; the log takes nothing more: check the disk, \
         then restart"
    )]
    Sync {
        /// The segment.
        file: PathBuf,
        /// From here.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A torn tail cannot be cut off.
    #[error("cannot cut the torn end of the log segment {file} at byte {offset}: {source}; check the disk")]
    Cut {
        /// The segment.
        file: PathBuf,
        /// From here.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be deleted for good.
    #[error("cannot delete {file}: {source}; check the folder's permissions")]
    Delete {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes are damaged that were once durable. This is no torn tail.
    #[error(
        "the log segment {file} is damaged at byte {offset}: {reason}; nothing was changed: check the disk and restore \
         this file from a copy"
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Of the first byte that cannot be trusted.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The last segment has lost its end, which no crash does.
    #[error(
        "the log segment {file} has {found} of its {expected} bytes: acknowledged frames may be missing; nothing was \
         changed: restore this file from a copy, or accept the loss with `truncate -s {expected} {file}`"
    )]
    Shortened {
        /// The segment.
        file: PathBuf,
        /// Bytes by its header.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A segment of another log lies in this folder.
    #[error("the log segment {file} belongs to log {found}, not to log {expected}; move it out of this folder")]
    Foreign {
        /// The segment.
        file: PathBuf,
        /// The log of the segments before it.
        expected: LogId,
        /// Its own log.
        found: LogId,
    },
    /// A newer release wrote this.
    #[error(
        "the log segment {file} has format version {found}, this release reads up to {VERSION}; start it with the \
         release that wrote it, or a later one"
    )]
    Newer {
        /// The segment.
        file: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The log no longer holds, or never held, frames that were asked for.
    #[error("the log begins at frame {oldest}, frame {wanted} was asked for; replay the earlier ones from the lake")]
    Gone {
        /// The first frame asked for.
        wanted: Seq,
        /// The first frame held.
        oldest: Seq,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the log's thread: {0}; raise the limit on threads")]
    Thread(#[source] io::Error),
}

/// Why an append has no sequence number.
#[derive(Clone, Debug, Error)]
pub enum AppendError {
    /// More rows or observations than one frame takes.
    #[error(
        "{rows} rows in one submission; at most {MAX_ROWS} readings or {MAX_OBSERVATIONS} observations are taken: \
         split it"
    )]
    TooLarge {
        /// Rows or observations of the submission.
        rows: usize,
    },
    /// The columns of the batch differ in length, or hold an unknown contact.
    #[error("the batch is not well formed: its columns differ in length or hold an unknown contact code")]
    Malformed,
    /// The payload has no bytes.
    #[error("{0}")]
    Encode(#[source] Arc<EncodeError>),
    /// The log failed here or earlier. Whether this frame is durable is unknown until the log is opened again.
    #[error("the log failed: {0}")]
    Poisoned(#[source] Arc<WalError>),
    /// The log was shut down.
    #[error("the log is shut down; send the submission again after the restart")]
    Closed,
}
