//! The book's columns as Arrow types. When a format gets a new script (`book::format`), this changes with it; a test compares the two.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::lake::schema::{AMOUNT, timestamp};

/// What a column of the book holds, and so its type in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier of the registry: Int32, as in the lake.
    Id,
    /// Any other integer: Int64.
    Long,
    /// Bands and verdicts: Int8, as in the lake.
    Code,
    /// Tiers: Int16, as in the lake.
    Small,
    /// 0 or 1: Boolean.
    Flag,
    /// Text: Utf8.
    Text,
    /// Bytes: Binary.
    Bytes,
    /// An amount as decimal text: DECIMAL(38, 9).
    Amount,
    /// Microseconds UTC: Timestamp with time zone UTC.
    Time,
    /// Days since 1970-01-01: Date32.
    Date,
}

impl Kind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Id => DataType::Int32,
            Kind::Long => DataType::Int64,
            Kind::Code => DataType::Int8,
            Kind::Small => DataType::Int16,
            Kind::Flag => DataType::Boolean,
            Kind::Text => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Amount => AMOUNT,
            Kind::Time => timestamp(),
            Kind::Date => DataType::Date32,
        }
    }
}

/// One table of the book.
#[derive(Clone, Copy, Debug)]
pub struct BookTable {
    /// Its name.
    pub name: &'static str,
    /// Its columns, all of them.
    pub columns: &'static [(&'static str, Kind)],
}

impl BookTable {
    /// Its Arrow schema. Every column may be null: the database, not Arrow, keeps what must not be.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.columns)
    }
}

/// The Arrow schema of columns.
#[must_use]
pub fn schema_of(columns: &[(&str, Kind)]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true)).collect::<Vec<_>>(),
    ))
}

/// The table of that name.
#[must_use]
pub fn table(name: &str) -> Option<&'static BookTable> {
    TABLES.iter().find(|table| table.name == name)
}

use Kind::{Amount, Bytes, Code, Date, Flag, Id, Long, Small, Text, Time};

