//! A static session from its start to its end, whatever ends it.

use std::sync::{Arc, Mutex};

use fake::{CLOSED, Daemon};
use ol2tpd::control::What;
use pppol2tp::Reason;

mod fake;

#[test]
fn addresses_come_after_up_and_the_udp_socket_is_closed_first() {
    let daemon = Daemon::start(None);
    let state = Arc::clone(&daemon.state);
    daemon.stop().unwrap();
    let log = state.log.lock().unwrap();
    assert_eq!(log[..2], ["up true", "address 10.0.0.1 peer 10.0.0.2"]);
    assert_eq!(log[2..], CLOSED);
}

#[test]
fn an_interface_that_disappears_is_an_error() {
    let daemon = Daemon::start(None);
    let state = Arc::clone(&daemon.state);
    state.kill_unit();
    let error = daemon.wait().unwrap_err().to_string();
    assert!(error.contains("interface ppp0 has gone") && error.contains("start it again"), "{error}");
    assert_eq!(state.log.lock().unwrap()[2..], CLOSED);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_nobody_takes_is_counted_and_told_once_a_second() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
    let daemon = Daemon::start(None);
    daemon.state.pass_up(Reason::Control, 1000);
    daemon.state.pass_up(Reason::UnknownSession, 50);
    daemon.state.ppp_control(30);
    let ignored = |what: &str| -> Vec<u64> {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told = text.lines().filter(|line| line.contains(what));
        told.map(|line| line.split_whitespace().nth(2).unwrap().parse().unwrap()).collect()
    };
    let start = std::time::Instant::now();
    let kinds = [("control messages", 1000), ("data messages of unknown", 50), ("PPP control frames", 30)];
    while kinds.iter().any(|(what, count)| ignored(what).iter().sum::<u64>() != *count) {
        assert!(start.elapsed().as_secs() < 20, "{}", String::from_utf8_lossy(&lines.0.lock().unwrap()));
        daemon.client().show(What::Sockets).unwrap();
    }
    let most = 1 + start.elapsed().as_secs() as usize;
    for (what, _) in kinds {
        assert!(ignored(what).len() <= most, "{what}: told {} times", ignored(what).len());
    }
    daemon.stop().unwrap();
}
