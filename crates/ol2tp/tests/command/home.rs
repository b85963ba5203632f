//! Programs at work in network namespaces, each with /etc and /run of its own; what they tell, and what
//! they leave behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::net::if_::if_nameindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ol2tp::bed::Space;
use ol2tp::password;
use ol2tpd::Notice;
use pppol2tp::netlink::Notices;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ol2tp");
/// What /etc/resolv.conf says at the beginning.
pub(crate) const RESOLV_CONF: &str = "nameserver 192.0.2.53\n";
/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network namespace with /etc and /run of its own.
pub(crate) struct Home<'a> {
    pub(crate) space: &'a Space,
    mounts: File,
}

/// What a program could leave behind.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Traces {
    interfaces: BTreeSet<String>,
    routes: BTreeSet<String>,
    resolv_conf: String,
    files: BTreeSet<String>,
    processes: BTreeSet<String>,
}

impl<'a> Home<'a> {
    pub(crate) fn new(space: &'a Space) -> Self {
        let mounts = space.enter(|| {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            for folder in ["/etc", "/run"] {
                mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), none)?;
            }
            fs::write("/etc/resolv.conf", RESOLV_CONF)?;
            File::open("/proc/thread-self/ns/mnt")
        });
        Self { space, mounts: mounts.expect("a mount namespace") }
    }

    /// Runs `f` inside.
    pub(crate) fn enter<R: Send>(&self, f: impl FnOnce() -> io::Result<R> + Send) -> io::Result<R> {
        self.space.enter(|| {
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
            f()
        })
    }

    /// Writes a file, for example into /etc; nobody else may read it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.enter(|| {
            fs::write(path, text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        })
        .unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        self.enter(|| fs::read_to_string(path)).unwrap()
    }

    /// Waits until a file of /etc has these words.
    pub(crate) fn until_file(&self, name: &str, words: &str) {
        let waited = self.enter(|| {
            let changes = Inotify::init(InitFlags::IN_CLOEXEC)?;
            changes.add_watch("/etc", AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO)?;
            let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
            // It is watched before the first look, so no change is missed.
            while !fs::read_to_string(format!("/etc/{name}"))?.contains(words) {
                if poll(&mut [PollFd::new(changes.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                changes.read_events()?;
            }
            Ok(())
        });
        waited.unwrap_or_else(|error| panic!("{words} in /etc/{name}: {error}"));
    }

    /// Runs a command of ol2tp to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.enter(|| Command::new(PROGRAM).args(arguments).output()).unwrap()
    }

    /// What it printed.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts one that runs until it is ended.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[])
    }

    /// Starts a server by this file. Returns when it listens.
    pub(crate) fn serve(&self, file: &str) -> Running {
        self.write("/etc/ol2tp.toml", file);
        let mut server = self.start(&["serve", "-c", "/etc/ol2tp.toml", "--json"]);
        server.until_listening();
        server
    }

    /// The same with a password in the environment.
    pub(crate) fn start_as(&self, password: &str, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[(password::VARIABLE, password)])
    }

    pub(crate) fn start_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(self.enter(|| command.spawn()).unwrap())
    }

    pub(crate) fn traces(&self) -> Traces {
        self.enter(|| {
            let interfaces = if_nameindex()?;
            // What is written there while /etc/resolv.conf is another.
            let edited = files("/etc")?.into_iter().filter(|file| file.starts_with("/etc/resolv.conf."));
            let names = interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned());
            Ok(Traces {
                interfaces: names.collect(),
                routes: self.routes()?,
                resolv_conf: fs::read_to_string("/etc/resolv.conf")?,
                files: files("/run")?.into_iter().chain(edited).collect(),
                processes: processes()?,
            })
        })
        .unwrap()
    }

    /// Waits until nothing is left but this.
    pub(crate) fn until_traces(&self, wanted: &Traces) {
        let waited = self.enter(|| {
            let mut changes = Notices::open()?;
            let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
            // It is watched before the first look, so no change is missed.
            while self.traces() != *wanted {
                if poll(&mut [PollFd::new(changes.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                while changes.recv()?.is_some() {}
            }
            Ok(())
        });
        waited.unwrap_or_else(|error| panic!("{error}: {:#?}", self.traces()));
    }

    /// All routes, as /proc has them; but those that come with an IPv6 link and its addresses: the kernel
    /// makes them some time later.
    fn routes(&self) -> io::Result<BTreeSet<String>> {
        let mut routes = BTreeSet::new();
        // The columns of destination, its length or mask, gateway, metric and interface.
        for (file, columns) in [("route", &[1, 7, 2, 6, 0][..]), ("ipv6_route", &[0, 1, 4, 5, 9])] {
            for line in fs::read_to_string(format!("/proc/thread-self/net/{file}"))?.lines() {
                let words: Vec<_> = line.split_whitespace().collect();
                let of_a_link = |words: &[&str]| {
                    ["fe80", "ff00"].iter().any(|link| words[0].starts_with(link))
                        || words[8].starts_with('8')
                };
                if file == "ipv6_route" && of_a_link(&words) {
                    continue;
                }
                let wanted: Vec<_> =
                    columns.iter().filter_map(|column| words.get(*column).copied()).collect();
                routes.insert(wanted.join(" "));
            }
        }
        Ok(routes)
    }

    /// Whether a route has these words.
    pub(crate) fn has_route(&self, words: &str) -> bool {
        self.enter(|| self.routes()).unwrap().iter().any(|route| route.contains(words))
    }
}

/// All files below a folder. Folders count for nothing: they are made once and stay.
/// Processes of this network namespace, by number and name; but for this one, whose threads come and go.
fn processes() -> io::Result<BTreeSet<String>> {
    let here = fs::read_link("/proc/thread-self/ns/net")?;
    let all = fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    let ours = all.filter(|process| fs::read_link(process.join("ns/net")).is_ok_and(|there| there == here));
    let named = ours.filter_map(|process| {
        let name = fs::read_to_string(process.join("comm")).ok()?;
        Some(format!("{} {}", process.file_name()?.display(), name.trim_end()))
    });
    Ok(named.collect())
}

fn files(folder: &str) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&name)?);
        } else {
            found.insert(name);
        }
    }
    Ok(found)
}

