//! The driver in user space, through the calls that it emulates.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pppol2tp::user::{self, Config, Mode, UserDriver};
use pppol2tp::{Driver, Errno, Reason, UdpHandle};

use super::{Home, PppoxSocket, Udp};

pub(crate) struct User(UserDriver);

impl User {
    pub(crate) fn new(mode: Mode) -> Self {
        Self(UserDriver::new(Config { mode, ..crate::common::config() }).expect("a driver"))
    }
}

impl Home for User {
    fn socket(&self) -> Box<dyn PppoxSocket> {
        Box::new(self.0.socket())
    }

    fn attach(&self, socket: UdpSocket) -> Box<dyn Udp> {
        Box::new(self.0.attach(socket).expect("attached"))
    }

    fn pid(&self) -> i32 {
        std::process::id().cast_signed()
    }

    fn sync(&self) {
        self.0.snapshot();
    }

    fn session(&self, id: u16) -> Option<Vec<(&'static str, u64)>> {
        let sessions = self.0.snapshot().sessions;
        let found = sessions.iter().find(|session| session.ids.session_id == id)?;
        Some(found.stats.iter().collect())
    }

    fn socket_counters(&self, local: SocketAddr) -> Option<Vec<(&'static str, u64)>> {
        let sockets = self.0.snapshot().sockets;
        sockets.into_iter().find(|socket| socket.local == local).map(|socket| socket.counters)
    }

    fn foreign(&self, tunnel: u16) -> Option<u64> {
        let tunnels = self.0.snapshot().tunnels;
        tunnels.iter().find(|info| info.tunnel_id == tunnel).map(|info| info.rx_foreign)
    }

    fn tunnels(&self) -> Vec<(u16, usize)> {
        self.0.snapshot().tunnels.iter().map(|info| (info.tunnel_id, info.references)).collect()
    }

    fn sessions(&self) -> Vec<(u16, u16)> {
        let sessions = self.0.snapshot().sessions;
        sessions.iter().map(|info| (info.ids.tunnel_id, info.ids.session_id)).collect()
    }
}

impl Udp for Box<dyn UdpHandle> {
    fn connect(&self, _: SocketAddr) -> bool {
        false
    }

    fn recv(&self, timeout: Duration) -> Option<(Reason, Vec<u8>)> {
        let next = if timeout.is_zero() { (**self).recv() } else { self.recv_timeout(timeout) };
        next.map(|next| (next.reason, next.datagram))
    }
}

fn errno<T>(result: pppol2tp::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| error.errno())
}

impl PppoxSocket for user::PppoxSocket {
    fn connect(&mut self, address: &[u8]) -> Result<(), Errno> {
        errno(self.connect(address))
    }
    fn setsockopt(&self, level: i32, name: i32, value: Option<&[u8]>) -> Result<(), Errno> {
        errno(self.setsockopt(level, name, value))
    }
    fn getsockopt(&self, level: i32, name: i32, value: Option<&mut [u8]>) -> Result<usize, Errno> {
        errno(self.getsockopt(level, name, value))
    }
    fn ioctl(&mut self, request: u32, memory: Option<&mut [u8]>) -> Result<(), Errno> {
        errno(self.ioctl(request, memory))
    }
    fn getsockname(&self) -> Result<Vec<u8>, Errno> {
        errno(self.getsockname())
    }
    fn getpeername(&self) -> Result<Vec<u8>, Errno> {
        errno(self.getpeername())
    }
    fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        errno(self.sendmsg(frame))
    }
    fn recv(&self, buffer: &mut [u8]) -> Result<(usize, bool), Errno> {
        errno(self.recvmsg(buffer))
    }
    fn readable(&self, timeout: Duration) -> Result<bool, Errno> {
        errno(self.poll(timeout))
    }
    fn bind(&self) -> Result<(), Errno> {
        errno(self.bind(&[]))
    }
    fn listen(&self) -> Result<(), Errno> {
        errno(self.listen(1))
    }
    fn accept(&self) -> Result<(), Errno> {
        errno(self.accept()).map(drop)
    }
    fn shutdown(&self) -> Result<(), Errno> {
        errno(self.shutdown(0))
    }
}
