//! Why a session ends: for the accounts, for `connect`, for the peer, and in words.

use std::net::IpAddr;

use l2tp_control::wire::{CauseCode, CdnResult, Direction, ErrorCode, StopResult};
use l2tp_control::{By, PppCause, Reason};

use crate::accounts::TerminateCause;
use crate::notice::Failed;

/// Why a session ends.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) cause: TerminateCause,
    pub(super) failure: Failed,
    pub(super) why: String,
}

impl Ending {
    /// Something on this machine, or someone who uses it.
    pub(super) fn here(cause: TerminateCause, why: impl Into<String>) -> Self {
        Self { cause, failure: Failed::Local, why: why.into() }
    }

    /// This machine has lost the address that its tunnel came from.
    pub(super) fn address_gone(local: IpAddr) -> Self {
        let why = format!("this machine no longer has the address {local}, from which the tunnel came");
        Self { cause: TerminateCause::LOST_CARRIER, failure: Failed::Lost, why }
    }

    /// `secret`: whether we have one, so that the peer may have found that it is wrong.
    pub(super) fn of_tunnel(reason: &Reason<StopResult>, secret: bool) -> Self {
        let (cause, failure) = match reason.by {
            By::Us | By::Empty => (TerminateCause::NAS_REQUEST, Failed::Local),
            By::Authentication => (TerminateCause::NAS_ERROR, Failed::Secret),
            By::Peer if reason.cause.result == StopResult::NOT_AUTHORISED && secret => {
                (TerminateCause::USER_ERROR, Failed::Secret)
            }
            By::Peer => (TerminateCause::LOST_CARRIER, Failed::Refused),
            By::Silence | By::SetupTime | By::Restart => (TerminateCause::LOST_CARRIER, Failed::Silence),
            By::Error(_) | By::State { .. } | By::Tie => (TerminateCause::USER_ERROR, Failed::Refused),
        };
        Self { cause, failure, why: reason.to_string() }
    }

    pub(super) fn of_call(reason: &Reason<CdnResult>) -> Self {
        let (cause, failure) = match (reason.by, &reason.cause.ppp) {
            (By::Us, _) => (TerminateCause::NAS_REQUEST, Failed::Local),
            (By::Peer, Some(ppp)) => (TerminateCause::USER_REQUEST, of_ppp_cause(ppp.code)),
            // xl2tpd says so: by error 4 and "No available IP address".
            (By::Peer, None)
                if reason.cause.error == Some(ErrorCode::RESOURCES)
                    && reason.cause.message.contains("IP address") =>
            {
                (TerminateCause::SERVICE_UNAVAILABLE, Failed::Address)
            }
            (By::Peer, None) => (TerminateCause::USER_REQUEST, Failed::Refused),
            (By::Silence | By::SetupTime, _) => (TerminateCause::LOST_CARRIER, Failed::Silence),
            _ => (TerminateCause::USER_ERROR, Failed::Refused),
        };
        Self { cause, failure, why: reason.to_string() }
    }

    /// Some servers say by the end of the call alone that they do not know us.
    pub(super) fn while_authenticating(self) -> Self {
        let why = format!("the call was ended while we proved who we are: {}", self.why);
        Self { failure: Failed::Password, why, ..self }
    }

    /// Others let us in and have no address then: l2tpns says "try another LNS".
    pub(super) fn while_agreeing(self) -> Self {
        let why = format!("the call was ended while we agreed on addresses: {}", self.why);
        Self { failure: Failed::Address, why, ..self }
    }

    pub(super) fn of_link(reason: &ppp::Reason) -> Self {
        let (cause, failure) = match reason {
            ppp::Reason::Closed => (TerminateCause::NAS_REQUEST, Failed::Local),
            ppp::Reason::PeerTerminated { .. } => (TerminateCause::USER_REQUEST, Failed::Ended),
            ppp::Reason::Silence => (TerminateCause::LOST_SERVICE, Failed::Silence),
            ppp::Reason::AuthenticationFailed { .. } => (TerminateCause::USER_ERROR, Failed::Password),
            ppp::Reason::Negotiation { why: ppp::Why::NoAnswer, .. } => {
                (TerminateCause::LOST_SERVICE, Failed::Silence)
            }
            ppp::Reason::Negotiation { why: ppp::Why::NoAddress, .. } => {
                (TerminateCause::SERVICE_UNAVAILABLE, Failed::Address)
            }
            ppp::Reason::Negotiation { protocol, .. } if is_ncp(*protocol) => {
                (TerminateCause::SERVICE_UNAVAILABLE, Failed::Address)
            }
            ppp::Reason::Negotiation { .. } | ppp::Reason::ProxyMismatch(_) | ppp::Reason::Loop => {
                (TerminateCause::USER_ERROR, Failed::Refused)
            }
            ppp::Reason::LowerDown => (TerminateCause::LOST_CARRIER, Failed::Lost),
        };
        Self { cause, failure, why: reason.to_string() }
    }
}

fn of_ppp_cause(code: CauseCode) -> Failed {
    match code {
        CauseCode::NO_ADDRESS | CauseCode::NCP_ADDRESSES | CauseCode::NO_NCP => Failed::Address,
        CauseCode::AUTH_FAILED => Failed::Password,
        CauseCode::NORMAL | CauseCode::ADMINISTRATIVE => Failed::Ended,
        _ => Failed::Refused,
    }
}

fn is_ncp(protocol: ppp::Protocol) -> bool {
    matches!(protocol, ppp::Protocol::IPCP | ppp::Protocol::IPV6CP)
}

/// What a CDN tells of the end of a link (RFC 3145).
pub(super) fn ppp_cause(reason: &ppp::Reason) -> PppCause {
    let (code, direction) = match reason {
        ppp::Reason::Closed => (CauseCode::ADMINISTRATIVE, Direction::LOCAL),
        ppp::Reason::PeerTerminated { .. } => (CauseCode::NORMAL, Direction::PEER),
        ppp::Reason::Silence => (CauseCode::ECHO_TIMEOUT, Direction::PEER),
        ppp::Reason::Loop => (CauseCode::LOOP, Direction::GLOBAL),
        ppp::Reason::AuthenticationFailed { .. } => (CauseCode::AUTH_FAILED, Direction::PEER),
        ppp::Reason::Negotiation { protocol, .. } if is_ncp(*protocol) => {
            (CauseCode::NCP_ADDRESSES, Direction::GLOBAL)
        }
        ppp::Reason::Negotiation { why: ppp::Why::NoAnswer, .. } => (CauseCode::LCP_TIMEOUT, Direction::PEER),
        ppp::Reason::Negotiation { why: ppp::Why::NoMethod, .. } => {
            (CauseCode::AUTH_PROTOCOL, Direction::PEER)
        }
        ppp::Reason::ProxyMismatch(_) => (CauseCode::NO_PROXY_LCP, Direction::PEER),
        ppp::Reason::Negotiation { .. } | ppp::Reason::LowerDown => (CauseCode::NONE, Direction::GLOBAL),
    };
    let protocol = match reason {
        ppp::Reason::Negotiation { protocol, .. } => protocol.0,
        _ => 0,
    };
    PppCause { code, protocol, direction, message: String::new() }
}
