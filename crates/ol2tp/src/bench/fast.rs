//! The fast path beside the bare veth and the ordinary way: over a veth that takes super-packets whole, and over one
//! before which they are cut, as before a card that cannot do it for tunnels.

use std::process::Command;

use super::ways::{self, Ways};
use crate::args::BenchArgs;
use crate::bed::{Bed, Space, VETH};
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::Progress;
use crate::tunnel::{ORDINARY, Tunnel, direct, direct6};

/// Measures all ways.
///
/// Errors: interrupted, `ethtool` is missing, there is no fast path here, or a way does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Ways> {
    let program = this_program()?;
    let bed = || Bed::new().doing("making two network namespaces joined by veth");
    let (whole, cut) = (bed()?, bed()?);
    [&cut.left, &cut.right].into_iter().try_for_each(segment)?;
    let mut ordinary = Tunnel::start(&whole, &program, 0, &ORDINARY)?;
    let start = |over, number, options: &[&str]| {
        let tunnel = Tunnel::start_fast(over, &program, number, options, progress)?;
        tunnel.ok_or_else(|| Failure::cannot("there is no fast path here"))
    };
    let mut fast = start(direct(&whole), 1, &[])?;
    let mut zero = start(direct(&whole), 2, &["--no-data-checksums"])?;
    let mut outside6 = start(direct6(&whole), 3, &[])?;
    let mut ordinary_cut = Tunnel::start(&cut, &program, 0, &ORDINARY)?;
    let mut fast_cut = start(direct(&cut), 1, &[])?;
    let ways = [
        ("direct", direct(&whole)),
        ("ordinary", ordinary.path(&whole)),
        ("fast", fast.path(&whole)),
        ("fast, no checksums", zero.path(&whole)),
        ("fast, IPv6 outside", outside6.path(&whole)),
        ("fast, IPv6 inside", fast.path6(&whole)),
        ("direct, cut", direct(&cut)),
        ("ordinary, cut", ordinary_cut.path(&cut)),
        ("fast, cut", fast_cut.path(&cut)),
    ];
    let compared = [
        ("ordinary", "direct"),
        ("fast", "direct"),
        ("fast, no checksums", "direct"),
        ("fast, IPv6 outside", "direct"),
        ("fast, IPv6 inside", "direct"),
        ("ordinary, cut", "direct, cut"),
        ("fast, cut", "direct, cut"),
    ];
    let measured = ways::measure(ways, &compared, args, interrupt, progress)?;
    for tunnel in [&mut ordinary, &mut fast, &mut zero, &mut outside6, &mut ordinary_cut, &mut fast_cut] {
        let errors = tunnel.errors()?;
        if !errors.is_empty() {
            return Err(Failure::new(format!("frames were lost: {}", errors.join(", "))));
        }
    }
    [ordinary, fast, zero, outside6, ordinary_cut, fast_cut].into_iter().try_for_each(Tunnel::stop)?;
    Ok(measured)
}

/// Has the kernel cut super-packets before they reach a namespace's veth.
fn segment(space: &Space) -> Result<()> {
    let features = ["tso", "off", "tx-udp-segmentation", "off"];
    let ethtool = || Command::new("ethtool").args(["-K", VETH]).args(features).output();
    let output = space.enter(ethtool).doing("ethtool (apt-get install ethtool)")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("ethtool -K {VETH}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
