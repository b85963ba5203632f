//! xl2tpd with pppd on the kernel's PPPoL2TP, in a guest, as LNS or as LAC.

use std::io;
use std::net::Ipv4Addr;

use crate::PATIENCE;
use crate::uml::{Job, Uml};

/// Of pppd in both roles: a peer that is silent for 5 s is dead.
const OPTIONS: &str = "debug\nlogfd 2\nmtu 1400\nmru 1400\nlcp-echo-interval 1\nlcp-echo-failure 5\n";

/// How PPP authenticates the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By CHAP with MD5.
    Chap,
    /// By MS-CHAPv2.
    MsChapV2,
}

impl Auth {
    /// The word in pppd's options `require-…` and `refuse-…`.
    const fn word(self) -> &'static str {
        match self {
            Self::Chap => "chap",
            Self::MsChapV2 => "mschap-v2",
        }
    }
}

/// What both roles have to be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The caller's name and password.
    pub user: (&'a str, &'a str),
    /// How the caller authenticates itself.
    pub auth: Auth,
    /// The secret of tunnel authentication, which is then required.
    pub secret: Option<&'a str>,
    /// Data messages have sequence numbers, and have to.
    pub sequence: bool,
}

/// The LNS's inner address, and the only one that it gives away.
pub const INNER: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2));

/// An xl2tpd, running. It goes on when this value is dropped, as long as its guest does.
#[derive(Debug)]
pub struct Xl2tpd<'a> {
    guest: &'a Uml,
    /// What it and its pppd say.
    pub job: Job<'a>,
}

impl<'a> Xl2tpd<'a> {
    /// An LNS for one caller, whom it gives the address in [`INNER`]. Returns when it listens.
    pub fn lns(guest: &'a Uml, settings: Settings) -> io::Result<Self> {
        let (local, peer) = INNER;
        let auth = settings.auth.word();
        let options = format!("auth\nrequire-{auth}\nname lns\n");
        let section = format!("[lns default]\nip range = {peer}-{peer}\nlocal ip = {local}\n");
        Self::start(guest, settings, &section, &options)
    }

    /// A LAC, or client, that calls at once, authenticates itself, and calls again when it has lost the LNS. Returns when it listens.
    pub fn lac(guest: &'a Uml, lns: Ipv4Addr, settings: Settings) -> io::Result<Self> {
        let others = [Auth::Chap, Auth::MsChapV2].into_iter().filter(|auth| *auth != settings.auth);
        let refused: String = others.map(|auth| format!("refuse-{}\n", auth.word())).collect();
        let (user, _) = settings.user;
        let options = format!("noauth\n{refused}refuse-pap\nrefuse-mschap\nrefuse-eap\nname {user}\n");
        let section = format!("[lac peer]\nlns = {lns}\nautodial = yes\nredial = yes\nredial timeout = 2\n");
        Self::start(guest, settings, &section, &options)
    }

    fn start(guest: &'a Uml, settings: Settings, section: &str, options: &str) -> io::Result<Self> {
        let Settings { user: (user, password), secret, sequence, .. } = settings;
        let challenge = if secret.is_some() { "yes" } else { "no" };
        let sequence = if sequence { "pppol2tp_send_seq\npppol2tp_recv_seq\n" } else { "" };
        guest.file(
            "xl2tpd.conf",
            &format!(
                "[global]\nlisten-addr = {}\ndebug tunnel = yes\ndebug state = yes\nmax retries = 3\n{section}\
                 challenge = {challenge}\npppoptfile = /host/options\n",
                guest.address
            ),
        )?;
        guest.file("options", &format!("{OPTIONS}{options}{sequence}"))?;
        guest.file("l2tp-secrets", &secret.map(|secret| format!("* * {secret}\n")).unwrap_or_default())?;
        guest.file("chap-secrets", &format!("\"{user}\" * \"{password}\" *\n"))?;
        guest.run("install -m 600 /host/chap-secrets /etc/ppp")?;
        let job =
            guest.start("exec xl2tpd -D -c /host/xl2tpd.conf -s /host/l2tp-secrets -p /run/xl2tpd.pid")?;
        job.find(PATIENCE, |line| line.contains("Listening on IP address").then_some(()))?;
        Ok(Self { guest, job })
    }

    /// Waits for IPCP. Returns the inner addresses: its own and the peer's.
    pub fn up(&self) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
        self.up_from(0)
    }

    /// The same of a session that comes behind a [`mark`](Job::mark).
    pub fn up_from(&self, mark: usize) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
        up(&self.job, mark)
    }

    /// A LAC hangs up: PPP, session and tunnel end in good order.
    pub fn hang_up(&self) -> io::Result<()> {
        self.guest.run("xl2tpd-control disconnect-lac peer").map(drop)
    }

    /// It ends in good order, with all its tunnels.
    pub fn terminate(&self) -> io::Result<()> {
        self.job.signal("TERM")
    }

    /// It ends in no order at all.
    pub fn kill(&self) -> io::Result<()> {
        self.job.signal("KILL")
    }

    /// Waits until its last pppd has ended.
    ///
    /// Errors: one goes on.
    pub fn gone(&self) -> io::Result<()> {
        gone(self.guest)
    }
}

/// Waits until a pppd that debugs has IPCP. Returns its address and the peer's.
pub(crate) fn up(pppd: &Job, mark: usize) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
    let mut local = None;
    pppd.find_from(mark, PATIENCE, |line| {
        let address = |label| line.split_once(label)?.1.trim().parse::<Ipv4Addr>().ok();
        local = local.or(address("local  IP address "));
        Some((local?, address("remote IP address ")?))
    })
}

/// Waits until the last pppd in a guest has ended.
///
/// Errors: one goes on, or its interface stays.
pub(crate) fn gone(guest: &Uml) -> io::Result<()> {
    guest.run("pidwait pppd; test -z \"$(ip link show type ppp)\"").map(drop)
}
