// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a message travels: from a UDP socket to PPP, and from PPP to IP. No payload is copied.
 */
#define pr_fmt(fmt) "PPPOL2TP: " fmt

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/security.h>
#include <linux/unaligned.h>
#include <net/icmp.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/udp.h>

#include "pppol2tp.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

/* What a unit is told of a frame: FF 03 is gone, two bytes of protocol and one of the packet. */
#define FRAME_START 3

/* This CPU's counters, to be written to until pppol2tp_counted(). */
static struct ol2tp_counters *pppol2tp_count(struct pppol2tp_sock *ps)
{
	struct pppol2tp_stats *stats = this_cpu_ptr(ps->stats);

	u64_stats_update_begin(&stats->syncp);
	return &stats->counters;
}

static void pppol2tp_counted(struct pppol2tp_sock *ps)
{
	u64_stats_update_end(&this_cpu_ptr(ps->stats)->syncp);
}

void glue_peek(const void *skb, u32 at, u8 *out, u32 n)
{
	/* Rust has checked that it is there. */
	if (WARN_ON_ONCE(skb_copy_bits(skb, sizeof(struct udphdr) + at, out, n)))
		memset(out, 0, n);
}

/* A frame for the unit, or for whoever reads the socket. With rx_lock. */
static void pppol2tp_deliver(struct pppol2tp_sock *ps, struct sk_buff *skb)
{
	struct sock *sk = pppol2tp_socket(ps);
	u8 start[FRAME_START];
	const u8 *bytes;
	bool bound = sk->sk_state & PPPOX_BOUND;
	u32 len = min_t(u32, skb->len, sizeof(start));

	pppol2tp_log(ps->debug, OL2TP_LOG_DATA, "sess %u/%u: recv %u byte data frame", ps->tunnel->id, ps->id,
		     skb->len);
	if (bound) {
		bytes = skb_header_pointer(skb, 0, len, start);
		if (bytes && ol2tp_is_frame(bytes, len)) {
			ppp_input(&ps->po.chan, skb);
			return;
		}
	} else if (!sock_queue_rcv_skb(sk, skb)) {
		return;
	}
	ol2tp_drop(pppol2tp_count(ps), bound);
	pppol2tp_counted(ps);
	kfree_skb(skb);
}

/* Lets out what is due, and sets the timer for the rest. With rx_lock, and a queue. */
static void pppol2tp_drain(struct pppol2tp_sock *ps, struct ol2tp_receive *call)
{
	struct pppol2tp_queue *queue = ps->queue;
	struct sk_buff *skb;
	u64 deadline;
	int slot;

	for (;;) {
		call->counters = pppol2tp_count(ps);
		slot = ol2tp_release(call);
		pppol2tp_counted(ps);
		if (slot < 0)
			break;
		skb = queue->slots[slot];
		queue->slots[slot] = NULL;
		if (skb)
			pppol2tp_deliver(ps, skb);
	}
	deadline = ol2tp_deadline(&queue->rules);
	if (deadline != U64_MAX) {
		u64 wait = deadline > call->now ? deadline - call->now : 0;

		mod_timer(&ps->timer, jiffies + msecs_to_jiffies(div_u64(wait, 1000) + 1));
	}
}

static struct ol2tp_receive pppol2tp_call(struct pppol2tp_sock *ps)
{
	return (struct ol2tp_receive) {
		.session = &ps->rules,
		.queue = ps->queue ? &ps->queue->rules : NULL,
		.who = ps,
		/* The clock is for what waits. */
		.now = ps->queue ? ktime_to_us(ktime_get()) : 0,
		.mask = READ_ONCE(ps->debug),
	};
}

/* The time of what waits is up, or there is no waiting any more. With rx_lock. */
void pppol2tp_flush(struct pppol2tp_sock *ps)
{
	struct ol2tp_receive call = pppol2tp_call(ps);

	if (ps->queue && ps->state == OL2TP_SESSION)
		pppol2tp_drain(ps, &call);
}

