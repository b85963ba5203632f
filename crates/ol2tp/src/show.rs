//! `ol2tp show`.

use std::net::IpAddr;
use std::time::Duration;

use ol2tpd::control::{
    Client, PoolView, PppView, Report, SessionView, SocketView, TunnelView, UserView, What,
};
use pppol2tp::data::debug::DebugMask;

use crate::args::ShowArgs;
use crate::exit::Result;
use crate::output::{self, Table};
use crate::{daemon, units};

/// What stands where nothing is known.
const NOTHING: &str = "-";

/// Prints what a running ol2tp knows.
///
/// Errors: no ol2tp is running there.
pub fn run(args: &ShowArgs) -> Result<()> {
    let what = args.what.map_or(What::All, What::from);
    let report = Client::connect(&daemon::socket_path(args.socket.as_ref())?)?.show(what)?;
    if args.json {
        return output::json(&report);
    }
    let text = if args.long { long(&report) } else { tables(&report) };
    output::print(text.trim_end())
}

/// A table of each kind.
fn tables(report: &Report) -> String {
    let Report { driver, tunnels, sessions, sockets, users, pools, proc } = report;
    let texts = [
        proc.clone(),
        tunnels.as_ref().map(|list| or_none(list, "tunnels", tunnel_table)),
        sessions.as_ref().map(|list| or_none(list, "sessions", session_table)),
        users.as_ref().map(|list| or_none(list, "users", user_table)),
        pools.as_ref().map(|list| or_none(list, "pools", pool_table)),
        sockets.as_ref().map(|list| or_none(list, "sockets", socket_table)),
        driver.as_ref().map(|driver| format!("driver {}: {}", driver.name, driver.why)),
    ];
    texts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn or_none<T>(list: &[T], what: &str, table: fn(&[T]) -> Table) -> String {
    if list.is_empty() { format!("no {what}") } else { table(list).to_string() }
}

fn tunnel_table(tunnels: &[TunnelView]) -> Table {
    let mut table =
        Table::new(["TUNNEL", "PEER", "HOST NAME", "STATE", "PROFILE", "UP", "IN", "OUT"]).words(5);
    for tunnel in tunnels {
        let control = tunnel.control.as_ref();
        let state = control.map_or("static".into(), |control| match control.authenticated {
            true => format!("{}, authenticated", control.state),
            false => control.state.clone(),
        });
        table.row([
            tunnel.tunnel_id.to_string(),
            tunnel.peer.clone(),
            control.map_or(NOTHING.into(), |control| control.host_name.clone()),
            state,
            control.map_or(NOTHING.into(), |control| control.profile.clone()),
            control.map_or(NOTHING.into(), |control| units::clock(control.seconds)),
            units::bytes(count(&tunnel.stats, "rx_bytes")),
            units::bytes(count(&tunnel.stats, "tx_bytes")),
        ]);
    }
    table
}

fn session_table(sessions: &[SessionView]) -> Table {
    let head = ["SESSION", "USER", "INTERFACE", "ADDRESS", "PEER", "PHASE", "UP", "ECHO", "IN", "OUT"];
    let mut table = Table::new(head).words(6);
    let nothing = PppView { phase: "static".into(), ..PppView::default() };
    for session in sessions {
        let ppp = session.ppp.as_ref().unwrap_or(&nothing);
        table.row([
            format!("{}/{}", session.tunnel_id, session.session_id),
            ppp.user.clone().unwrap_or(NOTHING.into()),
            session.interface.clone().unwrap_or(NOTHING.into()),
            list(&ppp.remote),
            session.peer.clone(),
            ppp.phase.clone(),
            if session.ppp.is_some() { units::clock(ppp.seconds) } else { NOTHING.into() },
            round_trip(ppp),
            units::bytes(count(&session.stats, "rx_bytes")),
            units::bytes(count(&session.stats, "tx_bytes")),
        ]);
    }
    table
}

fn round_trip(ppp: &PppView) -> String {
    ppp.round_trip_us.map_or(NOTHING.into(), |time| units::time(Duration::from_micros(time)))
}

fn user_table(users: &[UserView]) -> Table {
    let mut table = Table::new(["USER", "SESSION", "ADDRESS", "IN", "OUT"]).words(3);
    for user in users {
        let sessions: Vec<_> =
            user.sessions.iter().map(|(tunnel, session)| format!("{tunnel}/{session}")).collect();
        table.row([
            user.user.clone(),
            sessions.join(" "),
            list(&user.addresses),
            units::bytes(user.rx_bytes),
            units::bytes(user.tx_bytes),
        ]);
    }
    table
}

fn pool_table(pools: &[PoolView]) -> Table {
    let mut table = Table::new(["POOL", "OF", "TAKEN", "FREE", "SIZE"]).words(2);
    for pool in pools {
        table.row([
            pool.name.clone(),
            if pool.ipv6 { "/64" } else { "IPv4" }.into(),
            pool.taken.to_string(),
            pool.size.saturating_sub(pool.taken).to_string(),
            pool.size.to_string(),
        ]);
    }
    table
}

fn socket_table(sockets: &[SocketView]) -> Table {
    let mut table = Table::new(["SOCKET", "MODE", "OFFLOADS"]).words(3);
    for socket in sockets {
        table.row([socket.local.clone(), socket.mode.clone(), socket.offloads.join(" ")]);
    }
    table
}

/// IPv4 comes first.
fn list(addresses: &[IpAddr]) -> String {
    let of = |ipv4: bool| addresses.iter().filter(move |address| address.is_ipv4() == ipv4);
    let texts: Vec<_> = of(true).chain(of(false)).map(ToString::to_string).collect();
    if texts.is_empty() { NOTHING.into() } else { texts.join(" ") }
}

fn count(stats: &[(String, u64)], name: &str) -> u64 {
    stats.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value)
}

