//! The reactor: L2TP's control protocol, PPP, accounts and the driver, brought together in one thread.
//!
//! ```text
//!  UDP ─► driver ─► control message ─► l2tp_control::Endpoint ─► Event ─┐        ┌─► driver: tunnels, sessions, units
//!                └► PPP frame ───────► ppp::Link ──────────────► Event ─┼─► Reactor ─► pools, hooks, routes, DNS
//!  control API ─► Request ──────────────────────────────────────────────┤        └─► Notice: logs, event stream
//!  accounts ────► Answer ───────────────────────────────────────────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `sockets` | UDP sockets |
//! | `tunnels` | what the control connections tell |
//! | `sessions` | one PPP session each, from the offer of the call to its end |
//! | `key` | what a session is known by |
//! | `access` | what the accounts answer |
//! | `limits` | how long it may last |
//! | `ending` | why a session ends |
//! | `reload` | the configuration is read again |
//! | `farewell` | the end of the daemon |
//! | `pppd` | pppd in place of our own PPP |
//! | `forwarding` | whether this machine forwards packets |
//! | `network` | a session's interface, addresses and routes |
//! | `up` | its name servers, router advertisements and scripts, and who is told |
//! | `dials` | connections of ours: steps, failures, the next try |
//! | `removal` | interfaces of sessions that have ended |
//! | `addresses` | the addresses that they come from |
//! | `host` | what router advertisements give a connection of ours |
//! | `resolvers` | their name servers |
//! | `seldom` | what anybody on the network can have told, once a second |
//! | `names` | the machine's name servers |
//! | `requests` | the control API |

mod access;
mod addresses;
mod dials;
mod ending;
mod farewell;
mod forwarding;
mod host;
mod key;
mod limits;
mod names;
mod network;
mod pppd;
mod reload;
mod removal;
mod requests;
mod resolvers;
mod seldom;
mod sessions;
mod sockets;
mod tunnels;
mod up;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha12Rng;
use l2tp_control::timers::Timers;
use l2tp_control::wire::Message;
use l2tp_control::{Endpoint, Instant, Path};
use l2tp_data::id::TunnelId;
use nix::libc;
use pppol2tp::netlink::Netlink;
use pppol2tp::{Driver, PassedUp, Reason};
use rand_core::{Rng, SeedableRng};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc};
use tracing::warn;
use zeroize::Zeroize;

use self::addresses::Addresses;
use self::dials::{Dials, Resolved};
use self::farewell::Farewell;
use self::key::Key;
use self::names::Names;
use self::network::Shared;
use self::pppd::{Happened, Pppds, Told};
use self::removal::Removal;
use self::requests::{Call, Remote};
use self::seldom::Seldom;
use self::sessions::Session;
use self::sockets::Sockets;
use self::tunnels::Tunnel;
use crate::accounts::{Aaa, Answer, Local};
use crate::advert::Advertiser;
use crate::config::{Peer, Settings};
use crate::control::Server;
use crate::descriptors;
use crate::error::{Doing, Error, Result};
use crate::hooks;
use crate::notice::{Failed, Notice};
use crate::notify::Notify;
use crate::pool::Pools;
use crate::routes;
use crate::serve::Control;

/// So many calls are told at once though nobody has proved anything; then one a second.
const CALLERS: u32 = 100;
/// Notices that a slow reader of the event stream may be behind.
const NOTICES: usize = 1024;
/// Requests of the control API that wait.
const REQUESTS: usize = 64;

/// What to run.
pub struct Options {
    /// Listeners, peers, connections.
    pub settings: Settings,
    /// Reads the configuration again, on SIGHUP. If it cannot be used, the old one stays.
    pub reload: Option<Reload>,
    /// Why the driver is this one.
    pub why: String,
    /// Who sends router advertisements to sessions that have IPv6, and hears those of servers.
    pub advertiser: Option<Advertiser>,
    /// Whether there is a [`Notice::Message`] for each control message and PPP control frame.
    pub trace: bool,
}

/// Reads the configuration again: the settings, or why they cannot be used.
pub type Reload = Box<dyn FnMut() -> std::result::Result<Settings, String>>;

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was told to end.
    Stopped,
    /// Nobody was to be served, and the last connection has ended.
    Failed {
        /// Which kind of failure it is.
        failure: Failed,
        /// Why, and what to do.
        why: String,
    },
}

