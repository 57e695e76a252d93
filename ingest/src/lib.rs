//! ingest

/// Buses, meters and relays over Modbus TCP.
pub mod field;
/// What a model of meter says where, as TOML.
pub mod profile;
/// Real Modbus TCP servers on loopback, to try everything on.
pub mod simulated;
