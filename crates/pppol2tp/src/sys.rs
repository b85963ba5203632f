//! The system calls that no safe library offers: `recvmmsg` and `sendmmsg` with control messages,
//! socket options by number, the error queue, the ioctls of TUN, and what a program that is started has.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use libc::{c_int, c_void};
use socket2::SockAddr;

mod bpf;
mod ring;

pub(crate) use bpf::{Shared, Value};
pub(crate) use ring::{MANY, Ring};

/// Bytes of one receive buffer: more than any UDP payload.
pub(crate) const BUFFER: usize = 65536;
/// The most messages that one `sendmmsg` or `recvmmsg` takes here.
pub(crate) const MESSAGES: usize = 64;

const CONTROL: usize = 128;

/// Room for control messages, aligned as `struct cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Another descriptor for whatever has this number.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes any number, and touches no memory.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made `copy`, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Has a program begin with this limit of descriptors (the soft RLIMIT_NOFILE), whatever this process has.
///
/// The limit is the process's, so it cannot be lowered here for the moment in which the program starts: other threads
/// would get no descriptor then. Nor afterwards from here: the program may have looked already.
pub fn limit_descriptors(command: &mut Command, soft: u64) {
    let begin = move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel writes one `rlimit` to where the pointer leads, which outlives the call.
        check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
        limit.rlim_cur = soft;
        // SAFETY: the kernel reads one `rlimit` from where the pointer leads, which outlives the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
    };
    // SAFETY: between fork and exec the closure makes two system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(begin) };
}

/// Has a program be told to end, by SIGTERM, when the thread that starts it ends, which is that of the process if it is
/// the first one. A program that gets privileges when it starts, as one that is set-user-id does, is not told.
pub fn end_with_thread(command: &mut Command) {
    let parent = std::process::id();
    let begin = move || {
        // SAFETY: PR_SET_PDEATHSIG takes its argument by value.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong) })?;
        // SAFETY: it takes nothing, and touches no memory.
        let alive = unsafe { libc::getppid() }.cast_unsigned() == parent;
        if alive { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec the closure makes two system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(begin) };
}

/// `setsockopt` with an `int`.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, ptr::from_ref(&value).cast(), len) };
    check(result).map(drop)
}