void pppol2tp_timeout(struct timer_list *timer)
{
	struct pppol2tp_sock *ps = container_of(timer, struct pppol2tp_sock, timer);

	spin_lock(&ps->rx_lock);
	pppol2tp_flush(ps);
	spin_unlock(&ps->rx_lock);
}

/* Drops what waits. With rx_lock, at the session's end. */
void pppol2tp_purge(struct pppol2tp_sock *ps)
{
	int slot;

	for (slot = 0; ps->queue && slot < OL2TP_SLOTS; slot++) {
		kfree_skb(ps->queue->slots[slot]);
		ps->queue->slots[slot] = NULL;
	}
}

/* PPPIOCGCHAN: from now on frames are the channel's, and so are those that nobody has read. */
void pppol2tp_bind(struct pppol2tp_sock *ps)
{
	struct sock *sk = pppol2tp_socket(ps);
	struct sk_buff *skb;

	spin_lock_bh(&ps->rx_lock);
	if (ps->state == OL2TP_SESSION) {
		WRITE_ONCE(sk->sk_state, sk->sk_state | PPPOX_BOUND);
		while ((skb = skb_dequeue(&sk->sk_receive_queue))) {
			skb_orphan(skb);
			ppp_input(&ps->po.chan, skb);
		}
	}
	spin_unlock_bh(&ps->rx_lock);
}

/* Cuts a datagram down to its frame. */
static bool pppol2tp_cut(struct sk_buff *skb, u32 frame, u32 len)
{
	frame += sizeof(struct udphdr);
	if (!pskb_may_pull(skb, frame))
		return false;
	skb_pull_rcsum(skb, frame);
	if (pskb_trim_rcsum(skb, len))
		return false;
	/* Where it came from, and by which route, is over; and its interface may go while it waits. */
	skb_scrub_packet(skb, false);
	skb->dev = NULL;
	return true;
}

/* A data message of a session: whether it is one still. */
static bool pppol2tp_receive(struct pppol2tp_sock *ps, struct sk_buff *skb)
{
	struct ol2tp_receive call;
	int verdict;
	u16 nr;

	spin_lock(&ps->rx_lock);
	if (ps->state != OL2TP_SESSION) {
		spin_unlock(&ps->rx_lock);
		return false;
	}
	call = pppol2tp_call(ps);
	call.skb = skb;
	call.head = skb->data + sizeof(struct udphdr);
	call.head_len = skb_headlen(skb) - sizeof(struct udphdr);
	call.len = skb->len - sizeof(struct udphdr);
	call.counters = pppol2tp_count(ps);
	verdict = ol2tp_receive(&call);
	pppol2tp_counted(ps);
	if (trace_pppol2tp_receive_enabled()) {
		int ns = ol2tp_numbers(&call, &nr);

		trace_pppol2tp_receive(ps, call.len, ns, nr, verdict);
	}
	if (verdict != OL2TP_DISCARD && !pppol2tp_cut(skb, call.frame, call.frame_len)) {
		/* There is no memory. What is held keeps its place, empty. */
		kfree_skb(skb);
		skb = NULL;
	}
	if (verdict == OL2TP_HOLD) {
		ps->queue->slots[call.slot] = skb;
	} else if (verdict == OL2TP_DELIVER) {
		if (skb)
			pppol2tp_deliver(ps, skb);
	} else {
		kfree_skb(skb);
	}
	if (ps->queue)
		pppol2tp_drain(ps, &call);
	spin_unlock(&ps->rx_lock);
	return true;
}

