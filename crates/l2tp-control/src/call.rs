//! Calls: the state tables of RFC 2661 §7.4 and §7.5.
//!
//! ```text
//!          incoming call                               outgoing call
//!   LAC                      LNS                LNS                      LAC
//!   wait-tunnel                                 wait-tunnel
//!   wait-reply ──ICRQ──► (offered)              wait-reply ──OCRQ──► (offered)
//!   (accepted) ◄──ICRP── wait-connect           wait-connect ◄──OCRP── wait-cs-answer
//!   established ──ICCN──► established           established ◄──OCCN── established
//! ```
//!
//! *Offered* is the RFC's idle while our caller decides; *accepted* its wait-reply while our caller has
//! not said yet what the line is like.

use l2tp_data::id::SessionId;

use super::Instant;
use super::event::{Connected, Request};
use super::timers::TimerId;
use super::wire::MessageType;

/// Which call it is, and which side of it we are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// We are the LAC of an incoming call (§7.4.1).
    IncomingLac,
    /// We are the LNS of an incoming call (§7.4.2).
    IncomingLns,
    /// We are the LAC of an outgoing call (§7.5.1).
    OutgoingLac,
    /// We are the LNS of an outgoing call (§7.5.2).
    OutgoingLns,
}

/// A session's state, by the RFC's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The tunnel is not established yet.
    WaitTunnel,
    /// The peer has asked; our caller has not answered yet.
    Offered,
    /// We have asked.
    WaitReply,
    /// The peer has accepted; our caller has not said what the line is like.
    Accepted,
    /// The line is not connected yet; that is the peer's business.
    WaitConnect,
    /// The line is not connected yet; that is our caller's business.
    WaitCsAnswer,
    /// Data can flow.
    Established,
}

impl State {
    /// Its name in the RFC.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitTunnel => "wait-tunnel",
            Self::Offered => "idle",
            Self::WaitReply | Self::Accepted => "wait-reply",
            Self::WaitConnect => "wait-connect",
            Self::WaitCsAnswer => "wait-cs-answer",
            Self::Established => "established",
        }
    }
}

/// What a message that came for a session does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// It is what this state waits for.
    Accept,
    /// Send a CDN, clean up.
    Disconnect,
    /// Clean up.
    CleanUp,
    /// It says something about the line that is of no use here.
    Ignore,
}

/// The tables: what a message that is acceptable as such does to a session. §7.4.1, §7.4.2, §7.5.1,
/// §7.5.2. SLI (§6.14) and WEN (§6.13) stand in none of them and end no call.
pub const fn reaction(kind: Kind, state: State, message: MessageType) -> Reaction {
    use Kind::*;
    use State::*;
    const ACCEPT: Reaction = Reaction::Accept;
    match (kind, state, message) {
        (_, _, MessageType::CDN) => Reaction::CleanUp,
        (IncomingLac, WaitReply, MessageType::ICRP) => ACCEPT,
        (IncomingLac, WaitReply | Accepted, MessageType::ICCN) => Reaction::CleanUp,
        (IncomingLns, WaitConnect, MessageType::ICCN) => ACCEPT,
        (IncomingLns, Offered, MessageType::ICCN) => Reaction::CleanUp,
        (OutgoingLns, WaitReply, MessageType::OCRP) => ACCEPT,
        (OutgoingLns, WaitConnect, MessageType::OCCN) => ACCEPT,
        (OutgoingLac, Offered, MessageType::OCCN) => Reaction::CleanUp,
        // Either side may speak of the line as soon as it is there; the other may not have heard of it yet.
        (IncomingLac | OutgoingLac, Accepted | WaitCsAnswer | Established, MessageType::SLI) => ACCEPT,
        (IncomingLns | OutgoingLns, WaitConnect | Established, MessageType::WEN) => ACCEPT,
        (_, _, MessageType::SLI | MessageType::WEN) => Reaction::Ignore,
        _ => Reaction::Disconnect,
    }
}

/// What our caller has said before its turn.
#[derive(Clone, Default, Debug)]
pub(crate) struct Ahead {
    pub(crate) request: Option<Request>,
    pub(crate) connected: Option<Connected>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) kind: Kind,
    pub(crate) state: State,
    /// A stranger's, and not proven.
    pub(crate) unproven: bool,
    /// The id that the peer assigned; `None` until it did.
    pub(crate) peer: Option<SessionId>,
    /// While it is being set up: when that has to be done.
    pub(crate) setup: Option<(TimerId, Instant)>,
    pub(crate) ahead: Option<Box<Ahead>>,
}

