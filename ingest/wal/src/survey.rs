//! All segments at the start: proven from first to last, and the torn end found.

use std::path::{Path, PathBuf};

use kernel::id::Seq;

use crate::disk::Disk;
use crate::error::WalError;
use crate::format::LogId;
use crate::segment::{self, Segment, Step};

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The log's name.
    pub log_id: LogId,
    /// The first frame that the log still holds, or the next one where it holds none.
    pub oldest: Seq,
    /// The last durable frame, also where it is deleted meanwhile; 0 in a new log.
    pub last_seq: Seq,
    /// Bytes of a group that was never acknowledged.
    pub torn: Option<TornTail>,
}

/// A group that a crash interrupted; [`Wal::open`](crate::Wal::open) replaced its bytes by zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the group began.
    pub offset: u64,
    /// From there to the last sector that was not zero.
    pub bytes: u64,
}

/// The end of the log, where writing goes on.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) recovered: Recovered,
    /// The last segment.
    pub(crate) path: PathBuf,
    /// Where its next group begins.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) length: u64,
    /// The last group and where it begins: the only one whose fsync may not have happened.
    pub(crate) last_group: Option<(u64, Vec<u8>)>,
}

/// Reads the whole log and proves it, and changes nothing; `None` where the folder holds no segment. Also for the
/// operator who wants to know before a start.
///
/// # Errors
/// [`WalError`]: whatever [`Wal::open`](crate::Wal::open) would refuse.
pub fn check(folder: &Path, disk: &dyn Disk) -> Result<Option<Recovered>, WalError> {
    Ok(survey(folder, disk)?.map(|survey| survey.recovered))
}

pub(crate) fn survey(folder: &Path, disk: &dyn Disk) -> Result<Option<Survey>, WalError> {
    let segments = segment::list(disk, folder)?;
    let mut log_id = None;
    let mut last = None;
    for (place, name) in segments.iter().enumerate() {
        let until = segments.get(place + 1).map(|(first, _)| *first);
        let mut segment = Segment::open(disk, name, until)?;
        let expected = *log_id.get_or_insert(segment.head.log_id);
        if segment.head.log_id != expected {
            return Err(WalError::Foreign { file: segment.path, expected, found: segment.head.log_id });
        }
        let torn = loop {
            match segment.step()? {
                Step::Group(_) => {}
                Step::End { torn } => break torn,
            }
        };
        last = Some((segment, torn));
    }
    let (Some((oldest, _)), Some((mut segment, bytes))) = (segments.first(), last) else { return Ok(None) };
    let torn = (bytes > 0).then(|| TornTail { file: segment.path.clone(), offset: segment.offset, bytes });
    let last_seq = Seq(segment.next.0 - 1);
    Ok(Some(Survey {
        recovered: Recovered { log_id: segment.head.log_id, oldest: *oldest, last_seq, torn },
        offset: segment.offset,
        length: segment.head.length,
        last_group: segment.last_group()?,
        path: segment.path,
    }))
}
