//! Every reason for which a message is dropped has its counter, beside the kernel's.

mod common;

use common::{Form, Path};
use l2tp_data::header::{Datagram, Header};

fn parse(datagram: &[u8]) -> Header {
    match Datagram::parse(datagram) {
        Datagram::Data(header) => header,
        other => panic!("{other:?}"),
    }
}

/// A session after one message, and the counters it then has.
fn counts(prepare: fn(&mut Path<Vec<u8>>), datagram: Vec<u8>, expected: &[(&str, u64)]) {
    let mut path = Path::default();
    prepare(&mut path);
    path.datagram(0, &parse(&datagram), &datagram);
    assert_eq!(path.counters.named(), expected);
}

fn lcp(form: Form) -> Vec<u8> {
    Form { payload: vec![0xff, 0x03, 0xc0, 0x21], ..form }.encode()
}

fn numbered(ns: u16) -> Vec<u8> {
    lcp(Form { sequence: Some((ns, 0)), ..Form::default() })
}

fn plain(_: &mut Path<Vec<u8>>) {}

/// Has had number 0, 14 bytes long.
fn begun(path: &mut Path<Vec<u8>>) {
    path.datagram(0, &parse(&numbered(0)), &numbered(0));
}

/// Holds number 2, 14 bytes long.
fn holding(path: &mut Path<Vec<u8>>) {
    path.receive.reorder_timeout = 1;
    for ns in [0, 2] {
        let datagram = numbered(ns);
        path.datagram(0, &parse(&datagram), &datagram);
    }
}

/// A Length field of this number of bytes.
fn length(len: u8) -> Vec<u8> {
    let mut datagram = lcp(Form { length: true, ..Form::default() });
    datagram[3] = len;
    datagram
}

rows! { counts:
    delivered => (plain, lcp(Form::default()), &[("rx_packets", 1), ("rx_bytes", 10)]);
    delivered_bytes_include_the_header => (
        plain,
        lcp(Form { length: true, sequence: Some((0, 0)), offset: Some(3), ..Form::default() }),
        &[("rx_packets", 1), ("rx_bytes", 21)]);
    delivered_bytes_exclude_padding_behind_the_length => (
        plain, [lcp(Form { length: true, ..Form::default() }), vec![0; 30]].concat(),
        &[("rx_packets", 1), ("rx_bytes", 12)]);
    seq_missing => (
        |path| path.receive.recv_seq = true, lcp(Form::default()),
        &[("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_missing", 1)]);
    seq_unexpected => (
        begun, numbered(2),
        &[("rx_packets", 1), ("rx_bytes", 14), ("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_unexpected", 1)]);
    seq_duplicate => (
        holding, numbered(2),
        &[("rx_packets", 1), ("rx_bytes", 14), ("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_duplicate", 1)]);
    seq_window => (plain, numbered(32767), &[("rx_errors", 1), ("rx_seq_window", 1)]);
    bad_length_beyond => (plain, length(13), &[("rx_errors", 1), ("rx_bad_length", 1)]);
    bad_length_inside => (plain, length(7), &[("rx_errors", 1), ("rx_bad_length", 1)]);
    bad_sequence => (
        plain, numbered(0)[..9].to_vec(), &[("rx_errors", 1), ("rx_bad_sequence", 1)]);
    bad_offset => (
        plain, lcp(Form { offset: Some(9), ..Form::default() })[..16].to_vec(),
        &[("rx_errors", 1), ("rx_bad_offset", 1)]);
    bad_offset_takes_no_number => (
        plain, lcp(Form { sequence: Some((0, 0)), offset: Some(9), ..Form::default() })[..13].to_vec(),
        &[("rx_errors", 1), ("rx_bad_offset", 1)]);
    missing_number_comes_before_the_offset => (
        |path| path.receive.recv_seq = true,
        lcp(Form { offset: Some(9), ..Form::default() })[..16].to_vec(),
        &[("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_missing", 1)]);
    short_frame_0 => (plain, Form::default().encode(), &[("rx_errors", 1), ("rx_short_frame", 1)]);
    short_frame_1 => (
        plain, Form { payload: vec![0x21], ..Form::default() }.encode(),
        &[("rx_errors", 1), ("rx_short_frame", 1)]);
    short_frame_ff03 => (
        plain, Form { payload: vec![0xff, 3], ..Form::default() }.encode(),
        &[("rx_errors", 1), ("rx_short_frame", 1)]);
    shortest_frame => (
        plain, Form { payload: vec![0x21, 0x45], ..Form::default() }.encode(),
        &[("rx_packets", 1), ("rx_bytes", 8)]);
}

/// Data messages of 6 to 14 bytes are taken or counted, never mistaken.
#[test]
fn every_small_size() {
    for size in 6..=14 {
        let mut datagram = numbered(0);
        datagram[0] = 0;
        datagram.truncate(size);
        let mut path = Path::default();
        let delivered = path.datagram(0, &parse(&datagram), &datagram);
        assert_eq!(delivered.len(), usize::from(size >= 8), "{size} bytes");
    }
}
