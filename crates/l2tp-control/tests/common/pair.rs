use std::collections::VecDeque;
use std::time::Duration;

use l2tp_control::config::{Config, Policy};
use l2tp_control::wire::Message;
use l2tp_control::{Connected, Endpoint, Event, Incoming, Instant, Request};
use l2tp_data::id::{SessionId, TunnelId};

use super::{LAC, LNS, Sent, config, connect_to, path};

/// Two endpoints on an ideal network, a virtual clock, and all they say and tell.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    /// The one at [`LAC`] and the one at [`LNS`].
    pub(crate) ends: [Endpoint; 2],
    pub(crate) events: [VecDeque<Event>; 2],
    /// All datagrams, by sender, those that were lost included.
    pub(crate) sent: [Vec<Sent>; 2],
    /// Decides which datagrams of which sender are lost.
    pub(crate) lose: Box<Lose>,
}

type Lose = dyn FnMut(usize, &Sent) -> bool;

impl Pair {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self::with([config(policy), config(policy)])
    }

    pub(crate) fn with(configs: [Config; 2]) -> Self {
        let [lac, lns] = configs;
        Self {
            now: Instant::from_micros(1_000_000),
            ends: [Endpoint::new(lac, [1; 32]), Endpoint::new(lns, [2; 32])],
            events: Default::default(),
            sent: Default::default(),
            lose: Box::new(|_, _| false),
        }
    }

    /// Moves datagrams until there are none.
    pub(crate) fn settle(&mut self) {
        let mut buffer = vec![0; Message::MAX];
        loop {
            let mut moved = false;
            for side in 0..2 {
                while let Some(transmit) = self.ends[side].poll_transmit(self.now, &mut buffer) {
                    moved = true;
                    let bytes = &mut buffer[..transmit.len];
                    let sent = Sent { path: transmit.path, bytes: bytes.to_vec() };
                    let lost = (self.lose)(side, &sent);
                    self.sent[side].push(sent);
                    if !lost {
                        self.ends[1 - side].handle_datagram(self.now, path([LAC, LNS][side]), bytes);
                    }
                }
                self.events[side].extend(std::iter::from_fn(|| self.ends[side].poll_event()));
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.ends.iter().filter_map(Endpoint::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
        }
        self.now = end;
    }

    /// The end at [`LAC`] opens a tunnel to the other.
    pub(crate) fn connect(&mut self, policy: &Policy) -> TunnelId {
        let id = self.ends[0].connect(self.now, connect_to(LNS, policy)).unwrap();
        self.settle();
        id
    }

    /// The same, with the ids of both ends.
    pub(crate) fn tunnel(&mut self, policy: &Policy) -> [TunnelId; 2] {
        let lac = self.connect(policy);
        let lns = self.events[1].iter().find_map(|event| match event {
            Event::TunnelUp { tunnel, peer } if peer.tunnel_id == lac => Some(*tunnel),
            _ => None,
        });
        self.events.iter_mut().for_each(VecDeque::clear);
        [lac, lns.expect("the tunnel has come up")]
    }

    /// An incoming call, with the ids of both ends.
    pub(crate) fn call(&mut self, ids: [TunnelId; 2]) -> [SessionId; 2] {
        let request = Request::Incoming(Incoming::default());
        let lac = self.ends[0].place_call(self.now, ids[0], request, Some(Connected::default())).unwrap();
        self.settle();
        let Some(Event::CallOffered { session, .. }) = self.events[1].pop_front() else { panic!() };
        self.ends[1].accept(self.now, ids[1], session).unwrap();
        self.settle();
        self.events.iter_mut().for_each(VecDeque::clear);
        [lac, session]
    }

    /// What one end has told since it was last asked.
    pub(crate) fn told(&mut self, side: usize) -> Vec<Event> {
        self.events[side].drain(..).collect()
    }

    /// What one end has counted under a name.
    pub(crate) fn count(&self, side: usize, name: &str) -> u64 {
        self.ends[side].counters().find(|(found, _)| *found == name).map_or(0, |(_, count)| count)
    }

    /// Nothing is left of any tunnel.
    pub(crate) fn assert_empty(&self) {
        for end in &self.ends {
            assert_eq!((end.tunnels(), end.sessions(), end.half_open()), (0, 0, 0));
        }
    }
}
