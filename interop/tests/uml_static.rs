//! `ol2tp static` in a guest, on Linux' PPPoL2TP, and in user space here: one session between the two homes.

use std::process::Command;

use interop::PATIENCE;
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;

/// What is said of an option that the kernel's driver does not know.
const NO_EFFECT: &str = " is of no effect: it is for driver = \"user\", and this is the kernel's";

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
    assert!(!guest.console().contains(NO_EFFECT), "{}", guest.console());
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

#[test]
fn uml_is_told_which_options_have_no_effect() {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let ol2tp = guest.program(&interop::ol2tp().expect("the command")).expect("copied");
    let address = guest.address;
    let session = "--tunnel 1:2 --session 10:20 --debug-rate off";
    let server = "--user anna:sesame --local-address 10.0.0.1 --pool 10.0.0.2-10.0.0.9";
    let commands = [
        (
            format!("static {session} --local {address}:1701 --peer {HERE}:1701"),
            " is up, MTU ",
            &["--mode", "--debug-rate"][..],
        ),
        (format!("serve {server} --listen {address}"), "listening on ", &["--mode"]),
    ];
    for (command, ready, options) in commands {
        for driver in ["linux", "auto"] {
            let command =
                format!("exec {ol2tp} {command} --socket /run/ol2tp.sock --driver {driver} --mode plain");
            let job = guest.start(&command).expect("started");
            job.find(PATIENCE, with(ready)).expect("it runs");
            for option in options {
                job.find(PATIENCE, with(&format!("{option}{NO_EFFECT}"))).expect("it is said");
            }
            job.signal("INT").expect("it runs");
            job.succeed(PATIENCE).expect("a good end");
        }
    }
}
