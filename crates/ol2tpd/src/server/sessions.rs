//! One PPP session: from the offer of its call until its end.
//!
//! ```text
//!  new_session ─► open_driver_session ─► call_up ─► Link ─┬► Authenticate ─► accounts ─► answered
//!   (offered or placed)   (both ids known)                ├► Network ──────► pools ────► Link::network
//!                                                         ├► Ipv4Up, Ipv6Up ───────────► up
//!                                                         └► Down ─► CDN ─┐
//!  CDN, StopCCN, silence of the peer ─────────────────────────────────────┴► end_session
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use l2tp_control::timers::TimerId;
use l2tp_control::wire::{CauseCode, CdnResult, Direction, ErrorCode};
use l2tp_control::{Cause, Connected, Instant, PppCause};
use l2tp_data::stats::{Rx, Tx};
use ppp::config::InterfaceId;
use ppp::{Event, Link, Phase};
use pppol2tp::{Prefix, SessionIds, SessionSocket, SocketOption};
use tracing::{debug, info, warn};

use super::ending::{Ending, ppp_cause};
use super::key::Key;
use super::limits::Activity;
use super::network::{self, Up};
use super::pppd::Pppd;
use super::requests::micros;
use super::seldom::Seldom;
use super::tunnels::text;
use super::{Owner, Reactor, seed};
use crate::accounts::{Access, AccessRequest, Grant, Record, RecordKind, Reply, TerminateCause, Traffic};
use crate::config::{InterfaceChoice, Profile};
use crate::error::{Doing, Error, Result};
use crate::notice::{Failed, Notice, Step};
use crate::pool::{self, Lease};

/// The largest frame that is kept for a call that is not connected yet: before LCP has opened, none is larger
/// than the default MRU (RFC 1661 §6.1).
const EARLY: usize = 1500;

/// What a peer is told when the driver has no session for it.
pub(super) const NO_DATA_PATH: &str = "the data path cannot be set up";

/// So often the network of a peer's call may come up at once, and then once a second; twice as often that of ours,
/// so that it is the peer who is told.
const UPS: u32 = 20;

/// A session.
pub(super) struct Session {
    /// Unique as long as the daemon lives; the low half is the key.
    pub(super) serial: u64,
    pub(super) profile: Arc<Profile>,
    pub(super) peer: SocketAddr,
    /// The connection of ours that it is for.
    pub(super) dial: Option<usize>,
    /// When its call was offered or placed.
    pub(super) since: Instant,
    pub(super) timer: TimerId,
    pub(super) calling: Option<Box<[u8]>>,
    pub(super) called: Option<Box<[u8]>>,
    /// Bits per second towards the caller, as the LAC has it.
    pub(super) speed: u32,
    pub(super) socket: Option<Box<dyn SessionSocket>>,
    pub(super) link: Option<Box<Link>>,
    /// Who does PPP in place of `link`, while it runs.
    pub(super) pppd: Option<Pppd>,
    /// The last frame that came before the call was connected: the network may have turned it and the ICCN
    /// round, and its sender would wait three seconds before it comes again.
    early: Option<Box<[u8]>>,
    /// Who the peer says it is.
    pub(super) user: Option<Box<[u8]>>,
    /// What its account gives it, once it was let in.
    pub(super) grant: Option<Box<Grant>>,
    pub(super) ipv4: Option<Lease<Ipv4Addr>>,
    pub(super) ipv6: Option<Lease<Ipv6Addr>>,
    pub(super) up: Option<Box<Up>>,
    pub(super) activity: Activity,
    /// Whether its beginning and end are told though nobody has proved anything.
    pub(super) told: bool,
    /// What the peer says to us.
    says: Seldom,
    /// How often its network comes up.
    pub(super) ups: Seldom,
    /// Why it is about to end.
    pub(super) ending: Option<Box<Ending>>,
}

