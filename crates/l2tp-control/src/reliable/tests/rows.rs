//! The table of the module's documentation, a test a row.

use super::*;
use Ack::{New, Nothing, Stale, Unsent};
use Arrival::{Deliver, Duplicate, NoRoom, OutOfWindow, Zlb};

const fn receipt(arrival: Arrival, ack: Ack) -> Receipt {
    Receipt { arrival, ack }
}

/// Messages 0, 1 and 2 are in flight since 0 ms, 3 waits.
fn three_in_flight() -> Reliable {
    let mut reliable = Reliable::open(4, 3);
    assert_eq!(
        reliable.say(ms(0), &[10, 11, 12, 13]),
        [(0, 0, Some(10)), (1, 0, Some(11)), (2, 0, Some(12))]
    );
    reliable
}

#[test]
fn n1_an_nr_that_is_the_oldest_unacked_is_no_news() {
    let mut reliable = three_in_flight();
    assert_eq!(reliable.hear_zlb(ms(500), 0, 0), receipt(Zlb, Nothing));
    assert_eq!(reliable.drain(ms(500)), []);
    assert_eq!((reliable.backlog(), reliable.next_timeout()), (4, Some((ms(1000), Timer::Retransmission))));
}

#[test]
fn n2_an_nr_that_acks_frees_and_starts_timer_and_budget_anew() {
    let mut reliable = three_in_flight();
    assert_eq!(reliable.tick(ms(1000)), [(0, 0, Some(10))]);
    assert_eq!(reliable.next_timeout(), Some((ms(3000), Timer::Retransmission)), "backed off");
    assert_eq!(reliable.hear_zlb(ms(1500), 0, 2), receipt(Zlb, New(2)));
    assert_eq!((reliable.backlog(), reliable.window()), (2, 2));
    assert_eq!(reliable.drain(ms(1500)), [(2, 0, Some(12)), (3, 0, Some(13))]);
    assert_eq!((reliable.next_timeout(), reliable.timeouts), (Some((ms(2500), Timer::Retransmission)), 0));
    assert_eq!(reliable.hear_zlb(ms(1600), 0, 3), receipt(Zlb, New(1)));
    assert_eq!(reliable.next_timeout(), Some((ms(2600), Timer::Retransmission)), "for the new oldest");
    assert_eq!(reliable.hear_zlb(ms(1700), 0, 4), receipt(Zlb, New(1)));
    assert_eq!((reliable.next_timeout(), reliable.is_idle()), (None, true));
}

#[test]
fn n2_messages_ack_as_zlbs_do() {
    let mut reliable = three_in_flight();
    assert_eq!(reliable.hear(ms(1), 0, 1, 20), receipt(Deliver, New(1)));
    assert_eq!(reliable.hear(ms(2), 0, 2, 20), receipt(Duplicate, New(1)));
    assert_eq!(reliable.hear(ms(3), 9, 3, 29), receipt(OutOfWindow, New(1)));
}

#[test]
fn n3_an_older_nr_is_ignored() {
    for (una, nr) in [(3u16, 2u16), (3, 0), (3, 65_535), (3, 32_771), (0, 65_535), (0, 32_768)] {
        let mut reliable = Reliable::starting_at(4, una, 0);
        reliable.say(ms(0), &[10]);
        assert_eq!(reliable.hear_zlb(ms(1), 0, nr), receipt(Zlb, Stale), "{nr} before {una}");
        assert_eq!((reliable.backlog(), reliable.counters.stale_nr), (1, 1));
    }
}

#[test]
fn n4_an_nr_beyond_what_was_sent_is_ignored_and_the_message_counts() {
    let mut reliable = three_in_flight();
    for nr in [4, 5, 32_767] {
        assert_eq!(reliable.hear_zlb(ms(1), 0, nr), receipt(Zlb, Unsent), "{nr}: 3 was never sent");
    }
    assert_eq!(reliable.hear(ms(1), 0, 4, 20), receipt(Deliver, Unsent));
    assert_eq!((reliable.backlog(), reliable.counters.unsent_nr), (4, 4));
}

