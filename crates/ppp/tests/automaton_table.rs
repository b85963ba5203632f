//! The table of RFC 1661 §4.1, one test for each cell: `rcr_good::opened`. Cells are as the RFC prints
//! them, footnotes left out.

use ppp::automaton::{Action, Event, State};

const STATES: [State; 10] = [
    State::Initial,
    State::Starting,
    State::Closed,
    State::Stopped,
    State::Closing,
    State::Stopping,
    State::ReqSent,
    State::AckRcvd,
    State::AckSent,
    State::Opened,
];

const fn word(action: Action) -> &'static str {
    match action {
        Action::ThisLayerDown => "tld",
        Action::InitRestartCount => "irc",
        Action::ZeroRestartCount => "zrc",
        Action::SendRequest => "scr",
        Action::SendTerminate => "str",
        Action::SendAck => "sca",
        Action::SendNak => "scn",
        Action::SendTerminateAck => "sta",
        Action::SendCodeReject => "scj",
        Action::SendEchoReply => "ser",
        Action::ThisLayerUp => "tlu",
        Action::ThisLayerStarted => "tls",
        Action::ThisLayerFinished => "tlf",
    }
}

fn check(state: usize, event: Event, printed: &str) {
    let cell = match STATES[state].on(event) {
        None => "-".into(),
        Some((actions, next)) => {
            let next = STATES.iter().position(|state| *state == next).unwrap();
            let words: Vec<_> = actions.iter().map(|action| word(*action)).collect();
            if words.is_empty() { next.to_string() } else { format!("{}/{next}", words.join(",")) }
        }
    };
    assert_eq!(cell, printed);
}

macro_rules! table {
    ($($row:ident $event:ident: $c0:literal $c1:literal $c2:literal $c3:literal $c4:literal $c5:literal
        $c6:literal $c7:literal $c8:literal $c9:literal;)+) => {$(
        mod $row {
            use super::{Event, check};

            table!(@ $event initial 0 $c0, starting 1 $c1, closed 2 $c2, stopped 3 $c3, closing 4 $c4,
                stopping 5 $c5, req_sent 6 $c6, ack_rcvd 7 $c7, ack_sent 8 $c8, opened 9 $c9);
        }
    )+};
    (@ $event:ident $($state:ident $number:literal $printed:literal),+) => {$(
        #[test]
        fn $state() {
            check($number, Event::$event, $printed);
        }
    )+};
}

#[rustfmt::skip]
table! {
    up           Up:               "2"     "irc,scr/6" "-"         "-"             "-"     "-"     "-"         "-"         "-"         "-";
    down         Down:             "-"     "-"         "0"         "tls/1"         "0"     "1"     "1"         "1"         "1"         "tld/1";
    open         Open:             "tls/1" "1"         "irc,scr/6" "3"             "5"     "5"     "6"         "7"         "8"         "9";
    close        Close:            "0"     "tlf/0"     "2"         "2"             "4"     "4"     "irc,str/4" "irc,str/4" "irc,str/4" "tld,irc,str/4";
    to_plus      Timeout:          "-"     "-"         "-"         "-"             "str/4" "str/5" "scr/6"     "scr/6"     "scr/8"     "-";
    to_minus     TimeoutLast:      "-"     "-"         "-"         "-"             "tlf/2" "tlf/3" "tlf/3"     "tlf/3"     "tlf/3"     "-";
    rcr_good     GoodRequest:      "-"     "-"         "sta/2"     "irc,scr,sca/8" "4"     "5"     "sca/8"     "sca,tlu/9" "sca/8"     "tld,scr,sca/8";
    rcr_bad      BadRequest:       "-"     "-"         "sta/2"     "irc,scr,scn/6" "4"     "5"     "scn/6"     "scn/7"     "scn/6"     "tld,scr,scn/6";
    rca          Ack:              "-"     "-"         "sta/2"     "sta/3"         "4"     "5"     "irc/7"     "scr/6"     "irc,tlu/9" "tld,scr/6";
    rcn          Nak:              "-"     "-"         "sta/2"     "sta/3"         "4"     "5"     "irc,scr/6" "scr/6"     "irc,scr/8" "tld,scr/6";
    rtr          TerminateRequest: "-"     "-"         "sta/2"     "sta/3"         "sta/4" "sta/5" "sta/6"     "sta/6"     "sta/6"     "tld,zrc,sta/5";
    rta          TerminateAck:     "-"     "-"         "2"         "3"             "tlf/2" "tlf/3" "6"         "6"         "8"         "tld,scr/6";
    ruc          UnknownCode:      "-"     "-"         "scj/2"     "scj/3"         "scj/4" "scj/5" "scj/6"     "scj/7"     "scj/8"     "scj/9";
    rxj_good     RejectGood:       "-"     "-"         "2"         "3"             "4"     "5"     "6"         "6"         "8"         "9";
    rxj_bad      RejectBad:        "-"     "-"         "tlf/2"     "tlf/3"         "tlf/2" "tlf/3" "tlf/3"     "tlf/3"     "tlf/3"     "tld,irc,str/5";
    rxr          Echo:             "-"     "-"         "2"         "3"             "4"     "5"     "6"         "7"         "8"         "ser/9";
}
