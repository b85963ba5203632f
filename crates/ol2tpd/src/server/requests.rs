//! The control API of the daemon, and what is traced.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use l2tp_control::Cause;
use l2tp_control::Instant;
use l2tp_control::record::Words;
use l2tp_control::wire::StopResult;
use l2tp_data::id::TunnelId;
use pppol2tp::Errno;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::Reactor;
use super::key::Key;
use super::network::Network;
use super::sessions::Session;
use super::tunnels::text;
use crate::accounts::TerminateCause;
use crate::control::{
    ControlView, Disconnect, Failure, Handler, PoolView, PppView, Report, Request, Set, UserView, What,
    failure,
};
use crate::notice::Notice;

/// A request, and where its reply goes.
pub(super) struct Call {
    request: Request,
    reply: oneshot::Sender<Result<Report, Failure>>,
}

/// The reactor as the control API sees it.
pub(super) struct Remote {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
}

impl Handler for Remote {
    async fn handle(&self, request: Request) -> Result<Report, Failure> {
        let (reply, answer) = oneshot::channel();
        let gone = || failure(Errno::NotConn, "the daemon is ending");
        self.calls.send(Call { request, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn events(&self) -> Option<broadcast::Receiver<Arc<Notice>>> {
        Some(self.notices.subscribe())
    }
}

impl Reactor<'_> {
    pub(super) fn request(&mut self, call: Call) {
        let Call { request, reply } = call;
        let result = match request {
            Request::Show(what) => Ok(self.report(what)),
            Request::Set(set) => self.set(&set).map(|()| Report::default()),
            Request::Disconnect(what) => self.disconnect(&what).map(|()| Report::default()),
            Request::Events => Ok(Report::default()),
        };
        // Whoever has asked may have gone.
        let _ = reply.send(result);
    }

    /// Tells a control message, if that is wanted.
    pub(super) fn trace_control(&mut self, sent: bool, datagram: &[u8]) {
        if self.trace {
            self.notice(Notice::Message { sent, text: Words::of(datagram, None).to_string() });
        }
    }

    /// Tells a PPP frame, if that is wanted.
    pub(super) fn trace_frame(&mut self, sent: bool, frame: &[u8]) {
        if self.trace {
            self.notice(Notice::Message { sent, text: ppp::describe(frame) });
        }
    }

    fn report(&self, what: What) -> Report {
        let now = self.clock.now();
        let mut report = Report::new(what, &*self.driver, &self.why);
        for view in report.tunnels.iter_mut().flatten() {
            view.control = TunnelId::new(view.tunnel_id).and_then(|id| self.control_view(now, id));
        }
        for view in report.sessions.iter_mut().flatten() {
            let key = key(view.tunnel_id, view.session_id);
            view.ppp = key.and_then(|key| Some(ppp_view(now, self.sessions.get(&key)?)));
        }
        if what == What::Pools {
            report.pools = Some(self.pools());
        }
        if what == What::Users {
            report.users = Some(self.users());
        }
        report
    }

    fn control_view(&self, now: Instant, id: TunnelId) -> Option<ControlView> {
        let tunnel = self.tunnels.get(&id)?;
        Some(ControlView {
            state: self.endpoint.tunnel_state(id)?.name().into(),
            host_name: text(&tunnel.peer.host_name),
            vendor_name: text(&tunnel.peer.vendor_name),
            profile: self
                .dials
                .name(id)
                .or(tunnel.profile.as_ref().map(|profile| &*profile.name))
                .unwrap_or_default()
                .into(),
            authenticated: tunnel.peer.authenticated,
            seconds: now.since(tunnel.since).as_secs(),
            retransmissions: self.endpoint.delivery(id).map_or(0, |counters| counters.retransmissions.into()),
        })
    }

    fn pools(&self) -> Vec<PoolView> {
        let view = |ipv6: bool, (name, taken, size): (&str, u64, u64)| PoolView {
            name: name.into(),
            ipv6,
            taken,
            size,
        };
        let ipv4 = self.pools.ipv4.usage().map(|usage| view(false, usage));
        ipv4.chain(self.pools.ipv6.usage().map(|usage| view(true, usage))).collect()
    }

    fn users(&self) -> Vec<UserView> {
        let mut users: BTreeMap<String, UserView> = BTreeMap::new();
        for (key, session) in &self.sessions {
            // pppd has let in whom it names.
            let let_in = session.grant.is_some() || session.pppd.is_some() || session.dial.is_some();
            let Some(user) = session.user().filter(|_| let_in).map(text) else { continue };
            let view = users.entry(user.clone()).or_insert_with(|| UserView { user, ..UserView::default() });
            let traffic = session.traffic();
            view.sessions.push((key.tunnel_id(), key.session_id()));
            view.addresses
                .extend(session.up.iter().flat_map(|up| up.networks().map(|network| network.remote)));
            view.rx_bytes += traffic.rx_bytes;
            view.tx_bytes += traffic.tx_bytes;
        }
        users.into_values().collect()
    }

    fn set(&self, set: &Set) -> Result<(), Failure> {
        let tunnel = TunnelId::new(set.tunnel_id).and_then(|id| self.tunnels.get(&id)?.socket.as_deref());
        let session = set.session_id.and_then(|session| key(set.tunnel_id, session));
        let session = session.and_then(|key| self.sessions.get(&key)?.socket.as_deref());
        crate::control::apply(set, tunnel, session)
    }

    fn disconnect(&mut self, what: &Disconnect) -> Result<(), Failure> {
        let now = self.clock.now();
        if *what == Disconnect::default() {
            return Err(failure(
                Errno::Inval,
                "say what to disconnect: a tunnel, session, user, interface or all",
            ));
        }
        let Disconnect { tunnel_id, session_id, user, interface, all } = what;
        if session_id.is_some() && tunnel_id.is_none() {
            return Err(failure(Errno::Inval, "a session's number counts in its tunnel: say which tunnel"));
        }
        let fits = |key: &Key, session: &Session| {
            tunnel_id.is_none_or(|id| id == key.tunnel_id())
                && session_id.is_none_or(|id| id == key.session_id())
                && user.as_ref().is_none_or(|user| session.user() == Some(user.as_bytes()))
                && interface
                    .as_ref()
                    .is_none_or(|name| session.up.as_ref().is_some_and(|up| up.interface == *name))
        };
        let sessions: Vec<_> =
            self.sessions.iter().filter(|(key, session)| fits(key, session)).map(|(key, _)| *key).collect();
        let whole = session_id.is_none() && user.is_none() && interface.is_none();
        let tunnels: Vec<_> = self
            .tunnels
            .keys()
            .copied()
            .filter(|id| whole && tunnel_id.is_none_or(|only| only == id.get()))
            .collect();
        let waited = *all && self.stop_waiting_dials();
        if sessions.is_empty() && tunnels.is_empty() && !waited {
            return Err(failure(Errno::NoEnt, "there is no such session or tunnel; `ol2tp show` lists them"));
        }
        for &key in &sessions {
            match self.sessions.get(&key).and_then(|session| session.dial) {
                Some(dial) => self.hang_up_dial(dial, key),
                None => self.close_link(
                    now,
                    key,
                    TerminateCause::ADMIN_RESET,
                    "disconnected by the administrator",
                ),
            }
        }
        self.pump(now);
        // Their last words go before the tunnel's.
        for session in sessions.iter().filter_map(|key| self.sessions.get(key)) {
            session.flush();
        }
        for tunnel in tunnels {
            self.close_tunnel(now, tunnel, Cause::new(StopResult::CLEAR));
        }
        Ok(())
    }
}

fn key(tunnel_id: u16, session_id: u16) -> Option<Key> {
    let session = l2tp_data::id::SessionId::new(session_id)?;
    Some(Key::new(TunnelId::new(tunnel_id)?, session))
}

fn ppp_view(now: Instant, session: &Session) -> PppView {
    let phase = match (session.link.as_ref().map(|link| link.phase()), &session.pppd, &session.up) {
        (Some(phase), _, _) => format!("{phase:?}").to_lowercase(),
        (None, Some(_), Some(_)) => "network".to_owned(),
        (None, Some(_), None) => "establish".to_owned(),
        (None, None, _) => "call".to_owned(),
    };
    let addresses =
        |address: fn(&Network) -> IpAddr| session.up.iter().flat_map(move |up| up.networks().map(address));
    let advertised = session.up.iter().flat_map(|up| up.advertised_addresses());
    PppView {
        phase,
        user: session.user().map(text),
        local: addresses(|network| network.local).chain(advertised).collect(),
        remote: addresses(|network| network.remote).collect(),
        calling: session.calling.as_deref().map(text),
        called: session.called.as_deref().map(text),
        seconds: now.since(session.since).as_secs(),
        round_trip_us: session.link.as_ref().and_then(|link| link.round_trip()).map(micros),
    }
}

/// Whole microseconds.
pub(super) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
