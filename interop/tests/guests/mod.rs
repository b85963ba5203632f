//! What the tests of `ol2tp` in guests have in common: how it is configured, and what two ends have to agree on.
#![allow(dead_code)]

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use interop::PATIENCE;
use interop::guest::{GuestDaemon, in_words_of_proc, proc_sessions};
use interop::iperf3::{self, Way};
use interop::lan::Lan;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, INNER, Settings};
use ol2tpd::Notice;
use ol2tpd::control::SessionView;

/// How xl2tpd is told what [`serve`] and [`connect`] tell ours.
pub(crate) const SETTINGS: Settings = Settings {
    user: ("alice", "wonder land"),
    auth: Auth::MsChapV2,
    secret: Some("tunnel secret"),
    sequence: true,
};
/// In `[peer.NAME]` and `[connect.NAME]`.
pub(crate) const COMMON: &str =
    "secret = \"tunnel secret\"\nsend-sequence = true\nrequire-sequence = true\nipv6 = false\n";
/// A link that notices within 5 s that its peer is gone.
pub(crate) const ECHO: &str = "echo-interval = \"1s\"\necho-failures = 5\n";
/// A server that notices within 5 s that its peer is gone.
pub(crate) const IMPATIENT: &str = "echo-interval = \"1s\"\necho-failures = 5\nhello = \"1s\"\n\
                                    hello-retransmissions = 2\nretransmissions = 3\n";
/// How often numbers of both sides are looked at until they agree: what is on its way is counted at one side.
pub(crate) const LOOKS: u32 = 20;

/// Bytes of the first frame of a client, with its L2TP header: a Configure-Request, of pppd with an ACCM.
pub(crate) const FIRST_FRAME: [u64; 2] = [28, 34];
/// What that of a server has besides: MS-CHAPv2.
pub(crate) const AUTH: u64 = 5;

/// Who does PPP.
pub(crate) const OWN: &str = "ppp = \"own\"\n";
pub(crate) const PPPD: &str = "ppp = \"pppd\"\npppd-options = [\"debug\"]\n";

/// A guest whose pppd knows the user.
pub(crate) fn guest(lan: &Lan, host: u8) -> Uml {
    let guest = Uml::boot(lan, host).expect("a guest");
    let (user, password) = SETTINGS.user;
    guest.file("secrets", &format!("\"{user}\" * \"{password}\" *\n")).expect("a file");
    guest.run("install -m 600 /host/secrets /etc/ppp/chap-secrets").expect("its secrets");
    guest
}

/// Gives a guest an IPv6 address.
pub(crate) fn guest_over_ipv6(guest: &Uml) -> IpAddr {
    let address = ipv6(guest.host);
    guest.run(&format!("ip address add {address}/64 dev vec0 nodad")).expect("an address");
    address
}

/// Gives the namespace of the bridge an IPv6 address.
pub(crate) fn here_over_ipv6(lan: &Lan) -> IpAddr {
    let address = ipv6(1);
    lan.here.run(&format!("ip address add {address}/64 dev br0 nodad")).expect("an address");
    address
}

fn ipv6(host: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
}

/// A server that notices within 5 s that its peer is gone, and that has one address to give.
pub(crate) fn serve(driver: &str, address: impl Into<IpAddr>, ppp: &str) -> String {
    let address = address.into();
    let ((local, remote), (user, password)) = (INNER, SETTINGS.user);
    format!(
        "driver = \"{driver}\"\n[[listen]]\naddress = \"{address}\"\n[pool.inner]\nranges = [\"{remote}\"]\n\
         [peer.any]\n{COMMON}{ppp}auth = [\"mschapv2\"]\npool = \"inner\"\nlocal-address = \"{local}\"\n{IMPATIENT}\
         [[user]]\nname = \"{user}\"\npassword = \"{password}\"\n"
    )
}

/// A client that notices within 5 s that its peer is gone.
pub(crate) fn connect(driver: &str, host: impl Into<IpAddr>, ppp: &str) -> String {
    format!("driver = \"{driver}\"\n{}", connection("peer", host, ppp))
}

/// Its connection.
pub(crate) fn connection(name: &str, host: impl Into<IpAddr>, ppp: &str) -> String {
    let ((user, password), host) = (SETTINGS.user, host.into());
    format!(
        "[connect.{name}]\nhost = \"{host}\"\n{COMMON}{ppp}user = \"{user}\"\n\
         password = \"{password}\"\ndns = \"none\"\nauth = [\"mschapv2\"]\n\
         echo-interval = \"1s\"\necho-failures = 5\nretransmissions = 3\n"
    )
}

/// It is told of the session, with these addresses.
pub(crate) fn up(
    told: impl FnOnce(&dyn Fn(&Notice) -> Option<(Ipv4Addr, Ipv4Addr)>) -> io::Result<(Ipv4Addr, Ipv4Addr)>,
    addresses: (Ipv4Addr, Ipv4Addr),
) -> io::Result<()> {
    let (here, there) = addresses;
    told(&|notice| match notice {
        Notice::SessionUp { local, remote, .. } => (*local == here && *remote == there).then_some(addresses),
        _ => None,
    })
    .map(drop)
}

