//! Frames through either server on one core, in turn.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use interop::l2tpns::L2tpns;
use interop::lan::{self, Lan};
use ol2tp::bench::frames::{Bare, Load, Row, Sample, Stand};
use ol2tp::bench::setup::{Cores, Server, USER};
use ol2tp::demo::RAMP;
use ol2tp::exit::{Doing, Result};
use ol2tp::interrupt::Interrupt;
use ol2tp::load::{Share, Window};
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
    /// Frames of ol2tp for each of l2tpns.
    times_l2tpns: Share,
    /// Packets a second over a bare TUN interface, one by one.
    bare_frames_s: Option<f64>,
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
    let mut bare = Bare::new(sessions)?;
    for round in 1..=rounds {
        for (load, (our_samples, their_samples)) in loads.iter().zip(&mut samples) {
            bare.measure(*load, window, cores, &interrupt)?;
            let stand = usize::from(load.cut());
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
        let row = |samples| Row::new(*load, theirs.sessions(), samples, bare.samples(*load));
        let [ours_row, other] = [ours, others].map(|samples: &Vec<_>| row(samples));
        Beside {
            way: other.way,
            kind: other.kind,
            sessions: other.sessions,
            length: other.length,
            ol2tp_frames_s: ours_row.frames_s,
            ol2tp_cpu_us: ours_row.cpu_us,
            l2tpns_frames_s: other.frames_s,
            l2tpns_cpu_us: other.cpu_us,
            times_l2tpns: times(ours, others),
            bare_frames_s: other.bare_frames_s,
        }
    });
    let rows = rows.collect();
    stands.into_iter().chain([theirs]).try_for_each(Stand::close)?;
    Ok(rows)
}

fn times(ours: &[Sample], others: &[Sample]) -> Share {
    let frames = |samples: &[Sample]| samples.iter().map(|sample| sample.frames_s).collect::<Vec<_>>();
    Share::of(&frames(ours), &frames(others))
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
            "bare TUN, 1000/s",
        ];
        let mut table = Table::new(head).words(2);
        for row in self.0 {
            table.row([
                row.way.into(),
                row.kind.into(),
                row.sessions.to_string(),
                row.length.to_string(),
                format!("{:.0}", row.ol2tp_frames_s / 1e3),
                format!("{:.2}", row.ol2tp_cpu_us),
                format!("{:.0}", row.l2tpns_frames_s / 1e3),
                format!("{:.2}", row.l2tpns_cpu_us),
                row.times_l2tpns.to_string(),
                row.bare_frames_s.map_or("–".into(), |bare| format!("{:.0}", bare / 1e3)),
            ]);
        }
        table.fmt(f)
    }
}

/// What is counted of each load.
pub(super) fn window() -> Window {
    Window { ramp: RAMP, length: std::time::Duration::from_secs(1) }
}
