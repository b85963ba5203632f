//! What a session is known by.

use std::fmt;
use std::ops::RangeInclusive;

use l2tp_data::id::{SessionId, TunnelId};
use pppol2tp::SessionIds;

/// A session by our ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(u16, u16);

impl Key {
    pub(super) fn new(tunnel: TunnelId, session: SessionId) -> Self {
        Self(tunnel.get(), session.get())
    }

    /// A number that is unique as long as the daemon lives: of the session that is the `count`th.
    pub(super) fn serial(self, count: u64) -> u64 {
        count << 32 | u64::from(self.0) << 16 | u64::from(self.1)
    }

    /// What a session's serial number says.
    pub(super) fn of(serial: u64) -> Self {
        Self((serial >> 16) as u16, serial as u16)
    }

    /// All sessions of a tunnel.
    pub(super) fn all_of(tunnel: TunnelId) -> RangeInclusive<Self> {
        Self(tunnel.get(), 0)..=Self(tunnel.get(), u16::MAX)
    }

    pub(super) fn from_ids(tunnel_id: u16, session_id: u16) -> Self {
        Self(tunnel_id, session_id)
    }

    pub(super) fn tunnel(self) -> Option<TunnelId> {
        TunnelId::new(self.0)
    }

    pub(super) fn ids(self) -> Option<(TunnelId, SessionId)> {
        Some((TunnelId::new(self.0)?, SessionId::new(self.1)?))
    }

    pub(super) fn tunnel_id(self) -> u16 {
        self.0
    }

    pub(super) fn session_id(self) -> u16 {
        self.1
    }
}

impl From<SessionIds> for Key {
    fn from(ids: SessionIds) -> Self {
        Self(ids.tunnel_id, ids.session_id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}