/// All tables of the book but the [`SECRET`] ones.
pub const TABLES: &[BookTable] = &[
    BookTable { name: "meta", columns: &[("key", Text), ("value", Text)] },
    BookTable { name: "progress", columns: &[("name", Text), ("value", Long)] },
    BookTable { name: "calendars", columns: &[("id", Id), ("name", Text), ("definition", Text)] },
    BookTable { name: "policies", columns: &[("id", Id), ("name", Text), ("definition", Text)] },
    BookTable {
        name: "sites",
        columns: &[
            ("id", Id),
            ("name", Text),
            ("title", Text),
            ("time_zone", Text),
            ("currency", Text),
            ("calendar_id", Id),
            ("mode", Text),
            ("webhook", Text),
            ("created_at", Time),
        ],
    },
    BookTable {
        name: "locations",
        columns: &[
            ("id", Id),
            ("site_id", Id),
            ("parent_id", Id),
            ("name", Text),
            ("title", Text),
            ("kind", Text),
            ("area_centi_m2", Long),
        ],
    },
    BookTable {
        name: "accounts",
        columns: &[
            ("id", Id),
            ("site_id", Id),
            ("name", Text),
            ("holder", Text),
            ("kind", Text),
            ("policy_id", Id),
            ("location_id", Id),
            ("credit_limit", Amount),
            ("cutoff_enabled", Flag),
            ("protected", Text),
            ("confirmed_at", Time),
            ("opened_at", Time),
            ("closed_at", Time),
        ],
    },
    BookTable {
        name: "tariffs",
        columns: &[("id", Id), ("name", Text), ("utility", Text), ("currency", Text), ("unit", Text)],
    },
    BookTable {
        name: "tariff_versions",
        columns: &[
            ("id", Id),
            ("tariff_id", Id),
            ("valid_from", Time),
            ("definition", Text),
            ("published_at", Time),
            ("superseded_at", Time),
        ],
    },
    BookTable {
        name: "service_points",
        columns: &[("id", Id), ("site_id", Id), ("name", Text), ("utility", Text), ("location_id", Id), ("unit", Text)],
    },
    BookTable {
        name: "contracts",
        columns: &[
            ("id", Id),
            ("service_point_id", Id),
            ("account_id", Id),
            ("tariff_id", Id),
            ("valid_from", Time),
            ("valid_to", Time),
            ("superseded_at", Time),
            ("persons", Long),
            ("households", Long),
        ],
    },
    BookTable {
        name: "meters",
        columns: &[
            ("id", Id),
            ("site_id", Id),
            ("serial", Text),
            ("profile", Text),
            ("utility", Text),
            ("kind", Text),
            ("resolution_numerator", Long),
            ("resolution_denominator", Long),
            ("bus", Text),
            ("unit", Long),
            ("poll_micros", Long),
            ("has_relay", Flag),
            ("rating_mw", Long),
        ],
    },
    BookTable {
        name: "epochs",
        columns: &[
            ("id", Id),
            ("meter_id", Id),
            ("service_point_id", Id),
            ("valid_from", Time),
            ("valid_to", Time),
            ("definition", Text),
            ("reason", Text),
            ("superseded_at", Time),
        ],
    },
    BookTable {
        name: "ledger_accounts",
        columns: &[("id", Long), ("name", Text), ("kind", Text), ("account_id", Id), ("currency", Text)],
    },
    BookTable {
        name: "transfers",
        columns: &[
            ("id", Long),
            ("kind", Text),
            ("debit_id", Long),
            ("credit_id", Long),
            ("amount", Amount),
            ("account_id", Id),
            ("local_date", Date),
            ("linked_id", Long),
            ("booked_at", Time),
            ("effective_at", Time),
            ("memo", Text),
        ],
    },
    BookTable {
        name: "payments",
        columns: &[
            ("id", Long),
            ("key", Text),
            ("account_id", Id),
            ("channel", Text),
            ("provider", Text),
            ("provider_transaction", Text),
            ("amount", Amount),
            ("state", Text),
            ("created_at", Time),
            ("posted_at", Time),
            ("transfer_id", Long),
            ("actor", Text),
        ],
    },
    BookTable {
        name: "usage_lines",
        columns: &[
            ("service_point_id", Id),
            ("account_id", Id),
            ("local_date", Date),
            ("component", Text),
            ("band", Code),
            ("tier", Small),
            ("tariff_version_id", Id),
            ("transfer_id", Long),
            ("quantity", Long),
            ("amount", Amount),
        ],
    },
    BookTable {
        name: "posted_lines",
        columns: &[("id", Long), ("least", Long), ("most", Long), ("line_count", Long), ("lines", Bytes)],
    },
    BookTable { name: "wallets", columns: &[("account_id", Id), ("posted", Amount)] },
    BookTable { name: "service_point_states", columns: &[("service_point_id", Id), ("seq", Long), ("state", Bytes)] },
    BookTable { name: "checkpoints", columns: &[("service_point_id", Id), ("local_month", Long), ("state", Bytes)] },
    BookTable { name: "hot_verdicts", columns: &[("seq", Long), ("row_index", Long), ("verdict", Code)] },
    BookTable {
        name: "verdict_overrides",
        columns: &[("meter_id", Id), ("time", Time), ("value", Long), ("verdict", Code)],
    },
    BookTable {
        name: "lake_files",
        columns: &[
            ("id", Long),
            ("table_name", Text),
            ("path", Text),
            ("utility", Text),
            ("month", Text),
            ("row_count", Long),
            ("byte_count", Long),
            ("first_seq", Long),
            ("last_seq", Long),
            ("added_at", Time),
        ],
    },
    BookTable {
        name: "supply",
        columns: &[
            ("meter_id", Id),
            ("account_id", Id),
            ("desired", Text),
            ("commanded", Text),
            ("observed", Text),
            ("observed_at", Time),
            ("opened_for", Text),
            ("changed_at", Time),
            ("evaluation_id", Long),
        ],
    },
    BookTable {
        name: "commands",
        columns: &[
            ("id", Long),
            ("meter_id", Id),
            ("account_id", Id),
            ("action", Text),
            ("state", Text),
            ("open", Flag),
            ("reason", Text),
            ("evaluation_id", Long),
            ("actor", Text),
            ("created_at", Time),
            ("expires_at", Time),
            ("sent_at", Time),
            ("ended_at", Time),
            ("attempts", Long),
            ("definition", Text),
        ],
    },
    BookTable {
        name: "evaluations",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("at", Time),
            ("decision", Text),
            ("mode", Text),
            ("balance", Amount),
            ("balance_as_of", Time),
            ("reasons", Text),
        ],
    },
    BookTable {
        name: "notices",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("meter_id", Id),
            ("kind", Text),
            ("level", Long),
            ("text", Text),
            ("balance", Amount),
            ("created_at", Time),
        ],
    },
    BookTable {
        name: "outbox",
        columns: &[
            ("id", Long),
            ("channel", Text),
            ("subject_id", Long),
            ("payload", Text),
            ("created_at", Time),
            ("next_at", Time),
            ("attempts", Long),
            ("delivered_at", Time),
            ("last_error", Text),
        ],
    },
    BookTable { name: "alert_states", columns: &[("account_id", Id), ("definition", Text)] },
    BookTable {
        name: "audit_log",
        columns: &[
            ("id", Long),
            ("at", Time),
            ("actor", Text),
            ("kind", Text),
            ("subject", Text),
            ("detail", Text),
            ("prev_hash", Text),
            ("hash", Text),
        ],
    },
    BookTable {
        name: "money_keys",
        columns: &[
            ("key", Text),
            ("kind", Text),
            ("content_hash", Text),
            ("transfer_id", Long),
            ("subject_id", Long),
            ("actor", Text),
            ("at", Time),
        ],
    },
    BookTable {
        name: "holds",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("amount", Amount),
            ("reason", Text),
            ("state", Text),
            ("placed_at", Time),
            ("expires_at", Time),
            ("ended_at", Time),
            ("captured", Amount),
            ("transfer_id", Long),
            ("actor", Text),
        ],
    },
    BookTable {
        name: "refunds",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("amount", Amount),
            ("channel", Text),
            ("reason", Text),
            ("state", Text),
            ("approval_above", Amount),
            ("proposed_by", Text),
            ("proposed_at", Time),
            ("decided_by", Text),
            ("decided_at", Time),
            ("transfer_id", Long),
        ],
    },
    BookTable { name: "refund_limits", columns: &[("id", Id), ("amount", Amount)] },
    BookTable {
        name: "suspense",
        columns: &[
            ("id", Long),
            ("key", Text),
            ("payer", Text),
            ("amount", Amount),
            ("currency", Text),
            ("channel", Text),
            ("state", Text),
            ("received_at", Time),
            ("transfer_id", Long),
            ("account_id", Id),
            ("assigned_at", Time),
            ("assignment_id", Long),
            ("actor", Text),
        ],
    },
    BookTable {
        name: "closings",
        columns: &[
            ("account_id", Id),
            ("closed_at", Time),
            ("booked_at", Time),
            ("balance", Amount),
            ("refund_id", Long),
            ("actor", Text),
        ],
    },
    BookTable { name: "meter_parents", columns: &[("id", Id), ("parent_id", Id)] },
    BookTable {
        name: "quality_acknowledgements",
        columns: &[
            ("id", Long),
            ("meter_id", Id),
            ("issue", Text),
            ("since", Time),
            ("reason", Text),
            ("actor", Text),
            ("at", Time),
        ],
    },
    BookTable {
        name: "periods",
        columns: &[
            ("site_id", Id),
            ("local_month", Long),
            ("state", Text),
            ("changed_at", Time),
            ("actor", Text),
            ("reason", Text),
        ],
    },
    BookTable { name: "adjustment_limits", columns: &[("site_id", Id), ("amount", Amount)] },
    BookTable {
        name: "adjustments",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("utility", Text),
            ("local_month", Long),
            ("state", Text),
            ("cause", Text),
            ("detail", Text),
            ("difference", Amount),
            ("actor", Text),
            ("proposed_at", Time),
            ("decided_by", Text),
            ("decided_at", Time),
            ("reason", Text),
            ("posted_date", Date),
            ("superseded_by", Long),
        ],
    },
    BookTable {
        name: "adjustment_lines",
        columns: &[
            ("adjustment_id", Long),
            ("service_point_id", Id),
            ("local_date", Date),
            ("component", Text),
            ("band", Code),
            ("tier", Small),
            ("tariff_version_id", Id),
            ("quantity_before", Long),
            ("amount_before", Amount),
            ("quantity", Long),
            ("amount", Amount),
            ("transfer_id", Long),
        ],
    },
    BookTable {
        name: "corrections",
        columns: &[
            ("id", Long),
            ("meter_id", Id),
            ("time", Time),
            ("kind", Text),
            ("start", Time),
            ("value", Long),
            ("reason", Text),
            ("actor", Text),
            ("corrected_at", Time),
            ("verdict", Code),
            ("superseded_by", Long),
        ],
    },
    BookTable {
        name: "statement_lines",
        columns: &[
            ("account_id", Id),
            ("local_month", Long),
            ("statement", Long),
            ("line", Long),
            ("service_point_id", Id),
            ("usage_month", Long),
            ("first_date", Date),
            ("component", Text),
            ("band", Code),
            ("tier", Small),
            ("tariff_version_id", Id),
            ("quantity", Long),
            ("amount", Amount),
            ("carried_in", Amount),
            ("rounded", Amount),
            ("carried_out", Amount),
            ("closed_at", Time),
            ("withdrawn_at", Time),
        ],
    },
    BookTable {
        name: "statement_carries",
        columns: &[
            ("account_id", Id),
            ("service_point_id", Id),
            ("component", Text),
            ("band", Code),
            ("tier", Small),
            ("tariff_version_id", Id),
            ("amount", Amount),
        ],
    },
    BookTable { name: "gas_qualities", columns: &[("id", Id), ("name", Text)] },
    BookTable {
        name: "calorific_values",
        columns: &[
            ("id", Id),
            ("gas_quality_id", Id),
            ("valid_from", Time),
            ("calorific_value", Long),
            ("reason", Text),
            ("superseded_at", Time),
        ],
    },
    BookTable {
        name: "conversions",
        columns: &[
            ("id", Id),
            ("service_point_id", Id),
            ("valid_from", Time),
            ("gas_quality_id", Id),
            ("calorific_value", Long),
            ("correction", Long),
            ("reason", Text),
            ("superseded_at", Time),
        ],
    },
    BookTable { name: "unit_accounts", columns: &[("id", Id), ("unit", Text)] },
    BookTable {
        name: "unit_sales",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("sold_at", Time),
            ("utility", Text),
            ("tariff_version_id", Id),
            ("price", Long),
            ("units", Long),
            ("money", Amount),
            ("remainder", Amount),
            ("money_transfer_id", Long),
            ("unit_transfer_id", Long),
            ("state", Text),
        ],
    },
    BookTable { name: "unit_refunds", columns: &[("refund_id", Long), ("sale_id", Long), ("units", Long)] },
    BookTable {
        name: "statement_roundings",
        columns: &[("site_id", Id), ("since", Time), ("rounding", Text), ("digits", Long)],
    },
    BookTable {
        name: "contract_facts",
        columns: &[("contract_id", Long), ("kind", Text), ("name", Text), ("value", Long)],
    },
    BookTable { name: "accruals", columns: &[("service_point_id", Id), ("accrued_through", Date)] },
    BookTable {
        name: "outages",
        columns: &[
            ("id", Long),
            ("meter_id", Id),
            ("from_time", Time),
            ("to_time", Time),
            ("reason", Text),
            ("actor", Text),
            ("recorded_at", Time),
            ("withdrawn_at", Time),
            ("withdrawn_by", Text),
        ],
    },
    BookTable {
        name: "divided_intervals",
        columns: &[
            ("service_point_id", Id),
            ("epoch_id", Id),
            ("from_time", Time),
            ("to_time", Time),
            ("slot_from", Time),
            ("slot_to", Time),
            ("quantity", Long),
            ("allocation", Text),
        ],
    },
    BookTable { name: "pooled_accounts", columns: &[("id", Id)] },
    BookTable {
        name: "users",
        columns: &[("id", Long), ("name", Text), ("title", Text), ("created_at", Time), ("disabled_at", Time)],
    },
    BookTable { name: "user_roles", columns: &[("user_id", Long), ("role", Text)] },
    BookTable {
        name: "tokens",
        columns: &[
            ("id", Long),
            ("user_id", Long),
            ("kind", Text),
            ("name", Text),
            ("created_at", Time),
            ("expires_at", Time),
            ("revoked_at", Time),
        ],
    },
    BookTable {
        name: "keep_power",
        columns: &[
            ("id", Long),
            ("account_id", Id),
            ("from_time", Time),
            ("until_time", Time),
            ("reason", Text),
            ("actor", Text),
            ("ended_at", Time),
            ("ended_by", Text),
        ],
    },
];