#[test]
fn r1_the_ns_of_a_zlb_means_nothing_and_it_is_never_acked() {
    for ns in [0, 1, 3, 4, 32_767, 32_768, 65_535] {
        let mut reliable = Reliable::new(4);
        assert_eq!(reliable.hear_zlb(ms(0), ns, 0), receipt(Zlb, Nothing));
        assert_eq!((reliable.nr(), reliable.next_timeout(), reliable.drain(ms(9999))), (0, None, vec![]));
    }
}

#[test]
fn r2_the_next_message_is_delivered_and_acked_within_the_ack_delay() {
    let mut reliable = Reliable::open(4, 4);
    reliable.peer_cwnd = 4;
    assert_eq!(reliable.hear(ms(0), 0, 0, 20), receipt(Deliver, Nothing));
    assert_eq!((reliable.nr(), reliable.take_stored()), (1, None));
    assert_eq!(reliable.next_timeout(), Some((ms(50), Timer::Ack)));
    assert_eq!((reliable.tick(ms(49)), reliable.tick(ms(50))), (vec![], vec![(0, 1, None)]));
}

#[test]
fn r3_every_second_message_is_acked_at_once_and_every_one_for_a_small_window() {
    // The peer's window, its slow start's; after how many messages.
    let table = [
        (4, 4, 2),
        (16, 3, 2),
        (3, 16, 2),
        (32_768, 32_768, 2),
        (16, 2, 1),
        (16, 1, 1),
        (1, 16, 1),
        (2, 16, 1),
    ];
    for (peers, slow_start, count) in table {
        let mut reliable = Reliable::new(16);
        reliable.set_peer_window(peers);
        reliable.peer_cwnd = slow_start;
        for ns in 0..count {
            assert_eq!(reliable.drain(ms(0)), [], "before {ns} of {count}");
            assert_eq!(reliable.hear(ms(0), ns, 0, 20), receipt(Deliver, Nothing));
        }
        assert_eq!(reliable.drain(ms(0)), [(0, count, None)], "{peers} {slow_start}");
    }
}

#[test]
fn r3_the_peers_slow_start_is_what_our_acks_make_it() {
    let mut reliable = Reliable::open(64, 64);
    // Whether each message is acked at once. Every ack lets the peer's window grow by one.
    let mut acked = |messages: usize| {
        let hear = |_| {
            reliable.hear(ms(0), reliable.nr(), 0, 20);
            !reliable.drain(ms(0)).is_empty()
        };
        let acked = Vec::from_iter((0..messages).map(hear));
        reliable.hear(ms(0), 0, 0, 20);
        assert_eq!(reliable.drain(ms(0)).len(), 1, "the duplicate");
        acked
    };
    assert_eq!(acked(8), [true, true, false, true, false, true, false, true]);
    assert_eq!(acked(5), [true, true, false, true, false], "it has retransmitted: from one on again");
}

#[test]
fn r4_the_message_that_fills_the_gap_releases_the_stored_ones_and_is_acked_at_once() {
    let mut reliable = Reliable::open(16, 16);
    reliable.peer_cwnd = 16;
    for ns in [3, 1, 5, 2] {
        assert_eq!(reliable.hear(ms(0), ns, 0, 20 + ns as u8), receipt(Arrival::Stored, Nothing));
        assert_eq!((reliable.take_stored(), reliable.nr()), (None, 0));
    }
    assert_eq!(reliable.hear(ms(0), 0, 0, 20), receipt(Deliver, Nothing));
    assert_eq!((reliable.nr(), reliable.stored()), (4, vec![21, 22, 23]));
    assert_eq!(reliable.drain(ms(0)), [(0, 4, None)]);
    assert_eq!(reliable.hear(ms(1), 4, 0, 24), receipt(Deliver, Nothing));
    assert_eq!((reliable.nr(), reliable.stored(), reliable.stored.is_empty()), (6, vec![25], true));
}

#[test]
fn r4_a_message_before_the_gap_is_acked_at_once_too() {
    let mut reliable = Reliable::open(16, 16);
    reliable.peer_cwnd = 16;
    reliable.hear(ms(0), 2, 0, 22);
    assert_eq!(reliable.hear(ms(0), 0, 0, 20), receipt(Deliver, Nothing));
    assert_eq!((reliable.stored(), reliable.drain(ms(0))), (vec![], vec![(0, 1, None)]));
}

