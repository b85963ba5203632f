//! Whole exchanges: those of RFC 2661 Appendix B, and others that must go well.

use super::*;

/// RFC 2661 Appendix B.1: lock-step tunnel establishment.
#[test]
fn appendix_b1_lock_step_establishment() {
    let (mut a, mut b) = (Reliable::new(4), Reliable::new(4));
    assert_eq!(a.say(ms(0), b"q"), [(0, 0, Some(b'q'))], "SCCRQ");
    b.hear(ms(0), 0, 0, b'q');
    assert_eq!(b.say(ms(0), b"p"), [(0, 1, Some(b'p'))], "SCCRP");
    a.hear(ms(0), 0, 1, b'p');
    assert_eq!(a.say(ms(0), b"n"), [(1, 1, Some(b'n'))], "SCCCN");
    b.hear(ms(0), 1, 1, b'n');
    assert_eq!(b.drain(ms(0)), [(1, 2, None)], "ZLB, at once: A may wait for it");
    a.hear_zlb(ms(0), 1, 2);
    assert!(a.is_idle() && b.is_idle());
    assert_eq!((a.next_timeout(), b.next_timeout()), (None, None));
}

/// RFC 2661 Appendix B.2: the ICRP is lost, and with it the ack of the ICRQ.
#[test]
fn appendix_b2_lost_packet_with_retransmission() {
    let (mut a, mut b) = (Reliable::starting_at(4, 2, 1), Reliable::starting_at(4, 1, 2));
    assert_eq!(a.say(ms(0), b"Q"), [(2, 1, Some(b'Q'))], "ICRQ");
    b.hear(ms(10), 2, 1, b'Q');
    assert_eq!(b.say(ms(10), b"P"), [(1, 3, Some(b'P'))], "ICRP, lost");
    assert_eq!(a.tick(ms(1000)), [(2, 1, Some(b'Q'))], "A's timer fires first");
    assert_eq!(b.hear(ms(1005), 2, 1, b'Q').arrival, Arrival::Duplicate);
    assert_eq!(b.drain(ms(1005)), [(2, 3, None)], "ZLB");
    a.hear_zlb(ms(1008), 2, 3);
    assert_eq!(b.tick(ms(1010)), [(1, 3, Some(b'P'))], "B's timer fires");
    a.hear(ms(1015), 1, 3, b'P');
    assert_eq!(a.say(ms(1015), b"N"), [(3, 2, Some(b'N'))], "ICCN");
    b.hear(ms(1020), 3, 2, b'N');
    let at = b.next_timeout().expect("an ack is owed").0;
    assert_eq!(b.drain(at), [(2, 4, None)], "ZLB");
    a.hear_zlb(at, 2, 4);
    assert!(a.is_idle() && b.is_idle());
}

/// A peer that takes and sends one message at a time sets up tunnel and session without waiting for
/// an ack delay.
#[test]
fn a_peer_with_a_window_of_one_never_waits_for_the_ack_delay() {
    let mut lns = Reliable::new(16);
    let mut nr = 0;
    // Its messages; what is answered, if anything.
    let script =
        [(b'q', Some(b'p')), (b'n', None), (b'Q', Some(b'P')), (b'N', None), (b'H', None), (b'H', None)];
    for (ns, (message, answer)) in (0..).zip(script) {
        lns.hear(ms(1), ns, nr, message);
        if ns == 0 {
            lns.set_peer_window(1);
        }
        let sent = lns.say(ms(1), answer.as_slice());
        assert_eq!(sent, [(nr, ns + 1, answer)], "an ack at once, by itself only without an answer");
        nr += u16::from(answer.is_some());
    }
}

/// Answers that take a while (the answer to ICRQ asks an accounting server) do not delay the ack
/// beyond the ack delay.
#[test]
fn a_late_answer_does_not_cause_a_retransmission() {
    let (mut lac, mut lns) = (Reliable::open(4, 4), Reliable::open(4, 4));
    lns.peer_cwnd = 4;
    lac.say(ms(0), b"Q");
    lns.hear(ms(20), 0, 0, b'Q');
    let at = lns.next_timeout().expect("an ack is owed").0;
    assert_eq!((at, lns.drain(at)), (ms(70), vec![(0, 1, None)]));
    lac.hear_zlb(ms(90), 0, 1);
    assert_eq!(lac.next_timeout(), None);
    assert_eq!(lns.say(ms(5000), b"P"), [(0, 1, Some(b'P'))]);
}

