//! Linux in User-Mode Linux: a kernel with PPP and L2TP in one process, a guest.
//!
//! ```text
//!   this process ── stdin, stdout ── console ── init.sh     runs commands; output comes back tagged
//!   target/peers/sid ── chroot ── hostfs, read-only ── /    shared by all guests
//!   a directory of its own ───────────────────────── /host  files for this guest
//!   TAP of a Lan ───────────────────────────────────── vec0
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::chroot;
use crate::lan::{self, Lan};
use crate::process::Process;
use crate::{Directory, PATIENCE};

/// What the guest runs as its first process.
const INIT: &str = include_str!("init.sh");

/// How the kernel is started, but for its network and memory. That is a file in `$TMPDIR` that it maps executable.
const KERNEL: &str = "rootfstype=hostfs rootflags=/ ro init=/host/init.sh panic=-1 quiet \
    con=null con0=fd:0,fd:1";

/// What the kernel says when something is wrong.
const COMPLAINTS: [&str; 5] = ["WARNING:", "BUG:", "Oops", "Call Trace:", "leaked"];

/// The kernels that `cargo xtask kmod test` makes, with the module in `kernel/` as their driver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Plain,
    /// With KASAN, lockdep and kmemleak.
    Debug,
}

/// Which of them guests have: OL2TP_UML, as `cargo xtask kmod test` sets it.
fn own() -> Option<Own> {
    match std::env::var("OL2TP_UML").as_deref() {
        Ok("module") => Some(Own::Plain),
        Ok("debug") => Some(Own::Debug),
        _ => None,
    }
}

/// Whether guests have the module in `kernel/` as their driver, on a kernel of their own.
pub fn is_module() -> bool {
    own().is_some()
}

/// Whether that kernel looks for mistakes.
pub fn is_debug() -> bool {
    own() == Some(Own::Debug)
}

/// How long to wait for what takes no longer than this on other kernels.
pub fn patience(elsewhere: Duration) -> Duration {
    if is_debug() { 10 * elsewhere } else { elsewhere }
}

/// All that it starts ends with it.
const NAMESPACES: &[&str] = &["--pid", "--fork", "--kill-child=KILL"];

/// A guest, running. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Uml {
    kernel: Process,
    directory: Directory,
    jobs: AtomicU32,
    /// Which host of the network it is.
    pub host: u8,
    /// Where that is.
    pub address: Ipv4Addr,
}

impl Uml {
    /// Boots a guest as this host of the network.
    ///
    /// Errors: there is no root directory for it, or it does not come up.
    pub fn boot(lan: &Lan, host: u8) -> io::Result<Self> {
        let directory = Directory::new("uml")?;
        let init = directory.path().join("init.sh");
        fs::write(&init, INIT)?;
        fs::set_permissions(&init, Permissions::from_mode(0o755))?;
        let mut command = chroot::command("sid", directory.path(), NAMESPACES)?;
        if let Some(own) = own() {
            // The kernel and its modules, as cargo xtask kmod has made them.
            let (made, memory) = match own {
                Own::Plain => ("uml", "mem=256M"),
                Own::Debug => ("debug", "mem=1G"),
            };
            link(&crate::target()?.join("kmod").join(made).join("root"), directory.path())?;
            command.args(["/host/linux", "driver=pppol2tp", memory]);
        } else {
            command.args(["linux.uml", "driver=l2tp_ppp", "mem=256M"]);
        }
        command.args(KERNEL.split(' '));
        command.arg(format!("vec0:transport=tap,ifname={},depth=64", lan.tap(host)?));
        let address = lan::address(host);
        let guest = Self {
            kernel: lan.here.start(&format!("guest {host}"), &command)?,
            directory,
            jobs: AtomicU32::new(0),
            host,
            address,
        };
        let ready = guest.kernel.log.find(patience(PATIENCE), |line| match line {
            "init: ready" => Some(true),
            line => line.contains("Kernel panic").then_some(false),
        })?;
        if !ready {
            return Err(io::Error::other(format!("the kernel does not boot:\n{}", guest.console())));
        }
        guest.run(&format!("ip address add {address}/24 dev vec0 && ip link set vec0 up"))?;
        if is_module() {
            // Warnings of the kernel, and its notices, are said on the console.
            guest.run("echo 6 >/proc/sys/kernel/printk")?;
        }
        Ok(guest)
    }

    /// Writes a file. Returns its path in the guest, where it is read-only.
    pub fn file(&self, name: &str, text: &str) -> io::Result<String> {
        fs::write(self.directory.path().join(name), text)?;
        Ok(format!("/host/{name}"))
    }

    /// Copies a program. Returns its path in the guest.
    pub fn program(&self, program: &Path) -> io::Result<String> {
        let name = program.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        fs::copy(program, self.directory.path().join(name))?;
        Ok(format!("/host/{}", name.to_string_lossy()))
    }

