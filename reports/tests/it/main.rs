//! Views, audit queries and reports over one small site. `UPDATE_GOLDEN=1 cargo test -p meterledger-reports` writes the
//! expected output anew, in `tests/slt` and `reports/tests/golden`; review it with `git diff`.

mod audit;
mod fixture;
mod golden;
mod site;
mod slt;
mod views;

/// Whether expected output is to be written instead of compared.
fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}
