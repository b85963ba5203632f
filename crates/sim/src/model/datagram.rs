//! What a datagram on a UDP socket is, and which session it belongs to.

use std::net::SocketAddr;

use super::{Session, Step};

/// A UDP socket with its tunnels.
#[derive(Clone, Debug, Default)]
pub struct Socket {
    /// Its tunnels.
    pub tunnels: Vec<Tunnel>,
}

/// A tunnel with its sessions.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Local tunnel id.
    pub id: u16,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Takes messages with tunnel id 0 that come from the peer.
    pub accept_zero_id: bool,
    /// Its sessions by local session id.
    pub sessions: Vec<(u16, Session<Vec<u8>>)>,
    /// Messages for its sessions that came from another address.
    pub rx_foreign: u64,
}

/// Why a datagram is passed up to the owner of the UDP socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A control message.
    Control,
    /// Too short for a data message.
    Short,
    /// Not version 2.
    Version,
    /// No such tunnel, or no such session in it.
    UnknownSession,
}

/// What became of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Unchanged to the owner of the UDP socket.
    PassedUp(Reason),
    /// Dropped: it did not come from the tunnel's peer.
    Foreign {
        /// Local id of the tunnel that counted it.
        tunnel: u16,
    },
    /// Taken by a session. Frames delivered have lost FF 03.
    Session {
        /// Local tunnel id.
        tunnel: u16,
        /// Local session id.
        session: u16,
        /// What it did.
        step: Step<Vec<u8>>,
    },
}

/// Takes bytes off the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u16(&mut self) -> Option<u16> {
        match self.0 {
            [high, low, rest @ ..] => {
                self.0 = rest;
                Some(u16::from(*high) * 256 + u16::from(*low))
            }
            _ => None,
        }
    }
}

impl Tunnel {
    /// One of its sessions.
    pub fn session(&mut self, id: u16) -> Option<&mut Session<Vec<u8>>> {
        self.sessions.iter_mut().find(|(known, _)| *known == id).map(|(_, session)| session)
    }
}

impl Socket {
    /// One of its tunnels.
    pub fn tunnel(&mut self, id: u16) -> Option<&mut Tunnel> {
        self.tunnels.iter_mut().find(|tunnel| tunnel.id == id)
    }

    /// Takes one datagram.
    pub fn datagram(&mut self, now: u64, from: SocketAddr, datagram: &[u8]) -> Outcome {
        let mut rest = Bytes(datagram);
        let Some(flags) = rest.u16() else { return Outcome::PassedUp(Reason::Short) };
        let bit = |n: u32| flags & (1 << (15 - n)) != 0;
        if flags % 16 != 2 {
            return Outcome::PassedUp(Reason::Version);
        }
        if bit(0) {
            return Outcome::PassedUp(Reason::Control);
        }
        let length = if bit(1) { rest.u16() } else { None };
        let (Some(tunnel_id), Some(session_id)) = (rest.u16(), rest.u16()) else {
            return Outcome::PassedUp(Reason::Short);
        };

        let tunnel = self.tunnels.iter_mut().find(|tunnel| match tunnel_id {
            0 => tunnel.accept_zero_id && tunnel.peer == from,
            id => tunnel.id == id,
        });
        let Some(tunnel) = tunnel else { return Outcome::PassedUp(Reason::UnknownSession) };
        let (id, peer) = (tunnel.id, tunnel.peer);
        let Some(session) = tunnel.session(session_id) else {
            return Outcome::PassedUp(Reason::UnknownSession);
        };
        if peer != from {
            tunnel.rx_foreign += 1;
            return Outcome::Foreign { tunnel: id };
        }
        let step = message(session, now, datagram.len(), length, bit(4), bit(6), rest);
        Outcome::Session { tunnel: id, session: session_id, step }
    }
}

/// The rest of a data message, behind the ids: `rest`, of a datagram of `size` bytes.
fn message(
    session: &mut Session<Vec<u8>>,
    now: u64,
    size: usize,
    length: Option<u16>,
    sequenced: bool,
    offset: bool,
    mut rest: Bytes<'_>,
) -> Step<Vec<u8>> {
    let discard = |session: &mut Session<Vec<u8>>, reason| {
        session.discard(reason);
        Step { delivered: Vec::new(), discarded: Some(reason) }
    };
    let mut len = size;
    if let Some(length) = length {
        len = usize::from(length);
        let ids_end = size - rest.0.len();
        if len > size || len < ids_end {
            return discard(session, "rx_bad_length");
        }
        rest = Bytes(&rest.0[..len - ids_end]);
    }

    let mut ns = None;
    if sequenced {
        let (Some(number), Some(_nr)) = (rest.u16(), rest.u16()) else {
            return discard(session, "rx_bad_sequence");
        };
        ns = Some(number);
    }
    if let Err(reason) = session.admit(sequenced) {
        return Step { delivered: Vec::new(), discarded: Some(reason) };
    }

    if offset {
        let padding = rest.u16().map(usize::from);
        match padding.and_then(|padding| rest.0.get(padding..)) {
            Some(behind) => rest = Bytes(behind),
            None => return discard(session, "rx_bad_offset"),
        }
    }
    let frame = match rest.0 {
        [] | [_] | [0xff, 0x03] => return discard(session, "rx_short_frame"),
        [0xff, 0x03, frame @ ..] => frame,
        frame => frame,
    };
    session.order(now, ns, len, frame.to_vec())
}
