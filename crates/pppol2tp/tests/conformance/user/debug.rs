//! Debug messages (§12): which ones under which mask, and how many a second.
//!
//! They come from the driver's threads, so that one collector has those of all tests: every test has a
//! tunnel id of its own.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use pppol2tp::Errno;
use pppol2tp::SocketOption::{Debug as Mask, LnsMode, ReorderTo, SendSeq};
use pppol2tp::data::rules::{PPPIOCGMRU, PPPIOCSMRU};
use pppol2tp::user::Config;
use pppol2tp::{Driver, SessionIds};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::common::{Bed, message, receive, settle, tunnel_to, udp};
use crate::step::{FRAME, HDLC};
use crate::world::raw_session;

const CONTROL: i32 = 2;
const SEQ: i32 = 4;
const DATA: i32 = 8;

static MESSAGES: Mutex<Vec<Message>> = Mutex::new(Vec::new());

struct Collector;

/// A message, and the driver's time in microseconds.
#[derive(Clone, Default)]
struct Message {
    text: String,
    at: u64,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.text, "{value:?}").expect("a string takes all");
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "at_us" {
            self.at = value;
        }
    }
}

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        MESSAGES.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

fn collect() {
    static START: Once = Once::new();
    START.call_once(|| {
        let collector = tracing_subscriber::registry().with(Collector);
        tracing::subscriber::set_global_default(collector).expect("the first one");
    });
}

/// The messages so far that contain this.
fn messages(part: &str) -> Vec<String> {
    let messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
    messages.iter().map(|message| message.text.clone()).filter(|text| text.contains(part)).collect()
}

/// Messages of a tunnel and its session.
fn of(tunnel: u16) -> Vec<String> {
    let names = [format!("tunl {tunnel}:"), format!("sess {tunnel}/")];
    let ours = |message: &String| names.iter().any(|name| message.starts_with(name));
    messages("").into_iter().filter(ours).filter(|message| !message.contains("/65535:")).collect()
}

/// A tunnel with this id, all of its masks set.
fn bed(tunnel: u16, mask: i32) -> Bed {
    collect();
    let ids = SessionIds { tunnel_id: tunnel, session_id: 10, peer_tunnel_id: 2, peer_session_id: 20 };
    let bed = Bed::on(udp("127.0.0.1:0"), udp("127.0.0.1:0"), crate::common::config(), ids);
    bed.session.set(Mask, mask).expect("set");
    bed.tunnel.set(Mask, mask).expect("set");
    bed
}

/// Something of every category: data, numbers, options.
fn life(bed: Bed, tunnel: u16) {
    bed.session.set(ReorderTo, 600_000).expect("set");
    bed.session.get(LnsMode).expect("got");
    bed.session.stats().expect("statistics");
    bed.tunnel.get(Mask).expect("got");
    for ns in [0, 2, 1, 1] {
        bed.sends(&message(&[0x0802, tunnel, 10, ns, 0], HDLC));
    }
    bed.settle();
    bed.session.send(FRAME).expect("sent");
    receive(&bed.peer).expect("sent");
    bed.settle();
    let Bed { session, tunnel, handle, .. } = bed;
    drop(tunnel);
    drop(session);
    drop(handle);
}

fn has(tunnel: u16, expected: &[&str]) {
    let is = of(tunnel);
    for text in expected {
        assert!(is.iter().any(|message| message.contains(text)), "no '{text}' in {is:#?}");
    }
}

fn has_not(tunnel: u16, unexpected: &[&str]) {
    let is = of(tunnel);
    for text in unexpected {
        assert!(!is.iter().any(|message| message.contains(text)), "'{text}' in {is:#?}");
    }
}

const CONTROL_TEXTS: &[&str] = &[
    "10: set ReorderTo=600000",
    "10: get LnsMode=0",
    "10: get L2TP stats",
    ": get debug=0x",
    ": closing management socket",
    "10: closing session",
    ": closing all sessions",
];
const SEQ_TEXTS: &[&str] = &[
    "10: LNS requested to enable seq numbers",
    "10: recv data ns=2, session nr=1",
    "10: holding pkt ns=2, expecting nr=1, 1 held",
    "10: pkt ns=1 inserted before later ones",
    "10: pkt ns=1 discarded, expecting nr=3: rx_seq_window",
];
const DATA_TEXTS: &[&str] = &[
    ": recv 22 bytes: 08 02 ",
    "10: recv 22 byte data frame: Deliver",
    "10: not bound, queued for its reader",
    "10: send 1 × 22 bytes, ns=0: 08 02 00 02 00 14 00 00 00 00 ff 03 c0 21 09 01 00 08 01 02 03 04",
];

