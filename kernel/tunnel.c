// SPDX-License-Identifier: GPL-2.0-only
/*
 * What exists: tunnels by network namespace, their sessions, and how they come and go.
 */
#define pr_fmt(fmt) "PPPOL2TP: " fmt

#include <linux/file.h>
#include <linux/module.h>
#include <linux/net.h>
#include <net/net_namespace.h>
#include <net/ipv6.h>
#include <net/netns/generic.h>
#include <net/udp_tunnel.h>

#include "pppol2tp.h"
#include "trace.h"

unsigned int pppol2tp_net_id;

struct pppol2tp_net *pppol2tp_net(struct net *net)
{
	return net_generic(net, pppol2tp_net_id);
}

/* A session that lives; with the namespace's lock, or under RCU. */
struct pppol2tp_sock *pppol2tp_session(struct pppol2tp_tunnel *tunnel, u16 id)
{
	return xa_load(&tunnel->sessions, id);
}

static void pppol2tp_tunnel_free(struct rcu_head *rcu)
{
	struct pppol2tp_tunnel *tunnel = container_of(rcu, struct pppol2tp_tunnel, rcu);

	/* Its sessions are gone, each with its place in the table: there is nothing to free, nor a lock to take here. */
	WARN_ON_ONCE(!xa_empty(&tunnel->sessions));
	dst_cache_destroy(&tunnel->route);
	sock_put(tunnel->udp);
	kfree(tunnel);
	module_put(THIS_MODULE);
}

void pppol2tp_tunnel_put(struct pppol2tp_tunnel *tunnel)
{
	if (refcount_dec_and_test(&tunnel->refs))
		call_rcu(&tunnel->rcu, pppol2tp_tunnel_free);
}

/*
 * The end of a session, by its socket's or its tunnel's. Behind rx_lock nobody delivers any more, and behind
 * ppp_unregister_channel() nobody transmits for PPP.
 */
static void pppol2tp_session_end(struct pppol2tp_sock *ps, u32 state)
{
	struct pppol2tp_tunnel *tunnel = ps->tunnel;
	struct sock *sk = pppol2tp_socket(ps);
	struct ol2tp_counters counters;

	xa_erase(&tunnel->sessions, ps->id);
	hlist_del(&ps->node);
	spin_lock_bh(&ps->rx_lock);
	WRITE_ONCE(ps->state, state);
	pppol2tp_purge(ps);
	spin_unlock_bh(&ps->rx_lock);
	timer_shutdown_sync(&ps->timer);
	ppp_unregister_channel(&ps->po.chan);
	WRITE_ONCE(sk->sk_state, PPPOX_DEAD);
	pppol2tp_sum(ps, &counters);
	ol2tp_add_session(&tunnel->past, &counters);
	trace_pppol2tp_ended(ps);
	pppol2tp_log(ps->debug, OL2TP_LOG_CONTROL, "sess %u/%u: closed", tunnel->id, ps->id);
}

/* Tells whoever waits for a socket that there is nothing to wait for. */
static void pppol2tp_wake(struct pppol2tp_sock *ps)
{
	struct sock *sk = pppol2tp_socket(ps);

	skb_queue_purge(&sk->sk_receive_queue);
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	sk->sk_state_change(sk);
}

/* The end of a tunnel, with its UDP socket's. */
static void pppol2tp_encap_destroy(struct sock *udp)
{
	struct pppol2tp_net *pn = pppol2tp_net(sock_net(udp));
	struct pppol2tp_tunnel *tunnel;
	struct pppol2tp_sock *ps;
	struct hlist_node *next;
	int bucket;

	mutex_lock(&pn->lock);
	tunnel = rcu_dereference_protected(udp->sk_user_data, lockdep_is_held(&pn->lock));
	if (!tunnel)
		goto out;
	rcu_assign_sk_user_data(udp, NULL);
	xa_erase(&pn->tunnels, tunnel->id);
	list_del(&tunnel->list);
	for (bucket = 0; bucket < PPPOL2TP_BUCKETS; bucket++)
		hlist_for_each_entry_safe(ps, next, &tunnel->buckets[bucket], node) {
			pppol2tp_session_end(ps, OL2TP_DEAD_SESSION);
			pppol2tp_wake(ps);
		}
	hlist_for_each_entry_safe(ps, next, &tunnel->managers, node) {
		hlist_del(&ps->node);
		WRITE_ONCE(ps->state, OL2TP_DEAD_MANAGEMENT);
		pppol2tp_wake(ps);
	}
	tunnel->sockets = 0;
	pppol2tp_log(tunnel->debug, OL2TP_LOG_CONTROL, "tunl %u: closed", tunnel->id);
	pppol2tp_tunnel_put(tunnel);
out:
	mutex_unlock(&pn->lock);
}

