//! The module in `kernel/` comes and goes, with a thousand sessions, and hears whatever is sent to it, without a
//! complaint of the kernel's. `cargo xtask kmod test` builds it.

use std::path::Path;
use std::time::Duration;

use interop::lan::Lan;
use interop::uml::Uml;
use interop::{PATIENCE, uml};

/// How long what is done often may take.
const LONG: Duration = Duration::from_secs(300);

/// Unloads it. What has ended is gone a grace period later.
const UNLOAD: &str = "n=0; until rmmod pppol2tp 2>/run/why; do \
    n=$((n + 1)); test $n -lt 1000 || { cat /run/why; exit 1; }; done";

/// What kmemleak finds. It believes that what is younger than 5 s may still be on its way.
const LEAKS: &str = "mount -t debugfs debugfs /sys/kernel/debug; cd /sys/kernel/debug; \
    sleep 6; echo scan >kmemleak && echo scan >kmemleak && cat kmemleak";

/// A guest that has the module, and the program that uses it.
fn guest(lan: &Lan) -> Uml {
    assert!(
        uml::is_module(),
        "OL2TP_UML=module says that guests have the module: cargo xtask kmod test kmod"
    );
    let guest = Uml::boot(lan, 2).expect("a guest");
    guest.file("driver.pl", include_str!("../src/driver.pl")).expect("a file");
    guest
}

/// Looks for memory that nobody knows of; unloads it, which shows that nothing holds it; and looks for complaints.
fn good_end(guest: &Uml) {
    if uml::is_debug() {
        let leaks = guest.run(LEAKS).expect("kmemleak");
        assert!(!leaks.contains("pppol2tp"), "{leaks}");
    }
    guest.run(UNLOAD).expect("nothing holds it");
    assert_eq!(guest.complaint(), None);
}

#[test]
fn kmod_has_a_thousand_sessions() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let sessions = 1000;
    let job = guest.start(&format!("exec perl /host/driver.pl sessions {sessions}")).expect("started");
    let said = job.succeed(uml::patience(LONG)).expect("they carry frames, and end");
    assert_eq!(said, format!("{sessions} sessions"));
    good_end(&guest);
}

#[test]
fn kmod_hears_whatever_is_sent() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for name in ["control_datagram", "header", "receive"] {
        let (directory, files) = guest.files(&corpus.join(name)).expect("a corpus");
        let said = guest.start(&format!("exec perl /host/driver.pl datagrams {directory}"));
        let said = said.and_then(|job| job.succeed(uml::patience(LONG))).expect("it goes on");
        // In four modes, as they are and as the session's.
        assert_eq!(said, format!("{} datagrams", 8 * files));
        assert!(files > 0);
    }
    good_end(&guest);
}

#[test]
fn kmod_has_udp_checksums_as_its_socket_says() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    assert_eq!(guest.run("exec perl /host/driver.pl checksums").expect("as it says"), "6 checksums");
    good_end(&guest);
}

#[test]
fn kmod_comes_and_goes_under_traffic() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let rounds = 100;
    let loads = format!("exec perl /host/driver.pl loads /host/lib/modules/*/updates/pppol2tp.ko {rounds}");
    let said =
        guest.start(&loads).and_then(|job| job.succeed(uml::patience(LONG))).expect("it comes and goes");
    assert_eq!(said, format!("{rounds} loads"));
    good_end(&guest);
}

#[test]
fn kmod_ends_in_any_order_under_traffic() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let job = guest.start("exec perl /host/driver.pl orders").expect("started");
    assert_eq!(job.succeed(uml::patience(LONG)).expect("all ends"), "120 orders");
    good_end(&guest);
}

#[test]
fn kmod_ends_with_its_namespace_under_traffic() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let count = 20;
    let job = guest.start(&format!("exec perl /host/driver.pl namespaces {count}")).expect("started");
    assert_eq!(job.succeed(uml::patience(LONG)).expect("all ends"), format!("{count} namespaces"));
    good_end(&guest);
}

#[test]
fn kmod_stays_while_it_is_used() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    let frames = guest.start("exec perl /host/driver.pl frames 3600").expect("started");
    guest
        .run("until test -n \"$(sed -n '/SESSION .sess/p' /proc/net/pppol2tp)\"; do :; done")
        .expect("sessions");
    let refused = guest.run("rmmod pppol2tp").expect_err("it is in use");
    assert!(refused.to_string().contains("is in use"), "{refused}");
    frames.signal("TERM").expect("it goes on");
    // It has not ended by itself.
    assert_eq!(frames.wait(uml::patience(PATIENCE)).expect("an end").0, 128 + 15);
    good_end(&guest);
}

#[test]
fn kmod_does_not_load_beside_the_kernels_driver() {
    let lan = Lan::new().expect("a network");
    let guest = guest(&lan);
    guest.run("rmmod pppol2tp && modprobe --dirname /host l2tp_ppp").expect("the kernel's own driver");
    let refused = guest.run("modprobe --dirname /host pppol2tp").expect_err("there is one");
    assert!(refused.to_string().contains("already"), "{refused}");
    let console = guest.console();
    assert!(console.contains("rmmod l2tp_ppp, and load this one again"), "{console}");
    guest.run("rmmod l2tp_ppp && modprobe --dirname /host pppol2tp").expect("in its place");
    good_end(&guest);
}
