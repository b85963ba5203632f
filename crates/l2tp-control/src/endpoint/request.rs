//! What comes for no tunnel of ours: an SCCRQ may become one, the rest is answered at most once.
//!
//! | an SCCRQ | what happens |
//! |---|---|
//! | beyond the rates | dropped |
//! | again, from the same peer, with the same Assigned Tunnel ID and content | the tunnel's SCCRP is repeated, or its ack |
//! | the same but for its content, or a cycle later | a tunnel of its own; once it is established, the old one is gone: the peer has started again |
//! | while we open a tunnel to the same address and port, or late for that, if a rule fits the peer | the lower tie breaker wins (§4.4.3) |
//! | Host Name hidden, repeated or malformed, so that another rule fits once the message is decoded | refused, statelessly |
//! | beyond the limits, wrong version, no rule for the peer, no secret to answer with | refused, statelessly |
//! | else | a tunnel in wait-ctl-conn |

use core::net::{IpAddr, SocketAddr};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use l2tp_data::id::TunnelId;
use rand_core::Rng;

use super::control::WRONG_VERSION;
use super::{Core, Endpoint};
use crate::Instant;
use crate::admission::Refusal;
use crate::auth;
use crate::config::Policy;
use crate::event::{By, Cause, Path, PeerInfo, Remote};
use crate::reliable::Reliable;
use crate::tunnel::{Opener, State, Tunnel, message_type};
use crate::wire::{
    Attribute, Avps, Body, ErrorCode, Header, Message, MessageType, Octets, OtherAvps, ProtocolVersion,
    Sccrp, Sccrq, StopCcn, StopResult, decode_body,
};

const LOWEST: TunnelId = TunnelId::new(1).unwrap();
const HIGHEST: TunnelId = TunnelId::new(u16::MAX).unwrap();

/// The longest SCCRQ: to reveal what is hidden in it costs time.
const LONGEST: u16 = 4096;

/// An SCCRQ that has come.
struct Opening<'a> {
    path: Path,
    body: &'a Body<'a>,
    /// Of its AVPs.
    hash: u64,
    request: &'a Sccrq<'a>,
}

impl Opening<'_> {
    /// Who wants to open a tunnel, and the id that he assigned to it.
    fn key(&self) -> (Remote, TunnelId) {
        (self.path.remote(), self.request.assigned_tunnel_id)
    }
}

/// Who wins against the tunnel that we are opening (§4.4.3).
enum Tie {
    /// Nobody wants a single tunnel.
    None,
    Won,
    Lost,
    Equal,
}

impl Endpoint {
    /// A control message with tunnel id 0.
    pub(super) fn request(&mut self, now: Instant, path: Path, header: &Header, datagram: &mut [u8]) {
        let message = &datagram[..header.length.into()];
        match message_type(message) {
            Some(MessageType::SCCRQ) => self.sccrq(now, path, header, datagram),
            // Who gives up before our first answer does not know our id.
            Some(MessageType::STOPCCN) => match self.named_in(&path, message) {
                Some(id) => self.receive(now, path, id, header, datagram),
                None => self.stray(now, path, header, datagram),
            },
            _ => self.core.count("stray"),
        }
    }

    /// The tunnel that a StopCCN names by its sender's id, because he cannot know ours.
    fn named_in(&self, path: &Path, message: &[u8]) -> Option<TunnelId> {
        let value = plain(message, Attribute::ASSIGNED_TUNNEL_ID)?;
        let peer = TunnelId::new(u16::from_be_bytes(*value.first_chunk()?))?;
        let mut named = self.core.of_peer(path.remote(), peer);
        named.find(|id| self.tunnels.get(id).is_some_and(|tunnel| tunnel.state != State::Established))
    }

