//! All rules of metering, tariffs, money and cut-off, as pure functions over plain data.
//!
//! **Promises.** The same inputs give the same outputs, to the last digit, on every machine: quantities,
//! prices and amounts are integers, every division says how it rounds, and sums never wrap.
//!
//! **Invariants.** The kernel has no clock, no randomness, no I/O, no async and no floats. Time, identifiers and
//! evidence enter as data; verdicts, charges and decisions leave as data, and the shells around it perform them.
//!
//! **Survives a crash:** nothing. State that must survive is a value that the engine stores in the book.
//!
//! Modules in reading order: [`id`], [`unit`], [`time`], [`money`], [`few`], [`seldom`], [`reading`] and [`batch`] are the words; [`epoch`],
//! [`judge`], [`conversion`], [`calendar`], [`tariff`], [`rate`], [`gap`], [`history`], [`point`] and [`pool`] price what
//! meters read; [`component`] and [`statement`] make bills of it, [`sale`] keeps wallets
//! in units; [`control`] cuts off and reconnects.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::float_cmp, clippy::lossy_float_literal)]

extern crate alloc;

pub mod batch;
pub mod calendar;
pub mod component;
pub mod control;
pub mod conversion;
pub mod epoch;
pub mod few;
pub mod gap;
pub mod history;
pub mod id;
pub mod judge;
pub mod money;
pub mod partition;
pub mod point;
pub mod pool;
pub mod rate;
pub mod reading;
pub mod reverse;
pub mod sale;
pub mod seldom;
pub mod series;
pub mod statement;
pub mod tariff;
pub mod tier;
pub mod time;
pub mod unit;
