//! What `static`, `serve` and `connect` have in common: the driver, the control socket, notices.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use ol2tpd::Notice;
use ol2tpd::advert::Advertiser;
use ol2tpd::config::{DriverKind, Loaded, Problems, Settings};
use ol2tpd::control::{self, Listener};
use ol2tpd::privileges;
use ol2tpd::serve::Control;
use pppol2tp::Driver;
use pppol2tp::linux::LinuxDriver;
use pppol2tp::user::{Config, Fast, FastPath, Mode, UserDriver};
use tracing::{info, warn};

use crate::args::EndArgs;
use crate::exit::{Doing, Failure, Result};
use crate::{can, interrupt, output};

/// Debug messages a second at the most, unless something else is said.
pub const DEBUG_RATE: Option<u32> = Some(500);

/// Settings that can be used; their warnings go to the log.
///
/// Errors: those that cannot.
pub fn checked(loaded: std::result::Result<Loaded, Problems>) -> Result<Settings> {
    let loaded = loaded.map_err(|problems| Failure::usage(problems.to_string()))?;
    for warning in &loaded.warnings.0 {
        warn!("{warning}");
    }
    Ok(loaded.settings)
}

/// What a daemon runs on.
pub struct Started {
    /// The driver.
    pub driver: Arc<dyn Driver>,
    /// Why it is that one.
    pub why: String,
    /// Where the control API is.
    pub control: Control,
    /// Who sends router advertisements and hears those of servers, if anyone wants that.
    pub advertiser: Option<Advertiser>,
}

/// Sees to all of it. All privileges that are not needed any more are dropped.
///
/// Errors: a permission or device is missing, or the control socket is another's.
pub fn start(end: &EndArgs, settings: &Settings) -> Result<Started> {
    interrupt::unblock()?;
    let wanted = end.driver.unwrap_or(settings.driver);
    let (not_linux, not_user) = (settings.not_for_linux(), settings.not_for_user());
    match (wanted, &not_linux, &not_user) {
        (DriverKind::Linux, Some(why), _) => return Err(Failure::usage(format!("--driver linux: {why}"))),
        (DriverKind::User, _, Some(why)) => return Err(Failure::usage(format!("--driver user: {why}"))),
        _ => {}
    }
    let (wanted, forced) = match (wanted, not_linux) {
        (DriverKind::Auto, Some(why)) => (DriverKind::User, Some(why)),
        (wanted, _) => (wanted, None),
    };
    if wanted == DriverKind::User {
        can::make_interfaces()?;
    }
    let control = control(end.socket.as_ref().or(settings.control_socket.as_ref()), end.controlled)?;
    let advertiser = advertiser(settings)?;
    let fast = fast_path(wanted, end.fast.unwrap_or(settings.fast), settings.fast_sessions)?;
    drop_privileges(settings.runs_programs())?;
    let (driver, why) = driver(
        wanted,
        Config {
            mode: end.mode,
            debug_rate: DEBUG_RATE,
            shards: end.shards.unwrap_or(settings.shards),
            fast,
            data_checksums: settings.data_checksums && !end.no_data_checksums,
        },
    )?;
    let why = forced.unwrap_or(why);
    if let Some(user) = not_user.filter(|_| driver.name() == "user") {
        return Err(Failure::cannot(format!("{user}; but {why}")));
    }
    // Settings for that driver alone have been told so already.
    if driver.name() == "linux" && settings.driver != DriverKind::Linux {
        settings.ignored_by_linux().iter().for_each(|text| warn!("{text}"));
    }
    Ok(Started { driver, why, control, advertiser })
}