impl Reactor<'_> {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new_session(
        &mut self,
        now: Instant,
        key: Key,
        profile: Arc<Profile>,
        peer: SocketAddr,
        dial: Option<usize>,
        calling: Option<Vec<u8>>,
        called: Option<Vec<u8>>,
    ) {
        self.count += 1;
        let told = dial.is_some() || self.call_may_be_told(now, key);
        let session = Session {
            serial: key.serial(self.count),
            profile,
            peer,
            dial,
            since: now,
            timer: self.timers.insert(Owner::Session(key)),
            calling: calling.map(Into::into),
            called: called.map(Into::into),
            speed: 0,
            socket: None,
            link: None,
            pppd: None,
            early: None,
            user: None,
            grant: None,
            ipv4: None,
            ipv6: None,
            up: None,
            activity: Activity::new(now),
            told,
            says: Seldom::default(),
            ups: Seldom::after(if dial.is_some() { 2 * UPS } else { UPS }),
            ending: None,
        };
        self.sessions.insert(key, session);
    }

    /// Whether a call of a peer's is told before its caller has proved who he is. A peer that need not prove
    /// anything either can begin and end as many as it likes.
    fn call_may_be_told(&mut self, now: Instant, key: Key) -> bool {
        let tunnel = key.tunnel().and_then(|id| self.tunnels.get(&id));
        if tunnel.is_some_and(|tunnel| tunnel.peer.authenticated) {
            return true;
        }
        let told = self.callers.may_be_told(now);
        if let Some(untold @ 1..) = told {
            info!("{untold} more calls began that nobody had proved anything for");
        }
        told.is_some()
    }

    /// Makes the driver's session. Both ids have to be known.
    pub(super) fn open_driver_session(&mut self, key: Key, lns: bool) -> Result<()> {
        let Some(session) = self.sessions.get_mut(&key) else { return Ok(()) };
        let ids = key.ids().and_then(|(tunnel, session)| self.endpoint.peer_ids(tunnel, session));
        let Some((peer_tunnel, peer_session)) = ids else { return Ok(()) };
        let ids = SessionIds {
            tunnel_id: key.tunnel_id(),
            session_id: key.session_id(),
            peer_tunnel_id: peer_tunnel.get(),
            peer_session_id: peer_session.get(),
        };
        let socket = self.driver.session(ids).doing(|| format!("session {key}"))?;
        let profile = &session.profile;
        let reorder = i32::try_from(profile.reorder_timeout.as_millis()).unwrap_or(i32::MAX);
        for (option, value) in [
            (SocketOption::LnsMode, i32::from(lns)),
            (SocketOption::SendSeq, i32::from(profile.send_sequence)),
            (SocketOption::RecvSeq, i32::from(profile.require_sequence)),
            (SocketOption::ReorderTo, reorder),
        ] {
            // 0 is what it has.
            if value != 0 {
                socket.set(option, value).doing(|| format!("session {key}: {option:?}"))?;
            }
        }
        if profile.pppd.is_none() {
            socket.pass_up().doing(|| format!("session {key}"))?;
        }
        session.socket = Some(socket);
        Ok(())
    }

    /// This machine cannot do its part: the peer is told in `words`.
    pub(super) fn fails_here(&mut self, now: Instant, key: Key, words: &str, error: &Error) {
        warn!("session {key}: {error}");
        let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::RESOURCES, words);
        let ending = Ending::here(TerminateCause::NAS_ERROR, error.to_string());
        self.hang_up_because(now, key, cause, ending);
    }

    /// The call is connected: PPP begins.
    pub(super) fn call_up(&mut self, now: Instant, key: Key, connected: Connected) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        // RFC 2661 §5.4: the LAC requires sequence numbers, and both ends use them.
        if let Some(socket) = session.socket.as_ref().filter(|_| connected.sequencing_required) {
            let options = [SocketOption::SendSeq, SocketOption::RecvSeq];
            let set = options.into_iter().try_for_each(|option| socket.set(option, 1));
            if let Err(error) = set.doing(|| format!("session {key}: sequence numbers")) {
                return self.fails_here(now, key, NO_DATA_PATH, &error);
            }
        }
        session.speed = connected.tx_bps;
        if session.profile.pppd.is_some() {
            return self.start_pppd(now, key);
        }
        let mut link = Box::new(Link::new(session.profile.ppp.clone(), seed(&mut self.rng)));
        // What a caller has proved is taken from the LAC: a stranger could replay what he has overheard.
        let known =
            key.tunnel().and_then(|id| self.tunnels.get(&id)).is_some_and(|tunnel| tunnel.peer.authenticated);
        match connected.proxy {
            Some(proxy) if known && session.dial.is_none() => link.open_with_proxy(now, &proxy_of(*proxy)),
            _ => link.open(now),
        }
        if let Some(frame) = session.early.take() {
            link.handle_frame(now, &frame);
        }
        session.link = Some(link);
        if let Some(dial) = session.dial {
            self.dial_step(dial, Step::Link);
        }
        self.touched.push(key);
    }

    pub(super) fn frame_received(&mut self, now: Instant, ids: SessionIds, frame: &[u8]) {
        let key = Key::from(ids);
        self.trace_frame(false, frame);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(link) = &mut session.link else {
            if frame.len() <= EARLY {
                session.early = Some(frame.into());
            }
            return;
        };
        let before = link.round_trip();
        link.handle_frame(now, frame);
        let measured = link.round_trip().filter(|time| session.dial.is_some() && before != Some(*time));
        self.touched.push(key);
        if let Some(time) = measured {
            let (tunnel_id, session_id, microseconds) = (key.tunnel_id(), key.session_id(), micros(time));
            self.notice(Notice::RoundTrip { tunnel_id, session_id, microseconds });
        }
        self.pump(now);
    }

    /// The interface was deleted, or the tunnel's socket failed.
    pub(super) fn driver_session_gone(&mut self, now: Instant, ids: SessionIds) {
        let why = "its interface has gone: someone deleted it";
        let cause = Cause::new(CdnResult::CARRIER_LOST);
        self.hang_up_because(now, ids.into(), cause, Ending::here(TerminateCause::NAS_ERROR, why));
        self.pump(now);
    }

    /// Sends and tells what a link has, and sees to its timer.
    pub(super) fn drain(&mut self, now: Instant, key: Key) {
        let mut frame = std::mem::take(&mut self.frame);
        while let Some(session) = self.sessions.get_mut(&key)
            && let Some(link) = &mut session.link
        {
            if link.poll_transmit(&mut frame) {
                if let Some(socket) = &session.socket
                    && let Err(error) = socket.send(&frame)
                {
                    debug!("session {key}: {error}");
                }
                self.trace_frame(true, &frame);
            } else if let Some(event) = link.poll_event() {
                self.link_event(now, key, event);
            } else {
                break;
            }
        }
        self.frame = frame;
        self.arm(key);
    }

    fn link_event(&mut self, now: Instant, key: Key, event: Event) {
        debug!("session {key}: {event}");
        let Some(session) = self.sessions.get_mut(&key) else { return };
        match event {
            Event::LcpUp { local_auth, .. } => {
                if let (Some(dial), Some(_)) = (session.dial, local_auth) {
                    self.dial_step(dial, Step::Authentication);
                }
            }
            Event::Authenticate(request) => {
                if session.grant.is_some() && session.user.as_ref() != Some(&request.name) {
                    // Addresses, limits and the account's records are the first one's.
                    let verdict = Access::refused("A session cannot change its user").verdict;
                    if let Some(link) = &mut session.link {
                        link.authenticated(now, verdict);
                    }
                    return;
                }
                session.user = Some(request.name.clone());
                let request = AccessRequest {
                    session: session.serial,
                    request: *request,
                    peer: session.peer,
                    calling_number: session.calling.clone(),
                    called_number: session.called.clone(),
                    profile: session.profile.name.clone(),
                };
                let reply = Reply::new(session.serial, self.answers.clone());
                self.aaa.authenticate(request, reply);
            }
            Event::Authenticated => {}
            Event::Says(text) => {
                let Some(untold) = session.says.may_be_told(now) else { return };
                if untold > 0 {
                    debug!("session {key}: the peer has said {untold} things more");
                }
                let (tunnel_id, session_id) = (key.tunnel_id(), key.session_id());
                self.notice(Notice::Says { tunnel_id, session_id, text: text.into() });
            }
            Event::Network { .. } => {
                if let Some((tunnel, session)) = key.ids() {
                    self.endpoint.proven(tunnel, session);
                }
                if let Some(dial) = session.dial {
                    self.dial_step(dial, Step::Network);
                }
                self.negotiate_network(now, key);
            }
            Event::Ipv4Up { local, peer, dns } => {
                let dns = dns.into_iter().flatten().map(IpAddr::V4).collect();
                self.network_up(now, key, IpAddr::V4(local), IpAddr::V4(peer), dns);
            }
            Event::Ipv6Up { local, peer } => {
                let (local, peer) = (local.link_local(), peer.link_local());
                self.network_up(now, key, IpAddr::V6(local), IpAddr::V6(peer), Vec::new());
            }
            Event::Ipv4Down => self.network_down(key, true),
            Event::Ipv6Down => self.network_down(key, false),
            Event::Ipv4Refused(why) => {
                warn!("session {key}: IPv4 was not agreed on: {why}");
            }
            // Many have none.
            Event::Ipv6Refused(_) => {}
            Event::Identification(_) | Event::TimeRemaining(_) => {}
            Event::Down(reason) => {
                let ending = Ending::of_link(&reason);
                // The link's last words come before the call's end, or nobody hears them.
                session.flush();
                let mut cause = Cause::new(match reason {
                    ppp::Reason::Closed => CdnResult::ADMINISTRATIVE,
                    _ => CdnResult::CARRIER_LOST,
                });
                cause.ppp = Some(ppp_cause(&reason));
                self.hang_up_because(now, key, cause, ending);
            }
        }
    }

    /// Authentication is done: which addresses are to be agreed on.
    fn negotiate_network(&mut self, now: Instant, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let network = if session.dial.is_some() {
            Ok(network::client_offer(&session.profile))
        } else {
            network::server_offer(session, &mut self.pools)
        };
        let Some(link) = &mut session.link else { return };
        match network {
            Ok(network) => link.network(now, network),
            Err(error) => {
                link.close(now, "no address is free");
                self.no_address(now, key, &error);
            }
        }
        self.touched.push(key);
    }

    pub(super) fn no_address(&mut self, now: Instant, key: Key, error: &pool::Error) {
        warn!("session {key}: {error}");
        let mut cause = Cause::new(CdnResult::NO_FACILITIES);
        cause.message = "no address is free".into();
        cause.ppp = Some(PppCause {
            code: CauseCode::NO_ADDRESS,
            protocol: ppp::Protocol::IPCP.0,
            direction: Direction::LOCAL,
            message: String::new(),
        });
        let ending = Ending {
            cause: TerminateCause::SERVICE_UNAVAILABLE,
            failure: Failed::Address,
            why: error.to_string(),
        };
        self.hang_up_because(now, key, cause, ending);
    }

    /// Ends a link in words that its peer may show; the call ends with it.
    pub(super) fn close_link(&mut self, now: Instant, key: Key, cause: TerminateCause, why: &str) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.ending = Some(Box::new(Ending::here(cause, why)));
        match &mut session.link {
            Some(link) => {
                link.close(now, why);
                self.touched.push(key);
            }
            // Its call ends when it has.
            None => match &mut session.pppd {
                Some(pppd) => pppd.stop(),
                None => self.hang_up(now, key, Cause::new(CdnResult::ADMINISTRATIVE)),
            },
        }
    }

    pub(super) fn hang_up_because(
        &mut self,
        now: Instant,
        key: Key,
        cause: Cause<CdnResult>,
        ending: Ending,
    ) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ends(ending);
        }
        self.hang_up(now, key, cause);
    }

    pub(super) fn hang_up(&mut self, now: Instant, key: Key, cause: Cause<CdnResult>) {
        if let Some((tunnel, session)) = key.ids() {
            // The peer may have ended it meanwhile.
            let _ = self.endpoint.hang_up(now, tunnel, session, cause);
        }
    }

    /// Gives back all that a session has. Its call has ended.
    pub(super) fn end_session(&mut self, now: Instant, key: Key, ending: Ending) {
        let Some(mut session) = self.sessions.remove(&key) else { return };
        let ending = session.why(ending);
        self.timers.remove(session.timer);
        let traffic = session.traffic();
        let was_up = session.up.is_some();
        for ipv4 in [true, false] {
            self.network_closed(key, &session, ipv4, &ending.why);
        }
        // First: frames for a session whose interface has gone would be reported as dropped.
        session.socket = None;
        let pppd = session.pppd.take().map(|pppd| {
            pppd.end(&self.netlink, session.dial.is_some() && !was_up);
            session.serial
        });
        if let Some(up) = session.up.take() {
            if session.dial.is_some() {
                self.names.unset(&up.interface);
            }
            let name = &session.profile.interface;
            // A name that the next session wants has to be free at once.
            let numbered = matches!(name, InterfaceChoice::PerSession { name } if name.contains('%'));
            if numbered
                && session.dial.is_none()
                && let Some(unit) = network::take_down(*up, &self.netlink)
            {
                self.removal.remove(unit);
            }
        }
        if session.grant.is_some() {
            self.aaa.account(Record {
                session: session.serial,
                user: session.user.clone().unwrap_or_default(),
                kind: RecordKind::Stop { cause: ending.cause, words: ending.why.clone() },
                address: session.ipv4.as_ref().map(Lease::address),
                ipv6_prefix: session.prefix(),
                time: now.since(session.since),
                traffic,
            });
        }
        if let Some(lease) = session.ipv4.take() {
            self.pools.ipv4.give(lease);
        }
        if let Some(lease) = session.ipv6.take() {
            self.pools.ipv6.give(lease);
        }
        if session.told || session.grant.is_some() || was_up {
            self.notice(Notice::SessionDown {
                tunnel_id: key.tunnel_id(),
                session_id: key.session_id(),
                user: session.user().map(text),
                why: ending.why.clone(),
                seconds: now.since(session.since).as_secs_f64(),
                rx_bytes: traffic.rx_bytes,
                tx_bytes: traffic.tx_bytes,
            });
        }
        if let Some(dial) = session.dial {
            self.dial_session_down(now, dial, &ending, was_up, pppd);
        }
    }
}