/// Runs until SIGINT, SIGTERM or the end of the controlling connection; without listeners, until the last
/// connection of ours has ended. All tunnels are closed then.
///
/// Errors: a socket or interface that cannot be made.
pub fn run(
    driver: Arc<dyn Driver>,
    control: Control,
    options: Options,
    on_notice: impl FnMut(&Notice),
) -> Result<Outcome> {
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(|| "starting the event loop".into())?;
    let outcome = runtime.block_on(async {
        let mut server = Server::new(control).doing(|| "control socket".into())?;
        let (calls, requests) = mpsc::channel(REQUESTS);
        let mut reactor = Reactor::new(driver, options, requests, Box::new(on_notice))?;
        let remote = Arc::new(Remote { calls, notices: reactor.notices.clone() });
        let stop = tokio::sync::Notify::new();
        let serve = async {
            server.serve(&remote).await;
            stop.notify_one();
            pending::<Infallible>().await
        };
        let outcome = tokio::select! {
            outcome = reactor.run(&stop) => outcome,
            never = serve => match never {},
        };
        reactor.close().await;
        server.close().await;
        outcome
    });
    // A lookup may wait for name servers for minutes, and nobody waits for it any more.
    runtime.shutdown_background();
    outcome
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Session(Key),
    Dial(usize),
}

struct Reactor<'a> {
    settings: Settings,
    reload: Option<Reload>,
    trace: bool,
    driver: Arc<dyn Driver>,
    /// Why it is this one.
    why: String,
    clock: Clock,
    endpoint: Endpoint,
    sockets: Sockets,
    tunnels: BTreeMap<TunnelId, Tunnel>,
    sessions: BTreeMap<Key, Session>,
    /// Sessions whose link may have something to send or to tell.
    touched: Vec<Key>,
    timers: Timers<Owner>,
    /// Sessions so far.
    count: u64,
    dials: Dials,
    pools: Pools,
    shared: BTreeMap<String, Shared>,
    scripts: hooks::Runner,
    pppds: Pppds,
    netlink: Arc<Netlink>,
    removal: Removal,
    names: Names,
    advertiser: Option<up::Router>,
    addresses: Option<Addresses>,
    /// Held while routes of connections of ours may be there.
    claim: Option<routes::Claim>,
    aaa: Box<dyn Aaa>,
    inputs: Option<Inputs>,
    answers: mpsc::UnboundedSender<Answer>,
    notices: broadcast::Sender<Arc<Notice>>,
    on_notice: Box<dyn FnMut(&Notice) + 'a>,
    farewell: Option<Farewell>,
    /// Tunnels that have ended, and whose peers may not know it yet.
    leaving: BTreeSet<TunnelId>,
    strangers: Seldom,
    /// Calls that nobody has proved anything for.
    callers: Seldom,
    notify: Notify,
    /// Seeds of links, jitter.
    rng: ChaCha12Rng,
    datagram: Box<[u8]>,
    frame: Vec<u8>,
}

