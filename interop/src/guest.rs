//! `ol2tp serve` or `ol2tp connect`, running in a guest, on the kernel's own driver.

use std::collections::BTreeMap;
use std::io;

use ol2tp::exit::Code;
use ol2tpd::Notice;
use ol2tpd::control::{Report, SessionView};

use crate::PATIENCE;
use crate::uml::{Job, Uml};

/// The command in a guest. It goes on when this value is dropped, as long as its guest does.
#[derive(Debug)]
pub struct GuestDaemon<'a> {
    guest: &'a Uml,
    program: String,
    job: Job<'a>,
}

/// A session as `/proc/net/pppol2tp` has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProcSession {
    /// Local and peer's tunnel and session ids.
    pub ids: [u16; 4],
    /// 1: connected, 3: bound too.
    pub state: u8,
    /// Nr and Ns.
    pub numbers: (u16, u16),
    /// Sent: packets, bytes, errors; received: the same.
    pub counters: [u64; 6],
    /// The interface.
    pub interface: Option<String>,
}

impl<'a> GuestDaemon<'a> {
    /// Starts a server with this configuration. Returns when it listens.
    pub fn serve(guest: &'a Uml, configuration: &str) -> io::Result<Self> {
        let daemon = Self::start(guest, "serve", "", configuration)?;
        daemon.told(|notice| matches!(notice, Notice::Listening { .. }).then_some(()))?;
        Ok(daemon)
    }

    /// Starts the connection `peer` of this configuration.
    pub fn connect(guest: &'a Uml, configuration: &str) -> io::Result<Self> {
        Self::start(guest, "connect", "peer", configuration)
    }

    fn start(guest: &'a Uml, command: &str, name: &str, configuration: &str) -> io::Result<Self> {
        let program = guest.program(&crate::ol2tp()?)?;
        let file = guest.file(&format!("{command}.toml"), configuration)?;
        let line = format!(
            "exec {program} {command} --log info,ol2tpd=debug,pppd=debug -c {file} {name} --json --socket /run/ol2tp.sock"
        );
        let job = guest.start(&line)?;
        Ok(Self { guest, program, job })
    }

    /// The first notice, from now or before, that is wanted.
    ///
    /// Errors: there is none for 60 s; the error has all that the guest said.
    pub fn told<T>(&self, wanted: impl FnMut(&Notice) -> Option<T>) -> io::Result<T> {
        self.told_from(0, wanted)
    }

    /// The first wanted notice behind a [`mark`](Self::mark).
    ///
    /// Errors: those of [`told`](Self::told).
    pub fn told_from<T>(&self, mark: usize, mut wanted: impl FnMut(&Notice) -> Option<T>) -> io::Result<T> {
        self.job.find_from(mark, PATIENCE, |line| wanted(&serde_json::from_str(line).ok()?))
    }

    /// What was told until now lies before it.
    pub fn mark(&self) -> usize {
        self.job.mark()
    }

    /// What it says.
    pub fn job(&self) -> &Job<'a> {
        &self.job
    }

    /// Tunnels and sessions.
    pub fn show(&self) -> io::Result<Report> {
        let report = self.guest.run(&format!("{} show --json --socket /run/ol2tp.sock", self.program))?;
        serde_json::from_str(&report).map_err(io::Error::other)
    }

    /// The same in words.
    pub fn show_text(&self) -> io::Result<String> {
        self.guest.run(&format!("{} show --socket /run/ol2tp.sock", self.program))
    }

    /// Runs `ol2tp disconnect` with these arguments.
    pub fn disconnect(&self, what: &str) -> io::Result<()> {
        self.guest.run(&format!("{} disconnect --socket /run/ol2tp.sock {what}", self.program)).map(drop)
    }

    /// Its only session, as `show` has it.
    pub fn session(&self) -> io::Result<SessionView> {
        only_session(self.show()?)
    }

    /// A signal for the daemon.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        self.job.signal(name)
    }

    /// Asks it to end, and waits.
    ///
    /// Errors: it does not end well, or leaves something behind.
    pub fn stop(&self) -> io::Result<()> {
        self.signal("INT")?;
        self.ends(Code::Ok)
    }

    /// Waits for its end.
    ///
    /// Errors: it goes on, ends with another exit code, or leaves something behind.
    pub fn ends(&self, code: Code) -> io::Result<()> {
        let (found, said) = self.job.wait(PATIENCE)?;
        if found != code as i32 {
            return Err(io::Error::other(format!("exit code {found}, not {code:?}:\n{said}")));
        }
        nothing_left(self.guest)
    }
}

