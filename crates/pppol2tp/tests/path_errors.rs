//! ICMP errors: whoever knows our address can forge them.

mod common;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use common::{Bed, IDS, in_netns, ipv4, message, udp};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use pppol2tp::UnitConfig;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::Config;

/// Says that a message of ours to this address was too large for its path.
fn too_big(bed: &Bed, to: SocketAddrV4) {
    let SocketAddr::V4(ours) = bed.handle.local_addr().expect("its address") else { panic!("IPv4") };
    let lost = ipv4(ours, to, &[0; 1000]);
    let words = |sum: u16| message(&[0x0304, sum, 0, 600], &lost[..28]);
    let sum: u32 = words(0).chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let packet = words(!((sum & 0xffff) + (sum >> 16)) as u16);
    let (raw, icmp) = (SockType::Raw, SockProtocol::Icmp);
    let raw = socket(AddressFamily::Inet, raw, SockFlag::SOCK_CLOEXEC, icmp).expect("a raw socket");
    let ours = SockaddrIn::from(SocketAddrV4::new(*ours.ip(), 0));
    sendto(raw.as_raw_fd(), &packet, &ours, MsgFlags::empty()).expect("sent");
    bed.settle();
}

fn errors(bed: &Bed) -> u64 {
    let snapshot = pppol2tp::Driver::snapshot(&*bed.driver);
    let mut counters = snapshot.sockets[0].counters.iter();
    counters.find(|(name, _)| *name == "icmp_errors").expect("it is there").1
}

#[test]
fn netns_only_the_path_that_an_error_is_about_is_asked_for() {
    in_netns(|| {
        let peer = udp("127.0.0.2:0");
        let SocketAddr::V4(address) = peer.local_addr().expect("its address") else { panic!("IPv4") };
        let bed = Bed::on(udp("127.0.0.1:0"), peer, Config::default(), IDS);
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        let before = unit.mtu();
        // What the path carries has changed; nobody has told the driver.
        let lo = if_nametoindex("lo").expect("a loopback interface");
        Netlink::open().expect("rtnetlink").set_mtu(lo, 1300).expect("set");

        let stranger = Ipv4Addr::new(127, 0, 0, 9);
        too_big(&bed, SocketAddrV4::new(stranger, 1701));
        assert_eq!((errors(&bed), unit.mtu()), (1, before), "this is no peer");
        too_big(&bed, address);
        assert_eq!(errors(&bed), 2);
        assert!(unit.mtu() < before, "{} before, {} now", before, unit.mtu());
    });
}
