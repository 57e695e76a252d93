//! What the disk holds, what of it is durable, and what a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// A power loss keeps or loses whole sectors.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) random: u64,
    pub(super) files: Vec<Image>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    pub(super) pending: Vec<NameChange>,
    /// Handles of before the last crash are dead.
    pub(super) generation: u32,
    pub(super) off: bool,
    /// Changes until the power fails.
    pub(super) fuse: Option<u64>,
    pub(super) full: bool,
    pub(super) lying: bool,
    pub(super) failing_syncs: u32,
    pub(super) failing_writes: u32,
    pub(super) changes: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    pub(super) dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

pub(super) fn power_off() -> io::Error {
    io::Error::other("the power is off")
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl State {
    /// splitmix64.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether the power fails in this change.
    pub(super) fn begin_change(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(power_off());
        }
        self.changes += 1;
        match self.fuse {
            Some(0) => self.off = true,
            Some(left) => self.fuse = Some(left - 1),
            None => {}
        }
        Ok(self.off)
    }

    pub(super) fn crash(&mut self) {
        // Nothing, everything, or a coin for each sector and name.
        let mood = self.random() % 4;
        let mut files = std::mem::take(&mut self.files);
        for image in &mut files {
            image.forget(|| self.keeps(mood));
        }
        self.files = files;
        for change in std::mem::take(&mut self.pending) {
            if self.keeps(mood) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        self.restart();
    }

    pub(super) fn restart(&mut self) {
        self.generation += 1;
        (self.off, self.fuse, self.full, self.failing_syncs, self.failing_writes) = (false, None, false, 0, 0);
    }

    pub(super) fn keeps(&mut self, mood: u64) -> bool {
        match mood {
            0 => false,
            1 => true,
            _ => self.random() & 1 == 1,
        }
    }
}

impl Image {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    pub(super) fn set_length(&mut self, length: usize) {
        let changed = self.current.len().min(length) / SECTOR..self.current.len().max(length).div_ceil(SECTOR);
        self.current.resize(length, 0);
        self.dirty.extend(changed);
    }

    pub(super) fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.current.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.current[start..end]);
        }
    }

    pub(super) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.keep(sector);
        }
        self.durable.resize(self.current.len(), 0);
    }

    pub(super) fn forget(&mut self, mut keeps: impl FnMut() -> bool) {
        for sector in std::mem::take(&mut self.dirty) {
            if keeps() {
                self.keep(sector);
            }
        }
        if self.current.len() != self.durable.len() && keeps() {
            self.durable.resize(self.current.len(), 0);
        }
        self.current = self.durable.clone();
    }
}
