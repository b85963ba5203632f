//! What is left after privileges are dropped, in this thread and in what it starts.

use std::fs;
use std::process::Command;
use std::thread;

use caps::{CapSet, Capability, CapsHashSet};
use ol2tpd::privileges;

const KEPT: [Capability; 2] = [Capability::CAP_NET_BIND_SERVICE, Capability::CAP_NET_ADMIN];

/// Each thread has capabilities of its own.
fn in_thread<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(test).join().unwrap())
}

fn read(set: CapSet) -> Vec<Capability> {
    let mut found: Vec<_> = caps::read(None, set).unwrap().into_iter().collect();
    found.sort_by_key(Capability::index);
    found
}

/// A line of a process' status.
fn line(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim_start_matches(':').trim().to_owned()
}

fn child() -> String {
    let output = Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn mask(capabilities: &[Capability]) -> String {
    format!("{:016x}", capabilities.iter().map(Capability::bitmask).sum::<u64>())
}

#[test]
fn without_scripts() {
    in_thread(|| {
        let kept = privileges::drop_in_thread(false).unwrap();
        assert_eq!(kept.capabilities, KEPT);
        assert!(kept.bounded && kept.no_new_privileges);
        assert_eq!(kept.to_string(), "privileges dropped, but for CAP_NET_BIND_SERVICE, CAP_NET_ADMIN");
        for set in [CapSet::Permitted, CapSet::Effective, CapSet::Bounding] {
            assert_eq!(read(set), KEPT, "{set:?}");
        }
        for set in [CapSet::Inheritable, CapSet::Ambient] {
            assert_eq!(read(set), [], "{set:?}");
        }
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(line(&status, "NoNewPrivs"), "1");
        assert_eq!(line(&status, "CapBnd"), mask(&KEPT), "those that this program has no name for too");
        let child = child();
        assert_eq!(line(&child, "CapEff"), mask(&KEPT), "as root it gets what is bounded");
        assert_eq!(line(&child, "NoNewPrivs"), "1");
    });
}

#[test]
fn with_scripts() {
    in_thread(|| {
        let kept = privileges::drop_in_thread(true).unwrap();
        let expected = [Capability::CAP_NET_BIND_SERVICE, Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];
        assert_eq!(kept.capabilities, expected);
        assert!(kept.bounded && !kept.no_new_privileges);
        for set in
            [CapSet::Permitted, CapSet::Effective, CapSet::Bounding, CapSet::Inheritable, CapSet::Ambient]
        {
            assert_eq!(read(set), expected, "{set:?}");
        }
        let child = child();
        assert_eq!(line(&child, "CapAmb"), mask(&expected), "also where it is not root");
        assert_eq!(line(&child, "CapEff"), mask(&expected));
        assert_eq!(line(&child, "NoNewPrivs"), "0");
    });
}

#[test]
fn what_cannot_be_done_is_said() {
    in_thread(|| {
        let only = CapsHashSet::from([Capability::CAP_NET_ADMIN]);
        caps::set(None, CapSet::Effective, &only).unwrap();
        caps::set(None, CapSet::Permitted, &only).unwrap();
        let kept = privileges::drop_in_thread(false).unwrap();
        assert_eq!(kept.capabilities, [Capability::CAP_NET_ADMIN]);
        assert!(!kept.bounded && kept.to_string().contains("CAP_SETPCAP is missing"), "{kept}");
        caps::clear(None, CapSet::Effective).unwrap();
        caps::clear(None, CapSet::Permitted).unwrap();
        let error = privileges::drop_in_thread(false).unwrap_err().to_string();
        assert!(error.starts_with("dropping privileges: CAP_NET_ADMIN is missing: run as root"), "{error}");
    });
}

#[test]
fn other_threads_would_keep_theirs() {
    // The test harness has its own.
    in_thread(|| {
        let error = privileges::drop(false).unwrap_err().to_string();
        assert!(error.contains("threads run already"), "{error}");
        assert!(read(CapSet::Effective).len() > 3, "nothing is dropped");
    });
}
