//! A driver that moves nothing: it keeps options, says what it was asked, and tells in which order
//! its parts are closed.

// Each test uses its part of this module.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ol2tpd::control::{Client, Listener};
use ol2tpd::serve::{self, Control};
use ol2tpd::static_session::{self, Options, StaticConfig};
use pppol2tp::user::Mode;
use pppol2tp::*;

/// How everything is closed.
pub(crate) const CLOSED: [&str; 4] =
    ["closed UDP socket", "closed unit", "closed session socket", "closed management socket"];

/// A queue with a descriptor that is readable while it has something.
struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    ready: (UnixStream, UnixStream),
}

impl<T> Queue<T> {
    fn new() -> Self {
        let ready = UnixStream::pair().unwrap();
        ready.1.set_nonblocking(true).unwrap();
        Self { items: Mutex::default(), ready }
    }

    fn push(&self, items: impl IntoIterator<Item = T>) {
        self.items.lock().unwrap().extend(items);
        self.wake();
    }

    fn wake(&self) {
        (&self.ready.0).write_all(&[0]).unwrap();
    }

    fn pop(&self) -> Option<T> {
        let mut items = self.items.lock().unwrap();
        let item = items.pop_front();
        if items.is_empty() {
            let _ = (&self.ready.1).read(&mut [0; 64]);
        }
        item
    }
}

/// What the driver and its parts share with the test.
pub(crate) struct State {
    passed_up: Queue<PassedUp>,
    frames: Queue<Vec<u8>>,
    unit_alive: Mutex<bool>,
    info: Mutex<Option<SessionInfo>>,
    tunnel_debug: Mutex<i32>,
    /// What was asked and closed.
    pub(crate) log: Mutex<Vec<String>>,
}

impl State {
    fn say(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// Passes datagrams up.
    pub(crate) fn pass_up(&self, reason: Reason, count: usize) {
        let from = "127.0.0.1:1701".parse().unwrap();
        let datagram = PassedUp { datagram: vec![0xc8, 2], from, local: None, reason };
        self.passed_up.push(std::iter::repeat_n(datagram, count));
    }

    /// Gives the unit PPP control frames.
    pub(crate) fn ppp_control(&self, count: usize) {
        self.frames.push(std::iter::repeat_n(vec![0xc0, 0x21], count));
    }

    /// Lets the interface disappear.
    pub(crate) fn kill_unit(&self) {
        *self.unit_alive.lock().unwrap() = false;
        self.frames.wake();
    }
}

/// Says when it is dropped.
struct Part {
    name: &'static str,
    state: Arc<State>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.state.say(format!("closed {}", self.name));
    }
}

pub(crate) struct Fake(pub(crate) Arc<State>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            passed_up: Queue::new(),
            frames: Queue::new(),
            unit_alive: Mutex::new(true),
            info: Mutex::default(),
            tunnel_debug: Mutex::default(),
            log: Mutex::default(),
        }))
    }

    fn part(&self, name: &'static str) -> Part {
        Part { name, state: Arc::clone(&self.0) }
    }
}

impl Driver for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn attach(&self, _: UdpSocket) -> Result<Box<dyn UdpHandle>> {
        Ok(Box::new(FakeUdp(self.part("UDP socket"))))
    }

    fn session(&self, ids: SessionIds) -> Result<Box<dyn SessionSocket>> {
        *self.0.info.lock().unwrap() = Some(SessionInfo {
            fast: None,
            ids,
            peer: "192.0.2.2:1701".parse().unwrap(),
            bound: false,
            recv_seq: false,
            send_seq: false,
            lns_mode: false,
            reorder_timeout: 0,
            debug: DebugMask(self.0.tunnel_debug.lock().unwrap().cast_unsigned()),
            mtu: 1458,
            mru: 1458,
            nr: 3,
            ns: 4,
            interface: None,
            stats: Stats::default(),
        });
        Ok(Box::new(FakeSession(self.part("session socket"))))
    }

    fn shared_interface(&self, _: SharedConfig) -> Result<Box<dyn SharedInterface>> {
        Err(Errno::OpNotSupp.into())
    }

    fn snapshot(&self) -> Snapshot {
        let sessions: Vec<_> = self.0.info.lock().unwrap().iter().cloned().collect();
        let socket = SocketInfo {
            local: "192.0.2.1:1701".parse().unwrap(),
            mode: Mode::BATCH,
            counters: vec![("rx_datagrams", 9)],
        };
        let tunnel = TunnelInfo {
            tunnel_id: 1,
            peer_tunnel_id: 2,
            local: socket.local,
            peer: "192.0.2.2:1701".parse().unwrap(),
            debug: DebugMask(self.0.tunnel_debug.lock().unwrap().cast_unsigned()),
            references: 2,
            stats: Stats::default(),
            rx_foreign: 7,
        };
        Snapshot { sockets: vec![socket], tunnels: vec![tunnel], sessions }
    }
}

