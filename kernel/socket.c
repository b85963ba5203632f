// SPDX-License-Identifier: GPL-2.0-only
/*
 * PPPoX sockets of protocol OL2TP, and the module.
 */
#define pr_fmt(fmt) "PPPOL2TP: " fmt

#include <linux/if_ppp.h>
#include <linux/module.h>
#include <linux/ppp-ioctl.h>
#include <linux/ppp_defs.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <net/net_namespace.h>

#include "pppol2tp.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
typedef struct sockaddr_unsized pppol2tp_sockaddr;
#else
typedef struct sockaddr pppol2tp_sockaddr;
#endif

/* An IPv4 datagram, its headers and ours: what is left for a frame. */
#define LONGEST_FRAME (0xffff - sizeof(struct iphdr) - sizeof(struct udphdr) - OL2TP_HEADER)
/* Room for an IPv6 header, UDP's, ours, and what is below them. */
#define HEADROOM (NET_SKB_PAD + LL_MAX_HEADER + 40 + sizeof(struct udphdr) + OL2TP_HEADER)

/* What a queue holds, 256 KiB of messages, with what their buffers need besides. */
#define READ_AT_ONCE (4 * 256 * 1024)

/* The debug mask of a session, or of a management socket's tunnel. */
static u32 *pppol2tp_mask(struct pppol2tp_sock *ps)
{
	return ps->id ? &ps->debug : &ps->tunnel->debug;
}

/* Runs when nobody can reach the socket any more, after a grace period. */
static void pppol2tp_destruct(struct sock *sk)
{
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);

	skb_queue_purge(&sk->sk_receive_queue);
	free_percpu(ps->stats);
	kfree(ps->queue);
	if (ps->tunnel)
		pppol2tp_tunnel_put(ps->tunnel);
}

static int pppol2tp_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (!sk)
		return 0;
	pppol2tp_disconnect(pppol2tp_sk(sk));
	sock_orphan(sk);
	sock->sk = NULL;
	sock_put(sk);
	return 0;
}

static int pppol2tp_connect(struct socket *sock, pppol2tp_sockaddr *address, int len, int flags)
{
	struct sock *sk = sock->sk;
	int rc;

	lock_sock(sk);
	rc = pppol2tp_connect_to(pppol2tp_sk(sk), (const u8 *)address, len);
	release_sock(sk);
	return rc;
}

static int pppol2tp_getname(struct socket *sock, struct sockaddr *address, int peer)
{
	struct pppol2tp_sock *ps = pppol2tp_sk(sock->sk);
	struct pppol2tp_tunnel *tunnel;
	struct ol2tp_connect name;
	int rc = -ENOTCONN;

	lock_sock(sock->sk);
	if (ps->state == OL2TP_MANAGEMENT || ps->state == OL2TP_SESSION) {
		tunnel = ps->tunnel;
		name = (struct ol2tp_connect) {
			.peer = tunnel->peer,
			.fd = tunnel->fd,
			.tunnel = tunnel->id,
			.session = ps->id,
			.peer_tunnel = READ_ONCE(tunnel->peer_id),
			.peer_session = ps->peer_id,
		};
		rc = ol2tp_name(&name, tunnel->pid, (u8 *)address);
	}
	release_sock(sock->sk);
	return rc;
}

static int pppol2tp_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk;
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);
	struct sk_buff *skb;
	int rc;

	rc = ol2tp_may_send(READ_ONCE(ps->state));
	if (rc)
		return rc;
	if (len > LONGEST_FRAME)
		return -EMSGSIZE;
	skb = sock_alloc_send_skb(sk, HEADROOM + len, msg->msg_flags & MSG_DONTWAIT, &rc);
	if (!skb)
		return rc;
	skb_reserve(skb, HEADROOM);
	rc = memcpy_from_msg(skb_put(skb, len), msg, len);
	if (rc) {
		kfree_skb(skb);
		return rc;
	}
	local_bh_disable();
	pppol2tp_xmit(ps, skb);
	local_bh_enable();
	return len;
}

