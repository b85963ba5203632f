//! Why pppd has ended, by its exit code (pppd(8), EXIT STATUS).

use std::io;
use std::process::ExitStatus;

use l2tp_control::wire::{CauseCode, CdnResult, Direction, ErrorCode};
use l2tp_control::{Cause, PppCause};

use super::process::Said;
use crate::accounts::TerminateCause;
use crate::notice::Failed;
use crate::server::ending::Ending;

/// What an exit code means.
struct Row {
    code: i32,
    words: &'static str,
    cause: TerminateCause,
    failure: Failed,
    /// What the peer is told (RFC 3145); `None`: that PPP has failed here.
    told: Option<(CdnResult, CauseCode, Direction)>,
}

const fn here(code: i32, words: &'static str) -> Row {
    Row { code, words, cause: TerminateCause::NAS_ERROR, failure: Failed::Local, told: None }
}

const fn row(
    code: i32,
    words: &'static str,
    (cause, failure): (TerminateCause, Failed),
    told: (CdnResult, CauseCode, Direction),
) -> Row {
    Row { code, words, cause, failure, told: Some(told) }
}

const LOST: CdnResult = CdnResult::CARRIER_LOST;
const ADMINISTRATIVE: (CdnResult, CauseCode, Direction) =
    (CdnResult::ADMINISTRATIVE, CauseCode::ADMINISTRATIVE, Direction::LOCAL);

/// All that pppd has.
const ROWS: [Row; 22] = [
    row(
        0,
        "the peer has ended the link",
        (TerminateCause::USER_REQUEST, Failed::Ended),
        (LOST, CauseCode::NORMAL, Direction::PEER),
    ),
    here(1, "a fatal error"),
    here(2, "its options are wrong"),
    here(3, "it has to run as root"),
    here(4, "the kernel has no PPP for it: modprobe ppp_generic"),
    row(5, "a signal ended it", (TerminateCause::ADMIN_RESET, Failed::Local), ADMINISTRATIVE),
    here(6, "the device is locked"),
    here(7, "the device cannot be opened"),
    here(8, "its connect script failed"),
    here(9, "its pty command failed"),
    row(
        10,
        "PPP could not be negotiated: no network protocol came up",
        (TerminateCause::USER_ERROR, Failed::Refused),
        (LOST, CauseCode::NO_NCP, Direction::GLOBAL),
    ),
    row(
        11,
        "the peer did not prove who it is, or refused to",
        (TerminateCause::USER_ERROR, Failed::Refused),
        (LOST, CauseCode::AUTH_FAILED, Direction::PEER),
    ),
    row(12, "it was idle (idle-timeout)", (TerminateCause::IDLE_TIMEOUT, Failed::Local), ADMINISTRATIVE),
    row(
        13,
        "its time is up (session-timeout)",
        (TerminateCause::SESSION_TIMEOUT, Failed::Local),
        ADMINISTRATIVE,
    ),
    here(14, "it waits to be called back"),
    row(
        15,
        "the peer does not answer its echo requests",
        (TerminateCause::LOST_SERVICE, Failed::Silence),
        (LOST, CauseCode::ECHO_TIMEOUT, Direction::PEER),
    ),
    row(
        16,
        "its session has gone",
        (TerminateCause::LOST_CARRIER, Failed::Lost),
        (LOST, CauseCode::NONE, Direction::GLOBAL),
    ),
    row(
        17,
        "the link is looped back",
        (TerminateCause::USER_ERROR, Failed::Refused),
        (LOST, CauseCode::LOOP, Direction::GLOBAL),
    ),
    here(18, "its init script failed"),
    row(
        19,
        "the peer did not accept our name and password",
        (TerminateCause::USER_ERROR, Failed::Password),
        (LOST, CauseCode::AUTH_FAILED, Direction::LOCAL),
    ),
    row(20, "its limit of traffic is reached", (TerminateCause::ADMIN_RESET, Failed::Local), ADMINISTRATIVE),
    row(
        21,
        "the peer's number is not allowed",
        (TerminateCause::USER_ERROR, Failed::Refused),
        (LOST, CauseCode::AUTH_FAILED, Direction::PEER),
    ),
];

/// The code of one that a signal has ended in good order, whatever it had to say before.
const SIGNALLED: i32 = 5;
/// The code of one whose name and password were not accepted.
const DENIED: i32 = 19;