/// Everything there is to know.
fn long(report: &Report) -> String {
    let mut text = report.proc.clone().unwrap_or_default();
    for tunnel in report.tunnels.iter().flatten() {
        text += &tunnel_text(tunnel);
    }
    for session in report.sessions.iter().flatten() {
        text += &session_text(session);
    }
    if let Some(users) = &report.users {
        text += &format!("{}\n\n", or_none(users, "users", user_table));
    }
    if let Some(pools) = &report.pools {
        text += &format!("{}\n\n", or_none(pools, "pools", pool_table));
    }
    for socket in report.sockets.iter().flatten() {
        text += &format!("SOCKET {}\n", socket.local);
        text += &format!("  mode {} ({})\n", socket.mode, socket.offloads.join(" "));
        text += &counters(&socket.counters);
    }
    text
}

fn tunnel_text(tunnel: &TunnelView) -> String {
    let mut text = format!("TUNNEL {} (peer's {})\n", tunnel.tunnel_id, tunnel.peer_tunnel_id);
    text += &format!("  local {}  peer {}\n", tunnel.local, tunnel.peer);
    if let Some(control) = &tunnel.control {
        text += &format!("  host name {}  vendor name {}\n", control.host_name, control.vendor_name);
        text += &format!(
            "  {}  authenticated {}  profile {}  up {}  retransmissions {}\n",
            control.state,
            if control.authenticated { "yes" } else { "no" },
            control.profile,
            units::clock(control.seconds),
            control.retransmissions,
        );
    }
    text += &format!("  debug {}  references {}\n", categories(tunnel.debug), tunnel.references);
    text + &counters(&tunnel.stats)
}

fn session_text(session: &SessionView) -> String {
    let on = |on: bool| if on { "on" } else { "off" };
    let SessionView { tunnel_id, session_id, peer_tunnel_id, peer_session_id, mtu, mru, nr, ns, .. } =
        session;
    let interface = session.interface.as_deref().unwrap_or("none");
    let side = if session.lns_mode { "LNS" } else { "LAC" };
    let ppp = session.ppp.as_ref().map(ppp_text).unwrap_or_default();
    let fast = session.fast.as_ref().map(|fast| format!("  fast path {fast}\n")).unwrap_or_default();
    format!(
        "SESSION {tunnel_id}/{session_id} (peer's {peer_tunnel_id}/{peer_session_id})\n\
         {ppp}\x20 peer {}  interface {interface}  mtu {mtu}  mru {mru}\n{fast}\
         \x20 {side}  recv-seq {}  send-seq {}  reorder-timeout {} ms  debug {}\n\
         \x20 nr {nr}  ns {ns}\n{}",
        session.peer,
        on(session.recv_seq),
        on(session.send_seq),
        session.reorder_timeout,
        categories(session.debug),
        counters(&session.stats),
    )
}

fn ppp_text(ppp: &PppView) -> String {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or(NOTHING.into());
    format!(
        "  user {}  phase {}  up {}  echo {}\n  local {}  remote {}\n  calling number {}  called number {}\n",
        or_nothing(&ppp.user),
        ppp.phase,
        units::clock(ppp.seconds),
        round_trip(ppp),
        list(&ppp.local),
        list(&ppp.remote),
        or_nothing(&ppp.calling),
        or_nothing(&ppp.called),
    )
}

fn categories(mask: u32) -> String {
    let on = DebugMask::NAMES.iter().filter(|(_, category)| DebugMask(mask).has(*category));
    let names: Vec<_> = on.map(|(name, _)| *name).collect();
    if names.is_empty() { "none".into() } else { names.join(",") }
}