/// Tables of the book that no SQL reaches: hashes of passwords and tokens, and what was typed as a name.
pub const SECRET: &[&str] = &["password_hashes", "token_hashes", "sign_in_attempts"];

#[cfg(test)]
mod tests {
    use super::*;

    /// `(table, columns with their declared types)` of the scripts' CREATE TABLE and ALTER TABLE .. ADD COLUMN statements.
    fn declared() -> Vec<(String, Vec<(String, String)>)> {
        let scripts = crate::book::format::SCRIPTS.concat();
        let text: String = scripts.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
        let mut tables: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for statement in text.split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            if let ["ALTER", "TABLE", name, "ADD", "COLUMN", column, stored, ..] = words[..] {
                let table = tables.iter_mut().find(|(known, _)| known == name).unwrap();
                table.1.push((column.to_owned(), stored.to_owned()));
            }
            if !statement.contains("CREATE TABLE") {
                continue;
            }
            let (head, body) = statement.split_once('(').unwrap();
            let name = head.split_whitespace().last().unwrap().to_owned();
            let mut depth = 0;
            let mut parts = vec![String::new()];
            for character in body.chars() {
                match character {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    ',' if depth == 0 => parts.push(String::new()),
                    _ => {}
                }
                if depth == 0 && character != ',' {
                    parts.last_mut().unwrap().push(character);
                }
            }
            let columns = parts.iter().map(|part| part.split_whitespace().collect::<Vec<_>>());
            let columns = columns.filter(|words| words.len() > 1 && !["PRIMARY", "UNIQUE"].contains(&words[0]));
            tables.push((name, columns.map(|words| (words[0].to_owned(), words[1].to_owned())).collect()));
        }
        tables
    }

    #[test]
    fn no_secret_is_a_table_of_sql() {
        let declared = declared();
        for secret in SECRET {
            assert!(declared.iter().any(|(name, _)| name == secret), "{secret} is no table of the book");
            assert!(table(secret).is_none(), "{secret} can be asked for in SQL");
        }
        let hash = |name: &str| name.contains("hash") || name == "phc";
        let shown = TABLES.iter().filter(|table| table.columns.iter().any(|(name, _)| hash(name)));
        // Of an order's content, and of the audit log.
        assert_eq!(shown.map(|table| table.name).collect::<Vec<_>>(), ["audit_log", "money_keys"]);
    }

    #[test]
    fn every_column_of_the_schema_file_has_its_arrow_type() {
        let mut declared = declared();
        declared.retain(|(name, _)| !SECRET.contains(&name.as_str()));
        assert_eq!(declared.len(), TABLES.len());
        for ((name, columns), table) in declared.iter().zip(TABLES) {
            assert_eq!(name, table.name);
            let stored = |kind: Kind| match kind {
                Text | Amount => "TEXT",
                Bytes => "BLOB",
                _ => "BIGINT",
            };
            let ours: Vec<_> =
                table.columns.iter().map(|(name, kind)| ((*name).to_owned(), stored(*kind).to_owned())).collect();
            assert_eq!(*columns, ours, "{name}");
        }
    }
}
