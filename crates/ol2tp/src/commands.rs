//! `static`, `show`, `set` and `replay`.

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use l2tp_control::record::Replay;
use ol2tpd::control::{self, Client, Listener, Report, SessionView, Set, What};
use ol2tpd::serve::{self, Control};
use ol2tpd::shared_sessions::{self, SharedSessionsConfig};
use ol2tpd::static_session::{self, Options, StaticConfig};
use ol2tpd::{Error, Sockets};
use pppol2tp::data::debug::DebugMask;
use pppol2tp::user::{Config, UserDriver};
use pppol2tp::{Driver, SessionIds};
use serde::Serialize;

use crate::args::{Assignment, EndArgs, Rate, ReplayArgs, SetArgs, SharedArgs, ShowArgs, StaticArgs};
use crate::exit::{Doing, Failure, Result};
use crate::output::{self, Table};
use crate::{can, interrupt};

/// Events of `static`, one JSON line each.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    /// Frames can flow.
    Up { interface: String, mtu: u16 },
}

/// `ol2tp static`: runs until a signal comes.
///
/// Errors: contradicting addresses, a missing permission or device, what the driver refuses, and
/// an interface that has gone.
pub fn run_static(args: &StaticArgs) -> Result<()> {
    let addresses = pairs(&args.address, &args.peer_address)?;
    if args.local.is_ipv4() != args.peer.is_ipv4() {
        return Err(Failure::usage("--local and --peer have to be both IPv4 or both IPv6"));
    }
    let config = StaticConfig {
        local: args.local,
        peer: args.peer,
        ids: SessionIds {
            tunnel_id: args.tunnel.local,
            session_id: args.session.local,
            peer_tunnel_id: args.tunnel.peer,
            peer_session_id: args.session.peer,
        },
        interface: args.interface.clone(),
        addresses,
        mtu: args.mtu,
        options: Options {
            send_seq: args.send_seq,
            recv_seq: args.recv_seq,
            lns_mode: args.lns,
            reorder_timeout: args.reorder_timeout,
            debug: args.debug,
        },
    };
    run(&args.end, args.debug_rate, |driver| static_session::open(driver, &config))
}

/// `ol2tp shared`: many sessions on one interface, until the controlling connection ends.
pub fn run_shared(args: &SharedArgs) -> Result<()> {
    let config = SharedSessionsConfig {
        local: args.local,
        peer: args.peer,
        tunnel_id: 1,
        sessions: args.sessions,
        network: args.network,
        interface: "l2tp%d".into(),
        mtu: 1458,
    };
    run(&args.end, Rate(Some(500)), |driver| shared_sessions::open(driver, &config))
}

fn run(
    end: &EndArgs,
    debug_rate: Rate,
    open: impl FnOnce(&dyn Driver) -> ol2tpd::Result<Sockets>,
) -> Result<()> {
    interrupt::unblock()?;
    can::make_interfaces()?;
    let control = control(end)?;
    let driver = UserDriver::new(Config { mode: end.mode, debug_rate: debug_rate.0 })
        .map_err(|error| Failure::new(format!("starting the driver: {error}")))?;
    let json = end.json;
    serve::run(Arc::new(driver), control, open, |sockets| up(sockets, json))?;
    Ok(())
}

fn control(end: &EndArgs) -> Result<Control> {
    let controller = if end.controlled {
        let stream = std::io::stdin().as_fd().try_clone_to_owned().doing("standard input")?;
        Some(UnixStream::from(stream))
    } else {
        None
    };
    let listener = match (&end.socket, end.controlled) {
        (None, true) => None,
        (path, _) => Some(Listener::bind(&socket_path(path)?)?),
    };
    Ok(Control { listener, controller })
}

fn socket_path(given: &Option<PathBuf>) -> Result<PathBuf> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(control::default_path()?),
    }
}

fn up(sockets: &Sockets, json: bool) -> ol2tpd::Result<()> {
    let Some(unit) = sockets.units.first() else { return Ok(()) };
    let (interface, mtu) = (unit.interface(), unit.mtu());
    let printed = if json {
        output::json(&Event::Up { interface, mtu })
    } else {
        output::print(format_args!("{interface} is up, MTU {mtu}"))
    };
    printed.map_err(|failure| Error::Gone(failure.to_string()))
}

