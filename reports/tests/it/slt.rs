//! `tests/slt/*.slt`: statements and their exact rows, with strict column types and decimals at full scale.

use std::path::Path;

use async_trait::async_trait;
use engine::query::{QueryError, QuerySession};
use reports::{Format, render_rows};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::fixture::Fixture;
use crate::updating;

struct Database(QuerySession);

#[async_trait]
impl AsyncDB for Database {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let rows = self.0.query(sql).await?;
        let types = rows.schema.fields().iter().map(|field| {
            let kind = field.data_type();
            if kind.is_integer() {
                DefaultColumnType::Integer
            } else if kind.is_numeric() {
                DefaultColumnType::FloatingPoint
            } else {
                DefaultColumnType::Text
            }
        });
        let types: Vec<DefaultColumnType> = types.collect();
        let csv = String::from_utf8(render_rows(&rows, Format::Csv).unwrap()).unwrap();
        let cell = |cell: &str| if cell.is_empty() { "NULL".to_owned() } else { cell.to_owned() };
        let rows = csv.lines().skip(1).map(|line| cells(line).iter().map(|text| cell(text)).collect()).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "meterledger"
    }
}

/// The cells of a line of CSV.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    for (index, piece) in line.split('"').enumerate() {
        if index % 2 == 1 {
            cells.last_mut().unwrap().push_str(piece);
            continue;
        }
        for (place, part) in piece.split(',').enumerate() {
            if place > 0 {
                cells.push(String::new());
            }
            cells.last_mut().unwrap().push_str(part);
        }
    }
    cells
}

#[tokio::test]
async fn every_statement_of_the_slt_files_gives_its_rows() {
    let fixture = Fixture::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/slt");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Database(fixture.session.clone())) });
        runner.with_column_validator(sqllogictest::strict_column_validator);
        if updating() {
            let validator = sqllogictest::default_validator;
            let normalizer = sqllogictest::default_normalizer;
            let strict = sqllogictest::strict_column_validator;
            runner.update_test_file(&file, " ", validator, normalizer, strict).await.unwrap();
        }
        runner.run_file_async(&file).await.unwrap();
    }
}
