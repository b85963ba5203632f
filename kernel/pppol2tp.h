/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tunnels and sessions. docs/kernel-module.md says who owns what and which lock comes first.
 */
#ifndef PPPOL2TP_H
#define PPPOL2TP_H

#include <linux/if_pppox.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/u64_stats_sync.h>
#include <linux/udp.h>
#include <linux/xarray.h>
#include <net/dst_cache.h>
#include <net/sock.h>

#include "rules.h"

#define PPPOL2TP_BUCKETS 16

/* Of a network namespace. */
struct pppol2tp_net {
	struct mutex lock;	/* what exists */
	struct xarray tunnels;	/* by local id */
	struct list_head list;	/* newest first */
};

/* Counters of one CPU. */
struct pppol2tp_stats {
	struct ol2tp_counters counters;
	struct u64_stats_sync syncp;
};

struct pppol2tp_tunnel {
	refcount_t refs;	/* the UDP socket's, and one of each PPPoX socket */
	struct list_head list;
	struct xarray sessions;	/* by local id; read under RCU */
	struct hlist_head buckets[PPPOL2TP_BUCKETS];
	struct hlist_head managers;
	unsigned int sockets;	/* sessions and management sockets that are open */
	struct sock *udp;	/* held */
	struct ol2tp_address peer;
	u16 id;
	u16 peer_id;		/* 0 until it is known */
	int fd;
	int pid;
	u32 debug;
	struct ol2tp_counters past;	/* of sessions that have ended */
	struct dst_cache route;
	u64 route_key;		/* of the peer that `route` leads to */
	atomic_long_t foreign;
	struct rcu_head rcu;
};

/* Messages that a session holds. */
struct pppol2tp_queue {
	struct ol2tp_queue rules;
	struct sk_buff *slots[OL2TP_SLOTS];
};

/* A PPPoX socket, and the session or the tunnel that it is connected to. */
struct pppol2tp_sock {
	struct pppox_sock po;	/* first */
	u32 state;		/* enum ol2tp_socket */
	struct pppol2tp_tunnel *tunnel;
	struct hlist_node node;
	u16 id;
	u16 peer_id;
	int mtu;
	int mru;
	int flags;
	u32 debug;
	spinlock_t rx_lock;
	spinlock_t tx_lock;
	struct ol2tp_session rules;
	struct pppol2tp_queue *queue;	/* with rx_lock; there since REORDERTO was set */
	struct timer_list timer;
	struct pppol2tp_stats __percpu *stats;
};

/* What Rust asks about while it decides on a call. */
struct pppol2tp_view {
	struct net *net;
	struct socket *udp;	/* what connect's descriptor is; held */
};

static inline struct pppol2tp_sock *pppol2tp_sk(struct sock *sk)
{
	return (struct pppol2tp_sock *)sk;
}

static inline struct sock *pppol2tp_socket(struct pppol2tp_sock *ps)
{
	return &ps->po.sk;
}

/* Messages to the log, at a rate that the kernel limits, if the mask asks for them. */
#define pppol2tp_log(mask, category, format, ...)					\
	do {										\
		if (unlikely(READ_ONCE(mask) & (category)) && net_ratelimit())		\
			pr_info(format "\n", ##__VA_ARGS__);				\
	} while (0)

/* tunnel.c */
extern unsigned int pppol2tp_net_id;
int pppol2tp_tunnels_init(void);
void pppol2tp_tunnels_exit(void);
int pppol2tp_connect_to(struct pppol2tp_sock *ps, const u8 *address, unsigned int len);
void pppol2tp_disconnect(struct pppol2tp_sock *ps);
void pppol2tp_tunnel_put(struct pppol2tp_tunnel *tunnel);
struct pppol2tp_net *pppol2tp_net(struct net *net);
struct pppol2tp_sock *pppol2tp_session(struct pppol2tp_tunnel *tunnel, u16 id);

/* data.c */
extern const struct ppp_channel_ops pppol2tp_channel_ops;
int pppol2tp_encap_rcv(struct sock *udp, struct sk_buff *skb);
void pppol2tp_encap_err_rcv(struct sock *udp, struct sk_buff *skb, int err, __be16 port, u32 info, u8 *payload);
int pppol2tp_xmit(struct pppol2tp_sock *ps, struct sk_buff *skb);
int pppol2tp_mtu(struct pppol2tp_tunnel *tunnel);
void pppol2tp_bind(struct pppol2tp_sock *ps);
void pppol2tp_timeout(struct timer_list *timer);
void pppol2tp_flush(struct pppol2tp_sock *ps);
void pppol2tp_purge(struct pppol2tp_sock *ps);

/* proc.c */
int pppol2tp_proc_init(void);
void pppol2tp_proc_exit(void);
void pppol2tp_state(struct pppol2tp_sock *ps, struct ol2tp_state *state);
void pppol2tp_sum(const struct pppol2tp_sock *ps, struct ol2tp_counters *sum);
void pppol2tp_tunnel_sum(struct pppol2tp_tunnel *tunnel, struct ol2tp_counters *sum);

#endif