#[test]
fn r5_what_is_ahead_inside_our_window_is_stored_without_an_ack() {
    // Our window, as advertised; the last Ns that is inside.
    for (window, last) in [(1, 3), (4, 3), (5, 4), (100, 99), (32_768, 32_767), (65_535, 32_767)] {
        let mut reliable = Reliable::new(window);
        assert_eq!(reliable.hear(ms(0), last, 0, 20), receipt(Arrival::Stored, Nothing), "{window}");
        assert_eq!((reliable.drain(ms(9999)), reliable.counters.stored), (vec![], 1));
    }
}

#[test]
fn r6_what_is_stored_already_is_a_duplicate_and_acked_at_once() {
    let mut reliable = Reliable::new(4);
    reliable.hear(ms(0), 2, 0, 20);
    assert_eq!(reliable.hear(ms(1), 2, 0, 99), receipt(Duplicate, Nothing));
    assert_eq!(reliable.drain(ms(1)), [(0, 0, None)]);
    reliable.hear(ms(2), 1, 0, 21);
    reliable.hear(ms(2), 0, 0, 22);
    assert_eq!(reliable.stored(), [21, 20], "the first of the two");
}

#[test]
fn r7_what_does_not_fit_the_store_is_dropped_and_taken_later() {
    let mut reliable = Reliable::new(1000);
    let (half, rest) = (vec![20; stored::BYTES / 2 - stored::OVERHEAD], vec![21; stored::BYTES / 2]);
    let mut hear = |ns, message: &[u8]| reliable.receive(ms(0), &TIMING, ns, 0, Some(message)).arrival;
    assert_eq!((hear(1, &half), hear(3, &rest), hear(4, &half)), (Arrival::Stored, NoRoom, Arrival::Stored));
    assert_eq!((hear(2, &[]), hear(1, &half)), (NoRoom, Duplicate));
    assert_eq!(hear(0, &rest), Deliver, "the next one is never stored");
    assert_eq!(reliable.stored(), [20]);
    assert_eq!(
        (reliable.hear(ms(0), 2, 0, 22).arrival, reliable.hear(ms(0), 3, 0, 23).arrival),
        (Deliver, Deliver)
    );
    assert_eq!((reliable.stored(), reliable.counters.no_room), (vec![20], 2));
}

#[test]
fn r8_what_is_ahead_of_our_window_is_dropped_without_an_ack() {
    // Our window, as advertised; the first Ns that is outside.
    for (window, first) in [(1, 4), (4, 4), (5, 5), (100, 100), (32_767, 32_767)] {
        let mut reliable = Reliable::new(window);
        for ns in [first, 32_767] {
            assert_eq!(reliable.hear(ms(0), ns, 0, 20), receipt(OutOfWindow, Nothing), "{window}");
        }
        assert_eq!((reliable.drain(ms(9999)), reliable.counters.out_of_window), (vec![], 2));
    }
}

#[test]
fn r9_the_32768_numbers_before_our_nr_are_duplicates_and_acked_at_once() {
    // RFC 2661 §5.8: after 15, 0 to 15 and 32784 to 65535.
    for ns in [15, 14, 0, 65_535, 40_000, 32_784] {
        let mut reliable = Reliable::starting_at(4, 7, 16);
        assert_eq!(reliable.hear(ms(5), ns, 7, 20), receipt(Duplicate, Nothing), "{ns}");
        assert_eq!((reliable.drain(ms(5)), reliable.counters.duplicates), (vec![(7, 16, None)], 1));
        assert_eq!(reliable.next_timeout(), None);
    }
    assert_eq!(Reliable::starting_at(4, 7, 16).hear(ms(5), 32_783, 7, 20).arrival, OutOfWindow);
}

#[test]
fn t1_a_message_pays_the_ack() {
    let mut reliable = Reliable::open(4, 4);
    reliable.hear(ms(0), 0, 0, 20);
    assert_eq!(reliable.say(ms(0), &[10, 11]), [(0, 1, Some(10)), (1, 1, Some(11))]);
    assert_eq!(reliable.next_timeout(), Some((ms(1000), Timer::Retransmission)));
    reliable.hear(ms(1), 0, 0, 20);
    assert_eq!(reliable.say(ms(1), &[12]), [(2, 1, Some(12))], "that of a duplicate, too");
}