    /// A control message for a tunnel id that is not in use. Its sender would wait in vain if it were not
    /// answered in these two cases; no answer asks for an answer.
    pub(super) fn stray(&mut self, now: Instant, path: Path, header: &Header, datagram: &mut [u8]) {
        let core = &mut self.core;
        core.count("stray");
        let kind = message_type(&datagram[..header.length.into()]);
        if !matches!(kind, Some(MessageType::STOPCCN | MessageType::SCCRP))
            || !core.admission.rate(now, path.peer.ip(), &core.config.limits)
        {
            return;
        }
        match decode_body(header, datagram, None, Default::default()).map(|body| body.message) {
            Ok(Message::StopCcn(stop)) => core.reply(path, header, stop.assigned_tunnel_id, &Message::Zlb),
            // §7.2.1: idle, receive SCCRP.
            Ok(Message::Sccrp(reply)) => {
                let cause = Cause::new(StopResult::STATE_MACHINE);
                core.refuse(path, header, reply.assigned_tunnel_id, &cause);
            }
            _ => {}
        }
    }

    fn sccrq(&mut self, now: Instant, path: Path, header: &Header, datagram: &mut [u8]) {
        let core = &mut self.core;
        if !core.admission.rate(now, path.peer.ip(), &core.config.limits) {
            return core.count("rate");
        }
        if header.ns != 0 {
            return core.count("sccrq_number");
        }
        if header.length > LONGEST {
            return core.count("sccrq_length");
        }
        let message = &datagram[..header.length.into()];
        let hash = hash(&message[Header::LEN..]);
        let rule = core.rule(plain(message, Attribute::HOST_NAME).unwrap_or_default(), path.peer.ip());
        let policy = rule.map(|rule| core.config.peers[rule].policy.clone());
        let secret = policy.as_ref().and_then(|policy| policy.secret.as_ref());
        let leniencies = policy.as_ref().map(|policy| policy.leniencies).unwrap_or_default();
        match decode_body(header, datagram, secret, leniencies) {
            Ok(body) => {
                core.note(&body);
                if let Message::Sccrq(request) = &body.message {
                    if core.rule(&request.host_name, path.peer.ip()) != rule {
                        core.count("host_name");
                        let words = "which Host Name counts is not clear";
                        let cause = Cause::error(StopResult::GENERAL_ERROR, ErrorCode::VALUE, words);
                        return core.refuse(path, header, request.assigned_tunnel_id, &cause);
                    }
                    self.requested(now, &Opening { path, body: &body, hash, request }, policy);
                }
            }
            Err(failure) => {
                core.count(failure.error.name());
                if let (Some(code), Some(peer)) = (failure.error.code(), failure.tunnel_id) {
                    let cause = Cause::error(StopResult::GENERAL_ERROR, code, failure.error.to_string());
                    core.refuse(path, header, peer, &cause);
                }
            }
        }
    }

    /// §7.2.1: idle or wait-ctl-reply, receive SCCRQ.
    fn requested(&mut self, now: Instant, opening: &Opening<'_>, policy: Option<Arc<Policy>>) {
        if self.again(now, opening) {
            return self.core.count("sccrq_again");
        }
        if self.outdone(now, opening) {
            return self.core.count("tie_won");
        }
        // Who may not open a tunnel to us takes no part; nor does who forges his name.
        let ours = policy.as_ref().and_then(|_| self.opening(opening.path.peer));
        if let Some((id, ours)) = ours {
            match tie(ours, opening.request.tie_breaker) {
                Tie::None => {}
                Tie::Won => return self.core.count("tie_won"),
                Tie::Lost => return self.give_way(now, opening, id),
                Tie::Equal => return self.vanish(now, id, By::Tie, Cause::new(StopResult::CLEAR)),
            }
        }
        let core = &mut self.core;
        let refusal = core.no_room(opening).or_else(|| refusal(opening.request, policy.as_deref()));
        let tunnel = match (refusal, policy) {
            (None, Some(policy)) => core
                .tunnel(now, opening.path, policy, Opener::Peer(opening.hash))
                .ok_or_else(|| full("no tunnel id is free")),
            (refusal, _) => Err(refusal.unwrap_or(Cause::new(StopResult::NOT_AUTHORISED))),
        };
        match tunnel {
            Ok(mut tunnel) => {
                core.sccrp(now, &mut tunnel, opening);
                self.tunnels.insert(tunnel.id, tunnel);
            }
            Err(cause) => {
                core.count("refused");
                core.refuse(opening.path, &opening.body.header, opening.request.assigned_tunnel_id, &cause);
            }
        }
    }

