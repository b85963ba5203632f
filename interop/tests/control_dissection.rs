//! tshark decodes every control message that our endpoint sends, with every AVP, without a warning, and
//! finds in it what was put in.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use interop::pcap;
use interop::tshark::{Packet, dissect};
use l2tp_control::auth::Secret;
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::wire::{
    AVPS, Accm, Attribute, AuthenType, Avp, Avps, Bearer, CallErrors, CauseCode, CdnResult, Direction,
    ErrorCode, Framing, Header, MESSAGES, Message, OtherAvps, StopResult, avp,
};
use l2tp_control::{
    Cause, Connect, Connected, Endpoint, Event, Incoming, Instant, Outgoing, Path, PppCause, Proxy, Q931,
    Request,
};
use l2tp_data::id::{SessionId, TunnelId};

const PORT: u16 = 1701;
const LAC: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), PORT);
const LNS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), PORT);

#[test]
fn everything_in_the_clear() {
    let packets = see("clear", &talk(&Policy::default()));
    let types: BTreeSet<u16> = packets.iter().flat_map(|packet| numbers(packet, "l2tp.avp.type")).collect();
    // Those of tunnel authentication and of hiding need a secret.
    let secret = [Attribute::CHALLENGE, Attribute::CHALLENGE_RESPONSE, Attribute::RANDOM_VECTOR];
    let expected = AVPS.iter().map(|rule| rule.attribute).filter(|avp| !secret.contains(avp));
    assert_eq!(types, expected.map(|avp| avp.number).collect());

    let found = |field: &str| {
        let values = packets.iter().flat_map(|packet| packet.all(field).to_vec());
        values.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    for (field, values) in [
        ("l2tp.avp.host_name", "lac.example lns.example"),
        ("l2tp.avp.called_number", "0815 4711"),
        ("l2tp.broadband.agent_circuit_id", "atm 3/0:100.33"),
        ("l2tp.broadband.actual_dr_up", "1048576"),
        ("l2tp.avp.maximum_bps", "128000"),
        ("l2tp.avp.connect_speed", "52000"),
        ("l2tp.avp.proxy_authen_name", "alice@example"),
        ("lcp.opt.mru", "1492 1500"),
        ("l2tp.avp.receive_accm", "65535"),
        ("l2tp.avp.alignment_errors", "6"),
        ("l2tp.avp.cause_code_message", "no such user"),
    ] {
        assert_eq!(found(field), values, "{field}");
    }
}

#[test]
fn everything_with_hidden_avps() {
    let secret = Some(Secret::new(b"a secret"));
    let sent = talk(&Policy { secret, challenge: true, hide: true, ..Policy::default() });
    see("hidden", &sent);
    let hidden = sent.iter().flat_map(|(_, bytes)| avps(bytes)).filter(Avp::is_hidden);
    let hidden: BTreeSet<u16> = hidden.map(|avp| avp.attribute().number).collect();
    // These are said before the peer has proved that it knows the secret.
    let clear = [
        Attribute::FRAMING_CAPABILITIES,
        Attribute::BEARER_CAPABILITIES,
        Attribute::FIRMWARE_REVISION,
        Attribute::VENDOR_NAME,
        Attribute::CHALLENGE,
    ];
    let expected = AVPS.iter().filter(|rule| rule.hideable && !clear.contains(&rule.attribute));
    assert_eq!(hidden, expected.map(|rule| rule.attribute.number).collect());
}

#[test]
fn answers_to_strangers() {
    let mut pair = Pair::new(&Policy::default());
    let lac = pair.ends[0].connect(pair.now, connect(&Policy::default())).expect("an id is free");
    pair.settle();
    let sccrq = pair.sent[0].1.clone();
    pair.ends[0].close(pair.now, lac, Cause::new(StopResult::CLEAR)).expect("there is a tunnel");
    let goodbye = pair.sent.len();
    pair.settle();
    let stopccn = pair.sent[goodbye].1.clone();
    // To an endpoint that knows neither the peer nor the tunnel.
    let mut other = Endpoint::new(Config::default(), [3; 32]);
    let mut answers = Vec::new();
    let mut buffer = vec![0; Message::MAX];
    for mut datagram in [sccrq, stopccn, pair.sent[2].1.clone()] {
        other.handle_datagram(pair.now, path(LAC), &mut datagram);
        while let Some(transmit) = other.poll_transmit(pair.now, &mut buffer) {
            answers.push((1, buffer[..transmit.len].to_vec()));
        }
    }
    let packets = see("strangers", &answers);
    assert!(packets.iter().any(|packet| packet.first("l2tp.avp.message_type") == "4"), "{packets:?}");
}

fn numbers(packet: &Packet, field: &str) -> Vec<u16> {
    packet.all(field).iter().map(|value| value.parse().expect("a number")).collect()
}

/// What tshark sees: the AVPs that we see too, and no fault.
fn see(name: &str, sent: &[(usize, Vec<u8>)]) -> Vec<Packet> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("control-{name}.pcap"));
    let ways = [(LAC, LNS), (LNS, LAC)];
    let datagrams = sent.iter().map(|(side, bytes)| pcap::udp(ways[*side].0, ways[*side].1, bytes));
    pcap::write(&file, datagrams).expect("the target directory is writable");
    let packets = dissect(&file, PORT).expect("tshark reads it");
    assert_eq!(packets.len(), sent.len());
    for (packet, (_, bytes)) in packets.iter().zip(sent) {
        assert_eq!(packet.control_faults(), [""; 0], "{bytes:02x?} {packet:?}");
        let header = Header::parse(bytes).expect("what we send has a header");
        assert_eq!(numbers(packet, "l2tp.tunnel"), [header.tunnel_id]);
        assert_eq!(numbers(packet, "l2tp.session"), [header.session_id]);
        assert_eq!(numbers(packet, "l2tp.Ns"), [header.ns]);
        assert_eq!(numbers(packet, "l2tp.Nr"), [header.nr]);
        assert_eq!(packet.all("l2tp.zero_length_body_message").is_empty(), !header.is_zlb(), "{packet:?}");
        let avps = avps(bytes);
        for (field, value) in [
            ("l2tp.avp.mandatory", (|avp| avp.is_mandatory().into()) as fn(&Avp<'_>) -> u16),
            ("l2tp.avp.hidden", |avp| avp.is_hidden().into()),
            ("l2tp.avp.length", |avp| (avp::HEADER + avp.value.len()) as u16),
        ] {
            assert_eq!(numbers(packet, field), avps.iter().map(value).collect::<Vec<_>>(), "{packet:?}");
        }
        // It stops there if an AVP is hidden, and has another field for types of vendors.
        let clear = avps.iter().filter(|avp| !avp.is_hidden() && avp.attribute().vendor == 0);
        let clear: Vec<_> = clear.map(|avp| avp.attribute().number).collect();
        assert_eq!(numbers(packet, "l2tp.avp.type"), clear, "{packet:?}");
    }
    packets
}

fn avps(datagram: &[u8]) -> Vec<Avp<'_>> {
    Avps::new(&datagram[Header::LEN..]).map(|avp| avp.expect("what we send is sound")).collect()
}

