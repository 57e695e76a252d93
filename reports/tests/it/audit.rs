//! The audit finds nothing in a sound site, and each query finds the fault that is planted for it.

use engine::query::audit;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_site_rated_by_the_kernel_passes_every_audit_query() {
    let fixture = Fixture::new().await;
    let outcomes = audit::run(&fixture.session).await.unwrap();
    assert_eq!(outcomes.len(), audit::catalogue().len());
    for outcome in outcomes {
        assert_eq!(outcome.rows, 0, "{}: {}\n{}", outcome.name, outcome.purpose, outcome.sample);
        assert!(!outcome.purpose.is_empty(), "{}", outcome.name);
    }
}

/// Audit query -> what breaks it.
const FAULTS: &[(&str, &str)] = &[
    ("ledger_sums_to_zero", "UPDATE ledger_accounts SET currency = 'USD' WHERE id = 10"),
    ("transfers_are_sound", "UPDATE transfers SET amount = '-1.000000000' WHERE id = 1"),
    ("transfers_are_sound", "UPDATE transfers SET debit_id = 2, credit_id = 2 WHERE id = 2"),
    ("transfers_are_sound", "UPDATE transfers SET debit_id = 99 WHERE id = 3"),
    ("balances_equal_transfers_and_lines", "UPDATE transfers SET amount = '1.000000001' WHERE id = 101"),
    ("payments_have_one_transfer", "UPDATE payments SET amount = '800.000000001' WHERE id = 1"),
    ("payments_have_one_transfer", "UPDATE payments SET transfer_id = 3 WHERE id = 4"),
    ("payments_have_one_transfer", "UPDATE payments SET transfer_id = NULL WHERE id = 3"),
    (
        "usage_transfers_equal_their_lines",
        "UPDATE usage_lines SET amount = '0.000000001' WHERE transfer_id <> 0 AND service_point_id = 1",
    ),
    ("usage_transfers_equal_their_lines", "DELETE FROM transfers WHERE id = 100"),
    ("holds_end_once", "UPDATE holds SET account_id = 1, state = 'held', amount = '9' WHERE id = 2"),
    ("keys_have_one_result", "DELETE FROM money_keys WHERE key = 'capture-1'"),
    ("keys_have_one_result", "UPDATE money_keys SET transfer_id = 8 WHERE key = 'reversal-1'"),
    ("keys_have_one_result", "UPDATE money_keys SET transfer_id = 99 WHERE key = 'hold-2'"),
    ("keys_have_one_result", "UPDATE money_keys SET kind = 'bonus' WHERE key = 'suspense-1'"),
    ("keys_have_one_result", "UPDATE money_keys SET content_hash = '' WHERE key = 'hold-1'"),
    ("keys_have_one_result", "UPDATE money_keys SET key = 'key-9' WHERE key = 'key-4'"),
    ("keys_have_one_result", "DELETE FROM money_keys WHERE key = 'refund-2'"),
    ("holds_end_once", "UPDATE holds SET amount = '49.999999999' WHERE id = 1"),
    ("holds_end_once", "UPDATE holds SET captured = '49.999999999' WHERE id = 1"),
    ("holds_end_once", "UPDATE holds SET state = 'held' WHERE id = 1"),
    ("holds_end_once", "UPDATE holds SET ended_at = NULL WHERE id = 2"),
    ("holds_end_once", "UPDATE holds SET account_id = 2 WHERE id = 1"),
    ("holds_end_once", "DELETE FROM holds WHERE id = 1"),
    ("reversed_at_most_the_original", "UPDATE transfers SET amount = '50.000000001' WHERE id = 5"),
    ("reversed_at_most_the_original", "UPDATE transfers SET debit_id = 30 WHERE id = 5"),
    ("reversed_at_most_the_original", "UPDATE transfers SET linked_id = 99 WHERE id = 8"),
    ("reversed_at_most_the_original", "UPDATE transfers SET linked_id = 5, debit_id = 1, credit_id = 31 WHERE id = 8"),
    (
        "reversed_at_most_the_original",
        "INSERT INTO transfers SELECT 9, kind, debit_id, credit_id, '1', account_id, local_date, linked_id, booked_at, \
         effective_at, memo FROM transfers WHERE id = 8; UPDATE transfers SET amount = '1' WHERE id = 8",
    ),
    ("refunds_within_cash", "UPDATE transfers SET amount = '9.999999999' WHERE id IN (1, 3)"),
    ("refunds_within_cash", "UPDATE refunds SET decided_by = 'desk' WHERE id = 1"),
    ("refunds_within_cash", "UPDATE refunds SET amount = '19.000000000' WHERE id = 1"),
    ("refunds_within_cash", "UPDATE refunds SET transfer_id = 7 WHERE id = 2"),
    ("refunds_within_cash", "DELETE FROM refunds WHERE id = 1"),
    ("suspense_equals_its_list", "UPDATE suspense SET state = 'assigned'"),
    ("suspense_equals_its_list", "UPDATE transfers SET amount = '25.000000001' WHERE id = 6"),
    // Closed with a debt that nobody moved to its arrears, and arrears of an account that is not closed.
    ("arrears_equal_debts", "INSERT INTO closings VALUES (3, 0, 0, '0', NULL, 'desk')"),
    (
        "arrears_equal_debts",
        "INSERT INTO ledger_accounts VALUES (40, 'arrears:A-101', 'asset', 1, 'CNY'); \
         INSERT INTO transfers VALUES (9, 'arrears', 40, 1, '1.000000000', 1, NULL, NULL, 0, 0, 'a debt')",
    ),
    // Money that bought no units, charges that do not cost one a unit, and sales that are not their money at their price.
    ("units_equal_sales", "INSERT INTO unit_accounts VALUES (1, 'kWh')"),
    ("prices_recomputed", "INSERT INTO unit_accounts VALUES (1, 'kWh')"),
    ("units_equal_sales", "UPDATE unit_sales SET price = price + 1"),
    ("units_equal_sales", "UPDATE transfers SET amount = '30.768000000' WHERE id = 12"),
    ("units_equal_sales", "INSERT INTO unit_refunds VALUES (1, 1, 1)"),
    (
        "charges_equal_intervals",
        "UPDATE usage_lines SET quantity = quantity + 1 WHERE service_point_id = 2 AND local_date = (SELECT max(local_date) FROM usage_lines)",
    ),
    ("charges_equal_intervals", "DELETE FROM lake_files WHERE table_name = 'charges' AND utility = 'water'"),
    (
        "charges_equal_intervals_by_tier",
        "UPDATE usage_lines SET band = 3 WHERE band = 4 AND service_point_id = 3 AND local_date = (SELECT max(local_date) FROM usage_lines)",
    ),
    (
        "charges_equal_intervals_by_band",
        "UPDATE usage_lines SET local_date = local_date + 20 WHERE service_point_id = 2 AND local_date = (SELECT max(local_date) FROM usage_lines)",
    ),
    // Slots of an interval that is none, and of no like days.
    ("gaps_divided_as_like_days", "INSERT INTO divided_intervals VALUES (1, 1, 0, 9, 0, 9, 1000, 'profile')"),
    ("divided_intervals_add_up", "INSERT INTO divided_intervals VALUES (1, 1, 0, 9, 0, 9, 1000, 'linear')"),
    // Somebody says that there was no supply while something flowed.
    (
        "divided_intervals_add_up",
        "INSERT INTO outages VALUES (1, 5, 1774681200000000, 1774684800000000, 'storm', 'desk', 0, NULL, NULL)",
    ),
    ("prices_recomputed", "UPDATE usage_lines SET amount = '0.000000001' WHERE service_point_id = 3 AND tier = 2"),
    ("prices_recomputed", "UPDATE usage_lines SET tier = 7 WHERE service_point_id = 1"),
    // The register wraps on the way: without its modulus it only falls.
    (
        "conservation_of_energy",
        r#"UPDATE epochs SET definition = replace(definition, '"modulus":100000000', '"modulus":null')"#,
    ),
    // A difference that waits is energy that nobody used, and money that nobody owes.
    (
        "charges_equal_intervals",
        "UPDATE adjustments SET state = 'pending'; UPDATE adjustment_lines SET service_point_id = 2",
    ),
    (
        "charges_equal_intervals_by_band",
        "UPDATE adjustments SET state = 'rejected'; UPDATE adjustment_lines SET service_point_id = 2",
    ),
    ("charges_equal_intervals_by_tier", "UPDATE adjustments SET state = 'rejected'"),
    ("prices_recomputed", "UPDATE adjustments SET state = 'pending'"),
    ("adjustments_equal_their_lines", "UPDATE adjustments SET state = 'pending', difference = '0.500000001'"),
    ("adjustments_equal_their_lines", "UPDATE adjustments SET state = 'approved'"),
    ("statements_equal_charges", "UPDATE periods SET state = 'closed', local_month = local_month + 1"),
    // A duplicate in the lake that is counted after all: Berlin's first interval, 2026-03-28T07:00Z.
    ("readings_count_once", "INSERT INTO verdict_overrides VALUES (5, 1774681200000000, 1001, 1)"),
    ("one_open_command", "DROP INDEX one_open_command_per_meter; UPDATE commands SET open = 1"),
    ("lake_files_hold_their_rows", "UPDATE lake_files SET row_count = row_count - 1 WHERE id = 1"),
];

#[tokio::test]
async fn each_planted_fault_is_found_by_its_query() {
    let mut missed = Vec::new();
    for (name, fault) in FAULTS {
        let fixture = Fixture::new().await;
        fixture.execute(fault).await;
        let found = audit::run_one(&fixture.session, name).await.unwrap();
        if found.rows == 0 || found.sample.is_empty() {
            missed.push(format!("{name} did not find: {fault}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
