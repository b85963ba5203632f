/*
 * What a program does with the PPPoL2TP driver, step by step: the sockets that the kernel's document describes, their
 * options, ioctls and names, and the errors of those who use them wrongly. One line of TAP a step.
 *
 *   peer ── UDP, loopback ── tunnel_fd ── kernel_fd    tunnel 1, which the peer calls 2: its management socket
 *                                     └── session_fd   session 10 of it, which the peer calls 20
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_pppol2tp.h>
#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>

#ifndef SOL_PPPOL2TP
#define SOL_PPPOL2TP 273
#endif

enum { TUNNEL = 1, PEER_TUNNEL = 2, SESSION = 10, PEER_SESSION = 20, PATIENCE_MS = 10000 };

/* The driver's address is packed; as a struct sockaddr it has to lie on its boundary. */
union address {
	struct sockaddr any;
	struct sockaddr_pppol2tp sax;
};

/* An LCP echo request, and the data message with it. */
static const uint8_t frame[] = { 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4 };
static const uint8_t message[] = { 0, 2, 0, PEER_TUNNEL, 0, PEER_SESSION, 0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4 };

static int steps, failures;

static void step(int good, const char *what)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++steps, what);
	failures += !good;
}

/* A call that has to succeed. */
static void done(int result, const char *what)
{
	step(result >= 0, what);
	if (result < 0)
		printf("# %s\n", strerror(errno));
}

/* A call that has to fail with this error. */
static void refused(int result, int error, const char *what)
{
	int got = errno;

	step(result < 0 && got == error, what);
	if (result >= 0)
		printf("# it succeeded\n");
	else if (got != error)
		printf("# %s instead of %s\n", strerror(got), strerror(error));
}

/* A socket that is needed for all that follows. */
static int need(int fd, const char *what)
{
	if (fd < 0) {
		printf("Bail out! %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return fd;
}

static int pppox_socket(void)
{
	return need(socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP), "no PPPoL2TP socket (modprobe l2tp_ppp)");
}

static int udp_socket(struct sockaddr_in *address)
{
	int fd = need(socket(AF_INET, SOCK_DGRAM, 0), "no UDP socket");
	socklen_t len = sizeof(*address);

	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(fd, (struct sockaddr *)address, len), "bind");
	need(getsockname(fd, (struct sockaddr *)address, &len), "getsockname");
	return fd;
}

static union address address_of(int fd, const struct sockaddr_in *peer, int session, int peer_session)
{
	union address address;
	struct sockaddr_pppol2tp *sax = &address.sax;

	memset(&address, 0, sizeof(address));
	sax->sa_family = AF_PPPOX;
	sax->sa_protocol = PX_PROTO_OL2TP;
	sax->pppol2tp.fd = fd;
	sax->pppol2tp.addr = *peer;
	sax->pppol2tp.s_tunnel = TUNNEL;
	sax->pppol2tp.s_session = session;
	sax->pppol2tp.d_tunnel = PEER_TUNNEL;
	sax->pppol2tp.d_session = peer_session;
	return address;
}

static int pppox_connect(int fd, union address address)
{
	return connect(fd, &address.any, sizeof(address.sax));
}

static int set(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PPPOL2TP, option, &value, sizeof(value));
}

static int get(int fd, int option, int *value)
{
	socklen_t len = sizeof(*value);

	*value = -1;
	return getsockopt(fd, SOL_PPPOL2TP, option, value, &len);
}

/* Sets an option and reads it again. */
static void option(int fd, int name, int value, const char *what)
{
	int is;

	step(set(fd, name, value) == 0 && get(fd, name, &is) == 0 && is == value, what);
}

/* Whether a message comes in time, and is this. */
static int receives(int fd, const void *expected, size_t len)
{
	uint8_t buffer[100];
	struct pollfd waits = { .fd = fd, .events = POLLIN };

	return poll(&waits, 1, PATIENCE_MS) == 1 && recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) == (ssize_t)len &&
	       memcmp(buffer, expected, len) == 0;
}

/* Whether a name is that of the session. */
static int is_session(const struct sockaddr_pppol2tp *sax, socklen_t len, const struct sockaddr_in *peer)
{
	return len == sizeof(*sax) && sax->sa_family == AF_PPPOX && sax->sa_protocol == PX_PROTO_OL2TP &&
	       sax->pppol2tp.s_tunnel == TUNNEL && sax->pppol2tp.s_session == SESSION &&
	       sax->pppol2tp.d_tunnel == PEER_TUNNEL && sax->pppol2tp.d_session == PEER_SESSION &&
	       sax->pppol2tp.addr.sin_port == peer->sin_port &&
	       sax->pppol2tp.addr.sin_addr.s_addr == peer->sin_addr.s_addr;
}

