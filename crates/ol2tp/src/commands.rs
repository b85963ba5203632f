//! `static`, `set`, `disconnect`, `events` and `replay`.

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;

use l2tp_control::record::Replay;
use ol2tpd::control::{Client, Set};
use ol2tpd::serve;
use ol2tpd::shared_sessions::{self, SharedSessionsConfig};
use ol2tpd::static_session::{self, Options, StaticConfig};
use ol2tpd::{Error, Sockets};
use pppol2tp::{Driver, SessionIds};
use serde::Serialize;

use crate::args::{
    Assignment, DisconnectArgs, EndArgs, EventsArgs, Rate, ReplayArgs, SetArgs, SharedArgs, StaticArgs,
};
use crate::daemon::{self, DEBUG_RATE, socket_path};
use crate::exit::{Doing, Failure, Result};
use crate::output;

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
        peer_fast: args.peer_fast,
        options: Options {
            send_seq: args.send_seq,
            recv_seq: args.recv_seq,
            lns_mode: args.lns,
            reorder_timeout: args.reorder_timeout,
            debug: args.debug,
        },
    };
    run(&args.end, args.debug_rate, 1, |driver| static_session::open(driver, &config))
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
        peer_fast: args.peer_fast,
    };
    run(&args.end, Rate(DEBUG_RATE), args.sessions.into(), |driver| shared_sessions::open(driver, &config))
}

fn run(
    end: &EndArgs,
    debug_rate: Rate,
    sessions: u32,
    open: impl FnOnce(&dyn Driver) -> ol2tpd::Result<Sockets>,
) -> Result<()> {
    let (driver, why, control) = daemon::start_static(end, debug_rate.0, sessions)?;
    let json = end.json;
    serve::run(driver, why, control, open, |sockets| up(sockets, json))?;
    Ok(())
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
    Ok(Client::connect(&socket_path(args.socket.as_ref())?)?.set(set)?)
}

/// `ol2tp disconnect`.
///
/// Errors: no ol2tp is running there, or there is no such tunnel or session.
pub fn disconnect(args: &DisconnectArgs) -> Result<()> {
    Ok(Client::connect(&socket_path(args.socket.as_ref())?)?.disconnect(args.request())?)
}

/// `ol2tp events`: until the daemon ends.
///
/// Errors: no ol2tp is running there, or it has no events.
pub fn events(args: &EventsArgs) -> Result<()> {
    for notice in Client::connect(&socket_path(args.socket.as_ref())?)?.events()? {
        let notice = notice?;
        if args.json { output::json(&notice) } else { output::print(notice) }?;
    }
    Ok(())
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