#[test]
fn t1_what_is_queued_waits_for_the_window() {
    let mut reliable = Reliable::new(4);
    assert_eq!(reliable.say(ms(0), &[10, 11, 12, 13]), [(0, 0, Some(10))], "slow start");
    reliable.hear_zlb(ms(1), 0, 1);
    assert_eq!(reliable.drain(ms(1)), [(1, 0, Some(11)), (2, 0, Some(12))]);
    reliable.set_peer_window(1);
    reliable.hear_zlb(ms(2), 0, 2);
    assert_eq!(reliable.drain(ms(2)), [], "12 is outstanding");
    reliable.hear_zlb(ms(3), 0, 3);
    assert_eq!(reliable.drain(ms(3)), [(3, 0, Some(13))]);
}

#[test]
fn t1_only_the_oldest_starts_the_timer() {
    let mut reliable = Reliable::open(4, 4);
    for at in [0, 300, 600] {
        assert_eq!(reliable.say(ms(at), &[10]).len(), 1);
        assert_eq!(reliable.next_timeout(), Some((ms(1000), Timer::Retransmission)));
    }
}

#[test]
fn t1_the_window_is_the_peers_within_what_numbers_allow() {
    for (advertised, taken) in [(0, 1), (1, 1), (8, 8), (32_768, 32_768), (65_535, 32_768)] {
        let mut reliable = Reliable::new(4);
        reliable.set_peer_window(advertised);
        (0..40_000).for_each(|_| reliable.window.acked());
        assert_eq!(reliable.window(), taken, "{advertised}");
    }
}

#[test]
fn t2_an_ack_that_is_due_goes_as_zlb_with_the_next_new_ns() {
    let mut reliable = three_in_flight();
    reliable.hear(ms(1), 0, 0, 20);
    assert_eq!(reliable.drain(ms(1)), [(3, 1, None)], "3 waits for the window");
    assert_eq!(reliable.tick(ms(1000)), [(0, 1, Some(10))]);
    reliable.hear(ms(1001), 1, 0, 21);
    assert_eq!(reliable.drain(ms(1051)), [(3, 2, None)], "though 1 and 2 have to go again");
    assert_eq!(reliable.counters.zlbs, 2);
}

#[test]
fn t3_nothing_to_send_is_nothing() {
    let mut reliable = Reliable::new(4);
    assert_eq!((reliable.drain(ms(0)), reliable.next_timeout()), (vec![], None));
    assert!(reliable.is_idle());
}

#[test]
fn e1_before_its_time_no_timer_does_anything() {
    let mut reliable = three_in_flight();
    assert_eq!(reliable.tick(ms(999)), []);
    assert_eq!((reliable.window(), reliable.timeouts), (3, 0));
    assert_eq!(Reliable::new(4).tick(ms(999_999)), []);
}

#[test]
fn e2_the_oldest_goes_again_after_1_2_4_8_8_seconds_and_the_rest_with_the_acks() {
    let mut reliable = Reliable::open(8, 8);
    assert_eq!(reliable.say(ms(0), &[10, 11, 12, 13, 14, 15]).len(), 6);
    for at in [1000, 3000, 7000, 15_000, 23_000] {
        assert_eq!(reliable.next_timeout(), Some((ms(at), Timer::Retransmission)));
        assert_eq!(reliable.tick(ms(at)), [(0, 0, Some(10))]);
        assert_eq!(reliable.window(), 1);
    }
    // The peer discards what comes out of order: each ack is one message further.
    let table: [(u16, &[u8]); 6] = [(1, &[11, 12]), (2, &[13, 14]), (3, &[15]), (4, &[]), (5, &[]), (6, &[])];
    for (ack, expected) in table {
        reliable.hear_zlb(ms(24_000), 0, ack);
        let sent = Vec::from_iter(reliable.drain(ms(24_000)).into_iter().filter_map(|sent| sent.2));
        assert_eq!(sent, expected, "after Nr {ack}");
    }
    assert!(reliable.is_idle());
    assert_eq!(reliable.counters.retransmissions, 5 + 5);
}

#[test]
fn e2_a_retransmission_has_the_current_nr() {
    let mut reliable = three_in_flight();
    reliable.hear(ms(500), 0, 0, 20);
    assert_eq!(reliable.tick(ms(1000)), [(0, 1, Some(10))]);
}

