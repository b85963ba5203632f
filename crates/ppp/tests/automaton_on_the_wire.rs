//! What a link does of the table of RFC 1661 §4.1: each cell that a packet or the timer can meet on LCP, by
//! what is sent and told, and by the state that follows. `automaton_table` has the table itself.

mod common;

use common::*;
use ppp::automaton::{Action, Event as Cause, State};
use ppp::config::Timing;
use ppp::{Config, Event, Protocol};

const LCP: Protocol = Protocol::LCP;
const GOOD: &[(u8, &[u8])] = &[(1, &[5, 0xdc])];
/// A method that nobody here has credentials for.
const BAD: &[(u8, &[u8])] = &[(3, &[0xc0, 0x23])];

/// A link in this state, and its last Configure-Request or Terminate-Request. Each was sent once, the
/// counter allows a second.
fn bench(state: State) -> (Bench, Sent) {
    let timing = Timing { max_configure: 2, max_terminate: 2, ..Timing::default() };
    let config = Config { timing, echo: None, ..Config::default() };
    if state == State::Stopped {
        let mut bench = Bench::new(Config { passive: true, ..config });
        bench.link.open(bench.now);
        let none = Sent { protocol: LCP, code: CONFIGURE_REQUEST, id: 0, data: Vec::new() };
        return (bench, none);
    }
    let (mut bench, mut request) = Bench::open(config);
    let ack = (CONFIGURE_ACK, request.id, request.data.clone());
    match state {
        State::AckRcvd => drop(bench.hear(LCP, ack.0, ack.1, &ack.2)),
        State::AckSent => drop(bench.ask(LCP, 1, GOOD)),
        State::Opened | State::Closing => {
            bench.hear(LCP, ack.0, ack.1, &ack.2);
            bench.ask(LCP, 1, GOOD);
        }
        _ => {}
    }
    if state == State::Closing {
        bench.link.close(bench.now, "");
        request = bench.sent().pop().unwrap();
    }
    bench.told();
    assert_eq!(self::state(&bench), format!("{state:?}"));
    (bench, request)
}

/// The automaton's state, as the link tells it.
fn state(bench: &Bench) -> String {
    let text = format!("{:?}", bench.link);
    text.split("lcp: ").nth(1).and_then(|rest| rest.split([',', ' ']).next()).unwrap().into()
}

/// Makes this happen; returns what is sent.
fn happen(bench: &mut Bench, cause: Cause, request: &Sent) -> Vec<Sent> {
    let answer = |options| opts(options);
    match cause {
        Cause::Timeout => bench.pass(seconds(3)),
        Cause::TimeoutLast => {
            // The second time is TO+.
            bench.pass(seconds(3));
            bench.pass(seconds(3))
        }
        Cause::GoodRequest => bench.hear(LCP, CONFIGURE_REQUEST, 9, &answer(GOOD)),
        Cause::BadRequest => bench.hear(LCP, CONFIGURE_REQUEST, 9, &answer(BAD)),
        Cause::Ack => bench.hear(LCP, CONFIGURE_ACK, request.id, &request.data),
        Cause::Nak => bench.hear(LCP, CONFIGURE_NAK, request.id, &answer(&[(1, &[4, 0])])),
        Cause::TerminateRequest => bench.hear(LCP, TERMINATE_REQUEST, 9, &[]),
        Cause::TerminateAck => bench.hear(LCP, TERMINATE_ACK, request.id, &[]),
        Cause::UnknownCode => bench.hear(LCP, 77, 9, &[]),
        Cause::RejectGood => bench.hear(LCP, CODE_REJECT, 9, &[12, 1, 0, 4]),
        Cause::RejectBad => bench.hear(LCP, CODE_REJECT, 9, &[1, 1, 0, 4]),
        Cause::Echo => bench.hear(LCP, ECHO_REQUEST, 9, &[0; 4]),
        Cause::Up | Cause::Down | Cause::Open | Cause::Close => unreachable!("no packet brings them"),
    }
}

const fn code(action: Action) -> Option<u8> {
    match action {
        Action::SendRequest => Some(CONFIGURE_REQUEST),
        Action::SendTerminate => Some(TERMINATE_REQUEST),
        Action::SendAck => Some(CONFIGURE_ACK),
        // What cannot be negotiated is rejected.
        Action::SendNak => Some(CONFIGURE_REJECT),
        Action::SendTerminateAck => Some(TERMINATE_ACK),
        Action::SendCodeReject => Some(CODE_REJECT),
        Action::SendEchoReply => Some(ECHO_REPLY),
        _ => None,
    }
}

/// Cells in which a link does otherwise, and why.
fn differs(from: State, cause: Cause) -> bool {
    match (from, cause) {
        // The answer to our request came already: a second one is not for it.
        (State::AckRcvd | State::Opened, Cause::Ack | Cause::Nak) => true,
        // The counter has begun anew, and the first time that the timer runs out leads elsewhere.
        (State::AckRcvd, Cause::TimeoutLast) => true,
        // The peer may be open: it is told that we give up.
        (State::AckSent, Cause::TimeoutLast) => true,
        // A passive link waits for a request; its timer is not the restart timer.
        (State::Stopped, Cause::Timeout | Cause::TimeoutLast) => true,
        // A link is used once: the peer's end of it is its end.
        (_, Cause::TerminateRequest) => from != State::Closing,
        _ => false,
    }
}

#[test]
fn a_link_does_what_the_cell_says() {
    let states =
        [State::Stopped, State::Closing, State::ReqSent, State::AckRcvd, State::AckSent, State::Opened];
    let causes = [
        Cause::Timeout,
        Cause::TimeoutLast,
        Cause::GoodRequest,
        Cause::BadRequest,
        Cause::Ack,
        Cause::Nak,
        Cause::TerminateRequest,
        Cause::TerminateAck,
        Cause::UnknownCode,
        Cause::RejectGood,
        Cause::RejectBad,
        Cause::Echo,
    ];
    let mut met = 0;
    for from in states {
        for cause in causes {
            let (mut bench, request) = bench(from);
            let Some((actions, next)) = from.on(cause) else { continue };
            if differs(from, cause) {
                continue;
            }
            let sent: Vec<_> =
                happen(&mut bench, cause, &request).iter().map(|sent| (sent.protocol, sent.code)).collect();
            let expected: Vec<_> =
                actions.iter().filter_map(|action| code(*action)).map(|code| (LCP, code)).collect();
            assert_eq!(sent, expected, "{from:?}, {cause:?}: sent");
            assert_eq!(state(&bench), format!("{next:?}"), "{from:?}, {cause:?}: state");
            let told = bench.told();
            let ups = told.iter().filter(|event| matches!(event, Event::LcpUp { .. })).count();
            let downs = told.iter().filter(|event| matches!(event, Event::Down(_))).count();
            let has = |action| usize::from(actions.contains(&action));
            assert_eq!(ups, has(Action::ThisLayerUp), "{from:?}, {cause:?}: {told:?}");
            assert_eq!(downs, has(Action::ThisLayerFinished), "{from:?}, {cause:?}: {told:?}");
            met += 1;
        }
    }
    assert_eq!(met, 57, "cells met");
}
