//! pppd, which does PPP on the kernel's driver in our place: one process for each session.
//!
//! ```text
//!  call_up ─► started ─┬─► its interface is up and has addresses ─► network_up
//!                      ├─► openl2tp.so tells ACCMs ────────────► SLI
//!                      └─► ended: its exit code ─────────────────► CDN, end_session
//!  close_link ─► SIGTERM, it says goodbye, ─► ended
//!  end_session ─┬─► SIGTERM, and SIGKILL after PATIENCE ─► dial_pppd_ended
//!               └─► it ends by itself, and its scripts run: the same after PATIENCE
//! ```
//!
//! | its descriptor | what |
//! |---|---|
//! | 0 | a copy of the session socket, for its plugin pppol2tp.so |
//! | 1 | options that nobody else may see: name and password, in a file in memory |
//! | 2 | what it says, for our log |
//!
//! When this process dies, the kernel's tunnels go with it; but pppd has a copy of its session socket, and so keeps its
//! channel: it would notice by its echo requests alone. The kernel tells it to end (PR_SET_PDEATHSIG).

use std::collections::BTreeMap;
use std::fs::File;
use std::future::pending;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::time::Duration;

use l2tp_control::wire::CdnResult;
use l2tp_control::{Cause, Instant};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_indextoname, if_nametoindex};
use nix::sys::memfd::{MFdFlags, memfd_create};
use pppol2tp::netlink::{Netlink, Notice, Notices};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::warn;

use self::events::{Events, LinkInfo};
use self::logins::Logins;
use self::process::Said;
use super::Reactor;
use super::ending::Ending;
use super::key::Key;
use super::network::{self, Way};
use super::sessions::Session;
use crate::accounts::TerminateCause;
use crate::advert;
use crate::config;
use crate::descriptors;
use crate::error::{Doing, Error, Result};
use crate::notice::Step;
use crate::serve::readable;

mod arguments;
mod events;
mod exit;
mod logins;
mod process;

/// How long it may go on after a call that ends while it proves who we are: the answer may lie in its queue.
const ANSWER: Duration = Duration::from_secs(2);
/// How long it may go on after any other: it may be about to write that its session has gone, and then it ends by itself.
const HANG_UP: Duration = Duration::from_millis(100);
/// How long interfaces are not looked at again: each session's coming makes several changes, each look is at all.
const LOOKS: Duration = Duration::from_millis(50);
/// The pppd of a session. It is ended when this value is dropped.
pub(super) struct Pppd {
    /// Dropped, it has pppd end now; told a time, after that.
    goes_on: Option<oneshot::Sender<Duration>>,
    /// Index of its interface, once that is there.
    index: Option<u32>,
    /// The way of a tunnel of ours, kept since before it was started, until its network is up.
    pub(super) way: Option<Way>,
}

impl Pppd {
    /// Has it end in good order.
    pub(super) fn stop(&mut self) {
        self.goes_on = None;
    }

    /// Its call has ended, and so it ends, when it has heard what came before if that matters. Until it has, nothing
    /// is routed to its interface: who has its address next may be here sooner.
    pub(super) fn end(self, netlink: &Netlink, hears: bool) {
        if let Some(goes_on) = self.goes_on {
            // It may have ended.
            let _ = goes_on.send(if hears { ANSWER } else { HANG_UP });
        }
        if let Some(index) = self.index {
            // It may have gone.
            let _ = netlink.set_up(index, false);
        }
    }

    /// Its interface: index and name.
    pub(super) fn interface(&self) -> Option<(u32, String)> {
        let index = self.index?;
        Some((index, if_indextoname(index).ok()?.into_string().ok()?))
    }
}

/// What a pppd has told.
pub(super) struct Told {
    /// The session's serial number.
    session: u64,
    what: What,
}

enum What {
    /// The peer has proved to be this user.
    User(Box<[u8]>),
    Ended {
        status: io::Result<ExitStatus>,
        said: Said,
    },
}

/// All that run, and what is told of them.
pub(super) struct Pppds {
    tasks: JoinSet<()>,
    told: mpsc::UnboundedSender<Told>,
    /// Changes of interfaces, since the first was started.
    changes: Option<(Notices, AsyncFd<OwnedFd>)>,
    /// When they are looked at next, at the earliest.
    next_look: tokio::time::Instant,
    /// Those that run for strangers.
    logins: Logins,
    /// ACCMs, since the first with the plugin openl2tp.so was started.
    events: Option<Events>,
}

