//! One datagram, and what two endpoints make of it.

use std::collections::VecDeque;

use l2tp_control::wire::Message;
use l2tp_control::{Endpoint, Instant};

use super::endpoint::{config, path};

/// More hops than a conversation of strangers may take: SCCRQ, SCCRP, SCCCN, ZLB and a refusal on top.
const HOPS: usize = 8;

/// An endpoint that knows nobody answers one datagram so that another one, which knows nobody either,
/// does not go on answering.
pub fn control_datagram(data: &[u8]) {
    let now = Instant::from_micros(1);
    let mut ends = [1, 2].map(|seed| Endpoint::new(config(), [seed; 32]));
    let mut buffer = vec![0; Message::MAX];
    let mut flying = VecDeque::from([(0, data.to_vec())]);
    let mut hops = 0;
    while let Some((to, mut datagram)) = flying.pop_front() {
        ends[to].handle_datagram(now, path(to as u8 * 2), &mut datagram);
        while let Some(transmit) = ends[to].poll_transmit(now, &mut buffer) {
            flying.push_back((1 - to, buffer[..transmit.len].to_vec()));
            hops += 1;
            assert!(hops < HOPS, "an answer to an answer to an answer");
        }
        while ends[to].poll_event().is_some() {}
        assert!(ends[to].poll_timeout().is_none_or(|next| next > now));
        assert!(ends[to].tunnels() <= 1, "one datagram, one tunnel");
    }
}
