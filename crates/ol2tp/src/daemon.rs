//! What `static`, `serve` and `connect` have in common: the driver, the control socket, notices.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use ol2tpd::Notice;
use ol2tpd::advert::Advertiser;
use ol2tpd::config::{DriverKind, Hooks, Loaded, Problems, Settings};
use ol2tpd::control::{self, Listener};
use ol2tpd::privileges;
use ol2tpd::serve::Control;
use pppol2tp::Driver;
use pppol2tp::linux::LinuxDriver;
use pppol2tp::user::{Config, Mode, UserDriver};
use tracing::{info, warn};

use crate::args::{EndArgs, Home};
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

/// The driver, where the control API is, and who sends router advertisements if anyone wants them. All
/// privileges that are not needed any more are dropped.
///
/// Errors: a permission or device is missing, or the control socket is another's.
pub fn start(end: &EndArgs, settings: &Settings) -> Result<(Arc<dyn Driver>, Control, Option<Advertiser>)> {
    let DriverKind::User = settings.driver;
    interrupt::unblock()?;
    can::make_interfaces()?;
    let control = control(end.socket.as_ref().or(settings.control_socket.as_ref()), end.controlled)?;
    let ipv6 = settings.peers.iter().any(|peer| peer.profile.ipv6);
    let advertiser = ipv6.then(Advertiser::open).transpose()?;
    let Hooks { ip_up, ip_down, ipv6_up, ipv6_down, .. } = &settings.hooks;
    let scripts = [ip_up, ip_down, ipv6_up, ipv6_down].into_iter().any(Option::is_some);
    // The driver's threads shall have no more privileges than this one.
    info!("{}", privileges::drop(scripts)?);
    Ok((driver(end.mode, DEBUG_RATE)?, control, advertiser))
}

/// The driver and the control API of what has no settings.
///
/// Errors: the same.
pub fn start_static(
    home: Home,
    mode: Mode,
    debug_rate: Option<u32>,
    socket: Option<&PathBuf>,
    controlled: bool,
) -> Result<(Arc<dyn Driver>, Control)> {
    interrupt::unblock()?;
    can::make_interfaces()?;
    let control = control(socket, controlled)?;
    let driver = match home {
        Home::Linux => linux()?,
        Home::User => driver(mode, debug_rate)?,
    };
    Ok((driver, control))
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

fn driver(mode: Mode, debug_rate: Option<u32>) -> Result<Arc<dyn Driver>> {
    let driver = UserDriver::new(Config { mode, debug_rate })
        .map_err(|error| Failure::new(format!("starting the driver: {error}")))?;
    Ok(Arc::new(driver))
}

fn linux() -> Result<Arc<dyn Driver>> {
    let driver = LinuxDriver::probe()
        .map_err(|error| Failure::cannot(format!("the kernel's PPPoL2TP does not work here: {error}")))?;
    Ok(Arc::new(driver))
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