/// Something is to be looked at.
pub(super) enum Happened {
    Interfaces,
    LinkInfo(LinkInfo),
}

impl Pppds {
    pub(super) fn new(told: mpsc::UnboundedSender<Told>) -> Self {
        Self {
            tasks: JoinSet::new(),
            told,
            changes: None,
            next_look: tokio::time::Instant::now(),
            logins: Logins::default(),
            events: None,
        }
    }

    /// Waits until something has happened.
    pub(super) async fn happened(&self) -> Happened {
        let changed = async {
            match &self.changes {
                Some((_, ready)) => {
                    // An error is one of the descriptor, which reading it tells.
                    drop(ready.readable().await);
                    sleep_until(self.next_look).await;
                }
                None => pending().await,
            }
        };
        let info = async {
            match &self.events {
                Some(events) => events.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = changed => Happened::Interfaces,
            info = info => Happened::LinkInfo(info),
        }
    }

    /// Waits for those that are ending.
    pub(super) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn watch(&mut self, settings: &config::Pppd) -> Result<()> {
        if self.events.is_none() && settings.options.iter().any(|word| word == events::PLUGIN) {
            match Events::listen() {
                Ok(events) => self.events = Some(events),
                Err(error) => warn!("pppd's plugin openl2tp.so is not heard: {}: {error}", events::PATH),
            }
        }
        if self.changes.is_none() {
            let doing = || "watching interfaces".to_owned();
            let notices = Notices::of_interfaces().doing(doing)?;
            let ready = readable(notices.as_fd().try_clone_to_owned().doing(doing)?)?;
            self.changes = Some((notices, ready));
        }
        Ok(())
    }

    /// Whether there were changes; all of them are taken.
    fn take_changes(&mut self) -> bool {
        self.next_look = tokio::time::Instant::now() + LOOKS;
        let Some((notices, ready)) = &mut self.changes else { return false };
        let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(Ok(mut guard)) = ready.poll_read_ready(&mut waker) {
            guard.clear_ready();
        }
        let mut any = false;
        while let Ok(Some(notice)) = notices.recv() {
            any |= matches!(notice, Notice::Interface(_) | Notice::Lost);
        }
        any
    }

    fn start(
        &mut self,
        settings: &config::Pppd,
        session: &Session,
        offer: &ppp::config::Network,
        way: Option<Way>,
    ) -> Result<Pppd> {
        let socket = session.socket.as_ref().and_then(|socket| socket.descriptor());
        let socket = socket.ok_or_else(|| Error::Gone("the kernel's session has gone".into()))?;
        self.watch(settings)?;
        let doing = || format!("starting {} (pppd-path)", settings.path.display());
        let (reader, writer) = io::pipe().doing(doing)?;
        let mut command = Command::new(&settings.path);
        command.args(arguments::of(session, offer)).args(&settings.options);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command.stdin(socket).stdout(secrets(session).doing(doing)?).stderr(writer).process_group(0);
        descriptors::as_begun(&mut command);
        // This is the process's first thread, as the reactor's is.
        pppol2tp::end_with_thread(command.as_std_mut());
        let child = command.spawn().doing(doing)?;
        let said = pipe::Receiver::from_owned_fd(reader.into()).doing(doing)?;
        let (goes_on, stop) = oneshot::channel();
        let (told, session) = (self.told.clone(), session.serial);
        // A daemon that has ended does not want to know.
        let tell = move |what| drop(told.send(Told { session, what }));
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(process::run(child, said, stop, tell));
        Ok(Pppd { goes_on: Some(goes_on), index: None, way })
    }
}

/// A file in memory with the options that nobody else may see.
fn secrets(session: &Session) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"pppd", MFdFlags::MFD_CLOEXEC)?);
    if let Some(credentials) = &session.profile.ppp.credentials {
        let options = arguments::secrets(credentials);
        file.write_all(options.as_bytes())?;
    }
    Ok(file)
}

