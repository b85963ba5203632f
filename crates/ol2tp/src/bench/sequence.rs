//! What sequence numbers cost: a tunnel without, with them, and with reordering too, beside the bare veth.

use super::ways::{self, Ways};
use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::end::this_program;
use crate::exit::{Doing, Result};
use crate::interrupt::Interrupt;
use crate::output::Progress;
use crate::tunnel::{Tunnel, direct};

const SEQUENCED: [&str; 5] = ["--send-seq", "--recv-seq", "--lns", "--reorder-timeout", "0"];
const REORDERING: [&str; 5] = ["--send-seq", "--recv-seq", "--lns", "--reorder-timeout", "100ms"];
const COMPARED: [(&str, &str); 3] = [("tunnel", "direct"), ("sequenced", "tunnel"), ("reordering", "tunnel")];

/// Measures all of them.
///
/// Errors: interrupted, or a way does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Ways> {
    let program = this_program()?;
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let tunnel = Tunnel::start(&bed, &program, 0, &[])?;
    let sequenced = Tunnel::start(&bed, &program, 1, &SEQUENCED)?;
    let reordering = Tunnel::start(&bed, &program, 2, &REORDERING)?;
    let ways = [
        ("direct", direct(&bed)),
        ("tunnel", tunnel.path(&bed)),
        ("sequenced", sequenced.path(&bed)),
        ("reordering", reordering.path(&bed)),
    ];
    let measured = ways::measure(ways, &COMPARED, args, interrupt, progress)?;
    [tunnel, sequenced, reordering].into_iter().try_for_each(Tunnel::stop)?;
    Ok(measured)
}
