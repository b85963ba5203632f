//! The control socket's file: whose it is, and when it comes and goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use fake::{Daemon, Folder};
use ol2tpd::control::{Client, Listener};

mod fake;

#[test]
fn belongs_to_its_user_alone_and_goes_with_the_daemon() {
    let folder = Folder::new("mode");
    let path = folder.0.join("missing/folder/ol2tp.sock");
    let daemon = Daemon::start(Some(path.clone()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    daemon.stop().unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_dead_daemons_file_is_replaced() {
    let folder = Folder::new("stale");
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists());
    let error = Client::connect(&folder.socket()).unwrap_err().to_string();
    assert!(error.contains("is no more"), "{error}");
    let daemon = Daemon::start(Some(folder.socket()));
    Client::connect(&folder.socket()).unwrap();
    daemon.stop().unwrap();
}

#[test]
fn a_running_daemons_file_is_not() {
    let folder = Folder::new("live");
    let daemon = Daemon::start(Some(folder.socket()));
    let error = Listener::bind(&folder.socket()).unwrap_err().to_string();
    assert!(error.contains("another ol2tp is running") && error.contains("--socket"), "{error}");
    UnixStream::connect(folder.socket()).expect("the first daemon still answers");
    daemon.stop().unwrap();
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new("file");
    fs::write(folder.socket(), "precious").unwrap();
    let error = Listener::bind(&folder.socket()).unwrap_err().to_string();
    assert!(error.contains("is not a socket"), "{error}");
    assert_eq!(fs::read(folder.socket()).unwrap(), b"precious");
}

#[test]
fn a_successors_file_is_left_alone() {
    let folder = Folder::new("successor");
    let first = Listener::bind(&folder.socket()).unwrap();
    fs::remove_file(folder.socket()).unwrap();
    let second = Listener::bind(&folder.socket()).unwrap();
    drop(first);
    assert!(folder.socket().exists());
    drop(second);
    assert!(!folder.socket().exists());
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let folder = Folder::new("place");
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    let path = file.join("ol2tp.sock");
    let error = Listener::bind(&path).unwrap_err().to_string();
    assert!(error.contains("file/ol2tp.sock"), "{error}");
    let path = folder.0.join("x".repeat(200));
    let error = Listener::bind(&path).unwrap_err().to_string();
    assert!(error.contains("path must be shorter"), "{error}");
}

#[test]
fn nobody_there() {
    let folder = Folder::new("nobody");
    let error = Client::connect(&folder.socket()).unwrap_err().to_string();
    assert!(error.contains("no ol2tp is running at") && error.contains("--socket"), "{error}");
}