static int pppol2tp_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);
	struct sk_buff *skb;
	int rc;

	if (sk->sk_state & PPPOX_BOUND)
		return -EIO;
	skb = skb_recv_datagram(sk, flags, &rc);
	switch (READ_ONCE(ps->state)) {
	case OL2TP_DEAD_MANAGEMENT:
	case OL2TP_DEAD_SESSION:
		skb_free_datagram(sk, skb);
		return -ENOTCONN;
	}
	if (!skb)
		return rc;
	if (len < skb->len)
		msg->msg_flags |= MSG_TRUNC;
	len = min_t(size_t, len, skb->len);
	rc = skb_copy_datagram_msg(skb, 0, msg, len);
	skb_free_datagram(sk, skb);
	return rc ?: len;
}

static int pppol2tp_setsockopt(struct socket *sock, int level, int name, sockptr_t memory, unsigned int len)
{
	struct sock *sk = sock->sk;
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);
	struct pppol2tp_queue *queue = NULL;
	int value, option;
	bool readable;

	readable = len >= sizeof(value) && !copy_from_sockptr(&value, memory, sizeof(value));
	lock_sock(sk);
	option = ol2tp_set_option(READ_ONCE(ps->state), level, name, len, readable ? &value : NULL);
	if (option < 0)
		goto out;
	if (option == OL2TP_DEBUG) {
		WRITE_ONCE(*pppol2tp_mask(ps), value);
		goto done;
	}
	if (option == OL2TP_REORDERTO && value && !ps->queue) {
		queue = kzalloc(sizeof(*queue), GFP_KERNEL);
		if (!queue) {
			option = -ENOMEM;
			goto out;
		}
		ol2tp_queue_init(&queue->rules);
	}
	/* What the queue lets out at once has to fit where it is read from. */
	if (queue && !(sk->sk_userlocks & SOCK_RCVBUF_LOCK))
		WRITE_ONCE(sk->sk_rcvbuf, max(sk->sk_rcvbuf, READ_AT_ONCE));
	spin_lock_bh(&ps->rx_lock);
	if (queue)
		ps->queue = queue;
	ol2tp_session_set(&ps->rules, option, value);
	pppol2tp_flush(ps);
	spin_unlock_bh(&ps->rx_lock);
done:
	pppol2tp_log(*pppol2tp_mask(ps), OL2TP_LOG_CONTROL, "sess %u/%u: set option %d=%d", ps->tunnel->id, ps->id,
		     option, value);
	option = 0;
out:
	release_sock(sk);
	return option;
}

static int pppol2tp_option(struct pppol2tp_sock *ps, int option)
{
	struct ol2tp_state state;

	if (option == OL2TP_DEBUG)
		return READ_ONCE(*pppol2tp_mask(ps));
	pppol2tp_state(ps, &state);
	switch (option) {
	case OL2TP_RECVSEQ:
		return state.recv_seq;
	case OL2TP_SENDSEQ:
		return state.send_seq;
	case OL2TP_LNSMODE:
		return state.lns_mode;
	default:
		return state.reorder_timeout;
	}
}

static int pppol2tp_getsockopt(struct socket *sock, int level, int name, char __user *memory, int __user *room)
{
	struct sock *sk = sock->sk;
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);
	int len, value, option;
	bool readable;

	readable = !get_user(len, room);
	lock_sock(sk);
	option = ol2tp_get_option(READ_ONCE(ps->state), level, name, readable ? &len : NULL);
	if (option < 0)
		goto out;
	value = pppol2tp_option(ps, option);
	option = put_user(len, room) || copy_to_user(memory, &value, len) ? -EFAULT : 0;
out:
	release_sock(sk);
	return option;
}

/* The first number of what an ioctl leads to: whether it can be read. */
static bool pppol2tp_argument(unsigned int cmd, void __user *memory, int *value)
{
	struct pppol2tp_ioc_stats __user *stats = memory;
	struct ifreq request;
	u16 session;

	switch (cmd) {
	case PPPIOCGL2TPSTATS:
		if (get_user(session, &stats->session_id))
			return false;
		*value = session;
		return true;
	case SIOCGIFMTU:
	case SIOCSIFMTU:
		if (copy_from_user(&request, memory, sizeof(request)))
			return false;
		*value = request.ifr_mtu;
		return true;
	default:
		return !get_user(*value, (int __user *)memory);
	}
}

