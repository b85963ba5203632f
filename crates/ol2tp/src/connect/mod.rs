//! `ol2tp connect`: the client in one command.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ol2tpd::Notice;
use ol2tpd::config::{ConnectFlags, Settings};
use ol2tpd::notice::{Failed, Step};
use ol2tpd::server::{self, Options, Outcome, Reload};
use zeroize::Zeroizing;

use crate::args::ConnectArgs;
use crate::exit::{Code, Failure, Result};
use crate::{daemon, password};
use screen::Screen;

mod progress;
mod screen;

/// How often the live line changes.
const REFRESH: Duration = Duration::from_secs(1);

/// Connects, and stays so until a signal comes.
///
/// Errors: arguments or configuration make no sense, a permission or device is missing, or whatever a
/// connection can fail of: each with an exit code of its own.
pub fn run(args: &ConnectArgs) -> Result<()> {
    let settings = settings(args)?;
    let daemon::Started { driver, why, control, advertiser } = daemon::start(&args.end, &settings)?;
    let options = Options { settings, reload: reload(args), why, advertiser, trace: args.trace };

    let mut failed = None;
    let mut note = |notice: &Notice| {
        if let Notice::Failed { connection, step, .. } = notice {
            failed = Some((connection.clone(), *step));
        }
    };
    let outcome = if args.end.json {
        server::run(driver, control, options, |notice| {
            note(notice);
            daemon::tell(notice, true);
        })
    } else {
        let screen = Mutex::new(Screen::new());
        let lock = || screen.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = Arc::clone(&driver);
        let (running, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            if lock().is_live() {
                scope.spawn(move || {
                    while ended.recv_timeout(REFRESH) == Err(mpsc::RecvTimeoutError::Timeout) {
                        lock().refresh(Instant::now(), &*shown);
                    }
                });
            }
            let outcome = server::run(driver, control, options, |notice| {
                note(notice);
                lock().told(Instant::now(), notice);
            });
            drop(running);
            outcome
        })
    };
    match outcome? {
        Outcome::Stopped => Ok(()),
        Outcome::Failed { failure, why } => {
            let (name, step) = failed.unwrap_or_else(|| (args.host.clone(), Step::Up));
            Err(Failure::of(Code::from(failure), words(&name, step, failure, &why)))
        }
    }
}

/// What failed, why, and what to do.
fn words(name: &str, step: Step, failure: Failed, why: &str) -> String {
    let advice = match failure {
        Failed::Resolve => "check the name, and this machine's name servers",
        Failed::Silence => {
            "check the address, whether a server runs there, and whether a firewall drops its UDP port"
        }
        Failed::Secret => "give the secret that the server has for this host (--secret-file)",
        Failed::Refused => "ask who runs the server: its log says why",
        Failed::Password => "check --user and the password",
        Failed::Address => "try again later, or ask who runs the server for more addresses",
        Failed::Lost => {
            "the network is interrupted, or the server is gone or was started anew: connect again; --persist \
             does it by itself"
        }
        Failed::Ended => "connect again; --persist does it by itself",
        // The reason is on this machine, and says it all.
        Failed::Local => return format!("{name}: failed while {step}: {why}"),
    };
    let what = match failure {
        Failed::Lost => "the connection was lost".into(),
        Failed::Ended => "the connection has ended".into(),
        _ => format!("failed while {step}"),
    };
    format!("{name}: {what}: {why}\nWhat to do: {advice}")
}

fn settings(args: &ConnectArgs) -> Result<Settings> {
    if let Some(file) = &args.config {
        return read(file, &args.host);
    }
    let password = match (&args.user, &args.password_file) {
        (Some(user), None) => Some(password::find(user)?),
        _ => None,
    };
    daemon::checked(Settings::connect(&ConnectFlags {
        host: args.host.clone(),
        port: args.port,
        local_port: args.local_port,
        user: args.user.clone(),
        password,
        password_file: args.password_file.clone(),
        secret: args.secret.clone().map(Zeroizing::new),
        secret_file: args.secret_file.clone(),
        auth: args.auth.clone(),
        default_route: args.default_route,
        routes: args.route.clone(),
        dns: args.dns.clone(),
        no_ipv6: args.no_ipv6,
        interface_name: args.interface_name.clone(),
        mtu: args.mtu,
        persist: args.persist,
        socket: args.end.socket.clone(),
    }))
}

/// What SIGHUP does, if there is a file.
fn reload(args: &ConnectArgs) -> Option<Reload> {
    let (file, name) = (args.config.clone()?, args.host.clone());
    Some(Box::new(move || read(&file, &name).map_err(|failure| failure.to_string())))
}

/// One connection of those in a file.
fn read(file: &Path, name: &str) -> Result<Settings> {
    let settings = daemon::checked(Settings::load(file))?;
    one_dial(settings, name).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))
}

/// Only this connection of all that a file is for.
fn one_dial(settings: Settings, name: &str) -> std::result::Result<Settings, String> {
    let names: Vec<_> = settings.connect.iter().map(|dial| dial.name.to_string()).collect();
    let connect: Vec<_> = settings.connect.into_iter().filter(|dial| &*dial.name == name).collect();
    match (connect.is_empty(), names.is_empty()) {
        (false, _) => Ok(Settings { connect, listen: Vec::new(), peers: Vec::new(), ..settings }),
        (true, true) => Err("it has no [connect.NAME]".into()),
        (true, false) => Err(format!("there is no [connect.{name}]; there are {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        assert_eq!(
            words("office", Step::Tunnel, Failed::Silence, "no answer"),
            "office: failed while opening the tunnel: no answer\nWhat to do: check the address, whether a server \
             runs there, and whether a firewall drops its UDP port"
        );
        assert_eq!(
            words("office", Step::Up, Failed::Ended, "closed"),
            "office: the connection has ended: closed\nWhat to do: connect again; --persist does it by itself"
        );
    }

    #[test]
    fn one_connection_is_taken_out_of_a_file() {
        let dial = |name: &str| format!("[connect.{name}]\nhost = \"h\"\nuser = \"u\"\npassword = \"p\"\n");
        let parse = |text: &str| Settings::parse(Path::new("f"), text).unwrap().settings;
        let both = || parse(&(dial("office") + &dial("home")));
        let settings = one_dial(both(), "home").unwrap();
        assert_eq!(settings.connect.iter().map(|dial| &*dial.name).collect::<Vec<_>>(), ["home"]);
        let error = one_dial(both(), "hom").unwrap_err();
        assert_eq!(error, "there is no [connect.hom]; there are office, home");
        assert_eq!(one_dial(parse(""), "home").unwrap_err(), "it has no [connect.NAME]");
    }
}
