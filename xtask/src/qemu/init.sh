#!/bin/busybox sh
# The guest's first process: runs `ol2tp bench drivers` with its own arguments, and turns the guest off.
export PATH=/bin
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
stty -onlcr
modprobe -a l2tp_ppp tun veth
ip link set lo up
echo "init: Linux $(uname -rv)"
# Behind a pipe there is no terminal to draw on.
{
    /ol2tp bench drivers "$@"
    echo "init: exit code $?"
} 2>&1 | cat
poweroff -f
