//! What the checks need beside cargo: found, or installed where that is possible.

use crate::process::{command, probe, run};

/// A program and the Debian package that has it.
type Needed = (&'static str, &'static str);

/// For the tests in network namespaces.
pub(crate) const NAMESPACES: &[Needed] = &[("ip", "iproute2"), ("unshare", "util-linux")];

/// For the tests with Wireshark's dissectors.
pub(crate) const TSHARK: &[Needed] =
    &[("tshark", "tshark"), ("dumpcap", "wireshark-common"), ("ethtool", "ethtool")];

/// To have the kernel cut super-packets.
pub(crate) const ETHTOOL: &[Needed] = &[("ethtool", "ethtool")];

/// To count instructions.
pub(crate) const VALGRIND: &[Needed] = &[("valgrind", "valgrind")];

/// To set up real peers, to run them, and to compile the sample that runs beside them.
pub(crate) const PEERS: &[Needed] = &[
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("chroot", "coreutils"),
    ("gcc", "gcc"),
];

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
