//! iperf3: TCP from one side to the other, for some time.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::PATIENCE;
use crate::chroot;
use crate::lan::Host;
use crate::log::with;
use crate::process::Process;
use crate::uml::{Job, Uml};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The client.
    Up,
    /// The server.
    Down,
}

/// Starts a server in a guest, for one client. Returns when it listens.
pub fn serve_in(guest: &Uml) -> io::Result<Job<'_>> {
    let server = guest.start("exec iperf3 --server --one-off --forceflush")?;
    server.find(PATIENCE, with("Server listening"))?;
    Ok(server)
}

/// Starts a server in a namespace, for one client. Returns when it listens.
pub fn serve_on(host: &Host) -> io::Result<Process> {
    let server = host.start("iperf3", iperf3()?.args(["--server", "--one-off", "--forceflush"]))?;
    server.log.find(PATIENCE, with("Server listening"))?;
    Ok(server)
}

/// Moves data between a namespace and a server.
///
/// Errors: it fails, or nothing arrives in some second of it.
pub fn run(host: &Host, server: Ipv4Addr, way: Way, seconds: u32) -> io::Result<()> {
    let mut client = iperf3()?;
    client.args(["--json", "--client", &server.to_string(), "--time", &seconds.to_string()]);
    if way == Way::Down {
        client.arg("--reverse");
    }
    let client = host.start("iperf3", &client)?;
    client.wait(PATIENCE + Duration::from_secs(seconds.into()))?;
    let text = client.log.text();
    let report: Value =
        serde_json::from_str(&text).map_err(|error| io::Error::other(format!("{error}: {text}")))?;
    let moved: Vec<_> = report["intervals"].as_array().into_iter().flatten().collect();
    let moved: Vec<_> = moved.iter().filter_map(|interval| interval["sum"]["bytes"].as_u64()).collect();
    let received = report["end"]["sum_received"]["bytes"].as_u64();
    if moved.len() < seconds as usize || moved.contains(&0) || received.is_none_or(|bytes| bytes == 0) {
        return Err(io::Error::other(format!("bytes each second: {moved:?}\n{text}")));
    }
    Ok(())
}

fn iperf3() -> io::Result<Command> {
    let mut command = chroot::command("sid", &chroot::root("sid")?.join("host"), &[])?;
    command.arg("iperf3");
    Ok(command)
}
