//! RFC 2661 §7.4.1 and §7.4.2, incoming calls: one test a row.

mod common;

use common::call::*;
use common::*;
use l2tp_control::call::State;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Attribute, CdnResult, Icrp, Message, MessageType};
use l2tp_control::{By, Incoming, Request};

const ICRQ: MessageType = MessageType::ICRQ;
const ICRP: MessageType = MessageType::ICRP;
const ICCN: MessageType = MessageType::ICCN;

fn icrp(id: u16) -> Icrp {
    Icrp::new(session_id(id))
}

/// As LAC, in wait-reply.
fn placed() -> Call {
    Call::placed(Request::Incoming(Incoming::default()))
}

/// As LAC, in established.
fn connected() -> Call {
    let mut call = placed();
    call.tell(icrp(THEIRS));
    call.connected();
    call.bed.events.clear();
    call
}

/// As LNS, in wait-connect.
fn accepted() -> Call {
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    call
}

/// As LNS, in established.
fn answered() -> Call {
    let mut call = accepted();
    call.tell(iccn());
    call.bed.events.clear();
    call
}

/// ICRQ, ICRP and ICCN.
fn messages() -> [(MessageType, Message<'static>); 3] {
    [(ICRQ, icrq(THEIRS).into()), (ICRP, icrp(THEIRS).into()), (ICCN, iccn().into())]
}

mod lac_7_4_1 {
    use super::*;

    #[test]
    fn idle_bearer_ring() {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        let tunnel = bed.dialling(&mut peer, &Policy::default());
        let request = Request::Incoming(Incoming::default());
        let session = bed.end.place_call(bed.now, tunnel, request, None).unwrap();
        bed.drain();
        assert_eq!(bed.take(&mut peer), [], "the tunnel first");
        assert_eq!(bed.end.session_state(tunnel, session), Some(State::WaitTunnel));
    }

    #[test]
    fn idle_receive_iccn_icrp_or_cdn() {
        let rows: [Message<'_>; 3] = [iccn().into(), cdn().into(), icrp(THEIRS).into()];
        for (message, answers) in rows.into_iter().zip([0, 0, 1]) {
            let mut call = Call::idle();
            // To an ICRP §7.4.2 wants a CDN.
            assert_eq!(kinds(&call.send(4711, message)).len(), answers, "{message:?}");
            assert_eq!((call.bed.told(), call.bed.count("no_session")), (vec![], 1));
        }
    }

    #[test]
    fn wait_tunnel_bearer_line_drop_or_local_close_request() {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        let tunnel = bed.dialling(&mut peer, &Policy::default());
        let request = Request::Incoming(Incoming::default());
        let session = bed.end.place_call(bed.now, tunnel, request, None).unwrap();
        let mut call = Call { bed, peer, tunnel, session };
        let sent = call.hang_up(CdnResult::CARRIER_LOST);
        call.assert_cleaned_up(&sent);
        assert_eq!(kinds(&call.send(0, sccrp(77))), [MessageType::SCCCN], "and no ICRQ");
    }

    #[test]
    fn wait_tunnel_tunnel_open() {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        let tunnel = bed.dialling(&mut peer, &Policy::default());
        let request = Request::Incoming(Incoming { calling: Some(b"0815".into()), ..Incoming::default() });
        let session = bed.end.place_call(bed.now, tunnel, request, None).unwrap();
        let sent = bed.send(&mut peer, 0, sccrp(77));
        assert_eq!(kinds(&sent), [MessageType::SCCCN, ICRQ]);
        assert_eq!((sent[1].header().tunnel_id, sent[1].header().session_id), (77, 0));
        assert_eq!(sent[1].number(Attribute::ASSIGNED_SESSION_ID), session.get());
        assert_eq!(sent[1].avp(Attribute::CALLING_NUMBER), Some(&b"0815"[..]));
        assert_eq!(bed.end.session_state(tunnel, session), Some(State::WaitReply));
    }

    #[test]
    fn wait_reply_receive_icrp_acceptable() {
        let mut call = placed();
        assert_eq!(kinds(&call.tell(icrp(THEIRS))), [], "our caller has not said what the line is like");
        assert_eq!((call.state(), names(&call.bed.told())), (Some(State::Accepted), vec!["call accepted"]));
        let sent = call.connected();
        assert_eq!(kinds(&sent), [ICCN]);
        assert_eq!((sent[0].header().tunnel_id, sent[0].header().session_id), (77, THEIRS));
        assert_eq!((call.state(), names(&call.bed.told())), (Some(State::Established), vec!["call up"]));
    }

    #[test]
    fn wait_reply_receive_icrp_not_acceptable() {
        let mut call = placed();
        let mut reply = call.peer.datagram(call.session.get(), icrp(THEIRS));
        let end = reply.len();
        reply[end - 2..].fill(0);
        call.bed.give(call.peer.path, reply);
        let sent = call.said();
        assert_eq!(call.why().1, CdnResult::GENERAL_ERROR);
        call.assert_disconnected(&sent, 0, (2, 3));

        let mut other = connected();
        let request = Request::Incoming(Incoming::default());
        other.session = other.bed.end.place_call(other.bed.now, other.tunnel, request, None).unwrap();
        other.said();
        let sent = other.tell(icrp(THEIRS));
        assert_eq!(kinds(&sent), [MessageType::CDN], "the id belongs to another session");
        assert_eq!(sent[0].result(), (2, 5));
        assert_eq!((other.state(), other.bed.end.sessions()), (None, 1));
    }

    #[test]
    fn wait_reply_receive_icrq() {
        let mut call = placed();
        let sent = call.tell(icrq(THEIRS));
        assert_eq!(call.why().0, By::State { message: ICRQ, state: "wait-reply" });
        call.assert_disconnected(&sent, 0, (2, 3));
    }

    #[test]
    fn wait_reply_receive_cdn_or_iccn() {
        let rows: [Message<'_>; 2] = [cdn().into(), iccn().into()];
        for message in rows {
            let mut call = placed();
            let sent = call.tell(message);
            call.assert_cleaned_up(&sent);
        }
    }

    #[test]
    fn wait_reply_local_close_request_or_bearer_line_drop() {
        let mut call = placed();
        let sent = call.hang_up(CdnResult::CARRIER_LOST);
        assert_eq!(call.why(), (By::Us, CdnResult::CARRIER_LOST));
        call.assert_disconnected(&sent, 0, (1, 0));
        assert_eq!(kinds(&call.tell(icrp(THEIRS))), [MessageType::CDN], "the ICRP that crossed it");
    }

    #[test]
    fn established_receive_cdn() {
        let mut call = connected();
        let sent = call.tell(cdn());
        assert_eq!(call.why(), (By::Peer, CdnResult::ADMINISTRATIVE));
        call.assert_cleaned_up(&sent);
    }

    #[test]
    fn established_receive_icrq_icrp_or_iccn() {
        for (message, body) in messages() {
            let mut call = connected();
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "established" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
    }

    #[test]
    fn established_bearer_line_drop_or_local_close_request() {
        let mut call = connected();
        let sent = call.hang_up(CdnResult::ADMINISTRATIVE);
        call.assert_disconnected(&sent, THEIRS, (3, 0));
    }
}

mod lns_7_4_2 {
    use super::*;

    #[test]
    fn idle_receive_icrq_acceptable() {
        let mut call = Call::offered(icrq(THEIRS));
        assert_eq!(call.state(), Some(State::Offered));
        let sent = call.accept();
        assert_eq!(kinds(&sent), [ICRP]);
        assert_eq!((sent[0].header().tunnel_id, sent[0].header().session_id), (77, THEIRS));
        assert_eq!(sent[0].number(Attribute::ASSIGNED_SESSION_ID), call.session.get());
        assert_eq!((call.state(), call.bed.told()), (Some(State::WaitConnect), vec![]));
    }

    #[test]
    fn idle_receive_icrq_not_acceptable() {
        let mut call = Call::offered(icrq(THEIRS));
        let sent = call.hang_up(CdnResult::BUSY);
        call.assert_disconnected(&sent, THEIRS, (8, 0));

        // An AVP that must be there is missing: our caller hears nothing of it.
        let mut call = Call::idle();
        let mut request = call.peer.datagram(0, icrq(THEIRS));
        let length = request.len() - 10;
        request[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        call.bed.give(call.peer.path, request);
        let sent = call.said();
        assert_eq!(kinds(&sent), [MessageType::CDN]);
        assert_eq!((sent[0].header().session_id, sent[0].result()), (THEIRS, (2, 3)));
        assert_eq!((call.bed.told(), call.bed.end.sessions()), (vec![], 0));
    }

    #[test]
    fn idle_receive_icrp() {
        let mut call = Call::idle();
        let sent = call.send(4711, icrp(THEIRS));
        assert_eq!(kinds(&sent), [MessageType::CDN]);
        assert_eq!((sent[0].header().session_id, sent[0].result()), (THEIRS, (2, 5)));
        assert_ne!(sent[0].number(Attribute::ASSIGNED_SESSION_ID), 0);
        assert_eq!(call.bed.told(), []);
    }

    #[test]
    fn idle_receive_iccn() {
        let mut call = Call::offered(icrq(THEIRS));
        let sent = call.tell(iccn());
        assert_eq!(call.why().0, By::State { message: ICCN, state: "idle" });
        call.assert_cleaned_up(&sent);
        assert_eq!(call.send(4711, iccn()).into_iter().filter_map(|sent| sent.kind()).count(), 0);
    }

    #[test]
    fn wait_connect_receive_iccn_acceptable() {
        let mut call = accepted();
        let ids = Some((tunnel_id(77), session_id(THEIRS)));
        assert_eq!(call.bed.end.peer_ids(call.tunnel, call.session), ids, "data may come ahead of the ICCN");
        assert_eq!(kinds(&call.tell(iccn())), []);
        assert_eq!((call.state(), names(&call.bed.told())), (Some(State::Established), vec!["call up"]));
    }

    #[test]
    fn wait_connect_receive_iccn_not_acceptable() {
        let mut call = accepted();
        let mut connected = call.peer.datagram(call.session.get(), iccn());
        // The M bit on an AVP that nobody knows.
        connected.extend([0x80, 6, 0, 0, 0, 99]);
        let length = connected.len() as u16;
        connected[2..4].copy_from_slice(&length.to_be_bytes());
        call.bed.give(call.peer.path, connected);
        let sent = call.said();
        assert_eq!(call.why().1, CdnResult::GENERAL_ERROR);
        call.assert_disconnected(&sent, THEIRS, (2, 8));
    }

    #[test]
    fn wait_connect_receive_icrq_or_icrp() {
        for (message, body) in &messages()[..2] {
            let mut call = accepted();
            let sent = call.tell(*body);
            assert_eq!(call.why().0, By::State { message: *message, state: "wait-connect" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
        // Without our id, by the peer's.
        let mut call = accepted();
        let sent = call.send(0, icrq(THEIRS));
        call.assert_disconnected(&sent, THEIRS, (2, 3));
    }

    #[test]
    fn idle_wait_connect_or_established_receive_cdn() {
        for mut call in [Call::offered(icrq(THEIRS)), accepted(), answered()] {
            let sent = call.tell(cdn());
            assert_eq!(call.why(), (By::Peer, CdnResult::ADMINISTRATIVE));
            call.assert_cleaned_up(&sent);
        }
        let mut call = Call::offered(icrq(THEIRS));
        let sent = call.send(0, cdn());
        call.assert_cleaned_up(&sent);
        assert_eq!(kinds(&call.send(0, cdn())), [], "there is none any more");
    }

    #[test]
    fn wait_connect_or_established_local_close_request() {
        for mut call in [accepted(), answered()] {
            let sent = call.hang_up(CdnResult::ADMINISTRATIVE);
            call.assert_disconnected(&sent, THEIRS, (3, 0));
        }
    }

    #[test]
    fn established_receive_icrq_icrp_or_iccn() {
        for (message, body) in messages() {
            let mut call = answered();
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "established" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
    }
}
