//! ingest

/// What a model of meter says where, as TOML.
pub mod profile;