    /// Whether an SCCRQ is one that has opened a tunnel: then that answers it again, unless its SCCRP has
    /// been acknowledged. An ack alone would end the peer's retransmissions, and nothing ours.
    fn again(&mut self, now: Instant, opening: &Opening<'_>) -> bool {
        let (remote, peer) = opening.key();
        let by = |id: &TunnelId| self.tunnels.get(id).is_some_and(|it| it.is_opened_by(opening.hash, now));
        let same = self.core.of_peer(remote, peer).find(by);
        let Some(tunnel) = same.and_then(|id| self.tunnels.get_mut(&id)) else { return false };
        if tunnel.state == State::WaitCtlConn {
            let (timing, header) = (tunnel.timing(), &opening.body.header);
            // Its bytes are needed only if it is stored, and it is no news.
            tunnel.reliable.receive(now, &timing, header.ns, header.nr, Some(&[]));
            tunnel.reliable.retry();
            self.core.touch(tunnel);
        }
        true
    }

    /// Whether an SCCRQ has lost against ours already, which has overtaken it: the tunnel that the peer
    /// gave up for ours has kept its id.
    fn outdone(&self, now: Instant, opening: &Opening<'_>) -> bool {
        let (remote, peer) = opening.key();
        let tunnels = self.core.of_peer(remote, peer).filter_map(|id| self.tunnels.get(&id));
        let mut young = tunnels.filter(|tunnel| now.since(tunnel.created) <= tunnel.policy.timing.cycle());
        young.any(|tunnel| match tunnel.opener {
            Opener::Us(ours @ Some(_)) => matches!(tie(ours, opening.request.tie_breaker), Tie::Won),
            _ => false,
        })
    }

    /// The tunnel that we are opening to this peer, of several the one with the lowest tie breaker.
    fn opening(&self, peer: SocketAddr) -> Option<(TunnelId, Option<u64>)> {
        let ours = self.core.opening.range((peer, LOWEST)..=(peer, HIGHEST));
        let ours = ours.filter_map(|(_, id)| match self.tunnels.get(id)?.opener {
            Opener::Us(tie) => Some((*id, tie)),
            Opener::Peer(_) => None,
        });
        ours.min_by_key(|(_, tie)| tie.unwrap_or(u64::MAX))
    }

    /// §7.2.1, wait-ctl-reply, receive SCCRQ, lose tie breaker: our SCCRQ is forgotten, the peer's takes
    /// its place. The tunnel keeps its id, and the calls that wait for it.
    fn give_way(&mut self, now: Instant, opening: &Opening<'_>, id: TunnelId) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        core.count("tie_lost");
        if let Some(cause) = refusal(opening.request, Some(&tunnel.policy)) {
            core.refuse(opening.path, &opening.body.header, opening.request.assigned_tunnel_id, &cause);
            let wrong = cause.result == StopResult::VERSION;
            let by = if wrong { WRONG_VERSION } else { By::Authentication };
            return self.vanish(now, id, by, cause);
        }
        core.opening.remove(&(tunnel.path.peer, id));
        tunnel.path = opening.path;
        tunnel.reliable = Reliable::new(tunnel.policy.window());
        tunnel.state = State::WaitCtlConn;
        tunnel.opener = Opener::Peer(opening.hash);
        tunnel.gave_way = true;
        tunnel.created = now;
        tunnel.deadline = Some(now + tunnel.policy.setup);
        core.sccrp(now, tunnel, opening);
    }
}

