//! `pty_load OL2TP [ARGUMENTS]`: what gets through xl2tpd's own path in user space, and through ours, in turn and
//! beside the bare veth; the arguments are those of `ol2tp bench`. Runs where xl2tpd and pppd are, as
//! `cargo xtask bench pty` has it.
//!
//! ```text
//!   left                                                   right
//!   ppp0 ── pppd ── pty ── xl2tpd ══ UDP, veth ══ xl2tpd ── pty ── pppd ── ppp0
//!   TUN ── ol2tp ═════════════════ UDP, veth ═════════════════ ol2tp ── TUN
//! ```
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use clap::Parser;
use interop::PATIENCE;
use interop::log::{Log, with};
use nix::mount::{MsFlags, mount};
use ol2tp::args::BenchArgs;
use ol2tp::bed::{Bed, LEFT, RIGHT, Space};
use ol2tp::bench::ways::{self, Ways};
use ol2tp::exit::{Doing, Failure, Result};
use ol2tp::interrupt::Interrupt;
use ol2tp::load::Path;
use ol2tp::output::{self, Progress};
use ol2tp::tunnel::{Tunnel, direct};
use serde::Serialize;

/// The LNS's inner address, and the client's.
const INNER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2)];
/// Of pppd at both ends. What the loads send would be compressed to nothing.
const OPTIONS: &str = "noauth\nlogfd 2\nmtu 1400\nmru 1400\nnoccp\nnovj\nnodefaultroute\n";
/// Where the kernel's release stands.
const RELEASE: &str = "/proc/sys/kernel/osrelease";
/// Of both of our ends.
const OURS: [&str; 2] = ["--mtu", "1400"];

#[derive(Parser)]
struct Arguments {
    /// The command
    program: PathBuf,
    #[command(flatten)]
    bench: BenchArgs,
}

#[derive(Serialize)]
struct Report {
    pty: Ways,
    /// The kernel's release.
    kernel: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = measure(&arguments).and_then(|pty| {
        let kernel = fs::read_to_string(RELEASE).doing(RELEASE)?.trim().to_owned();
        let report = Report { pty, kernel };
        if arguments.bench.json { output::json(&report) } else { output::print(report.pty) }
    });
    match report {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<Ways> {
    let (interrupt, progress) = (Interrupt::catch()?, Progress::new(false));
    terminals().doing("/dev/pts")?;
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let [server, client] = INNER;
    let lns = format!("[lns default]\nip range = {client}-{client}\nlocal ip = {server}\n");
    let lac = format!("[lac peer]\nlns = {RIGHT}\nautodial = yes\n");
    progress.say("starting xl2tpd at both ends");
    let lns = Xl2tpd::start(&bed.right, "lns", RIGHT, &lns).doing("xl2tpd, the LNS")?;
    let lac = Xl2tpd::start(&bed.left, "lac", LEFT, &lac).doing("xl2tpd, the LAC")?;
    for end in [&lns, &lac] {
        end.log.find(PATIENCE, with("remote IP address")).doing("pppd")?;
    }
    let user = Tunnel::start(&bed, &arguments.program, 1, &OURS)?;
    let pty = Path { source: client.into(), target: server.into(), ..direct(&bed) };
    let ways = [("direct", direct(&bed)), ("pty", pty), ("user", user.path(&bed))];
    let measured = ways::measure(ways, &[("user", "pty")], &arguments.bench, &interrupt, &progress).map_err(
        |failure| Failure::new(format!("{failure}; xl2tpd said:\n{}\n{}", lns.log.text(), lac.log.text())),
    )?;
    user.stop()?;
    Ok(measured)
}

/// Lets programs open pseudo-terminals.
fn terminals() -> io::Result<()> {
    fs::create_dir_all("/dev/pts")?;
    Ok(mount(Some("devpts"), "/dev/pts", Some("devpts"), MsFlags::empty(), None::<&str>)?)
}

/// An xl2tpd that leaves the kernel's L2TP alone. It is killed when this value is dropped.
struct Xl2tpd {
    child: Child,
    log: Log,
}

impl Xl2tpd {
    /// Starts it. Returns when it listens.
    fn start(space: &Space, name: &str, address: Ipv4Addr, section: &str) -> io::Result<Self> {
        let file = |kind| format!("/run/{name}.{kind}");
        let configuration = format!(
            "[global]\nlisten-addr = {address}\nforce userspace = yes\n{section}require authentication = no\n\
             pppoptfile = {}\n",
            file("options")
        );
        fs::write(file("conf"), configuration)?;
        fs::write(file("options"), OPTIONS)?;
        let line = format!(
            "exec xl2tpd -D -c {} -s /dev/null -p {} -C {} 2>&1",
            file("conf"),
            file("pid"),
            file("control")
        );
        let spawn =
            || Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = space.enter(spawn)?;
        let log = Log::default();
        let (output, reader) = (child.stdout.take(), log.clone());
        thread::spawn(move || output.map(|output| reader.read(output)));
        let xl2tpd = Self { child, log };
        xl2tpd.log.find(PATIENCE, with("Not looking for kernel support"))?;
        xl2tpd.log.find(PATIENCE, with("Listening on IP address"))?;
        Ok(xl2tpd)
    }
}

impl Drop for Xl2tpd {
    fn drop(&mut self) {
        // pppd ends with its terminal.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
