use kernel::time::Moment;
use sqlx::Row;

use super::*;
use crate::book::Book;

const HEAD: &str = "INSERT INTO checkpoints (service_point_id, local_month, state) VALUES";
const TAIL: &str = "ON CONFLICT (service_point_id, local_month) DO UPDATE SET state = excluded.state";

fn rows(count: i64, byte: u8) -> impl Iterator<Item = [Cell<'static>; 3]> {
    (0..count).map(move |id| [id.into(), 1_i64.into(), vec![byte].into()])
}

#[tokio::test]
async fn any_number_of_rows_goes_in_once_and_is_updated_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let full = i64::try_from(PARAMETERS / 3).unwrap();
    for count in [0, 1, 7, full - 1, full, full + 1, 3 * full + 1_000] {
        let mut tx = book.begin().await.unwrap();
        for byte in [1, 2] {
            let written = insert(&mut tx, HEAD, TAIL, rows(count, byte)).await.unwrap();
            assert_eq!(written, u64::try_from(count).unwrap());
        }
        let sql = "SELECT COUNT(*), COUNT(DISTINCT service_point_id), MIN(HEX(state)) FROM checkpoints";
        let row = sqlx::query(sql).fetch_one(tx.conn()).await.unwrap();
        assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (count, count));
        assert_eq!(row.get::<Option<String>, _>(2), (count > 0).then(|| "02".to_owned()));
    }
}

#[test]
fn each_database_gets_its_own_placeholders() {
    assert_eq!(
        statement(Backend::Sqlite, "INSERT INTO t VALUES", "TAIL", 2, 2),
        "INSERT INTO t VALUES (?,?),(?,?) TAIL"
    );
    assert_eq!(statement(Backend::Postgres, "I", "", 2, 2), "I ($1,$2),($3,$4) ");
}

#[tokio::test]
async fn every_kind_of_cell_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    let head = "INSERT INTO notices (id, account_id, meter_id, kind, level, text, balance, created_at) VALUES";
    let row: [Cell<'_>; 8] = [
        1_u32.into(),
        None::<i64>.into(),
        Some(i64::MIN).into(),
        "余额".into(),
        true.into(),
        String::new().into(),
        None::<String>.into(),
        i64::MAX.into(),
    ];
    insert(&mut tx, head, "", [row]).await.unwrap();
    let sql = "SELECT account_id, meter_id, kind, level, text, balance, created_at FROM notices";
    let row = sqlx::query(sql).fetch_one(tx.conn()).await.unwrap();
    assert_eq!((row.get::<Option<i64>, _>(0), row.get::<i64, _>(1)), (None, i64::MIN));
    assert_eq!((row.get::<String, _>(2), row.get::<i64, _>(3)), ("余额".to_owned(), 1));
    assert_eq!((row.get::<String, _>(4), row.get::<Option<String>, _>(5)), (String::new(), None));
    assert_eq!(row.get::<i64, _>(6), i64::MAX);
}
