//! Authentication: either end, both, or none proves to the other who it is.
//!
//! ```text
//!                    ┌ Authenticator ◄─ Authenticate-Request, Response ─── the peer proves itself to us
//!  handle_packet ─► Auth
//!                    └ Peer ◄─ Challenge, Request, Success, Ack, … ─────── we prove ourselves to it
//! ```
//!
//! The password is not known here: [`Outcome::Authenticate`] has the peer's proof, and
//! [`verdict`](Auth::verdict) brings the answer, at once or much later. What comes meanwhile is neither
//! answered nor asked again.

mod authenticator;
mod chap;
mod eap;
mod mschap;
mod pap;
mod peer;
mod request;
pub mod secret;

use l2tp_data::time::Instant;
use md5::{Digest, Md5};
use rand_core::CryptoRng;

use super::config::{Config, Method};
use super::event::{By, Timer};
use super::packet::Packet;
use super::protocol::Protocol;
use authenticator::Authenticator;
use peer::Peer;

pub use request::{Proof, RejectCode, Request, Verdict};
pub use secret::Secret;

/// What every step needs of the link.
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// Names, credentials, times.
    pub config: &'a Config,
    /// Where challenges and Identifiers come from.
    pub rng: &'a mut dyn CryptoRng,
}

impl<'a> Context<'a> {
    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        self.rng.fill_bytes(&mut octets);
        octets
    }

    fn restart(&self) -> Instant {
        self.now + self.config.timing.restart
    }

    fn deadline(&self) -> Instant {
        self.now + self.config.authentication_time
    }

    /// Our name and password; empty without credentials, which LCP does not let happen.
    fn credentials(&self) -> (&'a [u8], &'a [u8]) {
        match &self.config.credentials {
            Some(ours) => (ours.name.as_bytes(), ours.password.octets()),
            None => Default::default(),
        }
    }
}

/// What a step has led to. The answer to the peer goes out first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The peer has sent its proof: answer with [`Auth::verdict`].
    Authenticate(Box<Request>),
    /// The peer has been let in.
    PeerAuthenticated,
    /// The peer has taken our proof, with these words.
    Authenticated(Box<str>),
    /// Words of the peer for our user, by EAP; nothing else has happened.
    Notification(Box<str>),
    /// One end has not proved who it is: the link has to end.
    Failed {
        /// Who refused the other's proof, or waited in vain for it.
        by: By,
        /// Why, in words; empty if the peer gave no reason.
        message: Box<str>,
    },
}

/// Frames of authentication protocols that led to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ignored {
    /// Of a protocol that was not agreed on, or not for this direction.
    pub foreign: u32,
    /// Not as their protocol wants them.
    pub malformed: u32,
    /// Answers to what was not asked, or that have come before.
    pub stray: u32,
}

/// Why a packet leads to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Useless {
    Foreign,
    Malformed,
    Stray,
}

/// Authentication of one link, both ways.
///
/// After each call that takes `&mut self` the link drains [`poll_transmit`](Self::poll_transmit), and
/// then asks [`poll_timeout`](Self::poll_timeout) when to call [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct Auth {
    authenticator: Option<Authenticator>,
    peer: Option<Peer>,
    ignored: Ignored,
}

impl Auth {
    /// Begins with what LCP has agreed on: how we prove ourselves, and how the peer does. Neither: it is
    /// [done](Self::is_done) already.
    pub fn new(context: &mut Context<'_>, local: Option<Method>, peer: Option<Method>) -> Self {
        let authenticator = peer.map(|method| Authenticator::new(context, method));
        Self::with(context, authenticator, local)
    }

    /// Begins with a peer that has proved itself to a LAC (RFC 2661 §4.4.5): the next step is the
    /// [`verdict`](Self::verdict) on this request.
    pub fn with_proof(context: &mut Context<'_>, local: Option<Method>, request: &Request) -> Self {
        let authenticator = Authenticator::with_proof(context, request);
        Self::with(context, Some(authenticator), local)
    }

    fn with(context: &mut Context<'_>, authenticator: Option<Authenticator>, local: Option<Method>) -> Self {
        let peer = local.map(|method| Peer::new(context, method));
        Self { authenticator, peer, ignored: Ignored::default() }
    }

    /// Whether all has been proved that was to be. Stays so while the peer is challenged again.
    pub fn is_done(&self) -> bool {
        self.authenticator.as_ref().is_none_or(Authenticator::is_done)
            && self.peer.as_ref().is_none_or(Peer::is_done)
    }