/* Descriptors that are no tunnel's UDP socket. */
static void wrong_descriptors(const struct sockaddr_in *peer)
{
	int fd = pppox_socket();
	int file = open("/dev/null", O_RDONLY);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	int local = socket(AF_UNIX, SOCK_DGRAM, 0);
	union address address = address_of(-1, peer, 0, 0);

	refused(pppox_connect(fd, address), EBADF, "management socket without a descriptor: EBADF");
	address.sax.pppol2tp.fd = file;
	refused(pppox_connect(fd, address), ENOTSOCK, "management socket with a file's: ENOTSOCK");
	address.sax.pppol2tp.fd = tcp;
	refused(pppox_connect(fd, address), EPROTONOSUPPORT, "management socket with a TCP socket's: EPROTONOSUPPORT");
	address.sax.pppol2tp.fd = local;
	refused(pppox_connect(fd, address), EPROTONOSUPPORT, "management socket with another family's: EPROTONOSUPPORT");
	close(local);
	close(tcp);
	close(file);
	close(fd);
}

/* Addresses that nothing can be connected to. */
static void wrong_addresses(int tunnel_fd, const struct sockaddr_in *peer)
{
	int fd = pppox_socket();
	union address address = address_of(tunnel_fd, peer, 0, 0);

	address.sax.sa_protocol = PX_PROTO_OE;
	refused(pppox_connect(fd, address), EINVAL, "address of another protocol: EINVAL");
	address = address_of(tunnel_fd, peer, 0, 0);
	refused(connect(fd, &address.any, sizeof(address.sax) - 1), EINVAL, "address that is too short: EINVAL");
	address.sax.pppol2tp.s_tunnel = 0;
	refused(pppox_connect(fd, address), EINVAL, "tunnel id 0: EINVAL");
	refused(pppox_connect(fd, address_of(tunnel_fd, peer, SESSION, PEER_SESSION)), ENOENT,
		"session before its tunnel: ENOENT");
	close(fd);
}

static void not_connected(void)
{
	union address address;
	socklen_t len = sizeof(address);
	int fd = pppox_socket(), value;

	refused(set(fd, PPPOL2TP_SO_SENDSEQ, 1), ENOTCONN, "option of a new socket: ENOTCONN");
	refused(ioctl(fd, PPPIOCGCHAN, &value), ENOTCONN, "PPPIOCGCHAN of a new socket: ENOTCONN");
	refused(send(fd, frame, sizeof(frame), 0), ENOTCONN, "frame on a new socket: ENOTCONN");
	refused(getsockname(fd, &address.any, &len), ENOTCONN, "name of a new socket: ENOTCONN");
	close(fd);
}

static void management_options(int kernel_fd)
{
	int value;

	done(set(kernel_fd, PPPOL2TP_SO_DEBUG, PPPOL2TP_MSG_CONTROL), "management socket: set DEBUG");
	done(get(kernel_fd, PPPOL2TP_SO_DEBUG, &value), "management socket: get DEBUG");
	refused(set(kernel_fd, PPPOL2TP_SO_SENDSEQ, 1), ENOPROTOOPT, "management socket: no SENDSEQ: ENOPROTOOPT");
	refused(set(kernel_fd, PPPOL2TP_SO_RECVSEQ, 1), ENOPROTOOPT, "management socket: no RECVSEQ: ENOPROTOOPT");
	refused(set(kernel_fd, PPPOL2TP_SO_LNSMODE, 1), ENOPROTOOPT, "management socket: no LNSMODE: ENOPROTOOPT");
	refused(get(kernel_fd, PPPOL2TP_SO_REORDERTO, &value), ENOPROTOOPT,
		"management socket: no REORDERTO: ENOPROTOOPT");
}

static void session_options(int session_fd)
{
	int value;

	done(set(session_fd, PPPOL2TP_SO_DEBUG, PPPOL2TP_MSG_DATA), "session socket: set DEBUG");
	done(get(session_fd, PPPOL2TP_SO_DEBUG, &value), "session socket: get DEBUG");
	option(session_fd, PPPOL2TP_SO_RECVSEQ, 1, "session socket: RECVSEQ 1");
	option(session_fd, PPPOL2TP_SO_RECVSEQ, 0, "session socket: RECVSEQ 0");
	option(session_fd, PPPOL2TP_SO_SENDSEQ, 1, "session socket: SENDSEQ 1");
	option(session_fd, PPPOL2TP_SO_SENDSEQ, 0, "session socket: SENDSEQ 0");
	option(session_fd, PPPOL2TP_SO_LNSMODE, 1, "session socket: LNSMODE 1");
	option(session_fd, PPPOL2TP_SO_LNSMODE, 0, "session socket: LNSMODE 0");
	option(session_fd, PPPOL2TP_SO_REORDERTO, 200, "session socket: REORDERTO 200");
	option(session_fd, PPPOL2TP_SO_REORDERTO, 0, "session socket: REORDERTO 0");
	refused(set(session_fd, PPPOL2TP_SO_SENDSEQ, 2), EINVAL, "SENDSEQ 2: EINVAL");
	refused(set(session_fd, 99, 1), ENOPROTOOPT, "unknown option: ENOPROTOOPT");
	refused(setsockopt(session_fd, SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, &value, 2), EINVAL,
		"option of two bytes: EINVAL");
}

