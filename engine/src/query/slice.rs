//! A share of the service points: what is proven of each service point by itself can be proven share by share, in memory
//! that does not grow with the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use kernel::id::ServicePointId;

use super::source::Snapshot;
use crate::registry::joined;

/// Readings of one slice, where service points are alike (600,000 rows x some 300 bytes in sorts and joins = 180 MB).
const ROWS: i64 = 600_000;
/// The most slices: each reads the lake's files once more, less the row groups of other meters.
const MOST: i64 = 64;

/// Service points from one identifier to another, both included; those of a pool all where its first one is. Meters are
/// mostly numbered as they are, so that the lake's files, sorted by meter, are read where they hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    from: i32,
    to: i32,
    /// Members of pools, with the first of each.
    pooled: Arc<BTreeMap<i32, i32>>,
}

impl Slice {
    /// The slices of a snapshot: as many as its readings ask for, and one at least; together all service points, those
    /// included that are not there and that only a fault names.
    pub(super) fn of(snapshot: &Snapshot) -> Vec<Slice> {
        let filed = snapshot.files.iter().filter(|file| file.table_name == "readings").map(|file| file.row_count);
        let hot: usize = snapshot.hot.iter().map(RecordBatch::num_rows).sum();
        let rows = filed.sum::<i64>().saturating_add(i64::try_from(hot).unwrap_or(i64::MAX));
        let ids = snapshot.book.get("service_points").and_then(|points| points.column_by_name("id").cloned());
        let mut ids: Vec<i32> = ids.iter().flat_map(|ids| ids.as_primitive::<Int32Type>().values().to_vec()).collect();
        ids.sort_unstable();
        let wanted = usize::try_from((rows / ROWS + 1).min(MOST)).unwrap_or(1);
        let each = ids.len().div_ceil(wanted).max(1);
        let mut begins: Vec<i32> = ids.chunks(each).map(|some| some[0]).skip(1).collect();
        begins.insert(0, i32::MIN);
        let ends = begins.iter().skip(1).map(|begin| begin - 1).chain([i32::MAX]);
        let pooled = Arc::new(pooled(snapshot));
        begins.iter().zip(ends).map(|(from, to)| Slice { from: *from, to, pooled: Arc::clone(&pooled) }).collect()
    }

    fn holds(&self, id: i32) -> bool {
        (self.from..=self.to).contains(self.pooled.get(&id).unwrap_or(&id))
    }

    /// The rows of a book's table that belong to it; all where rows belong to no service point.
    pub(super) fn rows(&self, table: &str, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let key = if table == "service_points" { "id" } else { "service_point_id" };
        let Some(ids) = rows.column_by_name(key).and_then(|ids| ids.as_primitive_opt::<Int32Type>().cloned()) else {
            return Ok(rows.clone());
        };
        let kept: BooleanArray = (0..ids.len()).map(|row| Some(self.holds(ids.value(row)))).collect();
        filter_record_batch(rows, &kept)
    }

    /// The charges of its service points.
    pub(super) fn of_charges(&self) -> String {
        let Slice { from, to, pooled } = self;
        let list = |wanted: &dyn Fn(i32) -> bool| -> String {
            let ids = pooled.keys().filter(|id| wanted(**id)).map(i32::to_string);
            ids.collect::<Vec<_>>().join(", ")
        };
        let within = |id: i32| (*from..=*to).contains(&id);
        let come = list(&|id| self.holds(id) && !within(id));
        let go = list(&|id| !self.holds(id) && within(id));
        let mut held = format!("service_point_id BETWEEN {from} AND {to}");
        if !go.is_empty() {
            held += &format!(" AND service_point_id NOT IN ({go})");
        }
        if !come.is_empty() {
            held += &format!(" OR service_point_id IN ({come})");
        }
        format!("SELECT * FROM lake.charges_files WHERE {held} UNION ALL SELECT * FROM book.usage_lines")
    }
}

