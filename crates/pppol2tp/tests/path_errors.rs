//! ICMP errors: whoever knows our address can forge them.

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};

use common::{Bed, IDS, in_netns, too_big, udp};
use nix::net::if_::if_nametoindex;
use pppol2tp::UnitConfig;
use pppol2tp::netlink::Netlink;

fn errors(bed: &Bed) -> u64 {
    let snapshot = pppol2tp::Driver::snapshot(&*bed.driver);
    let mut counters = snapshot.sockets[0].counters.iter();
    counters.find(|(name, _)| *name == "icmp_errors").expect("it is there").1
}

#[test]
fn netns_only_the_path_that_an_error_is_about_is_asked_for() {
    in_netns(|| {
        let peer = udp("127.0.0.2:0");
        let address = peer.local_addr().expect("its address");
        let bed = Bed::on(udp("127.0.0.1:0"), peer, common::config(), IDS);
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        let before = unit.mtu();
        // What the path carries has changed; nobody has told the driver.
        let lo = if_nametoindex("lo").expect("a loopback interface");
        Netlink::open().expect("rtnetlink").set_mtu(lo, 1300).expect("set");

        let stranger = Ipv4Addr::new(127, 0, 0, 9);
        too_big(&bed, SocketAddrV4::new(stranger, 1701).into());
        assert_eq!((errors(&bed), unit.mtu()), (1, before), "this is no peer");
        too_big(&bed, address);
        assert_eq!(errors(&bed), 2);
        assert!(unit.mtu() < before, "{} before, {} now", before, unit.mtu());
    });
}