/// What comes in, beside datagrams and time.
struct Inputs {
    requests: mpsc::Receiver<Call>,
    answers: mpsc::UnboundedReceiver<Answer>,
    resolved: mpsc::UnboundedReceiver<Resolved>,
    told: mpsc::UnboundedReceiver<Notice>,
    pppd: mpsc::UnboundedReceiver<Told>,
    signals: Signals,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

enum Woken {
    Datagrams,
    Time,
    Answer(Answer),
    Request(Call),
    Resolved(Resolved),
    Told(Notice),
    Rerouted(Key),
    Solicited,
    Pppd(Told),
    PppdHappened(Happened),
    Readdressed,
    Stop,
    Reload,
}

/// Microseconds since the daemon began.
struct Clock(tokio::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        // A zero is "never" to some of those who ask.
        Instant::from_micros(1 + u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn at(&self, instant: Instant) -> tokio::time::Instant {
        self.0 + Duration::from_micros(instant.as_micros())
    }
}

impl<'a> Reactor<'a> {
    fn new(
        driver: Arc<dyn Driver>,
        options: Options,
        requests: mpsc::Receiver<Call>,
        on_notice: Box<dyn FnMut(&Notice) + 'a>,
    ) -> Result<Self> {
        let Options { settings, reload, why, advertiser, trace } = options;
        let (answers_in, answers) = mpsc::unbounded_channel();
        let (resolved_in, resolved) = mpsc::unbounded_channel();
        let (told_in, told) = mpsc::unbounded_channel();
        let (pppd_in, pppd) = mpsc::unbounded_channel();
        let signals = Signals::new().doing(|| "waiting for signals".into())?;
        let mut timers = Timers::new();
        let mut rng = system_rng()?;
        let mut reactor = Self {
            endpoint: Endpoint::new(control_config(&settings, &*driver), seed(&mut rng)),
            dials: Dials::new(&settings, &mut timers, resolved_in),
            pools: Pools::new(&settings),
            aaa: Box::new(Local::new(&settings.users, seed(&mut rng))),
            scripts: hooks::Runner::new(settings.hooks.clone()),
            pppds: Pppds::new(pppd_in),
            netlink: Arc::new(Netlink::open().doing(|| "netlink".into())?),
            removal: Removal::default(),
            names: Names::start(told_in),
            advertiser: advertiser.map(up::Router::new).transpose()?,
            addresses: None,
            claim: None,
            inputs: Some(Inputs { requests, answers, resolved, told, pppd, signals }),
            answers: answers_in,
            notices: broadcast::channel(NOTICES).0,
            reload,
            trace,
            driver,
            why,
            clock: Clock(tokio::time::Instant::now()),
            sockets: Sockets::default(),
            tunnels: BTreeMap::new(),
            sessions: BTreeMap::new(),
            touched: Vec::new(),
            timers,
            count: 0,
            shared: BTreeMap::new(),
            on_notice,
            farewell: None,
            leaving: BTreeSet::new(),
            strangers: Seldom::default(),
            callers: Seldom::after(CALLERS),
            notify: Notify::from_environment(),
            rng,
            datagram: vec![0; Message::MAX].into(),
            frame: Vec::new(),
            settings,
        };
        let (name, why) = (reactor.driver.name().into(), reactor.why.clone());
        reactor.notice(Notice::Driver { name, why });
        reactor.listen(&reactor.settings.listen.clone())?;
        reactor.share_interfaces()?;
        for text in forwarding::missing(&reactor.settings) {
            reactor.notice(Notice::Hint { text });
        }
        Ok(reactor)
    }

    /// Opens the listening sockets that are not there yet.
    fn listen(&mut self, wanted: &[SocketAddr]) -> Result<()> {
        let before = self.sockets.len();
        let opened = self.open_all(wanted);
        if opened.is_err() {
            self.sockets.truncate(before);
        }
        for local in opened? {
            self.notice(Notice::Listening { local });
        }
        Ok(())
    }

    fn open_all(&mut self, wanted: &[SocketAddr]) -> Result<Vec<SocketAddr>> {
        let mut opened = Vec::new();
        for &local in wanted {
            if self.sockets.bound(local).is_none() {
                let socket = match self.sockets.open(&*self.driver, local) {
                    // "All addresses" is those of the families that this machine has.
                    Err(Error::System { source, .. })
                        if source.raw_os_error() == Some(libc::EAFNOSUPPORT)
                            && local.ip().is_unspecified() =>
                    {
                        warn!("not listening on {local}: this machine has no such addresses");
                        continue;
                    }
                    socket => socket?,
                };
                opened.push(self.sockets.local(socket).unwrap_or(local));
            }
        }
        Ok(opened)
    }

    async fn run(&mut self, stop: &tokio::sync::Notify) -> Result<Outcome> {
        let mut inputs = self.inputs.take().ok_or_else(|| Error::Gone("the daemon runs already".into()))?;
        let mut batch = Vec::new();
        self.notify.ready();
        self.tell_status();
        self.begin_dials();
        loop {
            let now = self.clock.now();
            self.pump(now);
            if let Some(outcome) = self.outcome(now) {
                return Ok(outcome);
            }
            match self.wait(&mut inputs, &mut batch, stop).await {
                Woken::Datagrams => self.passed_up(&mut batch),
                Woken::Time => {}
                Woken::Answer(answer) => self.answered(answer),
                Woken::Request(call) => self.request(call),
                Woken::Resolved(resolved) => self.resolved(resolved),
                Woken::Told(notice) => self.notice(notice),
                Woken::Rerouted(key) => self.follow_routes(key),
                Woken::Solicited => self.solicited(),
                Woken::Pppd(told) => self.pppd_told(told),
                Woken::PppdHappened(happened) => self.pppd_happened(happened),
                Woken::Readdressed => self.addresses_changed(),
                Woken::Stop => self.stop(Outcome::Stopped),
                Woken::Reload => self.load_again(),
            }
            self.time_passes();
        }
    }

    async fn wait(
        &self,
        inputs: &mut Inputs,
        batch: &mut Vec<(u32, PassedUp)>,
        stop: &tokio::sync::Notify,
    ) -> Woken {
        let ends = self.farewell.as_ref().map(Farewell::next);
        let advertisement = self.advertiser.as_ref().and_then(|router| router.advertiser.poll_timeout());
        let next = [self.endpoint.poll_timeout(), self.timers.next(), advertisement, ends];
        let next = next.into_iter().flatten().min();
        let time = async {
            match next {
                Some(at) => tokio::time::sleep_until(self.clock.at(at)).await,
                None => pending().await,
            }
        };
        let Inputs { requests, answers, resolved, told, pppd, signals } = inputs;
        tokio::select! {
            biased;
            _ = signals.interrupt.recv() => Woken::Stop,
            _ = signals.terminate.recv() => Woken::Stop,
            _ = signals.hangup.recv() => Woken::Reload,
            () = stop.notified() => Woken::Stop,
            Some(answer) = answers.recv() => Woken::Answer(answer),
            Some(call) = requests.recv() => Woken::Request(call),
            Some(resolved) = resolved.recv() => Woken::Resolved(resolved),
            Some(notice) = told.recv() => Woken::Told(notice),
            Some(told) = pppd.recv() => Woken::Pppd(told),
            happened = self.pppds.happened() => Woken::PppdHappened(happened),
            key = self.rerouted() => Woken::Rerouted(key),
            () = up::solicited(self.advertiser.as_ref()) => Woken::Solicited,
            () = addresses::changed(self.addresses.as_ref()) => Woken::Readdressed,
            () = self.sockets.receive(batch) => Woken::Datagrams,
            () = time => Woken::Time,
        }
    }

    fn passed_up(&mut self, batch: &mut Vec<(u32, PassedUp)>) {
        let now = self.clock.now();
        // Control messages are handed up first. But what a link's peer has said before it ended the call may be why.
        let of_link = |reason| match reason {
            Reason::Frame(ids) => {
                self.sessions.get(&ids.into()).is_some_and(|session| session.link.is_some())
            }
            _ => false,
        };
        batch.sort_by_key(|(_, passed_up)| !of_link(passed_up.reason));
        for (socket, passed_up) in batch.drain(..) {
            let PassedUp { mut datagram, from, local, reason } = passed_up;
            match reason {
                Reason::Control => {
                    let path = Path { socket, local, peer: from };
                    self.trace_control(false, &datagram);
                    self.endpoint.handle_datagram(now, path, &mut datagram);
                    self.pump(now);
                }
                Reason::Frame(ids) => {
                    self.frame_received(now, ids, &datagram);
                }
                Reason::Gone(ids) => self.driver_session_gone(now, ids),
                // The driver has counted them.
                Reason::Short | Reason::Version | Reason::UnknownSession => {}
            }
            // It may have been PAP's password, from the peer or in its LAC's words.
            datagram.zeroize();
        }
    }

    fn time_passes(&mut self) {
        let now = self.clock.now();
        self.pump(now);
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.pump(now);
        }
        if let Some(router) = &mut self.advertiser {
            router.advertiser.handle_timeout(now);
        }
        while let Some((_, owner)) = self.timers.expire(now) {
            match owner {
                Owner::Session(key) => self.session_timeout(now, key),
                Owner::Dial(dial) => self.dial_timeout(now, dial),
            }
            self.pump(now);
        }
    }

    /// Sends and tells all there is.
    fn pump(&mut self, now: Instant) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit(now, &mut self.datagram) {
                self.sockets.send(&transmit.path, &self.datagram[..transmit.len]);
                if self.trace {
                    let datagram = self.datagram[..transmit.len].to_vec();
                    self.trace_control(true, &datagram);
                }
            }
            if let Some(event) = self.endpoint.poll_event() {
                self.control_event(now, event);
            } else if let Some(key) = self.touched.pop() {
                self.drain(now, key);
            } else {
                return;
            }
        }
    }

    /// Where peers find us, for those who ask the service manager.
    fn tell_status(&self) {
        let listening = self.settings.listen.iter().filter_map(|local| self.sockets.bound(*local));
        let listening: Vec<_> = listening.map(|local| local.to_string()).collect();
        self.notify.status(&match listening.is_empty() {
            true => format!("connections of ours: {}", self.settings.connect.len()),
            false => format!("listening on {}", listening.join(", ")),
        });
    }

    fn notice(&mut self, notice: Notice) {
        (self.on_notice)(&notice);
        if self.notices.receiver_count() > 0 {
            // Whoever is left behind is told so.
            let _ = self.notices.send(Arc::new(notice));
        }
    }
}

/// The Vendor Name of one whose driver has a fast path.
const FAST_VENDOR: &str = "ol2tp with fast path";

/// What the control protocol is told.
fn control_config(settings: &Settings, driver: &dyn Driver) -> l2tp_control::config::Config {
    l2tp_control::config::Config {
        host_name: settings.host_name.clone(),
        peers: settings.peers.iter().map(Peer::rule).collect(),
        limits: settings.limits,
        vendor_name: if driver.fast().is_ok() { FAST_VENDOR } else { "ol2tp" }.into(),
        ..l2tp_control::config::Config::default()
    }
}

/// Numbers that nobody can guess.
fn system_rng() -> Result<ChaCha12Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| std::io::Error::other(error.to_string()))
        .doing(|| "asking the system for random numbers".into())?;
    Ok(ChaCha12Rng::from_seed(seed))
}

fn seed(rng: &mut ChaCha12Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}
