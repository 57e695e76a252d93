//! What the log asks of an operating system, as a trait, so that tests can take the power away.
//!
//! What is written is durable after [`DiskFile::sync`]; what is created, renamed or removed is durable after
//! [`Disk::sync_folder`]. Before, a crash may keep all, some or none of it.

mod forgetful;

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub use forgetful::ForgetfulDisk;

/// Whether a file is opened to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// Folders and names. Every error is the system's own.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder and the folders above it, durably. One that exists is fine.
    ///
    /// # Errors
    /// The system's.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a new file of `length` zeros whose space is reserved; refuses a name that exists.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] where the space is missing (the file may exist then), or the system's.
    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// The names in a folder, in any order; none where there is no folder.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Renames a file within its folder.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Debug + Send {
    /// Bytes of the file.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before, or the system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes at `offset`.
    ///
    /// # Errors
    /// The system's; a part may be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all bytes and the length durable.
    ///
    /// # Errors
    /// The system's. What is durable is unknown then, and no later success changes that.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_length(&mut self, length: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.create_folder(above)?;
        }
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        folder.parent().map_or(Ok(()), |above| self.sync_folder(above))
    }

    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::io::retry_on_intr(|| rustix::fs::fallocate(&file, flags, 0, length)) {
            // Some file systems cannot reserve: write the zeros.
            Err(rustix::io::Errno::OPNOTSUPP) => fill(&file, length)?,
            other => other?,
        }
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    }
}

fn fill(file: &File, length: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < length {
        let part = usize::try_from(length - offset).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..part], offset)?;
        offset += part as u64;
    }
    Ok(())
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        // fdatasync covers the length too; only times may be lost.
        self.0.sync_data()
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
