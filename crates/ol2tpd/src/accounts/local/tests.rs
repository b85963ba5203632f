use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ppp::{Proof, Request};
use tokio::sync::mpsc;

use super::*;
use crate::accounts::{TerminateCause, Traffic};

fn user(name: &str, password: &str, max_sessions: Option<u32>) -> Arc<User> {
    let grant = Grant { pool: Some("p".into()), max_sessions, refuse_more: true, ..Grant::default() };
    Arc::new(User { name: name.as_bytes().into(), password: password.into(), grant })
}

/// What comes out of a question with PAP.
fn ask(local: &mut Local, session: u64, name: &str, password: &str) -> Access {
    let (to, mut answers) = mpsc::unbounded_channel();
    let request = AccessRequest {
        session,
        request: Request {
            name: name.as_bytes().into(),
            proof: Proof::Pap { id: 1, password: password.into() },
        },
        peer: (IpAddr::from([192, 0, 2, 1]), 1701).into(),
        calling_number: None,
        called_number: None,
        profile: "p".into(),
    };
    local.authenticate(request, Reply::new(session, to));
    let answer = answers.try_recv().expect("local accounts answer at once");
    assert_eq!(answer.session, session);
    assert!(answers.try_recv().is_err(), "one answer");
    answer.access
}

fn accepted(access: &Access) -> bool {
    matches!(access.verdict, Verdict::Accept { .. })
}

fn record(session: u64, kind: RecordKind) -> Record {
    Record {
        session,
        user: (*b"u").into(),
        kind,
        address: None,
        ipv6_prefix: None,
        time: Duration::ZERO,
        traffic: Traffic::default(),
    }
}

fn stop(local: &mut Local, session: u64) {
    let kind = RecordKind::Stop { cause: TerminateCause::USER_REQUEST, words: String::new() };
    local.account(record(session, kind));
}

#[test]
fn the_password_lets_in_and_brings_the_grant() {
    let mut local = Local::new(&[user("u", "p", None)], [7; 32]);
    let access = ask(&mut local, 1, "u", "p");
    assert!(accepted(&access));
    assert_eq!(access.grant.pool.as_deref(), Some("p"));
}

#[test]
fn a_wrong_password_and_an_unknown_name_get_the_same_answer_and_no_grant() {
    let mut local = Local::new(&[user("u", "p", None)], [7; 32]);
    let wrong = ask(&mut local, 1, "u", "q");
    assert!(!accepted(&wrong));
    assert_eq!(wrong.grant, Grant::default());
    for name in ["v", "", "U", "u ", "*"] {
        assert_eq!(ask(&mut local, 2, name, "p"), wrong, "{name}");
    }
}

#[test]
fn an_account_for_anybody_is_for_whoever_has_none() {
    let mut local = Local::new(&[user("u", "p", None), user("*", "q", None)], [7; 32]);
    assert!(accepted(&ask(&mut local, 1, "v", "q")));
    assert!(!accepted(&ask(&mut local, 2, "u", "q")));
    assert!(accepted(&ask(&mut local, 3, "u", "p")));
}

#[test]
fn a_user_has_as_many_sessions_as_there_may_be() {
    let mut local = Local::new(&[user("u", "p", Some(2)), user("v", "p", None)], [7; 32]);
    for session in [1, 2] {
        assert!(accepted(&ask(&mut local, session, "u", "p")));
    }
    let refused = ask(&mut local, 3, "u", "p");
    let Verdict::Reject { message, .. } = &refused.verdict else { panic!("{refused:?}") };
    assert_eq!(&**message, "There are as many sessions of this user as there may be");
    assert_eq!(refused.grant, Grant::default());
    assert!(accepted(&ask(&mut local, 4, "v", "p")), "others are not concerned");

    local.account(record(2, RecordKind::Start));
    local.account(record(2, RecordKind::Interim));
    assert!(!accepted(&ask(&mut local, 3, "u", "p")), "a session that goes on counts");
    stop(&mut local, 2);
    assert!(accepted(&ask(&mut local, 3, "u", "p")));
}

