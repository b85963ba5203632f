//! A server names addresses of the network that its client is in: nothing of that network goes to it.

use std::net::IpAddr;

use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use pppol2tp::netlink::Netlink;

use crate::home::Home;
use crate::vpn::connect;

/// 192.0.2.0/24 is the network between both ends.
const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
local-address = "192.0.2.53"
pool = "one"
ipv6-pool = "six"
[pool.one]
ranges = ["192.0.2.77-192.0.2.77"]
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
"#;

#[test]
fn hosts_of_our_network_stay_where_they_are() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let mut client = connect(&left, &["--dns", "none"]);
    let session = client.until_up();
    assert_eq!(session.v4.0, IpAddr::from([192, 0, 2, 77]));
    let way = |host: [u8; 4]| {
        left.enter(|| Ok((Netlink::open()?.route_to(host.into())?.index, if_nametoindex("veth0")?)))
    };
    for host in [[192, 0, 2, 53], [192, 0, 2, 54]] {
        let (interface, veth) = way(host).unwrap();
        assert_eq!(interface, Some(veth), "{host:?}");
    }
    client.signal(Signal::SIGTERM);
    let errors = client.ended().errors;
    for words in [
        "192.0.2.77, which the server gives us, is in a network",
        "192.0.2.53, which the server calls its own, is in a network",
    ] {
        assert!(errors.contains(words), "{errors}");
    }
    server.stop();
}