impl Session {
    /// Notes why it is about to end: what was known before counts more.
    pub(super) fn ends(&mut self, ending: Ending) {
        self.ending.get_or_insert_with(|| Box::new(ending));
    }

    /// Why it has ended, if its call ended like this: what was known before counts more.
    fn why(&mut self, call: Ending) -> Ending {
        if let Some(known) = self.ending.take() {
            return *known;
        }
        let Some(link) = &mut self.link else { return call };
        let phase = link.phase();
        // It may have known, and waited for an answer of the peer.
        link.lower_down();
        while let Some(event) = link.poll_event() {
            if let Event::Down(reason) = event
                && reason != ppp::Reason::LowerDown
            {
                return Ending::of_link(&reason);
            }
        }
        match (call.failure, phase) {
            _ if self.dial.is_none() => call,
            (Failed::Refused, Phase::Authenticate) => call.while_authenticating(),
            (Failed::Refused, Phase::Network) => call.while_agreeing(),
            _ => call,
        }
    }

    /// Whose it is: who the peer says it is, or who we are to the peer.
    pub(super) fn user(&self) -> Option<&[u8]> {
        match &self.profile.ppp.credentials {
            Some(ours) if self.dial.is_some() => Some(ours.name.as_bytes()),
            _ => self.user.as_deref(),
        }
    }

