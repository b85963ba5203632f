# Makes the root directory $1 fit for programs, with $2 as /host, and becomes one of them. For a mount namespace of its own.
set -e
root=$1 files=$2
shift 2
mount --bind /proc $root/proc
mount --bind /dev $root/dev
mount --bind $files $root/host
for place in run tmp; do mount -t tmpfs -o exec tmpfs $root/$place; done
exec env -i PATH=/usr/sbin:/usr/bin HOME=/tmp TMPDIR=/tmp chroot $root "$@"
