//! A server and a client, between the namespaces of a bed.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use ol2tp::bed::{RIGHT, Space};
use ol2tp::ping::{Requests, ping_in_scope};

use crate::home::{Home, Running, Session};

pub(crate) const USER: &str = "anna";
pub(crate) const PASSWORD: &str = "sesame";

const PATIENCE: Duration = Duration::from_secs(10);

const REQUESTS: Requests = Requests { count: 5, interval: Duration::from_millis(2), patience: PATIENCE };

/// A server for `anna`, with a pool of two addresses, in IPv4 and IPv6.
pub(crate) fn serve(home: &Home<'_>, more: &[&str]) -> Running {
    let (host, user) = (RIGHT.to_string(), format!("{USER}:{PASSWORD}"));
    let arguments = [
        &["serve", "--json", "--listen", &host, "--user", &user][..],
        &[
            "--local-address",
            "10.64.0.1",
            "--pool",
            "10.64.0.10-10.64.0.11",
            "--ipv6-pool",
            "2001:db8:64::/48",
        ],
        &["--dns", "10.64.0.53"],
        more,
    ];
    let mut server = home.start(&arguments.concat());
    server.until_listening();
    server
}

/// A client of that server, which is `anna`.
pub(crate) fn connect(home: &Home<'_>, more: &[&str]) -> Running {
    let host = RIGHT.to_string();
    let arguments = [&["connect", &host, "--json", "--user", USER][..], more].concat();
    home.start_as(PASSWORD, &arguments)
}

/// Waits until a session is up at both ends: what either says of it.
pub(crate) fn until_up(client: &mut Running, server: &mut Running) -> (Session, Session) {
    (client.until_up(), server.until_up())
}

/// Pings the other end of a session, in IPv4 and IPv6; every request has to be answered.
pub(crate) fn ping_both(space: &Space, session: &Session) {
    ping_all(space, session.v4.1);
    ping_link(space, session);
}

/// Pings the link-local address of the other end.
pub(crate) fn ping_link(space: &Space, session: &Session) {
    let IpAddr::V6(address) = session.v6.1 else { panic!("{session:?}") };
    let scope = space.enter(|| Ok(if_nametoindex(session.interface.as_str())?)).unwrap();
    ping_new(space, SocketAddrV6::new(address, 0, 0, scope).into());
}

/// Pings an IPv6 address that is new; every request has to be answered. The first ones need not: the kernel takes
/// addresses up some time after they were given, at either end.
pub(crate) fn ping_new(space: &Space, target: SocketAddr) {
    let first = Requests { count: 1, patience: Duration::from_millis(50), ..REQUESTS };
    let answered = || ping_in_scope(space, target, first).unwrap().complete();
    assert!((0..200).any(|_| answered()), "{target} does not answer");
    ping(space, target);
}

/// Pings an address; every request has to be answered.
pub(crate) fn ping_all(space: &Space, target: IpAddr) {
    ping(space, SocketAddr::new(target, 0));
}

fn ping(space: &Space, target: SocketAddr) {
    ping_with(space, target, REQUESTS);
}

/// The same with these requests.
pub(crate) fn ping_with(space: &Space, target: SocketAddr, requests: Requests) {
    let ping = ping_in_scope(space, target, requests).unwrap();
    assert!(ping.complete(), "{target}: {ping:?}");
}
