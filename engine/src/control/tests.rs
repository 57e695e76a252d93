//! Control over a real book in memory and a fake field, driven second by second by a clock that the test moves.

mod by_hand;
mod restart;
mod scenarios;
mod world;

pub(crate) use world::{Crash, Fault, World};
