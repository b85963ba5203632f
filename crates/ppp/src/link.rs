//! One link: its phases, and which packet goes where.
//!
//! | phase | LCP | PAP, CHAP, EAP | IPCP, IPV6CP | others |
//! |---|---|---|---|---|
//! | Dead | discarded | discarded | discarded | discarded |
//! | Establish, Terminate | automaton | discarded | discarded | discarded |
//! | Authenticate | automaton, echo, rejects | the method agreed on, else discarded | discarded | discarded |
//! | Network | automaton, echo, rejects | the method agreed on, else discarded | automaton, or Protocol-Reject | Protocol-Reject |
//!
//! LCP that closes takes everything with it; if it is negotiated anew, all begins again from there. A
//! link is used once: after [`Event::Down`] nothing happens any more.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use l2tp_data::frame::{Class, Frame};
use l2tp_data::time::Instant;

use super::auth::{self, Auth, Verdict};
use super::config::{Config, Echo, Network, Proxy, ProxyPolicy};
use super::echo::Keepalive;
use super::event::{By, Counters, Event, Phase, Reason, Timer, Why};
use super::ipcp::Ipcp;
use super::ipv6cp::Ipv6cp;
use super::lcp::Lcp;
use super::ncp::Ncp;
use super::negotiation::{Context, LONGEST, Negotiation, Options, Useless};
use super::output::Output;
use super::packet::{HEADER, Packet, code};
use super::protocol::Protocol;
use super::proxy::{self, Records};
use super::random::Random;

/// Octets of the magic number in front of the data of LCP's codes from 9 on.
const MAGIC: usize = 4;
/// The most that is passed on of what a peer says of itself.
const WORDS: usize = 256;

/// One PPP link, either end. [The crate](crate) says how to drive it.
pub struct Link {
    config: Arc<Config>,
    random: Random,
    out: Output,
    counters: Counters,
    phase: Phase,
    lcp: Negotiation<Lcp>,
    auth: Option<Auth>,
    /// How long the answer to [`Event::Authenticate`] is waited for after a renegotiation.
    proof_until: Option<Instant>,
    /// Whether [`Event::Authenticate`] has no answer yet.
    undecided: bool,
    /// Whether [`Event::Network`] has its answer.
    decided: bool,
    ipcp: Ncp<Ipcp>,
    ipv6cp: Ncp<Ipv6cp>,
    keepalive: Option<Keepalive>,
    /// The last Echo-Request that was not answered, and when it was sent.
    asked: Option<(u8, Instant)>,
    round_trip: Option<Duration>,
    records: Option<Box<Records>>,
    /// Why the link is being terminated.
    ending: Option<Reason>,
    over: bool,
}

macro_rules! context {
    ($link:ident, $now:expr) => {
        &mut Context {
            now: $now,
            config: &$link.config,
            peer_mru: $link.lcp.options.peer_mru,
            random: &mut $link.random,
            out: &mut $link.out,
        }
    };
}

macro_rules! auth_context {
    ($link:ident, $now:expr) => {
        &mut auth::Context { now: $now, config: &$link.config, rng: &mut $link.random }
    };
}

mod phases;