    /// The peer's interface identifier on a shared interface, where each has to have its own.
    pub(super) fn shared_id(&self) -> Option<InterfaceId> {
        let shared = matches!(self.profile.interface, InterfaceChoice::Shared { .. });
        InterfaceId::new(self.serial).filter(|_| shared && self.profile.ipv6)
    }

    /// Waits until all frames of the link have been sent.
    pub(super) fn flush(&self) {
        if let Some(Err(error)) = self.socket.as_ref().map(|socket| socket.flush()) {
            debug!("the last frames of a session: {error}");
        }
    }

    /// The IPv6 prefix that the peer is given.
    pub(super) fn prefix(&self) -> Option<Prefix> {
        Some(Prefix { address: self.ipv6.as_ref()?.address().into(), len: 64 })
    }

    /// The MRU for the interface: what the peer takes; and what we take, because that is the size that our
    /// TCP announces.
    pub(super) fn link_mru(&self) -> Option<u16> {
        self.link.as_ref().map(|link| link.peer_mru().min(self.profile.ppp.mru))
    }

    pub(super) fn traffic(&self) -> Traffic {
        let stats = self.socket.as_ref().and_then(|socket| socket.stats().ok()).unwrap_or_default();
        Traffic {
            rx_packets: stats.rx(Rx::Packets),
            rx_bytes: stats.rx(Rx::Bytes),
            tx_packets: stats.tx(Tx::Packets),
            tx_bytes: stats.tx(Tx::Bytes),
        }
    }
}

fn proxy_of(proxy: l2tp_control::Proxy) -> ppp::config::Proxy {
    ppp::config::Proxy {
        initial_received_lcp: proxy.initial_received_lcp,
        last_sent_lcp: proxy.last_sent_lcp,
        last_received_lcp: proxy.last_received_lcp,
        authen_type: proxy.authen_type.map(|kind| kind.0),
        authen_name: proxy.authen_name,
        authen_challenge: proxy.authen_challenge,
        authen_id: proxy.authen_id,
        authen_response: proxy.authen_response,
    }
}
