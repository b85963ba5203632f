//! Closing in any order: nothing is left, and the others are told (§11).

mod netns {
    use std::net::UdpSocket;

    use nix::net::if_::if_nametoindex;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use pppol2tp::user::UserDriver;
    use pppol2tp::{
        Driver, Errno, SessionSocket, Snapshot, SocketOption, TunnelSocket, UdpHandle, Unit, UnitConfig,
    };

    use crate::common::{Bed, IDS, PATIENCE, in_netns, message, tunnel_to, udp, wire};
    use crate::step::{FRAME, HDLC};

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum What {
        Unit,
        Session,
        Management,
        Udp,
    }
    use What::{Management, Session, Udp};

    /// What is open still.
    struct All {
        unit: Option<Box<dyn Unit>>,
        session: Option<Box<dyn SessionSocket>>,
        management: Option<Box<dyn TunnelSocket>>,
        udp: Option<Box<dyn UdpHandle>>,
        peer: UdpSocket,
        driver: Box<UserDriver>,
        interface: String,
    }

    fn errno<T>(result: pppol2tp::Result<T>) -> Result<(), Errno> {
        result.map(drop).map_err(|error| error.errno())
    }

    fn readable(fd: std::os::fd::BorrowedFd<'_>) -> bool {
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
    }

    fn nothing_is_left(driver: &UserDriver) {
        let Snapshot { sockets, tunnels, sessions } = driver.snapshot();
        assert!(sockets.is_empty() && tunnels.is_empty() && sessions.is_empty());
    }

    impl All {
        fn new() -> Self {
            let Bed { session, tunnel, handle, peer, driver } = Bed::new(crate::common::config());
            let unit = session.unit(UnitConfig::default()).expect("a unit");
            let interface = unit.interface();
            Self {
                unit: Some(unit),
                session: Some(session),
                management: Some(tunnel),
                udp: Some(handle),
                peer,
                driver,
                interface,
            }
        }

        fn close(&mut self, what: What) {
            match what {
                What::Unit => self.unit = None,
                Session => self.session = None,
                Management => self.management = None,
                Udp => self.udp = None,
            }
        }

        /// Every call on what is open answers as §11 says.
        fn check(&self) {
            self.check_registry();
            self.check_unit();
            self.check_session();
            self.check_management();
            self.check_udp();
        }

        fn check_registry(&self) {
            let (udp, session) = (self.udp.is_some(), self.session.is_some());
            let snapshot = self.driver.snapshot();
            assert_eq!(snapshot.sockets.len(), usize::from(udp), "UDP sockets");
            assert_eq!(snapshot.tunnels.len(), usize::from(udp), "tunnels");
            assert_eq!(snapshot.sessions.len(), usize::from(udp && session), "sessions");
            let references = snapshot.tunnels.first().map(|tunnel| tunnel.references);
            let expected = usize::from(session) + usize::from(self.management.is_some());
            assert_eq!(references, udp.then_some(expected), "references");
            let bound = snapshot.sessions.first().map(|session| session.interface.clone());
            let expected = self.unit.as_ref().map(|_| self.interface.clone());
            assert_eq!(bound, (udp && session).then_some(expected), "the interface it is bound to");
            let there = if_nametoindex(self.interface.as_str()).is_ok();
            assert_eq!(there, self.unit.is_some(), "the interface");
        }

        /// What a session's calls give: nothing, or that it has ended.
        fn ended(&self) -> Result<(), Errno> {
            if self.udp.is_some() && self.session.is_some() { Ok(()) } else { Err(Errno::NotConn) }
        }

        fn check_unit(&self) {
            let Some(unit) = &self.unit else { return };
            let ended = self.ended();
            assert_eq!(unit.is_alive(), ended.is_ok());
            assert_eq!(errno(unit.send(FRAME)), ended);
            assert_eq!(errno(unit.recv(&mut [0; 100])), ended);
            assert_eq!(errno(unit.recv_timeout(&mut [0; 100], PATIENCE * u32::from(ended.is_err()))), ended);
            assert_eq!(readable(unit.poll_fd().expect("a descriptor")), ended.is_err());
            // The interface is the unit's own, and there still.
            assert_eq!(unit.interface(), self.interface);
            assert_eq!(errno(unit.set_up(true)), Ok(()));
        }

