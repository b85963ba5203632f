//! A signal ends a daemon. The only test of this file: a signal reaches the whole process.

use std::sync::Arc;

use fake::Daemon;
use nix::sys::signal::{Signal, kill};

mod fake;

#[test]
fn sigterm_closes_everything_in_good_order() {
    let daemon = Daemon::start(None);
    let state = Arc::clone(&daemon.state);
    kill(nix::unistd::getpid(), Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    let log = state.log.lock().unwrap();
    assert_eq!(
        log[2..],
        ["closed unit", "closed session socket", "closed management socket", "closed UDP socket"]
    );
}
