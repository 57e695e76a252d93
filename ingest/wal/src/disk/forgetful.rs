//! A disk in memory that forgets at [`ForgetfulDisk::crash`] what was not fsynced, or, as its seed decides, keeps some
//! of it, sector by sector and out of order. For tests of this and other crates; nothing in production uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Disk, DiskFile};

/// A power loss keeps or loses whole sectors.
const SECTOR: usize = 512;

/// See the module. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct ForgetfulDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    random: u64,
    files: Vec<Image>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<NameChange>,
    /// Handles of before the last crash are dead.
    generation: u32,
    off: bool,
    /// Changes until the power fails.
    fuse: Option<u64>,
    full: bool,
    lying: bool,
    failing_syncs: u32,
    failing_writes: u32,
    changes: u64,
}

#[derive(Clone, Debug, Default)]
struct Image {
    durable: Vec<u8>,
    current: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl ForgetfulDisk {
    /// An empty disk; the seed decides what crashes keep.
    #[must_use]
    pub fn new(seed: u64) -> ForgetfulDisk {
        ForgetfulDisk { state: Arc::new(Mutex::new(State { random: seed, ..State::default() })) }
    }

    /// An independent copy of the disk as it is now.
    #[must_use]
    pub fn fork(&self) -> ForgetfulDisk {
        ForgetfulDisk { state: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// Lets the power fail in the middle of the change that comes after `changes` more; from then on all fails until
    /// [`ForgetfulDisk::crash`].
    pub fn fail_power_after(&self, changes: u64) {
        self.lock().fuse = Some(changes);
    }

    /// Takes the power away and brings it back: forgets, closes all handles, and clears all faults.
    pub fn crash(&self) {
        self.lock().crash();
    }

    /// Ends the process instead: closes all handles and clears all faults, but forgets nothing.
    pub fn kill(&self) {
        self.lock().restart();
    }

    /// While `full`, no file can be created.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// The next `count` fsyncs of files fail, and what they should have written is lost although it can be read until
    /// a crash, as Linux does it.
    pub fn fail_syncs(&self, count: u32) {
        self.lock().failing_syncs = count;
    }

    /// The next `count` writes fail half-way.
    pub fn fail_writes(&self, count: u32) {
        self.lock().failing_writes = count;
    }

    /// From now on, fsyncs of files succeed and do nothing: a fault that every harness must find.
    pub fn lie_about_syncs(&self) {
        self.lock().lying = true;
    }

    /// Writes, fsyncs and changes of names so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_name(&self, change: NameChange) -> io::Result<()> {
        let mut state = self.lock();
        let failing = state.begin_change()?;
        change.apply(&mut state.names);
        state.pending.push(change);
        if failing { Err(power_off()) } else { Ok(()) }
    }

    fn handle(&self, file: usize, access: Access, generation: u32) -> Box<dyn DiskFile> {
        Box::new(Handle { disk: self.clone(), file, access, generation })
    }
}

fn power_off() -> io::Error {
    io::Error::other("the power is off")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
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
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether the power fails in this change.
    fn begin_change(&mut self) -> io::Result<bool> {
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

    fn crash(&mut self) {
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

    fn restart(&mut self) {
        self.generation += 1;
        (self.off, self.fuse, self.full, self.failing_syncs, self.failing_writes) = (false, None, false, 0, 0);
    }

    fn keeps(&mut self, mood: u64) -> bool {
        match mood {
            0 => false,
            1 => true,
            _ => self.random() & 1 == 1,
        }
    }
}

impl Image {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    fn set_length(&mut self, length: usize) {
        let changed = self.current.len().min(length) / SECTOR..self.current.len().max(length).div_ceil(SECTOR);
        self.current.resize(length, 0);
        self.dirty.extend(changed);
    }

    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.current.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.current[start..end]);
        }
    }

    fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.keep(sector);
        }
        self.durable.resize(self.current.len(), 0);
    }

    fn forget(&mut self, mut keeps: impl FnMut() -> bool) {
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

impl Disk for ForgetfulDisk {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let (file, generation) = {
            let mut state = self.lock();
            if state.names.contains_key(path) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, path.display().to_string()));
            }
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let current = if state.full { Vec::new() } else { vec![0; length] };
            state.files.push(Image { current, ..Image::default() });
            (state.files.len() - 1, state.generation)
        };
        self.change_name(NameChange::Create(path.to_owned(), file))?;
        if self.lock().full {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        Ok(self.handle(file, Access::Write, generation))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let state = self.lock();
        if state.off {
            return Err(power_off());
        }
        let (file, generation) = (*state.names.get(path).ok_or_else(|| not_found(path))?, state.generation);
        drop(state);
        Ok(self.handle(file, access, generation))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        if state.off {
            return Err(power_off());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.lock().names.contains_key(from) {
            return Err(not_found(from));
        }
        self.change_name(NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !self.lock().names.contains_key(path) {
            return Err(not_found(path));
        }
        self.change_name(NameChange::Remove(path.to_owned()))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if state.begin_change()? {
            return Err(power_off());
        }
        let inside = |path: &PathBuf| path.parent() == Some(folder);
        let pending = std::mem::take(&mut state.pending);
        let (done, kept) = pending.into_iter().partition(|change| match change {
            NameChange::Create(path, _) | NameChange::Rename(_, path) | NameChange::Remove(path) => inside(path),
        });
        state.pending = kept;
        let done: Vec<NameChange> = done;
        done.iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }
}

#[derive(Debug)]
struct Handle {
    disk: ForgetfulDisk,
    file: usize,
    access: Access,
    generation: u32,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.off || state.generation != self.generation { Err(power_off()) } else { Ok(state) }
    }

    fn change(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state()?;
        if self.access == Access::Read {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened for reading"));
        }
        let failing = state.begin_change()?;
        Ok((state, failing))
    }
}