/// What the peer is told, and why the session ends: by pppd's exit code, or the signal that killed it, and what it has
/// written.
pub(super) fn ending(status: &io::Result<ExitStatus>, said: &Said) -> (Cause<CdnResult>, Ending) {
    let of_code = |code| {
        let code = if said.denied && code == SIGNALLED { DENIED } else { code };
        ROWS.iter().find(|row| row.code == code)
    };
    let words = match status {
        Ok(status) => match status.code().and_then(of_code) {
            Some(row) => return of_row(row, &said.last),
            None => format!("pppd failed: {status}"),
        },
        Err(error) => format!("waiting for pppd: {error}"),
    };
    (broken(), Ending::here(TerminateCause::NAS_ERROR, words))
}

fn of_row(row: &Row, last: &str) -> (Cause<CdnResult>, Ending) {
    let mut why = format!("pppd: {} (exit code {})", row.words, row.code);
    let cause = match row.told {
        Some((result, code, direction)) => of_ppp(Cause::new(result), code, direction),
        None => {
            if !last.is_empty() {
                why = format!("{why}: {last}");
            }
            broken()
        }
    };
    (cause, Ending { cause: row.cause, failure: row.failure, why })
}

fn of_ppp(cause: Cause<CdnResult>, code: CauseCode, direction: Direction) -> Cause<CdnResult> {
    Cause { ppp: Some(PppCause { code, protocol: 0, direction, message: String::new() }), ..cause }
}

/// PPP has not ended by its rules: of that RFC 3145 has nothing to say.
fn broken() -> Cause<CdnResult> {
    let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::RESOURCES, "PPP has failed");
    of_ppp(cause, CauseCode::NONE, Direction::GLOBAL)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn every_code_stands_at_its_place() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.code, place as i32);
        }
    }

    #[test]
    fn exit_codes_are_endings() {
        use CauseCode as Code;
        let rows = [
            (0, Failed::Ended, LOST, Code::NORMAL),
            (2, Failed::Local, CdnResult::GENERAL_ERROR, Code::NONE),
            (5, Failed::Local, CdnResult::ADMINISTRATIVE, Code::ADMINISTRATIVE),
            (10, Failed::Refused, LOST, Code::NO_NCP),
            (11, Failed::Refused, LOST, Code::AUTH_FAILED),
            (15, Failed::Silence, LOST, Code::ECHO_TIMEOUT),
            (19, Failed::Password, LOST, Code::AUTH_FAILED),
            (99, Failed::Local, CdnResult::GENERAL_ERROR, Code::NONE),
        ];
        for (code, failure, result, ppp) in rows {
            let (cause, ending) = ending(&Ok(ExitStatus::from_raw(code << 8)), &Said::default());
            assert_eq!((ending.failure, cause.result), (failure, result), "{code}");
            assert_eq!(cause.ppp.map(|ppp| ppp.code), Some(ppp), "{code}");
            assert!(ending.why.contains(&code.to_string()), "{}", ending.why);
        }
    }

    #[test]
    fn a_signal_and_the_last_words_are_told() {
        let (cause, killed) = ending(&Ok(ExitStatus::from_raw(9)), &Said::default());
        assert_eq!((cause.result, cause.error), (CdnResult::GENERAL_ERROR, Some(ErrorCode::RESOURCES)));
        assert_eq!(
            cause.ppp.map(|ppp| (ppp.code, ppp.direction)),
            Some((CauseCode::NONE, Direction::GLOBAL))
        );
        assert_eq!(killed.why, "pppd failed: signal: 9 (SIGKILL)");
        let said = Said { last: "pppd: unrecognized option 'nonsense'".into(), ..Said::default() };
        let (_, wrong) = ending(&Ok(ExitStatus::from_raw(2 << 8)), &said);
        assert_eq!(
            wrong.why,
            "pppd: its options are wrong (exit code 2): pppd: unrecognized option 'nonsense'"
        );
    }

    #[test]
    fn what_it_has_said_before_a_signal_counts() {
        let said = Said { denied: true, ..Said::default() };
        let rows = [(SIGNALLED, Failed::Password), (DENIED, Failed::Password), (16, Failed::Lost)];
        for (code, failure) in rows {
            let (_, ending) = ending(&Ok(ExitStatus::from_raw(code << 8)), &said);
            assert_eq!(ending.failure, failure, "{code}");
        }
    }
}
