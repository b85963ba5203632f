//! Routes of a client and of a server: what is added, what is refused, and that nothing is left.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ol2tpd::routes::{Client, DEFAULT_V4, DEFAULT_V6, Moved, PROTOCOL, Routes, remote_is_peer, repair};
use pppol2tp::netlink::{Netlink, Route, RouteKind};

use crate::netns::{by, delete, in_netns, interface, prefix};

/// ```text
///   eth0   192.0.2.2/24  2001:db8:1::2/64    default by .1, metric 100
///   wlan0  10.9.0.2/24   2001:db8:9::2/64
///   ppp0   10.0.0.2/32                       the tunnel's
/// ```
struct Machine {
    netlink: Arc<Netlink>,
    eth: u32,
    wlan: u32,
    ppp: u32,
}

const PEERS: [&str; 2] = ["198.51.100.1", "2001:db8:f::1"];

impl Machine {
    fn new() -> Self {
        let netlink = Arc::new(Netlink::open().unwrap());
        let eth = interface(&netlink, "eth0", &["192.0.2.2/24", "2001:db8:1::2/64"]);
        let wlan = interface(&netlink, "wlan0", &["10.9.0.2/24", "2001:db8:9::2/64"]);
        let ppp = interface(&netlink, "ppp0", &["10.0.0.2/32"]);
        netlink.add(&by("0.0.0.0/0", "192.0.2.1", eth, 100)).unwrap();
        netlink.add(&by("::/0", "2001:db8:1::1", eth, 100)).unwrap();
        Self { netlink, eth, wlan, ppp }
    }

    fn client(&self, peer: &str) -> Client {
        Client::protect(Arc::clone(&self.netlink), peer.parse().unwrap()).unwrap()
    }

    /// All routes, but for those that the kernel makes itself at some time after an address came.
    fn routes(&self) -> Vec<Route> {
        let routes = [false, true].map(|ipv6| self.netlink.routes(ipv6).unwrap());
        routes.concat().into_iter().filter(|route| route.protocol != 2).collect()
    }

    fn ours(&self) -> Vec<String> {
        let ours = self.routes().into_iter().filter(|route| route.protocol == PROTOCOL);
        ours.map(|route| route.to_string()).collect()
    }

    fn way(&self, to: &str) -> Route {
        self.netlink.route_to(to.parse().unwrap()).unwrap()
    }
}

fn all() -> Vec<pppol2tp::Prefix> {
    [DEFAULT_V4, DEFAULT_V6].concat()
}