impl DiskFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.files[self.file].current.get(start..start.saturating_add(buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let (mut state, power_fails) = self.change()?;
        if state.failing_writes > 0 {
            state.failing_writes -= 1;
            state.files[self.file].write(start, &bytes[..bytes.len() / 2]);
            return Err(io::Error::other("the device failed while writing"));
        }
        state.files[self.file].write(start, bytes);
        if power_fails { Err(power_off()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, power_fails) = self.change()?;
        if power_fails {
            // What was on its way is for the crash to decide.
            return Err(power_off());
        }
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            state.files[self.file].dirty.clear();
            return Err(io::Error::other("the device failed while flushing"));
        }
        if !state.lying {
            state.files[self.file].sync();
        }
        Ok(())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let (mut state, power_fails) = self.change()?;
        state.files[self.file].set_length(length);
        if power_fails { Err(power_off()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fsynced_survives_every_crash_and_something_else_is_sometimes_lost() {
        let path = Path::new("folder/file");
        let mut lost = 0;
        for seed in 0..64 {
            let disk = ForgetfulDisk::new(seed);
            let mut file = disk.create(path, 4096).unwrap();
            file.write_at(0, &[1; 512]).unwrap();
            file.sync().unwrap();
            disk.sync_folder(Path::new("folder")).unwrap();
            file.write_at(512, &[2; 1024]).unwrap();
            disk.crash();
            assert!(file.length().is_err(), "a handle of before the crash is dead, seed {seed}");
            let mut bytes = [0; 4096];
            disk.open(path, Access::Read).unwrap().read_at(0, &mut bytes).unwrap();
            assert_eq!(bytes[..512], [1; 512], "seed {seed}");
            lost += usize::from(bytes[512..1536] != [2; 1024]);
        }
        assert!((1..64).contains(&lost), "{lost} of 64");
    }

    #[test]
    fn a_failed_fsync_loses_what_a_later_one_seems_to_save() {
        let disk = ForgetfulDisk::new(1);
        let mut file = disk.create(Path::new("f/a"), 512).unwrap();
        file.sync().unwrap();
        disk.sync_folder(Path::new("f")).unwrap();
        file.write_at(0, &[9; 512]).unwrap();
        disk.fail_syncs(1);
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        disk.crash();
        let mut bytes = [0; 512];
        disk.open(Path::new("f/a"), Access::Read).unwrap().read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 512]);
    }
}
