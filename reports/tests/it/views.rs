//! What people see in SQL.

use crate::fixture::Fixture;
use engine::query::catalogue;

#[tokio::test]
async fn every_view_answers_with_the_columns_that_its_header_documents() {
    let fixture = Fixture::new().await;
    for view in catalogue() {
        let table = fixture.session.query(&format!("SELECT * FROM {}", view.name)).await.unwrap();
        let names: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let documented: Vec<&str> = view.header.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, documented, "{}", view.name);
        assert!(table.row_count() > 0, "{} is empty", view.name);
    }
}
