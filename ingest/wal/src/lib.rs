//! The durable log of readings and observations, and the clock that stamps it.
pub mod clock;