/// Members of pools, with the first of each.
fn pooled(snapshot: &Snapshot) -> BTreeMap<i32, i32> {
    let column = |table: &str, name: &str| -> Vec<i32> {
        let column = snapshot.book.get(table).and_then(|rows| rows.column_by_name(name).cloned());
        column.iter().flat_map(|ids| ids.as_primitive::<Int32Type>().values().to_vec()).collect()
    };
    let accounts: BTreeSet<i32> = column("pooled_accounts", "id").into_iter().collect();
    let mut groups: BTreeMap<i32, Vec<ServicePointId>> = BTreeMap::new();
    for (point, account) in column("contracts", "service_point_id").into_iter().zip(column("contracts", "account_id")) {
        // Those of several utilities stay together too: so they do where each has a pool.
        if accounts.contains(&account) {
            groups.entry(account).or_default().push(ServicePointId(point.unsigned_abs()));
        }
    }
    let id = |id: ServicePointId| i32::try_from(id.0).unwrap_or(i32::MAX);
    let pools = joined(groups.into_values()).into_iter();
    pools.filter_map(|(member, pool)| Some((id(member), id(*pool.first()?)))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::query::source::LakeFile;

    fn ids(name: &str, ids: &[i32]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new(name, DataType::Int32, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int32Array::from(ids.to_vec()))]).unwrap()
    }

    fn snapshot(points: &[i32], row_count: i64) -> Snapshot {
        let (table_name, path) = ("readings".to_owned(), String::new());
        let (utility, month) = (String::new(), String::new());
        let files = vec![LakeFile { table_name, path, utility, month, row_count, byte_count: 0 }];
        let book = BTreeMap::from([("service_points".to_owned(), ids("id", points))]);
        let (lake_root, hot) = (PathBuf::new(), Vec::new());
        Snapshot { lake_root, files, lake_seq: 0, applied_seq: 0, hot, book, site_days: None }
    }

    #[test]
    fn slices_hold_each_service_point_once_whatever_there_is() {
        for (points, rows, slices) in [
            (&[][..], 0, 1),
            (&[7], 10 * ROWS, 1),
            (&[1, 2, 3], 0, 1),
            (&[9, 4, 1, 30, 12], 2 * ROWS, 3),
            (&[1, 2, 3, 4], 3 * ROWS, 4),
        ] {
            let made = Slice::of(&snapshot(points, rows));
            assert_eq!(made.len(), slices, "{points:?}");
            // Known ones, and those that a fault names.
            for id in points.iter().copied().chain([0, -3, 5, 1_000, i32::MAX]) {
                let rows = ids("service_point_id", &[id]);
                let held: usize = made.iter().map(|slice| slice.rows("contracts", &rows).unwrap().num_rows()).sum();
                assert_eq!(held, 1, "{id} of {points:?}");
            }
        }
        let other = ids("meter_id", &[1, 2]);
        assert_eq!(slice(5, 6).rows("meters", &other).unwrap(), other);
    }

    fn slice(from: i32, to: i32) -> Slice {
        Slice { from, to, pooled: Arc::default() }
    }

    #[test]
    fn members_of_a_pool_are_in_one_slice() {
        let mut book = snapshot(&[1, 2, 3, 4], 3 * ROWS);
        let contracts = |name: &str, column: &[i32]| (name.to_owned(), ids(name, column).column(0).clone());
        let columns = [contracts("service_point_id", &[1, 4, 2, 4]), contracts("account_id", &[9, 9, 8, 8])];
        book.book.insert("contracts".to_owned(), RecordBatch::try_from_iter(columns).unwrap());
        let held = |book: &Snapshot| -> Vec<Vec<i32>> {
            let of = |slice: &Slice| (1..=4).filter(|id| slice.holds(*id)).collect();
            Slice::of(book).iter().map(of).collect()
        };
        assert_eq!(held(&book), [[1], [2], [3], [4]]);
        // Account 9 pools: service point 4 is proven with 1.
        book.book.insert("pooled_accounts".to_owned(), ids("id", &[9]));
        assert_eq!(held(&book), [vec![1, 4], vec![2], vec![3], vec![]]);
        let slices = Slice::of(&book);
        assert!(slices[0].of_charges().contains("BETWEEN -2147483648 AND 1 OR service_point_id IN (4) UNION"));
        assert!(slices[3].of_charges().contains("BETWEEN 4 AND 2147483647 AND service_point_id NOT IN (4) UNION"));
    }
}
