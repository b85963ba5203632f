/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Rust side, lib.rs, as the C side sees it. ol2tp_ is Rust's, glue_ is called by Rust.
 *
 * A session's rules are two halves. The receive half is touched with rx_lock held, the transmit half with tx_lock.
 * Counters are this CPU's, with bottom halves off.
 */
#ifndef PPPOL2TP_RULES_H
#define PPPOL2TP_RULES_H

#include <linux/types.h>

#define OL2TP_SLOTS 64		/* messages that a queue holds */
#define OL2TP_HEAD 14		/* the longest header up to the frame's padding */
#define OL2TP_HEADER 12		/* the longest that is sent, FF 03 included */
#define OL2TP_NAME 50		/* the longest sockaddr */
#define OL2TP_IOC_STATS 72	/* struct pppol2tp_ioc_stats */

/* State of a socket. */
enum ol2tp_socket {
	OL2TP_NEW,
	OL2TP_MANAGEMENT,
	OL2TP_SESSION,
	OL2TP_DEAD_MANAGEMENT,
	OL2TP_DEAD_SESSION,
	OL2TP_CLOSED,
};

/* What a descriptor is. */
enum ol2tp_descriptor {
	OL2TP_FD_BAD,
	OL2TP_FD_NO_SOCKET,
	OL2TP_FD_NO_UDP,
	OL2TP_FD_NO_INET,
	OL2TP_FD_FOREIGN,
	OL2TP_FD_THIS_TUNNEL,
	OL2TP_FD_OTHER_TUNNEL,
	OL2TP_FD_PLAIN,
};

enum ol2tp_option {
	OL2TP_DEBUG = 1,
	OL2TP_RECVSEQ,
	OL2TP_SENDSEQ,
	OL2TP_LNSMODE,
	OL2TP_REORDERTO,
};

enum ol2tp_action {
	OL2TP_CHANNEL,
	OL2TP_GET_MTU,
	OL2TP_SET_MTU,
	OL2TP_GET_MRU,
	OL2TP_SET_MRU,
	OL2TP_GET_FLAGS,
	OL2TP_SET_FLAGS,
	OL2TP_STATS,
	OL2TP_TUNNEL_STATS,
	OL2TP_STATS_OF,
};

enum ol2tp_class { OL2TP_PASS_UP, OL2TP_DATA };
enum ol2tp_verdict { OL2TP_DISCARD, OL2TP_DELIVER, OL2TP_HOLD };

/* Categories of the debug mask. */
#define OL2TP_LOG_CONTROL 2
#define OL2TP_LOG_SEQ 4
#define OL2TP_LOG_DATA 8

/* Only Rust looks inside these two. */
struct ol2tp_session {
	u64 opaque[8];
};

struct ol2tp_queue {
	u64 opaque[200];
};

struct ol2tp_counters {
	u64 rx[18];
	u64 tx[7];
};

struct ol2tp_address {
	u8 ip[16];		/* network order; IPv4 in the first four */
	u16 port;
	bool ipv6;
	u32 flow;
	u32 scope;
};

struct ol2tp_connect {
	struct ol2tp_address peer;
	int fd;
	u16 tunnel;
	u16 session;		/* 0: a management socket */
	u16 peer_tunnel;
	u16 peer_session;
	bool existing;
};

struct ol2tp_receive {
	struct ol2tp_session *session;
	struct ol2tp_queue *queue;
	struct ol2tp_counters *counters;
	const void *who;
	const void *skb;
	const u8 *head;
	u64 now;		/* microseconds */
	u32 mask;
	u32 head_len;
	u32 len;
	/* out */
	u32 frame;
	u32 frame_len;
	u32 slot;
};

struct ol2tp_state {
	u16 nr;
	u16 ns;
	u8 recv_seq;
	u8 send_seq;
	u8 lns_mode;
	int reorder_timeout;	/* milliseconds */
};

struct ol2tp_shown {
	struct ol2tp_counters stats;
	struct ol2tp_address peer;
	struct ol2tp_state state;
	u32 debug;
	u32 references;
	u16 ids[4];
	u16 mtu;
	u16 mru;
	bool bound;
	const char *interface;
};

/* Data. */
int ol2tp_classify(const u8 *head, u32 len, u16 ids[2]);
int ol2tp_receive(struct ol2tp_receive *call);
int ol2tp_release(const struct ol2tp_receive *call);
int ol2tp_numbers(const struct ol2tp_receive *call, u16 *nr);
u64 ol2tp_deadline(const struct ol2tp_queue *queue);
void ol2tp_queue_init(struct ol2tp_queue *queue);
bool ol2tp_is_frame(const u8 *start, u32 len);
void ol2tp_drop(struct ol2tp_counters *counters, bool bad_inner);
u32 ol2tp_header(struct ol2tp_session *session, u16 peer_tunnel, u8 *out);
void ol2tp_sent(struct ol2tp_counters *counters, u32 len, int error);

/* Sessions. */
void ol2tp_session_init(struct ol2tp_session *session, u16 peer_session);
void ol2tp_session_get(const struct ol2tp_session *session, struct ol2tp_state *state);
void ol2tp_session_set(struct ol2tp_session *session, int option, int value);

/* Calls; they return a number, or an error below 0. */
int ol2tp_connect(const void *view, u32 socket, const u8 *address, u32 len, struct ol2tp_connect *out);
u32 ol2tp_name(const struct ol2tp_connect *name, int pid, u8 *out);
int ol2tp_may_send(u32 socket);
int ol2tp_target(u32 socket);
int ol2tp_set_option(u32 socket, int level, int name, int len, const int *value);
int ol2tp_get_option(u32 socket, int level, int name, int *len);
int ol2tp_ioctl(const void *view, u32 socket, u16 tunnel, u32 request, int *argument, int *fault);

/* Text and statistics. */
void ol2tp_proc_heading(void *to);
void ol2tp_proc_tunnel(void *to, const struct ol2tp_shown *shown);
void ol2tp_proc_session(void *to, const struct ol2tp_shown *shown);
u32 ol2tp_bucket(u16 session);
void ol2tp_ioc_stats(u16 tunnel, u16 session, const struct ol2tp_counters *counters, u8 *out);
void ol2tp_add_session(struct ol2tp_counters *tunnel, const struct ol2tp_counters *session);

/* What Rust asks for. */
void glue_log(const void *who, const u8 *text, size_t len);
void __noreturn glue_panic(const u8 *file, size_t len, u32 line);
void glue_peek(const void *skb, u32 at, u8 *out, u32 n);
u32 glue_descriptor(const void *view, int fd, u16 tunnel);
bool glue_tunnel(const void *view, u16 tunnel, u16 *peer_tunnel);
bool glue_has_session(const void *view, u16 tunnel, u16 session);
void glue_write(void *to, const u8 *text, size_t len);

#endif
