//! Any message is read back as it was sent, hidden or not; any bytes are decoded without panic.

use l2tp_control::auth::Secret;
use l2tp_control::wire::*;
use l2tp_data::id::{SessionId, TunnelId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::raw::{M, Raw};

/// Values to make a message of any type from.
#[derive(Clone, Debug)]
struct Values {
    strings: Vec<Vec<u8>>,
    present: u16,
    ids: (u16, u16),
    words: [u32; 6],
    response: [u8; 16],
    tie_breaker: u64,
    code: Option<u16>,
}

prop_compose! {
    fn values()(
        strings in vec(vec(any::<u8>(), 1..60), 7),
        present: u16,
        ids in (1u16.., 1u16..),
        words: [u32; 6],
        response: [u8; 16],
        tie_breaker: u64,
        code in option::of(0u16..256),
    ) -> Values {
        Values { strings, present, ids, words, response, tie_breaker, code }
    }
}

impl Values {
    fn may<T>(&self, bit: u8, value: T) -> Option<T> {
        (self.present & 1 << bit != 0).then_some(value)
    }

    fn text(&self, n: usize) -> Octets<'_> {
        Octets(&self.strings[n])
    }

    fn result<C>(&self, result: C) -> ResultCode<'_, C> {
        let error = self.code.map(ErrorCode);
        let message = if error.is_some() { self.text(0) } else { Octets(&[]) };
        ResultCode { result, error, message }
    }

    fn messages(&self) -> Vec<Message<'_>> {
        let tunnel = TunnelId::new(self.ids.0).unwrap();
        let session = SessionId::new(self.ids.1).unwrap();
        let [a, b, c, d, e, f] = self.words;
        let small = (a & 0xff) as u16;
        vec![
            Sccrq {
                protocol_version: ProtocolVersion { version: b as u8, revision: c as u8 },
                host_name: self.text(0),
                framing_capabilities: Framing(a),
                assigned_tunnel_id: tunnel,
                bearer_capabilities: self.may(0, Bearer(b)),
                receive_window_size: self.may(1, c as u16),
                challenge: self.may(2, self.text(1)),
                tie_breaker: self.may(3, self.tie_breaker),
                firmware_revision: self.may(4, d as u16),
                vendor_name: self.may(5, self.text(2)),
            }
            .into(),
            Sccrp {
                protocol_version: ProtocolVersion::V1_0,
                framing_capabilities: Framing(a),
                host_name: self.text(0),
                assigned_tunnel_id: tunnel,
                bearer_capabilities: self.may(0, Bearer(b)),
                firmware_revision: self.may(1, c as u16),
                vendor_name: self.may(2, self.text(1)),
                receive_window_size: self.may(3, d as u16),
                challenge: self.may(4, self.text(2)),
                challenge_response: self.may(5, self.response),
            }
            .into(),
            Scccn { challenge_response: self.may(0, self.response) }.into(),
            StopCcn::new(self.may(0, tunnel), self.result(StopResult(small))).into(),
            Hello {}.into(),
            Ocrq {
                sub_address: self.may(0, self.text(1)),
                ..Ocrq::new(session, a, b, c, Bearer(d), Framing(e), self.text(0))
            }
            .into(),
            Ocrp { assigned_session_id: session, physical_channel_id: self.may(0, a) }.into(),
            Occn {
                rx_connect_speed: self.may(0, Bps(b)),
                sequencing_required: self.may(1, ()).is_some(),
                ..Occn::new(Bps(a), Framing(c))
            }
            .into(),
            Icrq {
                assigned_session_id: session,
                call_serial_number: a,
                bearer_type: self.may(0, Bearer(b)),
                physical_channel_id: self.may(1, c),
                calling_number: self.may(2, self.text(0)),
                called_number: self.may(3, self.text(1)),
                sub_address: self.may(4, self.text(2)),
            }
            .into(),
            Icrp::new(session).into(),
            Iccn {
                tx_connect_speed: Bps(a),
                framing_type: Framing(b),
                initial_received_lcp: self.may(0, self.text(0)),
                last_sent_lcp: self.may(1, self.text(1)),
                last_received_lcp: self.may(2, self.text(2)),
                proxy_authen_type: self.may(3, AuthenType(c as u16)),
                proxy_authen_name: self.may(4, self.text(3)),
                proxy_authen_challenge: self.may(5, self.text(4)),
                proxy_authen_id: self.may(6, ProxyAuthenId(d as u8)),
                proxy_authen_response: self.may(7, Private(&self.strings[5])),
                private_group_id: self.may(8, self.text(6)),
                rx_connect_speed: self.may(9, Bps(e)),
                sequencing_required: self.may(10, ()).is_some(),
            }
            .into(),
            Cdn {
                result_code: self.result(CdnResult(small)),
                assigned_session_id: self.may(0, session),
                q931_cause: self
                    .may(1, Q931Cause { code: b as u16, message: c as u8, advisory: self.text(1) }),
                disconnect_cause: self.may(
                    2,
                    DisconnectCause {
                        code: CauseCode(d as u16),
                        protocol: e as u16,
                        direction: Direction(f as u8),
                        message: self.text(2),
                    },
                ),
            }
            .into(),
            Wen::new(CallErrors {
                crc: a,
                framing: b,
                hardware_overruns: c,
                buffer_overruns: d,
                timeouts: e,
                alignment: f,
            })
            .into(),
            Sli::new(Accm { send: a, receive: b }).into(),
            Message::Unknown(MessageType(17 | small)),
            Message::Zlb,
        ]
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_read_back(values in values(), ids: (u16, u16), numbers: (u16, u16)) {
        for message in values.messages() {
            let mut out = [0; 1500];
            let length = message.encode(ids.0, ids.1, None, &mut out).unwrap();
            set_numbers(&mut out, numbers.0, numbers.1);
            let body = decode(&mut out[..length], None, Leniencies::STRICT).unwrap();
            let length = length as u16;
            let expected = Header { length, tunnel_id: ids.0, session_id: ids.1, ns: numbers.0, nr: numbers.1 };
            prop_assert_eq!(body.header, expected);
            prop_assert_eq!(body.message, message);
            prop_assert_eq!((body.used, body.ignored, body.fault), (Leniencies::STRICT, 0, None));
        }
    }

    #[test]
    fn what_is_hidden_is_read_back_with_the_secret(
        values in values(),
        secret in vec(any::<u8>(), 0..40),
        random_vector in vec(any::<u8>(), 0..40),
        padding in vec(any::<u8>(), 0..40),
    ) {
        let secret = Secret::new(&secret);
        let hiding = Hiding { secret: &secret, random_vector: &random_vector, padding: &padding };
        for message in values.messages() {
            let mut out = [0; 2000];
            let length = message.encode(1, 2, Some(&hiding), &mut out).unwrap();
            let body = decode(&mut out[..length], Some(&secret), Leniencies::STRICT).unwrap();
            prop_assert_eq!(body.message, message);
            prop_assert_eq!((body.used, body.ignored, body.fault), (Leniencies::STRICT, 0, None));
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(mut bytes in vec(any::<u8>(), 0..200), secret: bool, liberal: bool) {
        let secret = secret.then(|| Secret::new(b"secret"));
        let granted = if liberal { Leniencies::LIBERAL } else { Leniencies::STRICT };
        let _ = decode(&mut bytes, secret.as_ref(), granted);
    }

    #[test]
    fn any_avps_are_decoded_without_panic(
        kind in 0u16..20,
        avps in vec((any::<u16>(), 0u16..50, vec(any::<u8>(), 0..30)), 0..12),
        cut in 0usize..30,
        secret: bool,
    ) {
        let raw = Raw::empty().avp(M, 0, &kind.to_be_bytes());
        let raw = avps.iter().fold(raw, |raw, (bits, number, value)| raw.avp(bits & 0xc000, *number, value));
        let whole = raw.0.len();
        let mut bytes = raw.0;
        bytes.truncate(whole.saturating_sub(cut).max(12));
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        let secret = secret.then(|| Secret::new(b"secret"));
        if let Ok(body) = decode(&mut bytes, secret.as_ref(), Leniencies::LIBERAL) {
            prop_assert!(body.others().count() <= avps.len());
        }
    }

    #[test]
    fn a_message_cut_short_is_never_accepted(values in values(), cut in 1usize..40) {
        for message in values.messages() {
            let mut out = [0; 1500];
            let length = message.encode(1, 2, None, &mut out).unwrap();
            let cut = length.saturating_sub(cut);
            prop_assert!(decode(&mut out[..cut], None, Leniencies::LIBERAL).is_err());
        }
    }
}