#[cfg(test)]
mod tests {
    use super::Kind::*;
    use super::Reaction::*;
    use super::State::*;
    use super::*;

    const ICRQ: MessageType = MessageType::ICRQ;
    const ICRP: MessageType = MessageType::ICRP;
    const ICCN: MessageType = MessageType::ICCN;
    const OCRQ: MessageType = MessageType::OCRQ;
    const OCRP: MessageType = MessageType::OCRP;
    const OCCN: MessageType = MessageType::OCCN;
    const CDN: MessageType = MessageType::CDN;
    const SLI: MessageType = MessageType::SLI;
    const WEN: MessageType = MessageType::WEN;

    fn rows(section: &str, kind: Kind, rows: &[(State, &[MessageType], Reaction)]) {
        for (state, messages, expected) in rows {
            for message in *messages {
                let found = reaction(kind, *state, *message);
                assert_eq!(found, *expected, "{section}, {}: receive {message}", state.name());
            }
        }
    }

    #[test]
    fn section_7_4_1_incoming_call_lac() {
        rows(
            "7.4.1",
            IncomingLac,
            &[
                (WaitReply, &[ICRP], Accept),
                (WaitReply, &[ICRQ], Disconnect),
                (WaitReply, &[CDN, ICCN], CleanUp),
                (Established, &[CDN], CleanUp),
                (Established, &[ICRQ, ICRP, ICCN], Disconnect),
            ],
        );
    }

    #[test]
    fn section_7_4_2_incoming_call_lns() {
        rows(
            "7.4.2",
            IncomingLns,
            &[
                (Offered, &[ICRP], Disconnect),
                (Offered, &[ICCN], CleanUp),
                (WaitConnect, &[ICCN], Accept),
                (WaitConnect, &[ICRQ, ICRP], Disconnect),
                (Offered, &[CDN], CleanUp),
                (WaitConnect, &[CDN], CleanUp),
                (Established, &[CDN], CleanUp),
                (Established, &[ICRQ, ICRP, ICCN], Disconnect),
            ],
        );
    }

    #[test]
    fn section_7_5_1_outgoing_call_lac() {
        rows(
            "7.5.1",
            OutgoingLac,
            &[
                (Offered, &[OCRP], Disconnect),
                (Offered, &[OCCN, CDN], CleanUp),
                (WaitCsAnswer, &[OCRQ, OCRP, OCCN], Disconnect),
                (Established, &[OCRQ, OCRP, OCCN], Disconnect),
                (WaitCsAnswer, &[CDN], CleanUp),
                (Established, &[CDN], CleanUp),
            ],
        );
    }

    #[test]
    fn section_7_5_2_outgoing_call_lns() {
        rows(
            "7.5.2",
            OutgoingLns,
            &[
                (WaitReply, &[OCRP], Accept),
                (WaitReply, &[OCCN, OCRQ], Disconnect),
                (WaitConnect, &[OCCN], Accept),
                (WaitConnect, &[OCRQ, OCRP], Disconnect),
                (WaitReply, &[CDN], CleanUp),
                (WaitConnect, &[CDN], CleanUp),
                (Established, &[CDN], CleanUp),
                (Established, &[OCRQ, OCRP, OCCN], Disconnect),
            ],
        );
    }

    #[test]
    fn sections_6_13_and_6_14_lac_hears_sli_and_lns_hears_wen() {
        for kind in [IncomingLac, OutgoingLac] {
            rows("6.14", kind, &[(WaitReply, &[SLI, WEN], Ignore), (Accepted, &[SLI], Accept)]);
            rows("6.14", kind, &[(WaitCsAnswer, &[SLI], Accept), (Established, &[SLI], Accept)]);
            rows("6.13", kind, &[(Established, &[WEN], Ignore)]);
        }
        for kind in [IncomingLns, OutgoingLns] {
            rows("6.13", kind, &[(Offered, &[SLI, WEN], Ignore), (WaitConnect, &[WEN], Accept)]);
            rows("6.13", kind, &[(Established, &[WEN], Accept)]);
            rows("6.14", kind, &[(Established, &[SLI], Ignore)]);
        }
    }
}