#[test]
fn no_mask_no_message() {
    life(bed(7000, 0), 7000);
    let set = [": set debug=", "set Debug="];
    let rest: Vec<_> =
        of(7000).into_iter().filter(|text| !set.iter().any(|set| text.contains(set))).collect();
    assert_eq!(rest, Vec::<String>::new());
}

#[test]
fn the_reserved_bit_says_nothing() {
    life(bed(7001, 1), 7001);
    assert_eq!(of(7001), Vec::<String>::new());
}

#[test]
fn control() {
    life(bed(7002, CONTROL), 7002);
    has(7002, CONTROL_TEXTS);
    has_not(7002, SEQ_TEXTS);
    has_not(7002, DATA_TEXTS);
}

#[test]
fn seq() {
    life(bed(7003, SEQ), 7003);
    has(7003, SEQ_TEXTS);
    has_not(7003, CONTROL_TEXTS);
    has_not(7003, DATA_TEXTS);
}

#[test]
fn data() {
    life(bed(7004, DATA), 7004);
    has(7004, DATA_TEXTS);
    has_not(7004, CONTROL_TEXTS);
    has_not(7004, SEQ_TEXTS);
}

#[test]
fn all() {
    life(bed(7005, -1), 7005);
    has(7005, CONTROL_TEXTS);
    has(7005, SEQ_TEXTS);
    has(7005, DATA_TEXTS);
}

#[test]
fn masks_are_per_session() {
    let bed = bed(7006, 0);
    let ids = SessionIds { session_id: 11, peer_session_id: 21, ..bed.session.ids() };
    let other = bed.driver.session(ids).expect("a session");
    other.set(Mask, SEQ).expect("set");
    bed.sends(&message(&[0x0802, 7006, 10, 0, 0], HDLC));
    bed.sends(&message(&[0x0802, 7006, 11, 0, 0], HDLC));
    bed.settle();
    assert_eq!(messages("sess 7006/10: recv data"), Vec::<String>::new());
    assert_eq!(messages("sess 7006/11: recv data"), ["sess 7006/11: recv data ns=0, session nr=0"]);
}

#[test]
fn masks_are_switched_while_it_runs() {
    let bed = bed(7007, 0);
    for (ns, mask) in [(0, 0), (1, SEQ), (2, 0), (3, SEQ)] {
        bed.session.set(Mask, mask).expect("set");
        bed.sends(&message(&[0x0802, 7007, 10, ns, 0], HDLC));
        bed.settle();
    }
    let texts = [1, 3].map(|ns| format!("sess 7007/10: recv data ns={ns}, session nr={ns}"));
    assert_eq!(messages("sess 7007/10: recv data"), texts);
}

#[test]
fn what_is_passed_up_is_told_under_the_tunnels_mask() {
    let bed = bed(7008, 0);
    let of_socket = format!("{}: recv", bed.handle.local_addr().expect("its address"));
    let strange = |bed: &Bed| {
        bed.sends(&message(&[2, 9, 9], HDLC));
        bed.sends(&[2]);
        bed.sends(&message(&[0xc802, 12, 0, 0, 1, 1], &[]));
        bed.settle();
    };
    strange(&bed);
    assert_eq!(messages(&of_socket), Vec::<String>::new());
    bed.tunnel.set(Mask, DATA).expect("set");
    strange(&bed);
    let dumped = [
        "recv 18 bytes, UnknownSession, passing up: 00 02 00 09 00 09 ff 03 c0 21 09 01 00 08 01 02",
        "recv 1 bytes, Short, passing up: 02",
        "recv 12 bytes, Control, passing up: c8 02 00 0c 00 00 00 00 00 01 00 01",
    ];
    let is = messages(&of_socket);
    for text in dumped {
        assert!(is.iter().any(|message| message.ends_with(text)), "no '{text}' in {is:#?}");
    }
    bed.tunnel.set(Mask, 0).expect("set");
    let before = messages(&of_socket).len();
    strange(&bed);
    assert_eq!(messages(&of_socket).len(), before);

    bed.tunnel.set(Mask, DATA).expect("set");
    let Bed { tunnel, handle, peer, .. } = bed;
    tunnel.delete();
    peer.send_to(&message(&[2, 9, 9], HDLC), handle.local_addr().expect("its address")).expect("sent");
    assert_eq!(settle(&*handle, &peer).len(), 1);
    assert_eq!(messages(&of_socket).len(), before);
}

