//! The option negotiation automaton (RFC 1661 §4.1), as data.
//!
//! A cell of the [table](TABLE) says what is done, in this order, and which state follows; `-` cannot
//! occur, or is not answered. The restart option is left out, as the RFC permits: an Open where one is
//! open already changes nothing. So is the passive option, which is [`Config::passive`] of the layer
//! above.
//!
//! [`Config::passive`]: crate::Config::passive

/// States (RFC 1661 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// The lower layer is down; nobody wants the link.
    Initial,
    /// The lower layer is down; the link is wanted.
    Starting,
    /// The lower layer is up; nobody wants the link.
    Closed,
    /// The peer has ended the link, or does not answer.
    Stopped,
    /// A Terminate-Request was sent, because nobody wants the link.
    Closing,
    /// A Terminate-Request was sent or answered, and the link is still wanted.
    Stopping,
    /// A Configure-Request was sent.
    ReqSent,
    /// A Configure-Request was sent and acked.
    AckRcvd,
    /// A Configure-Request was sent, the peer's was acked.
    AckSent,
    /// Both were acked.
    Opened,
}

/// Events (RFC 1661 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// The lower layer is up.
    Up,
    /// The lower layer is down.
    Down,
    /// The link is wanted.
    Open,
    /// The link is no longer wanted.
    Close,
    /// TO+: the restart timer has expired, the counter has not.
    Timeout,
    /// TO-: both have.
    TimeoutLast,
    /// RCR+: a Configure-Request that is acceptable.
    GoodRequest,
    /// RCR-: one that is not.
    BadRequest,
    /// RCA: a Configure-Ack.
    Ack,
    /// RCN: a Configure-Nak or Configure-Reject.
    Nak,
    /// RTR: a Terminate-Request.
    TerminateRequest,
    /// RTA: a Terminate-Ack.
    TerminateAck,
    /// RUC: a code that is not known.
    UnknownCode,
    /// RXJ+: a reject of what can be done without.
    RejectGood,
    /// RXJ-: one that ends the protocol.
    RejectBad,
    /// RXR: an Echo-Request, an Echo-Reply or a Discard-Request.
    Echo,
}

/// Actions (RFC 1661 §4.4), in the order in which those of one cell are done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// tld: the layer is no longer up.
    ThisLayerDown,
    /// irc: the restart counter starts anew.
    InitRestartCount,
    /// zrc: the restart counter has expired; the timer runs once more.
    ZeroRestartCount,
    /// scr: a Configure-Request is sent.
    SendRequest,
    /// str: a Terminate-Request is sent.
    SendTerminate,
    /// sca: a Configure-Ack is sent.
    SendAck,
    /// scn: a Configure-Nak or Configure-Reject is sent.
    SendNak,
    /// sta: a Terminate-Ack is sent.
    SendTerminateAck,
    /// scj: a Code-Reject is sent.
    SendCodeReject,
    /// ser: an Echo-Reply is sent.
    SendEchoReply,
    /// tlu: the layer is up.
    ThisLayerUp,
    /// tls: the lower layer is needed.
    ThisLayerStarted,
    /// tlf: the lower layer is no longer needed.
    ThisLayerFinished,
}

