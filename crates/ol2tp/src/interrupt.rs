//! SIGINT and SIGTERM as a value that can be waited for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use crate::exit::{Doing, Failure, Result};

/// Knows whether a signal has come.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<(Mutex<bool>, Condvar)>);

fn signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM])
}

impl Interrupt {
    /// Takes SIGINT and SIGTERM from now on. To be called before any other thread is started.
    pub fn catch() -> Result<Self> {
        let signals = signals();
        signals.thread_block().doing("blocking signals")?;
        let interrupt = Self::default();
        let told = interrupt.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.wait().is_ok() {
                    told.raise();
                }
            })
            .doing("starting a thread")?;
        Ok(interrupt)
    }

    /// What a signal does.
    pub fn raise(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits for `time`; an error if a signal came before or meanwhile.
    pub fn wait(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut came = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *came {
                return Err(Failure::interrupted());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            came = self.0.1.wait_timeout(came, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An error if a signal has come.
    pub fn check(&self) -> Result<()> {
        self.wait(Duration::ZERO)
    }
}

/// Lets SIGINT and SIGTERM through again: a child inherits what its parent blocked.
pub fn unblock() -> Result<()> {
    signals().thread_unblock().doing("unblocking signals")
}
