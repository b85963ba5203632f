//! Slow start and congestion avoidance (RFC 2661 Appendix A).
//!
//! | event | condition | effect |
//! |---|---|---|
//! | start | | CWND 1; SSTHRESH the peer's window |
//! | ack | CWND < SSTHRESH | CWND grows by 1 |
//! | ack | CWND ≥ SSTHRESH | CWND grows by 1 after CWND acks |
//! | retransmission | first of the message | SSTHRESH half of CWND, CWND 1 |
//! | retransmission | further ones | CWND 1 |

/// How many messages may be outstanding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    peer: u16,
    cwnd: u16,
    /// Before any congestion beyond every window.
    ssthresh: u16,
    /// Acks since CWND last grew, during congestion avoidance.
    acks: u16,
}

impl Window {
    pub(super) const fn new(peer: u16) -> Self {
        Self { peer, cwnd: 1, ssthresh: u16::MAX, acks: 0 }
    }

    /// How many messages may be outstanding now.
    pub(super) fn size(&self) -> u16 {
        self.cwnd
    }

    /// The window that the peer has advertised.
    pub(super) fn peer(&self) -> u16 {
        self.peer
    }

    /// The peer advertises this window.
    pub(super) fn set_peer(&mut self, window: u16) {
        self.peer = window;
        self.cwnd = self.cwnd.min(window);
    }

    /// An ack of something new.
    pub(super) fn acked(&mut self) {
        if self.cwnd >= self.ssthresh {
            self.acks += 1;
            if self.acks < self.cwnd {
                return;
            }
            self.acks = 0;
        }
        self.cwnd = (self.cwnd + 1).min(self.peer);
    }

    /// A retransmission, the first of its message or a further one.
    pub(super) fn congested(&mut self, first: bool) {
        if first {
            self.ssthresh = self.cwnd / 2;
        }
        self.cwnd = 1;
        self.acks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CWND after each of so many acks.
    fn acks(window: &mut Window, count: usize) -> Vec<u16> {
        core::iter::repeat_with(|| {
            window.acked();
            window.size()
        })
        .take(count)
        .collect()
    }

    #[test]
    fn slow_start_grows_by_one_an_ack_up_to_the_peers_window() {
        let mut window = Window::new(5);
        assert_eq!(window.size(), 1);
        assert_eq!(acks(&mut window, 6), [2, 3, 4, 5, 5, 5]);
    }

    #[test]
    fn a_retransmission_halves_into_the_threshold_and_starts_again_from_one() {
        let mut window = Window::new(8);
        acks(&mut window, 7);
        window.congested(true);
        assert_eq!((window.size(), window.ssthresh), (1, 4));
        assert_eq!(acks(&mut window, 3), [2, 3, 4], "slow start");
        assert_eq!(acks(&mut window, 9), [4, 4, 4, 5, 5, 5, 5, 5, 6], "congestion avoidance");
        acks(&mut window, 5);
        window.congested(true);
        assert_eq!(acks(&mut window, 5), [2, 3, 3, 3, 4], "acks from before do not count");
    }

    #[test]
    fn further_retransmissions_of_the_message_leave_the_threshold() {
        let mut window = Window::new(8);
        acks(&mut window, 7);
        window.congested(true);
        window.congested(false);
        assert_eq!((window.size(), window.ssthresh), (1, 4));
    }

    #[test]
    fn congestion_with_a_window_of_one_does_not_stop_growth() {
        let mut window = Window::new(4);
        window.congested(true);
        assert_eq!((window.size(), window.ssthresh), (1, 0));
        assert_eq!(acks(&mut window, 7), [2, 2, 3, 3, 3, 4, 4]);
    }

    #[test]
    fn the_peers_window_bounds_at_once() {
        let mut window = Window::new(4);
        acks(&mut window, 3);
        window.set_peer(1);
        assert_eq!(window.size(), 1);
        assert_eq!(acks(&mut window, 3), [1, 1, 1]);
        window.set_peer(32_768);
        assert_eq!(acks(&mut window, 40_000).last(), Some(&32_768));
    }
}