/// It is told that the session has ended.
pub(crate) fn down(
    told: impl FnOnce(&dyn Fn(&Notice) -> Option<String>) -> io::Result<String>,
) -> io::Result<String> {
    told(&|notice| match notice {
        Notice::SessionDown { why, .. } => Some(why.clone()),
        _ => None,
    })
}

pub(crate) fn echoes(guest: &Uml, to: Ipv4Addr) {
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {to}")).expect("echoes");
}

/// Echoes, and TCP both ways, from one guest to this address in another.
pub(crate) fn moves(from: &Uml, to: Ipv4Addr, there: &Uml) {
    echoes(from, to);
    for way in ["", "--reverse"] {
        let peer = iperf3::serve_in(there).expect("iperf3");
        from.run(&format!("iperf3 --client {to} --time 1 {way}")).expect("TCP");
        peer.succeed(PATIENCE).expect("iperf3");
    }
}

/// The same between here and a guest.
pub(crate) fn moves_from_here(lan: &Lan, there: &Uml, to: Ipv4Addr, from: Ipv4Addr) {
    echoes(there, from);
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {to}")).expect("echoes");
    for way in [Way::Up, Way::Down] {
        let peer = iperf3::serve_in(there).expect("iperf3");
        iperf3::run(&lan.here, to, way, 1).expect("TCP");
        peer.succeed(PATIENCE).expect("iperf3");
    }
}

/// What `show` tells is what the kernel tells: ids, state, counters, interface. Ns and Nr are the kernel's own
/// words in both, and the interface where pppd has it: see [`numbers_agree`].
pub(crate) fn agrees_with_kernel(guest: &Uml, daemon: &GuestDaemon) {
    agree(|| Ok(vec![in_words_of_proc(&daemon.session()?)]), || proc_sessions(guest));
    let session = daemon.session().expect("a session");
    assert!(session.bound && session.send_seq && session.recv_seq, "{session:?}");
    assert!(session.interface.is_some(), "{session:?}");
    assert_ne!((session.nr, session.ns), (0, 0), "{session:?}");
    for name in ["rx_errors", "rx_seq_discards", "tx_errors"] {
        assert!(session.stats.contains(&(name.into(), 0)), "{:?}", session.stats);
    }
}

/// Ns of either end is Nr of the other: so many messages have left here, and have come there.
pub(crate) fn numbers_agree(
    left: impl Fn() -> io::Result<SessionView>,
    right: impl Fn() -> io::Result<(u16, u16)>,
) {
    agree(|| left().map(|session| (session.ns, session.nr)), right);
}

/// Nr and Ns, as the other end has Ns and Nr.
pub(crate) fn seen_from_there(session: &SessionView) -> (u16, u16) {
    (session.nr, session.ns)
}

/// Nr and Ns of the only session in a guest.
pub(crate) fn numbers_of_kernel(guest: &Uml) -> io::Result<(u16, u16)> {
    match &proc_sessions(guest)?[..] {
        [session] => Ok(session.numbers),
        sessions => Err(io::Error::other(format!("{sessions:?}"))),
    }
}

/// Two views are the same at last.
pub(crate) fn agree<T: PartialEq + Debug>(
    left: impl Fn() -> io::Result<T>,
    right: impl Fn() -> io::Result<T>,
) {
    agree_so(left, right, T::eq);
}

/// The same of what we have sent and received, and what xl2tpd has received and sent. Its session may not be there
/// yet when our first frame comes, which has so many bytes, or when that comes again.
pub(crate) fn agree_but_first(
    first: u64,
    ours: impl Fn() -> io::Result<[u64; 4]>,
    its: impl Fn() -> io::Result<[u64; 4]>,
) {
    agree_so(ours, its, |ours, its| {
        let [packets, bytes, sent, sent_bytes] = *its;
        let missed = ours[0].saturating_sub(packets);
        *ours == [packets + missed, bytes + missed * first, sent, sent_bytes]
    });
}

pub(crate) fn agree_so<T: Debug>(
    left: impl Fn() -> io::Result<T>,
    right: impl Fn() -> io::Result<T>,
    same: impl Fn(&T, &T) -> bool,
) {
    let mut last = None;
    for _ in 0..LOOKS {
        let both = (left().expect("one view"), right().expect("the other view"));
        if same(&both.0, &both.1) {
            return;
        }
        last = Some(both);
    }
    panic!("they never agree: {last:#?}");
}

pub(crate) fn count(session: &SessionView, name: &str) -> u64 {
    session.stats.iter().find(|(counter, _)| counter == name).map_or(0, |(_, value)| *value)
}

/// Packets and bytes.
pub(crate) fn sent_and_received(session: &SessionView) -> [u64; 4] {
    ["tx_packets", "tx_bytes", "rx_packets", "rx_bytes"].map(|name| count(session, name))
}

pub(crate) fn received_and_sent(session: &SessionView) -> [u64; 4] {
    ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"].map(|name| count(session, name))
}

/// Some of the kernel's counters of the only session in a guest.
pub(crate) fn counters(guest: &Uml, which: [usize; 4]) -> io::Result<[u64; 4]> {
    let sessions = proc_sessions(guest)?;
    let [session] = &sessions[..] else { return Err(io::Error::other(format!("{sessions:?}"))) };
    Ok(which.map(|counter| session.counters[counter]))
}