/// All messages that there are, by sender, in order.
fn talk(policy: &Policy) -> Vec<(usize, Vec<u8>)> {
    let mut pair = Pair::new(policy);
    let lac = pair.ends[0].connect(pair.now, connect(policy)).expect("an id is free");
    pair.settle();
    let lns = pair.find(1, |event| match event {
        Event::TunnelUp { tunnel, .. } => Some(*tunnel),
        _ => None,
    });
    let tunnels = [lac, lns];

    let incoming = pair.call(tunnels, 0, Request::Incoming(incoming()));
    let outgoing = pair.call(tunnels, 1, Request::Outgoing(outgoing()));
    let accm = Accm { send: 0xffff_0000, receive: 0x0000_ffff };
    pair.ends[1].send_link_info(lns, incoming[1], accm).expect("the call is up");
    let errors = CallErrors {
        crc: 1,
        framing: 2,
        hardware_overruns: 3,
        buffer_overruns: 4,
        timeouts: 5,
        alignment: 6,
    };
    pair.ends[0].send_line_errors(lac, incoming[0], errors).expect("the call is up");
    // HELLO, ZLB.
    pair.pass(Duration::from_secs(100));
    pair.ends[1].hang_up(pair.now, lns, incoming[1], why()).expect("there is a call");
    let busy = Cause::new(CdnResult::BUSY);
    pair.ends[0].hang_up(pair.now, lac, outgoing[0], busy).expect("there is a call");
    pair.settle();
    let reason = Cause::error(StopResult::GENERAL_ERROR, ErrorCode::TRY_ANOTHER, "to 192.0.2.3");
    pair.ends[1].close(pair.now, lns, reason).expect("there is a tunnel");
    pair.pass(Duration::from_secs(40));
    assert!(pair.ends.iter().all(Endpoint::is_empty));

    let said = pair.sent.iter().filter(|(_, bytes)| bytes.len() > Header::LEN);
    let said: BTreeSet<_> = said.map(|(_, bytes)| u16::from_be_bytes([bytes[18], bytes[19]])).collect();
    assert_eq!(said, MESSAGES.iter().map(|rule| rule.message_type.0).collect());
    assert!(pair.sent.iter().any(|(_, bytes)| bytes.len() == Header::LEN), "a ZLB");
    pair.sent
}

fn incoming() -> Incoming {
    Incoming {
        serial: Some(7),
        bearer: Some(Bearer::ANALOG),
        channel: Some(17),
        calling: Some(b"0816".into()),
        called: Some(b"0815".into()),
        sub_address: Some(b"3".into()),
        other_avps: access_line(),
    }
}