/// The value of an AVP that is not hidden, before the message is decoded.
pub(super) fn plain(message: &[u8], attribute: Attribute) -> Option<&[u8]> {
    let mut avps = Avps::new(message.get(Header::LEN..)?).map_while(Result::ok);
    avps.find(|avp| avp.attribute() == attribute && !avp.is_hidden()).map(|avp| avp.value)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn tie(ours: Option<u64>, theirs: Option<u64>) -> Tie {
    match (ours, theirs) {
        (None, None) => Tie::None,
        (Some(_), None) => Tie::Won,
        (None, Some(_)) => Tie::Lost,
        (Some(ours), Some(theirs)) if ours < theirs => Tie::Won,
        (Some(ours), Some(theirs)) if ours > theirs => Tie::Lost,
        _ => Tie::Equal,
    }
}

/// What is not acceptable in the Protocol Version of an SCCRQ or SCCRP (§4.4.2, §4.4.3).
pub(super) fn wrong_version(version: ProtocolVersion) -> Option<Cause<StopResult>> {
    let ProtocolVersion { version: ours, revision } = ProtocolVersion::V1_0;
    (version.version != ours).then(|| {
        let highest = ErrorCode(u16::from_be_bytes([ours, revision]));
        Cause::error(
            StopResult::VERSION,
            highest,
            format!("this is L2TP version {ours}, revision {revision}"),
        )
    })
}

/// Why an SCCRQ is not acceptable, if there is room for its tunnel.
fn refusal(request: &Sccrq<'_>, policy: Option<&Policy>) -> Option<Cause<StopResult>> {
    let not_authorised =
        |words: &str| Some(Cause { message: words.into(), ..Cause::new(StopResult::NOT_AUTHORISED) });
    wrong_version(request.protocol_version).or_else(|| match policy {
        None => not_authorised("this host is not known here"),
        Some(Policy { secret: None, challenge, .. }) if *challenge || request.challenge.is_some() => {
            not_authorised("there is no secret for this host")
        }
        Some(_) => None,
    })
}

fn full(words: &str) -> Cause<StopResult> {
    Cause::error(StopResult::GENERAL_ERROR, ErrorCode::RESOURCES, words)
}

impl Tunnel {
    /// Whether an SCCRQ is the one that opened this tunnel, again. It can be on its way for a cycle, and
    /// is sent no more once its sender has said something else.
    fn is_opened_by(&self, hash: u64, now: Instant) -> bool {
        let young = now.since(self.created) <= self.policy.timing.cycle();
        matches!(self.opener, Opener::Peer(ours) if ours == hash)
            && match self.state {
                State::WaitCtlConn => true,
                State::Closing => young && self.reliable.nr() == 1,
                State::WaitCtlReply | State::Established => young,
            }
    }

    /// Has the peer prove that it knows the secret, if the policy says so.
    pub(super) fn challenge(&mut self, core: &mut Core) {
        self.challenge = self.policy.challenge.then(|| {
            let mut challenge = [0; 16];
            core.rng.fill_bytes(&mut challenge);
            challenge
        });
    }
}

impl Core {
    /// Tunnels to a peer for which it assigned this id.
    pub(super) fn of_peer(&self, remote: Remote, peer: TunnelId) -> impl Iterator<Item = TunnelId> + '_ {
        self.by_peer.range((remote, peer, LOWEST)..=(remote, peer, HIGHEST)).map(|(_, _, id)| *id)
    }

    /// The first rule that fits a peer.
    pub(super) fn rule(&self, host_name: &[u8], address: IpAddr) -> Option<usize> {
        self.config.peers.iter().position(|rule| rule.fits(host_name, address))
    }

    /// Whether a message answers the SCCRQ that a tunnel has given up for the peer's, which had accepted it
    /// before it sent its own: an SCCRP, or a ZLB, which cannot be told from one that acks our SCCRP. The
    /// SCCCN acks that as well.
    pub(super) fn is_late(&mut self, path: Path, header: &Header, message: &[u8]) -> bool {
        let peer = plain(message, Attribute::ASSIGNED_TUNNEL_ID).and_then(|value| value.first_chunk());
        let peer = peer.and_then(|id| TunnelId::new(u16::from_be_bytes(*id)));
        match (message_type(message), peer) {
            (Some(MessageType::SCCRP), Some(peer)) => {
                self.refuse(path, header, peer, &Cause::new(StopResult::STATE_MACHINE));
                true
            }
            (kind, _) => kind.is_none() && header.nr == 1,
        }
    }

    /// Why there is no room for one more tunnel.
    fn no_room(&self, opening: &Opening<'_>) -> Option<Cause<StopResult>> {
        match self.admission.check(opening.path.peer.ip(), self.open, &self.config.limits) {
            Ok(()) => None,
            Err(Refusal::Draining) => Some(Cause::new(StopResult::SHUTTING_DOWN)),
            Err(Refusal::Limit) => Some(full("too many control connections")),
        }
    }

    /// Queues our SCCRQ.
    pub(super) fn sccrq(&mut self, tunnel: &mut Tunnel, tie_breaker: Option<u64>) {
        tunnel.challenge(self);
        let (config, policy, challenge) = (self.config.clone(), tunnel.policy.clone(), tunnel.challenge);
        let message = Sccrq {
            bearer_capabilities: policy.bearer_capabilities.then_some(config.bearer),
            receive_window_size: Some(policy.window()),
            challenge: challenge.as_ref().map(|challenge| Octets(challenge)),
            tie_breaker,
            firmware_revision: Some(config.firmware_revision),
            vendor_name: config.vendor_name(),
            ..Sccrq::new(ProtocolVersion::V1_0, config.host_name(), config.framing, tunnel.id)
        };
        self.send_with(tunnel, None, &message.into(), &policy.other_avps);
    }

    /// Takes an acceptable SCCRQ into its tunnel and queues the answer.
    fn sccrp(&mut self, now: Instant, tunnel: &mut Tunnel, opening: &Opening<'_>) {
        let Opening { path, body, request, .. } = *opening;
        let (remote, peer) = opening.key();
        let (config, policy) = (self.config.clone(), tunnel.policy.clone());
        self.admission.opened(path.peer.ip());
        self.by_peer.insert((remote, peer, tunnel.id));
        tunnel.peer = Some(peer);
        let info = PeerInfo::of_sccrq(path, request, OtherAvps::of(body));
        tunnel.reliable.set_peer_window(info.window);
        tunnel.reliable.receive(now, &policy.timing, body.header.ns, body.header.nr, Some(&[]));
        tunnel.info = Some(Box::new(info));
        tunnel.challenge(self);
        let challenge = tunnel.challenge;
        let answer = request.challenge.zip(policy.secret.as_ref());
        let message = Sccrp {
            bearer_capabilities: policy.bearer_capabilities.then_some(config.bearer),
            firmware_revision: Some(config.firmware_revision),
            vendor_name: config.vendor_name(),
            receive_window_size: Some(policy.window()),
            challenge: challenge.as_ref().map(|challenge| Octets(challenge)),
            challenge_response: answer
                .map(|(challenge, secret)| auth::response(MessageType::SCCRP, secret, &challenge)),
            ..Sccrp::new(ProtocolVersion::V1_0, config.framing, config.host_name(), tunnel.id)
        };
        self.send_with(tunnel, None, &message.into(), &policy.other_avps);
    }

    /// A StopCCN to who has no tunnel here, once. Its Assigned Tunnel ID must not be 0 (§4.4.3), and
    /// stands for nothing.
    fn refuse(&mut self, path: Path, header: &Header, peer: TunnelId, cause: &Cause<StopResult>) {
        let any = TunnelId::new(self.rng.next_u32() as u16 | 1);
        self.reply(path, header, Some(peer), &StopCcn::new(any, cause.result_code()).into());
    }
}