impl Link {
    /// A link that is not open. Identifiers, magic numbers and challenges come from the seed: never use
    /// one twice.
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let magic = random.nonzero();
        let lcp = Negotiation::new(Lcp::new(&config, magic), &mut random);
        Self {
            config,
            random,
            out: Output::default(),
            counters: Counters::default(),
            phase: Phase::Dead,
            lcp,
            auth: None,
            proof_until: None,
            undecided: false,
            decided: false,
            ipcp: Ncp::default(),
            ipv6cp: Ncp::default(),
            keepalive: None,
            asked: None,
            round_trip: None,
            records: Some(Box::default()),
            ending: None,
            over: false,
        }
    }

    /// Frames flow, and the link is wanted. Only the first time does anything.
    pub fn open(&mut self, now: Instant) {
        if self.phase != Phase::Dead || self.over {
            return;
        }
        self.phase = Phase::Establish;
        if self.config.passive {
            self.lcp.listen(context!(self, now));
        } else {
            self.lcp.open(context!(self, now));
        }
    }

    /// Likewise, at an LNS whose LAC has negotiated already (RFC 2661 §4.4.5). What becomes of that,
    /// [`Config::proxy`] says.
    pub fn open_with_proxy(&mut self, now: Instant, proxy: &Proxy) {
        if self.phase != Phase::Dead || self.over {
            return;
        }
        if self.config.proxy == ProxyPolicy::AlwaysRenegotiate {
            return self.open(now);
        }
        match proxy::adopt(context!(self, now), proxy) {
            Ok(lcp) => {
                self.lcp.options = lcp;
                self.lcp.adopt();
                let proof = lcp.peer_auth.and_then(|method| proxy::proof(method, proxy));
                self.established(now, proof);
            }
            Err(mismatch) if self.config.proxy == ProxyPolicy::Accept => {
                self.down(Reason::ProxyMismatch(mismatch));
            }
            Err(_) => self.open(now),
        }
    }

    /// A frame of the peer, from its protocol on.
    pub fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.counters.received = self.counters.received.wrapping_add(1);
        if self.phase == Phase::Dead {
            return count(&mut self.counters.discarded);
        }
        let Ok(parsed) = Frame::parse(frame) else { return count(&mut self.counters.malformed) };
        self.data_received(now);
        let information = &frame[parsed.information..];
        match Protocol(parsed.protocol) {
            _ if parsed.class != Class::Control => count(&mut self.counters.network),
            Protocol::LCP => self.handle_lcp(now, information),
            protocol @ (Protocol::PAP | Protocol::CHAP | Protocol::EAP) => {
                self.handle_auth(now, protocol, information);
            }
            protocol => self.handle_network(now, protocol, information),
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) gave has come. Calling it earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Dead {
            return;
        }
        let signal = self.lcp.handle_timeout(context!(self, now));
        self.lcp_signal(now, signal);
        let refused = self.ipcp.handle_timeout(context!(self, now));
        self.refused(now, Protocol::IPCP, refused);
        let refused = self.ipv6cp.handle_timeout(context!(self, now));
        self.refused(now, Protocol::IPV6CP, refused);
        if let Some(auth) =
            self.auth.as_mut().filter(|auth| auth.poll_timeout().is_some_and(|(at, _)| at <= now))
        {
            let outcome = auth.handle_timeout(auth_context!(self, now));
            self.auth_outcome(now, outcome);
        }
        if self.proof_until.take_if(|deadline| *deadline <= now).is_some() {
            let message = match self.undecided {
                true => "no verdict on name and password: see why accounts do not answer",
                false => "the link was negotiated anew until its time was up",
            };
            let Lcp { local_auth, peer_auth, .. } = self.lcp.options;
            let (by, method) = if peer_auth.is_some() { (By::Us, peer_auth) } else { (By::Peer, local_auth) };
            let reason = Reason::AuthenticationFailed { by, method, message: message.into() };
            self.terminate(now, reason, "authentication failed");
        }
        self.keep_alive(now);
    }

    /// Something has come from the peer, on whatever way: it is alive. Call it now and then while packets
    /// flow.
    pub fn data_received(&mut self, now: Instant) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(now);
        }
    }

    /// The answer to [`Event::Authenticate`]: each wants one.
    pub fn authenticated(&mut self, now: Instant, verdict: Verdict) {
        if !core::mem::replace(&mut self.undecided, false) {
            return;
        }
        match &mut self.auth {
            Some(auth) => {
                let outcome = auth.verdict(auth_context!(self, now), verdict);
                self.auth_outcome(now, outcome);
            }
            // It was about an exchange before the last renegotiation, and the new one has waited for it.
            None if self.phase == Phase::Authenticate => {
                self.authenticate(now, None);
            }
            None => {}
        }
    }

    /// The answer to [`Event::Network`].
    pub fn network(&mut self, now: Instant, network: Network) {
        if self.phase != Phase::Network || core::mem::replace(&mut self.decided, true) {
            return;
        }
        self.records = None;
        if let Some(ipv4) = network.ipv4 {
            self.ipcp.open(context!(self, now), Ipcp::new(ipv4));
        }
        if let Some(ipv6) = network.ipv6 {
            let options = Ipv6cp::new(ipv6, &mut self.random);
            self.ipv6cp.open(context!(self, now), options);
        }
        let nothing = !self.ipcp.is_wanted() && !self.ipv6cp.is_wanted();
        self.refused(now, Protocol::IPCP, nothing.then_some(Why::NotWanted));
    }

    /// Ends the link in order. [`Event::Down`] follows once the peer has acked, or did not for too long.
    pub fn close(&mut self, now: Instant, why: &str) {
        self.terminate(now, Reason::Closed, why);
    }

    /// Frames no longer flow. [`Event::Down`] follows, if it has not come yet.
    pub fn lower_down(&mut self) {
        let reason = if self.phase == Phase::Terminate { self.reason() } else { Reason::LowerDown };
        self.down(reason);
    }

    /// Wipes `out` and writes the next frame, from its protocol on. `false`: there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.out.next_frame(out)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.next_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if self.phase == Phase::Dead {
            return None;
        }
        let echo = self.keepalive.as_ref().zip(self.echo());
        let own = [
            (self.lcp.poll_timeout(), Timer::Lcp),
            (self.ipcp.poll_timeout(), Timer::Ipcp),
            (self.ipv6cp.poll_timeout(), Timer::Ipv6cp),
            (self.proof_until, Timer::Authentication),
            (echo.map(|(keepalive, echo)| keepalive.poll_timeout(echo)), Timer::Echo),
        ];
        let timers = own.into_iter().filter_map(|(at, timer)| Some((at?, timer)));
        timers.chain(self.auth.as_ref().and_then(Auth::poll_timeout)).min()
    }

    /// The phase.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How long the peer took to answer the last Echo-Request that it has answered. One is sent only when
    /// nothing else comes.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What has become of the frames.
    pub fn counters(&self) -> Counters {
        let ignored = self.auth.as_ref().map(Auth::ignored).unwrap_or_default();
        let discarded = ignored.foreign.wrapping_add(ignored.stray);
        Counters {
            transmitted: self.out.transmitted,
            overrun: self.out.overrun,
            malformed: self.counters.malformed.wrapping_add(ignored.malformed),
            discarded: self.counters.discarded.wrapping_add(discarded),
            ..self.counters
        }
    }

    /// The longest information field that the peer receives.
    pub const fn peer_mru(&self) -> u16 {
        self.lcp.options.peer_mru
    }

    /// What a LAC tells its LNS (RFC 2661 §4.4.5): there from when the peer has sent its proof, or LCP is
    /// open and none is required, until [`network`](Self::network).
    pub fn proxy(&self) -> Option<Proxy> {
        let records = self.records.as_ref().filter(|_| self.lcp.is_open())?;
        if self.lcp.options.peer_auth.is_some() && records.request.is_none() {
            return None;
        }
        let mut sent = Vec::new();
        self.lcp.options.request(&self.config, &mut sent);
        Some(records.proxy(sent, self.lcp.acked()))
    }

    fn echo(&self) -> Option<&Echo> {
        self.config.echo.as_ref().filter(|echo| !echo.interval.is_zero())
    }
}