/// `getsockopt` with an `int`.
pub(crate) fn get_option(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `value`; the kernel writes at most `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, name, ptr::from_mut(&mut value).cast(), &raw mut len)
    };
    check(result).map(|_| value)
}

/// Has a classic BPF program choose which socket of the SO_REUSEPORT group of this one receives a datagram: it sees
/// the datagram's payload and returns the socket's number, in the order in which they were bound.
pub(crate) fn set_selector(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let (name, size) = (libc::SO_ATTACH_REUSEPORT_CBPF, size_of::<libc::sock_fprog>() as libc::socklen_t);
    // SAFETY: the pointer and size describe `program`, whose own pointer and length describe the slice; the kernel
    // only reads them, and both outlive the call.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const program).cast(), size)
    };
    check(result).map(drop)
}

/// Opens a TUN interface without packet information; `%d` in the name is the first free number.
/// Returns its queue, non-blocking, and its name.
pub fn open_tun(name: &str, vnet: bool) -> io::Result<(File, String)> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['/', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{name}' is no interface name: 1 to {} bytes without '/'", libc::IFNAMSIZ - 1),
        ));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    // SAFETY: all-zero bytes are a valid `ifreq`: integers, and a union of them with pointers.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | if vnet { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes the `ifreq` that the pointer leads to.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    let name = request.ifr_name.iter().take_while(|&&c| c != 0).map(|&c| c as u8 as char).collect();
    Ok((file, name))
}

/// TUNSETOFFLOAD: which super-packets and partial checksums the kernel may hand out.
pub(crate) fn set_tun_offload(tun: &File, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, flags as libc::c_ulong) }).map(drop)
}

/// What is known of one received message.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Where it stands in the arena.
    pub(crate) range: Range<usize>,
    /// Its sender.
    pub(crate) from: SocketAddr,
    /// The address it was sent to.
    pub(crate) local: Option<IpAddr>,
    /// Size of its datagrams, if the kernel merged several; the last may be shorter.
    pub(crate) segment: Option<usize>,
    /// It was longer than the buffer.
    pub(crate) truncated: bool,
}

/// Buffers for `recvmmsg`.
pub(crate) struct RecvBatch {
    arena: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: its pointers lead to what its own boxes hold, wherever it is moved, and nobody else has them.
unsafe impl Send for RecvBatch {}

impl RecvBatch {
    /// Buffers for `count` messages.
    pub(crate) fn new(count: usize) -> Self {
        // SAFETY: all-zero bytes are valid for these C structs: integers and null pointers.
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            arena: vec![0; count * BUFFER].into(),
            names: vec![name; count].into(),
            controls: vec![Control([0; CONTROL]); count].into(),
            vectors: vec![vector; count].into(),
            headers: vec![header; count].into(),
        }
    }

    /// The buffers, one after another.
    pub(crate) fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// The same, to change what was received.
    pub(crate) fn arena_mut(&mut self) -> &mut [u8] {
        &mut self.arena
    }

    /// Receives what is there without waiting: how many messages.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let count = self.headers.len();
        let each = self.arena.chunks_exact_mut(BUFFER).zip(&mut self.names).zip(&mut self.controls);
        let each = each.zip(&mut self.vectors).zip(&mut self.headers);
        for ((((buffer, name), control), vector), header) in each {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = BUFFER;
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
            header.msg_hdr.msg_iov = ptr::from_mut(vector);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: each of the `count` headers describes a name, one vector with its buffer and a
        // control buffer, all of which `self` owns and nothing else touches during the call.
        let result = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as _,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        check(result).map(|n| n as usize)
    }

    /// One of the messages of the last [`receive`](Self::receive). `None` if its sender has no
    /// address.
    #[inline]
    pub(crate) fn message(&self, index: usize) -> Option<Received> {
        let header = &self.headers[index];
        let from = socket_addr(&self.names[index])?;
        let at = index * BUFFER;
        let len = (header.msg_len as usize).min(BUFFER);
        let mut message = Received {
            range: at..at + len,
            from,
            local: None,
            segment: None,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        };
        each_control(&header.msg_hdr, |level, kind, data| match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                if let Some(size) = data.first_chunk::<4>() {
                    message.segment = usize::try_from(c_int::from_ne_bytes(*size)).ok().filter(|&n| n > 0);
                }
            }
            // struct in_pktinfo: interface index, local address, address in the header.
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                if let Some(info) = data.first_chunk::<12>() {
                    message.local = Some(Ipv4Addr::new(info[8], info[9], info[10], info[11]).into());
                }
            }
            // struct in6_pktinfo: address in the header, interface index.
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                if let Some(info) = data.first_chunk::<16>() {
                    message.local = Some(Ipv6Addr::from(*info).to_canonical());
                }
            }
            _ => {}
        });
        Some(message)
    }
}

/// Calls `f` with level, type and data of each control message.
fn each_control(header: &libc::msghdr, mut f: impl FnMut(c_int, c_int, &[u8])) {
    // SAFETY: `header` was filled by the kernel and its control buffer is alive; the macros walk
    // inside `msg_controllen` only.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(header);
        while !cmsg.is_null() {
            let data = libc::CMSG_DATA(cmsg);
            let len = ((*cmsg).cmsg_len as usize).saturating_sub(data as usize - cmsg as usize);
            f((*cmsg).cmsg_level, (*cmsg).cmsg_type, std::slice::from_raw_parts(data, len));
            cmsg = libc::CMSG_NXTHDR(header, cmsg);
        }
    }
}

/// An IPv4 or IPv6 address, IPv4-mapped ones as IPv4.
fn socket_addr(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which struct the kernel wrote; a storage is as large as any.
            let name = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::new(address.into(), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(match address.to_canonical() {
                IpAddr::V4(address) => SocketAddr::new(address.into(), port),
                IpAddr::V6(address) => {
                    std::net::SocketAddrV6::new(address, port, 0, name.sin6_scope_id).into()
                }
            })
        }
        _ => None,
    }
}

/// Where messages go and which address they leave from, encoded once.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    to: Option<SockAddr>,
    from: Option<IpAddr>,
}

impl Destination {
    /// `to` is `None` on a connected socket; `v6` says that the socket is an IPv6 one, where IPv4
    /// addresses have to be mapped.
    pub(crate) fn new(to: Option<SocketAddr>, from: Option<IpAddr>, v6: bool) -> Self {
        let map = |address: IpAddr| match address {
            IpAddr::V4(address) if v6 => address.to_ipv6_mapped().into(),
            address => address,
        };
        let to = to.map(|to| match to {
            SocketAddr::V4(to) if v6 => SocketAddr::new(map((*to.ip()).into()), to.port()).into(),
            to => SockAddr::from(to),
        });
        Self { to, from: from.map(map) }
    }
}

/// One message to send: bytes of the arena, in datagrams of `segment` bytes if that is not 0.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) segment: u16,
    pub(crate) destination: &'a Destination,
}

/// Buffers for `sendmmsg`.
pub(crate) struct SendBatch {
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl SendBatch {
    /// Buffers for `count` messages a call.
    pub(crate) fn new(count: usize) -> Self {
        // SAFETY: all-zero bytes are valid for these C structs: integers and null pointers.
        let (vector, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self {
            controls: vec![Control([0; CONTROL]); count].into(),
            vectors: vec![vector; count].into(),
            headers: vec![header; count].into(),
        }
    }

    /// Sends as many of the messages as the kernel and the buffers take, without waiting: how many.
    /// An error is that of the first message.
    pub(crate) fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        messages: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let each = (&mut self.controls).into_iter().zip(&mut self.vectors).zip(&mut self.headers);
        for (message, ((control, vector), header)) in messages.zip(each) {
            vector.iov_base = message.bytes.as_ptr().cast_mut().cast::<c_void>();
            vector.iov_len = message.bytes.len();
            let header = &mut header.msg_hdr;
            match &message.destination.to {
                Some(to) => {
                    header.msg_name = to.as_ptr().cast_mut().cast();
                    header.msg_namelen = to.len();
                }
                None => {
                    header.msg_name = ptr::null_mut();
                    header.msg_namelen = 0;
                }
            }
            header.msg_iov = ptr::from_mut(vector);
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            put_controls(header, &message);
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the first `count` headers describe names and bytes that the caller's borrows keep
        // alive (the kernel only reads them), and vectors and control buffers that `self` owns.
        let result = unsafe {
            libc::sendmmsg(fd.as_raw_fd(), self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _)
        };
        check(result).map(|n| n as usize)
    }
}

/// Writes the control messages and sets their length.
fn put_controls(header: &mut libc::msghdr, message: &Outgoing<'_>) {
    let mut used = 0;
    let mut put = |level: c_int, kind: c_int, data: &[u8]| {
        // SAFETY: the control buffer has `CONTROL` bytes; the two messages put at most need
        // 40 + 24. `used` is a sum of CMSG_SPACEs, so each header is aligned.
        unsafe {
            let cmsg = header.msg_control.cast::<u8>().add(used).cast::<libc::cmsghdr>();
            (*cmsg).cmsg_level = level;
            (*cmsg).cmsg_type = kind;
            (*cmsg).cmsg_len = libc::CMSG_LEN(data.len() as _) as _;
            ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(cmsg), data.len());
            used += libc::CMSG_SPACE(data.len() as _) as usize;
        }
    };
    match message.destination.from {
        Some(IpAddr::V4(from)) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&from.octets());
            put(libc::SOL_IP, libc::IP_PKTINFO, &info);
        }
        Some(IpAddr::V6(from)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&from.octets());
            put(libc::SOL_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    if message.segment != 0 {
        put(libc::SOL_UDP, libc::UDP_SEGMENT, &message.segment.to_ne_bytes());
    }
    header.msg_controllen = used as _;
    if used == 0 {
        header.msg_control = ptr::null_mut();
    }
}

/// An ICMP or local error that the kernel queued for a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedError {
    /// Where the message was to go.
    pub(crate) to: Option<SocketAddr>,
    /// Its errno.
    pub(crate) errno: i32,
    /// For EMSGSIZE: the path's MTU.
    pub(crate) info: u32,
}

/// Takes one error off a socket's queue, if there is one.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<QueuedError>> {
    let mut control = Control([0; CONTROL]);
    let mut byte = [0u8; 1];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: all-zero bytes are a valid `sockaddr_storage` and a valid `msghdr`.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) = unsafe { mem::zeroed() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: the header describes local buffers that outlive the call.
    let result =
        unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if result < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    let mut queued = QueuedError { to: socket_addr(&name), errno: 0, info: 0 };
    each_control(&header, |level, kind, data| {
        let ours =
            matches!((level, kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR));
        // struct sock_extended_err: u32 errno, u8 origin, type, code, pad, u32 info, u32 data.
        if let (true, Some(error)) = (ours, data.first_chunk::<16>()) {
            queued.errno = i32::from_ne_bytes([error[0], error[1], error[2], error[3]]);
            queued.info = u32::from_ne_bytes([error[8], error[9], error[10], error[11]]);
        }
    });
    Ok(Some(queued))
}
