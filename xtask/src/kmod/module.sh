# Builds the module in ./kernel for the User-Mode Linux in $1 and installs it there.
set -e
make --silent -C "$1" ARCH=um M="$PWD/kernel" modules
release=$(ls "$1/root/lib/modules")
mkdir -p "$1/root/lib/modules/$release/updates"
cp --remove-destination kernel/pppol2tp.ko "$1/root/lib/modules/$release/updates"
depmod --basedir "$1/root" "$release"
