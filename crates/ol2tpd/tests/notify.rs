//! What the service manager is told, on both kinds of socket.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use fake::Folder;
use ol2tpd::notify::Notify;

mod fake;

fn told(manager: &UnixDatagram) -> String {
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 256];
    let len = manager.recv(&mut buffer).expect("something is told");
    String::from_utf8(buffer[..len].to_vec()).unwrap()
}

#[test]
fn each_state_by_a_path() {
    let folder = Folder::new("notify");
    let path = folder.0.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let notify = Notify::to(Some(path.as_os_str()));
    notify.ready();
    assert_eq!(told(&manager), "READY=1");
    notify.stopping();
    assert_eq!(told(&manager), "STOPPING=1");
    notify.status("2 tunnels\nREADY=1");
    assert_eq!(told(&manager), "STATUS=2 tunnels READY=1", "one line, whatever the text");
}

#[test]
fn reloading_carries_the_time() {
    let clock = || {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        Duration::from(now).as_micros()
    };
    let name = format!("ol2tp-notify-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let notify = Notify::to(Some(&OsString::from(format!("@{name}"))));
    let before = clock();
    notify.reloading();
    let told = told(&manager);
    let time = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&told).parse().unwrap();
    assert!((before..=clock()).contains(&time), "{before} {time}");
}

#[test]
fn a_manager_that_is_gone_is_no_error() {
    let folder = Folder::new("notify-gone");
    let notify = Notify::to(Some(folder.0.join("nobody").as_os_str()));
    notify.ready();
    for name in ["", "vsock:2:1", "@"] {
        Notify::to(Some(name.as_ref())).ready();
    }
    Notify::to(None).ready();
}
