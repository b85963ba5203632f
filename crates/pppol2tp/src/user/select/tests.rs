use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Protocol, Type};

use super::*;
use crate::Prefix;
use crate::netlink::Netlink;

const PATIENCE: Duration = Duration::from_secs(10);

fn bind(address: &str) -> UdpSocket {
    UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn sources_v4() -> impl Iterator<Item = IpAddr> + Clone {
    (0..50).map(|n| Ipv4Addr::new(127, 5 * n, 3, 1 + n).into())
}

/// The kernel gives each sender's datagram to the socket of its shard, and to no other.
fn chooses_as_we_do(address: &str, target: IpAddr, sources: impl Iterator<Item = IpAddr> + Clone) {
    for shards in [2, 3, 5, 64] {
        let group = group(bind(address), shards);
        assert_eq!(group.len(), shards);
        let to = SocketAddr::new(target, group[0].local_addr().unwrap().port());
        let mut used = BTreeSet::new();
        for (n, source) in (0..).zip(sources.clone()) {
            let sender = UdpSocket::bind((source, 0)).unwrap();
            // A data message, a control message, and nothing at all.
            let datagrams: [&[u8]; 3] =
                [&[0, 2, 0, n, 0, 1, 0xff, 3], &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0], &[]];
            for datagram in datagrams {
                sender.send_to(datagram, to).unwrap();
                let socket = &group[shard(source, shards)];
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut buffer = [0; 64];
                let (len, from) =
                    socket.recv_from(&mut buffer).unwrap_or_else(|error| panic!("{source}: {error}"));
                assert_eq!((&buffer[..len], from.ip().to_canonical()), (datagram, source));
            }
            used.insert(shard(source, shards));
        }
        assert!(used.len() > shards.min(20) / 2, "{used:?} of {shards}");
    }
}

#[test]
fn the_kernel_chooses_as_we_do() {
    chooses_as_we_do("0.0.0.0:0", Ipv4Addr::LOCALHOST.into(), sources_v4());
}

#[test]
fn an_ipv4_sender_is_the_same_to_an_ipv6_socket() {
    chooses_as_we_do("[::]:0", Ipv4Addr::LOCALHOST.into(), sources_v4());
}

#[test]
fn netns_the_kernel_chooses_by_the_whole_ipv6_address() {
    let words = |n: u16| match n % 4 {
        0 => [0x2001, 0xdb8 + n, 0, 0, 0, 0, 0, 1],
        1 => [0x2001, 0xdb8, n, n, 0, 0, 0, 1],
        2 => [0x2001, 0xdb8, 0, 0, n, 0, 0, 1],
        _ => [0x2001, 0xdb8, 0, 0, 0, 0, 0, n],
    };
    let sources = (1..60).map(|n| Ipv6Addr::from(words(n)).into());
    let test = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        let (lo, netlink) = (if_nametoindex("lo").unwrap(), Netlink::open().unwrap());
        netlink.set_up(lo, true).unwrap();
        sources.clone().for_each(|source| netlink.add_address(lo, Prefix::host(source), None).unwrap());
        chooses_as_we_do("[::]:0", Ipv6Addr::LOCALHOST.into(), sources);
    };
    thread::scope(|scope| scope.spawn(test).join()).unwrap();
}

#[test]
fn addresses_are_spread() {
    let v4 = |n: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
    let hosts = |n: u32| IpAddr::from(Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(n)));
    let networks = |n: u32| IpAddr::from(Ipv6Addr::from((0x2001_0db8 << 96) + (u128::from(n) << 64) + 1));
    for addresses in [v4, hosts, networks] {
        for shards in [2, 3, 4, 8, 16] {
            let mut peers = vec![0; shards];
            (0..6400).for_each(|n| peers[shard(addresses(n), shards)] += 1);
            let fair = 6400 / shards;
            assert!(peers.iter().all(|n| (fair * 3 / 4..=fair * 5 / 4).contains(n)), "{peers:?}");
        }
    }
}

#[test]
fn one_shard_has_all() {
    assert!(sources_v4().all(|source| shard(source, 1) == 0));
}

/// Who runs as the same user may join, but nobody is sent there.
#[test]
fn nobody_joins_by_accident_and_who_does_hears_nothing() {
    let group = group(bind("127.0.0.1:0"), 2);
    let address = group[0].local_addr().unwrap();
    assert_eq!(UdpSocket::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let stranger = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    stranger.set_reuse_port(true).unwrap();
    stranger.bind(&address.into()).unwrap();
    stranger.set_nonblocking(true).unwrap();
    for source in sources_v4() {
        let sender = UdpSocket::bind((source, 0)).unwrap();
        sender.send_to(&[0], address).unwrap();
        let socket = &group[shard(source, 2)];
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(socket.recv_from(&mut [0]).unwrap().1.ip(), source);
    }
    let heard = UdpSocket::from(stranger).recv(&mut [0]).unwrap_err();
    assert_eq!(heard.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn those_beside_it_are_like_the_first() {
    let first = bind("0.0.0.0:0");
    let options =
        [(libc::SOL_IP, libc::IP_TOS, 0x10), (libc::SOL_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)];
    for (level, name, value) in options {
        sys::set_option(first.as_fd(), level, name, value).unwrap();
    }
    let group = group(first, 3);
    assert_eq!(group.len(), 3);
    for socket in &group {
        assert_eq!(socket.local_addr().unwrap(), group[0].local_addr().unwrap());
        for (level, name, value) in options {
            assert_eq!(sys::get_option(socket.as_fd(), level, name).unwrap(), value);
        }
    }
}

#[test]
fn a_socket_that_shares_its_port_stays_alone() {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    assert_eq!(group(socket.into(), 2).len(), 1);
}

#[test]
fn netns_a_socket_of_another_namespace_stays_alone_and_shares_with_nobody() {
    let test = || {
        let socket = bind("127.0.0.1:0");
        let address = socket.local_addr().unwrap();
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        let lo = if_nametoindex("lo").unwrap();
        Netlink::open().unwrap().set_up(lo, true).unwrap();
        let group = group(socket, 2);
        assert_eq!(group.len(), 1);
        assert!(!SockRef::from(&group[0]).reuse_port().unwrap());
        UdpSocket::bind(address).unwrap();
    };
    thread::scope(|scope| scope.spawn(test).join()).unwrap();
}
