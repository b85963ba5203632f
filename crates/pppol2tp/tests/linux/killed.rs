//! The process is killed with sessions up: the kernel cleans up.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use pppol2tp::UnitConfig;

use crate::bed::*;
use crate::common::{PATIENCE, udp};
use crate::tests;

tests! {
    nothing_is_left
}

/// Makes this program the process that is killed.
pub(crate) const CHILD: &str = "--child";

pub(crate) fn child() -> ExitCode {
    let (end, _peer) = raw();
    end.session.pass_up().expect("alive");
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    unit.set_up(true).expect("up");
    println!("up {} {}", unit.interface(), end.local());
    end.handle.recv_timeout(PATIENCE * 6);
    ExitCode::FAILURE
}

fn nothing_is_left() {
    let program = std::env::current_exe().expect("this test");
    let mut child = Command::new(program).arg(CHILD).stdout(Stdio::piped()).spawn().expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let up = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("up ").map(String::from));
    let up = up.expect("the child's driver is up");
    let (interface, local) = up.split_once(' ').expect("both");
    assert_eq!(interfaces(), [interface]);
    assert_eq!(known().len(), 2);
    child.kill().expect("killed");
    child.wait().expect("dead");
    assert_eq!(interfaces(), [""; 0]);
    until("the kernel has closed all", || known().is_empty());
    let peer = udp("127.0.0.1:0");
    let end = End::new(udp(local), peer.local_addr().expect("its address"), 1, 2);
    assert_eq!(end.session.unit(UnitConfig::default()).expect("a unit").interface(), interface);
}
