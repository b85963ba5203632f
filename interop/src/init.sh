#!/bin/sh
# The guest's first process. It reads `ID COMMAND` from the console, runs each at once, and writes
# `ID LINE` for what it says and `ID =CODE` for its end.
export PATH=/usr/sbin:/usr/bin TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for place in /run /etc/ppp /var; do mount -t tmpfs tmpfs $place; done
ln -s /run /var/run
mkdir /run/xl2tpd
# The kernel's command line names the driver.
test -d /host/lib/modules && from='--dirname /host'
for module in $driver ppp_async tun; do modprobe $from $module; done
ip link set lo up
stty raw -echo
echo 'init: ready'
while read -r id command; do
    {
        sh -c 'echo $$ >/run/$0.pid; eval "$1"' "$id" "$(printf %b "$command")" </dev/null 2>&1
        code=$?
        echo
        echo "=$code"
    } | sed -u "s/^/$id /" &
done
echo o >/proc/sysrq-trigger
