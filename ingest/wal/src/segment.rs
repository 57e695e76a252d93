//! One segment, read group by group, and the judgement of what does not read: torn end, or damage.

use std::io;
use std::path::{Path, PathBuf};

use kernel::id::Seq;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::WalError;
use crate::format::{self, GROUP_HEAD, GroupHead, HeadFault, SECTOR, SegmentHead};

/// Bytes read at once, unless a group is longer. The longest group is 16 MiB and one payload of 61 MiB (see `append`).
const WINDOW: u64 = 1 << 20;
const SECTOR_LEN: usize = 512;

/// The segments of a folder in order, by their names.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<(Seq, PathBuf)>, WalError> {
    let names = disk.list(folder).map_err(|source| WalError::List { folder: folder.to_owned(), source })?;
    let mut segments: Vec<(Seq, PathBuf)> =
        names.iter().filter_map(|name| Some((format::segment_first(name)?, folder.join(name)))).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// A group that was read and proven; its frames are [`Segment::frames`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) head: GroupHead,
    pub(crate) offset: u64,
}

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Step {
    Group(Found),
    /// The frames end. Bytes that are not zero follow for so long: a torn group.
    End {
        torn: u64,
    },
}

/// An open segment and the place that the reading has reached.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) head: SegmentHead,
    /// Where the next group begins.
    pub(crate) offset: u64,
    /// The number of the next frame.
    pub(crate) next: Seq,
    file: Box<dyn DiskFile>,
    /// Bytes of the file, as far as its header claims them.
    length: u64,
    /// The group that was found last.
    last: Option<Found>,
    /// The first frame of the segment behind this one, where there is one: this one must reach it.
    until: Option<Seq>,
    window: Vec<u8>,
    window_start: u64,
}

impl Segment {
    pub(crate) fn open(
        disk: &dyn Disk,
        (first, path): &(Seq, PathBuf),
        until: Option<Seq>,
    ) -> Result<Segment, WalError> {
        let opened = disk.open(path, Access::Read).and_then(|file| Ok((file.length()?, file)));
        let (length, file) = opened.map_err(|source| WalError::Open { file: path.clone(), source })?;
        let mut segment = Segment {
            path: path.clone(),
            head: SegmentHead { log_id: format::LogId(0), first: *first, length },
            offset: SECTOR,
            next: *first,
            file,
            length,
            last: None,
            until,
            window: Vec::new(),
            window_start: 0,
        };
        if length < SECTOR {
            return Err(segment.corrupt(length, "the file ends within its header"));
        }
        let mut bytes = [0; SECTOR_LEN];
        bytes.copy_from_slice(segment.load(0, SECTOR)?);
        segment.head = match SegmentHead::decode(&bytes) {
            Ok(head) => head,
            Err(HeadFault::Damaged) => return Err(segment.corrupt(0, "the segment header does not match its checksum")),
            Err(HeadFault::Version(found)) => return Err(WalError::Newer { file: path.clone(), found }),
        };
        if segment.head.first != *first {
            return Err(segment.corrupt(0, format!("its header begins at frame {}", segment.head.first)));
        }
        segment.length = length.min(segment.head.length);
        if until.is_none() && length < segment.head.length {
            return Err(WalError::Shortened { file: path.clone(), expected: segment.head.length, found: length });
        }
        Ok(segment)
    }

    /// Moves to the next group.
    pub(crate) fn step(&mut self) -> Result<Step, WalError> {
        // What lies behind the last frame that this segment promises carries nothing.
        if self.until == Some(self.next) {
            return Ok(Step::End { torn: 0 });
        }
        match self.group_at(self.offset)? {
            Some(head) => self.enter(head).map(Step::Group),
            None if self.until.is_some() => Err(self.corrupt(
                self.offset,
                format!("no whole group, although a later segment exists; frame {} is missing", self.next),
            )),
            None => self.tail(),
        }
    }

    /// Where the last group begins and its bytes; `None` where the segment has none yet.
    pub(crate) fn last_group(&mut self) -> Result<Option<(u64, Vec<u8>)>, WalError> {
        let Some(found) = self.last else { return Ok(None) };
        let bytes = self.load(found.offset, found.head.length())?;
        Ok(Some((found.offset, bytes.to_vec())))
    }

