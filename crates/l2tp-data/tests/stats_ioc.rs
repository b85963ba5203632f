//! `struct pppol2tp_ioc_stats` and the sums of a tunnel.

use l2tp_data::stats::{Rx, Stats, Tx, ioc_stats};

/// A counter's value is its place: no two are alike.
fn stats() -> Stats {
    let mut stats = Stats::default();
    for (n, value) in stats.tx.iter_mut().enumerate() {
        *value = 100 + n as u64;
    }
    for (n, value) in stats.rx.iter_mut().enumerate() {
        *value = 200 + n as u64;
    }
    stats
}

#[test]
fn the_struct_has_the_kernels_layout() {
    let bytes = ioc_stats(0x1234, 0x5678, false, &stats());
    assert_eq!(bytes[0..2], 0x1234u16.to_ne_bytes());
    assert_eq!(bytes[2..4], 0x5678u16.to_ne_bytes());
    assert_eq!(bytes[4..8], [0; 4]);
    let fields: Vec<u64> =
        bytes[8..].chunks(8).map(|field| u64::from_ne_bytes(field.try_into().unwrap())).collect();
    assert_eq!(fields, [100, 101, 102, 200, 201, 202, 203, 204]);
}

#[test]
fn using_ipsec_is_the_first_bit_of_its_field() {
    let bytes = ioc_stats(1, 2, true, &stats());
    let first = if cfg!(target_endian = "big") { 0x80 } else { 0x01 };
    assert_eq!(bytes[4..8], [first, 0, 0, 0]);
}

#[test]
fn names_are_the_kernels_and_all_different() {
    let stats = stats();
    let names: Vec<&str> = stats.iter().map(|(name, _)| name).collect();
    for kernel in ["tx_packets", "tx_bytes", "tx_errors", "rx_packets", "rx_bytes", "rx_seq_discards"]
        .into_iter()
        .chain(["rx_oos_packets", "rx_errors"])
    {
        assert_eq!(names.iter().filter(|name| **name == kernel).count(), 1, "{kernel}");
    }
    let different: std::collections::HashSet<&&str> = names.iter().collect();
    assert_eq!(different.len(), Rx::COUNT + Tx::COUNT);
}

#[test]
fn a_tunnel_counts_what_is_delivered_and_sent_not_what_its_sessions_drop() {
    let mut tunnel = Stats::default();
    tunnel.add_session(&stats());
    tunnel.add_session(&stats());
    for counter in Tx::ALL {
        let both = matches!(counter, Tx::Packets | Tx::Bytes | Tx::Errors);
        assert_eq!(tunnel.tx(*counter), if both { 2 * stats().tx(*counter) } else { 0 }, "{counter:?}");
    }
    for counter in Rx::ALL {
        let both = matches!(counter, Rx::Packets | Rx::Bytes);
        assert_eq!(tunnel.rx(*counter), if both { 2 * stats().rx(*counter) } else { 0 }, "{counter:?}");
    }
}
