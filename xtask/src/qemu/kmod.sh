#!/bin/busybox sh
# The guest's first process: the conformance tests on the module, then `ol2tp bench drivers` with its own arguments
# on the module and on the kernel's own driver; turns the guest off.
export PATH=/bin
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /tmp
stty -onlcr
# The kernel's own driver brings along what both are built on.
modprobe -a l2tp_ppp tun veth
rmmod l2tp_ppp
insmod /pppol2tp.ko
ip link set lo up
echo "init: Linux $(uname -rv)"
{
    OL2TP_HOME=module /conformance --skip user:: &&
        echo "init: the module" && /ol2tp bench drivers "$@" &&
        rmmod pppol2tp && modprobe l2tp_ppp &&
        echo "init: the kernel's own driver" && /ol2tp bench drivers "$@"
    echo "init: exit code $?"
    dmesg | sed -n '/WARNING\|BUG\|Oops\|PPPOL2TP/p'
} 2>&1 | cat
poweroff -f
