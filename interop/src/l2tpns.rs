//! l2tpns, an LNS in user space over one TUN interface, and FreeRADIUS, which knows its users.
//!
//! ```text
//!   l2tpns ── 127.0.0.1:1812 ── FreeRADIUS
//!     └ tun0
//! ```

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use nix::sys::signal::Signal;

use crate::chroot;
use crate::lan::{self, Host, Lan};
use crate::log::with;
use crate::process::Process;
use crate::{Directory, PATIENCE};

/// Its inner address.
pub const INNER: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);

/// The resolver that it tells its callers.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 53);

/// An l2tpns with its FreeRADIUS, running. They are killed when this value is dropped.
#[derive(Debug)]
pub struct L2tpns {
    /// l2tpns.
    pub lns: Process,
    /// FreeRADIUS.
    pub radius: Process,
    /// Where they are.
    pub host: Host,
    /// Its address in the network.
    pub address: Ipv4Addr,
    files: Directory,
}

impl L2tpns {
    /// An LNS as this host of the network, for callers with a name and a password, whom it gives addresses
    /// of 10.8.1.0/24. Returns when it answers.
    ///
    /// Errors: the programs have not been set up, or do not start.
    pub fn start(lan: &Lan, host: u8, secret: &str, users: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_with(lan, host, secret, users, &TESTED)
    }

    /// As [`start`](Self::start), for many sessions of one user: neither program writes about each of them, and
    /// there are 65,535 addresses, of 10.9.0.0/16.
    pub fn start_for_load(lan: &Lan, host: u8, user: (&str, &str)) -> io::Result<Self> {
        Self::start_with(lan, host, "", &[user], &LOADED)
    }

    /// As [`start`](Self::start), with a single address.
    pub fn start_for_one(lan: &Lan, host: u8, secret: &str, users: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_with(lan, host, secret, users, &Settings { pool: "10.8.1.7\n", ..TESTED })
    }

    /// It is killed and started anew. Returns when it answers.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.lns.wait(PATIENCE)?;
        self.lns = Self::lns(&self.host, &self.files)?;
        Ok(())
    }

    fn lns(host: &Host, files: &Directory) -> io::Result<Process> {
        let mut command = chroot::command("bookworm", files.path(), &[])?;
        let lns = host.start("l2tpns", command.args(["l2tpns", "-c", "/host/startup-config"]))?;
        lns.log.find(PATIENCE, with("I am declaring myself the master"))?;
        Ok(lns)
    }

    fn start_with(
        lan: &Lan,
        host: u8,
        secret: &str,
        users: &[(&str, &str)],
        settings: &Settings,
    ) -> io::Result<Self> {
        let (files, address) = (Directory::new("l2tpns")?, lan::address(host));
        let users = users.iter().map(|(name, password)| {
            format!("\"{name}\" Cleartext-Password := \"{password}\"\n\tService-Type = Framed-User, Framed-Protocol = PPP\n")
        });
        let users: String = users.collect();
        for (name, text) in [
            ("radiusd.conf", &*[settings.radiusd, RADIUSD].concat()),
            ("dictionary", ""),
            ("users", &users),
            ("startup-config", &(startup(address, secret) + settings.startup)),
            ("ip_pool", settings.pool),
        ] {
            fs::write(files.path().join(name), text)?;
        }
        let there = lan.host(host)?;
        let mut command = chroot::command("bookworm", files.path(), &[])?;
        command.args(["freeradius", "-f", "-l", "stdout", "-d", "/host", "-n", "radiusd"]);
        let radius = there.start("freeradius", &command)?;
        radius.log.find(PATIENCE, with("Ready to process requests"))?;
        let lns = Self::lns(&there, &files)?;
        Ok(Self { lns, radius, host: there, address, files })
    }

    /// It ends in good order, with all its tunnels.
    pub fn terminate(&self) -> io::Result<()> {
        self.lns.signal(Signal::SIGQUIT)
    }

    /// It ends in no order at all.
    pub fn kill(&self) -> io::Result<()> {
        self.lns.signal(Signal::SIGKILL)
    }
}

/// What differs between uses: lines of configuration files.
struct Settings {
    startup: &'static str,
    pool: &'static str,
    radiusd: &'static str,
}

const TESTED: Settings =
    Settings { startup: "set debug 3\n", pool: "10.8.1.0/24\n", radiusd: "log {\n    auth = yes\n}\n" };

const LOADED: Settings = Settings {
    startup: "set debug 1\nset allow_duplicate_users yes\n",
    pool: "10.9.0.0/16\n",
    // It counts requests that it has answered for cleanup_delay, 5 s by itself, too.
    radiusd: "max_requests = 65536\ncleanup_delay = 1\n",
};

fn startup(address: Ipv4Addr, secret: &str) -> String {
    let secret = if secret.is_empty() { String::new() } else { format!("set l2tp_secret \"{secret}\"\n") };
    format!(
        "set pid_file \"/run/l2tpns.pid\"\nset hostname \"l2tpns.test\"\n{secret}\
         set bind_address {address}\nset iftun_address {INNER}\nset peer_address {INNER}\n\
         set primary_dns {RESOLVER}\n\
         set primary_radius 127.0.0.1\nset primary_radius_port 1812\nset radius_secret \"radius\"\n\
         set radius_authtypes \"chap, pap\"\nset cli_bind_address 127.0.0.1\n\
         set cluster_interface \"veth0\"\nset cluster_hb_timeout 20\n"
    )
}

const RADIUSD: &str = r#"prefix = /usr
libdir = /usr/lib/freeradius
logdir = /run
run_dir = /run
client l2tpns {
    ipaddr = 127.0.0.1
    secret = radius
}
modules {
    pap {
    }
    chap {
    }
    files {
        usersfile = /host/users
    }
}
server default {
    listen {
        type = auth
        ipaddr = 127.0.0.1
        port = 1812
    }
    authorize {
        chap
        files
        pap
    }
    authenticate {
        Auth-Type PAP {
            pap
        }
        Auth-Type CHAP {
            chap
        }
    }
}
"#;
