/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can be traced, as events/pppol2tp of tracefs: a jump over it while nobody does.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pppol2tp

#if !defined(PPPOL2TP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PPPOL2TP_TRACE_H

#include <linux/tracepoint.h>

#include "pppol2tp.h"

/* A session comes, or goes. */
DECLARE_EVENT_CLASS(pppol2tp_session,
	TP_PROTO(const struct pppol2tp_sock *ps),
	TP_ARGS(ps),
	TP_STRUCT__entry(
		__field(u16, tunnel)
		__field(u16, session)
		__field(u16, peer_tunnel)
		__field(u16, peer_session)
	),
	TP_fast_assign(
		__entry->tunnel = ps->tunnel->id;
		__entry->session = ps->id;
		__entry->peer_tunnel = ps->tunnel->peer_id;
		__entry->peer_session = ps->peer_id;
	),
	TP_printk("tunnel=%u session=%u peer_tunnel=%u peer_session=%u", __entry->tunnel, __entry->session,
		  __entry->peer_tunnel, __entry->peer_session)
);
DEFINE_EVENT(pppol2tp_session, pppol2tp_created, TP_PROTO(const struct pppol2tp_sock *ps), TP_ARGS(ps));
DEFINE_EVENT(pppol2tp_session, pppol2tp_ended, TP_PROTO(const struct pppol2tp_sock *ps), TP_ARGS(ps));

/* A datagram for the UDP socket's owner: a control message, or none of a session here. */
TRACE_EVENT(pppol2tp_pass_up,
	TP_PROTO(const struct pppol2tp_tunnel *tunnel, u32 len),
	TP_ARGS(tunnel, len),
	TP_STRUCT__entry(
		__field(u16, tunnel)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->tunnel = tunnel->id;
		__entry->len = len;
	),
	TP_printk("tunnel=%u len=%u", __entry->tunnel, __entry->len)
);

/* A data message, its Ns or −1, and the number that is expected next. */
TRACE_EVENT(pppol2tp_receive,
	TP_PROTO(const struct pppol2tp_sock *ps, u32 len, int ns, u16 nr, int verdict),
	TP_ARGS(ps, len, ns, nr, verdict),
	TP_STRUCT__entry(
		__field(u16, tunnel)
		__field(u16, session)
		__field(u32, len)
		__field(int, ns)
		__field(u16, nr)
		__field(int, verdict)
	),
	TP_fast_assign(
		__entry->tunnel = ps->tunnel->id;
		__entry->session = ps->id;
		__entry->len = len;
		__entry->ns = ns;
		__entry->nr = nr;
		__entry->verdict = verdict;
	),
	TP_printk("tunnel=%u session=%u len=%u ns=%d nr=%u %s", __entry->tunnel, __entry->session, __entry->len,
		  __entry->ns, __entry->nr,
		  __print_symbolic(__entry->verdict, { OL2TP_DISCARD, "discard" },
				   { OL2TP_DELIVER, "deliver" }, { OL2TP_HOLD, "hold" }))
);

/* A data message that was handed to IP, and what IP said. */
TRACE_EVENT(pppol2tp_send,
	TP_PROTO(const struct pppol2tp_sock *ps, u32 len, int error),
	TP_ARGS(ps, len, error),
	TP_STRUCT__entry(
		__field(u16, tunnel)
		__field(u16, session)
		__field(u32, len)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->tunnel = ps->tunnel->id;
		__entry->session = ps->id;
		__entry->len = len;
		__entry->error = error;
	),
	TP_printk("tunnel=%u session=%u len=%u error=%d", __entry->tunnel, __entry->session, __entry->len,
		  __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