impl Reactor<'_> {
    /// The call is connected: pppd begins.
    pub(super) fn start_pppd(&mut self, now: Instant, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let profile = session.profile.clone();
        let Some(settings) = &profile.pppd else { return };
        let known = key.tunnel().and_then(|tunnel| self.tunnels.get(&tunnel));
        let known = session.dial.is_some() || known.is_some_and(|tunnel| tunnel.peer.authenticated);
        let (serial, peer) = (session.serial, session.peer.ip());
        if !known && !self.pppds.logins.begin(serial, peer, self.settings.pppd_logins) {
            let why = "there are too many callers already who have not logged in yet";
            let cause = Cause { message: why.into(), ..Cause::new(CdnResult::NO_FACILITIES) };
            return self.hang_up_because(now, key, cause, Ending::here(TerminateCause::NAS_REQUEST, why));
        }
        let offer = match session.dial {
            Some(_) => Ok(network::client_offer(&profile)),
            None => network::server_offer(session, &mut self.pools),
        };
        let offer = match offer {
            Ok(offer) => offer,
            Err(error) => {
                self.pppds.logins.end(serial);
                return self.no_address(now, key, &error);
            }
        };
        // pppd routes what the server calls its own into the tunnel, and tells afterwards.
        let way = match session.dial {
            Some(_) => network::protect(&self.netlink, peer).map(Some),
            None => Ok(None),
        };
        match way.and_then(|way| self.pppds.start(settings, session, &offer, way)) {
            Ok(pppd) => session.pppd = Some(pppd),
            Err(error) => {
                self.pppds.logins.end(serial);
                return self.fails_here(now, key, "PPP cannot be started", &error);
            }
        }
        if let Some(dial) = session.dial {
            self.dial_step(dial, Step::Link);
        }
        self.arm(key);
    }

    pub(super) fn pppd_told(&mut self, told: Told) {
        let (now, key) = (self.clock.now(), Key::of(told.session));
        if let What::Ended { .. } = told.what {
            self.pppds.logins.end(told.session);
        }
        let session = self.sessions.get_mut(&key).filter(|session| session.serial == told.session);
        match (told.what, session) {
            (What::User(user), Some(session)) => session.user = Some(user),
            (What::User(_), None) => {}
            (What::Ended { status, said }, session) => {
                let (cause, ending) = exit::ending(&status, &said);
                match session {
                    Some(session) => {
                        session.pppd = None;
                        self.hang_up_because(now, key, cause, ending);
                    }
                    // The call has ended before.
                    None => self.dial_pppd_ended(now, told.session, ending, said.proving),
                }
                self.pump(now);
            }
        }
    }

    pub(super) fn pppd_happened(&mut self, happened: Happened) {
        match happened {
            Happened::Interfaces => self.interfaces_changed(),
            Happened::LinkInfo(LinkInfo { tunnel_id, session_id, accm }) => {
                let key = Key::from_ids(tunnel_id, session_id);
                let runs = self.sessions.get(&key).is_some_and(|session| session.pppd.is_some());
                if let Some((tunnel, session)) = key.ids().filter(|_| runs) {
                    // It is no LNS's session, or has ended meanwhile.
                    let _ = self.endpoint.send_link_info(tunnel, session, accm);
                    self.pump(self.clock.now());
                }
            }
        }
    }

    /// Interfaces have changed: those of pppd may have come, or have got or lost addresses.
    fn interfaces_changed(&mut self) {
        if !self.pppds.take_changes() {
            return;
        }
        let now = self.clock.now();
        let all = self.sessions.iter().filter_map(|(key, session)| Some((*key, session.pppd.as_ref()?)));
        let keys: Vec<_> = all.map(|(key, pppd)| (key, pppd.index.is_some())).collect();
        if keys.iter().any(|(_, known)| !known) {
            let mut heeding = Vec::new();
            for ((tunnel, session), name) in self.driver.foreign_interfaces() {
                let key = Key::from_ids(tunnel, session);
                let Some(session) = self.sessions.get_mut(&key) else { continue };
                let Some(pppd) = session.pppd.as_mut().filter(|pppd| pppd.index.is_none()) else { continue };
                pppd.index = if_nametoindex(&*name).ok();
                if let (Some(_), Some(index)) = (session.dial, pppd.index)
                    && let Err(error) = advert::deafen(&self.netlink, index, &name)
                {
                    match session.profile.ipv6 {
                        true => heeding.push((key, error)),
                        false => warn!("session {key}: {error}"),
                    }
                }
            }
            for (key, error) in heeding {
                self.fails_here(now, key, "IPv6 cannot be had safely", &error);
            }
        }
        let addresses = match getifaddrs() {
            Ok(addresses) => by_interface(addresses),
            Err(error) => return warn!("reading the addresses of interfaces: {error}"),
        };
        for (key, _) in keys {
            self.compare_addresses(now, key, &addresses);
        }
    }

    /// Takes note of the addresses that a session's interface has got or lost.
    fn compare_addresses(&mut self, now: Instant, key: Key, all: &ByInterface) {
        let up = self.sessions.get(&key).and_then(|session| session.up.as_ref());
        if let Some(Err(error)) = up.map(|up| up.stays_out(&self.netlink)) {
            self.fails_here(now, key, "the interface cannot be set up", &error);
            return self.pump(now);
        }
        let Some(mut session) = self.sessions.remove(&key) else { return };
        // What goes with the session's end has its reason there.
        let goes_on = session.pppd.as_ref().filter(|pppd| pppd.goes_on.is_some());
        let interface = goes_on.and_then(Pppd::interface);
        let mut opened = Vec::new();
        if let Some((_, name)) = &interface {
            for ipv4 in [true, false] {
                let found = addresses(all.get(name).map_or(&[], Vec::as_slice), ipv4);
                let had = session.up.as_ref().and_then(|up| up.network(ipv4));
                let had = had.map(|network| (network.local, network.remote));
                if had == found {
                    continue;
                }
                if had.is_some() {
                    self.network_closed(key, &session, ipv4, "pppd has taken its address away");
                    if let Some(up) = &mut session.up {
                        network::close(up, ipv4, &self.netlink);
                    }
                }
                opened.extend(found);
            }
        }
        self.sessions.insert(key, session);
        for (local, remote) in opened {
            if let Some((tunnel, session)) = key.ids() {
                self.endpoint.proven(tunnel, session);
            }
            if let Some(session) = self.sessions.get(&key) {
                self.pppds.logins.end(session.serial);
            }
            self.network_up(now, key, local, remote, Vec::new());
            self.pump(now);
        }
    }
}