/* The peer's address when the UDP socket is not connected; else the socket hears nobody else. */
static bool pppol2tp_is_peer(const struct pppol2tp_tunnel *tunnel, const struct sk_buff *skb)
{
	const struct ol2tp_address *peer = &tunnel->peer;

	if (tunnel->udp->sk_state == TCP_ESTABLISHED)
		return true;
	if (udp_hdr(skb)->source != htons(peer->port))
		return false;
	if (ip_hdr(skb)->version == 4) {
		const u8 *ip = peer->ip;

		if (peer->ipv6) {
			if (!ipv6_addr_v4mapped((const struct in6_addr *)ip))
				return false;
			ip += 12;
		}
		return !memcmp(&ip_hdr(skb)->saddr, ip, sizeof(ip_hdr(skb)->saddr));
	}
	return peer->ipv6 && !memcmp(&ipv6_hdr(skb)->saddr, peer->ip, sizeof(peer->ip));
}

/*
 * The tunnel of this id whose UDP socket has the same two addresses: what its peer sends comes to either socket, as the
 * kernel cannot tell them apart. Under RCU.
 */
static struct pppol2tp_tunnel *pppol2tp_twin(const struct sock *udp, u16 id)
{
	struct pppol2tp_tunnel *tunnel = xa_load(&pppol2tp_net(sock_net(udp))->tunnels, id);
	const struct sock *other = tunnel ? tunnel->udp : NULL;

	if (!other || udp->sk_state != TCP_ESTABLISHED || other->sk_state != TCP_ESTABLISHED ||
	    other->sk_family != udp->sk_family || inet_sk(other)->inet_sport != inet_sk(udp)->inet_sport ||
	    inet_sk(other)->inet_dport != inet_sk(udp)->inet_dport)
		return NULL;
#if IS_ENABLED(CONFIG_IPV6)
	if (udp->sk_family == AF_INET6)
		return ipv6_addr_equal(&other->sk_v6_daddr, &udp->sk_v6_daddr) &&
		       ipv6_addr_equal(&other->sk_v6_rcv_saddr, &udp->sk_v6_rcv_saddr) ? tunnel : NULL;
#endif
	return other->sk_daddr == udp->sk_daddr && other->sk_rcv_saddr == udp->sk_rcv_saddr ? tunnel : NULL;
}

/* A datagram on a tunnel's UDP socket: 0 if it was ours, 1 if it is for the socket's owner. Under RCU, BH off. */
int pppol2tp_encap_rcv(struct sock *udp, struct sk_buff *skb)
{
	struct pppol2tp_tunnel *tunnel = rcu_dereference_sk_user_data(udp), *twin;
	struct pppol2tp_sock *ps;
	u16 ids[2];

	if (!tunnel)
		return 1;
	if (!pskb_may_pull(skb, min_t(u32, skb->len, sizeof(struct udphdr) + OL2TP_HEAD)))
		goto up;
	if (ol2tp_classify(skb->data + sizeof(struct udphdr), skb_headlen(skb) - sizeof(struct udphdr), ids) !=
	    OL2TP_DATA)
		goto up;
	if (ids[0] != tunnel->id) {
		twin = pppol2tp_twin(udp, ids[0]);
		if (!twin)
			goto up;
		tunnel = twin;
	}
	ps = pppol2tp_session(tunnel, ids[1]);
	if (!ps) {
		pppol2tp_log(tunnel->debug, OL2TP_LOG_DATA, "tunl %u: no session %u, passing up", ids[0], ids[1]);
		goto up;
	}
	if (!pppol2tp_is_peer(tunnel, skb)) {
		atomic_long_inc(&tunnel->foreign);
		pppol2tp_log(tunnel->debug, OL2TP_LOG_DATA, "tunl %u: not from its peer, dropped", ids[0]);
		kfree_skb(skb);
		return 0;
	}
	if (pppol2tp_receive(ps, skb))
		return 0;
up:
	trace_pppol2tp_pass_up(tunnel, skb->len - sizeof(struct udphdr));
	return 1;
}