fn counters(counters: &[(String, u64)]) -> String {
    let mut table = Table::default();
    for (name, value) in counters {
        table.row([format!("  {name}"), value.to_string()]);
    }
    format!("{table}\n\n")
}

#[cfg(test)]
mod tests {
    use ol2tpd::control::ControlView;

    use super::*;

    fn pool(name: &str, ipv6: bool, taken: u64, size: u64) -> PoolView {
        PoolView { name: name.into(), ipv6, taken, size }
    }

    fn report() -> Report {
        let stats = vec![("rx_bytes".to_owned(), 1_500_000), ("tx_bytes".to_owned(), 12)];
        let tunnel = TunnelView {
            tunnel_id: 7,
            peer_tunnel_id: 9,
            local: "192.0.2.1:1701".into(),
            peer: "192.0.2.2:1701".into(),
            debug: 0,
            references: 2,
            control: Some(ControlView {
                state: "established".into(),
                host_name: "lac".into(),
                vendor_name: "ol2tp".into(),
                profile: "office".into(),
                authenticated: true,
                seconds: 65,
                retransmissions: 3,
            }),
            stats: stats.clone(),
        };
        let ppp = PppView {
            phase: "Network".into(),
            user: Some("anna".into()),
            local: vec!["10.0.0.1".parse().unwrap()],
            remote: vec!["fe80::a".parse().unwrap(), "10.0.0.10".parse().unwrap()],
            calling: Some("123".into()),
            called: None,
            seconds: 64,
            round_trip_us: Some(12_300),
        };
        let session = SessionView {
            tunnel_id: 7,
            session_id: 1,
            peer_tunnel_id: 9,
            peer_session_id: 4,
            peer: tunnel.peer.clone(),
            bound: true,
            interface: Some("ppp0".into()),
            fast: Some("on".into()),
            mtu: 1458,
            mru: 1458,
            recv_seq: false,
            send_seq: false,
            lns_mode: true,
            reorder_timeout: 0,
            debug: 0,
            nr: 0,
            ns: 0,
            ppp: Some(ppp),
            stats,
        };
        let other = SessionView { session_id: 2, ppp: None, interface: None, ..session.clone() };
        let user = UserView {
            user: "anna".into(),
            sessions: vec![(7, 1), (7, 3)],
            addresses: vec!["10.0.0.10".parse().unwrap()],
            rx_bytes: 5,
            tx_bytes: 6,
        };
        Report {
            tunnels: Some(vec![tunnel]),
            sessions: Some(vec![session, other]),
            users: Some(vec![user]),
            pools: Some(vec![pool("north", false, 3, 254), pool("six", true, 1, 65_536)]),
            ..Report::default()
        }
    }

    #[test]
    fn tables_have_a_row_each() {
        assert_eq!(
            tables(&report()),
            "\
TUNNEL  PEER            HOST NAME  STATE                       PROFILE       UP       IN   OUT
7       192.0.2.2:1701  lac        established, authenticated  office   0:01:05  1.50 MB  12 B

SESSION  USER  INTERFACE  ADDRESS            PEER            PHASE         UP   ECHO       IN   OUT
7/1      anna  ppp0       10.0.0.10 fe80::a  192.0.2.2:1701  Network  0:01:04  12 ms  1.50 MB  12 B
7/2      -     -          -                  192.0.2.2:1701  static         -      -  1.50 MB  12 B

USER  SESSION  ADDRESS     IN  OUT
anna  7/1 7/3  10.0.0.10  5 B  6 B

POOL   OF    TAKEN   FREE   SIZE
north  IPv4      3    251    254
six    /64       1  65535  65536"
        );
        let nothing = Report { tunnels: Some(Vec::new()), users: Some(Vec::new()), ..Report::default() };
        assert_eq!(tables(&nothing), "no tunnels\n\nno users");
    }

    #[test]
    fn the_long_text_has_every_field() {
        let text = long(&report());
        for line in [
            "TUNNEL 7 (peer's 9)",
            "  host name lac  vendor name ol2tp",
            "  established  authenticated yes  profile office  up 0:01:05  retransmissions 3",
            "SESSION 7/1 (peer's 9/4)",
            "  user anna  phase Network  up 0:01:04  echo 12 ms",
            "  local 10.0.0.1  remote 10.0.0.10 fe80::a",
            "  calling number 123  called number -",
            "  peer 192.0.2.2:1701  interface ppp0  mtu 1458  mru 1458",
            "  fast path on",
            "  LNS  recv-seq off  send-seq off  reorder-timeout 0 ms  debug none",
            "  rx_bytes  1500000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
