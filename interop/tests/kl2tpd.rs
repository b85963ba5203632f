//! A real LAC, kl2tpd, opens a tunnel with a session to our endpoint; either side ends them.
//!
//! ```text
//!   kl2tpd -null ── 127.0.0.1 ── Host: a UDP socket and our Endpoint
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use interop::control::Host;
use interop::kl2tpd::{HOST_NAME, Kl2tpd};
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::reliable::Timing;
use l2tp_control::wire::{CdnResult, StopResult};
use l2tp_control::{By, Cause, Event, Request};
use l2tp_data::id::{SessionId, TunnelId};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An ended tunnel lingers for 3 s, not 31.
const TIMING: Timing = Timing {
    retransmit: Duration::from_millis(500),
    cap: Duration::from_millis(500),
    retransmissions: 5,
    ack_delay: Duration::from_millis(50),
};

#[test]
fn kl2tpd_ends_its_tunnel() {
    let mut scene = Scene::offered();
    scene.accept();
    scene.peer.interrupt().expect("it runs");
    loop {
        match scene.event() {
            // Without a kernel's PPPoL2TP it may end its session first.
            Event::CallDown { .. } => {}
            Event::TunnelDown { reason, .. } => {
                assert_eq!((reason.by, reason.cause.result), (By::Peer, StopResult::CLEAR), "{reason}");
                break;
            }
            event => panic!("{event:?}"),
        }
    }
    scene.settle();
    let (status, log) = scene.peer.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}\n{log}");
    assert!(log.contains("graceful shutdown complete"), "it has our ack of its StopCCN: {log}");
}

#[test]
fn kl2tpd_is_hung_up_on() {
    let mut scene = Scene::offered();
    scene.accept();
    scene.hang_up(CdnResult::ADMINISTRATIVE);
    scene.close();
    heard(&scene.end(), &["Sccrp", "Icrp", "Cdn", "Stopccn"]);
}

#[test]
fn kl2tpd_is_refused_its_call() {
    let mut scene = Scene::offered();
    scene.hang_up(CdnResult::NO_FACILITIES);
    scene.close();
    let log = scene.end();
    heard(&log, &["Sccrp", "Cdn", "Stopccn"]);
    assert!(!log.contains("session up"), "{log}");
}

#[test]
fn kl2tpd_loses_its_tunnel() {
    let mut scene = Scene::offered();
    scene.accept();
    scene.close();
    heard(&scene.end(), &["Sccrp", "Icrp", "Stopccn"]);
}

/// Our endpoint, a kl2tpd, and what there is between them.
struct Scene {
    host: Host,
    peer: Kl2tpd,
    tunnel: TunnelId,
    session: SessionId,
}

impl Scene {
    /// kl2tpd has opened a tunnel and offered a call.
    fn offered() -> Self {
        let policy = Policy { timing: TIMING, ..Policy::default() };
        let config = Config { peers: vec![PeerRule::anyone(policy)], ..Config::default() };
        let mut host = Host::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config).expect("a socket");
        let peer = Kl2tpd::start(host.address().expect("it is bound")).expect("kl2tpd");
        let tunnel = match host.event(PATIENCE).expect("a tunnel") {
            Event::TunnelUp { tunnel, peer } => {
                assert_eq!(peer.host_name, HOST_NAME.as_bytes());
                tunnel
            }
            event => panic!("{event:?}"),
        };
        match host.event(PATIENCE).expect("a call") {
            Event::CallOffered { tunnel: of, session, request } => {
                assert!(of == tunnel && matches!(*request, Request::Incoming(_)), "{request:?}");
                Self { host, peer, tunnel, session }
            }
            event => panic!("{event:?}"),
        }
    }

    fn event(&mut self) -> Event {
        self.host.event(PATIENCE).expect("an event")
    }

    /// We take the call, and it comes up.
    fn accept(&mut self) {
        let (now, end) = self.host.command();
        end.accept(now, self.tunnel, self.session).expect("it is offered");
        let up = self.event();
        assert!(matches!(up, Event::CallUp { session, .. } if session == self.session), "{up:?}");
    }

    fn hang_up(&mut self, result: CdnResult) {
        let (now, end) = self.host.command();
        end.hang_up(now, self.tunnel, self.session, Cause::new(result)).expect("there is a call");
        match self.event() {
            Event::CallDown { session, reason, .. } => {
                assert_eq!((session, reason.by, reason.cause.result), (self.session, By::Us, result));
            }
            event => panic!("{event:?}"),
        }
    }

    fn close(&mut self) {
        let (now, end) = self.host.command();
        end.close(now, self.tunnel, Cause::new(StopResult::CLEAR)).expect("there is a tunnel");
        match self.event() {
            Event::TunnelDown { reason, .. } => assert_eq!(reason.by, By::Us),
            event => panic!("{event:?}"),
        }
    }

    /// Nothing is left of the tunnel, and all that was said was understood.
    fn settle(&mut self) {
        self.host.until(PATIENCE, |end| end.is_empty()).expect("it has lingered");
        let (_, end) = self.host.command();
        let counters: Vec<_> = end.counters().collect();
        // `mandatory_bit`: its Protocol Version lacks it. `no_session`: its CDN crosses ours.
        let odd = counters.iter().find(|(name, _)| !["mandatory_bit", "no_session"].contains(name));
        assert_eq!(odd, None, "{counters:?}");
    }

    /// The same, then kl2tpd's end. Returns what it has said.
    fn end(mut self) -> String {
        self.settle();
        // By itself it would linger for 31 s.
        self.peer.kill().expect("it runs")
    }
}

/// kl2tpd has received these messages.
fn heard(log: &str, messages: &[&str]) {
    for message in messages {
        let line = format!("message=recv message_type=avpMsgType{message}\n");
        assert!(log.contains(&line), "{message}: {log}");
    }
}
