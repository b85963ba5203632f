//! What the control connections tell, and what becomes of it in the driver.

use std::sync::Arc;

use l2tp_control::wire::{CdnResult, ErrorCode, StopResult};
use l2tp_control::{By, Cause, Connected, Event, Instant, PeerInfo, Request};
use l2tp_data::id::{SessionId, TunnelId};
use pppol2tp::{TunnelConfig, TunnelSocket};
use tracing::{debug, warn};

use super::ending::Ending;
use super::key::Key;
use super::sessions::NO_DATA_PATH;
use super::{FAST_VENDOR, Reactor};
use crate::config::{InterfaceChoice, Profile};
use crate::notice::Notice;

/// Tunnels that may be kept in mind after their end before it is looked at which need it no more.
const LEAVING: usize = 64;

/// An established tunnel.
pub(super) struct Tunnel {
    /// The driver's. Dropped, it is not gone: its UDP socket has others.
    pub(super) socket: Option<Box<dyn TunnelSocket>>,
    pub(super) peer: Box<PeerInfo>,
    /// What calls get that the peer places; nothing, where the tunnel is ours, or the configuration has no
    /// place for the peer any more.
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) since: Instant,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.delete();
        }
    }
}

impl Reactor<'_> {
    pub(super) fn control_event(&mut self, now: Instant, event: Event) {
        debug!("{event}");
        match event {
            Event::TunnelUp { tunnel, peer } => self.tunnel_up(now, tunnel, peer),
            Event::TunnelDown { tunnel, stranger, reason } => {
                let peer = match (self.tunnels.get(&tunnel), &stranger) {
                    (Some(tunnel), _) => Some(tunnel.peer.path.peer),
                    (None, Some(stranger)) => Some(stranger.path.peer),
                    (None, None) => None,
                };
                if reason.by == By::Peer {
                    self.leave(tunnel);
                }
                let ending = Ending::of_tunnel(&reason, self.dials.has_secret(tunnel));
                let sessions: Vec<_> =
                    self.sessions.range(Key::all_of(tunnel)).map(|(key, _)| *key).collect();
                for key in sessions {
                    self.end_session(now, key, ending.clone());
                }
                let established = self.tunnels.remove(&tunnel).is_some();
                let known = established || self.dials.opening().any(|id| id == tunnel);
                // Anybody can begin a tunnel and leave it at that.
                let told = if known { Some(0) } else { self.strangers.may_be_told(now) };
                if let Some(untold @ 1..) = told {
                    warn!("{untold} more tunnels that peers began were not established");
                }
                if told.is_some() {
                    self.notice(Notice::TunnelDown {
                        tunnel_id: tunnel.get(),
                        peer,
                        why: reason.to_string(),
                    });
                }
                self.dial_tunnel_down(now, tunnel, &ending);
            }
            Event::CallOffered { tunnel, session, request } => {
                self.call_offered(now, tunnel, session, *request)
            }
            Event::CallAccepted { tunnel, session } => self.call_accepted(now, tunnel, session),
            Event::CallUp { tunnel, session, peer_session, connected } => {
                let key = Key::new(tunnel, session);
                if self.sessions.get(&key).is_some_and(|session| session.told) {
                    let (tunnel_id, session_id, peer_session_id) =
                        (key.tunnel_id(), key.session_id(), peer_session.get());
                    self.notice(Notice::CallUp { tunnel_id, session_id, peer_session_id });
                }
                self.call_up(now, key, *connected);
            }
            Event::CallDown { tunnel, session, reason } => {
                self.end_session(now, Key::new(tunnel, session), Ending::of_call(&reason));
            }
            // There is no asynchronous line here whose characters could be escaped, and none with errors.
            Event::LinkInfo { .. } | Event::LineErrors { .. } => {}
        }
    }

    fn tunnel_up(&mut self, now: Instant, tunnel: TunnelId, peer: Box<PeerInfo>) {
        let ours = self.dials.opening().any(|id| id == tunnel);
        // The rule by which the peer was let in, which it cannot choose anew by another name.
        let policy = self.endpoint.policy(tunnel);
        let mut peers = self.settings.peers.iter();
        let rule = peers.find(|rule| policy.is_some_and(|policy| Arc::ptr_eq(policy, &rule.policy)));
        let profile = rule.filter(|_| !ours).map(|rule| rule.profile.clone());
        if !ours && (profile.is_none() || self.farewell.is_some()) {
            // The configuration was read again after the peer's SCCRQ was taken, or the end has begun.
            return self.close_tunnel(now, tunnel, Cause::new(StopResult::NOT_AUTHORISED));
        }
        let config = TunnelConfig {
            tunnel_id: tunnel.get(),
            peer_tunnel_id: peer.tunnel_id.get(),
            peer: peer.path.peer,
            local: peer.path.local,
            accept_zero_id: false,
        };
        let made = match self.sockets.get(peer.path.socket) {
            Some(udp) => udp.tunnel(config).map_err(|error| error.to_string()),
            None => Err("its UDP socket has gone".into()),
        };
        let socket = match made {
            Ok(socket) => {
                if peer.vendor_name == FAST_VENDOR.as_bytes() {
                    socket.peer_has_fast_path();
                }
                Some(socket)
            }
            Err(why) => {
                warn!("tunnel {}: {why}", tunnel.get());
                let words = "the data path cannot be set up";
                let cause = Cause::error(StopResult::GENERAL_ERROR, ErrorCode::RESOURCES, words);
                return self.close_tunnel(now, tunnel, cause);
            }
        };
        self.notice(Notice::TunnelUp {
            tunnel_id: tunnel.get(),
            peer_tunnel_id: peer.tunnel_id.get(),
            peer: peer.path.peer,
            host_name: text(&peer.host_name),
            vendor_name: text(&peer.vendor_name),
            authenticated: peer.authenticated,
        });
        self.tunnels.insert(tunnel, Tunnel { socket, peer, profile, since: now });
        self.dial_tunnel_up(now, tunnel);
    }

    fn profile_of(&self, peer: &PeerInfo) -> Option<Arc<Profile>> {
        let mut peers = self.settings.peers.iter();
        let fits = peers.find(|rule| rule.rule().fits(&peer.host_name, peer.path.peer.ip()));
        fits.map(|rule| rule.profile.clone())
    }

    /// Calls to come follow the new settings.
    pub(super) fn adopt_tunnels(&mut self) {
        let ours: Vec<_> = self.dials.open().collect();
        let ids = self.tunnels.keys().copied().filter(|id| !ours.contains(id));
        for id in ids.collect::<Vec<_>>() {
            let profile = self.tunnels.get(&id).and_then(|tunnel| self.profile_of(&tunnel.peer));
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                tunnel.profile = profile;
            }
        }
    }

    pub(super) fn close_tunnel(&mut self, now: Instant, tunnel: TunnelId, cause: Cause<StopResult>) {
        // It may have ended meanwhile.
        let _ = self.endpoint.close(now, tunnel, cause);
        self.leave(tunnel);
    }

    /// Takes note that a tunnel's peer has to hear, or to be answered, before the daemon ends.
    fn leave(&mut self, tunnel: TunnelId) {
        if self.leaving.len() >= LEAVING && self.leaving.len().is_power_of_two() {
            self.leaving.retain(|tunnel| !self.endpoint.is_settled(*tunnel));
        }
        self.leaving.insert(tunnel);
    }

    fn call_offered(&mut self, now: Instant, tunnel: TunnelId, session: SessionId, request: Request) {
        let Request::Incoming(call) = request else {
            let words = "there is no line here to call out on";
            let mut cause = Cause::new(CdnResult::NO_FACILITIES_EVER);
            cause.message = words.into();
            return self.hang_up(now, Key::new(tunnel, session), cause);
        };
        let key = Key::new(tunnel, session);
        let Some(entry) = self.tunnels.get(&tunnel) else { return };
        let (Some(profile), peer) = (entry.profile.clone(), entry.peer.path.peer) else {
            let mut cause = Cause::new(CdnResult::NO_FACILITIES_EVER);
            cause.message = "no calls are taken through this tunnel".into();
            return self.hang_up(now, key, cause);
        };
        let own = matches!(profile.interface, InterfaceChoice::PerSession { .. });
        if own && !self.removal.has_room(self.sessions.len(), self.settings.limits.sessions) {
            let mut cause = Cause::new(CdnResult::NO_FACILITIES);
            cause.message = "the interfaces of ended sessions are being removed: try again".into();
            return self.hang_up(now, key, cause);
        }
        self.new_session(now, key, profile, peer, None, call.calling, call.called);
        match self.open_driver_session(key, true) {
            // It may have ended meanwhile.
            Ok(()) => drop(self.endpoint.accept(now, tunnel, session)),
            Err(error) => self.fails_here(now, key, NO_DATA_PATH, &error),
        }
    }

    /// The peer takes our call. Its frames may follow our ICCN at once, so there is a session for them before.
    fn call_accepted(&mut self, now: Instant, tunnel: TunnelId, session: SessionId) {
        let key = Key::new(tunnel, session);
        let Some(entry) = self.sessions.get(&key) else { return };
        let sequencing_required = entry.profile.require_sequence;
        let connected = Connected { sequencing_required, ..Connected::default() };
        match self.open_driver_session(key, false) {
            // It may have ended meanwhile.
            Ok(()) => drop(self.endpoint.connected(tunnel, session, connected)),
            Err(error) => self.fails_here(now, key, NO_DATA_PATH, &error),
        }
    }
}

/// Octets of the network as text that a terminal can show.
pub(super) fn text(octets: &[u8]) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(octets).chars().map(visible).collect()
}