/* The end of a PPPoX socket. */
void pppol2tp_disconnect(struct pppol2tp_sock *ps)
{
	struct pppol2tp_net *pn = pppol2tp_net(sock_net(pppol2tp_socket(ps)));

	mutex_lock(&pn->lock);
	switch (ps->state) {
	case OL2TP_SESSION:
		pppol2tp_session_end(ps, OL2TP_CLOSED);
		ps->tunnel->sockets--;
		break;
	case OL2TP_MANAGEMENT:
		hlist_del(&ps->node);
		ps->tunnel->sockets--;
		break;
	}
	WRITE_ONCE(ps->state, OL2TP_CLOSED);
	mutex_unlock(&pn->lock);
}

u32 glue_descriptor(const void *data, int fd, u16 id)
{
	struct pppol2tp_view *view = (struct pppol2tp_view *)data;
	struct pppol2tp_tunnel *tunnel;
	struct sock *sk;
	int rc;

	view->udp = sockfd_lookup(fd, &rc);
	if (!view->udp)
		return rc == -ENOTSOCK ? OL2TP_FD_NO_SOCKET : OL2TP_FD_BAD;
	sk = view->udp->sk;
	if (!sk || sk->sk_type != SOCK_DGRAM || sk->sk_protocol != IPPROTO_UDP)
		return OL2TP_FD_NO_UDP;
	if (sk->sk_family != AF_INET && sk->sk_family != AF_INET6)
		return OL2TP_FD_NO_INET;
	if (sock_net(sk) != view->net)
		return OL2TP_FD_OTHER_TUNNEL;
	if (READ_ONCE(udp_sk(sk)->encap_rcv) == pppol2tp_encap_rcv) {
		/* It stays until the socket ends, which it cannot now. */
		tunnel = rcu_dereference_protected(sk->sk_user_data, 1);
		return tunnel->id == id ? OL2TP_FD_THIS_TUNNEL : OL2TP_FD_OTHER_TUNNEL;
	}
	if (udp_sk(sk)->encap_rcv || rcu_access_pointer(sk->sk_user_data))
		return OL2TP_FD_FOREIGN;
	return OL2TP_FD_PLAIN;
}

bool glue_tunnel(const void *data, u16 id, u16 *peer_id)
{
	const struct pppol2tp_view *view = data;
	struct pppol2tp_tunnel *tunnel = xa_load(&pppol2tp_net(view->net)->tunnels, id);

	if (!tunnel)
		return false;
	*peer_id = tunnel->peer_id;
	return true;
}

bool glue_has_session(const void *data, u16 tunnel_id, u16 id)
{
	const struct pppol2tp_view *view = data;
	struct pppol2tp_tunnel *tunnel;
	bool has;

	rcu_read_lock();
	tunnel = xa_load(&pppol2tp_net(view->net)->tunnels, tunnel_id);
	has = tunnel && pppol2tp_session(tunnel, id);
	rcu_read_unlock();
	return has;
}

/*
 * Makes a UDP socket a tunnel's. Another encapsulation may have taken it since it was looked at.
 *
 * Some kernels take the socket where others take what is below it.
 */