/// Each address with the one of its family at the other end.
fn pairs(addresses: &[IpAddr], others: &[IpAddr]) -> Result<Vec<(IpAddr, IpAddr)>> {
    let of =
        |list: &[IpAddr], v4: bool| list.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for (family, v4) in [("IPv4", true), ("IPv6", false)] {
        match (&of(addresses, v4)[..], &of(others, v4)[..]) {
            ([], []) => {}
            ([address], [other]) => pairs.push((*address, *other)),
            ([_, _, ..], _) | (_, [_, _, ..]) => {
                return Err(Failure::usage(format!(
                    "more than one {family} --address or --peer-address: give one of each"
                )));
            }
            _ => {
                return Err(Failure::usage(format!(
                    "--address and --peer-address go together: one of the {family} addresses is missing"
                )));
            }
        }
    }
    Ok(pairs)
}

/// `ol2tp set`.
///
/// Errors: no ol2tp is running there, there is no such tunnel or session, or its rules refuse.
pub fn set(args: &SetArgs) -> Result<()> {
    let mut set = Set { tunnel_id: args.tunnel, session_id: args.session, ..Set::default() };
    for option in &args.options {
        let (slot, value) = match *option {
            Assignment::Debug(value) => (&mut set.debug, value),
            Assignment::RecvSeq(value) => (&mut set.recv_seq, value),
            Assignment::SendSeq(value) => (&mut set.send_seq, value),
            Assignment::LnsMode(value) => (&mut set.lns_mode, value),
            Assignment::ReorderTimeout(value) => (&mut set.reorder_timeout, value),
        };
        if slot.replace(value).is_some() {
            return Err(Failure::usage("an option is given twice"));
        }
    }
    Ok(Client::connect(&socket_path(&args.socket)?)?.set(set)?)
}

/// `ol2tp show`.
///
/// Errors: no ol2tp is running there.
pub fn show(args: &ShowArgs) -> Result<()> {
    let what = args.what.map_or(What::All, What::from);
    let report = Client::connect(&socket_path(&args.socket)?)?.show(what)?;
    if args.json {
        return output::json(&report);
    }
    output::print(text(&report).trim_end())
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    if let Some(proc) = &report.proc {
        text += proc;
    }
    for tunnel in report.tunnels.iter().flatten() {
        text += &format!("TUNNEL {} (peer's {})\n", tunnel.tunnel_id, tunnel.peer_tunnel_id);
        text += &format!("  local {}  peer {}\n", tunnel.local, tunnel.peer);
        text += &format!("  debug {}  references {}\n", categories(tunnel.debug), tunnel.references);
        text += &counters(&tunnel.stats);
    }
    for session in report.sessions.iter().flatten() {
        text += &session_text(session);
    }
    for socket in report.sockets.iter().flatten() {
        text += &format!("SOCKET {}\n", socket.local);
        text += &format!("  mode {} ({})\n", socket.mode, socket.offloads.join(" "));
        text += &counters(&socket.counters);
    }
    text
}

fn session_text(session: &SessionView) -> String {
    let on = |on: bool| if on { "on" } else { "off" };
    let SessionView { tunnel_id, session_id, peer_tunnel_id, peer_session_id, mtu, mru, nr, ns, .. } =
        session;
    let interface = session.interface.as_deref().unwrap_or("none");
    let side = if session.lns_mode { "LNS" } else { "LAC" };
    format!(
        "SESSION {tunnel_id}/{session_id} (peer's {peer_tunnel_id}/{peer_session_id})\n\
         \x20 peer {}  interface {interface}  mtu {mtu}  mru {mru}\n\
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

/// `ol2tp replay`.
///
/// Errors: the file cannot be read, or a line of it makes no sense.
pub fn replay(args: &ReplayArgs) -> Result<()> {
    let name = args.file.display();
    let file = File::open(&args.file).doing(&name)?;
    for step in Replay::new(BufReader::new(file)) {
        let step = step.map_err(|error| Failure::new(format!("{name}, {error}")))?;
        if args.json { output::json(&step) } else { output::print(step) }?;
    }
    Ok(())
}
