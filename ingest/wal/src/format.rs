//! The bytes on disk, version 1. All integers are little-endian.
//!
//! A folder holds segments `00000000000000000001.seg`: the name is the sequence number of the first frame. A segment
//! is made under the name `....seg.tmp` at its full length, filled with zeros, fsynced with its header, and renamed.
//!
//! ```text
//! segment header, 512 bytes            group, a multiple of 512 bytes, at a multiple of 512
//!   0  8  magic "MLWALSEG"               0  4  magic "MLGP"
//!   8  4  format version                 4  4  crc32c of all that follows, padding included
//!  12  4  zero                           8  8  log_id
//!  16  8  log_id                        16  8  sequence number of its first frame
//!  24  8  first sequence number         24  4  number of frames, 1 and above
//!  32  8  length of the file            28  4  bytes of its frames
//!  40     zeros                         32     frames, then zeros
//! 508  4  crc32c of bytes 0 to 507
//!
//! frame
//!   0  4  bytes of its body
//!   4  1  kind: 1 readings, 2 observations
//!   5     body (see `payload`)
//! ```
//!
//! One group is what one fsync covers, and a group is written only after the fsync of the one before. A segment is
//! made only after the fsync of the last group of the one before. Behind the last group there are zeros.
//!
//! When you change this, also change: [`VERSION`], `payload`, the fixtures in `tests/fixtures` (add one, keep the old
//! ones and the code that reads them), and what the SQL door reads as hot rows. In every version the segment header
//! stays 512 bytes with magic, version and checksum where they are, so that an old release can refuse a new file.

use kernel::batch::Payload;
use kernel::id::Seq;

use crate::payload;

/// The version that this release writes, and the newest that it reads.
pub const VERSION: u32 = 1;
/// Headers and groups begin at multiples of this, the smallest sector: writing a group touches no earlier one.
pub const SECTOR: u64 = 512;

const SECTOR_LEN: usize = 512;
const SEGMENT_MAGIC: [u8; 8] = *b"MLWALSEG";
const GROUP_MAGIC: [u8; 4] = *b"MLGP";
pub(crate) const GROUP_HEAD: usize = 32;
const FRAME_HEAD: usize = 5;

/// Names one log for ever (design.md, 2.9). The caller gives it when the log is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(pub u64);

impl core::fmt::Display for LogId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The file name of the segment that begins with this frame.
#[must_use]
pub fn segment_name(first: Seq) -> String {
    format!("{:020}.seg", first.0)
}

/// The first sequence number of a segment's file name; `None` for any other name.
#[must_use]
pub fn segment_first(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".seg")?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok().map(Seq))?
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) log_id: LogId,
    pub(crate) first: Seq,
    pub(crate) length: u64,
}

/// Why a segment header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    Damaged,
    Version(u32),
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; SECTOR_LEN] {
        let mut bytes = [0; SECTOR_LEN];
        bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..508]);
        bytes[508..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SECTOR_LEN]) -> Result<SegmentHead, HeadFault> {
        if bytes[0..8] != SEGMENT_MAGIC || crc32c::crc32c(&bytes[..508]) != u32_at(bytes, 508) {
            return Err(HeadFault::Damaged);
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(SegmentHead {
                log_id: LogId(u64_at(bytes, 16)),
                first: Seq(u64_at(bytes, 24)),
                length: u64_at(bytes, 32),
            }),
            other => Err(HeadFault::Version(other)),
        }
    }
}

/// The header of a group, not yet trusted: only [`GroupHead::covers`] proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHead {
    crc: u32,
    pub(crate) log_id: LogId,
    pub(crate) first: Seq,
    pub(crate) frames: u32,
    frame_bytes: u32,
}

impl GroupHead {
    /// `None` unless the bytes begin like a group.
    pub(crate) fn decode(bytes: &[u8]) -> Option<GroupHead> {
        let head: &[u8; GROUP_HEAD] = bytes.first_chunk()?;
        let begins = head[0..4] == GROUP_MAGIC;
        begins.then(|| GroupHead {
            crc: u32_at(head, 4),
            log_id: LogId(u64_at(head, 8)),
            first: Seq(u64_at(head, 16)),
            frames: u32_at(head, 24),
            frame_bytes: u32_at(head, 28),
        })
    }

