//! The table: every AVP and every message of RFC 2661, and RFC 3145's AVP. Types, decoding, encoding,
//! checks and the documentation come out of it.

use l2tp_data::id::{SessionId, TunnelId};

use super::avp::Avps;
use super::codec::{Typed, Walk, Writer, table};
use super::lenient::Leniencies;
use super::number::{Attribute, AuthenType, Bearer, CdnResult, Framing, MessageType, StopResult};
use super::value::{
    Accm, Bps, CallErrors, DisconnectCause, MAX, Octets, Private, ProtocolVersion, ProxyAuthenId, Q931Cause,
    ResultCode,
};
use crate::error::{Error, Misuse};

// number, attribute, name, M bit, whether it may be hidden, bytes of its value, clause
table! {
    avps {
        0  MESSAGE_TYPE          "Message Type"                  M _ 2..=2    "RFC 2661 §4.4.1",
        1  RESULT_CODE           "Result Code"                   M _ 2..=MAX  "RFC 2661 §4.4.2",
        2  PROTOCOL_VERSION      "Protocol Version"              M _ 2..=2    "RFC 2661 §4.4.3",
        3  FRAMING_CAPABILITIES  "Framing Capabilities"          M H 4..=4    "RFC 2661 §4.4.3",
        4  BEARER_CAPABILITIES   "Bearer Capabilities"           M H 4..=4    "RFC 2661 §4.4.3",
        5  TIE_BREAKER           "Tie Breaker"                   _ _ 8..=8    "RFC 2661 §4.4.3",
        6  FIRMWARE_REVISION     "Firmware Revision"             _ H 2..=2    "RFC 2661 §4.4.3",
        7  HOST_NAME             "Host Name"                     M _ 1..=MAX  "RFC 2661 §4.4.3",
        8  VENDOR_NAME           "Vendor Name"                   _ H 0..=MAX  "RFC 2661 §4.4.3",
        9  ASSIGNED_TUNNEL_ID    "Assigned Tunnel ID"            M H 2..=2    "RFC 2661 §4.4.3",
        10 RECEIVE_WINDOW_SIZE   "Receive Window Size"           M _ 2..=2    "RFC 2661 §4.4.3",
        11 CHALLENGE             "Challenge"                     M H 1..=MAX  "RFC 2661 §4.4.3",
        12 Q931_CAUSE_CODE       "Q.931 Cause Code"              M _ 3..=MAX  "RFC 2661 §4.4.4",
        13 CHALLENGE_RESPONSE    "Challenge Response"            M H 16..=16  "RFC 2661 §4.4.3",
        14 ASSIGNED_SESSION_ID   "Assigned Session ID"           M H 2..=2    "RFC 2661 §4.4.4",
        15 CALL_SERIAL_NUMBER    "Call Serial Number"            M H 4..=4    "RFC 2661 §4.4.4",
        16 MINIMUM_BPS           "Minimum BPS"                   M H 4..=4    "RFC 2661 §4.4.4",
        17 MAXIMUM_BPS           "Maximum BPS"                   M H 4..=4    "RFC 2661 §4.4.4",
        18 BEARER_TYPE           "Bearer Type"                   M H 4..=4    "RFC 2661 §4.4.4",
        19 FRAMING_TYPE          "Framing Type"                  M H 4..=4    "RFC 2661 §4.4.4",
        21 CALLED_NUMBER         "Called Number"                 M H 0..=MAX  "RFC 2661 §4.4.4",
        22 CALLING_NUMBER        "Calling Number"                M H 0..=MAX  "RFC 2661 §4.4.4",
        23 SUB_ADDRESS           "Sub-Address"                   M H 0..=MAX  "RFC 2661 §4.4.4",
        24 TX_CONNECT_SPEED      "(Tx) Connect Speed"            M H 4..=4    "RFC 2661 §4.4.4",
        25 PHYSICAL_CHANNEL_ID   "Physical Channel ID"           _ H 4..=4    "RFC 2661 §4.4.4",
        26 INITIAL_RECEIVED_LCP  "Initial Received LCP CONFREQ"  _ H 0..=MAX  "RFC 2661 §4.4.5",
        27 LAST_SENT_LCP         "Last Sent LCP CONFREQ"         _ H 0..=MAX  "RFC 2661 §4.4.5",
        28 LAST_RECEIVED_LCP     "Last Received LCP CONFREQ"     _ H 0..=MAX  "RFC 2661 §4.4.5",
        29 PROXY_AUTHEN_TYPE     "Proxy Authen Type"             _ H 2..=2    "RFC 2661 §4.4.5",
        30 PROXY_AUTHEN_NAME     "Proxy Authen Name"             _ H 0..=MAX  "RFC 2661 §4.4.5",
        31 PROXY_AUTHEN_CHALLENGE "Proxy Authen Challenge"       _ H 0..=MAX  "RFC 2661 §4.4.5",
        32 PROXY_AUTHEN_ID       "Proxy Authen ID"               _ H 2..=2    "RFC 2661 §4.4.5",
        33 PROXY_AUTHEN_RESPONSE "Proxy Authen Response"         _ H 0..=MAX  "RFC 2661 §4.4.5",
        34 CALL_ERRORS           "Call Errors"                   M H 26..=26  "RFC 2661 §4.4.6",
        35 ACCM                  "ACCM"                          M H 10..=10  "RFC 2661 §4.4.6",
        36 RANDOM_VECTOR         "Random Vector"                 M _ 0..=MAX  "RFC 2661 §4.4.1",
        37 PRIVATE_GROUP_ID      "Private Group ID"              _ H 0..=MAX  "RFC 2661 §4.4.4",
        38 RX_CONNECT_SPEED      "Rx Connect Speed"              _ H 4..=4    "RFC 2661 §4.4.4",
        39 SEQUENCING_REQUIRED   "Sequencing Required"           M _ 0..=0    "RFC 2661 §4.4.4",
        46 PPP_DISCONNECT_CAUSE  "PPP Disconnect Cause Code"     _ H 5..=MAX  "RFC 3145 §2",
    }

    messages<'a> {
        /// Start-Control-Connection-Request (RFC 2661 §6.1).
        1 SCCRQ "SCCRQ" Sccrq<'a> {
            must protocol_version: ProtocolVersion = PROTOCOL_VERSION,
            must host_name: Octets<'a> = HOST_NAME,
            must framing_capabilities: Framing = FRAMING_CAPABILITIES,
            must assigned_tunnel_id: TunnelId = ASSIGNED_TUNNEL_ID,
            may bearer_capabilities: Bearer = BEARER_CAPABILITIES,
            may receive_window_size: u16 = RECEIVE_WINDOW_SIZE,
            may challenge: Octets<'a> = CHALLENGE,
            may tie_breaker: u64 = TIE_BREAKER,
            may firmware_revision: u16 = FIRMWARE_REVISION,
            may vendor_name: Octets<'a> = VENDOR_NAME,
        }

        /// Start-Control-Connection-Reply (RFC 2661 §6.2).
        2 SCCRP "SCCRP" Sccrp<'a> {
            must protocol_version: ProtocolVersion = PROTOCOL_VERSION,
            must framing_capabilities: Framing = FRAMING_CAPABILITIES,
            must host_name: Octets<'a> = HOST_NAME,
            must assigned_tunnel_id: TunnelId = ASSIGNED_TUNNEL_ID,
            may bearer_capabilities: Bearer = BEARER_CAPABILITIES,
            may firmware_revision: u16 = FIRMWARE_REVISION,
            may vendor_name: Octets<'a> = VENDOR_NAME,
            may receive_window_size: u16 = RECEIVE_WINDOW_SIZE,
            may challenge: Octets<'a> = CHALLENGE,
            may challenge_response: [u8; 16] = CHALLENGE_RESPONSE,
        }

        /// Start-Control-Connection-Connected (RFC 2661 §6.3).
        3 SCCCN "SCCCN" Scccn {
            may challenge_response: [u8; 16] = CHALLENGE_RESPONSE,
        }

        /// Stop-Control-Connection-Notification (RFC 2661 §6.4).
        4 STOPCCN "StopCCN" StopCcn<'a> {
            must assigned_tunnel_id: Option<TunnelId> = ASSIGNED_TUNNEL_ID,
            must result_code: ResultCode<'a, StopResult> = RESULT_CODE,
        }

        /// Hello (RFC 2661 §6.5).
        6 HELLO "HELLO" Hello {}

        /// Outgoing-Call-Request (RFC 2661 §6.9).
        7 OCRQ "OCRQ" Ocrq<'a> {
            must assigned_session_id: SessionId = ASSIGNED_SESSION_ID,
            must call_serial_number: u32 = CALL_SERIAL_NUMBER,
            must minimum_bps: u32 = MINIMUM_BPS,
            must maximum_bps: u32 = MAXIMUM_BPS,
            must bearer_type: Bearer = BEARER_TYPE,
            must framing_type: Framing = FRAMING_TYPE,
            must called_number: Octets<'a> = CALLED_NUMBER,
            may sub_address: Octets<'a> = SUB_ADDRESS,
        }

        /// Outgoing-Call-Reply (RFC 2661 §6.10).
        8 OCRP "OCRP" Ocrp {
            must assigned_session_id: SessionId = ASSIGNED_SESSION_ID,
            may physical_channel_id: u32 = PHYSICAL_CHANNEL_ID,
        }

        /// Outgoing-Call-Connected (RFC 2661 §6.11).
        9 OCCN "OCCN" Occn {
            must tx_connect_speed: Bps = TX_CONNECT_SPEED else MISSING_SPEED,
            must framing_type: Framing = FRAMING_TYPE else MISSING_SPEED,
            may rx_connect_speed: Bps = RX_CONNECT_SPEED,
            flag sequencing_required = SEQUENCING_REQUIRED,
        }

        /// Incoming-Call-Request (RFC 2661 §6.6).
        10 ICRQ "ICRQ" Icrq<'a> {
            must assigned_session_id: SessionId = ASSIGNED_SESSION_ID,
            must call_serial_number: u32 = CALL_SERIAL_NUMBER,
            may bearer_type: Bearer = BEARER_TYPE,
            may physical_channel_id: u32 = PHYSICAL_CHANNEL_ID,
            may calling_number: Octets<'a> = CALLING_NUMBER,
            may called_number: Octets<'a> = CALLED_NUMBER,
            may sub_address: Octets<'a> = SUB_ADDRESS,
        }

        /// Incoming-Call-Reply (RFC 2661 §6.7).
        11 ICRP "ICRP" Icrp {
            must assigned_session_id: SessionId = ASSIGNED_SESSION_ID,
        }

        /// Incoming-Call-Connected (RFC 2661 §6.8).
        12 ICCN "ICCN" Iccn<'a> {
            must tx_connect_speed: Bps = TX_CONNECT_SPEED else MISSING_SPEED,
            must framing_type: Framing = FRAMING_TYPE else MISSING_SPEED,
            may initial_received_lcp: Octets<'a> = INITIAL_RECEIVED_LCP,
            may last_sent_lcp: Octets<'a> = LAST_SENT_LCP,
            may last_received_lcp: Octets<'a> = LAST_RECEIVED_LCP,
            may proxy_authen_type: AuthenType = PROXY_AUTHEN_TYPE,
            may proxy_authen_name: Octets<'a> = PROXY_AUTHEN_NAME,
            may proxy_authen_challenge: Octets<'a> = PROXY_AUTHEN_CHALLENGE,
            may proxy_authen_id: ProxyAuthenId = PROXY_AUTHEN_ID,
            may proxy_authen_response: Private<'a> = PROXY_AUTHEN_RESPONSE,
            may private_group_id: Octets<'a> = PRIVATE_GROUP_ID,
            may rx_connect_speed: Bps = RX_CONNECT_SPEED,
            flag sequencing_required = SEQUENCING_REQUIRED,
        }

        /// Call-Disconnect-Notify (RFC 2661 §6.12).
        14 CDN "CDN" Cdn<'a> {
            must result_code: ResultCode<'a, CdnResult> = RESULT_CODE,
            must assigned_session_id: Option<SessionId> = ASSIGNED_SESSION_ID,
            may q931_cause: Q931Cause<'a> = Q931_CAUSE_CODE,
            may disconnect_cause: DisconnectCause<'a> = PPP_DISCONNECT_CAUSE,
        }

        /// WAN-Error-Notify (RFC 2661 §6.13).
        15 WEN "WEN" Wen {
            must call_errors: CallErrors = CALL_ERRORS,
        }

        /// Set-Link-Info (RFC 2661 §6.14).
        16 SLI "SLI" Sli {
            must accm: Accm = ACCM,
        }
    }
}

/// What §4.4 says of an AVP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whose number it is.
    pub attribute: Attribute,
    /// Its name.
    pub name: &'static str,
    /// Whether it is sent with the M bit.
    pub mandatory: bool,
    /// Whether it may be hidden.
    pub hideable: bool,
    /// The least bytes of its value.
    pub min: usize,
    /// The most bytes of its value.
    pub max: usize,
    /// Where it is defined.
    pub clause: &'static str,
}

impl Rule {
    pub(crate) const fn bits(&self) -> u16 {
        if self.mandatory { super::avp::MANDATORY } else { 0 }
    }
}

/// A letter in the table is a bit that is set, `_` one that is clear.
const fn bit(letter: &str) -> bool {
    letter.as_bytes()[0] != b'_'
}

/// Which AVPs §6 has in a message. Message Type is in every one, Random Vector may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageRule {
    /// Its type.
    pub message_type: MessageType,
    /// AVPs that must be there, in the order they are sent in.
    pub must: &'static [Attribute],
    /// AVPs that may be there, in the order they are sent in, behind the others.
    pub may: &'static [Attribute],
}
