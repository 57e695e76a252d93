//! What the cases share: zones built by hand, scenes (a service point with its terms), and a driver of late readings.

pub(crate) mod driver;
pub(crate) mod scene;
pub(crate) mod zone;
