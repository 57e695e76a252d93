//! Replay: frames in order, one group in memory at a time.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::batch::Payload;
use kernel::id::Seq;

use crate::disk::Disk;
use crate::error::WalError;
use crate::format;
use crate::payload;
use crate::segment::{self, Found, Segment, Step};

/// Frames from `from` on, in order and without gaps, up to the last whole group. A torn end ends them silently; an
/// error ends them too. Where the log no longer holds `from`, the first item is [`WalError::Gone`].
///
/// Reads a closed log as well as one that is being written. The last group may not be fsynced yet: what must not be
/// seen before it is durable, ends at [`Recovered::last_seq`](crate::Recovered) of the open log, or at a number that was
/// acknowledged. So for replay: open, read up to there, then take from the committed channel.
#[must_use]
pub fn read_from(folder: &Path, disk: Arc<dyn Disk>, from: Seq) -> Reader {
    let (segments, failed) = match segments_from(disk.as_ref(), folder, from) {
        Ok(segments) => (segments, None),
        Err(error) => (VecDeque::new(), Some(error)),
    };
    Reader { disk, segments, failed, from, open: None }
}

/// See [`read_from`].
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    segments: VecDeque<(Seq, PathBuf)>,
    failed: Option<WalError>,
    from: Seq,
    open: Option<Open>,
}

/// The segment being read, and within it the group.
#[derive(Debug)]
struct Open {
    segment: Segment,
    group: Option<Place>,
}

#[derive(Debug)]
struct Place {
    found: Found,
    next: Seq,
    left: u32,
    at: usize,
}

fn segments_from(disk: &dyn Disk, folder: &Path, from: Seq) -> Result<VecDeque<(Seq, PathBuf)>, WalError> {
    let segments = segment::list(disk, folder)?;
    match segments.first() {
        Some((oldest, _)) if from < *oldest => return Err(WalError::Gone { wanted: from, oldest: *oldest }),
        _ => {}
    }
    let before = segments.partition_point(|(first, _)| *first <= from).saturating_sub(1);
    Ok(segments.into_iter().skip(before).collect())
}

impl Iterator for Reader {
    type Item = Result<(Seq, Payload), WalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.failed.take() {
            Some(error) => Err(error),
            None => self.advance().transpose()?,
        };
        if item.is_err() {
            self.segments.clear();
            self.open = None;
        }
        Some(item)
    }
}

impl Reader {
    fn advance(&mut self) -> Result<Option<(Seq, Payload)>, WalError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(name) = self.segments.pop_front() else { return Ok(None) };
                let until = self.segments.front().map(|(first, _)| *first);
                let segment = Segment::open(self.disk.as_ref(), &name, until)?;
                self.open = Some(Open { segment, group: None });
                continue;
            };
            if let Some(frame) = open.frame(self.from)? {
                return Ok(Some(frame));
            }
            match open.segment.step()? {
                Step::Group(found) => open.group = Some(Place::start(found)),
                Step::End { .. } => self.open = None,
            }
        }
    }
}

impl Place {
    fn start(found: Found) -> Place {
        Place { found, next: found.head.first, left: found.head.frames, at: 0 }
    }
}

impl Open {
    /// The next frame of the group from `from` on; `None` at the group's end.
    fn frame(&mut self, from: Seq) -> Result<Option<(Seq, Payload)>, WalError> {
        let Some(place) = &mut self.group else { return Ok(None) };
        let offset = place.found.offset;
        while place.left > 0 {
            let frames = self.segment.frames(&place.found)?;
            let split = frames.get(place.at..).and_then(format::split_frame);
            let Some((kind, body, rest)) = split else {
                return Err(self.segment.corrupt(offset, "the frames of the group do not fit its length"));
            };
            let seq = place.next;
            let decoded = (seq >= from).then(|| payload::decode(kind, body));
            (place.at, place.left, place.next) = (frames.len() - rest.len(), place.left - 1, Seq(seq.0 + 1));
            match decoded {
                None => {}
                Some(Ok(payload)) => return Ok(Some((seq, payload))),
                Some(Err(error)) => return Err(self.segment.corrupt(offset, format!("frame {seq}: {error}"))),
            }
        }
        Ok(None)
    }
}
