//! `cargo xtask`: the project's checks, fuzzing and benchmarks, and programs to test with.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod bpf;
mod fuzz;
mod install;
mod instructions;
mod kmod;
mod peers;
mod process;
mod qemu;
mod test;
mod uml;

/// The project's checks, fuzzing and benchmarks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    Test(test::Args),
    Fuzz(fuzz::Args),
    Bench(bench::Args),
    Instructions(instructions::Args),
    Peers(peers::Args),
    Uml(uml::Args),
    Kmod(kmod::Args),
    Bpf(bpf::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Test(args) => return test::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Peers(args) => peers::run(&args),
        Command::Uml(args) => uml::run(&args),
        Command::Kmod(args) => kmod::run(&args),
        Command::Bpf(args) => bpf::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("cargo xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
