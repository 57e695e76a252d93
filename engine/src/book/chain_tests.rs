use super::*;

fn entry(number: i64) -> Entry {
    Entry {
        at: Moment(number),
        actor: "test".to_owned(),
        kind: "registry".to_owned(),
        subject: format!("site:{number}"),
        detail: "created".to_owned(),
    }
}

async fn book_with(rows: i64) -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    for number in 1..=rows {
        let mut tx = book.begin().await.unwrap();
        append(&mut tx, entry(number)).await.unwrap();
        tx.commit().await.unwrap();
    }
    (folder, book)
}

#[tokio::test]
async fn the_chain_holds_over_commits_rollbacks_and_reopening() {
    let (folder, book) = book_with(2).await;
    let mut undone = book.begin().await.unwrap();
    append_all(&mut undone, [entry(8), entry(9)]).await.unwrap();
    drop(undone);
    let mut tx = book.begin().await.unwrap();
    append_all(&mut tx, [entry(3), entry(4)]).await.unwrap();
    append(&mut tx, entry(5)).await.unwrap();
    tx.commit().await.unwrap();
    book.close().await;
    let book = Book::open(folder.path()).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    append(&mut tx, entry(6)).await.unwrap();
    tx.commit().await.unwrap();
    let verified = verify(&book).await.unwrap();
    assert_eq!((verified.rows, verified.head.id, verified.faults), (6, 6, vec![]));
}

#[tokio::test]
async fn every_tampering_is_found_and_the_row_named() {
    for (tampering, expected) in [
        ("UPDATE audit_log SET detail = 'nothing' WHERE id = 3", vec![ChainFault::Edited { id: 3 }]),
        ("UPDATE audit_log SET at = at + 1 WHERE id = 5", vec![ChainFault::Edited { id: 5 }]),
        // Moving a letter from one column to the next is no way round.
        ("UPDATE audit_log SET actor = 'tes', kind = 'tregistry' WHERE id = 1", vec![ChainFault::Edited { id: 1 }]),
        (
            "DELETE FROM audit_log WHERE id = 2",
            vec![ChainFault::Missing { id: 2 }, ChainFault::Count { found: 4, expected: 5 }],
        ),
        ("DELETE FROM audit_log WHERE id > 3", vec![ChainFault::Count { found: 3, expected: 5 }]),
        (
            "UPDATE audit_log SET prev_hash = (SELECT hash FROM audit_log WHERE id = 1) WHERE id = 4",
            vec![ChainFault::Unlinked { id: 4 }, ChainFault::Edited { id: 4 }],
        ),
    ] {
        let (_folder, book) = book_with(5).await;
        let mut tx = book.begin().await.unwrap();
        sqlx::query(tampering).execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(verify(&book).await.unwrap().faults, expected, "{tampering}");
    }
}