/// Agent-Circuit-Id and Actual-Data-Rate-Upstream of RFC 5515.
fn access_line() -> OtherAvps {
    let mut avps = OtherAvps::default();
    let values: [(u16, &[u8]); 2] = [(1, b"atm 3/0:100.33"), (129, &1_048_576u64.to_be_bytes())];
    for (number, value) in values {
        avps.push(Attribute { vendor: 3561, number }, value).expect("they fit");
    }
    avps
}

fn outgoing() -> Outgoing {
    Outgoing {
        serial: None,
        minimum_bps: 9600,
        maximum_bps: 128_000,
        bearer: Bearer::DIGITAL,
        framing: Framing::SYNC,
        called: b"4711".into(),
        sub_address: Some(b"4".into()),
        other_avps: OtherAvps::default(),
    }
}

fn line() -> Connected {
    // LCP options: MRU, Authentication-Protocol CHAP with MD5, Magic-Number, PFC, ACFC.
    let caller = [1, 4, 0x05, 0xdc, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2];
    let lac = [1, 4, 0x05, 0xd4, 3, 5, 0xc2, 0x23, 5, 5, 6, 5, 6, 7, 8, 7, 2, 8, 2];
    Connected {
        tx_bps: 52_000,
        rx_bps: Some(33_600),
        framing: Framing::ASYNC,
        sequencing_required: true,
        private_group: Some(b"vpn-7".into()),
        proxy: Some(Box::new(Proxy {
            initial_received_lcp: Some(caller.into()),
            last_sent_lcp: Some(lac.into()),
            last_received_lcp: Some(caller.into()),
            authen_type: Some(AuthenType::CHAP),
            authen_name: Some(b"alice@example".into()),
            authen_challenge: Some(vec![9; 16]),
            authen_id: Some(42),
            authen_response: Some(vec![7; 16].into()),
        })),
        other_avps: OtherAvps::default(),
    }
}

fn why() -> Cause<CdnResult> {
    Cause {
        ppp: Some(PppCause {
            code: CauseCode::AUTH_FAILED,
            protocol: 0xc223,
            direction: Direction::PEER,
            message: "no such user".into(),
        }),
        q931: Some(Q931 { code: 16, message: 0x45 }),
        ..Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::VENDOR, "go away")
    }
}

/// LAC and LNS on an ideal network, on a virtual clock.
struct Pair {
    now: Instant,
    ends: [Endpoint; 2],
    told: [Vec<Event>; 2],
    /// Datagrams, each with its sender.
    sent: Vec<(usize, Vec<u8>)>,
}

impl Pair {
    fn new(policy: &Policy) -> Self {
        let end = |name: &str, seed| {
            let peers = vec![PeerRule::anyone(policy.clone())];
            Endpoint::new(Config { host_name: name.into(), peers, ..Config::default() }, [seed; 32])
        };
        let ends = [end("lac.example", 1), end("lns.example", 2)];
        Self { now: Instant::default(), ends, told: Default::default(), sent: Vec::new() }
    }

    /// A call that one side places, with the ids of LAC and LNS. It comes up.
    fn call(&mut self, tunnels: [TunnelId; 2], by: usize, request: Request) -> [SessionId; 2] {
        let placed = self.ends[by].place_call(self.now, tunnels[by], request, None).expect("an id is free");
        self.settle();
        let offered = self.find(1 - by, |event| match event {
            Event::CallOffered { session, .. } => Some(*session),
            _ => None,
        });
        self.ends[1 - by].accept(self.now, tunnels[1 - by], offered).expect("it is offered");
        self.settle();
        let sessions = if by == 0 { [placed, offered] } else { [offered, placed] };
        self.ends[0].connected(tunnels[0], sessions[0], line()).expect("it is accepted");
        self.settle();
        sessions
    }

    /// What one side was told.
    fn find<T>(&mut self, side: usize, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let told = std::mem::take(&mut self.told[side]);
        told.iter().find_map(wanted).unwrap_or_else(|| panic!("{told:?}"))
    }

    /// Datagrams go to and fro until nobody has one.
    fn settle(&mut self) {
        let mut buffer = vec![0; Message::MAX];
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for side in 0..2 {
                while let Some(transmit) = self.ends[side].poll_transmit(self.now, &mut buffer) {
                    quiet = false;
                    let mut bytes = buffer[..transmit.len].to_vec();
                    self.sent.push((side, bytes.clone()));
                    let from = path([LAC, LNS][side]);
                    self.ends[1 - side].handle_datagram(self.now, from, &mut bytes);
                }
                self.told[side].extend(std::iter::from_fn(|| self.ends[side].poll_event()));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(next) = self.ends.iter().filter_map(Endpoint::poll_timeout).min() {
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.ends.iter_mut().for_each(|side| side.handle_timeout(self.now));
            self.settle();
        }
        self.now = end;
    }
}

fn path(peer: SocketAddrV4) -> Path {
    Path { socket: 0, local: None, peer: SocketAddr::V4(peer) }
}

fn connect(policy: &Policy) -> Connect {
    Connect { path: path(LNS), policy: Arc::new(policy.clone()) }
}