    /// The name that the peer has given.
    pub fn peer_name(&self) -> Option<&[u8]> {
        self.authenticator.as_ref()?.name()
    }

    /// What was ignored.
    pub const fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// A packet of PAP, CHAP or EAP, from its Code on.
    pub fn handle_packet(
        &mut self,
        context: &mut Context<'_>,
        protocol: Protocol,
        packet: &[u8],
    ) -> Option<Outcome> {
        let authenticator = self.authenticator.as_mut().filter(|end| end.method().protocol() == protocol);
        let peer = self.peer.as_mut().filter(|end| end.method().protocol() == protocol);
        let proof = if protocol == Protocol::PAP { pap::REQUEST } else { chap::RESPONSE };
        let step = match (Packet::parse(packet), authenticator, peer) {
            (_, None, None) => Err(Useless::Foreign),
            (None, ..) => Err(Useless::Malformed),
            (Some(packet), Some(end), _) if packet.code == proof => end.handle(context, packet),
            (Some(packet), None, _) if packet.code == proof => Err(Useless::Foreign),
            // Whoever answers its own challenge tells the peer what it has to answer.
            (Some(packet), Some(end), _) if end.is_reflected(packet.data) => Err(Useless::Stray),
            (Some(packet), _, Some(end)) => end.handle(context, packet),
            (Some(_), _, None) => Err(Useless::Foreign),
        };
        step.unwrap_or_else(|useless| {
            let count = match useless {
                Useless::Foreign => &mut self.ignored.foreign,
                Useless::Malformed => &mut self.ignored.malformed,
                Useless::Stray => &mut self.ignored.stray,
            };
            *count = count.saturating_add(1);
            None
        })
    }

    /// The answer to [`Outcome::Authenticate`]; if nothing was asked, nothing happens.
    pub fn verdict(&mut self, context: &mut Context<'_>, verdict: Verdict) -> Option<Outcome> {
        self.authenticator.as_mut()?.verdict(context, verdict)
    }

    /// A packet of a network protocol came: if it is only the peer's Success that is missing and EAP has
    /// no means to ask for it again, it is taken as given (RFC 3748 §4.2).
    pub fn handle_network(&mut self) -> Option<Outcome> {
        self.peer.as_mut()?.handle_network()
    }

    /// After [`Outcome::Failed`]: tries again with the credentials of `context`, if the peer has allowed
    /// it (RFC 2759 §6). `false`: it has not.
    pub fn retry(&mut self, context: &mut Context<'_>) -> bool {
        self.peer.as_mut().is_some_and(|peer| peer.retry(context))
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) gave has come. If it is up for both ends, one
    /// failure is told.
    pub fn handle_timeout(&mut self, context: &mut Context<'_>) -> Option<Outcome> {
        let ours = self.peer.as_mut().and_then(|end| end.handle_timeout(context));
        let theirs = self.authenticator.as_mut().and_then(|end| end.handle_timeout(context));
        ours.or(theirs)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let both = [
            self.authenticator.as_ref().and_then(Authenticator::poll_timeout),
            self.peer.as_ref().and_then(Peer::poll_timeout),
        ];
        both.into_iter().flatten().min()
    }

    /// Clears `out` and writes one frame that starts with its protocol. `false`: there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.authenticator.as_mut().is_some_and(|authenticator| authenticator.poll_transmit(out))
            || self.peer.as_mut().is_some_and(|peer| peer.poll_transmit(out))
    }
}

/// Writes the frame that is due.
fn transmit(due: &mut bool, method: Method, packet: &[u8], out: &mut Vec<u8>) -> bool {
    if !core::mem::take(due) {
        return false;
    }
    out.clear();
    out.extend(method.protocol().0.to_be_bytes());
    out.extend(packet);
    true
}

/// The hash of CHAP and of EAP's MD5-Challenge (RFC 1994 §4.1).
fn md5(id: u8, password: &[u8], challenge: &[u8]) -> [u8; 16] {
    let hash = Md5::new().chain_update([id]).chain_update(password);
    hash.chain_update(challenge).finalize().into()
}

/// As much as a length of one octet can say.
fn capped(octets: &[u8]) -> &[u8] {
    &octets[..octets.len().min(255)]
}

/// A field behind its length of one octet, and the rest.
fn length_prefixed(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// What somebody on the network wants to be read by a human: no control characters, not too much.
fn words(message: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(capped(message));
    text.trim_matches(|c: char| c.is_control() || c == ' ').replace(char::is_control, " ").into()
}
