//! `setsockopt` and `getsockopt` of level [`SOL_PPPOL2TP`](super::SOL_PPPOL2TP).
//!
//! | option | management socket | session socket |
//! |---|---|---|
//! | DEBUG | the tunnel's mask | the session's mask |
//! | RECVSEQ, SENDSEQ, LNSMODE | ENOPROTOOPT | 0 or 1, else EINVAL |
//! | REORDERTO | ENOPROTOOPT | milliseconds, not negative, else EINVAL |
//! | other | ENOPROTOOPT | ENOPROTOOPT |
//!
//! Before that, in this order: another level, EINVAL; a length below 4 (set), EINVAL; memory that
//! cannot be read, EFAULT; a negative length (get), EINVAL; what [`Socket::target`] says.

use super::{Errno, SOL_PPPOL2TP, Socket, Target};

/// A socket option of level SOL_PPPOL2TP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum SocketOption {
    /// `PPPOL2TP_SO_DEBUG`: mask of message categories.
    Debug = 1,
    /// `PPPOL2TP_SO_RECVSEQ`: 1: drop messages without sequence numbers.
    RecvSeq = 2,
    /// `PPPOL2TP_SO_SENDSEQ`: 1: send sequence numbers.
    SendSeq = 3,
    /// `PPPOL2TP_SO_LNSMODE`: 0: LAC, 1: LNS.
    LnsMode = 4,
    /// `PPPOL2TP_SO_REORDERTO`: milliseconds; 0: do not reorder.
    ReorderTo = 5,
}

impl SocketOption {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::Debug, Self::RecvSeq, Self::SendSeq, Self::LnsMode, Self::ReorderTo];

    /// The option of this number.
    pub const fn from_raw(optname: i32) -> Option<Self> {
        match optname {
            1 => Some(Self::Debug),
            2 => Some(Self::RecvSeq),
            3 => Some(Self::SendSeq),
            4 => Some(Self::LnsMode),
            5 => Some(Self::ReorderTo),
            _ => None,
        }
    }
}

/// Whether the socket has the option.
pub const fn available(target: Target, option: SocketOption) -> Result<(), Errno> {
    match (target, option) {
        (Target::Session, _) | (Target::Management, SocketOption::Debug) => Ok(()),
        (Target::Management, _) => Err(Errno::NoProtoOpt),
    }
}

/// Whether the socket has the option and the value is allowed.
pub fn check(target: Target, option: SocketOption, value: i32) -> Result<(), Errno> {
    available(target, option)?;
    let allowed = match option {
        SocketOption::Debug => true,
        SocketOption::RecvSeq | SocketOption::SendSeq | SocketOption::LnsMode => matches!(value, 0 | 1),
        SocketOption::ReorderTo => value >= 0,
    };
    if allowed { Ok(()) } else { Err(Errno::Inval) }
}

/// `setsockopt`: the option to set and its value. `optval` is what stands in the first four bytes,
/// `None` if they cannot be read.
pub fn set_option(
    socket: Socket,
    level: i32,
    optname: i32,
    optlen: i32,
    optval: Option<[u8; 4]>,
) -> Result<(SocketOption, i32), Errno> {
    if level != SOL_PPPOL2TP || optlen < 4 {
        return Err(Errno::Inval);
    }
    let value = i32::from_ne_bytes(optval.ok_or(Errno::Fault)?);
    let target = socket.target()?;
    let option = SocketOption::from_raw(optname).ok_or(Errno::NoProtoOpt)?;
    check(target, option, value)?;
    Ok((option, value))
}

/// `getsockopt`: the option to get and how many bytes of its value (native order) the caller has
/// room for, at most 4. `optlen` is the length given, `None` if it cannot be read.
pub fn get_option(
    socket: Socket,
    level: i32,
    optname: i32,
    optlen: Option<i32>,
) -> Result<(SocketOption, usize), Errno> {
    if level != SOL_PPPOL2TP {
        return Err(Errno::Inval);
    }
    let len = optlen.ok_or(Errno::Fault)?;
    let len = usize::try_from(len).map_err(|_| Errno::Inval)?.min(4);
    let target = socket.target()?;
    let option = SocketOption::from_raw(optname).ok_or(Errno::NoProtoOpt)?;
    available(target, option)?;
    Ok((option, len))
}
