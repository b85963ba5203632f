//! What the checks need beside cargo: found, or installed where that is possible.

use std::path::Path;
use std::{fs, io};

use crate::process::{command, probe, run, target};

/// A program and the Debian package that has it.
type Needed = (&'static str, &'static str);

/// For the tests in network namespaces.
pub(crate) const NAMESPACES: &[Needed] = &[("ip", "iproute2"), ("unshare", "util-linux")];

/// For the tests with Wireshark's dissectors.
pub(crate) const TSHARK: &[Needed] =
    &[("tshark", "tshark"), ("dumpcap", "wireshark-common"), ("ethtool", "ethtool")];

/// For the tests with real peers.
pub(crate) const PEERS: &[Needed] = &[("setpriv", "util-linux")];

/// Sees to programs of the distribution, by `apt-get` if there is need and permission.
pub(crate) fn packages(needed: &[Needed]) -> Result<(), String> {
    let missing = || needed.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package);
    let list = missing().collect::<Vec<_>>().join(" ");
    if list.is_empty() {
        return Ok(());
    }
    println!("missing: {list}");
    let apt = "apt-get --quiet -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300";
    run(&mut command(&format!("{apt} update")))
        .and_then(|()| {
            let install = format!("{apt} install --yes --no-install-recommends {list}");
            run(command(&install).env("DEBIAN_FRONTEND", "noninteractive"))
        })
        .map_err(|error| format!("cannot install {list} ({error}): as root, apt-get install {list}"))?;
    match missing().next() {
        None => Ok(()),
        Some(package) => Err(format!("{package} is installed, but its program is not on the PATH")),
    }
}

/// Sees to `kl2tpd`. Of Debian's suites only sid has its package, so that is fetched from there and
/// unpacked below the target directory: the system and its sources stay as they are.
pub(crate) fn kl2tpd() -> Result<(), String> {
    let peers = target().join("peers");
    let program = peers.join("usr/sbin/kl2tpd");
    if on_path("kl2tpd") || program.is_file() {
        return Ok(());
    }
    println!("missing: go-l2tp");
    fetch("go-l2tp", &peers)
        .map_err(|error| format!("cannot fetch Debian's go-l2tp ({error}): put kl2tpd on the PATH"))?;
    if program.is_file() { Ok(()) } else { Err("Debian's go-l2tp is unpacked, but has no kl2tpd".into()) }
}

/// Unpacks a package of Debian sid into a directory, without what it depends on.
fn fetch(package: &str, directory: &Path) -> Result<(), String> {
    let apt = directory.join("apt");
    let io = |error: io::Error| format!("{}: {error}", apt.display());
    // What an attempt before has left.
    match fs::remove_dir_all(&apt) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    for place in ["lists/partial", "cache/archives/partial", "deb"] {
        fs::create_dir_all(apt.join(place)).map_err(io)?;
    }
    fs::write(apt.join("sources.list"), SID).and_then(|()| fs::write(apt.join("status"), "")).map_err(io)?;
    let apt_get = |arguments: &str| {
        let mut apt_get = command("apt-get --quiet -o Acquire::Retries=3 -o APT::Sandbox::User=root");
        apt_get.args(["-o", "Dir::Etc::sourceparts=-", "-o", "Acquire::Languages=none"]);
        for (option, place) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::status", "status"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            apt_get.arg("-o").arg(format!("{option}={}", apt.join(place).display()));
        }
        apt_get.args(arguments.split(' ')).current_dir(apt.join("deb"));
        apt_get
    };
    run(&mut apt_get("update --error-on=any"))?;
    run(&mut apt_get(&format!("download {package}")))?;
    let debs = fs::read_dir(apt.join("deb")).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(io)?;
    let [deb] = &debs[..] else { return Err(format!("apt-get has downloaded {} files", debs.len())) };
    run(command("dpkg --extract").arg(deb.path()).arg(directory))
}

const SID: &str =
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main\n";

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Sees to `cargo deny`, built from source if need be: some minutes.
pub(crate) fn cargo_deny() -> Result<(), String> {
    if probe(&mut command("cargo deny --version")).is_ok() {
        return Ok(());
    }
    run(command("cargo install cargo-deny --locked").env("CARGO_NET_RETRY", "5"))
        .map_err(|error| format!("cannot install cargo-deny ({error}): cargo install cargo-deny --locked"))
}

/// Sees to a toolchain of rustup's.
pub(crate) fn toolchain(version: &str) -> Result<(), String> {
    if probe(&mut command(&format!("rustup run {version} cargo --version"))).is_ok() {
        return Ok(());
    }
    let install = format!("rustup toolchain install {version} --profile minimal --no-self-update");
    run(&mut command(&install)).map_err(|error| format!("cannot install Rust {version} ({error}): {install}"))
}

/// Whether tests can make network namespaces and TUN interfaces here: makes one of each.
pub(crate) fn namespaces() -> Result<(), String> {
    packages(NAMESPACES)?;
    probe(&mut command("unshare --net ip tuntap add name probe mode tun")).map_err(|error| {
        format!("cannot make a network namespace with a TUN interface ({error}): needs root and /dev/net/tun")
    })
}
