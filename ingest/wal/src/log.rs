//! The end of the log: cutting a torn tail, writing groups, and going on to the next segment.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use kernel::id::Seq;
use tracing::{info, warn};

use crate::append::Options;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::WalError;
use crate::format::{Group, LogId, SECTOR, SegmentHead, segment_name};
use crate::survey::{Recovered, TornTail, survey};

/// The log, open for writing. After an error it must not be used again.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: Options,
    log_id: LogId,
    next: Seq,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    offset: u64,
    length: u64,
}

/// Ends waits when the log is shut down.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: Mutex<bool>,
    bell: Condvar,
}

impl Stop {
    pub(crate) fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    pub(crate) fn asked(&self) -> bool {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until asked; whether it was asked. Real time, since a disk does not know the log's clock.
    fn wait(&self, duration: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(asked, duration, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Log {
    pub(crate) fn open(folder: &Path, disk: Arc<dyn Disk>, options: Options) -> Result<(Log, Recovered), WalError> {
        disk.create_folder(folder).map_err(|source| WalError::Folder { folder: folder.to_owned(), source })?;
        let survey = survey(folder, disk.as_ref())?;
        sweep(disk.as_ref(), folder)?;
        // The name of the last segment may not be durable yet.
        disk.sync_folder(folder).map_err(|source| WalError::Folder { folder: folder.to_owned(), source })?;
        let Some(survey) = survey else {
            let (log_id, first) = (options.log_id, options.first_seq);
            let (path, file, length) = create(disk.as_ref(), folder, log_id, first, options.segment_bytes)?;
            let recovered = Recovered { log_id, oldest: first, last_seq: Seq(first.0.saturating_sub(1)), torn: None };
            let folder = folder.to_owned();
            let log = Log { disk, folder, options, log_id, next: first, path, file, offset: SECTOR, length };
            return Ok((log, recovered));
        };
        let opened = disk.open(&survey.path, Access::Write);
        let mut file = opened.map_err(|source| WalError::Open { file: survey.path.clone(), source })?;
        if let Some(torn) = &survey.recovered.torn {
            warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes, "cutting off a torn tail");
            cut(file.as_mut(), torn)?;
        }
        if let Some((offset, group)) = &survey.last_group {
            settle(file.as_mut(), &survey.path, *offset, group)?;
        }
        let log = Log {
            disk,
            folder: folder.to_owned(),
            options,
            log_id: survey.recovered.log_id,
            next: Seq(survey.recovered.last_seq.0 + 1),
            path: survey.path,
            file,
            offset: survey.offset,
            length: survey.length,
        };
        Ok((log, survey.recovered))
    }

    /// Writes the group and returns the number of its first frame once it is durable. The second value is whether a
    /// segment was begun. Waits while the disk is full, until `stop` is asked.
    pub(crate) fn commit(&mut self, group: &mut Group, stop: &Stop) -> Result<(Seq, bool), WalError> {
        let first = self.next;
        let frames = u64::from(group.frames());
        let bytes = group.seal(self.log_id, first);
        let length = bytes.len() as u64;
        let begun = self.offset + length > self.length;
        if begun {
            self.begin_segment(length, stop)?;
        }
        let offset = self.offset;
        let written = self.file.write_at(offset, bytes);
        written.map_err(|source| WalError::Write { file: self.path.clone(), offset, source })?;
        self.file.sync().map_err(|source| WalError::Sync { file: self.path.clone(), offset, source })?;
        self.offset += length;
        self.next = Seq(first.0 + frames);
        Ok((first, begun))
    }

    fn begin_segment(&mut self, group: u64, stop: &Stop) -> Result<(), WalError> {
        let length = self.options.segment_bytes.max(SECTOR + group);
        let mut wait = self.options.full_disk_retry;
        let mut waited = false;
        let (path, file, length) = loop {
            match create(self.disk.as_ref(), &self.folder, self.log_id, self.next, length) {
                Err(WalError::Create { file, length, source }) if is_full(&source) => {
                    warn!(file = %file.display(), length, %source, "no space for the log; appends wait, free some");
                    waited = true;
                    if stop.wait(wait) {
                        return Err(WalError::Create { file, length, source });
                    }
                    wait = (wait * 2).min(self.options.full_disk_retry_max);
                }
                other => break other?,
            }
        };
        if waited {
            info!(file = %path.display(), "there is space again; the log goes on");
        }
        (self.path, self.file, self.length, self.offset) = (path, file, length, SECTOR);
        Ok(())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A new, durable, empty segment; or no trace of it under its name.
fn create(
    disk: &dyn Disk,
    folder: &Path,
    log_id: LogId,
    first: Seq,
    length: u64,
) -> Result<(PathBuf, Box<dyn DiskFile>, u64), WalError> {
    let length = length.max(2 * SECTOR).next_multiple_of(SECTOR);
    let path = folder.join(segment_name(first));
    let draft = folder.join(segment_name(first) + DRAFT);
    let head = SegmentHead { log_id, first, length }.encode();
    let cleared = match disk.remove(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let made = cleared.and_then(|()| disk.create(&draft, length)).and_then(|mut file| {
        file.write_at(0, &head)?;
        file.sync()?;
        disk.rename(&draft, &path)?;
        disk.sync_folder(folder)?;
        Ok(file)
    });
    match made {
        Ok(file) => Ok((path, file, length)),
        Err(source) => {
            // The error that is told is the first one. A draft that stays is removed at the next try or start.
            let _ = disk.remove(&draft);
            Err(WalError::Create { file: path, length, source })
        }
    }
}

const DRAFT: &str = ".tmp";

/// Removes segments that a crash left unfinished.
fn sweep(disk: &dyn Disk, folder: &Path) -> Result<(), WalError> {
    let names = disk.list(folder).map_err(|source| WalError::List { folder: folder.to_owned(), source })?;
    for name in names.iter().filter(|name| name.ends_with(&format!(".seg{DRAFT}"))) {
        let file = folder.join(name);
        disk.remove(&file).map_err(|source| WalError::Delete { file, source })?;
    }
    Ok(())
}

/// Makes the last group durable. A process that was killed before its fsync left it in memory only; one that saw the
/// fsync fail, too, and there another fsync would do nothing. So it is written again. Without this, the book could
/// apply a frame that a power loss then takes from the log, and its number would be given away twice.
fn settle(file: &mut dyn DiskFile, path: &Path, offset: u64, group: &[u8]) -> Result<(), WalError> {
    file.write_at(offset, group).map_err(|source| WalError::Write { file: path.to_owned(), offset, source })?;
    file.sync().map_err(|source| WalError::Sync { file: path.to_owned(), offset, source })
}

fn cut(file: &mut dyn DiskFile, torn: &TornTail) -> Result<(), WalError> {
    let zeros = vec![0; 1 << 20];
    let end = torn.offset + torn.bytes;
    let mut offset = torn.offset;
    let failed = |source| WalError::Cut { file: torn.file.clone(), offset: torn.offset, source };
    while offset < end {
        let part = usize::try_from(end - offset).unwrap_or(usize::MAX).min(zeros.len());
        file.write_at(offset, &zeros[..part]).map_err(failed)?;
        offset += part as u64;
    }
    file.sync().map_err(failed)
}
