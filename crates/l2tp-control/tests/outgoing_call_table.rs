//! RFC 2661 §7.5.1 and §7.5.2, outgoing calls: one test a row.

mod common;

use common::call::*;
use common::*;
use l2tp_control::By;
use l2tp_control::call::State;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Attribute, Bps, CdnResult, Framing, Message, MessageType, Occn};

const OCRQ: MessageType = MessageType::OCRQ;
const OCRP: MessageType = MessageType::OCRP;
const OCCN: MessageType = MessageType::OCCN;
const CDN: MessageType = MessageType::CDN;

fn occn() -> Occn {
    Occn::new(Bps(64_000), Framing::SYNC)
}

/// As LAC, in wait-cs-answer.
fn dialling() -> Call {
    let mut call = Call::offered(ocrq(THEIRS));
    call.accept();
    call
}

/// As LAC, in established.
fn connected() -> Call {
    let mut call = dialling();
    call.connected();
    call.bed.events.clear();
    call
}

/// As LNS, in wait-connect.
fn accepted() -> Call {
    let mut call = Call::placed(outgoing());
    call.tell(ocrp(THEIRS));
    call.bed.events.clear();
    call
}

/// As LNS, in established.
fn answered() -> Call {
    let mut call = accepted();
    call.tell(occn());
    call.bed.events.clear();
    call
}

