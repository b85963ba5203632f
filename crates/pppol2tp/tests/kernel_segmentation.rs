//! Splitting is what the kernel's own segmentation does, byte for byte, and the kernel takes what
//! the coalescer makes. Needs root: a network namespace of its own, with forwarding.
//!
//! ```text
//!   super-packet ──► tun in (vnet_hdr) ──► the kernel forwards, hop limit - 1 ──► tun out ──► packets
//! ```

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::fuzzing::{Sample, open_tun, samples};

#[test]
fn netns_as_the_kernel_does_it() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
    for (path, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        // No router solicitations and listener reports of the interfaces' own.
        ("ipv6/conf/default/addr_gen_mode", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ] {
        fs::write(format!("/proc/sys/net/{path}"), value).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let (mut tun_in, name_in) = open_tun("in%d", true).expect("a TUN interface with vnet_hdr");
    let (mut tun_out, name_out) = open_tun("out%d", false).expect("a TUN interface");
    let netlink = Netlink::open().expect("rtnetlink");
    let [index_in, index_out] =
        [&name_in, &name_out].map(|name| if_nametoindex(name.as_str()).expect("its index"));
    for (index, host) in [(index_in, 1), (index_out, 2)] {
        netlink.set_up(index, true).expect("up");
        let ipv6 =
            [0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, host];
        for address in [[10, 0, 0, host].into(), ipv6.into()] {
            netlink.add_route(index, Prefix::host(address)).expect("a route");
        }
    }

    for Sample { name, written, forwarded } in samples() {
        assert!(forwarded.len() > 1, "{name}");
        tun_in.write_all(&written).unwrap_or_else(|error| panic!("{name}: the kernel refuses it: {error}"));
        for (i, expected) in forwarded.iter().enumerate() {
            let packet = loop {
                let packet = read(&mut tun_out, &name);
                // The kernel's own ICMPv6 goes to multicast groups.
                if packet[0] >> 4 != 6 || packet[24] != 0xff {
                    break packet;
                }
            };
            assert!(packet == *expected, "{name}: segment {i}\nkernel {packet:02x?}\n  ours {expected:02x?}");
        }
    }
}

/// The next packet that the kernel sends.
fn read(tun: &mut fs::File, name: &str) -> Vec<u8> {
    let mut packet = vec![0; 65_536];
    loop {
        match tun.read(&mut packet) {
            Ok(len) => {
                packet.truncate(len);
                return packet;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let ready =
                    poll(&mut [PollFd::new(tun.as_fd(), PollFlags::POLLIN)], PollTimeout::from(5000u16));
                assert_eq!(ready, Ok(1), "{name}: the kernel sends nothing more");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}
