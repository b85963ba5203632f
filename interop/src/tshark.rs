//! What Wireshark's dissectors make of what we send.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A capture by dumpcap, running.
pub struct Capture {
    child: Child,
    stderr: thread::JoinHandle<String>,
}

impl Capture {
    /// Captures what matches `filter` on `interface` of the calling thread's network namespace to
    /// `file`. Returns when the capture runs.
    pub fn start(interface: &str, filter: &str, file: &Path) -> io::Result<Self> {
        // 64 MiB of buffer, so that a burst is not dropped.
        let mut child = Command::new("dumpcap")
            .args(["-q", "-B", "64", "-i", interface, "-f", filter, "-w"])
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("dumpcap: {error}: apt-get install tshark"))
            })?;
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut text = String::new();
        // "File: …" is said once the interface is open.
        while !text.contains("File: ") {
            if stderr.read_line(&mut text)? == 0 {
                child.wait()?;
                return Err(io::Error::other(format!("dumpcap: {text}")));
            }
        }
        let stderr = thread::spawn(move || {
            while stderr.read_line(&mut text).is_ok_and(|read| read > 0) {}
            text
        });
        Ok(Self { child, stderr })
    }

    /// Ends it. Packets that the kernel dropped for it are an error.
    pub fn stop(mut self) -> io::Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT)?;
        self.child.wait()?;
        let text = self.stderr.join().expect("reading does not panic");
        // "Packets received/dropped on interface 'v': 12/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)"
        match text.split_once("received/dropped on interface").and_then(|(_, rest)| rest.split_once(": ")) {
            Some((_, counts)) if counts.contains("/0 (pcap:0/dumpcap:0/") => Ok(()),
            _ => Err(io::Error::other(format!("the capture is not whole: {text}"))),
        }
    }
}

/// What tshark says about one packet, and how it is asked for.
const FIELDS: [&str; 20] = [
    "frame.number",
    "frame.protocols",
    "ip.src",
    "ipv6.src",
    "l2tp.type",
    "l2tp.tunnel",
    "l2tp.session",
    "l2tp.length_bit",
    "l2tp.seq_bit",
    "l2tp.Ns",
    "l2tp.Nr",
    "ppp.address",
    "ppp.control",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.message",
    "ip.checksum.status",
    "udp.checksum.status",
    "tcp.checksum.status",
    "icmp.checksum.status",
];

/// Expert information of this severity or above is a fault: `PI_WARN`.
const WARNING: u32 = 0x0060_0000;

/// A dissected packet: the values of each field, outermost first.
#[derive(Clone, Debug)]
pub struct Packet([Vec<String>; FIELDS.len()]);

impl Packet {
    /// All values of a field that is asked for.
    pub fn all(&self, field: &str) -> &[String] {
        let index = FIELDS.iter().position(|name| *name == field);
        &self.0[index.unwrap_or_else(|| panic!("{field} is not among FIELDS"))]
    }

    /// The first value of a field, `""` if there is none.
    pub fn first(&self, field: &str) -> &str {
        self.all(field).first().map_or("", String::as_str)
    }

    /// Who sent the datagram.
    pub fn sender(&self) -> &str {
        if self.first("frame.protocols").contains(":ipv6:udp:l2tp") {
            self.first("ipv6.src")
        } else {
            self.first("ip.src")
        }
    }

    /// Its Ns, if it is sequenced.
    pub fn ns(&self) -> Option<u16> {
        self.first("l2tp.Ns").parse().ok()
    }

    /// What is wrong with it as a data message that carries an IP packet.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let protocols = self.first("frame.protocols");
        if ![":udp:l2tp:ppp:ip:", ":udp:l2tp:ppp:ipv6:"].iter().any(|way| protocols.contains(way)) {
            faults.push(format!("not L2TP/PPP/IP but {protocols}"));
        }
        for (field, value) in [("l2tp.type", "0"), ("ppp.address", "0xff"), ("ppp.control", "0x03")] {
            if self.first(field) != value {
                faults.push(format!("{field} is {:?}, not {value}", self.first(field)));
            }
        }
        if !self.all("_ws.malformed").is_empty() {
            faults.push("malformed".into());
        }
        let severities = self.all("_ws.expert.severity").iter();
        for (severity, message) in severities.zip(self.all("_ws.expert.message")) {
            if severity.parse().map_or(true, |severity: u32| severity >= WARNING) {
                faults.push(format!("expert information: {message}"));
            }
        }
        for field in FIELDS.iter().filter(|field| field.ends_with(".checksum.status")) {
            // 1: good; 0: bad; 2: not verified; 3: absent.
            if self.all(field).iter().any(|status| status != "1") {
                faults.push(format!("{field} is {:?}", self.all(field)));
            }
        }
        faults
    }
}

/// Dissects a capture; UDP from or to `port` is L2TP.
pub fn dissect(file: &Path, port: u16) -> io::Result<Vec<Packet>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|", "-r"]).arg(file);
    tshark.args(["-d", &format!("udp.port=={port},l2tp")]);
    for layer in ["ip", "udp", "tcp"] {
        tshark.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    // How TCP fares (retransmissions, full windows) is not the question.
    tshark.args(["-o", "tcp.analyze_sequence_numbers:FALSE"]);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = tshark
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("tshark: {error}: apt-get install tshark")))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("tshark: {}", String::from_utf8_lossy(&output.stderr))));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(packet).collect()
}

fn packet(line: &str) -> io::Result<Packet> {
    let values = line.split('\t').map(|field| match field {
        "" => Vec::new(),
        values => values.split('|').map(str::to_owned).collect(),
    });
    let values: Vec<_> = values.collect();
    let values = values.try_into().map_err(|_| io::Error::other(format!("tshark printed {line:?}")))?;
    Ok(Packet(values))
}
