//! The text of `/proc/net/pppol2tp` (§10), byte for byte.

mod netns {
    use nix::net::if_::if_nametoindex;
    use pppol2tp::SocketOption::{Debug, LnsMode, RecvSeq, ReorderTo, SendSeq};
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::UserDriver;
    use pppol2tp::{Driver, SessionIds, SessionSocket, UnitConfig};

    use crate::common::{in_netns, message, receive, settle, tunnel_to, udp};
    use crate::step::{FRAME, HDLC};

    const HEADER: &str = "\
PPPoL2TP driver info, V1.0
TUNNEL name, user-data-ok session-count
 debug tx-pkts/bytes/errs rx-pkts/bytes/errs
  SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok
   mtu/mru/rcvseq/sendseq/lns debug reorderto
   nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs
";

    #[test]
    fn nothing_there() {
        let driver = UserDriver::new(crate::common::config()).expect("a driver");
        assert_eq!(driver.snapshot().proc().to_string(), HEADER);
    }

    #[test]
    fn tunnels_and_sessions() {
        in_netns(|| {
            let lo = if_nametoindex("lo").expect("lo");
            Netlink::open().expect("rtnetlink").set_mtu(lo, 1500).expect("set");
            let driver = UserDriver::new(crate::common::config()).expect("a driver");
            let (handle, peer) = (udp("127.0.0.1:1701"), udp("127.0.0.2:1701"));
            let handle = driver.attach(handle).expect("attached");
            let handle6 = driver.attach(udp("[::1]:1701")).expect("attached");
            let first = handle.tunnel(tunnel_to(peer.local_addr().expect("bound"), 1)).expect("a tunnel");
            let _second = handle6
                .tunnel(tunnel_to("[2001:db8::1]:1702".parse().expect("good"), 300))
                .expect("a tunnel");
            let _again = handle.tunnel(tunnel_to(peer.local_addr().expect("bound"), 1)).expect("a tunnel");
            first.set(Debug, 0xf).expect("set");
            let session = |tunnel_id, session_id| -> Box<dyn SessionSocket> {
                let ids = SessionIds { tunnel_id, session_id, peer_tunnel_id: 0, peer_session_id: 0xdef };
                driver.session(ids).expect("a session")
            };
            // Buckets 6, 12, 2 and 2.
            let sessions = [session(1, 1), session(1, 2), session(1, 3), session(1, 65535)];
            let _of_second = session(300, 7);
            sessions[0].set(Debug, 0).expect("set");
            sessions[0].set(SendSeq, 1).expect("set");
            sessions[0].set(RecvSeq, 1).expect("set");
            sessions[0].set(LnsMode, 1).expect("set");
            sessions[0].set(ReorderTo, 250).expect("set");
            for session in &sessions[1..] {
                session.set(Debug, 0).expect("set");
            }
            let unit =
                sessions[1].unit(UnitConfig { mru: Some(1400), ..UnitConfig::default() }).expect("a unit");
            for datagram in [
                message(&[0x0802, 1, 1, 7, 0], HDLC),
                message(&[0x0002, 1, 1], HDLC),
                message(&[0x0002, 1, 2], HDLC),
                message(&[0x0002, 1, 2], &[]),
            ] {
                peer.send_to(&datagram, "127.0.0.1:1701").expect("sent");
            }
            sessions[0].send(FRAME).expect("sent");
            unit.send(FRAME).expect("sent");
            receive(&peer).expect("sent");
            receive(&peer).expect("sent");
            settle(&*handle, &peer);
            drop(session(1, 99));
            assert_eq!(driver.snapshot().proc().to_string(), include_str!("proc.txt"));
        });
    }
}
