#!/bin/busybox sh
# The first program: Debian's kernel has the drivers of its own disk as modules.
set -e
busybox() { /bin/busybox "$@"; }
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/lib/$module"; done < /lib/order
busybox mount -t ext4 -o prjquota /dev/vda /new
busybox umount /dev
exec /bin/busybox switch_root /new /sbin/init
