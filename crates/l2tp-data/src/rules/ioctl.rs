//! `ioctl`: what a request means on which socket.
//!
//! | request | management socket | session socket |
//! |---|---|---|
//! | PPPIOCGCHAN | ENOTCONN | the PPP channel's index; the socket is bound from now on |
//! | SIOCGIFMTU, SIOCSIFMTU, PPPIOCGMRU, PPPIOCSMRU | ENOSYS | kept, of no effect |
//! | PPPIOCGFLAGS, PPPIOCSFLAGS | ENOSYS | kept, of no effect |
//! | PPPIOCGL2TPSTATS | of the session named, EBADR if there is none; of the tunnel if 0 | of the session |
//! | other | ENOSYS | ENOSYS |
//!
//! Before that: PPPIOCGCHAN on a socket that is not connected is ENOTCONN; others answer what
//! [`Socket::target`] says. An argument that cannot be read is EFAULT; an answer that cannot be
//! written is what [`Action::fault`] says.

use super::super::id::SessionId;
use super::super::stats::IOC_STATS_LEN;
use super::{Errno, Socket, Target};

/// `_IOC` of asm-generic: direction, size, type `'t'` of PPP, number.
const fn ppp(direction: u32, number: u32, size: usize) -> u32 {
    direction << 30 | (size as u32) << 16 | (b't' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Statistics of a tunnel or session, `struct pppol2tp_ioc_stats`.
pub const PPPIOCGL2TPSTATS: u32 = ppp(READ, 54, IOC_STATS_LEN);
/// Index of the PPP channel.
pub const PPPIOCGCHAN: u32 = ppp(READ, 55, 4);
/// Set the maximum receive unit.
pub const PPPIOCSMRU: u32 = ppp(WRITE, 82, 4);
/// Get the maximum receive unit.
pub const PPPIOCGMRU: u32 = ppp(READ, 83, 4);
/// Set flags.
pub const PPPIOCSFLAGS: u32 = ppp(WRITE, 89, 4);
/// Get flags.
pub const PPPIOCGFLAGS: u32 = ppp(READ, 90, 4);
/// Get the MTU, in a `struct ifreq`.
pub const SIOCGIFMTU: u32 = 0x8921;
/// Set the MTU, in a `struct ifreq`.
pub const SIOCSIFMTU: u32 = 0x8922;

/// What an ioctl that the rules allow does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Bind the session to its PPP channel and give the channel's index.
    Channel,
    /// Give the MTU.
    GetMtu,
    /// Keep this MTU.
    SetMtu(i32),
    /// Give the MRU.
    GetMru,
    /// Keep this MRU.
    SetMru(i32),
    /// Give the flags.
    GetFlags,
    /// Keep these flags.
    SetFlags(i32),
    /// Give the session's own counters.
    Stats,
    /// Give the tunnel's counters.
    TunnelStats,
    /// Give the counters of this session of the tunnel.
    StatsOf(SessionId),
}

impl Action {
    /// The error if the answer cannot be written to the caller's memory.
    pub const fn fault(self) -> Errno {
        match self {
            Self::Channel => Errno::Inval,
            Self::Stats => Errno::NxIo,
            _ => Errno::Fault,
        }
    }
}

/// Decides on an ioctl.
///
/// `argument` is what the caller's pointer leads to, `None` if it cannot be read: the number for a
/// setting request, the field `session_id` for PPPIOCGL2TPSTATS on a management socket; others do
/// not look at it. `has_session` tells whether the tunnel has a session with that id.
pub fn ioctl(
    socket: Socket,
    request: u32,
    argument: Option<i32>,
    has_session: impl FnOnce(SessionId) -> bool,
) -> Result<Action, Errno> {
    if request == PPPIOCGCHAN {
        return match socket {
            Socket::Connected(Target::Session) => Ok(Action::Channel),
            _ => Err(Errno::NotConn),
        };
    }
    let argument = argument.ok_or(Errno::Fault);
    match (socket.target()?, request) {
        (Target::Management, PPPIOCGL2TPSTATS) => match SessionId::new(argument? as u16) {
            None => Ok(Action::TunnelStats),
            Some(session) if has_session(session) => Ok(Action::StatsOf(session)),
            Some(_) => Err(Errno::BadR),
        },
        (Target::Management, _) => Err(Errno::NoSys),
        (Target::Session, SIOCGIFMTU) => Ok(Action::GetMtu),
        (Target::Session, SIOCSIFMTU) => argument.map(Action::SetMtu),
        (Target::Session, PPPIOCGMRU) => Ok(Action::GetMru),
        (Target::Session, PPPIOCSMRU) => argument.map(Action::SetMru),
        (Target::Session, PPPIOCGFLAGS) => Ok(Action::GetFlags),
        (Target::Session, PPPIOCSFLAGS) => argument.map(Action::SetFlags),
        (Target::Session, PPPIOCGL2TPSTATS) => Ok(Action::Stats),
        (Target::Session, _) => Err(Errno::NoSys),
    }
}
