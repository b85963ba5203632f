//! Runs until a signal comes, the controlling connection ends, or what is run has gone.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use pppol2tp::{Driver, UdpHandle, Unit};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::yield_now;

use crate::control::{Context, Listener, Server};
use crate::error::{Doing, Error, Result};
use crate::ignored::{Ignored, Kind};
use crate::sockets::Sockets;

/// How many datagrams are looked at before others have their turn.
const TURN: usize = 256;

/// Where the control API is offered.
#[derive(Default)]
pub struct Control {
    /// A socket that clients connect to.
    pub listener: Option<Listener>,
    /// A connection whose end is the end of the daemon: of a program that runs it as its child.
    pub controller: Option<UnixStream>,
}

/// Opens sockets of a driver, which was taken for the reason `why`, calls `ready`, and serves until SIGINT, SIGTERM or the end of the controlling
/// connection. On return everything is closed.
///
/// Errors: what `open` and `ready` return, or the interface has gone.
pub fn run(
    driver: Arc<dyn Driver>,
    why: String,
    control: Control,
    open: impl FnOnce(&dyn Driver) -> Result<Sockets>,
    ready: impl FnOnce(&Sockets) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(|| "starting the event loop".into())?;
    runtime.block_on(async {
        let mut signals = Signals::new().doing(|| "waiting for signals".into())?;
        let mut server = Server::new(control).doing(|| "control socket".into())?;
        let sockets = open(&*driver)?;
        ready(&sockets)?;
        let context = Arc::new(Context { sockets, driver, why });
        let result = tokio::select! {
            () = signals.any() => Ok(()),
            () = server.serve(&context) => Ok(()),
            error = watch(&context.sockets) => Err(error),
        };
        server.close().await;
        result
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Takes what is passed up and counts it as ignored; returns when the first unit has gone.
async fn watch(sockets: &Sockets) -> Error {
    match try_watch(sockets).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn try_watch(sockets: &Sockets) -> Result<std::convert::Infallible> {
    let udp = &*sockets.udp;
    let udp_ready = readable(udp.poll_fd().doing(|| "UDP socket".into())?)?;
    let unit = sockets.units.first().map(|unit| &**unit);
    let unit_ready = match unit {
        Some(unit) => Some(readable(unit.poll_fd().doing(|| format!("interface {}", unit.interface()))?)?),
        None => None,
    };
    let mut ignored = Ignored::default();
    loop {
        tokio::select! {
            ready = udp_ready.readable() => {
                let mut ready = ready.doing(|| "UDP socket".into())?;
                if drain_udp(udp, &mut ignored) {
                    ready.clear_ready();
                } else {
                    yield_now().await;
                }
            }
            ready = next(unit_ready.as_ref()) => {
                let mut ready = ready.doing(|| "PPP unit".into())?;
                let Some(unit) = unit else { continue };
                if !unit.is_alive() {
                    let name = unit.interface();
                    return Err(Error::Gone(format!(
                        "interface {name} has gone: it was deleted, or its tunnel's socket failed. \
                         The session has ended; start it again"
                    )));
                }
                if drain_unit(unit, &mut ignored) {
                    ready.clear_ready();
                } else {
                    yield_now().await;
                }
            }
            () = ignored.due() => ignored.report(),
        }
    }
}

type Ready<'a> = AsyncFd<BorrowedFd<'a>>;

/// Watches a descriptor that the driver has.
// The replacement is unsafe because an `AsRawFd` may lie; a descriptor's owner and borrower cannot.
#[allow(deprecated)]
pub(crate) fn readable<T: AsFd + AsRawFd>(fd: T) -> Result<AsyncFd<T>> {
    AsyncFd::with_interest(fd, Interest::READABLE).doing(|| "watching a descriptor of the driver".into())
}

async fn next<'a, 'fd>(
    ready: Option<&'a Ready<'fd>>,
) -> std::io::Result<tokio::io::unix::AsyncFdReadyGuard<'a, BorrowedFd<'fd>>> {
    match ready {
        Some(ready) => ready.readable().await,
        None => std::future::pending().await,
    }
}

/// Whether nothing is left.
fn drain_udp(udp: &dyn UdpHandle, ignored: &mut Ignored) -> bool {
    for _ in 0..TURN {
        match udp.recv() {
            Some(passed_up) => ignored.add(passed_up.reason.into()),
            None => return true,
        }
    }
    false
}

/// Whether nothing is left.
fn drain_unit(unit: &dyn Unit, ignored: &mut Ignored) -> bool {
    for _ in 0..TURN {
        match unit.recv(&mut []) {
            Ok(Some(_)) => ignored.add(Kind::PppControl),
            Ok(None) | Err(_) => return true,
        }
    }
    false
}