/// What comes from the peer.
impl Link {
    fn handle_lcp(&mut self, now: Instant, information: &[u8]) {
        let Some(packet) = Packet::parse(information) else { return count(&mut self.counters.malformed) };
        match packet.code {
            code::PROTOCOL_REJECT..=code::TIME_REMAINING => self.handle_extra(now, packet),
            code => {
                let kept = code == code::CONFIGURE_REQUEST && packet.data.len() <= LONGEST;
                if let Some(records) = self.records.as_mut().filter(|_| kept) {
                    records.initial.get_or_insert_with(|| packet.data.to_vec());
                }
                let before = self.phase;
                let step = self.lcp.handle(context!(self, now), packet);
                let signal = self.useful(step);
                self.lcp_signal(now, signal);
                // The peer's end of LCP is the end of a link that is used once: waiting for another
                // Configure-Request, as the automaton would, is in vain.
                if code == code::TERMINATE_REQUEST && before != Phase::Terminate {
                    self.down(Reason::PeerTerminated { message: packet.data.into() });
                }
            }
        }
    }

    /// LCP's codes from 8 on (RFC 1661 §5.7 to §5.9, RFC 1570 §2).
    fn handle_extra(&mut self, now: Instant, packet: Packet<'_>) {
        if packet.code == code::IDENTIFICATION {
            let Some(words) = packet.data.get(MAGIC..) else { return count(&mut self.counters.malformed) };
            return self.out.tell(Event::Identification(words[..words.len().min(WORDS)].into()));
        }
        if !self.lcp.is_open() {
            return count(&mut self.counters.discarded);
        }
        match (packet.code, packet.data) {
            (code::PROTOCOL_REJECT, &[high, low, ..]) => {
                self.protocol_rejected(now, Protocol(u16::from_be_bytes([high, low])));
            }
            (code::ECHO_REQUEST, &[a, b, c, d, ref data @ ..]) => {
                self.echo_requested(now, packet.id, u32::from_be_bytes([a, b, c, d]), data);
            }
            (code::ECHO_REPLY, &[_, _, _, _, ..]) => {
                if let Some((_, at)) = self.asked.take_if(|(id, _)| *id == packet.id) {
                    self.round_trip = Some(now.since(at));
                }
            }
            (code::DISCARD_REQUEST, &[_, _, _, _, ..]) => {}
            (code::TIME_REMAINING, &[_, _, _, _, a, b, c, d, ..]) => {
                let seconds = u32::from_be_bytes([a, b, c, d]);
                self.out.tell(Event::TimeRemaining(Duration::from_secs(seconds.into())));
            }
            _ => count(&mut self.counters.malformed),
        }
    }

