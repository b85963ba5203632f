# Builds Linux as a program, User-Mode Linux, in the current directory, and installs it with its modules to ./root.
set -e
if ! test -f Makefile; then
    set -- /usr/src/linux-source-*.tar.xz
    tar --extract --file "$1" --strip-components 1 --no-same-owner \
        --exclude 'linux-source-*/Documentation/*/*' --exclude 'linux-source-*/tools/testing'
    # A network on a TAP has no queues, and their locks are taken all the same, which lockdep does not survive.
    sed -i 's/spin_\(un\)\?lock(&vp->\([rt]x_queue\)->head_lock)/if (vp->\2) &/' arch/um/drivers/vector_kern.c
fi
make --silent ARCH=um defconfig
scripts/kconfig/merge_config.sh -m .config uml.config >/dev/null
make --silent ARCH=um olddefconfig
make --silent --jobs "$(nproc)" ARCH=um linux modules
make --silent ARCH=um INSTALL_MOD_PATH="$PWD/root" modules_install
strip --strip-debug -o root/linux linux