    /// Copies a directory's files. Returns its path in the guest, and how many files there are.
    pub fn files(&self, directory: &Path) -> io::Result<(String, usize)> {
        let name = directory.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let copy = self.directory.path().join(name);
        fs::create_dir(&copy)?;
        let mut count = 0;
        for file in fs::read_dir(directory)? {
            let file = file?;
            fs::copy(file.path(), copy.join(file.file_name()))?;
            count += 1;
        }
        Ok((format!("/host/{}", name.to_string_lossy()), count))
    }

    /// Runs a command of the shell to its end. Returns what it writes.
    ///
    /// Errors: it fails, or takes longer than 60 s.
    pub fn run(&self, command: &str) -> io::Result<String> {
        self.start(command)?.succeed(patience(PATIENCE))
    }

    /// Starts a command of the shell.
    pub fn start(&self, command: &str) -> io::Result<Job<'_>> {
        let id = self.jobs.fetch_add(1, Ordering::Relaxed);
        let quoted = command.replace('\\', r"\\").replace('\n', r"\n");
        let start = self.kernel.log.len();
        self.kernel.write(&format!("{id} {quoted}\n"))?;
        Ok(Job { guest: self, id, start, command: command.to_owned() })
    }

    /// Kills the guest, as if it had lost power.
    ///
    /// Errors: something of it stays.
    pub fn kill(self) -> io::Result<()> {
        self.off()
    }

    fn off(&self) -> io::Result<()> {
        self.kernel.kill_children()?;
        self.kernel.wait(PATIENCE).map(drop)
    }

    /// All that was said on the console.
    pub fn console(&self) -> String {
        self.kernel.log.text()
    }

    /// What the kernel complains about.
    pub fn complaint(&self) -> Option<String> {
        let console = self.console();
        let complaint = console.lines().find(|line| COMPLAINTS.iter().any(|word| line.contains(word)));
        complaint.map(|line| format!("{line}\n\n{console}"))
    }
}

/// Makes a directory the same as another one, by links.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let missing = |error| io::Error::other(format!("{}: {error}: cargo xtask kmod test", from.display()));
    for entry in fs::read_dir(from).map_err(missing)? {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            fs::create_dir_all(&to)?;
            link(&entry, &to)?;
        } else if !entry.is_symlink() {
            fs::hard_link(&entry, &to)?;
        }
    }
    Ok(())
}

impl Drop for Uml {
    fn drop(&mut self) {
        // Who wants to know calls `kill`.
        let _ = self.off();
        if is_module() && !std::thread::panicking() {
            assert_eq!(self.complaint(), None, "the kernel complains");
        }
    }
}

/// A command in a guest. It goes on when this value is dropped.
#[derive(Debug)]
pub struct Job<'a> {
    guest: &'a Uml,
    id: u32,
    /// Lines of the console before it.
    start: usize,
    command: String,
}

impl Job<'_> {
    /// The first line, from now or before, that is wanted.
    ///
    /// Errors: there is none for so long, or the kernel panics; the error has all that the guest said.
    pub fn find<T>(&self, patience: Duration, wanted: impl FnMut(&str) -> Option<T>) -> io::Result<T> {
        self.find_from(0, patience, wanted)
    }

    /// The first wanted line behind a [`mark`](Self::mark).
    ///
    /// Errors: those of [`find`](Self::find).
    pub fn find_from<T>(
        &self,
        mark: usize,
        patience: Duration,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> io::Result<T> {
        let prefix = format!("{} ", self.id);
        let own = |line: &str| match line.strip_prefix(&prefix) {
            Some(line) => wanted(line).map(Some),
            // It says nothing more, and does not end by itself.
            None => line.starts_with("Kernel panic").then_some(None),
        };
        let failed = |error: String| io::Error::other(format!("{}: {error}", self.command));
        let found = self.guest.kernel.log.find_from(mark.max(self.start), patience, own);
        let found = found.map_err(|error| failed(error.to_string()))?;
        found.ok_or_else(|| failed(format!("the kernel panics:\n{}", self.guest.console())))
    }

    /// What was said until now lies before it.
    pub fn mark(&self) -> usize {
        self.guest.kernel.log.len()
    }

    /// Waits for its end. Returns the exit code and what it has written.
    ///
    /// Errors: it goes on for longer than `patience`.
    pub fn wait(&self, patience: Duration) -> io::Result<(i32, String)> {
        let mut lines = Vec::new();
        let code = self.find(patience, |line| {
            let code = line.strip_prefix('=').and_then(|code| code.parse().ok());
            lines.push(line.to_owned());
            code
        })?;
        lines.pop();
        Ok((code, lines.join("\n").trim_end().into()))
    }

    /// Waits for its good end. Returns what it has written.
    ///
    /// Errors: it fails, or goes on for longer than `patience`.
    pub fn succeed(&self, patience: Duration) -> io::Result<String> {
        match self.wait(patience)? {
            (0, output) => Ok(output),
            (code, output) => Err(io::Error::other(format!("{}: exit code {code}: {output}", self.command))),
        }
    }

    /// Sends a signal to the shell that runs it, or to what that has become by `exec`.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        self.guest.run(&format!("kill -{name} $(cat /run/{}.pid)", self.id)).map(drop)
    }
}