#[test]
fn one_session_more_ends_the_oldest() {
    let grant = Grant { max_sessions: Some(2), ..Grant::default() };
    let account = User { name: (*b"u").into(), password: "p".into(), grant };
    let mut local = Local::new(&[Arc::new(account)], [7; 32]);
    let replaced = |local: &mut Local, session| ask(local, session, "u", "p").replaces;
    assert_eq!(replaced(&mut local, 7), None);
    assert_eq!(replaced(&mut local, 9), None);
    assert_eq!(replaced(&mut local, 7), None, "it proves itself again");
    assert_eq!(replaced(&mut local, 12), Some(7));
    // The end of that one comes later.
    stop(&mut local, 7);
    assert_eq!(replaced(&mut local, 13), Some(9));
    assert_eq!(ask(&mut local, 14, "u", "wrong").replaces, None);
}

#[test]
fn what_is_always_the_same_can_be_had_once() {
    let routes = vec!["10.9.0.0/16".parse().unwrap()];
    let address = Some(Ipv4Addr::new(10, 0, 0, 7));
    for (grant, most) in [
        (Grant::default(), None),
        (Grant { max_sessions: Some(3), ..Grant::default() }, Some(3)),
        (Grant { address, ..Grant::default() }, Some(1)),
        (Grant { ipv6_prefix: "fd01::/64".parse().ok(), ..Grant::default() }, Some(1)),
        (Grant { routes, ..Grant::default() }, Some(1)),
    ] {
        assert_eq!(grant.most_sessions(), most, "{grant:?}");
    }
}

#[test]
fn who_proves_himself_again_counts_once() {
    let mut local = Local::new(&[user("u", "p", Some(1))], [7; 32]);
    for _ in 0..3 {
        assert!(accepted(&ask(&mut local, 1, "u", "p")));
    }
    stop(&mut local, 1);
    stop(&mut local, 1);
    stop(&mut local, 9);
    assert!(accepted(&ask(&mut local, 2, "u", "p")));
    assert!(!accepted(&ask(&mut local, 3, "u", "p")));
}

#[test]
fn too_many_sessions_are_not_told_to_who_does_not_know_the_password() {
    let mut local = Local::new(&[user("u", "p", Some(1))], [7; 32]);
    let wrong = ask(&mut local, 1, "u", "q");
    assert!(accepted(&ask(&mut local, 1, "u", "p")));
    assert_eq!(ask(&mut local, 2, "u", "q"), wrong);
}

#[test]
fn nothing_is_kept_of_who_was_not_let_in_or_has_gone() {
    let mut local = Local::new(&[user("*", "p", None)], [7; 32]);
    for session in 0..100 {
        ask(&mut local, session, &format!("u{session}"), if session % 2 == 0 { "p" } else { "q" });
        stop(&mut local, session);
    }
    assert!(local.sessions.is_empty() && local.of_name.is_empty());
}

#[test]
fn other_accounts_count_from_the_reload_on() {
    let mut local = Local::new(&[user("u", "p", Some(1))], [7; 32]);
    assert!(accepted(&ask(&mut local, 1, "u", "p")));
    let file = "[peer.a]\n[[user]]\nname = 'u'\npassword = 'q'\nmax-sessions = 1\nrefuse-more = true\n";
    let loaded = Settings::parse(std::path::Path::new("f"), file).unwrap();
    local.reload(&loaded.settings);
    assert!(!accepted(&ask(&mut local, 2, "u", "p")));
    assert!(!accepted(&ask(&mut local, 2, "u", "q")), "the session from before counts");
    stop(&mut local, 1);
    assert!(accepted(&ask(&mut local, 2, "u", "q")));
}

#[test]
fn a_question_that_nobody_answers_is_refused() {
    let (to, mut answers) = mpsc::unbounded_channel();
    drop(Reply::new(5, to));
    let answer = answers.try_recv().unwrap();
    assert_eq!(answer.session, 5);
    assert!(!accepted(&answer.access));
}
