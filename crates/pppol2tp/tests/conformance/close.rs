//! Closing the UDP socket, the management socket and the session socket, in any order.

use pppol2tp::Errno::*;
use pppol2tp::Reason::UnknownSession;
use pppol2tp::SocketOption::{Debug, RecvSeq};

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Session,
    Management,
    Udp,
}
use What::{Management, Session, Udp};

/// Closes one after the other. What is left answers as §11 says.
fn close(order: [What; 3]) -> Vec<Step> {
    let mut steps = left(&order);
    for (count, what) in (1..).zip(order) {
        steps.push(match what {
            Session => Step::Close(S),
            Management => Step::Close(M),
            Udp => Step::CloseUdp(A),
        });
        steps.extend(left(&order[count..]));
    }
    steps
}

/// What is open still, and how it answers.
fn left(open: &[What]) -> Vec<Step> {
    let [udp, management, session] = [Udp, Management, Session].map(|what| open.contains(&what));
    let references = usize::from(management) + usize::from(session);
    let mut steps = Vec::new();
    if udp {
        let datagram = message(&[2, 1, 10], HDLC);
        let up = if session { vec![] } else { vec![(UnknownSession, datagram.clone())] };
        let sessions = if session { vec![(1, 10)] } else { vec![] };
        steps.extend([there(vec![(1, references)], sessions), arrives(datagram), Step::PassedUp(A, up)]);
    } else {
        steps.push(there(vec![], vec![]));
    }
    match (session, udp) {
        (false, _) => {}
        (true, true) => steps.extend([received(S, FRAME), get(S, RecvSeq).int(0)]),
        (true, false) => {
            let nothing = recv(S).fails(NotConn).linux_fails("dead sockets", Again);
            steps.extend([nothing, get(S, RecvSeq).fails(NotConn)]);
        }
    }
    match (management, udp) {
        (false, _) => {}
        (true, true) => steps.push(get(M, Debug).int(0)),
        (true, false) => steps.push(get(M, Debug).fails(BadF).linux_fails("dead sockets", NotConn)),
    }
    steps
}

rows! {
    session_management_udp "11" SESSION close([Session, Management, Udp]);
    session_udp_management "11" SESSION close([Session, Udp, Management]);
    management_session_udp "11" SESSION close([Management, Session, Udp]);
    management_udp_session "11" SESSION close([Management, Udp, Session]);
    udp_session_management "11" SESSION close([Udp, Session, Management]);
    udp_management_session "11" SESSION close([Udp, Management, Session]);
}
