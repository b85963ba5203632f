//! The fast path: L2TP's headers put on and taken off inside the kernel.
//!
//! ```text
//!  down   interface, egress ─► session ─► its way free? ─► headers in front ─► outer interface, by its neighbours
//!  up     outer interface, ingress ─► session ─► peer ─► checksum ─► headers off ─► interface, as if received
//! ```
//!
//! Whatever is not plain takes the ordinary way, through the driver in user space: that is what `TC_ACT_OK` means here.
//!
//! The UDP checksum is right without a look at the payload: the inner packet's own checksum makes the sum of its
//! transport part the complement of its pseudo-header (as with the kernel's local checksum offload), so what UDP's
//! covers is known from headers. If the inner one is wrong, so is ours, and nobody takes the packet for good.
//! Segments of a super-packet have one checksum if they have one length; others take the ordinary way.

#![no_std]
#![no_main]

use core::mem::transmute;
use core::ptr;

#[path = "../src/layout.rs"]
#[allow(dead_code)]
mod layout;

use layout::*;

/// `struct __sk_buff` of linux/bpf.h.
#[repr(C)]
pub struct Skb {
    len: u32,
    pkt_type: u32,
    mark: u32,
    queue_mapping: u32,
    protocol: u32,
    vlan_present: u32,
    vlan_tci: u32,
    vlan_proto: u32,
    priority: u32,
    ingress_ifindex: u32,
    ifindex: u32,
    tc_index: u32,
    cb: [u32; 5],
    hash: u32,
    tc_classid: u32,
    data: u32,
    data_end: u32,
    napi_id: u32,
    family: u32,
    remote_ip4: u32,
    local_ip4: u32,
    remote_ip6: [u32; 4],
    local_ip6: [u32; 4],
    remote_port: u32,
    local_port: u32,
    data_meta: u32,
    flow_keys: u64,
    tstamp: u64,
    wire_len: u32,
    gso_segs: u32,
    sk: u64,
    gso_size: u32,
}

/// `struct bpf_map_def`, as loaders read it in a section of this name.
#[repr(C)]
struct Map {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    id: u32,
    pinning: u32,
}

const HASH: u32 = 1;
const ARRAY: u32 = 2;
const PERCPU_ARRAY: u32 = 6;
const LPM_TRIE: u32 = 11;
const NO_PREALLOC: u32 = 1;
const MMAPABLE: u32 = 1 << 10;

const fn map<V>(kind: u32, key: usize, entries: u32, flags: u32) -> Map {
    Map { kind, key: key as u32, value: size_of::<V>() as u32, entries, flags, id: 0, pinning: 0 }
}

/// Sessions by number; the loader says how many.
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static SESSIONS: Map = map::<Session>(ARRAY, 4, 1, MMAPABLE);
/// Their counters.
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static COUNTERS: Map = map::<Counters>(PERCPU_ARRAY, 4, 1, 0);
/// Their numbers by our tunnel id and session id (wire),
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static IDS: Map = map::<u32>(HASH, 4, 1, NO_PREALLOC);
/// by the interface that is theirs alone,
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static INTERFACES: Map = map::<u32>(HASH, 4, 1, NO_PREALLOC);
/// by an inner address on a shared interface,
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static ADDRESSES: Map = map::<u32>(HASH, size_of::<Address>(), 1, NO_PREALLOC);
/// and by shorter prefixes there.
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static PREFIXES: Map = map::<u32>(LPM_TRIE, 4 + size_of::<Address>(), 1, NO_PREALLOC);
/// The order of flows, sessions and tunnels; the loader says how many.
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static WAYS: Map = map::<Way>(ARRAY, 4, 1, MMAPABLE);

/// An interface and an address.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    interface: u32,
    address: [u32; 4],
}

#[repr(C)]
struct Prefix {
    bits: u32,
    address: Address,
}

#[inline(always)]
fn lookup<K, V>(map: &'static Map, key: &K) -> Option<*mut V> {
    // SAFETY: helper 1, bpf_map_lookup_elem.
    let helper: extern "C" fn(*const Map, *const K) -> *mut V = unsafe { transmute(1usize) };
    let value = helper(map, key);
    if value.is_null() { None } else { Some(value) }
}

/// Helper 9.
#[inline(always)]
fn store(skb: *mut Skb, at: u32, from: *const u8, len: u32) -> bool {
    let helper: extern "C" fn(*mut Skb, u32, *const u8, u32, u64) -> i64 = unsafe { transmute(9usize) };
    helper(skb, at, from, len, 0) == 0
}