/* What ICMP says of a tunnel's messages is the socket's owner's to hear. */
void pppol2tp_encap_err_rcv(struct sock *udp, struct sk_buff *skb, int err, __be16 port, u32 info, u8 *payload)
{
	bool ipv4 = ip_hdr(skb)->version == 4;

	WRITE_ONCE(udp->sk_err, err);
	sk_error_report(udp);
	if (ipv4 && inet_test_bit(RECVERR, udp))
		ip_icmp_error(udp, skb, err, port, info, payload);
#if IS_ENABLED(CONFIG_IPV6)
	if (!ipv4 && inet6_test_bit(RECVERR6, udp))
		ipv6_icmp_error(udp, skb, err, port, info, payload);
#endif
}

/* Where a tunnel's messages go: the peer of its UDP socket, or else its own. */
struct pppol2tp_way {
	bool ipv6;
	__be16 sport;
	__be16 dport;
	__be32 saddr;
	__be32 daddr;
	struct in6_addr saddr6;
	struct in6_addr daddr6;
	int oif;
};

static bool pppol2tp_find_way(const struct pppol2tp_tunnel *tunnel, struct pppol2tp_way *way)
{
	const struct ol2tp_address *peer = &tunnel->peer;
	const struct sock *udp = tunnel->udp;
	const struct inet_sock *inet = inet_sk(udp);
	bool connected = udp->sk_state == TCP_ESTABLISHED;

	way->oif = READ_ONCE(udp->sk_bound_dev_if);
	way->sport = inet->inet_sport;
	way->dport = connected ? inet->inet_dport : htons(peer->port);
	way->ipv6 = false;
#if IS_ENABLED(CONFIG_IPV6)
	if (udp->sk_family == AF_INET6 && (connected || peer->ipv6)) {
		way->saddr6 = inet6_sk(udp)->saddr;
		way->daddr6 = connected ? udp->sk_v6_daddr : *(const struct in6_addr *)peer->ip;
		way->ipv6 = !ipv6_addr_v4mapped(&way->daddr6);
		way->daddr = way->daddr6.s6_addr32[3];
		if (!connected && !way->oif && ipv6_addr_type(&way->daddr6) & IPV6_ADDR_LINKLOCAL)
			way->oif = peer->scope;
	} else
#endif
		way->daddr = connected ? inet->inet_daddr : *(const __be32 *)peer->ip;
	way->saddr = inet->inet_saddr;
	return way->sport && way->dport;
}

/* The cached route is for another way once the socket was connected, or bound, anew. */
static void pppol2tp_check_route(struct pppol2tp_tunnel *tunnel, const struct pppol2tp_way *way)
{
	u64 key = (u64)READ_ONCE(tunnel->udp->sk_mark) << 32 | (u32)way->oif;

	if (way->ipv6) {
		key ^= get_unaligned((const u64 *)way->daddr6.s6_addr) ^
		       rol64(get_unaligned((const u64 *)way->daddr6.s6_addr + 1), 1) ^
		       rol64(get_unaligned((const u64 *)way->saddr6.s6_addr), 2) ^
		       rol64(get_unaligned((const u64 *)way->saddr6.s6_addr + 1), 3);
	} else {
		key ^= (u64)(__force u32)way->saddr << 32 | (__force u32)way->daddr;
	}
	if (unlikely(READ_ONCE(tunnel->route_key) != key)) {
		dst_cache_reset(&tunnel->route);
		WRITE_ONCE(tunnel->route_key, key);
	}
}

/* A route, held, and the address that it goes out from. With bottom halves off. */
static struct dst_entry *pppol2tp_route4(struct pppol2tp_tunnel *tunnel, struct pppol2tp_way *way)
{
	struct sock *udp = tunnel->udp;
	struct rtable *rt;
	struct flowi4 flow;

	rt = dst_cache_get_ip4(&tunnel->route, &way->saddr);
	if (rt)
		return &rt->dst;
	rt = ip_route_output_ports(sock_net(udp), &flow, udp, way->daddr, way->saddr, way->dport, way->sport,
				   IPPROTO_UDP, READ_ONCE(inet_sk(udp)->tos) & INET_DSCP_MASK, way->oif);
	if (IS_ERR(rt))
		return ERR_CAST(rt);
	way->saddr = flow.saddr;
	dst_cache_set_ip4(&tunnel->route, &rt->dst, flow.saddr);
	return &rt->dst;
}

