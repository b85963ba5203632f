//! What our caller deals in, and the messages it goes into and comes from.

use l2tp_data::id::SessionId;

use super::config::Config;
use super::error::Misuse;
use super::event::{Cause, Connected, Incoming, Outgoing, Path, PeerInfo, PppCause, Proxy, Q931, Request};
use super::reliable::DEFAULT_WINDOW;
use super::wire::{
    Bps, Cdn, CdnResult, DisconnectCause, Iccn, Icrq, Message, Occn, Ocrq, Octets, OtherAvps, Private,
    ProxyAuthenId, Q931Cause, ResultCode, Sccrp, Sccrq, StopCcn, StopResult,
};

/// The longest string of ours that fits an AVP, hidden or not.
const LONGEST: usize = 1000;

/// As much of our words as is sent.
const WORDS: usize = 200;

fn owned(octets: Option<Octets<'_>>) -> Option<Vec<u8>> {
    octets.map(|octets| octets.to_vec())
}

fn octets(owned: &Option<Vec<u8>>) -> Option<Octets<'_>> {
    owned.as_deref().map(Octets)
}

/// As much of a text as fits, whole characters.
fn cut(text: &str, mut longest: usize) -> Octets<'_> {
    while !text.is_char_boundary(longest.min(text.len())) {
        longest -= 1;
    }
    Octets(&text.as_bytes()[..longest.min(text.len())])
}

impl Config {
    /// Our Host Name, as long as one has to be.
    pub(crate) fn host_name(&self) -> Octets<'_> {
        cut(if self.host_name.is_empty() { "ol2tp" } else { &self.host_name }, LONGEST)
    }

    /// Our Vendor Name.
    pub(crate) fn vendor_name(&self) -> Option<Octets<'_>> {
        (!self.vendor_name.is_empty()).then(|| cut(&self.vendor_name, LONGEST))
    }
}

fn short<'a>(strings: impl IntoIterator<Item = Option<&'a Vec<u8>>>) -> Result<(), Misuse> {
    let long = strings.into_iter().flatten().any(|string| string.len() > LONGEST);
    if long { Err(Misuse::StringTooLong) } else { Ok(()) }
}

macro_rules! peer_info {
    ($($name:ident $message:ident)*) => {
        impl PeerInfo {
            $(pub(crate) fn $name(path: Path, message: &$message<'_>, other_avps: OtherAvps) -> Self {
                Self {
                    path,
                    tunnel_id: message.assigned_tunnel_id,
                    host_name: message.host_name.to_vec(),
                    vendor_name: owned(message.vendor_name).unwrap_or_default(),
                    firmware_revision: message.firmware_revision,
                    framing: message.framing_capabilities,
                    bearer: message.bearer_capabilities,
                    window: message.receive_window_size.unwrap_or(DEFAULT_WINDOW),
                    authenticated: false,
                    other_avps,
                }
            })*
        }
    };
}

peer_info! {
    of_sccrq Sccrq
    of_sccrp Sccrp
}

impl<C: Copy> Cause<C> {
    /// As it is sent.
    pub(crate) fn result_code(&self) -> ResultCode<'_, C> {
        ResultCode { result: self.result, error: self.error, message: cut(&self.message, WORDS) }
    }

    fn of(code: &ResultCode<'_, C>) -> Self {
        Self { error: code.error, message: code.message.to_string(), ..Self::new(code.result) }
    }
}

impl Cause<StopResult> {
    pub(crate) fn of_stopccn(stop: &StopCcn<'_>) -> Self {
        Self::of(&stop.result_code)
    }
}

impl Cause<CdnResult> {
    pub(crate) fn of_cdn(cdn: &Cdn<'_>) -> Self {
        let ppp = cdn.disconnect_cause.map(|ppp| PppCause {
            code: ppp.code,
            protocol: ppp.protocol,
            direction: ppp.direction,
            message: ppp.message.to_string(),
        });
        let q931 = cdn.q931_cause.map(|q931| Q931 { code: q931.code, message: q931.message });
        Self { ppp, q931, ..Self::of(&cdn.result_code) }
    }

    /// `session`: our id of it.
    pub(crate) fn cdn(&self, session: SessionId) -> Cdn<'_> {
        let disconnect_cause = self.ppp.as_ref().map(|ppp| DisconnectCause {
            code: ppp.code,
            protocol: ppp.protocol,
            direction: ppp.direction,
            message: cut(&ppp.message, WORDS),
        });
        let q931_cause =
            self.q931.map(|Q931 { code, message }| Q931Cause { code, message, advisory: Octets(&[]) });
        Cdn { disconnect_cause, q931_cause, ..Cdn::new(self.result_code(), Some(session)) }
    }
}

impl Request {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            Self::Incoming(call) => {
                short([call.calling.as_ref(), call.called.as_ref(), call.sub_address.as_ref()])
            }
            Self::Outgoing(call) => short([Some(&call.called), call.sub_address.as_ref()]),
        }
    }

    /// Its Call Serial Number, if our caller gave one.
    pub(crate) const fn serial(&self) -> Option<u32> {
        match self {
            Self::Incoming(call) => call.serial,
            Self::Outgoing(call) => call.serial,
        }
    }

    pub(crate) const fn other_avps(&self) -> &OtherAvps {
        match self {
            Self::Incoming(call) => &call.other_avps,
            Self::Outgoing(call) => &call.other_avps,
        }
    }

    pub(crate) fn message(&self, session: SessionId, serial: u32) -> Message<'_> {
        match self {
            Self::Incoming(call) => call.message(session, serial).into(),
            Self::Outgoing(call) => call.message(session, serial).into(),
        }
    }
}

