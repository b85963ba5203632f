#!/bin/busybox sh
# The guest's first process: what its first argument says, on the module; turns the guest off.
#   tests      the conformance tests, some of them traced
#   load ...   `kmod_load` with these arguments, which loads the module and the kernel's own driver in turn
export PATH=/bin
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /tmp
stty -onlcr
modprobe -a tun veth pppol2tp
ip link set lo up
echo "init: Linux $(uname -rv)"

tests() {
    cd /sys/kernel/tracing
    echo 1 >events/pppol2tp/enable
    OL2TP_HOME=module /conformance --skip user:: --test-threads 1 $TRACED || return
    echo 0 >events/pppol2tp/enable
    sed -n 's/.*: pppol2tp_/trace: /p' trace
    OL2TP_HOME=module /conformance --skip user::
}
# What they send and receive is looked for in what the guest writes.
TRACED="control_message_of_a_tunnel reorder_0_2_1 lac_starts_and_stops_sending_numbers"

load() {
    /kmod_load /ol2tp "$@"
}

{
    "$@"
    echo "init: exit code $?"
    dmesg | sed -n '/WARNING\|BUG\|Oops\|PPPOL2TP/p'
} 2>&1 | cat
poweroff -f