/// What a cell of the table says.
pub type Cell = Option<(&'static [Action], State)>;

macro_rules! cell {
    (-) => { None };
    ($($action:ident)* / $state:ident) => { Some((&[$(cell!(@ $action)),*], State::$state)) };
    (@ tld) => { Action::ThisLayerDown };
    (@ irc) => { Action::InitRestartCount };
    (@ zrc) => { Action::ZeroRestartCount };
    (@ scr) => { Action::SendRequest };
    (@ str) => { Action::SendTerminate };
    (@ sca) => { Action::SendAck };
    (@ scn) => { Action::SendNak };
    (@ sta) => { Action::SendTerminateAck };
    (@ scj) => { Action::SendCodeReject };
    (@ ser) => { Action::SendEchoReply };
    (@ tlu) => { Action::ThisLayerUp };
    (@ tls) => { Action::ThisLayerStarted };
    (@ tlf) => { Action::ThisLayerFinished };
}

macro_rules! table {
    ($($(#$comment:tt)* $event:ident: $([$($cell:tt)+])+;)+) => { [$([$(cell!($($cell)+)),+]),+] };
}

/// The table of RFC 1661 §4.1: a row for each [`Event`], a column for each [`State`].
#[rustfmt::skip]
pub const TABLE: [[Cell; 10]; 16] = table! {
    //                Initial       Starting        Closed        Stopped                Closing        Stopping
    //                ReqSent              AckRcvd              AckSent              Opened
    Up:               [/Closed]     [irc scr/ReqSent] [-]         [-]                    [-]            [-]
                      [-]                  [-]                  [-]                  [-];
    Down:             [-]           [-]             [/Initial]    [tls/Starting]         [/Initial]     [/Starting]
                      [/Starting]          [/Starting]          [/Starting]          [tld/Starting];
    Open:             [tls/Starting] [/Starting]    [irc scr/ReqSent] [/Stopped]         [/Stopping]    [/Stopping]
                      [/ReqSent]           [/AckRcvd]           [/AckSent]           [/Opened];
    Close:            [/Initial]    [tlf/Initial]   [/Closed]     [/Closed]              [/Closing]     [/Closing]
                      [irc str/Closing]    [irc str/Closing]    [irc str/Closing]    [tld irc str/Closing];
    Timeout:          [-]           [-]             [-]           [-]                    [str/Closing]  [str/Stopping]
                      [scr/ReqSent]        [scr/ReqSent]        [scr/AckSent]        [-];
    TimeoutLast:      [-]           [-]             [-]           [-]                    [tlf/Closed]   [tlf/Stopped]
                      [tlf/Stopped]        [tlf/Stopped]        [tlf/Stopped]        [-];
    GoodRequest:      [-]           [-]             [sta/Closed]  [irc scr sca/AckSent]  [/Closing]     [/Stopping]
                      [sca/AckSent]        [sca tlu/Opened]     [sca/AckSent]        [tld scr sca/AckSent];
    BadRequest:       [-]           [-]             [sta/Closed]  [irc scr scn/ReqSent]  [/Closing]     [/Stopping]
                      [scn/ReqSent]        [scn/AckRcvd]        [scn/ReqSent]        [tld scr scn/ReqSent];
    Ack:              [-]           [-]             [sta/Closed]  [sta/Stopped]          [/Closing]     [/Stopping]
                      [irc/AckRcvd]        [scr/ReqSent]        [irc tlu/Opened]     [tld scr/ReqSent];
    Nak:              [-]           [-]             [sta/Closed]  [sta/Stopped]          [/Closing]     [/Stopping]
                      [irc scr/ReqSent]    [scr/ReqSent]        [irc scr/AckSent]    [tld scr/ReqSent];
    TerminateRequest: [-]           [-]             [sta/Closed]  [sta/Stopped]          [sta/Closing]  [sta/Stopping]
                      [sta/ReqSent]        [sta/ReqSent]        [sta/ReqSent]        [tld zrc sta/Stopping];
    TerminateAck:     [-]           [-]             [/Closed]     [/Stopped]             [tlf/Closed]   [tlf/Stopped]
                      [/ReqSent]           [/ReqSent]           [/AckSent]           [tld scr/ReqSent];
    UnknownCode:      [-]           [-]             [scj/Closed]  [scj/Stopped]          [scj/Closing]  [scj/Stopping]
                      [scj/ReqSent]        [scj/AckRcvd]        [scj/AckSent]        [scj/Opened];
    RejectGood:       [-]           [-]             [/Closed]     [/Stopped]             [/Closing]     [/Stopping]
                      [/ReqSent]           [/ReqSent]           [/AckSent]           [/Opened];
    RejectBad:        [-]           [-]             [tlf/Closed]  [tlf/Stopped]          [tlf/Closed]   [tlf/Stopped]
                      [tlf/Stopped]        [tlf/Stopped]        [tlf/Stopped]        [tld irc str/Stopping];
    Echo:             [-]           [-]             [/Closed]     [/Stopped]             [/Closing]     [/Stopping]
                      [/ReqSent]           [/AckRcvd]           [/AckSent]           [ser/Opened];
};

impl State {
    /// What an event leads to in this state.
    pub const fn on(self, event: Event) -> Cell {
        TABLE[event as usize][self as usize]
    }
}
