//! The exact cases of domain.md, 11, that the kernel decides alone, and the laws behind them. A case is a line in a
//! table with its number; a law is a property over random input, with its seed printed when it fails.
//!
//! | case | where |
//! | --- | --- |
//! | 1, 2, 3, 3a, 3b, 4 | `registers::counts_are_judged_and_billed_as_the_table_says`, by number |
//! | 5, 6 | `seams::case_5_...`, `seams::case_6_...` |
//! | 7, 8, 12 | `splits::a_band_switch_splits_by_time_...` by number, `splits::case_8_...`, `splits::case_12_...` |
//! | 9, 10 | `tiers::cases_9_and_10_...` |
//! | 11 | `days::days_are_as_long_as_the_clocks_make_them_...`, `days::the_bands_partition_every_day` |
//! | 13 | `order::case_13_...`, and at length `arrival` |
//! | 14 | `profiles::case_14_...`, and `gaps::case_14_...` without history |
//! | 21 | `kernel::statement`, `case_21_a_hundred_over_three_equal_payers` |
//! | 23 | `registers::case_23_...`; the alarm is the engine's |
//! | 24 | `contracts::case_24_...` |
//! | 26 | `contracts::case_26_...`; the final bill and its adjustment are the engine's |
//!
//! Cases 15 (a top-up delivered five times) and 25 (a tariff version in use is edited) are about the book and need the
//! engine.
#![expect(clippy::type_complexity, reason = "a case is a line in a table; a named type for each table would hide it")]

mod arrival;
mod bounds;
mod components;
mod contracts;
mod conversions;
mod days;
mod demand;
mod dynamic;
mod gaps;
mod history;
mod households;
mod laws;
mod names;
mod order;
mod partitions;
mod pool;
mod profiles;
mod registers;
mod reverse;
mod seams;
mod splits;
mod states;
mod support;
mod tariffs;
mod tiers;
