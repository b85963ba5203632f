//! LCP is negotiated anew while a session is up: addresses, routes and name servers are there once, and all
//! is gone in the end.

use std::net::{SocketAddr, SocketAddrV4};

use ol2tp::bed::{Bed, LEFT, RIGHT, Space};
use ol2tpd::Notice;
use ol2tpd::control::Report;
use pppol2tp::Prefix;
use socket2::{Domain, Protocol, Socket, Type};

use crate::home::Home;
use crate::vpn::{connect, ping_all, ping_both, until_up};

const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
local-address = "10.64.0.1"
pool = "one"
ipv6-pool = "six"
dns = ["10.64.0.53"]
[pool.one]
ranges = ["10.64.0.10-10.64.0.10"]
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
routes = ["198.51.100.0/24"]
max-sessions = 1
"#;

/// 203.0.113.0 and 198.51.100.0 as /proc/net/route has them.
const THROUGH: &str = "007100CB";
const BEHIND: &str = "006433C6";

/// Sends a UDP datagram that claims to come from elsewhere.
fn send_as(space: &Space, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
    let length = (28 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend([from.port(), to.port(), length - 20, 0].map(u16::to_be_bytes).concat());
    packet.extend(payload);
    let sent = space.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
        socket.send_to(&packet, &SocketAddr::from(to).into())
    });
    assert_eq!(sent.unwrap(), packet.len());
}

/// A Configure-Request with another magic number, as if the client's PPP had begun anew.
fn begin_anew(space: &Space, peer: SocketAddrV4, (tunnel, session): (u16, u16), id: u8) {
    let mut frame = [2, tunnel, session].map(u16::to_be_bytes).concat();
    frame.extend([0xff, 3, 0xc0, 0x21, 1, id, 0, 10, 5, 6, 0xde, 0xad, 0xbe, id]);
    send_as(space, peer, SocketAddrV4::new(RIGHT, 1701), &frame);
}

/// The client, as its server knows it.
fn peer(server: &Home<'_>) -> SocketAddrV4 {
    let report: Report = serde_json::from_str(&server.output(&["show", "tunnels", "--json"])).unwrap();
    report.tunnels.unwrap()[0].peer.parse().unwrap()
}

#[test]
fn everything_is_there_once_and_in_the_end_not_at_all() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let before = (left.traces(), right.traces());
    let far = Prefix { address: "203.0.113.7".parse().unwrap(), len: 32 };
    let mut client = connect(&left, &["--route", "203.0.113.0/24", "--dns", "file"]);
    let (first, there) = until_up(&mut client, &mut server);
    bed.right.own_prefix(far).unwrap();
    ping_both(left.space, &first);
    let peer = peer(&right);

    for id in [200, 201] {
        begin_anew(left.space, peer, there.ids, id);
        let (here, _) = until_up(&mut client, &mut server);
        assert_eq!((here.v4, &here.interface), (first.v4, &first.interface));
        ping_both(left.space, &here);
        ping_all(left.space, far.address);
        assert!(left.has_route(THROUGH) && right.has_route(BEHIND));
        left.until_file("resolv.conf", "nameserver 10.64.0.53");
        let report: Report = serde_json::from_str(&right.output(&["show", "users", "--json"])).unwrap();
        assert_eq!(report.users.unwrap()[0].sessions, [there.ids]);
    }
    client.stop();
    server.until_down();
    assert!(left.traces() == before.0 && !right.has_route(BEHIND));
    assert_eq!(peer.ip(), &LEFT);
    server.stop();
}

#[test]
fn a_link_that_begins_anew_all_the_time_is_ended() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let mut client = connect(&left, &["--dns", "none"]);
    let (_, there) = until_up(&mut client, &mut server);
    let peer = peer(&right);
    let mut ups = 1;
    let why = loop {
        begin_anew(left.space, peer, there.ids, 100 + ups);
        let ended = server.until(|notice| match notice {
            Notice::SessionUp { local, .. } => local.is_ipv6().then_some(None),
            Notice::SessionDown { why, .. } => Some(Some(why)),
            _ => None,
        });
        match ended {
            None if ups < 100 => ups += 1,
            None => panic!("it goes on"),
            Some(why) => break why,
        }
    };
    assert_eq!(why, "it negotiates its network anew all the time");
    assert!(ups >= 10, "{ups}");
    assert_eq!(client.ended().code, Some(17));
    server.stop();
}
