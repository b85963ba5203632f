//! Frames through either server on one core, in turn.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use interop::l2tpns::L2tpns;
use interop::lan::{self, Lan};
use ol2tp::bench::frames::{Load, Row, Sample, Stand};
use ol2tp::bench::setup::{Cores, Server, USER};
use ol2tp::demo::{RAMP, round};
use ol2tp::exit::{Doing, Result};
use ol2tp::flood::Kind;
use ol2tp::interrupt::Interrupt;
use ol2tp::load::{Window, median};
use ol2tp::output::{Progress, Table};
use pppol2tp::user::Mode;
use serde::Serialize;

use super::{PORT, source};

/// What is to be known beside the figures.
pub(super) const DIFFERENCES: &str = "\
What differs:
- Merging: l2tpns takes and gives one datagram, one packet at a time, so the kernel cuts for it what was sent as
  one. ol2tp takes and gives runs.
- apart: from UDP each frame is of another flow, so that none can be merged on the interface. To UDP ol2tp is told
  to take no runs of UDP from its interface (--mode no-uso).
The same: sender, network, one core for the server and one for the sender, IPv4 in IPv4, no sequence numbers.";

/// One load: medians.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    way: &'static str,
    kind: &'static str,
    sessions: usize,
    length: usize,
    ol2tp_frames_s: f64,
    ol2tp_cpu_us: f64,
    l2tpns_frames_s: f64,
    l2tpns_cpu_us: f64,
    /// Frames a second of ol2tp for each of l2tpns: median, least, most.
    ratio: [f64; 3],
}

/// Measures all loads with so many sessions.
pub(super) fn measure(
    program: &Path,
    lan: &Lan,
    sessions: usize,
    rounds: usize,
    window: Window,
    cores: &Cores,
    progress: &Progress,
) -> Result<Vec<Beside>> {
    let interrupt = Interrupt::default();
    progress.say(format_args!("setting up {sessions} sessions"));
    let hosts = [lan.host(2).doing("a host")?, lan.host(3).doing("a host")?];
    let (mut servers, mut stands) = (Vec::new(), Vec::new());
    for ((host, there), mode) in (2..).zip(&hosts).zip([Mode::OFFLOAD, Mode { uso: false, ..Mode::OFFLOAD }])
    {
        cores.server()?;
        let address = SocketAddr::from((lan::address(host), PORT));
        let server = Server::start(there.space(), program, address, mode, 1)?;
        cores.clients()?;
        let (here, there) = (lan.here.space(), there.space());
        stands.push(Stand::new(here, there, address, server.pid(), source, sessions, &interrupt)?);
        servers.push(server);
    }
    cores.server()?;
    let l2tpns = L2tpns::start_for_load(lan, 4, (USER, USER)).doing("l2tpns")?;
    cores.clients()?;
    let (address, there) = ((l2tpns.address, PORT).into(), l2tpns.host.space());
    let pid = l2tpns.lns.pid();
    let mut theirs = Stand::new(lan.here.space(), there, address, pid, source, sessions, &interrupt)?;

    let loads: Vec<_> = Load::all(sessions).collect();
    let mut samples = vec![(Vec::new(), Vec::new()); loads.len()];
    for round in 1..=rounds {
        for (load, (our_samples, their_samples)) in loads.iter().zip(&mut samples) {
            let stand = usize::from(load.to_udp && load.kind == Kind::Apart);
            let ours = stands[stand].measure(*load, window, &interrupt)?;
            stands[1 - stand].rest()?;
            let other = theirs.measure(*load, window, &interrupt)?;
            let [way, kind] = load.words();
            progress.say(format_args!(
                "round {round} of {rounds}: {way}, {kind}, {} bytes: {:.0} and {:.0} frames/ms",
                load.length,
                ours.frames_s / 1e3,
                other.frames_s / 1e3
            ));
            our_samples.push(ours);
            their_samples.push(other);
        }
    }
    let rows = loads.iter().zip(&samples).map(|(load, (ours, others))| {
        let [ours_row, other] = [ours, others].map(|samples| Row::new(*load, theirs.sessions(), samples));
        Beside {
            way: other.way,
            kind: other.kind,
            sessions: other.sessions,
            length: other.length,
            ol2tp_frames_s: ours_row.frames_s,
            ol2tp_cpu_us: ours_row.cpu_us,
            l2tpns_frames_s: other.frames_s,
            l2tpns_cpu_us: other.cpu_us,
            ratio: ratio(ours, others),
        }
    });
    let rows = rows.collect();
    stands.into_iter().chain([theirs]).try_for_each(Stand::close)?;
    Ok(rows)
}

fn ratio(ours: &[Sample], others: &[Sample]) -> [f64; 3] {
    let ratios = ours.iter().zip(others).map(|(ours, other)| ours.frames_s / other.frames_s);
    let ratios: Vec<_> = ratios.collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    [median(&ratios), least, ratios.iter().copied().fold(0.0, f64::max)].map(round)
}

/// Rows in words.
pub(super) struct Rows<'a>(pub(super) &'a [Beside]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "way",
            "frames",
            "sessions",
            "bytes",
            "ol2tp, 1000/s",
            "µs each",
            "l2tpns, 1000/s",
            "µs each",
            "ol2tp/l2tpns",
        ];
        let mut table = Table::new(head).words(2);
        for row in self.0 {
            let [median, least, most] = row.ratio;
            table.row([
                row.way.into(),
                row.kind.into(),
                row.sessions.to_string(),
                row.length.to_string(),
                format!("{:.0}", row.ol2tp_frames_s / 1e3),
                format!("{:.2}", row.ol2tp_cpu_us),
                format!("{:.0}", row.l2tpns_frames_s / 1e3),
                format!("{:.2}", row.l2tpns_cpu_us),
                format!("{median:.2} ({least:.2} to {most:.2})"),
            ]);
        }
        table.fmt(f)
    }
}

/// What is counted of each load.
pub(super) fn window() -> Window {
    Window { ramp: RAMP, length: std::time::Duration::from_secs(1) }
}