static struct dst_entry *pppol2tp_route6(struct pppol2tp_tunnel *tunnel, struct pppol2tp_way *way)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct sock *udp = tunnel->udp;
	struct dst_entry *dst;
	struct flowi6 flow = {
		.flowi6_oif = way->oif,
		.flowi6_mark = READ_ONCE(udp->sk_mark),
		.flowi6_proto = IPPROTO_UDP,
		.flowi6_uid = sock_net_uid(sock_net(udp), udp),
		.daddr = way->daddr6,
		.saddr = way->saddr6,
		.fl6_dport = way->dport,
		.fl6_sport = way->sport,
	};

	dst = dst_cache_get_ip6(&tunnel->route, &way->saddr6);
	if (dst)
		return dst;
	security_sk_classify_flow(udp, flowi6_to_flowi_common(&flow));
	dst = ip6_dst_lookup_flow(sock_net(udp), udp, &flow, NULL);
	if (IS_ERR(dst))
		return dst;
	way->saddr6 = flow.saddr;
	dst_cache_set_ip6(&tunnel->route, dst, &flow.saddr);
	return dst;
#else
	return ERR_PTR(-EAFNOSUPPORT);
#endif
}

static struct dst_entry *pppol2tp_route(struct pppol2tp_tunnel *tunnel, struct pppol2tp_way *way)
{
	if (!pppol2tp_find_way(tunnel, way))
		return ERR_PTR(-ENOTCONN);
	pppol2tp_check_route(tunnel, way);
	return way->ipv6 ? pppol2tp_route6(tunnel, way) : pppol2tp_route4(tunnel, way);
}

/* The longest frame that the path to the peer takes in one piece, with the longest header. */
int pppol2tp_mtu(struct pppol2tp_tunnel *tunnel)
{
	struct pppol2tp_way way = {};
	struct dst_entry *dst;
	int mtu = ETH_DATA_LEN;

	local_bh_disable();
	dst = pppol2tp_route(tunnel, &way);
	if (!IS_ERR(dst)) {
		mtu = dst_mtu(dst);
		dst_release(dst);
	}
	local_bh_enable();
	/* The header, FF 03, and the protocol. */
	return mtu - (way.ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) - sizeof(struct udphdr) -
	       OL2TP_HEADER - 2;
}

static int pppol2tp_out4(struct sock *udp, struct sk_buff *skb, const struct pppol2tp_way *way, struct dst_entry *dst)
{
	struct net *net = sock_net(udp);
	struct iphdr *ip;
	int ttl = READ_ONCE(inet_sk(udp)->uc_ttl);

	udp_set_csum(udp->sk_no_check_tx, skb, way->saddr, way->daddr, skb->len);
	ip = __skb_push(skb, sizeof(*ip));
	skb_reset_network_header(skb);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	ip->version = 4;
	ip->ihl = sizeof(*ip) >> 2;
	ip->tos = READ_ONCE(inet_sk(udp)->tos);
	ip->frag_off = 0;
	ip->ttl = ttl < 0 ? ip4_dst_hoplimit(dst) : ttl;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = way->saddr;
	ip->daddr = way->daddr;
	ip_select_ident(net, skb, udp);
	return ip_local_out(net, udp, skb);
}

static int pppol2tp_out6(struct sock *udp, struct sk_buff *skb, const struct pppol2tp_way *way, struct dst_entry *dst)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct net *net = sock_net(udp);
	struct ipv6hdr *ip;
	int hops = READ_ONCE(inet6_sk(udp)->hop_limit);

	udp6_set_csum(udp_get_no_check6_tx(udp), skb, &way->saddr6, &way->daddr6, skb->len);
	ip = __skb_push(skb, sizeof(*ip));
	skb_reset_network_header(skb);
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	ip6_flow_hdr(ip, READ_ONCE(inet6_sk(udp)->tclass), 0);
	ip->payload_len = htons(skb->len - sizeof(*ip));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = hops < 0 ? ip6_dst_hoplimit(dst) : hops;
	ip->saddr = way->saddr6;
	ip->daddr = way->daddr6;
	return ip6_local_out(net, udp, skb);