        fn check_session(&self) {
            let Some(session) = &self.session else { return };
            let ended = self.ended();
            let bound = self.unit.is_some();
            assert_eq!(session.ids(), IDS);
            assert_eq!(session.is_alive(), ended.is_ok());
            assert_eq!(errno(session.get(SocketOption::Debug)), ended);
            assert_eq!(errno(session.set(SocketOption::SendSeq, 0)), ended);
            assert_eq!(errno(session.set(SocketOption::ReorderTo, 0)), ended);
            assert_eq!(errno(session.stats()), ended);
            assert_eq!(errno(session.send(FRAME)), ended);
            let received = if bound { Err(Errno::Io) } else { ended };
            assert_eq!(errno(session.recv(&mut [0; 100])), received);
            assert_eq!(readable(session.poll_fd().expect("a descriptor")), ended.is_err());
            if bound || ended.is_err() {
                let expected = if ended.is_err() { Errno::NotConn } else { Errno::Busy };
                assert_eq!(errno(session.unit(UnitConfig::default())), Err(expected));
            }
        }

        fn check_management(&self) {
            let Some(management) = &self.management else { return };
            let ended = if self.udp.is_some() { Ok(()) } else { Err(Errno::BadF) };
            assert_eq!(management.tunnel_id(), 1);
            assert_eq!(management.is_alive(), ended.is_ok());
            assert_eq!(errno(management.get(SocketOption::Debug)), ended);
            assert_eq!(errno(management.set(SocketOption::Debug, 0)), ended);
            assert_eq!(errno(management.stats(None)), ended);
            let session = if self.session.is_some() { Ok(()) } else { Err(Errno::BadR) };
            assert_eq!(errno(management.stats(Some(10))), ended.and(session));
        }

        fn check_udp(&self) {
            let Some(udp) = &self.udp else { return };
            let peer = self.peer.local_addr().expect("its address");
            assert_eq!(errno(udp.send(FRAME, peer, None)), Ok(()));
            assert_eq!(errno(udp.local_addr()), Ok(()));
            self.peer
                .send_to(&message(&[2, 1, 10], HDLC), udp.local_addr().expect("its address"))
                .expect("sent");
            let passed_up = crate::common::settle(&**udp, &self.peer);
            assert_eq!(passed_up.len(), usize::from(self.session.is_none()), "data of a closed session");
            match (&self.unit, &self.session) {
                (Some(unit), Some(_)) => assert_eq!(unit.recv(&mut [0; 100]), Ok(Some(FRAME.len()))),
                (None, Some(session)) => assert_eq!(session.recv(&mut [0; 100]), Ok(Some(FRAME.len()))),
                _ => {}
            }
            drop(udp.tunnel(tunnel_to(peer, 1)).expect("another management socket"));
        }
    }

    fn close(order: [What; 4]) {
        in_netns(|| {
            let mut all = All::new();
            all.check();
            for what in order {
                all.close(what);
                println!("closed: {what:?}");
                all.check();
            }
            nothing_is_left(&all.driver);
        });
    }

    macro_rules! orders {
        ($($name:ident: $a:expr, $b:expr, $c:expr, $d:expr;)*) => {
            $(
                #[test]
                fn $name() {
                    close([$a, $b, $c, $d]);
                }
            )*
        };
    }

