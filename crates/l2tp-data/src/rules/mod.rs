//! Rules of `connect`, `setsockopt`, `getsockopt` and `ioctl`: which error, in which order. Every home
//! of the driver asks these functions, so every home answers alike.
//!
//! They take raw integers, as they come from a `sockaddr` or from a command, and hand out typed,
//! non-zero ids when they accept.

use core::fmt;

mod connect;
mod ioctl;
mod options;
mod sockaddr;

pub use connect::{Accepted, Connect, Descriptor, Tunnel, TunnelState, View, connect};
pub use ioctl::{
    Action, PPPIOCGCHAN, PPPIOCGFLAGS, PPPIOCGL2TPSTATS, PPPIOCGMRU, PPPIOCSFLAGS, PPPIOCSMRU, SIOCGIFMTU,
    SIOCSIFMTU, ioctl,
};
pub use options::{SocketOption, available, check, get_option, set_option};
pub use sockaddr::{SOCKADDR_IN6_LEN, SOCKADDR_LEN, SockAddr};

/// The family of PPP sockets, `AF_PPPOX` and `PF_PPPOX`.
pub const AF_PPPOX: u16 = 24;
/// The protocol of PPPoL2TP sockets, `PX_PROTO_OL2TP`.
pub const PX_PROTO_OL2TP: u32 = 1;
/// The level of the driver's socket options, `SOL_PPPOL2TP`.
pub const SOL_PPPOL2TP: i32 = 273;

macro_rules! errno {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $explanation:literal;)*) => {
        /// The errors of the socket interface, with the numbers they have on Linux (asm-generic).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(i32)]
        pub enum Errno { $($(#[$doc])* $variant = $number,)* }

        impl Errno {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its symbol, for example `"ENOENT"`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means here and what to do, in words.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation,)* }
            }
        }
    };
}

errno! {
    /// No such tunnel.
    NoEnt = 2, "ENOENT",
        "there is no tunnel with this id: connect its management socket first";
    /// Reading raw frames while a unit is bound; other failures of the system.
    Io = 5, "EIO",
        "a PPP unit is bound to the session and takes its frames: read them there, or close the unit";
    /// Not connected (interface ioctls).
    NxIo = 6, "ENXIO",
        "the answer cannot be written to the address given: pass a pointer to the whole structure";
    /// A descriptor or object that is gone.
    BadF = 9, "EBADF",
        "the descriptor is not open, or the tunnel behind the socket has ended: open a new UDP socket and tunnel";
    /// A queue is full; try again.
    Again = 11, "EAGAIN",
        "a queue is full or empty at the moment: wait until the descriptor is ready and try again";
    /// No memory.
    NoMem = 12, "ENOMEM",
        "there is no memory left for it: close tunnels or sessions, or raise the limit";
    /// A pointer that leads nowhere.
    Fault = 14, "EFAULT",
        "the value cannot be read from or written to the address given: pass a valid pointer";
    /// In use.
    Busy = 16, "EBUSY",
        "the socket is connected already or its UDP socket serves another encapsulation: use a new socket";
    /// The id is taken.
    Exist = 17, "EEXIST",
        "the tunnel or session id is in use: choose another, or close what has it";
    /// The tunnel is closing.
    NoDev = 19, "ENODEV",
        "the tunnel is closing: make a new one";
    /// A value that is not allowed.
    Inval = 22, "EINVAL",
        "a value is not allowed: ids are 1 to 65535, switches 0 or 1, times not negative, and a UDP socket \
         that serves a tunnel keeps its id";
    /// An ioctl that is not known.
    NoTty = 25, "ENOTTY",
        "the socket does not know this ioctl: use those of PPP and of PPPoL2TP";
    /// Not implemented on this kind of socket.
    NoSys = 38, "ENOSYS",
        "this kind of socket does not have this ioctl: a management socket has statistics only";
    /// No such session of the tunnel.
    BadR = 53, "EBADR",
        "the tunnel has no session with this id: ask for one of its sessions, or for 0, the tunnel itself";
    /// A descriptor that is no socket.
    NotSock = 88, "ENOTSOCK",
        "the descriptor is not a socket: pass the tunnel's UDP socket";
    /// Larger than the path allows.
    MsgSize = 90, "EMSGSIZE",
        "the frame is larger than the path to the peer allows: send smaller ones, or lower the MTU";
    /// An option that the socket does not have.
    NoProtoOpt = 92, "ENOPROTOOPT",
        "the socket does not have this option: a management socket has only DEBUG, a session socket also \
         RECVSEQ, SENDSEQ, LNSMODE and REORDERTO";
    /// Not a UDP socket.
    ProtoNoSupport = 93, "EPROTONOSUPPORT",
        "the socket is not a UDP socket: L2TP tunnels run over UDP";
    /// Not possible on this kind of socket.
    OpNotSupp = 95, "EOPNOTSUPP",
        "a management socket never carries frames: use a session socket";
    /// Not an IPv4 or IPv6 socket.
    AfNoSupport = 97, "EAFNOSUPPORT",
        "the socket is neither IPv4 nor IPv6: open the tunnel's UDP socket in one of them";
    /// Not connected, or not any more.
    NotConn = 107, "ENOTCONN",
        "the socket is not connected, or its tunnel has ended: connect a new one";
    /// The socket's session has died; it cannot be connected again.
    Already = 114, "EALREADY",
        "the socket's session has ended with its tunnel and cannot be connected again: close it and use a new one";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a connected socket speaks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A tunnel: its management socket.
    Management,
    /// A session.
    Session,
}

/// The state of a PPPoL2TP socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Socket {
    /// Not connected yet.
    New,
    /// Connected, its tunnel or session is there.
    Connected(Target),
    /// Connected once; the tunnel has ended, for example with its UDP socket.
    Dead(Target),
    /// Closed by its owner while this call was under way.
    Closed,
}

impl Socket {
    /// What options and ioctls act on.
    pub const fn target(self) -> Result<Target, Errno> {
        match self {
            Self::Connected(target) => Ok(target),
            Self::New | Self::Dead(Target::Session) => Err(Errno::NotConn),
            Self::Dead(Target::Management) | Self::Closed => Err(Errno::BadF),
        }
    }

    /// Whether `sendmsg` may send a frame.
    pub const fn may_send(self) -> Result<(), Errno> {
        match self {
            Self::Connected(Target::Session) => Ok(()),
            Self::Connected(Target::Management) => Err(Errno::OpNotSupp),
            Self::New | Self::Dead(_) | Self::Closed => Err(Errno::NotConn),
        }
    }
}