#[test]
fn e2_one_ack_takes_all_that_the_peer_has_stored() {
    let mut reliable = three_in_flight();
    assert_eq!(reliable.tick(ms(1000)), [(0, 0, Some(10))]);
    reliable.hear_zlb(ms(1010), 0, 3);
    assert_eq!(reliable.drain(ms(1010)), [(3, 0, Some(13))], "1 and 2 do not go again");
}

#[test]
fn e3_the_peer_is_given_up_after_a_full_cycle_and_a_late_ack_still_counts() {
    let mut reliable = three_in_flight();
    for at in [1000, 3000, 7000, 15_000, 23_000] {
        assert_eq!(reliable.tick(ms(at)).len(), 1);
    }
    assert_eq!(TIMING.cycle(), Duration::from_secs(31));
    assert_eq!(reliable.next_timeout(), Some((ms(31_000), Timer::Retransmission)));
    let give_up = GiveUp { transmissions: 6 };
    assert_eq!(reliable.handle_timeout(ms(31_000), &TIMING), Err(give_up));
    assert_eq!(give_up.to_string(), "the peer did not acknowledge a message in 6 transmissions");
    assert_eq!((reliable.drain(ms(31_000)), reliable.next_timeout()), (vec![], None));
    assert_eq!(reliable.tick(ms(99_000)), [], "once");
    reliable.hear_zlb(ms(99_000), 0, 1);
    assert_eq!(reliable.drain(ms(99_000)), [(1, 0, Some(11)), (2, 0, Some(12))]);
}

#[test]
fn e3_the_budget_and_the_intervals_are_the_callers() {
    let second = Duration::from_secs(1);
    let table = [
        (second, 8, 0, 1),
        (second, 8, 1, 3),
        (second, 16, 4, 31),
        (second, 8, 255, 7 + 253 * 8),
        (second * 3, 60, 3, 3 + 6 + 12 + 24),
        (second * 9, 8, 1, 16),
    ];
    for (retransmit, cap, retransmissions, seconds) in table {
        let timing = Timing { retransmit, cap: second * cap, retransmissions, ..TIMING };
        assert_eq!(timing.cycle(), second * seconds, "{timing:?}");
        let mut reliable = Reliable::new(4);
        reliable.send([10]);
        let mut now = ms(0);
        let given_up = loop {
            while reliable.poll_transmit(now, &timing).is_some() {}
            now = reliable.next_timeout().expect("a message is outstanding").0;
            if let Err(given_up) = reliable.handle_timeout(now, &timing) {
                break given_up;
            }
        };
        assert_eq!((now, given_up.transmissions), (ms(0) + timing.cycle(), u16::from(retransmissions) + 1));
    }
}

#[test]
fn e4_retry_is_a_new_budget() {
    let mut reliable = Reliable::new(4);
    reliable.say(ms(0), &[10]);
    for at in [1000, 3000, 7000, 15_000, 23_000] {
        assert_eq!(reliable.tick(ms(at)), [(0, 0, Some(10))]);
    }
    assert!(reliable.handle_timeout(ms(31_000), &TIMING).is_err());
    reliable.retry();
    assert_eq!(reliable.drain(ms(60_000)), [(0, 0, Some(10))]);
    assert_eq!(reliable.next_timeout(), Some((ms(61_000), Timer::Retransmission)));
    assert_eq!(reliable.oldest(), Some(&[10][..]));
}

#[test]
fn e5_abandoned_messages_are_not_sent_again_and_acking_goes_on() {
    let mut reliable = three_in_flight();
    reliable.abandon();
    assert_eq!((reliable.is_idle(), reliable.next_timeout(), reliable.drain(ms(0))), (true, None, vec![]));
    for nr in 0..3 {
        assert_eq!(reliable.hear_zlb(ms(1), 0, nr), receipt(Zlb, Stale), "{nr}: a late ack");
    }
    assert_eq!(reliable.hear(ms(1), 0, 3, 20), receipt(Deliver, Nothing));
    assert_eq!(reliable.drain(ms(1)), [(3, 1, None)]);
    assert_eq!(reliable.say(ms(2), &[14]), [(3, 1, Some(14))], "its number was never used");
}