    /// Bytes of the group on disk.
    pub(crate) fn length(&self) -> u64 {
        (u64::from(self.frame_bytes) + GROUP_HEAD as u64).next_multiple_of(SECTOR)
    }

    /// Where its frames end, from the group's start.
    pub(crate) fn frames_end(&self) -> usize {
        GROUP_HEAD + self.frame_bytes as usize
    }

    /// The sequence number after its last frame; `None` where numbers end.
    pub(crate) fn next(&self) -> Option<Seq> {
        self.first.0.checked_add(u64::from(self.frames)).map(Seq)
    }

    /// Whether these are the bytes, [`GroupHead::length`] of them, that were written.
    pub(crate) fn covers(&self, group: &[u8]) -> bool {
        group.len() as u64 == self.length() && crc32c::crc32c(&group[8..]) == self.crc && self.frames > 0
    }
}

/// The kind and body of the frame at the start of `bytes`, and what follows it; `None` where lengths do not fit.
pub(crate) fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<FRAME_HEAD>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32_at(head, 0)).ok()?)?;
    Some((head[4], body, rest))
}

/// Whether `frames` holds exactly that many frames.
pub(crate) fn holds_frames(mut bytes: &[u8], frames: u32) -> bool {
    for _ in 0..frames {
        let Some((_, _, rest)) = split_frame(bytes) else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}

/// A group being filled. Its buffer is used again for the next one.
#[derive(Debug)]
pub(crate) struct Group {
    bytes: Vec<u8>,
    frames: u32,
}

impl Group {
    pub(crate) fn new() -> Group {
        Group { bytes: vec![0; GROUP_HEAD], frames: 0 }
    }

    /// Empties it, and gives back what a rare huge payload made it take beyond `keep` bytes.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.bytes.resize(GROUP_HEAD, 0);
        self.frames = 0;
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a frame. On an error the group is as before.
    pub(crate) fn push(&mut self, payload: &Payload) -> Result<(), payload::EncodeError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; FRAME_HEAD]);
        let encoded = payload::encode(payload, &mut self.bytes).and_then(|kind| {
            let body = self.bytes.len() - start - FRAME_HEAD;
            Ok((kind, u32::try_from(body).map_err(|_| payload::EncodeError::Size(body))?))
        });
        match encoded {
            Ok((kind, body)) => {
                self.bytes[start..start + 4].copy_from_slice(&body.to_le_bytes());
                self.bytes[start + 4] = kind;
                self.frames += 1;
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// The bytes to write. Call it once, before [`Group::clear`].
    pub(crate) fn seal(&mut self, log_id: LogId, first: Seq) -> &[u8] {
        // The byte limits of `append` keep a group far below 4 GiB.
        let frame_bytes = u32::try_from(self.bytes.len() - GROUP_HEAD).unwrap_or(u32::MAX);
        self.bytes.resize(self.bytes.len().next_multiple_of(SECTOR_LEN), 0);
        self.bytes[0..4].copy_from_slice(&GROUP_MAGIC);
        self.bytes[8..16].copy_from_slice(&log_id.0.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&first.0.to_le_bytes());
        self.bytes[24..28].copy_from_slice(&self.frames.to_le_bytes());
        self.bytes[28..32].copy_from_slice(&frame_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_twenty_digits_are_segments() {
        assert_eq!(segment_name(Seq(1)), "00000000000000000001.seg");
        assert_eq!(segment_first(&segment_name(Seq(u64::MAX))), Some(Seq(u64::MAX)));
        for name in ["1.seg", "00000000000000000001.seg.tmp", "0000000000000000000a.seg", "99999999999999999999.seg"] {
            assert_eq!(segment_first(name), None, "{name}");
        }
    }

    #[test]
    fn a_header_with_any_bit_flipped_is_damaged_and_one_of_a_later_version_says_so() {
        let head = SegmentHead { log_id: LogId(7), first: Seq(3), length: 4096 };
        let good = head.encode();
        assert_eq!(SegmentHead::decode(&good), Ok(head));
        for bit in 0..good.len() * 8 {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHead::decode(&bytes), Err(HeadFault::Damaged), "bit {bit}");
        }
        let mut newer = good;
        newer[8] = 2;
        let crc = crc32c::crc32c(&newer[..508]);
        newer[508..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHead::decode(&newer), Err(HeadFault::Version(2)));
    }
}
