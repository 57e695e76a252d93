//! A disk in memory that forgets at [`ForgetfulDisk::crash`] what was not fsynced, or, as its seed decides, keeps some
//! of it, sector by sector and out of order. For tests of this and other crates; nothing in production uses it.

mod handle;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::handle::Handle;
use self::state::{Image, NameChange, State, power_off};
use super::{Access, Disk, DiskFile};

/// See the module. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct ForgetfulDisk {
    state: Arc<Mutex<State>>,
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

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
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