impl Incoming {
    pub(crate) fn of(call: &Icrq<'_>, other_avps: OtherAvps) -> Self {
        Self {
            serial: Some(call.call_serial_number),
            bearer: call.bearer_type,
            channel: call.physical_channel_id,
            calling: owned(call.calling_number),
            called: owned(call.called_number),
            sub_address: owned(call.sub_address),
            other_avps,
        }
    }

    fn message(&self, session: SessionId, serial: u32) -> Icrq<'_> {
        Icrq {
            bearer_type: self.bearer,
            physical_channel_id: self.channel,
            calling_number: octets(&self.calling),
            called_number: octets(&self.called),
            sub_address: octets(&self.sub_address),
            ..Icrq::new(session, serial)
        }
    }
}

impl Outgoing {
    pub(crate) fn of(call: &Ocrq<'_>, other_avps: OtherAvps) -> Self {
        Self {
            serial: Some(call.call_serial_number),
            minimum_bps: call.minimum_bps,
            maximum_bps: call.maximum_bps,
            bearer: call.bearer_type,
            framing: call.framing_type,
            called: call.called_number.to_vec(),
            sub_address: owned(call.sub_address),
            other_avps,
        }
    }

    fn message(&self, session: SessionId, serial: u32) -> Ocrq<'_> {
        let Self { minimum_bps, maximum_bps, bearer, framing, .. } = *self;
        Ocrq {
            sub_address: octets(&self.sub_address),
            ..Ocrq::new(session, serial, minimum_bps, maximum_bps, bearer, framing, Octets(&self.called))
        }
    }
}

impl Connected {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        let proxy = self.proxy.iter().flat_map(|proxy| {
            [
                &proxy.initial_received_lcp,
                &proxy.last_sent_lcp,
                &proxy.last_received_lcp,
                &proxy.authen_name,
                &proxy.authen_challenge,
            ]
            .map(Option::as_ref)
            .into_iter()
            .chain([proxy.authen_response.as_deref()])
        });
        short(proxy.chain([self.private_group.as_ref()]))
    }

    /// Speeds as they are sent: never 0 (DrayTek), the second only if it differs (RFC 2661 §4.4.4).
    fn speeds(&self) -> (Bps, Option<Bps>) {
        let tx = self.tx_bps.max(1);
        (Bps(tx), self.rx_bps.map(|rx| rx.max(1)).filter(|rx| *rx != tx).map(Bps))
    }

    pub(crate) fn iccn(&self) -> Iccn<'_> {
        let (tx, rx_connect_speed) = self.speeds();
        let iccn = Iccn {
            rx_connect_speed,
            sequencing_required: self.sequencing_required,
            private_group_id: octets(&self.private_group),
            ..Iccn::new(tx, self.framing)
        };
        let Some(proxy) = &self.proxy else { return iccn };
        Iccn {
            initial_received_lcp: octets(&proxy.initial_received_lcp),
            last_sent_lcp: octets(&proxy.last_sent_lcp),
            last_received_lcp: octets(&proxy.last_received_lcp),
            proxy_authen_type: proxy.authen_type,
            proxy_authen_name: octets(&proxy.authen_name),
            proxy_authen_challenge: octets(&proxy.authen_challenge),
            proxy_authen_id: proxy.authen_id.map(ProxyAuthenId),
            proxy_authen_response: proxy.authen_response.as_ref().map(|response| Private(response)),
            ..iccn
        }
    }

    pub(crate) fn occn(&self) -> Occn {
        let (tx, rx_connect_speed) = self.speeds();
        let sequencing_required = self.sequencing_required;
        Occn { rx_connect_speed, sequencing_required, ..Occn::new(tx, self.framing) }
    }

    pub(crate) fn of_iccn(iccn: &Iccn<'_>, other_avps: OtherAvps) -> Self {
        let proxy = Proxy {
            initial_received_lcp: owned(iccn.initial_received_lcp),
            last_sent_lcp: owned(iccn.last_sent_lcp),
            last_received_lcp: owned(iccn.last_received_lcp),
            authen_type: iccn.proxy_authen_type,
            authen_name: owned(iccn.proxy_authen_name),
            authen_challenge: owned(iccn.proxy_authen_challenge),
            authen_id: iccn.proxy_authen_id.map(|id| id.0),
            authen_response: iccn.proxy_authen_response.map(|response| response.to_vec().into()),
        };
        Self {
            tx_bps: iccn.tx_connect_speed.0,
            rx_bps: iccn.rx_connect_speed.map(|speed| speed.0),
            framing: iccn.framing_type,
            sequencing_required: iccn.sequencing_required,
            private_group: owned(iccn.private_group_id),
            proxy: (proxy != Proxy::default()).then(|| Box::new(proxy)),
            other_avps,
        }
    }

    pub(crate) fn of_occn(occn: &Occn, other_avps: OtherAvps) -> Self {
        Self {
            tx_bps: occn.tx_connect_speed.0,
            rx_bps: occn.rx_connect_speed.map(|speed| speed.0),
            framing: occn.framing_type,
            sequencing_required: occn.sequencing_required,
            private_group: None,
            proxy: None,
            other_avps,
        }
    }
}
