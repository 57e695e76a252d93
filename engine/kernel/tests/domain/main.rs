//! The exact cases of domain.md, 11, that the kernel decides alone, and the laws behind them. A case is a line in a
//! table with its number; a law is a property over random input, with its seed printed when it fails.
#![expect(clippy::type_complexity, reason = "a case is a line in a table; a named type for each table would hide it")]

mod contracts;
mod days;
mod dynamic;
mod gaps;
mod households;
mod laws;
mod order;
mod partitions;
mod registers;
mod seams;
mod splits;
mod states;
mod support;
mod tariffs;
mod tiers;
