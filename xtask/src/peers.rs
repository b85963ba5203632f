//! `cargo xtask peers`: other people's programs to test with, out of Debian's archive.
//!
//! ```text
//!   target/peers/sid       xl2tpd, pppd and kl2tpd, and User-Mode Linux, a kernel with PPPoL2TP for them
//!   target/peers/bookworm  l2tpns, which later suites lack, and FreeRADIUS
//!   target/peers/trixie    QEMU and Debian's own kernel, for cargo xtask bench kernel and kmod; the rustc of bpf
//!   target/peers/stock     sid's own kernel, for cargo xtask kmod
//!   target/peers/kernel    the kernel's sources and what compiles them, for cargo xtask kmod
//! ```
//!
//! Each is a root directory for chroot(2): packages unpacked, not installed. The system and its sources
//! stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::install::{self, packages};
use crate::process::{command, probe, run as execute, target};

/// Set up other people's programs to test with, in target/peers.
///
/// Unpacks packages of Debian sid (270 MB) and bookworm (130 MB) there, once.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Sets up all of them; the errors of those that cannot be had.
pub(crate) fn run(_: &Args) -> Result<(), String> {
    let errors: Vec<_> = [&SID, &BOOKWORM].iter().filter_map(|root| set_up(root).err()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// A root directory of unpacked packages.
pub(crate) struct Root {
    /// Its name below target/peers.
    name: &'static str,
    /// Debian's suite.
    suite: &'static str,
    /// Whom it is for.
    peers: &'static str,
    /// Packages; what they depend on comes along.
    packages: &'static [&'static [&'static str]],
    /// What finishes it, in there; it has to succeed.
    finish: &'static str,
}

/// xl2tpd, pppd and kl2tpd, with a kernel for them and what its init needs.
pub(crate) const SID: Root = Root {
    name: "sid",
    suite: "sid",
    peers: "xl2tpd, pppd, kl2tpd and User-Mode Linux",
    packages: &[&[
        "base-files",
        "coreutils",
        "dash",
        "go-l2tp",
        "iperf3",
        "iproute2",
        "iputils-ping",
        "kmod",
        "mount",
        "perl-base",
        "ppp",
        "sed",
        "user-mode-linux",
        "xl2tpd",
    ]],
    // modprobe looks for modules where those of any kernel are.
    finish: "mkdir /host && ln -s uml/modules /usr/lib/modules && test -x /usr/bin/linux.uml && pppd --version",
};

/// l2tpns and FreeRADIUS.
pub(crate) const BOOKWORM: Root = Root {
    name: "bookworm",
    suite: "bookworm",
    peers: "l2tpns and FreeRADIUS",
    packages: &[&["coreutils", "dash", "freeradius", "l2tpns"]],
    finish: "mkdir /dev /host /proc /run /tmp && ln -sf /host/ip_pool /etc/l2tpns && freeradius -v",
};

/// A stock kernel, what its root directory is made of, and what compiles a module for it.
const STOCK: &[&str] = &[
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "cpio",
    "dash",
    "diffutils",
    "dkms",
    "findutils",
    "gawk",
    "gcc",
    "grep",
    "kmod",
    "libc-bin",
    "linux-headers-amd64",
    "linux-image-amd64",
    "make",
    "perl-base",
    "rust-src",
    "rustc",
    "sed",
    "xz-utils",
];

/// That of a release, and QEMU to run one in.
pub(crate) const TRIXIE: Root = Root {
    name: "trixie",
    suite: "trixie",
    peers: "QEMU and Debian's kernel",
    packages: &[STOCK, &["qemu-system-x86"]],
    finish: "mkdir -p /host && ln -sf gawk /usr/bin/awk && depmod $(basename /usr/lib/modules/*) && \
             qemu-system-x86_64 --version && rustc --version",
};

/// The latest, which has its image among its modules. Where the archive is in the midst of a new one, image and headers
/// are of two, which fails here.
pub(crate) const STOCK_SID: Root = Root {
    name: "stock",
    suite: "sid",
    peers: "sid's own kernel",
    packages: &[STOCK, &["dpkg", "tar"]],
    finish: "mkdir -p /host && ln -sf gawk /usr/bin/awk && depmod $(basename /usr/lib/modules/*) && \
             cp /usr/lib/modules/*/vmlinuz /boot/vmlinuz-sid && test -f /usr/lib/modules/*/build/Makefile && \
             rustc --version",
};

/// Linux' sources, and the compilers for a kernel and for the module in `kernel/`.
pub(crate) const KERNEL: Root = Root {
    name: "kernel",
    suite: "sid",
    peers: "the kernel's sources, gcc and rustc",
    packages: &[&[
        "base-files",
        "bash",
        "bc",
        "bison",
        "coreutils",
        "dash",
        "diffutils",
        "findutils",
        "flex",
        "gawk",
        "gcc",
        "grep",
        "gzip",
        "hostname",
        "kmod",
        "libc6-dev",
        "libelf-dev",
        "linux-source",
        "m4",
        "make",
        "perl-base",
        "rust-src",
        "rustc",
        "sed",
        "tar",
        "xz-utils",
    ]],
    finish: "mkdir /host && ln -s gawk /usr/bin/awk && gcc --version && rustc --version && ls /usr/src/linux-source-*.tar.xz",
};

/// Becomes a program of a root directory, as tests do,
const ENTER: &str = include_str!("../../interop/src/enter.sh");
/// in a directory.
const CHANGE: &str = "cd \"$1\" && shift && exec \"$@\"";

/// How often the archive is asked: a mirror in the midst of an update has holes.
const ATTEMPTS: u32 = 3;

impl Root {
    /// Where it is.
    pub(crate) fn directory(&self) -> PathBuf {
        let [directory, _] = self.paths();
        directory
    }

    /// A command in there, in a directory, which sees `files` as /host; what it is is to follow.
    pub(crate) fn enter(&self, files: &Path, directory: &str) -> Command {
        let mut enter = command("unshare --mount sh -c");
        enter.args([ENTER, "sh"]).arg(self.directory()).arg(files);
        enter.args(["sh", "-c", CHANGE, "sh", directory]);
        enter
    }

    /// Where it is, and the file that says what it was made from.
    fn paths(&self) -> [PathBuf; 2] {
        let cache = target().join("peers");
        [cache.join(self.name), cache.join(format!("{}.packages", self.name))]
    }

    /// What it is made from.
    fn recipe(&self) -> String {
        format!("{}\n{}\n", self.all_packages().join("\n"), self.finish)
    }

    fn all_packages(&self) -> Vec<&'static str> {
        let mut packages = self.packages.concat();
        packages.sort_unstable();
        packages
    }
}

/// Whether a root directory is there, made as it is to be made now.
pub(crate) fn is_set_up(root: &Root) -> bool {
    let [directory, stamp] = root.paths();
    directory.is_dir() && fs::read_to_string(stamp).is_ok_and(|stamp| stamp == root.recipe())
}

/// Sees to a root directory.
pub(crate) fn set_up(root: &Root) -> Result<(), String> {
    let Root { name, peers, .. } = root;
    let [directory, stamp] = root.paths();
    if is_set_up(root) {
        println!("{peers}: in {}", directory.display());
        return Ok(());
    }
    println!("missing: {peers}");
    packages(install::PEERS)?;
    let work = directory.with_file_name(format!("{name}.new"));
    make(root, &work)
        .and_then(|()| {
            empty(&directory)?;
            fs::rename(work.join("root"), &directory).map_err(|error| at(&directory, error))?;
            fs::write(&stamp, root.recipe()).map_err(|error| at(&stamp, error))?;
            empty(&work)
        })
        .map_err(|error| {
            let remedy = "as root, with Debian's archive in reach, cargo xtask peers";
            format!("cannot set up {peers} ({error}, see above): {remedy}")
        })
}

/// Makes it in `work/root`.
fn make(root: &Root, work: &Path) -> Result<(), String> {
    let attempt = |count: u32| {
        println!("fetching from Debian {}, attempt {count} of {ATTEMPTS}", root.suite);
        fetch(root, work).inspect_err(|error| println!("failed: {error}"))
    };
    (1..ATTEMPTS).find_map(|count| attempt(count).ok()).map_or_else(|| attempt(ATTEMPTS), Ok)?;
    probe(command("chroot").arg(work.join("root")).args(["/bin/sh", "-c", root.finish]))
}

/// Unpacks the packages and what they depend on to `work/root`, by an apt of its own in `work`.
fn fetch(root: &Root, work: &Path) -> Result<(), String> {
    // What an attempt before has left.
    empty(work)?;
    for place in ["lists/partial", "cache/archives/partial", "root"] {
        let place = work.join(place);
        fs::create_dir_all(&place).map_err(|error| at(&place, error))?;
    }
    let source = format!(
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {} main\n",
        root.suite
    );
    for (name, text) in [("sources.list", &*source), ("status", "")] {
        fs::write(work.join(name), text).map_err(|error| at(&work.join(name), error))?;
    }
    let apt_get = |arguments: &str| {
        let mut apt_get = command("apt-get --quiet -o Acquire::Retries=3 -o APT::Sandbox::User=root");
        apt_get.args(["-o", "Dir::Etc::sourceparts=-", "-o", "Acquire::Languages=none"]);
        for (option, place) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::status", "status"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            apt_get.arg("-o").arg(format!("{option}={}", work.join(place).display()));
        }
        apt_get.args(arguments.split(' '));
        apt_get
    };
    execute(&mut apt_get("update --error-on=any"))?;
    let install = "install --yes --download-only --no-install-recommends";
    execute(&mut apt_get(&format!("{install} {}", root.all_packages().join(" "))))?;

    let archives = work.join("cache/archives");
    let entries = fs::read_dir(&archives).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<_> = entries.map_err(|error| at(&archives, error))?.iter().map(|e| e.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
    // The links to /usr first, which base-files brings.
    files.sort_by_key(|file| (!file.to_string_lossy().contains("/base-files_"), file.clone()));
    println!("unpacking {} packages", files.len());
    files.iter().try_for_each(|file| probe(command("dpkg --extract").arg(file).arg(work.join("root"))))
}

/// Removes a directory that may be there.
pub(crate) fn empty(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(directory, error)),
        _ => Ok(()),
    }
}

pub(crate) fn at(path: &Path, error: io::Error) -> String {
    format!("{}: {error}", path.display())
}