/// Helper 23.
#[inline(always)]
fn redirect(interface: u32, flags: u64) -> i32 {
    let helper: extern "C" fn(u32, u64) -> i64 = unsafe { transmute(23usize) };
    helper(interface, flags) as i32
}

/// Helper 39.
#[inline(always)]
fn pull(skb: *mut Skb, len: u32) -> bool {
    let helper: extern "C" fn(*mut Skb, u32) -> i64 = unsafe { transmute(39usize) };
    helper(skb, len) == 0
}

/// Helper 43.
#[inline(always)]
fn change_head(skb: *mut Skb, len: u32) -> bool {
    let helper: extern "C" fn(*mut Skb, u32, u64) -> i64 = unsafe { transmute(43usize) };
    helper(skb, len, 0) == 0
}

/// Helper 50.
#[inline(always)]
fn adjust_room(skb: *mut Skb, by: i32, flags: u64) -> bool {
    let helper: extern "C" fn(*mut Skb, i32, u32, u64) -> i64 = unsafe { transmute(50usize) };
    helper(skb, by, MODE_MAC, flags) == 0
}

/// Helper 152.
#[inline(always)]
fn redirect_neigh(interface: u32) -> i32 {
    let helper: extern "C" fn(u32, u64, u32, u64) -> i64 = unsafe { transmute(152usize) };
    helper(interface, 0, 0, 0) as i32
}

const OK: i32 = 0;
const SHOT: i32 = 2;
const INGRESS: u64 = 1;
const MODE_MAC: u32 = 1;
const FIXED_GSO: u64 = 1 << 0;
const ENCAP_L3_IPV4: u64 = 1 << 1;
const ENCAP_L3_IPV6: u64 = 1 << 2;
const ENCAP_L4_UDP: u64 = 1 << 4;
const DECAP_L3_IPV4: u64 = 1 << 7;
const DECAP_L3_IPV6: u64 = 1 << 8;

const ETHERNET: u32 = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Bytes of UDP's header.
const UDP_LEN: u32 = 8;
/// What is sent behind it: L2TP's, FF 03 and the protocol.
const L2TP_LEN: u32 = 10;
const MAPPED: u32 = 0x0000_ffffu32.to_be();
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

#[inline(always)]
fn load<T: Copy>(at: usize) -> T {
    // SAFETY: callers have compared with the packet's end, which the verifier has checked. The machine that runs this
    // reads at any address; to say so here would make it read byte by byte.
    unsafe { ptr::read_volatile(at as *const T) }
}

/// What counts of an inner packet.
#[derive(Clone, Copy)]
struct Inner {
    ipv6: bool,
    source: [u32; 4],
    destination: [u32; 4],
    protocol: u8,
    /// Bytes by its own header,
    len: u32,
    /// of its IP header, and of that and the transport's.
    ip: u32,
    headers: u32,
    ports: u32,
    /// A segment that opens a connection.
    syn: bool,
    /// What it adds to a sum over it, but for its transport's length: see the top.
    sum: u64,
    /// Its transport part tells its length in a pseudo-header, which that sum lacks.
    pseudo: bool,
}

enum Judged {
    Plain(Inner),
    /// Nothing of its flow takes another way than this.
    Other,
}

