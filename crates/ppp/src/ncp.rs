//! What IPCP and IPV6CP have in common: they come and go while the link is in the network phase.
//!
//! ```text
//!  not wanted, or refused ◄─────────────────────────────── Finished: told as refused
//!   │ open                                                    │
//!   └────► negotiating ──Up: told──► open ──Down: told──► negotiating, or ending
//!                                                             │
//!          ended by the peer, which may begin again ◄─── Finished: told as refused
//! ```

use l2tp_data::time::Instant;

use super::automaton::State;
use super::event::{Event, Why};
use super::negotiation::{Context, Negotiation, Options, Signal, Useless};
use super::output::Output;
use super::packet::Packet;

/// The options of a network control protocol.
pub(crate) trait Network: Options {
    /// Whether what was agreed on is enough to begin.
    fn complete(&self) -> Result<(), Why>;

    /// What the caller is told when it is open, no longer open, and refused.
    fn up(&self) -> Event;
    fn down() -> Event;
    fn refused(why: Why) -> Event;
}

/// A network control protocol of a link. What is returned as [`Why`] is why there is none any more.
pub(crate) struct Ncp<O>(Option<Negotiation<O>>);

impl<O> Default for Ncp<O> {
    fn default() -> Self {
        Self(None)
    }
}

impl<O: Network> Ncp<O> {
    pub(crate) fn open(&mut self, cx: &mut Context<'_>, options: O) {
        let ncp = self.0.insert(Negotiation::new(options, cx.random));
        ncp.open(cx);
    }

    /// Whether packets are for us.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it is refused, or the peer has ended it.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|ncp| ncp.state() == State::Stopped)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.0.as_ref()?.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> Option<Why> {
        let signal = self.0.as_mut()?.handle_timeout(cx);
        self.told(cx, signal)
    }

    pub(crate) fn handle(
        &mut self,
        cx: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Why>, Useless> {
        let Some(ncp) = &mut self.0 else { return Ok(None) };
        let signal = ncp.handle(cx, packet)?;
        Ok(self.told(cx, signal))
    }

    /// The peer does not know the protocol.
    pub(crate) fn rejected(&mut self, cx: &mut Context<'_>) -> Option<Why> {
        let signal = self.0.as_mut()?.fail(cx, Why::Rejected);
        self.told(cx, signal)
    }

    /// The link is no longer in the network phase.
    pub(crate) fn leave(&mut self, out: &mut Output) {
        if self.0.take().is_some_and(|ncp| ncp.is_open()) {
            out.tell(O::down());
        }
    }

    fn told(&mut self, cx: &mut Context<'_>, signal: Option<Signal>) -> Option<Why> {
        let ncp = self.0.as_mut()?;
        match signal? {
            Signal::Up => match ncp.options.complete() {
                Ok(()) => cx.out.tell(ncp.options.up()),
                Err(why) => {
                    ncp.fail(cx, why);
                }
            },
            Signal::Down => cx.out.tell(O::down()),
            Signal::Finished => {
                let why = ncp.why();
                if !matches!(why, Why::Terminated { .. }) {
                    self.0 = None;
                }
                cx.out.tell(O::refused(why.clone()));
                return Some(why);
            }
        }
        None
    }
}