/// What `follow` makes of the changes, once the kernel has told of one.
fn followed(client: &mut Client) -> Option<Moved> {
    let told =
        poll(&mut [PollFd::new(client.poll_fd().as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000u16));
    assert_eq!(told, Ok(1), "the kernel tells of the change");
    client.follow().unwrap()
}

#[test]
fn everything_goes_through_the_tunnel_but_the_tunnel() {
    in_netns(|| {
        let machine = Machine::new();
        let before = machine.routes();
        for peer in PEERS {
            let way = machine.way(peer);
            let mut client = machine.client(peer);
            let routes = client.through("ppp0", machine.ppp, &all()).unwrap();
            for other in ["203.0.113.1", "8.8.8.8", "2001:db8:ff::1", "9000::1"] {
                assert_eq!(machine.way(other).index, Some(machine.ppp), "{other}");
            }
            let kept = machine.way(peer);
            assert_eq!((kept.gateway, kept.index), (way.gateway, Some(machine.eth)));
            assert_eq!(machine.ours().len(), 6, "{:?}", machine.ours());
            drop((routes, client));
            assert_eq!(machine.routes(), before);
        }
    });
}

#[test]
fn nothing_is_left_when_the_interface_went_first() {
    in_netns(|| {
        let machine = Machine::new();
        let before = machine.routes();
        let mut client = machine.client(PEERS[0]);
        let routes = client.through("ppp0", machine.ppp, &all()).unwrap();
        delete(&machine.netlink, machine.ppp);
        drop((routes, client));
        assert_eq!(machine.routes(), before);
    });
}

#[test]
fn the_way_follows_the_default_route() {
    in_netns(|| {
        let machine = Machine::new();
        for (peer, any, gateway) in [(PEERS[0], "0.0.0.0/0", "10.9.0.1"), (PEERS[1], "::/0", "2001:db8:9::1")]
        {
            let mut client = machine.client(peer);
            let routes = client.through("ppp0", machine.ppp, &all()).unwrap();
            // A better one comes.
            let better = by(any, gateway, machine.wlan, 50);
            machine.netlink.add(&better).unwrap();
            let moved = followed(&mut client).expect("it moved");
            assert_eq!(moved.way.as_ref().and_then(|way| way.index), Some(machine.wlan));
            assert!(moved.to_string().contains(&format!("via {gateway} dev wlan0")), "{moved}");
            assert_eq!(machine.way(peer).gateway, Some(gateway.parse().unwrap()));
            // What it did itself is no change.
            assert_eq!(followed(&mut client), None);
            // And goes.
            machine.netlink.remove(&better).unwrap();
            assert_eq!(followed(&mut client).unwrap().way.unwrap().index, Some(machine.eth));
            assert_eq!(machine.way(peer).index, Some(machine.eth));
            drop((routes, client));
            assert_eq!(machine.ours(), [""; 0]);
        }
    });
}

#[test]
fn while_there_is_no_way_the_tunnels_packets_are_refused() {
    for peer in PEERS {
        in_netns(|| {
            let machine = Machine::new();
            let mut client = machine.client(peer);
            let routes = client.through("ppp0", machine.ppp, &all()).unwrap();
            machine.netlink.set_up(machine.eth, false).unwrap();
            // Even before anybody has looked.
            let refused = machine.netlink.route_to(peer.parse().unwrap());
            assert!(refused.as_ref().map_or(true, |way| way.kind == RouteKind::Unreachable), "{refused:?}");
            assert_eq!(followed(&mut client), Some(Moved { peer: peer.parse().unwrap(), way: None }));
            // Another network.
            for (any, gateway) in [("0.0.0.0/0", "10.9.0.1"), ("::/0", "2001:db8:9::1")] {
                machine.netlink.add(&by(any, gateway, machine.wlan, 100)).unwrap();
            }
            assert_eq!(followed(&mut client).unwrap().way.unwrap().index, Some(machine.wlan));
            assert_eq!(machine.way(peer).index, Some(machine.wlan));
            drop((routes, client));
            assert_eq!(machine.ours(), [""; 0]);
        });
    }
}

#[test]
fn a_route_that_would_swallow_the_tunnel_is_refused() {
    in_netns(|| {
        let machine = Machine::new();
        let mut client = machine.client(PEERS[0]);
        let wanted = [prefix("10.0.0.0/8"), prefix("198.51.100.1/32")];
        let error = client.through("ppp0", machine.ppp, &wanted).err().unwrap().to_string();
        assert!(
            error.contains("routing 198.51.100.1/32 to ppp0") && error.contains("into the tunnel"),
            "{error}"
        );
        assert_eq!(machine.ours().len(), 2, "only the way to the peer: {:?}", machine.ours());
        // Its network is no problem.
        let _routes = client.through("ppp0", machine.ppp, &[prefix("198.51.100.0/24")]).unwrap();
        assert_eq!(machine.way(PEERS[0]).index, Some(machine.eth));

        // A server: here nothing keeps the way.
        let add = |wanted: &str, peer: &str| {
            let netlink = Arc::clone(&machine.netlink);
            Routes::new(netlink, "ppp0", machine.ppp, peer.parse().unwrap(), &[prefix(wanted)])
        };
        let error = add("203.0.113.0/24", "203.0.113.7").map(drop).unwrap_err().to_string();
        assert!(error.contains("203.0.113.7 would go into the tunnel"), "{error}");
        drop(add("203.0.113.0/24", "203.0.114.7").unwrap());
        drop(add("10.0.0.0/8", "10.9.0.7").expect("10.9.0.0/24 is closer"));
    });
}

#[test]
fn a_route_that_is_there_already_is_named() {
    in_netns(|| {
        let machine = Machine::new();
        let (mut one, mut other) = (machine.client(PEERS[0]), machine.client("198.51.100.2"));
        let _routes = one.through("ppp0", machine.ppp, &DEFAULT_V4).unwrap();
        let error = other.through("ppp1", machine.wlan, &DEFAULT_V4).err().unwrap().to_string();
        assert!(error.contains("there is such a route already (0.0.0.0/1 dev ppp0)"), "{error}");
        drop(other);
        assert_eq!(machine.ours().len(), 4, "{:?}", machine.ours());
    });
}

#[test]
fn what_a_killed_daemon_left_is_taken_over() {
    in_netns(|| {
        let machine = Machine::new();
        let before = machine.routes();
        std::mem::forget(machine.client(PEERS[0]));
        // The machine has moved meanwhile.
        machine.netlink.add(&by("0.0.0.0/0", "10.9.0.1", machine.wlan, 50)).unwrap();
        let client = machine.client(PEERS[0]);
        assert_eq!(machine.way(PEERS[0]).index, Some(machine.wlan));
        drop(client);
        machine.netlink.remove(&by("0.0.0.0/0", "10.9.0.1", machine.wlan, 50)).unwrap();
        assert_eq!(machine.routes(), before);
    });
}

/// Where a claim is made that no other test makes.
fn lock(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ol2tp-{name}-{}", std::process::id()));
    folder.join("routes")
}

#[test]
fn what_is_removed_as_if_it_were_a_killed_daemons_is_put_back() {
    in_netns(|| {
        let machine = Machine::new();
        for peer in PEERS {
            let mut client = machine.client(peer);
            client.close_off().unwrap();
            let routes = client.through("ppp0", machine.ppp, &all()).unwrap();
            // What it has done itself.
            followed(&mut client);
            let before = machine.routes();
            let file = lock("put-back");
            drop(repair(&machine.netlink, &file).expect("nobody else claims routes"));
            fs::remove_dir_all(file.parent().unwrap()).unwrap();
            assert_eq!(machine.ours().len(), 4, "into the tunnel only: {:?}", machine.ours());
            followed(&mut client);
            assert_eq!(machine.routes().len(), before.len(), "{:?}", machine.ours());
            assert_eq!(machine.way(peer).index, Some(machine.eth));
            // It looks at what it has done itself, and comes to rest.
            let rests = (0..20).any(|_| {
                client.follow().unwrap();
                let fd = client.poll_fd();
                poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
            });
            assert!(rests);
            drop((routes, client));
            assert_eq!(machine.ours(), [""; 0]);
        }
    });
}

#[test]
fn who_looks_for_what_was_left_waits_for_nobody() {
    in_netns(|| {
        let machine = Machine::new();
        let file = lock("waits");
        let folder = file.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        // What any user of the machine can lock.
        let _folder = Flock::lock(File::open(folder).unwrap(), FlockArg::LockExclusive).unwrap();
        let one = repair(&machine.netlink, &file).expect("nobody else claims routes");
        let other = repair(&machine.netlink, &file).expect("there may be several");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o700);
        drop((one, other));
        let held = File::open(&file).unwrap();
        let held = Flock::lock(held, FlockArg::LockExclusive).unwrap();
        assert!(repair(&machine.netlink, &file).is_none());
        drop(held);
        drop(repair(&machine.netlink, &file).expect("it may be tried again"));
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn two_tunnels_to_one_peer_share_the_way() {
    in_netns(|| {
        let machine = Machine::new();
        let (one, mut other) = (machine.client(PEERS[0]), machine.client(PEERS[0]));
        drop(one);
        assert_eq!(followed(&mut other), None, "it is put back");
        let routes = other.through("ppp0", machine.ppp, &DEFAULT_V4).unwrap();
        assert_eq!(machine.way(PEERS[0]).destination, prefix("198.51.100.1/32"));
        assert_eq!(machine.ours().len(), 4, "{:?}", machine.ours());
        drop((routes, other));
        assert_eq!(machine.ours(), [""; 0]);
    });
}

#[test]
fn a_peer_on_the_same_network_or_machine() {
    in_netns(|| {
        let machine = Machine::new();
        let before = machine.routes();
        let mut near = machine.client("192.0.2.77");
        let routes = near.through("ppp0", machine.ppp, &[prefix("192.0.2.0/25")]).unwrap();
        assert_eq!(machine.way("192.0.2.77").index, Some(machine.eth));
        assert_eq!(machine.way("192.0.2.76").index, Some(machine.ppp));
        drop((routes, near));
        for own in ["192.0.2.2", "127.0.0.1", "::1"] {
            let mut client = machine.client(own);
            assert_eq!(machine.routes(), before, "a local address needs none");
            let _routes = client.through("ppp0", machine.ppp, &all()).unwrap();
            assert_eq!(machine.way(own).kind, RouteKind::Local);
        }
        assert_eq!(machine.routes(), before);
    });
}

#[test]
fn a_route_of_the_systems_own_is_left_alone() {
    in_netns(|| {
        let machine = Machine::new();
        machine.netlink.add(&by("198.51.100.1/32", "10.9.0.1", machine.wlan, 0)).unwrap();
        let before = machine.routes();
        let mut client = machine.client(PEERS[0]);
        let routes = client.through("ppp0", machine.ppp, &DEFAULT_V4).unwrap();
        assert_eq!(machine.way(PEERS[0]).index, Some(machine.wlan));
        // When it goes, packets are refused until another way is taken.
        machine.netlink.remove(&by("198.51.100.1/32", "10.9.0.1", machine.wlan, 0)).unwrap();
        machine.netlink.route_to(PEERS[0].parse().unwrap()).unwrap_err();
        assert_eq!(followed(&mut client).unwrap().way.unwrap().index, Some(machine.eth));
        drop((routes, client));
        machine.netlink.add(&by("198.51.100.1/32", "10.9.0.1", machine.wlan, 0)).unwrap();
        assert_eq!(machine.routes(), before);
    });
}

#[test]
fn no_way_at_all_is_an_error() {
    in_netns(|| {
        let netlink = Arc::new(Netlink::open().unwrap());
        let error = Client::protect(netlink, PEERS[0].parse().unwrap()).map(drop).unwrap_err().to_string();
        assert!(error.contains("route to 198.51.100.1") && error.contains("unreachable"), "{error}");
    });
}

#[test]
fn a_router_outside_the_interfaces_networks() {
    in_netns(|| {
        let machine = Machine::new();
        let far = Route { onlink: true, ..by("0.0.0.0/0", "172.31.1.1", machine.wlan, 10) };
        machine.netlink.add(&far).unwrap();
        let client = machine.client(PEERS[0]);
        assert_eq!(machine.way(PEERS[0]).gateway, far.gateway);
        assert!(machine.ours().contains(&"198.51.100.1/32 via 172.31.1.1 dev wlan0".into()));
        drop(client);
    });
}

#[test]
fn a_router_of_the_other_family() {
    in_netns(|| {
        let machine = Machine::new();
        machine.netlink.add(&by("0.0.0.0/0", "2001:db8:9::1", machine.wlan, 10)).unwrap();
        let client = machine.client(PEERS[0]);
        assert_eq!(machine.way(PEERS[0]).destination, prefix("198.51.100.1/32"));
        assert_eq!(machine.way(PEERS[0]).gateway, Some("2001:db8:9::1".parse().unwrap()));
        drop(client);
        assert_eq!(machine.ours(), [""; 0]);
    });
}

#[test]
fn one_of_several_routers_is_kept() {
    in_netns(|| {
        let machine = Machine::new();
        let hops = [(machine.wlan, [10, 9, 0, 1]), (machine.eth, [192, 0, 2, 1])].map(|(index, gateway)| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = index;
            hop.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway.into()))];
            hop
        });
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            table: RouteHeader::RT_TABLE_MAIN,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes.push(RouteAttribute::MultiPath(hops.into()));
        machine.netlink.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE).unwrap();
        let client = machine.client(PEERS[0]);
        assert!(machine.ours().contains(&"198.51.100.1/32 via 10.9.0.1 dev wlan0".into()));
        drop(client);
        assert_eq!(machine.ours(), [""; 0]);
    });
}

#[test]
fn the_peers_inner_address_may_be_its_outer_one() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(remote_is_peer(ip("192.0.2.1"), ip("192.0.2.1")));
    assert!(remote_is_peer(ip("::ffff:192.0.2.1"), ip("192.0.2.1")));
    assert!(!remote_is_peer(ip("192.0.2.1"), ip("10.0.0.1")));
}