/// Looks at the inner packet at `at`.
#[inline(always)]
fn judge(at: usize, end: usize, gso: bool) -> Judged {
    if at + 20 > end {
        return Judged::Other;
    }
    let mut inner = Inner {
        ipv6: false,
        source: [0, 0, MAPPED, 0],
        destination: [0, 0, MAPPED, 0],
        protocol: 0,
        len: 0,
        ip: 20,
        headers: 20,
        ports: 0,
        syn: false,
        sum: 0,
        pseudo: true,
    };
    match load::<u8>(at) {
        0x45 => {
            // Fragments, the first one too.
            if load::<u16>(at + 6) & 0x3fffu16.to_be() != 0 {
                return Judged::Other;
            }
            inner.len = u16::from_be(load(at + 2)) as u32;
            inner.protocol = load(at + 9);
            inner.source[3] = load(at + 12);
            inner.destination[3] = load(at + 16);
        }
        version if version >> 4 == 6 => {
            if at + 40 > end {
                return Judged::Other;
            }
            inner.ipv6 = true;
            (inner.ip, inner.headers) = (40, 40);
            inner.len = u16::from_be(load(at + 4)) as u32 + 40;
            inner.protocol = load(at + 6);
            inner.source = load(at + 8);
            inner.destination = load(at + 24);
        }
        _ => return Judged::Other,
    }
    let transport = if inner.ipv6 { at + 40 } else { at + 20 };
    match inner.protocol {
        TCP => {
            if transport + 20 > end {
                return Judged::Other;
            }
            inner.ports = load(transport);
            inner.headers += (load::<u8>(transport + 12) >> 4) as u32 * 4;
            inner.syn = load::<u8>(transport + 13) & 2 != 0;
        }
        UDP => {
            if transport + 8 > end {
                return Judged::Other;
            }
            inner.ports = load(transport);
            inner.headers += 8;
            let len = u16::from_be(load(transport + 4)) as u32;
            if load::<u16>(transport + 6) == 0 || (!gso && len != inner.len.wrapping_sub(inner.ip)) {
                return Judged::Other;
            }
        }
        // ICMP has no pseudo-header: it sums up to nothing.
        ICMP if !inner.ipv6 => inner.pseudo = false,
        ICMPV6 if inner.ipv6 => {}
        _ => return Judged::Other,
    }
    if inner.len < inner.headers {
        return Judged::Other;
    }
    let zero = !0u16 as u64;
    if inner.ipv6 {
        // The addresses and the length of its header meet those of the pseudo-header.
        inner.sum = load::<u16>(at) as u64 + load::<u16>(at + 2) as u64 + load::<u16>(at + 6) as u64;
        inner.sum += zero - (inner.protocol as u16).to_be() as u64;
        inner.pseudo = false;
    } else if inner.pseudo {
        let addresses = inner.source[3] as u64 + inner.destination[3] as u64;
        inner.sum = zero - fold(addresses + (inner.protocol as u16).to_be() as u64) as u64;
    }
    Judged::Plain(inner)
}

/// What the UDP checksum of a message covers, that has an inner packet (or segments) of `len` bytes behind `prefix`
/// bytes of headers, UDP's included.
#[inline(always)]
fn total(sum: u64, inner: &Inner, len: u32, prefix: u32) -> u64 {
    let udp = ((len + prefix) as u16).to_be() as u64;
    let mut sum = sum + inner.sum + udp + udp;
    if inner.pseudo {
        sum += (!0u16 - ((len - inner.ip) as u16).to_be()) as u64;
    }
    sum
}

#[inline(always)]
fn flow_of(inner: &Inner) -> u32 {
    let [a, b, c, d] = inner.source;
    let [e, f, g, h] = inner.destination;
    let source = a as u64 + b as u64 + c as u64 + d as u64;
    let destination = e as u64 + f as u64 + g as u64 + h as u64;
    flow(source | destination << 32, inner.ports)
}

/// Lets a packet of a flow or tunnel whose packets take both ways go the ordinary one, and has the next ones follow.
#[inline(always)]
fn pass(map: &'static Map, number: u32) -> i32 {
    if let Some(way) = lookup::<u32, Way>(map, &number) {
        // SAFETY: a map's value; the driver only reads this field.
        unsafe { core::sync::atomic::AtomicU64::from_ptr(ptr::addr_of_mut!((*way).passed)) }
            .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    }
    OK
}

/// Whether nothing of it is on the ordinary way.
#[inline(always)]
fn free(map: &'static Map, number: u32) -> bool {
    match lookup::<u32, Way>(map, &number) {
        // SAFETY: a map's value.
        Some(way) => unsafe { ptr::read_volatile(&(*way).passed) == ptr::read_volatile(&(*way).done) },
        None => false,
    }
}

#[inline(always)]
fn count(session: u32, up: bool, packets: u64, bytes: u64) {
    let Some(counters) = lookup::<u32, Counters>(&COUNTERS, &session) else { return };
    // SAFETY: this processor's value.
    let counters = unsafe { &mut *counters };
    if up {
        counters.rx_packets += packets;
        counters.rx_bytes += bytes;
    } else {
        counters.tx_packets += packets;
        counters.tx_bytes += bytes;
    }
}

