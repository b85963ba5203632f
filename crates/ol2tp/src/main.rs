//! The command `ol2tp`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ol2tp::args::{Cli, Command};
use ol2tp::exit::Code;
use ol2tp::{bench, check, commands, connect, demo, output, serve, show};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = output::log(cli.verbose, cli.log.as_deref()).and_then(|()| match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Disconnect(args) => commands::disconnect(&args),
        Command::Events(args) => commands::events(&args),
        Command::Check(args) => check::run(&args),
        Command::Static(args) => commands::run_static(&args),
        Command::Shared(args) => commands::run_shared(&args),
        Command::Show(args) => show::run(&args),
        Command::Set(args) => commands::set(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Replay(args) => commands::replay(&args),
    });
    let code = match result {
        Ok(()) => Code::Ok,
        Err(failure) => {
            output::complain(&failure);
            failure.code
        }
    };
    ExitCode::from(code as u8)
}