/// OCRQ, OCRP and OCCN.
fn messages() -> [(MessageType, Message<'static>); 3] {
    [(OCRQ, ocrq(THEIRS).into()), (OCRP, ocrp(THEIRS).into()), (OCCN, occn().into())]
}

mod lac_7_5_1 {
    use super::*;

    #[test]
    fn idle_receive_ocrq_acceptable() {
        let mut call = Call::offered(ocrq(THEIRS));
        let sent = call.accept();
        assert_eq!(kinds(&sent), [OCRP]);
        assert_eq!((sent[0].header().tunnel_id, sent[0].header().session_id), (77, THEIRS));
        assert_eq!(sent[0].number(Attribute::ASSIGNED_SESSION_ID), call.session.get());
        assert_eq!(call.state(), Some(State::WaitCsAnswer));
    }

    #[test]
    fn idle_receive_ocrq_not_acceptable() {
        let mut call = Call::offered(ocrq(THEIRS));
        let sent = call.hang_up(CdnResult::INVALID_DESTINATION);
        call.assert_disconnected(&sent, THEIRS, (6, 0));
    }

    #[test]
    fn idle_receive_ocrp() {
        let mut call = Call::idle();
        let sent = call.send(4711, ocrp(THEIRS));
        assert_eq!(kinds(&sent), [CDN]);
        assert_eq!((sent[0].header().session_id, sent[0].result()), (THEIRS, (2, 5)));
    }

    #[test]
    fn idle_receive_occn_or_cdn() {
        let rows: [Message<'_>; 2] = [occn().into(), cdn().into()];
        for message in rows {
            let mut call = Call::offered(ocrq(THEIRS));
            let sent = call.tell(message);
            call.assert_cleaned_up(&sent);
            assert_eq!(kinds(&call.send(4711, message)), [], "also where there never was a call");
        }
    }

    #[test]
    fn wait_cs_answer_bearer_answer() {
        let mut call = dialling();
        let sent = call.connected();
        assert_eq!(kinds(&sent), [OCCN]);
        assert_eq!((sent[0].header().tunnel_id, sent[0].header().session_id), (77, THEIRS));
        assert_eq!((call.state(), names(&call.bed.told())), (Some(State::Established), vec!["call up"]));
    }

    #[test]
    fn wait_cs_answer_bearer_failure() {
        let mut call = dialling();
        let sent = call.hang_up(CdnResult::NO_CARRIER);
        call.assert_disconnected(&sent, THEIRS, (7, 0));
    }

    #[test]
    fn wait_cs_answer_receive_ocrq_ocrp_or_occn() {
        for (message, body) in messages() {
            let mut call = dialling();
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "wait-cs-answer" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
        // Without our id, by the peer's.
        let mut call = dialling();
        let sent = call.send(0, ocrq(THEIRS));
        call.assert_disconnected(&sent, THEIRS, (2, 3));
    }

    #[test]
    fn established_receive_ocrq_ocrp_or_occn() {
        for (message, body) in messages() {
            let mut call = connected();
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "established" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
    }

    #[test]
    fn wait_cs_answer_or_established_receive_cdn() {
        for mut call in [dialling(), connected()] {
            let sent = call.tell(cdn());
            assert_eq!(call.why(), (By::Peer, CdnResult::ADMINISTRATIVE));
            call.assert_cleaned_up(&sent);
        }
    }

    #[test]
    fn established_bearer_line_drop_or_local_close_request() {
        let mut call = connected();
        let sent = call.hang_up(CdnResult::CARRIER_LOST);
        call.assert_disconnected(&sent, THEIRS, (1, 0));
    }
}

mod lns_7_5_2 {
    use super::*;

    /// In wait-tunnel.
    fn waiting() -> Call {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        let tunnel = bed.dialling(&mut peer, &Policy::default());
        let session = bed.end.place_call(bed.now, tunnel, outgoing(), None).unwrap();
        bed.drain();
        assert_eq!(bed.take(&mut peer), [], "the tunnel first");
        Call { bed, peer, tunnel, session }
    }

    #[test]
    fn idle_local_open_request() {
        assert_eq!(waiting().state(), Some(State::WaitTunnel));
    }

    #[test]
    fn idle_receive_occn_ocrp_or_cdn() {
        let rows: [Message<'_>; 3] = [occn().into(), cdn().into(), ocrp(THEIRS).into()];
        for (message, answers) in rows.into_iter().zip([0, 0, 1]) {
            let mut call = Call::idle();
            // To an OCRP §7.5.1 wants a CDN.
            assert_eq!(kinds(&call.send(4711, message)).len(), answers, "{message:?}");
            assert_eq!((call.bed.told(), call.bed.count("no_session")), (vec![], 1));
        }
    }

    #[test]
    fn wait_tunnel_tunnel_open() {
        let mut call = waiting();
        let sent = call.send(0, sccrp(77));
        assert_eq!(kinds(&sent), [MessageType::SCCCN, OCRQ]);
        let request = &sent[1];
        assert_eq!((request.header().tunnel_id, request.header().session_id), (77, 0));
        assert_eq!(request.number(Attribute::ASSIGNED_SESSION_ID), call.session.get());
        assert_eq!(request.avp(Attribute::CALLED_NUMBER), Some(&b"4711"[..]));
        assert_eq!(call.state(), Some(State::WaitReply));
    }

    #[test]
    fn wait_reply_receive_ocrp_acceptable() {
        let mut call = Call::placed(outgoing());
        assert_eq!(kinds(&call.tell(ocrp(THEIRS))), []);
        assert_eq!(
            (call.state(), names(&call.bed.told())),
            (Some(State::WaitConnect), vec!["call accepted"])
        );
    }

    #[test]
    fn wait_reply_receive_ocrp_not_acceptable() {
        let mut call = Call::placed(outgoing());
        let mut reply = call.peer.datagram(call.session.get(), ocrp(THEIRS));
        let end = reply.len();
        reply[end - 2..].fill(0);
        call.bed.give(call.peer.path, reply);
        let sent = call.said();
        call.assert_disconnected(&sent, 0, (2, 3));
    }

    #[test]
    fn wait_reply_receive_occn_or_ocrq() {
        for (message, body) in [(OCCN, occn().into()), (OCRQ, Message::from(ocrq(THEIRS)))] {
            let mut call = Call::placed(outgoing());
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "wait-reply" });
            call.assert_disconnected(&sent, 0, (2, 3));
        }
    }

    #[test]
    fn wait_connect_receive_occn() {
        let mut call = accepted();
        assert_eq!(kinds(&call.tell(occn())), []);
        assert_eq!((call.state(), names(&call.bed.told())), (Some(State::Established), vec!["call up"]));
    }

    #[test]
    fn wait_connect_receive_ocrq_or_ocrp() {
        for (message, body) in &messages()[..2] {
            let mut call = accepted();
            let sent = call.tell(*body);
            assert_eq!(call.why().0, By::State { message: *message, state: "wait-connect" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
    }

    #[test]
    fn wait_reply_wait_connect_or_established_receive_cdn() {
        for mut call in [Call::placed(outgoing()), accepted(), answered()] {
            let sent = call.tell(cdn());
            assert_eq!(call.why(), (By::Peer, CdnResult::ADMINISTRATIVE));
            call.assert_cleaned_up(&sent);
        }
    }

    #[test]
    fn established_receive_ocrq_ocrp_or_occn() {
        for (message, body) in messages() {
            let mut call = answered();
            let sent = call.tell(body);
            assert_eq!(call.why().0, By::State { message, state: "established" });
            call.assert_disconnected(&sent, THEIRS, (2, 3));
        }
    }

    #[test]
    fn wait_reply_wait_connect_or_established_local_close_request() {
        for (mut call, to) in [(Call::placed(outgoing()), 0), (accepted(), THEIRS), (answered(), THEIRS)] {
            let sent = call.hang_up(CdnResult::ADMINISTRATIVE);
            call.assert_disconnected(&sent, to, (3, 0));
        }
    }

    #[test]
    fn wait_tunnel_local_close_request() {
        let mut call = waiting();
        let sent = call.hang_up(CdnResult::ADMINISTRATIVE);
        call.assert_cleaned_up(&sent);
        assert_eq!(kinds(&call.send(0, sccrp(77))), [MessageType::SCCCN], "and no OCRQ");
    }
}
