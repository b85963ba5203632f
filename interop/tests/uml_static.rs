//! `ol2tp static` in a guest, on Linux' PPPoL2TP, and in user space here: one session between the two homes.

use std::process::Command;

use interop::PATIENCE;
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;

#[test]
fn uml_has_a_static_session_with_user_space() {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let ol2tp = interop::ol2tp().expect("the command");
    let there = guest.address;
    let linux = format!(
        "exec {} static --driver linux --socket /run/ol2tp.sock --local {there}:1701 --peer {HERE}:1701 \
         --tunnel 1:2 --session 10:20 --address 10.0.0.1 --peer-address 10.0.0.2",
        guest.program(&ol2tp).expect("copied")
    );
    let linux = guest.start(&linux).expect("started");
    linux.find(PATIENCE, with("ppp0 is up, MTU 1458")).expect("an interface");
    let known = guest.run("cat /proc/net/pppol2tp").expect("the kernel's text");
    assert!(known.contains("SESSION '") && known.contains("ppp0"), "{known}");

    let socket = format!("{}/static.sock", env!("CARGO_TARGET_TMPDIR"));
    let mut user = Command::new(&ol2tp);
    user.args(["static", "--driver", "user", "--socket", &socket]);
    user.args(["--local", &format!("{HERE}:1701"), "--peer", &format!("{there}:1701")]);
    user.args([
        "--tunnel",
        "2:1",
        "--session",
        "20:10",
        "--address",
        "10.0.0.2",
        "--peer-address",
        "10.0.0.1",
    ]);
    let user = lan.here.start("ol2tp static", &user).expect("started");
    user.log.find(PATIENCE, with("ppp0 is up, MTU 1458")).expect("an interface");
    guest.run("ping -q -c 5 -i 0.1 -W 5 10.0.0.2").expect("echoes");
    lan.here.run("ping -q -c 5 -i 0.1 -W 5 10.0.0.1").expect("echoes");
}
