#!/usr/bin/env bash
# Assembles a Debian with systemd from this machine's own package sources: its disk, kernel and initial RAM disk.
# usage: unshare --mount assemble.sh DIRECTORY PACKAGE...   (root; the namespace takes what is mounted with it)
set -euo pipefail
out=$1 here=$(dirname "$0"); shift
packages=$*
# In memory: a package manager waits for its disk more than for anything else.
mount -t tmpfs -o size=3g,mode=755 tmpfs /mnt
root=/mnt/root

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian'
}
# Whose a source is, apt knows when it has read it once.
[ -n "$(sources)" ] || apt-get update -qq
sources=$(sources)
[ -n "$sources" ] || { echo "apt knows no package source of Debian on this machine" >&2; exit 1; }
# The kernel's package makes no initial RAM disk: ours, below, starts in a tenth of the time.
INITRD=No mmdebstrap --quiet --variant=minbase --include="${packages// /,}" --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$release" "$root" - <<<"$sources"

kernel=$(ls "$root/usr/lib/modules")
install -m 755 "$here/agent.sh" "$root/usr/local/sbin/vm-agent"
install -d "$root/kit" "$root/out"
echo '/dev/vdb /kit ext4 ro 0 0' > "$root/etc/fstab"
: > "$root/etc/resolv.conf"
cat > "$root/etc/systemd/system/vm-agent@.service" <<'UNIT'
[Unit]
Description=Runs commands that come through the port %I
RequiresMountsFor=/kit
[Service]
ExecStart=/bin/bash -c 'exec vm-agent <> /dev/virtio-ports/%I >&0'
Environment=HOME=/root PATH=/kit/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Restart=always
RestartSec=0
# What a command leaves running is its own affair.
KillMode=process
IgnoreSIGPIPE=no
Delegate=yes
UNIT
cat > "$root/etc/systemd/system/vm-link.service" <<'UNIT'
[Unit]
Description=The network between the machines
BindsTo=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip address replace 192.0.2.$(hostname | tr -dc 0-9)/24 dev eth0 && ip link set eth0 up'
UNIT
# A port's unit starts when the port is there, and so does the link.
cat > "$root/etc/udev/rules.d/90-vm.rules" <<'RULES'
SUBSYSTEM=="virtio-ports", ATTR{name}=="host|peer", TAG+="systemd", ENV{SYSTEMD_WANTS}+="vm-agent@$attr{name}.service"
SUBSYSTEM=="net", KERNEL=="eth0", TAG+="systemd", ENV{SYSTEMD_WANTS}+="vm-link.service"
RULES
mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d"
cat > "$root/etc/systemd/system/serial-getty@ttyS0.service.d/root.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear ttyS0 linux
UNIT
# Nobody waits for them in a machine that lives for minutes.
systemctl --quiet --root="$root" mask apparmor.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer getty-static.service getty@tty1.service \
    modprobe@{configfs,dm_mod,efi_pstore,fuse,loop}.service sys-fs-fuse-connections.mount sys-kernel-{config,debug}.mount \
    sys-kernel-tracing.mount systemd-binfmt.service systemd-random-seed.service systemd-timesyncd.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service

first=/mnt/first
mkdir -p "$first"/{bin,dev,lib,new}
cp "$root/bin/busybox" "$first/bin/"
install -m 755 "$here/init.sh" "$first/init"
# In the order in which they need each other.
modprobe -d "$root" -S "$kernel" -a --show-depends virtio_pci virtio_blk quota_v2 | awk '!seen[$2]++ {print $2}' |
    while read -r module; do
        cp "$module" "$first/lib/"
        basename "$module" >> "$first/lib/order"
    done
(cd "$first" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null) > "$out/initrd"
cp "$root/boot/vmlinuz-$kernel" "$out/kernel"
truncate -s 8G "$out/disk"
# Project quotas need space of their own in the file system, from its first day.
mkfs.ext4 -q -F -O quota,project -E quotatype=usrquota:grpquota:prjquota -d "$root" "$out/disk"