/// The only session of a report.
///
/// Errors: there are none, or more.
pub fn only_session(report: Report) -> io::Result<SessionView> {
    let mut sessions = report.sessions.unwrap_or_default();
    match (sessions.pop(), sessions.is_empty()) {
        (Some(session), true) => Ok(session),
        _ => Err(io::Error::other("there is not one session")),
    }
}

/// Waits until the kernel has no tunnel and no PPP interface any more, and no pppd runs.
///
/// Errors: one stays.
pub fn nothing_left(guest: &Uml) -> io::Result<()> {
    // The kernel ends in its own time what was closed, and tells nobody.
    let left = "sed -n \"/^TUNNEL '/p\" /proc/net/pppol2tp; ip -o link show type ppp";
    let gone = format!(
        "n=0; while test -n \"$({left})\"; do n=$((n + 1)); test $n -lt 100 || exit 1; sleep 0.1; done"
    );
    guest.run(&format!("pidwait pppd; {gone}")).map(drop)
}

/// The kernel's sessions.
///
/// Errors: its text cannot be understood.
pub fn proc_sessions(guest: &Uml) -> io::Result<Vec<ProcSession>> {
    let text = guest.run("cat /proc/net/pppol2tp")?;
    let wrong = || io::Error::other(format!("not understood:\n{text}"));
    let mut sessions: Vec<ProcSession> = Vec::new();
    let mut lines = text.lines().skip(6);
    while let Some(line) = lines.next() {
        if line.starts_with("  SESSION '") {
            let counts = lines.nth(1).ok_or_else(wrong)?;
            sessions.push(session(line, counts).ok_or_else(wrong)?);
        } else if let (Some(name), Some(last)) = (line.strip_prefix("   interface "), sessions.last_mut()) {
            last.interface = Some(name.into());
        }
    }
    Ok(sessions)
}

/// `SESSION 'sess 1/10' C0000202/1701 0001/000A -> 0002/0014 3 Y` and `0/7 2/32/0 3/60/0`.
fn session(line: &str, counts: &str) -> Option<ProcSession> {
    let mut words = line.split("' ").nth(1)?.split_whitespace().skip(1);
    let pair = |word: &str| {
        let (tunnel, session) = word.split_once('/')?;
        Some([u16::from_str_radix(tunnel, 16).ok()?, u16::from_str_radix(session, 16).ok()?])
    };
    let ours = pair(words.next()?)?;
    let theirs = pair(words.nth(1)?)?;
    let state = words.next()?.parse().ok()?;
    let numbers: Vec<u64> = counts
        .split([' ', '/'])
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    let (first, counters) = numbers.split_first_chunk::<2>()?;
    Some(ProcSession {
        ids: [ours[0], ours[1], theirs[0], theirs[1]],
        state,
        numbers: (first[0] as u16, first[1] as u16),
        counters: counters.try_into().ok()?,
        interface: None,
    })
}

/// A session of `show` in the kernel's words.
pub fn in_words_of_proc(session: &SessionView) -> ProcSession {
    let stats: BTreeMap<_, _> = session.stats.iter().map(|(name, value)| (&**name, *value)).collect();
    let count = |name| stats.get(name).copied().unwrap_or_default();
    ProcSession {
        ids: [session.tunnel_id, session.session_id, session.peer_tunnel_id, session.peer_session_id],
        state: if session.bound { 3 } else { 1 },
        numbers: (session.nr, session.ns),
        counters: ["tx_packets", "tx_bytes", "tx_errors", "rx_packets", "rx_bytes", "rx_errors"].map(count),
        interface: session.interface.clone(),
    }
}