#else
	kfree_skb(skb);
	return -EAFNOSUPPORT;
#endif
}

/* Puts headers in front of a frame and hands it to IP. Takes the frame in any case. */
static int pppol2tp_send(struct pppol2tp_sock *ps, struct sk_buff *skb, u32 *len)
{
	struct pppol2tp_tunnel *tunnel = ps->tunnel;
	struct sock *udp = tunnel->udp;
	u8 header[OL2TP_HEADER];
	struct pppol2tp_way way;
	struct dst_entry *dst;
	struct udphdr *uh;
	bool elsewhere;
	u32 n;
	int rc;

	dst = pppol2tp_route(tunnel, &way);
	if (IS_ERR(dst)) {
		rc = PTR_ERR(dst);
		goto drop;
	}
	n = (way.ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(*uh) + OL2TP_HEADER;
	rc = -EMSGSIZE;
	if (skb->len + n > 0xffff)
		goto drop_dst;
	rc = skb_cow_head(skb, LL_RESERVED_SPACE(dst->dev) + dst->header_len + n);
	if (rc)
		goto drop_dst;

	spin_lock(&ps->tx_lock);
	n = ol2tp_header(&ps->rules, READ_ONCE(tunnel->peer_id), header);
	spin_unlock(&ps->tx_lock);
	memcpy(__skb_push(skb, n), header, n);
	*len = skb->len;

	elsewhere = skb->dev && !net_eq(dev_net(skb->dev), sock_net(udp));
	skb_scrub_packet(skb, elsewhere);
	/* Whatever was known of the inner packet's checksum is of no use below. */
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		skb->ip_summed = CHECKSUM_NONE;
	skb->encapsulation = 0;
	/* The path's MTU is the peer's to know: fragments rather than loss. */
	skb->ignore_df = 1;
	skb->priority = READ_ONCE(udp->sk_priority);
	skb->mark = READ_ONCE(udp->sk_mark);
	skb_dst_set(skb, dst);

	uh = __skb_push(skb, sizeof(*uh));
	skb_reset_transport_header(skb);
	uh->source = way.sport;
	uh->dest = way.dport;
	uh->len = htons(skb->len);
	uh->check = 0;
	rc = way.ipv6 ? pppol2tp_out6(udp, skb, &way, dst) : pppol2tp_out4(udp, skb, &way, dst);
	return net_xmit_eval(rc);

drop_dst:
	dst_release(dst);
drop:
	kfree_skb(skb);
	return rc;
}

/* Sends a frame that starts with its protocol. Takes it in any case. With bottom halves off. */
int pppol2tp_xmit(struct pppol2tp_sock *ps, struct sk_buff *skb)
{
	u32 len = 0;
	int rc;

	if (READ_ONCE(ps->state) != OL2TP_SESSION) {
		kfree_skb(skb);
		return -ENOTCONN;
	}
	rc = pppol2tp_send(ps, skb, &len);
	trace_pppol2tp_send(ps, len, rc);
	ol2tp_sent(pppol2tp_count(ps), len, rc);
	pppol2tp_counted(ps);
	pppol2tp_log(ps->debug, OL2TP_LOG_DATA, "sess %u/%u: send %u bytes: %d", ps->tunnel->id, ps->id, len, rc);
	return rc;
}

/* For ppp_generic, with bottom halves off: whatever becomes of it, the frame is ours. */
static int pppol2tp_start_xmit(struct ppp_channel *chan, struct sk_buff *skb)
{
	pppol2tp_xmit(chan->private, skb);
	return 1;
}

const struct ppp_channel_ops pppol2tp_channel_ops = {
	.start_xmit = pppol2tp_start_xmit,
};