/// A program that is running. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    output: Lines,
    errors: Lines,
}

/// The lines of a pipe.
struct Lines {
    next: Receiver<String>,
    /// All so far.
    all: Vec<String>,
}

impl Lines {
    fn new(pipe: Option<impl Read + Send + 'static>) -> Self {
        let pipe = BufReader::new(pipe.expect("a pipe"));
        let (sender, next) = mpsc::channel();
        thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                // Nobody may be waiting any more.
                let _ = sender.send(line);
            }
        });
        Self { next, all: Vec::new() }
    }

    /// The next line; `None` if there is none any more.
    fn next(&mut self) -> Option<String> {
        match self.next.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.all.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing for {PATIENCE:?} after {:#?}", self.all),
        }
    }
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Lines of standard output.
    pub(crate) lines: Vec<String>,
    /// Standard error.
    pub(crate) errors: String,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let (output, errors) = (Lines::new(child.stdout.take()), Lines::new(child.stderr.take()));
        Self { child, output, errors }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output; `None` if there is none any more.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.output.next()
    }

    /// Waits for a line of standard error with these words.
    pub(crate) fn until_error(&mut self, words: &str) {
        while !self.errors.next().unwrap_or_else(|| panic!("it has ended without {words}")).contains(words) {}
    }

    /// Whether it has told anything that was not taken yet.
    pub(crate) fn has_told(&mut self) -> bool {
        let told = self.output.next.try_recv().ok();
        let any = told.is_some();
        self.output.all.extend(told);
        any
    }

    /// Waits for a notice.
    pub(crate) fn until<T>(&mut self, mut wanted: impl FnMut(Notice) -> Option<T>) -> T {
        loop {
            let Some(line) = self.line() else {
                panic!("it has ended: {:#?}", self.ended());
            };
            let notice = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            if let Some(found) = wanted(notice) {
                return found;
            }
        }
    }

    /// Waits until so many notices have come.
    pub(crate) fn until_count(&mut self, count: usize, mut wanted: impl FnMut(&Notice) -> bool) {
        let mut left = count;
        while left > 0 {
            self.until(|notice| wanted(&notice).then_some(()));
            left -= 1;
        }
    }

    pub(crate) fn until_listening(&mut self) {
        self.until(|notice| matches!(notice, Notice::Listening { .. }).then_some(()));
    }

    /// Waits until IPv4 and IPv6 are up: the session.
    pub(crate) fn until_up(&mut self) -> Session {
        let (mut v4, mut v6) = (None, None);
        self.until(|notice| {
            let Notice::SessionUp { tunnel_id, session_id, interface, local, remote, .. } = notice else {
                return None;
            };
            if local.is_ipv4() {
                v4 = Some((local, remote))
            } else {
                v6 = Some((local, remote))
            }
            Some(Session { ids: (tunnel_id, session_id), interface, v4: v4?, v6: v6? })
        })
    }

    /// Waits until a session has ended: why.
    pub(crate) fn until_down(&mut self) -> String {
        self.until(|notice| match notice {
            Notice::SessionDown { why, .. } => Some(why),
            _ => None,
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> Ended {
        while self.output.next().is_some() {}
        while self.errors.next().is_some() {}
        let status = self.child.wait().unwrap();
        let (lines, errors) = (self.output.all.clone(), self.errors.all.join("\n"));
        Ended { code: status.code().or(status.signal().map(|n| -n)), lines, errors }
    }

    /// Ends it by SIGTERM, which has to go well.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let ended = self.ended();
        assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{ended:#?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session that is up.
#[derive(Debug)]
pub(crate) struct Session {
    /// Tunnel and session id of who told of it.
    pub(crate) ids: (u16, u16),
    pub(crate) interface: String,
    /// This end's address and the other's.
    pub(crate) v4: (std::net::IpAddr, std::net::IpAddr),
    pub(crate) v6: (std::net::IpAddr, std::net::IpAddr),
}
