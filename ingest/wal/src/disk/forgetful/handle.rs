//! An open file of the disk; dead after a crash.

use std::io;
use std::sync::MutexGuard;

use super::ForgetfulDisk;
use super::state::{State, power_off};
use crate::disk::{Access, DiskFile};

#[derive(Debug)]
pub(super) struct Handle {
    pub(super) disk: ForgetfulDisk,
    pub(super) file: usize,
    pub(super) access: Access,
    pub(super) generation: u32,
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
