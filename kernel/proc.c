// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/pppol2tp, and the sums of counters.
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>

#include "pppol2tp.h"

/* The counters of a session, of all CPUs. */
void pppol2tp_sum(const struct pppol2tp_sock *ps, struct ol2tp_counters *sum)
{
	struct ol2tp_counters one;
	unsigned int start, i;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct pppol2tp_stats *stats = per_cpu_ptr(ps->stats, cpu);

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			one = stats->counters;
		} while (u64_stats_fetch_retry(&stats->syncp, start));
		for (i = 0; i < ARRAY_SIZE(sum->rx); i++)
			sum->rx[i] += one.rx[i];
		for (i = 0; i < ARRAY_SIZE(sum->tx); i++)
			sum->tx[i] += one.tx[i];
	}
}

/* The counters of a tunnel: its sessions', and those of sessions that it had. With the namespace's lock. */
void pppol2tp_tunnel_sum(struct pppol2tp_tunnel *tunnel, struct ol2tp_counters *sum)
{
	struct ol2tp_counters one;
	struct pppol2tp_sock *ps;
	int bucket;

	*sum = tunnel->past;
	for (bucket = 0; bucket < PPPOL2TP_BUCKETS; bucket++)
		hlist_for_each_entry(ps, &tunnel->buckets[bucket], node) {
			pppol2tp_sum(ps, &one);
			ol2tp_add_session(sum, &one);
		}
}

/* A session's numbers and switches, of both halves. */
void pppol2tp_state(struct pppol2tp_sock *ps, struct ol2tp_state *state)
{
	spin_lock_bh(&ps->rx_lock);
	spin_lock(&ps->tx_lock);
	ol2tp_session_get(&ps->rules, state);
	spin_unlock(&ps->tx_lock);
	spin_unlock_bh(&ps->rx_lock);
}

void glue_write(void *to, const u8 *text, size_t len)
{
	seq_write(to, text, len);
}

static void pppol2tp_show_session(struct seq_file *file, struct pppol2tp_sock *ps)
{
	struct pppol2tp_tunnel *tunnel = ps->tunnel;
	struct sock *sk = pppol2tp_socket(ps);
	struct ol2tp_shown shown = {
		.peer = tunnel->peer,
		.debug = ps->debug,
		.ids = { tunnel->id, ps->id, tunnel->peer_id, ps->peer_id },
		.mtu = ps->mtu,
		.mru = ps->mru,
		.bound = READ_ONCE(sk->sk_state) & PPPOX_BOUND,
	};

	pppol2tp_sum(ps, &shown.stats);
	pppol2tp_state(ps, &shown.state);
	/* The name is the unit's: it stays while the channel is bound, under RCU. */
	rcu_read_lock();
	shown.interface = shown.bound ? ppp_dev_name(&ps->po.chan) : NULL;
	ol2tp_proc_session(file, &shown);
	rcu_read_unlock();
}

static int pppol2tp_proc_show(struct seq_file *file, void *data)
{
	struct pppol2tp_net *pn = pppol2tp_net(seq_file_single_net(file));
	struct pppol2tp_tunnel *tunnel;
	struct pppol2tp_sock *ps;
	int bucket;

	mutex_lock(&pn->lock);
	ol2tp_proc_heading(file);
	list_for_each_entry(tunnel, &pn->list, list) {
		struct ol2tp_shown shown = {
			.debug = tunnel->debug,
			.references = tunnel->sockets,
			.ids = { tunnel->id },
		};

		pppol2tp_tunnel_sum(tunnel, &shown.stats);
		ol2tp_proc_tunnel(file, &shown);
		for (bucket = 0; bucket < PPPOL2TP_BUCKETS; bucket++)
			hlist_for_each_entry(ps, &tunnel->buckets[bucket], node)
				pppol2tp_show_session(file, ps);
	}
	mutex_unlock(&pn->lock);
	return 0;
}

static int __net_init pppol2tp_proc_net_init(struct net *net)
{
	return proc_create_net_single("pppol2tp", 0444, net->proc_net, pppol2tp_proc_show, NULL) ? 0 : -ENOMEM;
}

static void __net_exit pppol2tp_proc_net_exit(struct net *net)
{
	remove_proc_entry("pppol2tp", net->proc_net);
}

static struct pernet_operations pppol2tp_proc_ops = {
	.init = pppol2tp_proc_net_init,
	.exit = pppol2tp_proc_net_exit,
};

int pppol2tp_proc_init(void)
{
	return register_pernet_device(&pppol2tp_proc_ops);
}

void pppol2tp_proc_exit(void)
{
	unregister_pernet_device(&pppol2tp_proc_ops);
}
