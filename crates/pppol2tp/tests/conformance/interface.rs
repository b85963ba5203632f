//! What the homes do differently through the Rust interface: one test per row of the table in `docs/driver.md`.

pub(crate) mod netns {
    use std::net::SocketAddrV4;

    use nix::mount::{MsFlags, mount};
    use nix::net::if_::if_nametoindex;
    use nix::sched::{CloneFlags, unshare};
    use pppol2tp::linux::LinuxDriver;
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Mode, UserDriver};
    use pppol2tp::{
        Driver, Errno, PassedUp, Prefix, Reason, Result, SessionIds, SharedConfig, SocketOption,
        TunnelConfig, UnitConfig,
    };
    use socket2::{Domain, Protocol, Socket, Type};

    use crate::common::{Bed, IDS, in_netns, ipv4, message, receive, too_big, tunnel_to, udp, wire};
    use crate::home::{differ, differ_if, is_linux, is_module};
    use crate::step::FRAME;
    use crate::units::netns::{OURS, THEIRS, framed, frames_of, inner, packet, up, with_driver};

    /// Writes one `#[test]` per row.
    macro_rules! rows {
        ($($row:literal $test:ident)*) => {
            /// Their names.
            pub(crate) const ROWS: &[&str] = &[$($row),*];

            mod row {
                $(
                    #[test]
                    fn $test() {
                        super::with_bed(super::$test);
                    }
                )*
            }
        };
    }

    rows! {
        "interfaces that sessions share" shared_interfaces
        "mss_clamp" mss_clamp
        "sources" sources
        "accept_zero_id" accept_zero_id
        "set_dont_fragment" dont_fragment
        "the MTU" the_mtu
        "frames that wait for their reader" frames_that_wait
        "order of a session's frames" order_of_frames
        "frames that wait when a unit is bound" frames_before_the_unit
        "Ns, Nr" numbers
        "rx_foreign" foreign
        "data messages of 6 to 13 bytes" short_messages
        "ids of what was closed" ids_of_what_was_closed
        "network namespace" network_namespace
        "DEBUG" debug
    }

    fn with_bed(test: fn(Bed<dyn Driver>)) {
        with_driver(&[("offload", Mode::OFFLOAD)], |driver| {
            test(Bed::of(driver, udp("127.0.0.1:0"), udp("127.0.0.1:0"), IDS));
        });
    }

    fn errno<T>(result: Result<T>) -> std::result::Result<(), Errno> {
        result.map(drop).map_err(|error| error.errno())
    }

    fn reasons(passed_up: &[PassedUp]) -> Vec<Reason> {
        passed_up.iter().map(|up| up.reason).collect()
    }

    fn set_mtu_of_loopback(mtu: u16) {
        let lo = if_nametoindex("lo").expect("lo");
        Netlink::open().expect("rtnetlink").set_mtu(lo, mtu).expect("set");
    }

    /// A frame of LCP with a number.
    fn lcp(number: u16) -> Vec<u8> {
        message(&[0xc021, 0x0901, 8, number, 0], &[])
    }

    fn shared_interfaces(bed: Bed<dyn Driver>) {
        let shared = bed.driver.shared_interface(SharedConfig { name: "pool".into(), mtu: 1400 });
        differ(errno(shared), Ok(()), Err(Errno::OpNotSupp));
    }

    fn mss_clamp(bed: Bed<dyn Driver>) {
        const MTU: u16 = 1300;
        let _unit = up(&bed, UnitConfig { mtu: Some(MTU), mss_clamp: true, ..UnitConfig::default() });
        let words = |address: SocketAddrV4| {
            let [a, b, c, d] = address.ip().octets();
            [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
        };
        let ip = [&[0x4500, 44, 0, 0, 0x4006, 0][..], &words(OURS), &words(THEIRS)].concat();
        let syn = [7000, 7001, 0, 0, 0, 0, 0x6002, 1000, 0, 0, 0x0204, 1460];
        let packet = [message(&ip, &[]), message(&syn, &[])].concat();
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
        raw.expect("a raw socket").send_to(&packet, &THEIRS.into()).expect("sent");
        let datagram = wire(&bed.peer);
        let mss = datagram.last_chunk().copied().map(u16::from_be_bytes);
        differ(mss, Some(MTU - 40), Some(1460));
    }

    fn sources(bed: Bed<dyn Driver>) {
        let sources = vec![Prefix::host((*THEIRS.ip()).into())];
        let _unit = up(&bed, UnitConfig { sources, ..UnitConfig::default() });
        let inner = inner();
        let stranger = SocketAddrV4::new([10, 0, 0, 3].into(), 7001);
        bed.arrives(&framed(&[0, 0x21], &ipv4(stranger, OURS, b"spoofed")));
        bed.arrives(&framed(&[0, 0x21], &packet(b"mine")));
        assert_eq!(receive(&inner).expect("a packet"), b"mine");
        let counted = |wanted| bed.counters().iter().any(|(name, _)| *name == wanted);
        differ(["rx_errors", "rx_spoofed"].map(counted), [true; 2], [false; 2]);
    }

    fn accept_zero_id(bed: Bed<dyn Driver>) {
        let peer = bed.peer.local_addr().expect("its address");
        let tunnel = bed.handle.tunnel(TunnelConfig { accept_zero_id: true, ..tunnel_to(peer, 3) });
        differ(errno(tunnel), Ok(()), Err(Errno::OpNotSupp));
    }

    fn dont_fragment(bed: Bed<dyn Driver>) {
        set_mtu_of_loopback(1500);
        bed.handle.set_dont_fragment(true).expect("set");
        let control = bed.handle.send(&[0xc8; 1500], bed.peer.local_addr().expect("its address"), None);
        assert_eq!(errno(control), Err(Errno::MsgSize));
        let (long, short) = ([0xc0; 1500], FRAME);
        bed.session.send(&long).expect("taken");
        bed.session.send(short).expect("taken");
        let arrives = |frame| Ok(message(&[2, 2, 20, 0xff03], frame));
        differ(receive(&bed.peer), arrives(short), arrives(&long));
    }

    fn the_mtu(bed: Bed<dyn Driver>) {
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        let before = unit.mtu();
        set_mtu_of_loopback(1300);
        too_big(&bed, bed.peer.local_addr().expect("its address"));
        differ(unit.mtu() < before, true, false);
    }

    fn frames_that_wait(bed: Bed<dyn Driver>) {
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        (0..300).for_each(|number| bed.arrives(&lcp(number)));
        bed.settle();
        let some = |numbers: std::ops::Range<u16>| numbers.map(lcp).collect::<Vec<_>>();
        differ(frames_of(&*unit), some(0..256), some(268..300));
        let counted = bed.counters().contains(&("rx_queue_full", 44));
        differ(counted, true, false);
    }

    fn order_of_frames(bed: Bed<dyn Driver>) {
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        let ipcp = message(&[0x8021, 0x0101, 8, 0, 0], &[]);
        bed.arrives(&ipcp);
        bed.arrives(&lcp(1));
        bed.settle();
        differ(frames_of(&*unit), vec![ipcp.clone(), lcp(1)], vec![lcp(1), ipcp]);
    }

    fn frames_before_the_unit(bed: Bed<dyn Driver>) {
        bed.arrives(&lcp(1));
        bed.settle();
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        differ(frames_of(&*unit), vec![], vec![lcp(1)]);
        drop(unit);
        differ(bed.session.recv(&mut [0; 100]), Ok(Some(lcp(1).len())), Ok(None));
    }

    fn numbers(bed: Bed<dyn Driver>) {
        bed.session.set(SocketOption::SendSeq, 1).expect("set");
        for _ in 0..3 {
            bed.session.send(FRAME).expect("sent");
            receive(&bed.peer).expect("a message");
        }
        let ns = || bed.driver.snapshot().sessions[0].ns;
        assert_eq!(ns(), 3);
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("for this thread alone");
        mount(Some("tmpfs"), "/proc", Some("tmpfs"), MsFlags::empty(), none).expect("nothing there");
        differ(ns(), 3, 0);
    }

    fn foreign(bed: Bed<dyn Driver>) {
        let to = bed.handle.local_addr().expect("its address");
        udp("127.0.0.1:0").send_to(&message(&[2, 1, 10, 0xff03], &lcp(1)), to).expect("sent");
        let passed_up = reasons(&bed.settle());
        let counted = bed.driver.snapshot().tunnels[0].rx_foreign;
        differ((counted, passed_up), (1, vec![]), (0, vec![Reason::UnknownSession]));
    }

    fn short_messages(bed: Bed<dyn Driver>) {
        bed.sends(&message(&[2, 1, 10, 0xc021, 0x0901, 4], &[]));
        let passed_up = reasons(&bed.settle());
        let received = bed.session.recv(&mut [0; 100]).expect("alive");
        let differs = is_linux() && !is_module();
        differ_if(differs, (passed_up, received), (vec![], Some(6)), (vec![Reason::Short], None));
    }

    /// The driver waits for the kernel, but not where another one may have a tunnel's id for long.
    fn ids_of_what_was_closed(bed: Bed<dyn Driver>) {
        let Bed { mut session, mut tunnel, handle, peer, driver } = bed;
        let peer = peer.local_addr().expect("its address");
        for _ in 0..20 {
            drop(session);
            session = driver.session(IDS).expect("the session's id is free");
            tunnel.delete();
            tunnel = handle.tunnel(tunnel_to(peer, IDS.tunnel_id)).expect("the tunnel's id is free");
            assert!(!session.is_alive());
            session = driver.session(IDS).expect("the session's id is free");
        }
        let other: Box<dyn Driver> = if is_linux() {
            Box::new(LinuxDriver::probe().expect("the kernel's driver"))
        } else {
            Box::new(UserDriver::new(crate::common::config()).expect("a driver"))
        };
        let handle = other.attach(udp("127.0.0.1:0")).expect("attached");
        let _own = handle.tunnel(tunnel_to(peer, 7)).expect("a tunnel");
        let taken = errno(handle.tunnel(tunnel_to(peer, IDS.tunnel_id)));
        differ(taken, Ok(()), Err(Errno::Exist));
    }

    fn network_namespace(bed: Bed<dyn Driver>) {
        let ids = SessionIds { session_id: 11, peer_session_id: 21, ..IDS };
        let elsewhere = in_netns(|| errno(bed.driver.session(ids)));
        differ(elsewhere, Ok(()), Err(Errno::NoEnt));
    }

    fn debug(bed: Bed<dyn Driver>) {
        for set in [bed.session.set(SocketOption::Debug, 15), bed.tunnel.set(SocketOption::Debug, 15)] {
            differ(errno(set), Ok(()), Err(Errno::OpNotSupp));
        }
    }
}
