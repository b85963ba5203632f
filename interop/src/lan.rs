//! A network of guests, of namespaces, and of the namespace that its bridge is in.
//!
//! ```text
//!   here   br0 192.0.2.1/24 ──┬── tap2  ── vec0  192.0.2.2/24   a guest
//!                             └── veth3 ── veth0 192.0.2.3/24   another namespace
//! ```

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use ol2tp::bed::Space;

use crate::process::Process;

/// The address of the namespace.
pub const HERE: Ipv4Addr = address(1);

/// The address of a host of the network.
pub const fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, host)
}

/// A network.
#[derive(Debug)]
pub struct Lan {
    /// The namespace with the bridge.
    pub here: Host,
}

impl Lan {
    /// A network of one namespace.
    ///
    /// Errors: root's rights are missing, or the kernel has no bridge.
    pub fn new() -> io::Result<Self> {
        let here = Host::new()?;
        here.run("ip link add br0 type bridge")?;
        here.run(&format!("ip address add {HERE}/24 dev br0"))?;
        here.run("ip link set br0 up")?;
        Ok(Self { here })
    }

    /// Joins a namespace as this host of the network.
    pub fn host(&self, host: u8) -> io::Result<Host> {
        let (there, name) = (Host::new()?, format!("veth{host}"));
        self.here.space.join(&name, &there.space, "veth0")?;
        self.here.run(&format!("ip link set {name} master br0 up"))?;
        there.run(&format!("ip address add {}/24 dev veth0", address(host)))?;
        there.run("ip link set veth0 up")?;
        // The kernel drops what is sent before both ends have their queues.
        there.run(&format!("ping -q -c 1 -W 10 {HERE}"))?;
        Ok(there)
    }

    /// Parts a guest from the network, or joins it again: what it sends meanwhile is lost.
    pub fn part(&self, host: u8, apart: bool) -> io::Result<()> {
        let master = if apart { "nomaster" } else { "master br0" };
        self.here.run(&format!("ip link set tap{host} {master}")).map(drop)
    }

    /// Joins a TAP for a guest. Returns its name in [`here`](Self::here).
    pub(crate) fn tap(&self, host: u8) -> io::Result<String> {
        let name = format!("tap{host}");
        self.here.run(&format!("ip tuntap add name {name} mode tap"))?;
        self.here.run(&format!("ip link set {name} master br0 up"))?;
        Ok(name)
    }
}

/// A network namespace. It lives as long as this value and what runs in it.
#[derive(Debug)]
pub struct Host {
    space: Arc<Space>,
}

impl Host {
    fn new() -> io::Result<Self> {
        Ok(Self { space: Arc::new(Space::new()?) })
    }

    /// The namespace.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Runs a program, its arguments separated by spaces, to its end. Returns what it writes.
    ///
    /// Errors: it fails.
    pub fn run(&self, line: &str) -> io::Result<String> {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        let output = self.space.enter(|| command.output())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{line}: {}: {}", output.status, complaint.trim())))
    }

    /// Starts a program; errors call it `name`.
    pub fn start(&self, name: &str, command: &Command) -> io::Result<Process> {
        Process::start(&self.space, name, command)
    }

    /// Runs code in the namespace, in a thread.
    pub fn enter<R: Send>(&self, f: impl FnOnce() -> io::Result<R> + Send) -> io::Result<R> {
        self.space.enter(f)
    }

    /// Its interfaces, routes and rules, but for those of the network itself: what a program that was here
    /// may have left behind.
    pub fn state(&self) -> io::Result<BTreeSet<String>> {
        let links = self.run("ip -o link")?;
        let links =
            links.lines().filter_map(|line| line.split(": ").nth(1)).map(|name| format!("link {name}"));
        let routes = self.run("ip -4 route show table all")? + &self.run("ip -6 route show table all")?;
        let rules = self.run("ip -4 rule")? + &self.run("ip -6 rule")?;
        let lines = routes.lines().chain(rules.lines()).map(|line| line.trim().to_owned());
        // The kernel adds and removes routes of the network's interfaces as these come up.
        let ours = |line: &String| [" br0", " tap", " veth", " lo"].iter().any(|name| line.contains(name));
        Ok(links.chain(lines).filter(|line| !ours(line)).collect())
    }
}