static int pppol2tp_hook(struct net *net, struct socket *udp, struct pppol2tp_tunnel *tunnel)
{
	struct udp_tunnel_sock_cfg hooks = {
		.sk_user_data = tunnel,
		.encap_type = UDP_ENCAP_L2TPINUDP,
		.encap_rcv = pppol2tp_encap_rcv,
		.encap_err_rcv = pppol2tp_encap_err_rcv,
		.encap_destroy = pppol2tp_encap_destroy,
	};
	const bool below = __builtin_types_compatible_p(typeof(setup_udp_tunnel_sock),
							void(struct net *, struct sock *,
							     struct udp_tunnel_sock_cfg *));
	struct sock *sk = udp->sk;
	int rc = -EBUSY;

	lock_sock(sk);
	if (!udp_sk(sk)->encap_rcv && !rcu_access_pointer(sk->sk_user_data)) {
		setup_udp_tunnel_sock(net, below ? (void *)sk : (void *)udp, &hooks);
		rc = 0;
	}
	release_sock(sk);
	return rc;
}

/* The peer of a UDP socket that is connected counts, whatever connect was given. */
static void pppol2tp_peer(const struct sock *udp, struct ol2tp_address *peer)
{
	const struct inet_sock *inet = inet_sk(udp);

	if (udp->sk_state != TCP_ESTABLISHED)
		return;
	*peer = (struct ol2tp_address) {
		.port = ntohs(inet->inet_dport),
		.ipv6 = udp->sk_family == AF_INET6,
	};
#if IS_ENABLED(CONFIG_IPV6)
	if (peer->ipv6) {
		memcpy(peer->ip, &udp->sk_v6_daddr, sizeof(peer->ip));
		peer->scope = ipv6_addr_type(&udp->sk_v6_daddr) & IPV6_ADDR_LINKLOCAL ? udp->sk_bound_dev_if : 0;
		return;
	}
#endif
	memcpy(peer->ip, &inet->inet_daddr, sizeof(inet->inet_daddr));
}

static struct pppol2tp_tunnel *pppol2tp_tunnel_new(struct pppol2tp_view *view, const struct ol2tp_connect *request)
{
	struct pppol2tp_net *pn = pppol2tp_net(view->net);
	struct pppol2tp_tunnel *tunnel;
	struct ol2tp_address peer = request->peer;
	struct sock *udp = view->udp->sk;
	int rc;

	pppol2tp_peer(udp, &peer);
	if (peer.ipv6 && udp->sk_family == AF_INET)
		return ERR_PTR(-EAFNOSUPPORT);
	tunnel = kzalloc(sizeof(*tunnel), GFP_KERNEL);
	if (!tunnel)
		return ERR_PTR(-ENOMEM);
	refcount_set(&tunnel->refs, 1);
	xa_init(&tunnel->sessions);
	tunnel->udp = udp;
	tunnel->peer = peer;
	tunnel->id = request->tunnel;
	tunnel->fd = request->fd;
	tunnel->pid = current->pid;
	rc = dst_cache_init(&tunnel->route, GFP_KERNEL);
	if (rc)
		goto no_route;
	rc = xa_insert(&pn->tunnels, tunnel->id, tunnel, GFP_KERNEL);
	if (rc)
		goto no_place;
	__module_get(THIS_MODULE);
	sock_hold(udp);
	rc = pppol2tp_hook(view->net, view->udp, tunnel);
	if (rc)
		goto no_hook;
	list_add(&tunnel->list, &pn->list);
	return tunnel;

no_hook:
	sock_put(udp);
	module_put(THIS_MODULE);
	xa_erase(&pn->tunnels, tunnel->id);
no_place:
	dst_cache_destroy(&tunnel->route);
no_route:
	kfree(tunnel);
	return ERR_PTR(rc);
}

