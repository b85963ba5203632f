//! The choice of a home.

use std::sync::Arc;

use crate::linux::LinuxDriver;
use crate::user::{Config, UserDriver};
use crate::{Driver, Result};

/// The kernel's driver where a probe shows that it works, else the one in user space; and why, in words.
pub fn auto(config: Config) -> Result<(Arc<dyn Driver>, String)> {
    match LinuxDriver::probe() {
        Ok(driver) => Ok((Arc::new(driver), "the kernel's PPPoL2TP works here".into())),
        Err(error) => {
            let why = format!("the kernel's PPPoL2TP does not work here: {error}");
            Ok((Arc::new(UserDriver::new(config)?), why))
        }
    }
}
