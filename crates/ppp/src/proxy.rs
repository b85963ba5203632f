//! Proxy LCP and proxy authentication (RFC 2661 §4.4.5).
//!
//! ```text
//!  LNS  Last Sent     ─► what the peer was asked for ─┐ do we ask for such?   no ─► mismatch
//!       Last Received ─► what it was granted ─────────┤ would we grant it?    no ─► mismatch
//!                                                     └ yes: LCP is open
//!       Authen …      ─► the proof, as if it had just come ─► Event::Authenticate
//!                        none that can be read: the peer is asked for it
//!
//!  LAC  Link::proxy, once LCP is open and the peer has sent its proof
//! ```
//!
//! A mismatch is: options that are missing or no options; a method that is not among those required; what
//! [`lcp`](super::lcp) rejects. With [`ProxyPolicy::RenegotiateOnMismatch`] also an MRU that is larger than
//! ours.

use super::auth::{Proof, Request, Secret};
use super::config::{Config, DEFAULT_MRU, Method, Proxy, ProxyPolicy};
use super::event::Mismatch;
use super::lcp::{Lcp, kind};
use super::negotiation::{Answer, Context, Options};
use super::packet::options;

/// Proxy Authen Type (RFC 2661 §4.4.5).
mod authen_type {
    pub(super) const CHAP: u16 = 2;
    pub(super) const PAP: u16 = 3;
    pub(super) const NONE: u16 = 4;
}

/// Peer-Challenge, eight reserved octets, NT-Response, Flags (RFC 2759 §4).
const MSCHAP_RESPONSE: usize = 49;
/// Names and proofs have one octet for their length.
const LONGEST: usize = 255;

/// LCP as the LAC has negotiated it.
pub(crate) fn adopt(cx: &mut Context<'_>, proxy: &Proxy) -> Result<Lcp, Mismatch> {
    let (Some(sent), Some(received)) = (&proxy.last_sent_lcp, &proxy.last_received_lcp) else {
        return Err(Mismatch::Missing);
    };
    let sent = options(sent).ok_or(Mismatch::Malformed)?;
    let received = options(received).ok_or(Mismatch::Malformed)?;
    let mut lcp = Lcp::new(cx.config, 0);
    (lcp.mru, lcp.magic, lcp.peer_auth) = (DEFAULT_MRU, 0, None);
    for option in sent {
        match (option.kind, option.value) {
            (kind::MRU, &[high, low]) => lcp.mru = u16::from_be_bytes([high, low]),
            (kind::MAGIC, &[a, b, c, d]) => lcp.magic = u32::from_be_bytes([a, b, c, d]),
            (kind::AUTHENTICATION, value) => {
                lcp.peer_auth = Some(Method::from_option(value).ok_or(Mismatch::Asked)?);
            }
            (kind::ACCM, _) | (kind::PFC | kind::ACFC, []) => {}
            _ => return Err(Mismatch::Asked),
        }
    }
    let Config { require, proxy: policy, mru, .. } = cx.config;
    if *policy == ProxyPolicy::RenegotiateOnMismatch && lcp.mru > *mru {
        return Err(Mismatch::Asked);
    }
    if !lcp.peer_auth.map_or(require.is_empty(), |method| require.contains(&method)) {
        return Err(Mismatch::Authentication);
    }
    for option in received {
        if lcp.judge(cx, option, &mut Vec::new()) != Ok(Answer::Ack) {
            return Err(Mismatch::Granted);
        }
    }
    Ok(lcp)
}

/// The proof that the peer has given the LAC.
pub(crate) fn proof(method: Method, proxy: &Proxy) -> Option<Request> {
    let (name, id) = (proxy.authen_name.as_deref()?, proxy.authen_id?);
    let response: &[u8] = proxy.authen_response.as_ref()?;
    let challenge = proxy.authen_challenge.as_deref().unwrap_or_default();
    if name.len().max(response.len()).max(challenge.len()) > LONGEST {
        return None;
    }
    let proof = match (method, proxy.authen_type?) {
        (Method::Pap, authen_type::PAP) => Proof::Pap { id, password: Secret::new(response) },
        (Method::ChapMd5, authen_type::CHAP) if !challenge.is_empty() => {
            Proof::ChapMd5 { id, challenge: challenge.into(), response: response.try_into().ok()? }
        }
        (Method::MsChapV2, authen_type::CHAP) if response.len() == MSCHAP_RESPONSE => Proof::MsChapV2 {
            id,
            challenge: challenge.try_into().ok()?,
            peer_challenge: response[..16].try_into().ok()?,
            nt_response: response[24..48].try_into().ok()?,
        },
        _ => return None,
    };
    Some(Request { name: name.into(), proof })
}

/// What a LAC keeps for its records until the peer is in the network phase.
#[derive(Default)]
pub(crate) struct Records {
    /// Options of the peer's first Configure-Request.
    pub(crate) initial: Option<Vec<u8>>,
    /// What the peer has sent as proof.
    pub(crate) request: Option<Request>,
}

impl Records {
    /// The records, with what LCP has sent and received last.
    pub(crate) fn proxy(&self, sent: Vec<u8>, received: Option<&[u8]>) -> Proxy {
        let proxy = Proxy {
            initial_received_lcp: self.initial.clone(),
            last_sent_lcp: Some(sent),
            last_received_lcp: received.map(<[u8]>::to_vec),
            authen_type: Some(authen_type::NONE),
            ..Proxy::default()
        };
        let Some(Request { name, proof }) = &self.request else { return proxy };
        let (kind, id, challenge, response) = match proof {
            Proof::Pap { id, password } => (authen_type::PAP, *id, None, password.octets().to_vec()),
            Proof::ChapMd5 { id, challenge, response } => {
                (authen_type::CHAP, *id, Some(challenge.to_vec()), response.to_vec())
            }
            Proof::MsChapV2 { id, challenge, peer_challenge, nt_response } => {
                let response = [&peer_challenge[..], &[0; 8], nt_response, &[0]].concat();
                (authen_type::CHAP, *id, Some(challenge.to_vec()), response)
            }
            // RFC 2661 has no type for EAP: the LNS begins it anew.
            Proof::EapMd5 { .. } | Proof::Eap { .. } => return Proxy { authen_type: None, ..proxy },
        };
        Proxy {
            authen_type: Some(kind),
            authen_name: Some(name.to_vec()),
            authen_challenge: challenge,
            authen_id: Some(id),
            authen_response: Some(response.into()),
            ..proxy
        }
    }
}