static int pppol2tp_session_new(struct pppol2tp_sock *ps, struct pppol2tp_tunnel *tunnel,
				const struct ol2tp_connect *request)
{
	struct sock *sk = pppol2tp_socket(ps);
	int rc;

	ps->stats = netdev_alloc_pcpu_stats(struct pppol2tp_stats);
	if (!ps->stats)
		return -ENOMEM;
	ol2tp_session_init(&ps->rules, request->peer_session);
	timer_setup(&ps->timer, pppol2tp_timeout, 0);
	ps->id = request->session;
	ps->peer_id = request->peer_session;
	ps->tunnel = tunnel;
	ps->debug = tunnel->debug;
	ps->po.chan.private = ps;
	ps->po.chan.ops = &pppol2tp_channel_ops;
	ps->po.chan.mtu = pppol2tp_mtu(tunnel);
	/* Frames may come in pieces, and find no queue behind the interface's. */
	ps->po.chan.direct_xmit = true;
	/* Interfaces leave so much room; the transmit path makes what is missing. */
	ps->po.chan.hdrlen = sizeof(struct iphdr) + sizeof(struct udphdr) + OL2TP_HEADER;
	rc = ppp_register_net_channel(sock_net(sk), &ps->po.chan);
	if (rc)
		goto no_channel;
	WRITE_ONCE(ps->state, OL2TP_SESSION);
	rc = xa_insert(&tunnel->sessions, ps->id, ps, GFP_KERNEL);
	if (rc)
		goto no_place;
	hlist_add_head(&ps->node, &tunnel->buckets[ol2tp_bucket(ps->id)]);
	return 0;

no_place:
	ppp_unregister_channel(&ps->po.chan);
	WRITE_ONCE(ps->state, OL2TP_NEW);
no_channel:
	free_percpu(ps->stats);
	ps->stats = NULL;
	ps->tunnel = NULL;
	ps->id = 0;
	ps->peer_id = 0;
	return rc;
}

static int pppol2tp_connected(struct pppol2tp_sock *ps, struct pppol2tp_view *view,
			      const struct ol2tp_connect *request)
{
	struct pppol2tp_net *pn = pppol2tp_net(view->net);
	struct pppol2tp_tunnel *tunnel;
	int rc;

	tunnel = request->existing ? xa_load(&pn->tunnels, request->tunnel) : pppol2tp_tunnel_new(view, request);
	if (IS_ERR(tunnel))
		return PTR_ERR(tunnel);
	if (request->session) {
		rc = pppol2tp_session_new(ps, tunnel, request);
		if (rc)
			return rc;
	} else {
		ps->tunnel = tunnel;
		hlist_add_head(&ps->node, &tunnel->managers);
		WRITE_ONCE(ps->state, OL2TP_MANAGEMENT);
	}
	refcount_inc(&tunnel->refs);
	tunnel->sockets++;
	WRITE_ONCE(tunnel->peer_id, request->peer_tunnel);
	WRITE_ONCE(pppol2tp_socket(ps)->sk_state, PPPOX_CONNECTED);
	if (request->session)
		trace_pppol2tp_created(ps);
	pppol2tp_log(tunnel->debug, OL2TP_LOG_CONTROL, "sess %u/%u: created", tunnel->id, ps->id);
	return 0;
}

/* `connect`, with the socket's lock. */
int pppol2tp_connect_to(struct pppol2tp_sock *ps, const u8 *address, unsigned int len)
{
	struct pppol2tp_view view = { .net = sock_net(pppol2tp_socket(ps)) };
	struct pppol2tp_net *pn = pppol2tp_net(view.net);
	struct ol2tp_connect request;
	int rc;

	mutex_lock(&pn->lock);
	rc = ol2tp_connect(&view, ps->state, address, len, &request);
	if (!rc)
		rc = pppol2tp_connected(ps, &view, &request);
	mutex_unlock(&pn->lock);
	if (view.udp)
		sockfd_put(view.udp);
	return rc;
}

static int __net_init pppol2tp_net_init(struct net *net)
{
	struct pppol2tp_net *pn = pppol2tp_net(net);

	mutex_init(&pn->lock);
	xa_init(&pn->tunnels);
	INIT_LIST_HEAD(&pn->list);
	return 0;
}

static void __net_exit pppol2tp_net_exit(struct net *net)
{
	/* Tunnels end with their sockets, which hold the namespace. */
	WARN_ON_ONCE(!xa_empty(&pppol2tp_net(net)->tunnels));
}

static struct pernet_operations pppol2tp_net_ops = {
	.init = pppol2tp_net_init,
	.exit = pppol2tp_net_exit,
	.id = &pppol2tp_net_id,
	.size = sizeof(struct pppol2tp_net),
};

int pppol2tp_tunnels_init(void)
{
	return register_pernet_device(&pppol2tp_net_ops);
}

void pppol2tp_tunnels_exit(void)
{
	unregister_pernet_device(&pppol2tp_net_ops);
}