/* Copies counters of a tunnel, or of a session, out. */
static int pppol2tp_stats(struct pppol2tp_sock *ps, int action, u16 id, void __user *memory, int fault)
{
	struct pppol2tp_net *pn = pppol2tp_net(sock_net(pppol2tp_socket(ps)));
	struct pppol2tp_tunnel *tunnel = ps->tunnel;
	struct ol2tp_counters counters = {};
	struct pppol2tp_sock *session = ps;
	u8 out[OL2TP_IOC_STATS];

	mutex_lock(&pn->lock);
	if (action == OL2TP_TUNNEL_STATS) {
		pppol2tp_tunnel_sum(tunnel, &counters);
	} else {
		if (action == OL2TP_STATS_OF)
			session = pppol2tp_session(tunnel, id);
		if (session)
			pppol2tp_sum(session, &counters);
	}
	mutex_unlock(&pn->lock);
	if (!session)
		return -EBADR;
	ol2tp_ioc_stats(tunnel->id, action == OL2TP_TUNNEL_STATS ? 0 : session->id, &counters, out);
	return copy_to_user(memory, out, sizeof(out)) ? fault : 0;
}

static int pppol2tp_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct sock *sk = sock->sk;
	struct pppol2tp_sock *ps = pppol2tp_sk(sk);
	const struct pppol2tp_view view = { .net = sock_net(sk) };
	void __user *memory = (void __user *)arg;
	struct ifreq __user *request = memory;
	int __user *number = memory;
	int value, fault, rc, action;
	bool readable;

	/* Other kinds of ioctls are those of any socket. */
	if (_IOC_TYPE(cmd) != 't' && cmd != SIOCGIFMTU && cmd != SIOCSIFMTU)
		return -ENOIOCTLCMD;
	readable = pppol2tp_argument(cmd, memory, &value);
	lock_sock(sk);
	action = ol2tp_ioctl(&view, READ_ONCE(ps->state), ps->tunnel ? ps->tunnel->id : 0, cmd,
			     readable ? &value : NULL, &fault);
	switch (action) {
	case OL2TP_CHANNEL:
		rc = put_user(ppp_channel_index(&ps->po.chan), number);
		if (!rc)
			pppol2tp_bind(ps);
		break;
	case OL2TP_GET_MTU:
		rc = readable ? put_user(ps->mtu, &request->ifr_mtu) : -EFAULT;
		break;
	case OL2TP_SET_MTU:
		ps->mtu = value;
		rc = 0;
		break;
	case OL2TP_GET_MRU:
		rc = put_user(ps->mru, number);
		break;
	case OL2TP_SET_MRU:
		ps->mru = value;
		rc = 0;
		break;
	case OL2TP_GET_FLAGS:
		rc = put_user(ps->flags, number);
		break;
	case OL2TP_SET_FLAGS:
		ps->flags = value;
		rc = 0;
		break;
	case OL2TP_STATS:
	case OL2TP_TUNNEL_STATS:
	case OL2TP_STATS_OF:
		rc = pppol2tp_stats(ps, action, value, memory, fault);
		goto out;
	default:
		rc = action;
		goto out;
	}
	if (rc)
		rc = fault;
out:
	release_sock(sk);
	return rc;
}

#ifdef CONFIG_COMPAT
static int pppol2tp_compat_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	return pppol2tp_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

static const struct proto_ops pppol2tp_ops = {
	.family = AF_PPPOX,
	.owner = THIS_MODULE,
	.release = pppol2tp_release,
	.bind = sock_no_bind,
	.connect = pppol2tp_connect,
	.socketpair = sock_no_socketpair,
	.accept = sock_no_accept,
	.getname = pppol2tp_getname,
	.poll = datagram_poll,
	.listen = sock_no_listen,
	.shutdown = sock_no_shutdown,
	.setsockopt = pppol2tp_setsockopt,
	.getsockopt = pppol2tp_getsockopt,
	.sendmsg = pppol2tp_sendmsg,
	.recvmsg = pppol2tp_recvmsg,
	.mmap = sock_no_mmap,
	.ioctl = pppol2tp_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = pppol2tp_compat_ioctl,
#endif
};