/// The packet's first bytes, `want` of them if it has so many.
#[inline(always)]
fn packet(skb: *mut Skb, want: u32) -> (usize, usize) {
    // SAFETY: the program's context.
    unsafe {
        if ((*skb).data + want > (*skb).data_end) && (*skb).len > (*skb).data_end - (*skb).data {
            let len = if (*skb).len < want { (*skb).len } else { want };
            pull(skb, len);
        }
        ((*skb).data as usize, (*skb).data_end as usize)
    }
}

#[inline(always)]
fn number_of(interface: u32, inner: &Inner) -> Option<u32> {
    let own = lookup::<u32, u32>(&INTERFACES, &interface)?;
    // SAFETY: a map's value.
    let own = unsafe { *own };
    if own != u32::MAX {
        return Some(own);
    }
    let address = Address { interface, address: inner.destination };
    let found = match lookup::<Address, u32>(&ADDRESSES, &address) {
        Some(found) => found,
        None => lookup(&PREFIXES, &Prefix { bits: 160, address })?,
    };
    // SAFETY: a map's value.
    Some(unsafe { *found })
}

/// Interface → outer interface.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
pub extern "C" fn down(skb: *mut Skb) -> i32 {
    let (at, end) = packet(skb, 60);
    // SAFETY: the program's context.
    let (len, gso, interface) = unsafe { ((*skb).len, (*skb).gso_size, (*skb).ifindex) };
    let inner = match judge(at, end, gso != 0) {
        Judged::Plain(inner) => inner,
        Judged::Other => return OK,
    };
    let Some(number) = number_of(interface, &inner) else { return OK };
    let Some(session) = lookup::<u32, Session>(&SESSIONS, &number) else { return OK };
    // SAFETY: a map's value.
    let session = unsafe { &*session };
    let flags = session.flags;
    let network = if inner.ipv6 { IPV6 } else { IPV4 };
    if flags & DOWN == 0 || flags & network == 0 || (inner.syn && flags & MSS_CLAMP != 0) {
        return OK;
    }
    let flow = flow_of(&inner);
    let outer = if flags & OUTER6 != 0 { 40 } else { 20 };
    let (mut one, mut segments) = (len, 1);
    if gso != 0 {
        let whole = if inner.protocol == TCP { TCP_WHOLE } else { UDP_WHOLE };
        let payload = len - inner.headers;
        if flags & whole == 0 || (flags & NO_CHECKSUM == 0 && payload % gso != 0) {
            return pass(&WAYS, flow);
        }
        one = gso + inner.headers;
        segments = (payload + gso - 1) / gso;
    }
    let whole = len + outer + UDP_LEN + L2TP_LEN;
    if inner.len != len || one > session.mtu || whole > 0xffff || !free(&WAYS, flow) {
        return pass(&WAYS, flow);
    }
    if !free(&WAYS, way_down(number)) {
        return pass(&WAYS, way_down(number));
    }
    let mut headers = session.headers;
    // SAFETY: bytes may be anything.
    let headers = unsafe { &mut *ptr::from_mut(&mut headers).cast::<[u8; 64]>() };
    let protocol = if inner.ipv6 { PPP_IPV6 } else { PPP_IPV4 }.to_be();
    let udp_len = ((len + UDP_LEN + L2TP_LEN) as u16).to_be();
    let check = if flags & NO_CHECKSUM != 0 {
        0
    } else {
        let sum = session.down_sum as u64 + protocol as u64;
        match !fold(total(sum, &inner, one, UDP_LEN + L2TP_LEN)) {
            0 => !0,
            check => check,
        }
    };
    let [udp_a, udp_b] = udp_len.to_ne_bytes();
    let [check_a, check_b] = check.to_ne_bytes();
    let [protocol_a, protocol_b] = protocol.to_ne_bytes();
    let encapsulated = if flags & OUTER6 != 0 {
        (headers[4], headers[5]) = (udp_a, udp_b);
        (headers[44], headers[45]) = (udp_a, udp_b);
        (headers[46], headers[47]) = (check_a, check_b);
        (headers[56], headers[57]) = (protocol_a, protocol_b);
        adjust_room(skb, 58, FIXED_GSO | ENCAP_L3_IPV6 | ENCAP_L4_UDP)
    } else {
        let total = (whole as u16).to_be();
        let [total_a, total_b] = total.to_ne_bytes();
        (headers[2], headers[3]) = (total_a, total_b);
        let [sum_a, sum_b] = (!fold(session.ip_sum as u64 + total as u64)).to_ne_bytes();
        (headers[10], headers[11]) = (sum_a, sum_b);
        (headers[24], headers[25]) = (udp_a, udp_b);
        (headers[26], headers[27]) = (check_a, check_b);
        (headers[36], headers[37]) = (protocol_a, protocol_b);
        adjust_room(skb, 38, FIXED_GSO | ENCAP_L3_IPV4 | ENCAP_L4_UDP)
    };
    if !encapsulated {
        // Such as one that came out of another tunnel whole.
        return pass(&WAYS, flow);
    }
    if !change_head(skb, ETHERNET) {
        return SHOT;
    }
    let stored = if flags & OUTER6 != 0 {
        store(skb, ETHERNET, headers.as_ptr(), 58)
    } else {
        store(skb, ETHERNET, headers.as_ptr(), 38)
    };
    if !stored {
        return SHOT;
    }
    // SAFETY: the program's context.
    unsafe { (*skb).mark = session.mark };
    let bytes = len + L2TP_LEN + (segments - 1) * (inner.headers + L2TP_LEN);
    count(number, false, segments as u64, bytes as u64);
    redirect_neigh(session.outer)
}

