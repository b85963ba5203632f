//! The kernel's own driver and the one in user space, in turn, beside the bare veth.

use super::ways::{self, Ways};
use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::Progress;
use crate::tunnel::{ORDINARY, Tunnel, direct};

/// Measures both, that in user space with its fast path, too, and the bare veth.
///
/// Errors: interrupted, the kernel has no PPPoL2TP or no eBPF, or a way does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Ways> {
    let program = this_program()?;
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let mut linux = Tunnel::start(&bed, &program, 0, &["--driver", "linux"])?;
    let mut user = Tunnel::start(&bed, &program, 1, &ORDINARY)?;
    let none = || Failure::new("the kernel has no fast path");
    let mut fast = Tunnel::start_fast(direct(&bed), &program, 2, &[], progress)?.ok_or_else(none)?;
    let ways = [
        ("direct", direct(&bed)),
        ("linux", linux.path(&bed)),
        ("user", user.path(&bed)),
        ("fast", fast.path(&bed)),
    ];
    let measured = ways::measure(ways, &[("user", "linux"), ("fast", "linux")], args, interrupt, progress)?;
    let errors = [linux.errors()?, user.errors()?, fast.errors()?].concat();
    if !errors.is_empty() {
        return Err(Failure::new(format!("frames were lost: {}", errors.join(", "))));
    }
    linux.stop()?;
    user.stop()?;
    fast.stop()?;
    Ok(measured)
}
