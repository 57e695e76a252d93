//! Snapshots for queries: one read of the book, and the hot rows above what its files hold.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::reading::Verdict;

use crate::engine::Handle;
use crate::lake::rows::frame_rows;
use crate::query::{HotVerdict, QueryError, READINGS, SITE_DAYS, Snapshot, Source, load_book, site_days};

impl Source for Handle {
    fn snapshot(&self, tables: &BTreeSet<String>) -> BoxFuture<'_, Result<Snapshot, QueryError>> {
        let tables = tables.clone();
        async move {
            loop {
                let part = load_book(self.book().reader(), &tables).await?;
                let (floor, frames) = self.hot().snapshot();
                if i64::try_from(floor).unwrap_or(i64::MAX) > part.lake_seq {
                    // A filing ended between the two: its frames are in files that this reading does not list.
                    continue;
                }
                let mut hot = Vec::new();
                if tables.contains(READINGS) {
                    let mut verdicts: BTreeMap<i64, Vec<&HotVerdict>> = BTreeMap::new();
                    for verdict in &part.hot_verdicts {
                        verdicts.entry(verdict.seq).or_default().push(verdict);
                    }
                    for mut frame in frames {
                        let seq = i64::try_from(frame.seq.0).unwrap_or(i64::MAX);
                        if seq <= part.lake_seq {
                            continue;
                        }
                        // Billing may have judged more than the book includes: a snapshot says what the book says.
                        let settled = seq <= part.applied_seq;
                        let verdict = if settled { Verdict::Accepted } else { Verdict::Pending };
                        frame.verdicts.fill(verdict.code());
                        for row in verdicts.get(&seq).into_iter().flatten().filter(|_| settled) {
                            let place = usize::try_from(row.row_index).unwrap_or(usize::MAX);
                            if let Some(code) = frame.verdicts.get_mut(place) {
                                *code = u8::try_from(row.verdict).unwrap_or(0);
                            }
                        }
                        hot.push(frame_rows(&frame).map_err(QueryError::arrow("the hot rows"))?);
                    }
                }
                let days = if tables.contains(SITE_DAYS) { Some(self.site_days()?) } else { None };
                return Ok(Snapshot {
                    lake_root: self.lake().to_path_buf(),
                    files: part.files,
                    lake_seq: part.lake_seq,
                    applied_seq: part.applied_seq,
                    hot,
                    book: part.tables,
                    site_days: days,
                });
            }
        }
        .boxed()
    }
}

impl Handle {
    fn site_days(&self) -> Result<arrow::array::RecordBatch, QueryError> {
        let registry = self.registry();
        site_days::batch(registry.sites().map(|site| (site.id, site.days.as_ref(), site.calendar.as_ref())))
    }
}
