//! `sockaddr_pppol2tp`: 38 bytes, packed; its IPv6 form of 50 bytes; nothing else.

mod common;

use l2tp_data::rules::{Connect, Errno, SOCKADDR_IN6_LEN, SOCKADDR_LEN, SockAddr};
use proptest::prelude::*;

/// Writes the fields one after the other, as the C compiler packs them.
fn packed(fields: &[&[u8]]) -> Vec<u8> {
    fields.concat()
}

const REQUEST: Connect =
    Connect { fd: 7, s_tunnel: 0x1111, s_session: 0x2222, d_tunnel: 0x3333, d_session: 0x4444 };

fn ids() -> Vec<u8> {
    [0x1111u16, 0x2222, 0x3333, 0x4444].into_iter().flat_map(u16::to_ne_bytes).collect()
}

fn head() -> Vec<u8> {
    packed(&[&24u16.to_ne_bytes(), &1u32.to_ne_bytes(), &(-3i32).to_ne_bytes(), &7i32.to_ne_bytes()])
}

fn ipv4() -> Vec<u8> {
    packed(&[&head(), &2u16.to_ne_bytes(), &1701u16.to_be_bytes(), &[192, 0, 2, 1], &[0; 8], &ids()])
}

fn ipv6() -> Vec<u8> {
    let ip = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    packed(&[
        &head(),
        &ids(),
        &10u16.to_ne_bytes(),
        &1701u16.to_be_bytes(),
        &0x12345u32.to_be_bytes(),
        &ip,
        &6u32.to_ne_bytes(),
    ])
}

#[test]
fn the_ipv4_form_is_read() {
    let decoded = SockAddr::decode(&ipv4()).unwrap();
    assert_eq!(decoded, SockAddr { pid: -3, peer: "192.0.2.1:1701".parse().unwrap(), request: REQUEST });
}

#[test]
fn the_ipv6_form_has_its_ids_first() {
    let decoded = SockAddr::decode(&ipv6()).unwrap();
    let peer = std::net::SocketAddrV6::new("2001:db8::1".parse().unwrap(), 1701, 0x12345, 6);
    assert_eq!(decoded, SockAddr { pid: -3, peer: peer.into(), request: REQUEST });
}

#[test]
fn both_forms_are_written_byte_for_byte() {
    for bytes in [ipv4(), ipv6()] {
        let mut out = [0xaa; SOCKADDR_IN6_LEN];
        let len = SockAddr::decode(&bytes).unwrap().encode(&mut out);
        assert_eq!(out[..len], bytes);
    }
}

#[test]
fn the_inner_family_is_not_looked_at() {
    let mut bytes = ipv4();
    bytes[14..16].copy_from_slice(&[0, 0]);
    assert_eq!(SockAddr::decode(&bytes), SockAddr::decode(&ipv4()));
}

fn refused(bytes: Vec<u8>) {
    assert_eq!(SockAddr::decode(&bytes), Err(Errno::Inval));
}

fn with(mut bytes: Vec<u8>, at: usize, field: &[u8]) -> Vec<u8> {
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

/// A right beginning and so many bytes in all.
fn length(len: usize) -> Vec<u8> {
    let mut bytes = ipv6();
    bytes.resize(len, 0);
    bytes
}

rows! { refused:
    empty => (Vec::new());
    one_byte_short => (length(SOCKADDR_LEN - 1));
    one_byte_long => (length(SOCKADDR_LEN + 1));
    v3 => (length(46));
    v3_over_ipv6 => (length(58));
    ipv6_one_byte_short => (length(SOCKADDR_IN6_LEN - 1));
    ipv6_one_byte_long => (length(SOCKADDR_IN6_LEN + 1));
    family_inet => (with(ipv4(), 0, &2u16.to_ne_bytes()));
    protocol_pppoe => (with(ipv4(), 2, &0u32.to_ne_bytes()));
    protocol_beyond_a_byte => (with(ipv6(), 2, &257u32.to_ne_bytes()));
}

proptest! {
    #[test]
    fn any_address_survives_a_round_trip(
        pid: i32,
        fd: i32,
        ids: [u16; 4],
        peer: std::net::SocketAddr,
    ) {
        let [s_tunnel, s_session, d_tunnel, d_session] = ids;
        let request = Connect { fd, s_tunnel, s_session, d_tunnel, d_session };
        let addr = SockAddr { pid, peer, request };
        let mut out = [0; SOCKADDR_IN6_LEN];
        let len = addr.encode(&mut out);
        prop_assert_eq!(SockAddr::decode(&out[..len]), Ok(addr));
    }
}
