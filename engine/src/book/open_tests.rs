use super::*;

async fn fresh() -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 0xFACE, Moment(7)).await.unwrap();
    (folder, book)
}

async fn put(book: &Book, key: &str, commit: bool) {
    let mut tx = book.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO meta (key, value) VALUES ($1, 'x')").bind(key.to_owned());
    insert.execute(tx.conn()).await.unwrap();
    if commit {
        tx.commit().await.unwrap();
    }
}

async fn keys(book: &Book) -> i64 {
    let row: (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM meta WHERE value = 'x'").fetch_one(book.reader()).await.unwrap();
    row.0
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again_and_nothing_else() {
    let (folder, book) = fresh().await;
    put(&book, "a", true).await;
    put(&book, "b", false).await;
    put(&book, "c", true).await;
    assert_eq!(keys(&book).await, 2);
    book.close().await;
    let book = Book::open(folder.path()).await.unwrap();
    assert_eq!((keys(&book).await, book.log_id()), (2, 0xFACE));
}

#[tokio::test]
async fn readers_see_whole_commits_and_do_not_wait_for_the_writer() {
    let (_folder, book) = fresh().await;
    let mut tx = book.begin().await.unwrap();
    sqlx::query("INSERT INTO meta (key, value) VALUES ('a', 'x')").execute(tx.conn()).await.unwrap();
    assert_eq!(keys(&book).await, 0);
    tx.commit().await.unwrap();
    assert_eq!(keys(&book).await, 1);
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_folder, book) = fresh().await;
    let error = sqlx::query("DELETE FROM meta").execute(book.reader()).await.unwrap_err();
    assert!(matches!(BookError::from(error), BookError::ReadOnly));
}

#[tokio::test]
async fn a_book_that_cannot_be_used_is_refused_with_the_remedy() {
    let (folder, book) = fresh().await;
    let error = Book::create(folder.path(), 1, Moment(0)).await.unwrap_err().to_string();
    assert!(error.contains("open it instead"), "{error}");
    let mut tx = book.begin().await.unwrap();
    sqlx::query("UPDATE meta SET value = '99' WHERE key = 'format_version'").execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    book.close().await;
    let error = Book::open(folder.path()).await.unwrap_err().to_string();
    let expected = format!("has format 99, this program knows formats up to {FORMAT}: use the newer meterledger");
    assert!(error.contains(&expected), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let error = Book::open(empty.path()).await.unwrap_err().to_string();
    assert!(error.contains("holds no book: run `meterledger apply FILE`"), "{error}");
    std::fs::write(empty.path().join(FILE), "not a database, but long enough to have a header of one hundred bytes.........................................").unwrap();
    let error = Book::open(empty.path()).await.unwrap_err().to_string();
    assert!(error.contains("is not a book of meterledger (it is no SQLite database)"), "{error}");
    let error = Book::create(&empty.path().join(FILE), 1, Moment(0)).await.unwrap_err().to_string();
    assert!(error.contains("cannot create the data folder"), "{error}");
}

#[tokio::test]
async fn a_book_whose_creation_was_cut_short_is_created_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "").unwrap();
    assert!(matches!(Book::open(folder.path()).await, Err(BookError::Missing(_))));
    Book::open_or_create(folder.path(), 5, Moment(0)).await.unwrap();
}

#[tokio::test]
async fn a_folder_name_may_hold_anything_that_a_path_may() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("商场 #1?mode=ro%20");
    Book::create(&odd, 1, Moment(0)).await.unwrap().close().await;
    assert!(odd.join(FILE).is_file());
}

/// A book as the first format left it: its script, its meta rows, one payment, a service point and tariff of each utility.
async fn format_1(folder: &Path) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rwc", folder.join(FILE).display());
    let mut old = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(super::super::format::SCRIPTS[0]).execute(&mut old).await.unwrap();
    for sql in [
        "INSERT INTO meta (key, value) VALUES ('format_version', '1'), ('log_id', '000000000000face'), ('created_at', '7')",
        "INSERT INTO progress (name, value) VALUES ('applied_seq', 3), ('lake_seq', 0), ('audit_rows', 0)",
        "INSERT INTO payments VALUES (1, 'receipt-1', 1, 'cash', 'counter', 'receipt-1', '5.000000000', 'posted', 8, 8, 1, \
         'tester')",
        "INSERT INTO service_points VALUES (1, 1, 'a', 'electricity', NULL), (2, 1, 'b', 'water', NULL), (3, 1, 'c', 'gas', NULL), \
         (4, 1, 'd', 'heat', NULL)",
        "INSERT INTO tariffs SELECT id, name, utility, 'CNY' FROM service_points",
    ] {
        sqlx::query(sql).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();
}

#[tokio::test]
async fn a_book_of_the_first_format_becomes_one_of_the_newest_with_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    format_1(folder.path()).await;
    for _ in 0..2 {
        let book = Book::open(folder.path()).await.unwrap();
        assert_eq!(book.log_id(), 0xFACE);
        let (format,): (String,) = sqlx::query_as("SELECT value FROM meta WHERE key = 'format_version'")
            .fetch_one(book.reader())
            .await
            .unwrap();
        assert_eq!(format, FORMAT.to_string());
        let keys: Vec<(String, String)> =
            sqlx::query_as("SELECT key, kind FROM money_keys").fetch_all(book.reader()).await.unwrap();
        assert_eq!(keys, [("receipt-1".to_owned(), "topup".to_owned())]);
        // What a utility was billed in before units could be chosen.
        let unit = |of: &str| format!("SELECT unit FROM {of} ORDER BY id");
        for of in ["service_points", "tariffs"] {
            let units: Vec<String> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(unit(of))).fetch_all(book.reader()).await.unwrap();
            assert_eq!(units, ["kWh", "m3", "m3", "kWh"], "{of}");
        }
        book.close().await;
    }
}