struct FakeUdp(Part);

impl UdpHandle for FakeUdp {
    fn tunnel(&self, config: TunnelConfig) -> Result<Box<dyn TunnelSocket>> {
        let part = Part { name: "management socket", state: Arc::clone(&self.0.state) };
        Ok(Box::new(FakeTunnel(part, config.tunnel_id)))
    }

    fn send(&self, _: &[u8], _: SocketAddr, _: Option<IpAddr>) -> Result<()> {
        Ok(())
    }

    fn recv(&self) -> Option<PassedUp> {
        self.0.state.passed_up.pop()
    }

    fn recv_timeout(&self, _: Duration) -> Option<PassedUp> {
        self.recv()
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.0.state.passed_up.ready.1.as_fd())
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok("192.0.2.1:1701".parse().unwrap())
    }

    fn set_dont_fragment(&self, _: bool) -> Result<()> {
        Ok(())
    }
}

struct FakeTunnel(Part, u16);

impl TunnelSocket for FakeTunnel {
    fn tunnel_id(&self) -> u16 {
        self.1
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        if option != SocketOption::Debug {
            return Err(Errno::NoProtoOpt.into());
        }
        *self.0.state.tunnel_debug.lock().unwrap() = value;
        Ok(())
    }

    fn get(&self, _: SocketOption) -> Result<i32> {
        Ok(*self.0.state.tunnel_debug.lock().unwrap())
    }

    fn stats(&self, _: Option<u16>) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn delete(self: Box<Self>) {}
}

struct FakeSession(Part);

impl SessionSocket for FakeSession {
    fn ids(&self) -> SessionIds {
        self.0.state.info.lock().unwrap().as_ref().unwrap().ids
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        let mut info = self.0.state.info.lock().unwrap();
        let info = info.as_mut().unwrap();
        match (option, value) {
            (SocketOption::Debug, mask) => info.debug = DebugMask(mask.cast_unsigned()),
            (SocketOption::ReorderTo, 0..) => info.reorder_timeout = value.cast_unsigned(),
            (SocketOption::RecvSeq, 0 | 1) => info.recv_seq = value == 1,
            (SocketOption::SendSeq, 0 | 1) => info.send_seq = value == 1,
            (SocketOption::LnsMode, 0 | 1) => info.lns_mode = value == 1,
            _ => return Err(Errno::Inval.into()),
        }
        Ok(())
    }

