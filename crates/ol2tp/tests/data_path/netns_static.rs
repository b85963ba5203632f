//! `ol2tp static` at both ends of a veth: a minute of TCP both ways at once, no error counted.

use std::path::Path;
use std::time::{Duration, Instant};

use ol2tp::bed::Bed;
use ol2tp::ping::{Requests, ping};
use ol2tp::tunnel::Tunnel;

use crate::ends::{pattern, tcp};

#[test]
fn a_minute_of_tcp_both_ways() {
    let bed = Bed::new().unwrap();
    let mut tunnel = Tunnel::start(&bed, Path::new(env!("CARGO_BIN_EXE_ol2tp")), 0, &[]).unwrap();
    let bytes = pattern(64 << 20);
    let requests =
        Requests { count: 20, interval: Duration::from_millis(10), patience: Duration::from_secs(5) };
    let end = Instant::now() + Duration::from_secs(60);
    let mut rounds = 0;
    while Instant::now() < end || rounds == 0 {
        for target in tunnel.targets() {
            tcp(&bed.left, &bed.right, target, &bytes);
            assert!(ping(&bed.left, target, requests).unwrap().complete(), "{target} answers");
        }
        rounds += 1;
    }
    assert_eq!(tunnel.errors().unwrap(), Vec::<String>::new());
    tunnel.stop().unwrap();
}
