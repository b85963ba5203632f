//! What the control protocol costs: a LAC and an LNS in one thread, both counted.
//!
//! A pair has the ids of one endpoint; where more is wanted, there are several pairs.
#![allow(missing_docs, clippy::print_stdout)]

use std::time::{Duration, Instant};

use ol2tp_bench::endpoints::{ACK, Ends};

const ROUNDS: usize = 5;
/// Of each round.
const PAIRS: usize = 2;
const TUNNELS: usize = 30_000;
const SESSIONS: usize = 60_000;
const SESSIONS_PER_TUNNEL: usize = 100;
const TICKS: u32 = 50_000;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    row(&["", "figure", "target"].map(String::from));
    let tunnels = median(|| per_second(PAIRS * TUNNELS, tunnels));
    row(&["tunnels set up per second".into(), format!("{tunnels:.0}"), "10000".into()]);
    let sessions = median(|| per_second(PAIRS * SESSIONS, sessions));
    row(&["sessions set up per second, 100 to a tunnel".into(), format!("{sessions:.0}"), "50000".into()]);
    for tunnels in [600, 60_000] {
        let tick = median(|| tick(tunnels));
        row(&[
            format!("ns of the tick of one of {tunnels} idle tunnels"),
            format!("{tick:.0}"),
            String::new(),
        ]);
    }
}

fn row([what, figure, target]: &[String; 3]) {
    println!("{what:<46}{figure:>10}{target:>10}");
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    figures.sort_by(f64::total_cmp);
    figures[ROUNDS / 2]
}

fn per_second(count: usize, run: impl Fn() -> Duration) -> f64 {
    count as f64 / run().as_secs_f64()
}

fn tunnels() -> Duration {
    let mut pairs: Vec<_> = (0..PAIRS).map(|_| Ends::new(None)).collect();
    let start = Instant::now();
    for pair in &mut pairs {
        for _ in 0..TUNNELS {
            pair.connect();
        }
        pair.rest(ACK);
    }
    let time = start.elapsed();
    for pair in &pairs {
        assert_eq!((pair.lac.tunnels(), pair.lns.tunnels(), pair.lns.half_open()), (TUNNELS, TUNNELS, 0));
    }
    time
}

fn sessions() -> Duration {
    let mut pairs: Vec<_> = (0..PAIRS).map(|_| Ends::new(None)).collect();
    let mut time = Duration::ZERO;
    for pair in &mut pairs {
        let tunnels: Vec<_> = (0..SESSIONS / SESSIONS_PER_TUNNEL).map(|_| pair.connect()).collect();
        let start = Instant::now();
        for tunnel in tunnels {
            pair.place(tunnel, SESSIONS_PER_TUNNEL);
        }
        pair.rest(ACK);
        time += start.elapsed();
        assert_eq!((pair.up, pair.lac.sessions(), pair.lns.sessions()), (SESSIONS, SESSIONS, SESSIONS));
    }
    time
}

/// Nanoseconds of the LAC's timers when one tunnel's HELLO is due, that HELLO and its ack included.
fn tick(tunnels: u32) -> f64 {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let mut pair = Ends::new(Some(MILLISECOND * tunnels));
    for _ in 0..tunnels {
        let id = pair.connect();
        pair.place(id, 1);
        pair.rest(MILLISECOND);
    }
    // Until nothing is due but one HELLO a millisecond.
    for _ in 0..2 * tunnels {
        pair.rest(MILLISECOND);
    }
    let (start, sent) = (Instant::now(), pair.sent);
    for _ in 0..TICKS {
        pair.rest(MILLISECOND);
    }
    let time = start.elapsed();
    let hellos = pair.sent - sent;
    assert!(hellos.abs_diff(TICKS.into()) < u64::from(TICKS) / 5, "{hellos} instead of one a millisecond");
    time.as_secs_f64() * 1e9 / f64::from(TICKS)
}