    fn get(&self, _: SocketOption) -> Result<i32> {
        Err(Errno::NoProtoOpt.into())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn send(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn recv(&self, _: &mut [u8]) -> Result<Option<usize>> {
        Ok(None)
    }

    fn recv_timeout(&self, _: &mut [u8], _: Duration) -> Result<Option<usize>> {
        Ok(None)
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        Err(Errno::BadF.into())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn pass_up(&self) -> Result<()> {
        Err(Errno::OpNotSupp.into())
    }

    fn unit(&self, config: UnitConfig) -> Result<Box<dyn Unit>> {
        let Interface::Own { name } = config.interface else { panic!("an own interface is expected") };
        let mut info = self.0.state.info.lock().unwrap();
        let info = info.as_mut().unwrap();
        info.interface = Some(name.replace("%d", "0"));
        info.bound = true;
        Ok(Box::new(FakeUnit(Part { name: "unit", state: Arc::clone(&self.0.state) })))
    }
}

struct FakeUnit(Part);

impl Unit for FakeUnit {
    fn interface(&self) -> String {
        self.0.state.info.lock().unwrap().as_ref().unwrap().interface.clone().unwrap()
    }

    fn index(&self) -> u32 {
        1
    }

    fn mtu(&self) -> u16 {
        1458
    }

    fn set_mru(&self, _: u16) -> Result<()> {
        Ok(())
    }

    fn let_pass(&self, _: Networks) -> Result<()> {
        Ok(())
    }

    fn send(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn recv(&self, _: &mut [u8]) -> Result<Option<usize>> {
        Ok(self.0.state.frames.pop().map(|frame| frame.len()))
    }

    fn recv_timeout(&self, buffer: &mut [u8], _: Duration) -> Result<Option<usize>> {
        self.recv(buffer)
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.0.state.frames.ready.1.as_fd())
    }

    fn is_alive(&self) -> bool {
        *self.0.state.unit_alive.lock().unwrap()
    }

    fn set_up(&self, up: bool) -> Result<()> {
        self.0.state.say(format!("up {up}"));
        Ok(())
    }

    fn add_address(&self, address: Prefix, peer: Option<IpAddr>) -> Result<()> {
        self.0.state.say(format!("address {} peer {}", address.address, peer.unwrap()));
        Ok(())
    }
}

/// A daemon with the fake driver in a thread of its own.
pub(crate) struct Daemon {
    pub(crate) state: Arc<State>,
    controller: Option<UnixStream>,
    thread: JoinHandle<ol2tpd::Result<()>>,
}

impl Daemon {
    /// Starts a static session and waits until it is up.
    pub(crate) fn start(socket: Option<PathBuf>) -> Self {
        let driver = Fake::new();
        let state = Arc::clone(&driver.0);
        let (controller, controlled) = UnixStream::pair().unwrap();
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let listener = socket.map(|path| Listener::bind(&path)).transpose()?;
            let control = Control { listener, controller: Some(controlled) };
            let open = |driver: &dyn Driver| static_session::open(driver, &config());
            serve::run(Arc::new(driver), "it is a fake".into(), control, open, |_| {
                up.send(()).unwrap();
                Ok(())
            })
        });
        is_up.recv().expect("the daemon starts");
        Self { state, controller: Some(controller), thread }
    }

    /// A client on the controlling connection.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.controller.as_ref().unwrap().try_clone().unwrap())
    }

    /// Ends the controlling connection and waits.
    pub(crate) fn stop(mut self) -> ol2tpd::Result<()> {
        let controller = self.controller.take().unwrap();
        controller.shutdown(std::net::Shutdown::Both).unwrap();
        self.wait()
    }

    /// Waits until the daemon has ended.
    pub(crate) fn wait(self) -> ol2tpd::Result<()> {
        self.thread.join().unwrap()
    }
}

fn config() -> StaticConfig {
    StaticConfig {
        peer_fast: false,
        local: "127.0.0.1:0".parse().unwrap(),
        peer: "127.0.0.1:9".parse().unwrap(),
        ids: SessionIds { tunnel_id: 1, session_id: 10, peer_tunnel_id: 2, peer_session_id: 20 },
        interface: "ppp%d".into(),
        addresses: vec![("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())],
        mtu: None,
        options: Options {
            lns_mode: true,
            reorder_timeout: Duration::from_millis(100),
            debug: DebugMask::CONTROL,
            ..Options::default()
        },
    }
}

/// A folder of the test's own, removed with everything in it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ol2tpd-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("ol2tp.sock")
    }

    /// Makes a script. Another process writes it: a file that is open for writing anywhere cannot be run,
    /// and what other tests start may have inherited this one's descriptors.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.0.join(name);
        let written = std::process::Command::new("/bin/sh")
            .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 755 "$1""#, "sh"])
            .arg(&path)
            .arg(body)
            .status();
        assert!(written.unwrap().success());
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