/// The sum (wire) of `words` 16-bit words.
#[inline(always)]
fn words<const WORDS: usize>(at: usize) -> u64 {
    let mut sum = 0;
    let mut word = 0;
    while word < WORDS {
        sum += load::<u16>(at + word * 2) as u64;
        word += 1;
    }
    sum
}

/// Outer interface → interface.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
pub extern "C" fn up(skb: *mut Skb) -> i32 {
    // SAFETY: the program's context.
    let (len, gso, protocol, vlan, kind) =
        unsafe { ((*skb).len, (*skb).gso_size, (*skb).protocol, (*skb).vlan_present, (*skb).pkt_type) };
    let ipv6 = protocol == 0x86ddu16.to_be() as u32;
    if (!ipv6 && protocol != 0x0800u16.to_be() as u32) || vlan != 0 || kind != 0 {
        return OK;
    }
    let (data, end) = packet(skb, ETHERNET + 40 + UDP_LEN + 12 + 60);
    let network = data + ETHERNET as usize;
    let (source, destination, total_len): ([u32; 4], [u32; 4], u32);
    let udp = if ipv6 {
        if network + 40 + 8 + 14 > end || load::<u8>(network) >> 4 != 6 || load::<u8>(network + 6) != UDP {
            return OK;
        }
        (source, destination) = (load(network + 8), load(network + 24));
        total_len = u16::from_be(load(network + 4)) as u32 + 40;
        network + 40
    } else {
        if network + 20 + 8 + 14 > end || load::<u8>(network) != 0x45 || load::<u8>(network + 9) != UDP {
            return OK;
        }
        if load::<u16>(network + 6) & 0x3fffu16.to_be() != 0 {
            return OK;
        }
        source = [0, 0, MAPPED, load(network + 12)];
        destination = [0, 0, MAPPED, load(network + 16)];
        total_len = u16::from_be(load(network + 2)) as u32;
        network + 20
    };
    // L2TP: a data message of version 2.
    let l2tp = udp + 8;
    let bits = u16::from_be(load(l2tp));
    if bits & 0x800f != 2 {
        return OK;
    }
    let long = bits & 0x4000 != 0;
    let ids: u32 = if long { load(l2tp + 4) } else { load(l2tp + 2) };
    let Some(number) = lookup::<u32, u32>(&IDS, &ids) else { return OK };
    // SAFETY: a map's value.
    let number = unsafe { *number };
    let Some(session) = lookup::<u32, Session>(&SESSIONS, &number) else { return OK };
    // SAFETY: a map's value.
    let session = unsafe { &*session };
    let flags = session.flags;
    let ports_match = load::<u16>(udp) == session.peer_port && load::<u16>(udp + 2) == session.local_port;
    if flags & UP == 0 || !ports_match || source != session.peer || destination != session.local {
        return OK;
    }
    let way = way_up(number);
    // Of the flags only Length and Priority may be set.
    if bits & 0x3eb0 != 0 {
        return pass(&WAYS, way);
    }
    let udp_len = u16::from_be(load(udp + 4)) as u32;
    let outer = if ipv6 { 40u32 } else { 20 };
    let check: u16 = load(udp + 6);
    // L2TP's header, then FF 03 if it was not compressed, and the protocol, in two bytes or one.
    let mut sum = session.up_sum as u64 + words::<3>(l2tp);
    let mut head = 6u32;
    if long {
        if u16::from_be(load(l2tp + 2)) as u32 + UDP_LEN != udp_len || gso != 0 {
            return pass(&WAYS, way);
        }
        sum += load::<u16>(l2tp + 6) as u64;
        head = 8;
    }
    let mut frame = if long { l2tp + 8 } else { l2tp + 6 };
    if frame + 4 > end {
        return OK;
    }
    if load::<u16>(frame) == 0xff03u16.to_be() {
        sum += 0xff03u16.to_be() as u64;
        head += 2;
        frame += 2;
    }
    if frame + 2 > end {
        return OK;
    }
    let (first, second): (u8, u8) = (load(frame), load(frame + 1));
    let carried = if first & 1 != 0 {
        // One byte: all that follows stands on odd places.
        head += 1;
        frame += 1;
        first
    } else if first == 0 {
        sum += load::<u16>(frame) as u64;
        head += 2;
        frame += 2;
        second
    } else {
        return OK;
    };
    if carried != PPP_IPV4 as u8 && carried != PPP_IPV6 as u8 {
        return OK;
    }
    let inner = match judge(frame, end, gso != 0) {
        Judged::Plain(inner) => inner,
        Judged::Other => return OK,
    };
    if inner.syn && flags & MSS_CLAMP != 0 {
        return OK;
    }
    let prefix = UDP_LEN + head;
    if gso != 0 && inner.len + prefix != udp_len {
        // Messages that were joined on the way here, maybe of several sessions.
        return pass(&WAYS, session.tunnel);
    }
    let mut plain = inner.ipv6 == (carried == PPP_IPV6 as u8)
        && flags & (if inner.ipv6 { IPV6 } else { IPV4 }) != 0
        && udp_len + outer == total_len
        && total_len + ETHERNET == len
        && inner.len + prefix == udp_len
        && (gso != 0 || inner.len <= session.mtu)
        && free(&WAYS, session.tunnel)
        && free(&WAYS, way);
    let (mut one, mut segments) = (inner.len, 1);
    if gso != 0 {
        // A UDP super-packet would be lost behind this: nothing says that it is no tunnel's any more.
        plain &= inner.protocol == TCP && inner.len > inner.headers;
        let payload = inner.len.wrapping_sub(inner.headers);
        one = gso + inner.headers;
        segments = payload.wrapping_add(gso - 1) / gso;
    }
    if !plain {
        return pass(&WAYS, way);
    }
    if check != 0 {
        // A sum that the sender left to others says nothing, and that it was left so would stay on the packet.
        let ports = !fold(words::<2>(udp));
        let left = fold(session.up_sum as u64 + ports as u64 + (udp_len as u16).to_be() as u64);
        let mut total = total(0, &inner, one, prefix);
        if head & 1 != 0 {
            // The protocol's one byte, and all else a byte further.
            let lengths = 2 * ((one + prefix) as u16).to_be() as u64;
            total =
                fold(total - lengths).swap_bytes() as u64 + lengths + ((carried as u16) << 8).to_be() as u64;
        }
        let right = match !fold(sum + total) {
            0 => !0,
            right => right,
        };
        if check == left || check != right {
            return pass(&WAYS, way);
        }
    } else if ipv6 {
        return pass(&WAYS, way);
    }
    if flags & SOURCES != 0 {
        let mut found = false;
        let mut index = 0;
        while index < PATTERNS {
            let Pattern { mask, value } = &session.sources[index];
            found |= inner.source[0] & mask[0] == value[0]
                && inner.source[1] & mask[1] == value[1]
                && inner.source[2] & mask[2] == value[2]
                && inner.source[3] & mask[3] == value[3];
            index += 1;
        }
        if !found {
            return OK;
        }
    }
    let decapsulate = if inner.ipv6 { DECAP_L3_IPV6 } else { DECAP_L3_IPV4 };
    if !adjust_room(skb, -((outer + prefix) as i32), FIXED_GSO | decapsulate) {
        return pass(&WAYS, way);
    }
    let bytes = inner.len + head + (segments - 1) * (inner.headers + head);
    count(number, true, segments as u64, bytes as u64);
    redirect(session.inner, INGRESS)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: nothing here panics: the verifier would refuse this loop, had the compiler left it in.
    loop {}
}