/// Acks of a stream: one for half a window, none for ZLBs.
#[test]
fn two_ends_that_are_idle_exchange_nothing() {
    let (mut a, mut b) = (Reliable::new(4), Reliable::new(4));
    a.say(ms(0), b"H");
    b.hear(ms(0), 0, 0, b'H');
    assert_eq!(b.drain(ms(0)), [(0, 1, None)]);
    // The network doubles and reflects the ZLB as often as it likes.
    for _ in 0..3 {
        a.hear_zlb(ms(1), 0, 1);
        b.hear_zlb(ms(1), 0, 1);
        assert_eq!((a.drain(ms(9999)), b.drain(ms(9999))), (vec![], vec![]));
    }
}

/// Beyond 65535 comes 0, on both sides of the window.
#[test]
fn numbers_wrap() {
    let (mut a, mut b) = (Reliable::starting_at(4, 65_534, 9), Reliable::starting_at(4, 9, 65_534));
    (0..3).for_each(|_| a.window.acked());
    b.peer_cwnd = 8;
    assert_eq!(
        a.say(ms(0), &[1, 2, 3, 4, 5]),
        [(65_534, 9, Some(1)), (65_535, 9, Some(2)), (0, 9, Some(3)), (1, 9, Some(4))]
    );
    for (ns, byte) in [(0, 3), (65_535, 2), (1, 4)] {
        assert_eq!(b.hear(ms(0), ns, 9, byte).arrival, Arrival::Stored);
    }
    assert_eq!(b.hear(ms(0), 65_534, 9, 1).arrival, Arrival::Deliver);
    assert_eq!((b.stored(), b.drain(ms(0))), (vec![2, 3, 4], vec![(9, 2, None)]));
    assert_eq!(a.hear_zlb(ms(0), 9, 2).ack, Ack::New(4));
    assert_eq!(a.drain(ms(0)), [(2, 9, Some(5))]);
}

/// A StopCCN does not wait for a hundred calls that were never begun.
#[test]
fn what_was_never_sent_can_be_taken_back() {
    let mut a = Reliable::open(4, 2);
    assert_eq!(a.say(ms(0), &[1, 2, 3, 4, 5]), [(0, 0, Some(1)), (1, 0, Some(2))]);
    a.discard_unsent();
    a.send([9]);
    a.hear_zlb(ms(1), 0, 1);
    assert_eq!(a.drain(ms(1)), [(2, 0, Some(9))]);
    a.discard_unsent();
    assert_eq!(a.backlog(), 2, "what was sent stays");
}

/// An ended tunnel acks until it is forgotten.
#[test]
fn an_ended_tunnel_goes_on_acking() {
    let mut b = Reliable::new(4);
    b.hear(ms(0), 0, 0, b'S');
    assert_eq!(b.drain(ms(0)), [(0, 1, None)], "lost");
    for at in [1000, 3000, 7000, 15_000, 23_000] {
        assert_eq!(b.hear(ms(at), 0, 0, b'S').arrival, Arrival::Duplicate);
        assert_eq!(b.drain(ms(at)), [(0, 1, None)]);
        assert!(b.is_idle());
    }
}

/// 60,000 idle tunnels matter.
#[test]
fn an_idle_tunnel_is_small_and_keeps_nothing() {
    assert!(size_of::<Reliable>() <= 120, "{}", size_of::<Reliable>());
    let mut a = Reliable::open(16, 16);
    a.say(ms(0), &[1; 16]);
    (1..16).for_each(|ns| assert_eq!(a.hear(ms(0), ns, 0, 1).arrival, Arrival::Stored));
    a.hear(ms(0), 0, 16, 1);
    assert_eq!(a.stored().len(), 15);
    assert!(a.is_idle() && a.queue.capacity() == 0 && a.stored.is_empty());
}

#[test]
fn counters_have_names_and_sums() {
    let mut a = Reliable::new(4);
    a.hear(ms(0), 9, 3, 1);
    a.hear(ms(0), 65_535, 0, 1);
    let mut sum = *a.counters();
    sum.add(a.counters());
    let named = Vec::from_iter(sum.named().filter(|&(_, count)| count > 0));
    assert_eq!(named, [("duplicates", 2), ("out_of_window", 2), ("unsent_nr", 2)]);
}

/// The messages may hold secrets.
#[test]
fn debug_prints_no_message() {
    let mut a = Reliable::new(4);
    a.send(*b"secret");
    assert_eq!(
        format!("{a:?}"),
        "Reliable { una: 0, sent: 0, queued: 1, nr: 0, \
         window: Window { peer: 4, cwnd: 1, ssthresh: 65535, acks: 0 }, .. }"
    );
}
