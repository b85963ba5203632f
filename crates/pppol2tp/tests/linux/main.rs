//! The home `linux` on a kernel that has PPPoL2TP.
//!
//! These tests are run where OL2TP_HOME=linux, or =module, says that there is such a kernel: `interop/tests/uml_linux.rs`
//! does so in User-Mode Linux. Elsewhere they are no part of `cargo test`, and fail.

#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;

mod bed;
mod close;
mod frames;
mod killed;
mod listener;
mod options;
mod pass_up;
mod refusals;
mod units;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

/// The tests of these modules, each of which has a list `TESTS`.
macro_rules! modules {
    ($($module:ident)*) => { [$((stringify!($module), $module::TESTS)),*] };
}

/// A module's list of its tests.
macro_rules! tests {
    ($($test:ident)*) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($test), $test)),*];
    };
}
use tests;

/// Whether the kernel's driver is the module in `kernel/`.
fn is_module() -> bool {
    std::env::var("OL2TP_HOME").as_deref() == Ok("module")
}

fn main() -> ExitCode {
    if std::env::var("OL2TP_HOME").as_deref() != Ok("linux") && !is_module() {
        println!("not run: needs a kernel with PPPoL2TP and OL2TP_HOME=linux; `cargo xtask test peers` does");
        return ExitCode::FAILURE;
    }
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    if wanted == [killed::CHILD] {
        return killed::child();
    }
    let (mut passed, mut failed) = (0, 0);
    for (module, tests) in modules!(refusals frames options listener units pass_up close killed) {
        for (name, test) in tests {
            let name = format!("{module}::{name}");
            if !wanted.is_empty() && !wanted.iter().any(|wanted| name.contains(wanted)) {
                continue;
            }
            let start = Instant::now();
            let result = catch_unwind(|| common::in_netns(test));
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            println!("test {name} ... {word} ({:.2} s)", start.elapsed().as_secs_f64());
            *if result.is_ok() { &mut passed } else { &mut failed } += 1;
        }
    }
    println!("test result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