/// The driver, why it is that one, and the control API of what has no settings, but so many sessions.
///
/// Errors: the same.
pub fn start_static(
    end: &EndArgs,
    debug_rate: Option<u32>,
    sessions: u32,
) -> Result<(Arc<dyn Driver>, String, Control)> {
    interrupt::unblock()?;
    let wanted = end.driver.unwrap_or_default();
    if wanted == DriverKind::User {
        can::make_interfaces()?;
    }
    let control = control(end.socket.as_ref(), end.controlled)?;
    let fast = fast_path(wanted, end.fast.unwrap_or_default(), sessions)?;
    drop_privileges(false)?;
    let (driver, why) = driver(
        wanted,
        Config {
            mode: end.mode,
            debug_rate,
            shards: end.shards.unwrap_or(1),
            fast,
            data_checksums: !end.no_data_checksums,
        },
    )?;
    let chosen = Notice::Driver { name: driver.name().into(), why: why.clone() };
    match wanted {
        DriverKind::Auto => tell(&chosen, false),
        DriverKind::Linux | DriverKind::User => info!("{chosen}"),
    }
    Ok((driver, why, control))
}

/// Who sends router advertisements and hears them. A connection of ours can do without.
fn advertiser(settings: &Settings) -> Result<Option<Advertiser>> {
    if !settings.serves_ipv6() && !settings.dials_ipv6() {
        return Ok(None);
    }
    match Advertiser::open() {
        Err(error) if !settings.serves_ipv6() => {
            warn!("a connection has no IPv6 addresses but link-local ones: {error}");
            Ok(None)
        }
        opened => Ok(Some(opened?)),
    }
}

/// Loads the fast path, with room for so many sessions, which takes more privileges than are kept.
fn fast_path(driver: DriverKind, wanted: Fast, sessions: u32) -> Result<FastPath> {
    if driver == DriverKind::Linux {
        return Ok(FastPath::default());
    }
    FastPath::open(wanted, sessions).map_err(|error| Failure::cannot(format!("fast = \"on\": {error}")))
}

/// The driver's threads shall have no more of them than this one, which starts them.
fn drop_privileges(programs: bool) -> Result<()> {
    let kept = privileges::drop(programs)?;
    info!("{kept}");
    Ok(())
}

fn control(socket: Option<&PathBuf>, controlled: bool) -> Result<Control> {
    let controller = if controlled {
        let stream = std::io::stdin().as_fd().try_clone_to_owned().doing("standard input")?;
        Some(UnixStream::from(stream))
    } else {
        None
    };
    let listener = match socket {
        None if controlled => None,
        path => Some(Listener::bind(&socket_path(path)?)?),
    };
    Ok(Control { listener, controller })
}

/// A driver, and why it is that one.
fn driver(kind: DriverKind, config: Config) -> Result<(Arc<dyn Driver>, String)> {
    let Config { mode, debug_rate, shards, data_checksums, .. } = config;
    let chosen = match kind {
        DriverKind::Auto => pppol2tp::auto(config),
        DriverKind::Linux => {
            LinuxDriver::probe().map(|driver| (Arc::new(driver) as _, "as it was wanted".into()))
        }
        DriverKind::User => {
            UserDriver::new(config).map(|driver| (Arc::new(driver) as _, "as it was wanted".into()))
        }
    };
    let chosen = chosen.map_err(|error| Failure::cannot(format!("starting the driver: {error}")))?;
    if kind == DriverKind::Auto && chosen.0.name() == "user" {
        can::make_interfaces().map_err(|nor| Failure::cannot(format!("{}\nAnd {nor}", chosen.1)))?;
    }
    let ignored = [
        ("--mode", mode != Mode::OFFLOAD),
        ("--debug-rate", debug_rate != DEBUG_RATE),
        ("--shards", shards > 1),
        ("--no-data-checksums", !data_checksums),
    ];
    for (option, _) in ignored.into_iter().filter(|(_, given)| *given && chosen.0.name() == "linux") {
        warn!("{option} is of no effect: it is for driver = \"user\", and this is the kernel's");
    }
    Ok(chosen)
}

/// Where the control socket is.
///
/// Errors: nothing was given, and this user has no usual place.
pub fn socket_path(given: Option<&PathBuf>) -> Result<PathBuf> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(control::default_path()?),
    }
}

/// Tells of something that has happened: a line of JSON on standard output, or a line of the log.
pub fn tell(notice: &Notice, json: bool) {
    if json {
        // Nobody reads it: that is no reason to end sessions.
        let _ = output::json(notice);
    } else {
        info!(target: "notice", "{notice}");
    }
}
