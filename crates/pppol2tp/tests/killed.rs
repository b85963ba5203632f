//! The process is killed with sessions up (§15): the system is as it was before.
//!
//! A file of its own, because a child that is being started has every descriptor of the process for a
//! moment, those of other tests' interfaces too.

mod common;

mod netns {
    use std::io::{BufRead, BufReader, Write};
    use std::net::UdpSocket;
    use std::process::{Command, Stdio};

    use nix::net::if_::if_nametoindex;
    use pppol2tp::UnitConfig;
    use pppol2tp::user::Config;

    use crate::common::{Bed, IDS, PATIENCE, in_netns, udp};

    /// Set in the process that is killed.
    const KILLED: &str = "OL2TP_TEST_KILLED";

    #[test]
    fn with_sessions_up() {
        if std::env::var_os(KILLED).is_some() {
            let bed = Bed::new(Config::default());
            let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
            let local = bed.handle.local_addr().expect("its address");
            let mut out = std::io::stderr();
            writeln!(out, "\nup {} {local}", unit.interface()).expect("written");
            bed.handle.recv_timeout(PATIENCE * 6);
            return;
        }
        in_netns(|| {
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "netns::with_sessions_up", "--nocapture"])
                .env(KILLED, "1")
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a child");
            let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
            let up = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("up ").map(String::from));
            let up = up.expect("the child's driver is up");
            let (interface, local) = up.split_once(' ').expect("both");
            if_nametoindex(interface).expect("the interface is there");
            UdpSocket::bind(local).expect_err("the port is taken");
            child.kill().expect("killed");
            child.wait().expect("dead");
            if_nametoindex(interface).expect_err("the interface is gone");
            UdpSocket::bind(local).expect("the port is free");
            let after = Bed::on(udp(local), udp("127.0.0.1:0"), Config::default(), IDS);
            let unit = after.session.unit(UnitConfig::default()).expect("a unit");
            assert_eq!(unit.interface(), interface);
        });
    }
}