/* Control messages are the program's, data messages are the driver's. */
static void messages(int peer_fd, int tunnel_fd, int session_fd)
{
	const uint8_t hello[] = { 0xc8, 2, 0, 20, 0, TUNNEL, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6 };
	uint8_t theirs[sizeof(message)];

	memcpy(theirs, message, sizeof(message));
	theirs[3] = TUNNEL;
	theirs[5] = SESSION;
	done(send(session_fd, frame, sizeof(frame), 0), "session socket: send a frame");
	step(receives(peer_fd, message, sizeof(message)), "the peer receives a data message with it");
	done(send(peer_fd, hello, sizeof(hello), 0), "the peer sends a control message");
	step(receives(tunnel_fd, hello, sizeof(hello)), "the UDP socket receives it");
	done(send(peer_fd, theirs, sizeof(theirs), 0), "the peer sends a data message");
	step(receives(session_fd, frame, sizeof(frame)), "the session socket receives its frame");
	refused(recv(tunnel_fd, theirs, sizeof(theirs), MSG_DONTWAIT), EAGAIN, "the UDP socket does not");
}

/* One data message of each direction was counted. */
static void counters(int fd, int session, const char *what)
{
	struct pppol2tp_ioc_stats stats;

	memset(&stats, 0, sizeof(stats));
	stats.session_id = session;
	step(ioctl(fd, PPPIOCGL2TPSTATS, &stats) == 0 && stats.tunnel_id == TUNNEL && stats.tx_packets == 1 &&
	     stats.tx_bytes == sizeof(message) && stats.rx_packets == 1 && stats.rx_bytes == sizeof(message) &&
	     stats.tx_errors + stats.rx_errors + stats.rx_seq_discards + stats.rx_oos_packets == 0, what);
}

static void statistics(int kernel_fd, int session_fd)
{
	struct pppol2tp_ioc_stats unknown = { .session_id = SESSION + 1 };

	counters(session_fd, 0, "PPPIOCGL2TPSTATS of the session");
	counters(kernel_fd, 0, "PPPIOCGL2TPSTATS of the tunnel");
	counters(kernel_fd, SESSION, "PPPIOCGL2TPSTATS of the tunnel's session");
	refused(ioctl(kernel_fd, PPPIOCGL2TPSTATS, &unknown), EBADR, "PPPIOCGL2TPSTATS of an unknown session: EBADR");
}

static void names(int session_fd, const struct sockaddr_in *peer)
{
	union address address;
	socklen_t len = sizeof(address);

	step(getsockname(session_fd, &address.any, &len) == 0 && is_session(&address.sax, len, peer), "getsockname");
	len = sizeof(address);
	step(getpeername(session_fd, &address.any, &len) == 0 && is_session(&address.sax, len, peer), "getpeername");
}

static void channel(int session_fd)
{
	int index = -1, again = -1;
	uint8_t buffer[100];

	step(ioctl(session_fd, PPPIOCGCHAN, &index) == 0 && index >= 0, "PPPIOCGCHAN gives the PPP channel");
	step(ioctl(session_fd, PPPIOCGCHAN, &again) == 0 && again == index, "the same again");
	refused(recv(session_fd, buffer, sizeof(buffer), MSG_DONTWAIT), EIO, "PPP has the frames now: EIO");
}

int main(void)
{
	struct sockaddr_in peer, here;
	int peer_fd = udp_socket(&peer), tunnel_fd = udp_socket(&here);
	int kernel_fd = pppox_socket(), session_fd = pppox_socket(), other_fd = pppox_socket();

	need(connect(tunnel_fd, (struct sockaddr *)&peer, sizeof(peer)), "connect");
	need(connect(peer_fd, (struct sockaddr *)&here, sizeof(here)), "connect");
	setvbuf(stdout, NULL, _IOLBF, 0);

	not_connected();
	wrong_descriptors(&peer);
	wrong_addresses(tunnel_fd, &peer);

	done(pppox_connect(kernel_fd, address_of(tunnel_fd, &peer, 0, 0)), "connect the management socket");
	refused(pppox_connect(kernel_fd, address_of(tunnel_fd, &peer, SESSION, PEER_SESSION)), EBUSY,
		"connect it again: EBUSY");
	management_options(kernel_fd);

	done(pppox_connect(session_fd, address_of(tunnel_fd, &peer, SESSION, PEER_SESSION)), "connect the session socket");
	refused(pppox_connect(session_fd, address_of(tunnel_fd, &peer, SESSION + 1, PEER_SESSION + 1)), EBUSY,
		"connect it again: EBUSY");
	refused(pppox_connect(other_fd, address_of(tunnel_fd, &peer, SESSION, PEER_SESSION)), EEXIST,
		"connect another with its id: EEXIST");
	session_options(session_fd);

	messages(peer_fd, tunnel_fd, session_fd);
	statistics(kernel_fd, session_fd);
	names(session_fd, &peer);
	channel(session_fd);

	done(close(session_fd), "close the session socket");
	done(close(kernel_fd), "close the management socket");
	done(close(tunnel_fd), "close the UDP socket");
	close(other_fd);
	close(peer_fd);
	printf("1..%d\n", steps);
	return failures != 0;
}
