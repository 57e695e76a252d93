//! The durable log of readings and observations, and the clock that stamps it.
//!
//! **Promises.**
//! - [`Appender::append`] returns a [`Seq`](kernel::id::Seq) only after its frame is fsynced. Sequence numbers are
//!   1, 2, 3, ... without gaps, also across restarts; the row identity of the whole system is (seq, row).
//! - Frames leave on the committed channel in the order of their numbers, each once per run, after their fsync.
//! - What is read back is what was appended, or an error that names file and offset: never other data.
//! - A torn tail is cut off and reported; damage before whole later data, a missing segment, a shortened file and a
//!   newer format are refused, and nothing is changed then.
//! - A failed write or fsync poisons the writer: that append and all later ones fail, and nothing is tried again as if
//!   nothing had happened (after a failed fsync the kernel may have dropped the pages). A full disk when a segment is
//!   created is no failure: appends wait until there is space.
//!
//! **Not promised.**
//! - An append that failed with [`AppendError::Poisoned`] or [`AppendError::Closed`], or whose future was dropped, may
//!   or may not be found after a restart. Send it again: the kernel drops exact duplicates.
//! - The log cannot tell a damaged last group from a torn one, nor miss its own last segment. The book can: it knows
//!   the `log_id` and the sequence it has applied.
//! - One writer per folder at a time. The data folder's lock, which the binary holds, ensures it.
//! - A sector that a power loss catches being written holds its old or its new bytes. Groups begin on sectors of their
//!   own; only opening writes the last group again, with the same bytes.
//!
//! **Survives a crash:** every acknowledged frame, its number, and the `log_id`; and, once [`Wal::open`] returned, every
//! frame that it found. (Before, the last group may be in the machine's memory only: open first, then replay.) Frames
//! on the committed channel do not: whoever takes them replays from [`read_from`] what it had not stored.
//!
//! Modules in reading order: [`format`](mod@format) (bytes on disk), [`payload`] (bytes of a frame), [`disk`] (what the log asks of an
//! operating system), `segment` (one file, group by group), `survey` (all files at the start), [`reader`] (replay),
//! [`retain`] (deletion), `log` (the file being written), [`append`] and `writer` (group
//! commit), [`error`]; and [`clock`].

pub mod append;
pub mod clock;
pub mod disk;
pub mod error;
pub mod format;
mod log;
#[cfg(test)]
mod log_tests;
pub mod payload;
pub mod reader;
pub mod retain;
mod segment;
mod survey;
mod writer;

pub use append::{Appender, Committed, Options, Stats, Wal};
pub use disk::{Disk, RealDisk};
pub use error::{AppendError, WalError};
pub use format::LogId;
pub use reader::read_from;
pub use retain::delete_through;
pub use survey::{Recovered, TornTail, check};
