//! What the accounts answer.

use std::time::Duration;

use l2tp_control::wire::CdnResult;
use l2tp_control::{Cause, Instant};

use super::Reactor;
use super::ending::Ending;
use super::key::Key;
use crate::accounts::{Answer, Record, RecordKind, TerminateCause, Traffic};

impl Reactor<'_> {
    /// The accounts have answered.
    pub(super) fn answered(&mut self, answer: Answer) {
        let now = self.clock.now();
        if let Some(old) = answer.access.replaces {
            self.replaced(now, old);
        }
        let key = Key::of(answer.session);
        let session = self.sessions.get_mut(&key).filter(|session| session.serial == answer.session);
        let Some(session) = session else {
            // The session has ended meanwhile; whoever counts sessions has to know.
            return self.account_stop_of_lost(answer);
        };
        if let ppp::auth::Verdict::Accept { .. } = answer.access.verdict {
            session.grant = Some(Box::new(answer.access.grant));
        }
        if let Some(link) = &mut session.link {
            link.authenticated(now, answer.access.verdict);
            self.touched.push(key);
        }
    }

    /// A session's user has come again, and may not have two.
    fn replaced(&mut self, now: Instant, serial: u64) {
        let key = Key::of(serial);
        if self.sessions.get(&key).is_some_and(|session| session.serial == serial) {
            let ending =
                Ending::here(TerminateCause::USER_REQUEST, "its user has come again, from elsewhere");
            self.hang_up_because(now, key, Cause::new(CdnResult::ADMINISTRATIVE), ending);
            self.pump(now);
        }
    }

    fn account_stop_of_lost(&mut self, answer: Answer) {
        if let ppp::auth::Verdict::Accept { .. } = answer.access.verdict {
            let words = "the session ended before it was let in".into();
            let kind = RecordKind::Stop { cause: TerminateCause::LOST_CARRIER, words };
            self.aaa.account(Record {
                session: answer.session,
                user: Box::default(),
                kind,
                address: None,
                ipv6_prefix: None,
                time: Duration::ZERO,
                traffic: Traffic::default(),
            });
        }
    }
}