    /// The bytes of the frames of a group that was found here.
    pub(crate) fn frames(&mut self, found: &Found) -> Result<&[u8], WalError> {
        let end = found.head.frames_end();
        Ok(&self.load(found.offset, found.head.length())?[GROUP_HEAD..end])
    }

    pub(crate) fn corrupt(&self, offset: u64, reason: impl Into<String>) -> WalError {
        WalError::Corrupt { file: self.path.clone(), offset, reason: reason.into() }
    }

    fn enter(&mut self, head: GroupHead) -> Result<Found, WalError> {
        let found = Found { head, offset: self.offset };
        if head.first != self.next {
            let reason = format!("the group begins at frame {}, expected {}", head.first, self.next);
            return Err(self.corrupt(found.offset, reason));
        }
        let next = head.next().filter(|next| self.until.is_none_or(|until| *next <= until));
        let Some(next) = next else {
            return Err(self.corrupt(found.offset, "the group runs into the frames of the next segment"));
        };
        if !format::holds_frames(self.frames(&found)?, head.frames) {
            return Err(self.corrupt(found.offset, "the frames of the group do not fit its length"));
        }
        self.offset += head.length();
        self.next = next;
        self.last = Some(found);
        Ok(found)
    }

    /// The header of the whole, proven group at `offset`, if there is one.
    fn group_at(&mut self, offset: u64) -> Result<Option<GroupHead>, WalError> {
        let room = self.length.saturating_sub(offset);
        if room < SECTOR {
            return Ok(None);
        }
        let log_id = self.head.log_id;
        let head = GroupHead::decode(self.load(offset, SECTOR)?);
        let Some(head) = head.filter(|head| head.log_id == log_id && head.length() <= room) else { return Ok(None) };
        Ok(head.covers(self.load(offset, head.length())?).then_some(head))
    }

    /// Judges the last segment from where no whole group follows. A group is written only after the fsync of the one
    /// before; so a whole group further on proves that there was one here.
    fn tail(&mut self) -> Result<Step, WalError> {
        let start = self.offset;
        let mut end = start;
        let mut sector = start;
        while sector + SECTOR <= self.length {
            let bytes = self.load(sector, SECTOR)?;
            if bytes.iter().any(|byte| *byte != 0) {
                end = sector + SECTOR;
                let begins_group = GroupHead::decode(bytes).is_some_and(|head| head.first >= self.next);
                if begins_group && sector > start && self.group_at(sector)?.is_some() {
                    // A writer may have completed both while this looked elsewhere.
                    self.window.clear();
                    return match self.group_at(start)? {
                        Some(head) => self.enter(head).map(Step::Group),
                        None => Err(self.corrupt(
                            start,
                            format!(
                                "no whole group, although one follows at byte {sector}; frame {} is lost",
                                self.next
                            ),
                        )),
                    };
                }
            }
            sector += SECTOR;
        }
        Ok(Step::End { torn: end - start })
    }

    /// Bytes of the file, through the window.
    fn load(&mut self, offset: u64, length: u64) -> Result<&[u8], WalError> {
        let failed = |source| WalError::Read { file: self.path.clone(), offset, source };
        let held = self.window_start..self.window_start + self.window.len() as u64;
        if offset < held.start || offset + length > held.end {
            let wanted = length.max(WINDOW.min(self.length.saturating_sub(offset)));
            let wanted = usize::try_from(wanted).map_err(|error| failed(io::Error::other(error)))?;
            self.window.clear();
            self.window.shrink_to(wanted);
            self.window.resize(wanted, 0);
            self.window_start = offset;
            if let Err(source) = self.file.read_at(offset, &mut self.window) {
                self.window.clear();
                return Err(failed(source));
            }
        }
        // Both fit: the window now holds offset..offset + length, and its length is a usize.
        let start = usize::try_from(offset - self.window_start).map_err(|error| failed(io::Error::other(error)))?;
        let end = usize::try_from(length).map_err(|error| failed(io::Error::other(error)))? + start;
        Ok(&self.window[start..end])
    }
}
