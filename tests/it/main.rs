//! The real binary, driven from outside on folders of its own.

mod audit;
mod bad_input;
mod commands;
mod components;
mod field;
mod formats;
mod harness;
mod kill;
mod ledger;
mod outages;
mod periods;
mod pools;
mod real_data;
mod registers;
mod rerate;
mod simulate;
mod site;
mod socket;
mod statements;
mod supply;
mod units;
mod users;
mod webhook;
