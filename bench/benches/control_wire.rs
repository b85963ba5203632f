//! Nanoseconds to decode and check a full SCCRQ, and to encode it, beside the crate `rl2tp` on the same
//! bytes. Target: three times faster, both.
//!
//! `rl2tp` counts the bits of an octet from the other end, so the octets of flags are turned round for
//! it. Its decoder of whole messages prints every AVP, so it is given the AVPs alone.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use l2tp_control::auth::Secret;
use l2tp_control::wire::{self, Avps, Header, Hiding, Leniencies, Message, avp};
use ol2tp_bench::control::{encoded, iccn, sccrq};
use rl2tp::avp::AVP;
use rl2tp::common::{SliceReader, VecWriter};

/// The AVPs of a message with their flags as `rl2tp` has them.
fn turned(message: &[u8]) -> Vec<u8> {
    let mut avps = message[Header::LEN..].to_vec();
    let mut at = 0;
    for avp in Avps::new(&message[Header::LEN..]) {
        // Turned round whole: the two upper bits of the length are 0.
        avps[at] = avps[at].reverse_bits();
        at += avp::HEADER + avp.expect("it is sound").value.len();
    }
    avps
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let mut datagram = encoded(&sccrq());
    let turned = turned(&datagram);
    assert!(wire::decode(&mut datagram, None, Leniencies::LIBERAL).is_ok());
    group.bench_function("SCCRQ", |b| {
        b.iter(|| {
            black_box(&wire::decode(black_box(&mut datagram), None, Leniencies::LIBERAL));
        });
    });
    let avps = AVP::try_read_greedy(&mut SliceReader::from(&turned));
    assert!(avps.len() == 11 && avps.iter().all(Result::is_ok), "{avps:?}");
    group.bench_function("SCCRQ, rl2tp, AVPs only", |b| {
        b.iter(|| black_box(AVP::try_read_greedy(&mut SliceReader::from(black_box(&turned)))));
    });

    let secret = Secret::new(b"secret");
    let hiding = Hiding { secret: &secret, random_vector: &[0x5a; 16], padding: &[] };
    let mut hidden = [0; 1000];
    let length = iccn().encode(1, 2, Some(&hiding), &mut hidden).expect("it fits");
    group.bench_function("ICCN with hidden AVPs", |b| {
        b.iter(|| {
            let mut datagram = hidden;
            let decoded = wire::decode(&mut datagram[..length], Some(&secret), Leniencies::LIBERAL);
            black_box(decoded.expect("it is sound").message);
        });
    });
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let message = sccrq();
    let mut out = vec![0; Message::MAX];
    group.bench_function("SCCRQ", |b| {
        b.iter(|| black_box(black_box(&message).encode(1, 0, None, black_box(&mut out))));
    });
    let avps = AVP::try_read_greedy(&mut SliceReader::from(&turned(&encoded(&message))));
    let avps = avps.into_iter().collect::<Result<_, _>>().expect("it is sound");
    let theirs = rl2tp::Message::<Vec<u8>>::Control(rl2tp::ControlMessage {
        length: 0,
        tunnel_id: 1,
        session_id: 0,
        ns: 0,
        nr: 0,
        avps,
    });
    let mut writer = VecWriter::new();
    group.bench_function("SCCRQ, rl2tp", |b| {
        b.iter(|| {
            writer.data.clear();
            black_box(&theirs).write(&mut writer);
            black_box(&writer.data);
        });
    });
    assert_eq!(writer.data.len(), encoded(&message).len());
}

criterion_group!(control_wire, decode, encode);
criterion_main!(control_wire);
