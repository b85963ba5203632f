//! A snapshot as the kernel's text.

use std::fmt;

use l2tp_data::proc::{self, Session, State, Tunnel};

use crate::{SessionInfo, Snapshot, TunnelInfo};

impl Snapshot {
    /// The text of `/proc/net/pppol2tp`, as [`l2tp_data::proc`] lays it out.
    pub fn proc(&self) -> impl fmt::Display {
        Proc(self)
    }
}

struct Proc<'a>(&'a Snapshot);

impl fmt::Display for Proc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        proc::header(f)?;
        let mut sessions = self.0.sessions.iter().peekable();
        for tunnel in &self.0.tunnels {
            let TunnelInfo { tunnel_id, references, debug, ref stats, .. } = *tunnel;
            proc::tunnel(f, &Tunnel { tunnel_id, alive: true, references, debug, stats })?;
            while let Some(session) = sessions.next_if(|session| session.ids.tunnel_id == tunnel_id) {
                proc::session(f, &record(session))?;
            }
        }
        Ok(())
    }
}

fn record(session: &SessionInfo) -> Session<'_> {
    Session {
        tunnel_id: session.ids.tunnel_id,
        session_id: session.ids.session_id,
        peer_tunnel_id: session.ids.peer_tunnel_id,
        peer_session_id: session.ids.peer_session_id,
        peer: session.peer,
        state: if session.bound { State::Bound } else { State::Connected },
        mtu: session.mtu,
        mru: session.mru,
        recv_seq: session.recv_seq,
        send_seq: session.send_seq,
        lns_mode: session.lns_mode,
        debug: session.debug,
        reorder_timeout: session.reorder_timeout,
        nr: session.nr,
        ns: session.ns,
        stats: &session.stats,
        interface: session.interface.as_deref(),
    }
}
