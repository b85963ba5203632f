//! What the programs are told of a session.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use l2tp_data::header::{ADDRESS_CONTROL, VERSION};
use pppol2tp_bpf::layout::{
    DOWN, IPV4, IPV6, MSS_CLAMP, NO_CHECKSUM, OUTER6, PATTERNS, Pattern, SOURCES, Session as Entry,
    TCP_WHOLE, UDP_WHOLE, UP, fold,
};

use super::{Path, Why};
use crate::user::state::{Options, Session, UnitState, lock};
use crate::user::table;
use crate::{DebugMask, Prefix};

const UDP: u8 = 17;
/// "Do not fragment" of IPv4.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// What a session's packets are known by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Bound {
    /// An interface of its own.
    Own(u32),
    /// Inner addresses on a shared one.
    Shared(u32, Vec<Prefix>),
}

/// The entry of a session that is bound to `unit`, why only one way is fast, and what its packets are known by.
///
/// Errors: why neither is.
pub(in super::super) fn entry(
    session: &Session,
    unit: &UnitState,
    path: &Path,
    tunnel_way: u32,
    checksums: bool,
) -> Result<(Entry, Bound, Option<Why>), Why> {
    let tunnel = &session.tunnel;
    if tunnel.mask().has(DebugMask::DATA) || session.mask().has(DebugMask::DATA) {
        return Err("debug messages of data are asked for".into());
    }
    if session.send_seq.get() {
        return Err("it sends sequence numbers".into());
    }
    let Options { recv_seq, .. } = *lock(&session.options);
    let mut flags = 0;
    let mut half = None;
    if recv_seq {
        half = Some(Why::from("received: it wants sequence numbers"));
    } else {
        flags |= UP;
    }
    if path.wire || tunnel.peer_fast.load(Relaxed) {
        flags |= DOWN | TCP_WHOLE | if path.wire { UDP_WHOLE } else { 0 };
    } else if flags == 0 {
        return Err("it wants sequence numbers, and the link to the peer is virtual".into());
    } else {
        half = Some(Why::from("sent: the link is virtual, and the peer is not known to have a fast path"));
    }
    for (set, flag) in [
        (unit.lets_pass(false), IPV4),
        (unit.lets_pass(true), IPV6),
        (unit.mss_clamp, MSS_CLAMP),
        (tunnel.peer.is_ipv6(), OUTER6),
        (!checksums && tunnel.peer.is_ipv4(), NO_CHECKSUM),
    ] {
        flags |= if set { flag } else { 0 };
    }
    let mut entry = Entry {
        flags,
        outer: path.outer,
        inner: unit.interface.index,
        mark: path.mark,
        tunnel: tunnel_way,
        mtu: unit.mtu(tunnel).into(),
        peer_port: tunnel.peer.port().to_be(),
        local_port: tunnel.udp_local.port().to_be(),
        peer: words(tunnel.peer.ip()),
        local: words(path.local),
        ..Entry::default()
    };
    let patterns = match &unit.sources[..] {
        [] if unit.interface.shared => Some(table::patterns(&unit.addresses)),
        [] => None,
        sources => Some(table::patterns(sources.iter().chain(&super::super::up::NEIGHBOURS))),
    };
    if let Some(patterns) = patterns {
        if patterns.is_empty() || patterns.len() > PATTERNS {
            return Err(format!("it has {} inner sources; {PATTERNS} fit", patterns.len()).into());
        }
        entry.flags |= SOURCES;
        entry.sources = std::array::from_fn(|n| {
            let &(mask, value) = patterns.get(n).unwrap_or(&patterns[0]);
            Pattern { mask: wire(mask), value: wire(value) }
        });
    }
    headers(&mut entry, session, path);
    let bound = if unit.interface.shared {
        Bound::Shared(unit.interface.index, unit.addresses.clone())
    } else {
        Bound::Own(unit.interface.index)
    };
    Ok((entry, bound, half))
}

/// The headers in front of what is sent, and the sums over what never changes of them.
fn headers(entry: &mut Entry, session: &Session, path: &Path) {
    let (peer, ids) = (session.tunnel.peer, session.ids());
    let mut bytes = Vec::with_capacity(64);
    match (path.local, peer.ip()) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => {
            bytes.extend([0x45, path.service, 0, 0, 0, 0]);
            bytes.extend(DONT_FRAGMENT);
            bytes.extend([path.hops, UDP, 0, 0]);
            bytes.extend(local.octets());
            bytes.extend(peer.octets());
            entry.ip_sum = sum(&bytes);
        }
        (local, peer) => {
            let class = u32::from(path.service) << 20 | 6 << 28;
            bytes.extend(class.to_be_bytes());
            bytes.extend([0, 0, UDP, path.hops]);
            for address in [local, peer] {
                bytes.extend(v6(address).to_be_bytes());
            }
        }
    }
    let addresses = &bytes[if peer.is_ipv4() { 12 } else { 8 }..];
    let ends = sum(addresses)
        + u32::from(u16::from(UDP).to_be())
        + u32::from(entry.peer_port)
        + u32::from(entry.local_port);
    bytes.extend(session.tunnel.udp_local.port().to_be_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend([0; 4]);
    let l2tp = bytes.len();
    for field in [VERSION, ids.peer_tunnel_id, ids.peer_session_id] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(ADDRESS_CONTROL);
    entry.down_sum = u32::from(fold(u64::from(ends + sum(&bytes[l2tp..]))));
    entry.up_sum = u32::from(fold(u64::from(ends)));
    bytes.resize(64, 0);
    for (word, bytes) in entry.headers.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(*bytes.first_chunk().expect("chunks of 8 bytes"));
    }
}

/// Ones' complement sum of words as they stand.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2).map(|word| u64::from(u16::from_ne_bytes([word[0], word[1]])));
    fold(words.sum()).into()
}

fn v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn wire(bits: u128) -> [u32; 4] {
    let bytes = bits.to_be_bytes();
    std::array::from_fn(|n| u32::from_ne_bytes(*bytes[n * 4..].first_chunk().expect("16 bytes")))
}

/// An address as it stands in a packet, IPv4 in mapped form.
pub(super) fn words(address: IpAddr) -> [u32; 4] {
    wire(v6(address))
}

/// Our ids of a session, as they stand in a message.
pub(in super::super) fn ids(session: &Session) -> u32 {
    let [a, b] = session.ids.tunnel_id.to_be_bytes();
    let [c, d] = session.ids.session_id.to_be_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
