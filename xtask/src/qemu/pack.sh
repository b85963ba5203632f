# Makes /boot/initrd of what is in /guest, busybox, and modules of the kernel.
set -e
cd /guest
chmod 755 init
mkdir -p bin dev lib proc sys
cp /usr/bin/busybox bin
version=$(ls /usr/lib/modules)
for module in l2tp_ppp tun veth; do
    modprobe --set-version "$version" --show-depends "$module"
done >/boot/modules
while read -r what file; do
    test "$what" = insmod || continue
    mkdir -p ".$(dirname "$file")"
    xz --decompress --stdout "$file" >".${file%.xz}"
done </boot/modules
# One that is ours.
if test -f pppol2tp.ko; then
    mkdir -p "lib/modules/$version/updates"
    mv pppol2tp.ko "lib/modules/$version/updates"
fi
depmod --basedir /guest "$version"
find . | cpio --quiet --create --format newc >/boot/initrd