    orders! {
        unit_session_management_udp: What::Unit, Session, Management, Udp;
        unit_session_udp_management: What::Unit, Session, Udp, Management;
        unit_management_session_udp: What::Unit, Management, Session, Udp;
        unit_management_udp_session: What::Unit, Management, Udp, Session;
        unit_udp_session_management: What::Unit, Udp, Session, Management;
        unit_udp_management_session: What::Unit, Udp, Management, Session;
        session_unit_management_udp: Session, What::Unit, Management, Udp;
        session_unit_udp_management: Session, What::Unit, Udp, Management;
        session_management_unit_udp: Session, Management, What::Unit, Udp;
        session_management_udp_unit: Session, Management, Udp, What::Unit;
        session_udp_unit_management: Session, Udp, What::Unit, Management;
        session_udp_management_unit: Session, Udp, Management, What::Unit;
        management_unit_session_udp: Management, What::Unit, Session, Udp;
        management_unit_udp_session: Management, What::Unit, Udp, Session;
        management_session_unit_udp: Management, Session, What::Unit, Udp;
        management_session_udp_unit: Management, Session, Udp, What::Unit;
        management_udp_unit_session: Management, Udp, What::Unit, Session;
        management_udp_session_unit: Management, Udp, Session, What::Unit;
        udp_unit_session_management: Udp, What::Unit, Session, Management;
        udp_unit_management_session: Udp, What::Unit, Management, Session;
        udp_session_unit_management: Udp, Session, What::Unit, Management;
        udp_session_management_unit: Udp, Session, Management, What::Unit;
        udp_management_unit_session: Udp, Management, What::Unit, Session;
        udp_management_session_unit: Udp, Management, Session, What::Unit;
    }

    /// Deleting the tunnel is told as its UDP socket's death is, and the UDP socket goes on.
    #[test]
    fn deleted_tunnel() {
        in_netns(|| {
            let mut all = All::new();
            all.management.take().expect("open").delete();
            let unit = all.unit.as_ref().expect("open");
            assert_eq!(errno(unit.send(FRAME)), Err(Errno::NotConn));
            assert!(readable(unit.poll_fd().expect("a descriptor")));
            assert_eq!(errno(all.session.as_ref().expect("open").stats()), Err(Errno::NotConn));
            let snapshot = all.driver.snapshot();
            assert_eq!((snapshot.sockets.len(), snapshot.tunnels.len(), snapshot.sessions.len()), (1, 0, 0));
            let udp = all.udp.as_ref().expect("open");
            let peer = all.peer.local_addr().expect("its address");
            let again = udp.tunnel(tunnel_to(peer, 1)).expect("the id is free");
            assert!(again.is_alive());
        });
    }

    /// The port is free as soon as the handle is dropped, whoever still holds dead sockets.
    #[test]
    fn the_port_of_a_dead_udp_socket_is_free() {
        in_netns(|| {
            let mut all = All::new();
            let address = all.udp.as_ref().expect("open").local_addr().expect("its address");
            all.close(Udp);
            UdpSocket::bind(address).expect("the port is free");
        });
    }

    /// The waiting are woken when the UDP socket dies.
    #[test]
    fn who_waits_is_woken() {
        in_netns(|| {
            let mut all = All::new();
            let udp = all.udp.take();
            let unit = all.unit.as_ref().expect("open");
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| errno(unit.recv_timeout(&mut [0; 100], PATIENCE * 100)));
                drop(udp);
                assert_eq!(waits.join().expect("no panic"), Err(Errno::NotConn));
            });
        });
    }

    /// All at once, again and again: the next ones find everything as it was.
    #[test]
    fn at_the_same_time() {
        in_netns(|| {
            let driver = UserDriver::new(crate::common::config()).expect("a driver");
            let peer = udp("127.0.0.1:0");
            for _ in 0..50 {
                let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
                let tunnel = tunnel_to(peer.local_addr().expect("its address"), 1);
                let management = handle.tunnel(tunnel).expect("a tunnel");
                let session = driver.session(IDS).expect("a session");
                let unit = session.unit(UnitConfig::default()).expect("a unit");
                unit.send(FRAME).expect("sent");
                assert_eq!(wire(&peer), message(&[2, 2, 20], HDLC));
                peer.send_to(&message(&[2, 1, 10], HDLC), handle.local_addr().expect("its address"))
                    .expect("sent");
                assert_eq!(unit.recv_timeout(&mut [0; 100], PATIENCE), Ok(Some(FRAME.len())));
                unit.set_up(true).expect("up");
                let interface = unit.interface();
                std::thread::scope(|scope| {
                    scope.spawn(|| drop(unit));
                    scope.spawn(|| drop(session));
                    scope.spawn(|| drop(management));
                    scope.spawn(|| drop(handle));
                });
                if_nametoindex(interface.as_str()).expect_err("the interface is gone");
                nothing_is_left(&driver);
            }
        });
    }
}