#[test]
fn a_failed_connect_is_told_always() {
    let bed = bed(7009, 0);
    let ids = bed.session.ids();
    assert_eq!(bed.driver.session(ids).err().map(|error| error.errno()), Some(Errno::Exist));
    let texts = messages("sess 7009/10: connect failed");
    assert!(texts.len() == 1 && texts[0].contains("EEXIST"), "{texts:?}");

    let other = bed.driver.attach(udp("127.0.0.1:0")).expect("attached");
    let peer = bed.peer.local_addr().expect("its address");
    let result = other.tunnel(tunnel_to(peer, 7009));
    assert_eq!(result.err().map(|error| error.errno()), Some(Errno::Exist));
    assert_eq!(messages("tunl 7009: connect failed").len(), 1);

    let before = messages("socket: connect failed: ").len();
    bed.driver.socket().connect(&[]).expect_err("no address");
    assert!(messages("socket: connect failed: ").len() > before);
}

#[test]
fn calls_of_an_emulated_socket() {
    let bed = bed(7010, CONTROL);
    let mut socket = bed.driver.socket();
    socket
        .connect(&raw_session(&[7010, 11, 2, 21], bed.peer.local_addr().expect("its address")))
        .expect("connected");
    socket.ioctl(PPPIOCSMRU, Some(&mut 1400i32.to_ne_bytes())).expect("set");
    socket.ioctl(PPPIOCGMRU, Some(&mut [0; 4])).expect("got");
    assert_eq!(
        messages("sess 7010/11: "),
        [
            "sess 7010/11: created",
            "sess 7010/11: ioctl 0x40047452",
            "sess 7010/11: SetMru(1400)",
            "sess 7010/11: ioctl 0x80047453",
            "sess 7010/11: GetMru"
        ]
    );
}

/// A second's worth is emitted, the rest is counted and said when the next second has come.
#[test]
fn rate_limit() {
    collect();
    const RATE: u32 = 7;
    const CALLS: u32 = 100;
    let ids = SessionIds { tunnel_id: 7011, session_id: 10, peer_tunnel_id: 2, peer_session_id: 20 };
    let config = Config { debug_rate: Some(RATE), ..crate::common::config() };
    let bed = Bed::on(udp("127.0.0.1:0"), udp("127.0.0.1:0"), config, ids);
    bed.session.set(Mask, CONTROL).expect("set");
    (0..CALLS).for_each(|_| drop(bed.session.get(SendSeq)));
    let emitted = || messages("sess 7011/10: get SendSeq=0").len() as u32;
    let suppressed = || {
        let texts = messages(&format!("messages suppressed (limit: {RATE} a second)"));
        texts.iter().filter_map(|text| text.split(' ').next()?.parse::<u32>().ok()).sum::<u32>()
    };
    let first = emitted();
    {
        let all = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = all.iter().filter(|message| message.text.starts_with("sess 7011/10: "));
        let mut seconds = [0; 60];
        ours.for_each(|message| seconds[(message.at / 1_000_000) as usize] += 1);
        assert_eq!(seconds.iter().max(), Some(&RATE), "{seconds:?}");
    }
    let mut more = 0;
    while emitted() == first {
        // Nothing comes: it is the second that is waited for.
        assert_eq!(bed.handle.recv_timeout(Duration::from_millis(100)), None);
        bed.session.get(SendSeq).expect("got");
        more += 1;
        assert!(more < 100, "no message in the next second");
    }
    assert_eq!(emitted() + suppressed(), CALLS + more);
}