static struct proto pppol2tp_proto = {
	.name = "PPPOL2TP",
	.owner = THIS_MODULE,
	.obj_size = sizeof(struct pppol2tp_sock),
};

/* What 2.6.24 says until it is told otherwise: 1500 without the headers of IPv4, UDP, L2TP and PPP. */
#define MTU 1460

static int pppol2tp_create(struct net *net, struct socket *sock, int kern)
{
	struct pppol2tp_sock *ps;
	struct sock *sk;

	sk = sk_alloc(net, PF_PPPOX, GFP_KERNEL, &pppol2tp_proto, kern);
	if (!sk)
		return -ENOMEM;
	sock_init_data(sock, sk);
	sock->state = SS_UNCONNECTED;
	sock->ops = &pppol2tp_ops;
	sk->sk_protocol = PX_PROTO_OL2TP;
	sk->sk_family = PF_PPPOX;
	sk->sk_state = PPPOX_NONE;
	sk->sk_destruct = pppol2tp_destruct;
	/* Whoever receives finds it under RCU. */
	sock_set_flag(sk, SOCK_RCU_FREE);

	ps = pppol2tp_sk(sk);
	ps->mtu = MTU;
	ps->mru = MTU;
	spin_lock_init(&ps->rx_lock);
	spin_lock_init(&ps->tx_lock);
	return 0;
}

static const struct pppox_proto pppol2tp_pppox = {
	.create = pppol2tp_create,
	.ioctl = pppol2tp_ioctl,
	.owner = THIS_MODULE,
};

static int __init pppol2tp_init(void)
{
	int rc;

	rc = pppol2tp_tunnels_init();
	if (rc)
		return rc;
	rc = proto_register(&pppol2tp_proto, 0);
	if (rc)
		goto no_proto;
	rc = register_pppox_proto(PX_PROTO_OL2TP, &pppol2tp_pppox);
	if (rc == -EALREADY)
		pr_err("another driver serves these sockets: rmmod l2tp_ppp, and load this one again\n");
	if (rc)
		goto no_pppox;
	/* Behind the others: the name in /proc is another driver's while that is there. */
	rc = pppol2tp_proc_init();
	if (rc)
		goto no_proc;
	pr_info("PPPoL2TP driver of ol2tp\n");
	return 0;

no_proc:
	unregister_pppox_proto(PX_PROTO_OL2TP);
no_pppox:
	proto_unregister(&pppol2tp_proto);
no_proto:
	pppol2tp_tunnels_exit();
	return rc;
}

static void __exit pppol2tp_exit(void)
{
	pppol2tp_proc_exit();
	unregister_pppox_proto(PX_PROTO_OL2TP);
	/* Sockets and tunnels hold the module until a grace period after their end: their last functions return. */
	rcu_barrier();
	proto_unregister(&pppol2tp_proto);
	pppol2tp_tunnels_exit();
}

void glue_log(const void *who, const u8 *text, size_t len)
{
	const struct pppol2tp_sock *ps = who;

	if (net_ratelimit())
		pr_info("sess %u/%u: %.*s\n", ps->tunnel->id, ps->id, (int)len, text);
}

/* A rule that does not hold: there is no going on. */
void __noreturn glue_panic(const u8 *file, size_t len, u32 line)
{
	panic("PPPOL2TP: %.*s:%u", (int)len, file, line);
}

module_init(pppol2tp_init);
module_exit(pppol2tp_exit);

MODULE_DESCRIPTION("PPP over L2TP (RFC 2661) over UDP");
MODULE_AUTHOR("ol2tp");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS_NET_PF_PROTO(PF_PPPOX, PX_PROTO_OL2TP);
MODULE_ALIAS("pppox-proto-1");
