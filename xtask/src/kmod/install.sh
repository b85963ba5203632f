# Installs the package $1, version $2, into this root directory of unpacked packages, keeps the module that DKMS has built
# as ./pppol2tp.ko, and removes the package: nothing of it stays.
set -e
release=$(ls /usr/lib/modules)
: >/var/lib/dpkg/status
rm -rf /var/lib/dkms/ol2tp /usr/src/ol2tp-*
# What it depends on is there, and dpkg does not know it.
dpkg() {
    command dpkg --force-depends "$@" >/tmp/dpkg 2>&1 || { cat /tmp/dpkg /var/lib/dkms/ol2tp/*/build/make.log; exit 1; }
}
dpkg --install "$1"
dkms status "ol2tp/$2" -k "$release" | grep ': installed'
modprobe --set-version "$release" --show-depends l2tp_ppp | grep '/updates/dkms/pppol2tp.ko'
modprobe --set-version "$release" --show-depends net-pf-24-proto-1 >/tmp/depends
grep '/updates/dkms/pppol2tp.ko' /tmp/depends
if grep -q l2tp_ppp /tmp/depends; then exit 1; fi
xz --decompress --stdout /usr/lib/modules/*/updates/dkms/pppol2tp.ko.xz >pppol2tp.ko
dpkg --purge ol2tp-dkms
test -z "$(dkms status ol2tp)"
test -z "$(find /usr/lib/modules -name "pppol2tp.ko*")"
test ! -e "/usr/src/ol2tp-$2"
