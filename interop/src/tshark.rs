//! What Wireshark's dissectors make of what we send.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What [`Capture::stop`] sends as the last packet of a capture, to the discard port (RFC 863).
const MARK: &[u8] = b"the last packet of this capture";
const DISCARD: u16 = 9;

/// A capture by dumpcap, running.
pub struct Capture {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Copies what dumpcap writes to the file until it has seen the mark.
    copy: JoinHandle<io::Result<()>>,
}

impl Capture {
    /// Captures UDP from or to `port` on `interface` of the calling thread's network namespace to
    /// `file`. Returns when the capture runs.
    pub fn start(interface: &str, port: u16, file: &Path) -> io::Result<Self> {
        let file = File::create(file)?;
        // 64 MiB of buffer, so that a burst is not dropped. Into a pipe, because the last packets are
        // lost unless they have been read before dumpcap ends, and a pipe tells when that is.
        let mut child = Command::new("dumpcap")
            .args(["-q", "-B", "64", "-w", "-", "-i", interface])
            .args(["-f", &format!("udp port {port} or udp port {DISCARD}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("dumpcap: {error}: apt-get install tshark"))
            })?;
        let stdout = child.stdout.take().expect("piped");
        let mut capture = Self {
            stderr: BufReader::new(child.stderr.take().expect("piped")),
            child,
            copy: thread::spawn(move || copy(stdout, file)),
        };
        let mut said = String::new();
        // It is said once the interface is open.
        while !said.contains("File: ") {
            if capture.stderr.read_line(&mut said)? == 0 {
                capture.child.wait()?;
                return Err(io::Error::other(format!("dumpcap: {said}")));
            }
        }
        Ok(capture)
    }

    /// Ends it behind all that has passed the interface by now. `over` is an address that is reached
    /// through the interface from the calling thread's network namespace.
    ///
    /// Errors: the kernel dropped packets that dumpcap was too slow for.
    pub fn stop(mut self, over: IpAddr) -> io::Result<()> {
        let any: IpAddr =
            if over.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        UdpSocket::bind((any, 0))?.send_to(MARK, (over, DISCARD))?;
        self.copy.join().expect("copying does not panic")?;
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?;
        let mut said = String::new();
        self.stderr.read_to_string(&mut said)?;
        self.child.wait()?;
        // "Packets received/dropped on interface 'v': 12/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)"
        match said.split_once("received/dropped on interface").and_then(|(_, rest)| rest.split_once(": ")) {
            Some((_, counts)) if counts.contains("/0 (pcap:0/dumpcap:0/") => Ok(()),
            _ => Err(io::Error::other(format!("the capture is not whole: {said}"))),
        }
    }
}

fn copy(mut from: impl Read, mut to: File) -> io::Result<()> {
    let mut seen: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let len = match from.read(&mut chunk)? {
            0 => return Err(io::Error::other("dumpcap ended early")),
            len => len,
        };
        to.write_all(&chunk[..len])?;
        seen.extend_from_slice(&chunk[..len]);
        if seen.windows(MARK.len()).any(|bytes| bytes == MARK) {
            return Ok(());
        }
        seen.drain(..seen.len().saturating_sub(MARK.len()));
    }
}

/// What tshark says about one packet, and how it is asked for.
const FIELDS: [&str; 43] = [
    "frame.number",
    "frame.protocols",
    "ip.src",
    "ipv6.src",
    "l2tp.type",
    "l2tp.tunnel",
    "l2tp.session",
    "l2tp.length_bit",
    "l2tp.seq_bit",
    "l2tp.offset_bit",
    "l2tp.priority",
    "l2tp.version",
    "l2tp.length",
    "udp.length",
    "l2tp.zero_length_body_message",
    "l2tp.avp.message_type",
    "l2tp.avp.type",
    "l2tp.avp.mandatory",
    "l2tp.avp.hidden",
    "l2tp.avp.length",
    "l2tp.avp.host_name",
    "l2tp.avp.called_number",
    "l2tp.avp.maximum_bps",
    "l2tp.avp.connect_speed",
    "l2tp.avp.proxy_authen_name",
    "lcp.opt.mru",
    "l2tp.avp.receive_accm",
    "l2tp.avp.alignment_errors",
    "l2tp.avp.cause_code_message",
    "l2tp.broadband.agent_circuit_id",
    "l2tp.broadband.actual_dr_up",
    "l2tp.Ns",
    "l2tp.Nr",
    "ppp.address",
    "ppp.control",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.group",
    "_ws.expert.message",
    "ip.checksum.status",
    "udp.checksum.status",
    "tcp.checksum.status",
    "icmp.checksum.status",
];

/// Expert information of this severity or above is a fault: `PI_WARN`.
const WARNING: u32 = 0x0060_0000;
/// Except of this group, `PI_SEQUENCE`: how TCP fares is not the question.
const SEQUENCE: u32 = 0x0200_0000;

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
        faults.extend(self.unsound());
        faults
    }

    /// What is wrong with it as a control message (RFC 2661 §3.1).
    pub fn control_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.first("frame.protocols").contains(":udp:l2tp") {
            faults.push(format!("not L2TP but {}", self.first("frame.protocols")));
        }
        for (field, value) in [
            ("l2tp.type", "1"),
            ("l2tp.length_bit", "1"),
            ("l2tp.seq_bit", "1"),
            ("l2tp.offset_bit", "0"),
            ("l2tp.priority", "0"),
            ("l2tp.version", "2"),
        ] {
            if self.first(field) != value {
                faults.push(format!("{field} is {:?}, not {value}", self.first(field)));
            }
        }
        let length = |field| self.first(field).parse::<usize>().ok();
        if length("l2tp.length").map(|length| length + 8) != length("udp.length") {
            faults.push(format!("it is {:?} bytes long", length("l2tp.length")));
        }
        faults.extend(self.unsound());
        faults
    }

    /// What is wrong with it whatever it is: complaints of the dissectors, and checksums.
    fn unsound(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.all("_ws.malformed").is_empty() {
            faults.push("malformed".into());
        }
        let number = |field, index: usize| self.all(field).get(index).and_then(|value| value.parse().ok());
        for (index, message) in self.all("_ws.expert.message").iter().enumerate() {
            let severe = number("_ws.expert.severity", index).is_none_or(|severity: u32| severity >= WARNING);
            if severe && number("_ws.expert.group", index) != Some(SEQUENCE) {
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

/// Dissects the packets of a capture that come from or go to UDP port `port`, as L2TP.
pub fn dissect(file: &Path, port: u16) -> io::Result<Vec<Packet>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|", "-r"]).arg(file);
    tshark.args(["-d", &format!("udp.port=={port},l2tp"), "-Y", &format!("udp.port=={port}")]);
    // What is transferred is nothing that a dissector could know by its port.
    tshark.args(["-d", "tcp.port==1-65535,data"]);
    for layer in ["ip", "udp", "tcp"] {
        tshark.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
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