/// The addresses of this machine, by interface.
type ByInterface = BTreeMap<String, Vec<InterfaceAddress>>;

fn by_interface(all: impl Iterator<Item = InterfaceAddress>) -> ByInterface {
    let mut by_interface = ByInterface::new();
    for address in all {
        by_interface.entry(address.interface_name.clone()).or_default().push(address);
    }
    by_interface
}

/// Our address and the other end's of an interface, if it is up, out of all that it has.
fn addresses(all: &[InterfaceAddress], ipv4: bool) -> Option<(IpAddr, IpAddr)> {
    let ip = |address: &nix::sys::socket::SockaddrStorage| match ipv4 {
        true => Some(IpAddr::V4(address.as_sockaddr_in()?.ip())),
        false => Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())),
    };
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let up = |address: &&InterfaceAddress| address.flags.contains(InterfaceFlags::IFF_UP);
    all.iter().filter(up).find_map(|address| {
        let local = ip(address.address.as_ref()?).filter(link_local)?;
        let none = if ipv4 { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
        Some((local, address.destination.as_ref().and_then(ip).unwrap_or(none)))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Settings;
    use crate::server::reload::fit;

    #[test]
    fn a_reload_cannot_change_the_driver() {
        let text =
            "driver = 'linux'\n[peer.a]\nlocal-address = '10.9.0.1'\nppp = 'pppd'\npppd-path = '/bin/sh'\n";
        let settings = || Settings::parse(Path::new("f"), text).unwrap().settings;
        assert!(fit(settings(), "linux").is_ok());
        let why = fit(settings(), "user").unwrap_err();
        assert!(why.contains("[peer.a]") && why.ends_with("on driver `user`: start it anew"), "{why}");
    }

    #[test]
    fn addresses_are_those_of_an_interface() {
        let all = by_interface(getifaddrs().unwrap());
        let lo = addresses(&all["lo"], true).map(|(local, _)| local);
        assert_eq!(lo, Some([127, 0, 0, 1].into()));
        assert_eq!(addresses(&[], true), None);
    }
}
