//! A signal ends a daemon. The only test of this file: a signal reaches the whole process.

use std::sync::Arc;

use fake::{CLOSED, Daemon};
use nix::sys::signal::{Signal, kill};

mod fake;

#[test]
fn sigterm_closes_everything_in_good_order() {
    let daemon = Daemon::start(None);
    let state = Arc::clone(&daemon.state);
    kill(nix::unistd::getpid(), Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    assert_eq!(state.log.lock().unwrap()[2..], CLOSED);
}
