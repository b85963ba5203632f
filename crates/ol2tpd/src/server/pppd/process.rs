//! A pppd's process: what it says, and its end.

use std::future::pending;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};
use tracing::{debug, warn};

use super::What;
use crate::hooks::child::Group;
use crate::server::tunnels::text;

/// How long pppd may take to end: its goodbye is sent again after 3 s, and it waits for its scripts. One that ends by
/// itself has as long before it is told to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many lines of its log are heard before it is told to end, at most.
const LINES: usize = 1000;
/// How long its last words may take once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What it writes when the peer does not accept our name and password. Its exit code says so, too, unless a signal has
/// ended it.
const DENIED: [&str; 3] =
    ["CHAP authentication failed", "PAP authentication failed", "EAP: peer reports authentication failure"];

/// What it writes of packets by which we prove who we are, and of the peer's consent.
const PROOFS: [(&str, bool); 6] = [
    ("sent [CHAP Response ", true),
    ("sent [EAP Response ", true),
    ("sent [PAP AuthReq ", true),
    ("rcvd [CHAP Success ", false),
    ("rcvd [EAP Success ", false),
    ("rcvd [PAP AuthAck ", false),
];

/// What it writes before it waits for its scripts, `ip-down` among them, and ends. A signal would have it end them first.
const LINK_ENDED: &str = "Connection terminated.";

/// What stands behind the user's name in its log.
const METHOD: &[u8] = b" authenticated with ";

/// Sees to a pppd until it has ended.
pub(super) async fn run(
    mut child: Child,
    pipe: pipe::Receiver,
    mut stop: oneshot::Receiver<Duration>,
    tell: impl Fn(What),
) {
    let group = Group::of(&child);
    let mut lines = BufReader::new(pipe).split(b'\n');
    let (mut said, mut open) = (Said::default(), true);
    let (mut stopped, mut spared) = (false, false);
    let mut next: Option<(tokio::time::Instant, Signal)> = None;
    let status = loop {
        let signal = async {
            match next {
                Some((at, signal)) => {
                    sleep_until(at).await;
                    signal
                }
                None => pending().await,
            }
        };
        tokio::select! {
            line = lines.next_segment(), if open => match line {
                Ok(Some(line)) => said.hear(&line).into_iter().for_each(|user| tell(What::User(user))),
                Ok(None) | Err(_) => open = false,
            },
            status = child.wait() => break status,
            after = &mut stop, if !stopped => {
                stopped = true;
                next = Some((tokio::time::Instant::now() + after.unwrap_or_default(), Signal::SIGTERM));
            }
            signal = signal => {
                for _ in 0..LINES {
                    // What it has written is older than the signal.
                    let Ok(Ok(Some(line))) = timeout(Duration::ZERO, lines.next_segment()).await else { break };
                    said.hear(&line).into_iter().for_each(|user| tell(What::User(user)));
                }
                if signal == Signal::SIGTERM && said.link_ended && !spared {
                    debug!("pppd ends by itself, when its scripts have: it is not told to before {PATIENCE:?} are over");
                    spared = true;
                    next = Some((tokio::time::Instant::now() + PATIENCE, signal));
                    continue;
                }
                group.signal(signal);
                if signal == Signal::SIGKILL {
                    warn!("pppd goes on after {PATIENCE:?}: killed");
                    break child.wait().await;
                }
                next = Some((tokio::time::Instant::now() + PATIENCE, Signal::SIGKILL));
            }
        }
    };
    group.release();
    let rest = async {
        while open && let Ok(Some(line)) = lines.next_segment().await {
            said.hear(&line).into_iter().for_each(|user| tell(What::User(user)));
        }
    };
    // Its scripts may hold the pipe open.
    let _ = timeout(LAST_WORDS, rest).await;
    tell(What::Ended { status, said });
}

/// What a pppd has said.
#[derive(Default)]
pub(super) struct Said {
    /// The last line, but for its usage and packets.
    pub(super) last: String,
    pub(super) usage: bool,
    /// The peer has not accepted our name and password.
    pub(super) denied: bool,
    /// It has been sent them, and has not said yet what it thinks of them.
    pub(super) proving: bool,
    /// It ends by itself, when its scripts have.
    pub(super) link_ended: bool,
}

impl Said {
    /// Returns who the peer has proved to be, if the line says so.
    fn hear(&mut self, line: &[u8]) -> Option<Box<[u8]>> {
        let user = user(line);
        let line = text(line);
        debug!(target: "pppd", "{line}");
        self.denied |= DENIED.iter().any(|start| line.starts_with(start));
        self.link_ended |= line == LINK_ENDED;
        let packet = line.starts_with("sent [") || line.starts_with("rcvd [");
        if let Some((_, proves)) = PROOFS.iter().find(|(start, _)| line.starts_with(start)) {
            self.proving = *proves;
        }
        // Behind an option that it does not know comes what it knows.
        self.usage |= ["ppp v", "pppd version", "Usage:"].iter().any(|start| line.starts_with(start));
        if !self.usage && !packet && !line.trim().is_empty() {
            self.last = line;
        }
        user
    }
}

/// The name in `Peer NAME authenticated with METHOD`, where a backslash stands before a quotation mark and before
/// another. pppd tells it in no other way without a plugin or a script.
fn user(line: &[u8]) -> Option<Box<[u8]>> {
    let name = line.strip_prefix(b"Peer ")?;
    let end = name.windows(METHOD.len()).rposition(|words| words == METHOD)?;
    let mut octets = name[..end].iter();
    let plain = std::iter::from_fn(|| match octets.next()? {
        b'\\' => octets.next(),
        octet => Some(octet),
    });
    Some(plain.copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_log_tells_the_user_and_the_last_words() {
        let mut said = Said::default();
        let rows: [(&str, Option<&[u8]>); 5] = [
            ("using channel 1", None),
            ("Peer alice authenticated with MS-CHAPv2", Some(b"alice")),
            (
                r"Peer DOM\\al authenticated with you authenticated with CHAP",
                Some(br"DOM\al authenticated with you"),
            ),
            ("Peer is gone", None),
            ("", None),
        ];
        for (line, user) in rows {
            assert_eq!(said.hear(line.as_bytes()).as_deref(), user, "{line}");
        }
        assert_eq!((&*said.last, said.denied), ("Peer is gone", false));
        said.hear(b"CHAP authentication failed: E=691 R=0");
        assert!(said.denied);
        for (line, proving) in [
            ("rcvd [CHAP Challenge id=0x1 <00>, name = \"lns\"]", false),
            ("sent [CHAP Response id=0x1 <00>, name = \"alice\"]", true),
            ("rcvd [LCP EchoRep id=0x0 magic=0x1]", true),
            ("rcvd [CHAP Success id=0x1 \"\"]", false),
        ] {
            said.hear(line.as_bytes());
            assert_eq!(said.proving, proving, "{line}");
            assert!(said.last.starts_with("CHAP authentication failed"), "{}", said.last);
        }
        assert!(!said.link_ended);
        said.hear(b"Connection terminated.");
        assert!(said.link_ended);
        for line in ["pppd: unrecognized option 'nonsense'", "pppd version 2.5.2", "Usage: pppd"] {
            assert_eq!(said.hear(line.as_bytes()), None);
        }
        assert_eq!(said.last, "pppd: unrecognized option 'nonsense'");
    }
}