    fn echo_requested(&mut self, now: Instant, id: u8, magic: u32, data: &[u8]) {
        let Lcp { magic: ours, peer_mru, .. } = self.lcp.options;
        if magic == ours && magic != 0 {
            if self.lcp.options.looped(&self.config) {
                self.terminate(now, Reason::Loop, "looped back");
            }
            return;
        }
        let most = usize::from(peer_mru).saturating_sub(HEADER + MAGIC);
        let data = [&ours.to_be_bytes(), &data[..data.len().min(most)]].concat();
        self.out.send(Protocol::LCP, &Packet { code: code::ECHO_REPLY, id, data: &data });
    }

    /// The peer does not know a protocol (RFC 1661 §5.7).
    fn protocol_rejected(&mut self, now: Instant, protocol: Protocol) {
        match protocol {
            Protocol::LCP => {
                let signal = self.lcp.fail(context!(self, now), Why::Rejected);
                self.lcp_signal(now, signal);
            }
            Protocol::IPCP => {
                let refused = self.ipcp.rejected(context!(self, now));
                self.refused(now, protocol, refused);
            }
            Protocol::IPV6CP => {
                let refused = self.ipv6cp.rejected(context!(self, now));
                self.refused(now, protocol, refused);
            }
            Protocol::PAP | Protocol::CHAP | Protocol::EAP if self.phase == Phase::Authenticate => {
                self.terminate(now, Reason::Negotiation { protocol, why: Why::Rejected }, "authentication");
            }
            _ => count(&mut self.counters.discarded),
        }
    }

    fn handle_auth(&mut self, now: Instant, protocol: Protocol, information: &[u8]) {
        match self.auth.as_mut().filter(|_| self.lcp.is_open()) {
            Some(auth) => {
                let outcome = auth.handle_packet(auth_context!(self, now), protocol, information);
                self.auth_outcome(now, outcome);
            }
            None => count(&mut self.counters.discarded),
        }
    }

    fn handle_network(&mut self, now: Instant, protocol: Protocol, information: &[u8]) {
        if self.phase == Phase::Authenticate && matches!(protocol, Protocol::IPCP | Protocol::IPV6CP) {
            let outcome = self.auth.as_mut().and_then(Auth::handle_network);
            self.auth_outcome(now, outcome);
        }
        if self.phase != Phase::Network || !self.decided {
            return count(&mut self.counters.discarded);
        }
        let ipv4 = protocol == Protocol::IPCP;
        let ipv6 = protocol == Protocol::IPV6CP;
        if !(ipv4 && self.ipcp.is_wanted() || ipv6 && self.ipv6cp.is_wanted()) {
            return self.reject_protocol(protocol, information);
        }
        let Some(packet) = Packet::parse(information) else { return count(&mut self.counters.malformed) };
        let cx = context!(self, now);
        let step = if ipv4 { self.ipcp.handle(cx, packet) } else { self.ipv6cp.handle(cx, packet) };
        let refused = self.useful(step);
        self.refused(now, protocol, refused);
    }

    /// Protocol-Reject (RFC 1661 §5.7).
    fn reject_protocol(&mut self, protocol: Protocol, information: &[u8]) {
        count(&mut self.counters.rejected);
        let most = usize::from(self.peer_mru()).saturating_sub(HEADER + 2);
        let data = [&protocol.0.to_be_bytes(), &information[..information.len().min(most)]].concat();
        let id = self.lcp.next_id();
        self.out.send(Protocol::LCP, &Packet { code: code::PROTOCOL_REJECT, id, data: &data });
    }

    fn useful<T>(&mut self, step: Result<Option<T>, Useless>) -> Option<T> {
        match step {
            Ok(outcome) => return outcome,
            Err(Useless::Malformed) => count(&mut self.counters.malformed),
            Err(Useless::Stale) => count(&mut self.counters.discarded),
            Err(Useless::Rejected) => count(&mut self.counters.rejected),
        }
        None
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("phase", &self.phase)
            .field("lcp", &self.lcp.state())
            .finish_non_exhaustive()
    }
}

const fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
