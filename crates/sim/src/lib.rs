//! Reference models that the tests hold the driver against.

pub mod model;
pub mod network;
