#!/usr/bin/env bash
# A cluster on a machine with cgroup version 2 alone, in an emulated one: Debian's kernel, busybox and Ironclad.
# Run by hand: the processor is emulated, too, which takes some minutes and works everywhere.
# usage: cgroup2.sh IRONCLAD [SECONDS]   (the longest that the machine may run, 600)
set -euo pipefail
ironclad=$(realpath "$1") limit=${2:-600}
command -v qemu-system-x86_64 >/dev/null || {
    echo "installing qemu-system-x86"
    apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bash "$(dirname "$0")/images.sh" "$work"

kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -1)
mkdir "$work"/{packages,root}
(cd "$work/packages" && apt-get download -qq "$kernel" busybox-static >/dev/null 2>&1)
for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/unpacked"; done
version=${kernel#linux-image-}

root=$work/root
mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,tmp,run,new,lib/modules/$version}
cp "$work/unpacked/bin/busybox" "$root/bin/"
for applet in $("$root/bin/busybox" --list); do [ -e "$root/bin/$applet" ] || ln -s /bin/busybox "$root/bin/$applet"; done
ln -sf /bin/busybox "$root/sbin/modprobe"
strip -o "$root/bin/ironclad" "$ironclad"
cp "$work/busybox.tar" "$root/"
modules=$work/unpacked/lib/modules/$version
for part in kernel/net kernel/fs/overlayfs kernel/drivers/net/veth.ko kernel/lib kernel/crypto kernel/arch/x86/crypto; do
    [ ! -e "$modules/$part" ] || (cd "$modules" && cp -r --parents "$part" "$root/lib/modules/$version/")
done
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/"
"$root/bin/busybox" depmod -b "$root" "$version"
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"

cat > "$root/pods.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: "localhost/busybox:1", imagePullPolicy: Never, command: [tail, /dev/zero], resources: {limits: {memory: 32Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: localhost/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "cd /sys/fs/cgroup; for f in cpu.max cpu.weight memory.max memory.oom.group pids.max; do echo $f=$(cat $f); done"]
    resources: {requests: {cpu: 250m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
YAML

cat > "$root/init" <<'SH'
#!/bin/sh
# The first root cannot be exchanged for a container's: everything moves to one that can.
mount -t tmpfs -o size=90% tmpfs /new
for i in bin sbin lib etc run tmp busybox.tar pods.yaml second; do cp -a /$i /new/; rm -rf /$i.gone; done
mkdir /new/proc /new/sys /new/dev /new/data
exec /bin/busybox switch_root /new /second
SH
cat > "$root/second" <<'SH'
#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
modprobe overlay; hostname n1
say() { echo "machine: $*" > /dev/console; }
{
    say "controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
    ironclad up --detach --data-dir /data --node-name n1 && say "up"
    ironclad image import /busybox.tar --data-dir /data && say "image"
    export KUBECONFIG=/data/admin.conf
    until ironclad kubectl get serviceaccount default >/dev/null 2>&1; do sleep 1; done
    ironclad kubectl apply -f /pods.yaml
    for i in $(seq 90); do
        ironclad kubectl get pods hungry limited -o 'jsonpath={.items[*].status.phase}' | grep -q 'Failed Succeeded' && break
        sleep 2
    done
    say "hungry $(ironclad kubectl get pod hungry -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}')"
    ironclad kubectl logs limited | while read -r line; do say "limited $line"; done
    group=$(find /sys/fs/cgroup -type d -name '*pod*' -path '*burstable*' | head -1)
    say "group ${group#/sys/fs/cgroup/}"
    [ -z "$(ironclad kubectl get pod limited -o 'jsonpath={.status.phase}' | grep -v Succeeded)" ] || ironclad kubectl describe pods
    tail -5 /data/ironclad.log
    ironclad down --purge --data-dir /data && say "down"
    say "left $(find /sys/fs/cgroup -mindepth 1 -type d | wc -l) groups"
    say "end"
} 2>&1
sync
poweroff -f
SH
chmod +x "$root/init" "$root/second"
(cd "$root" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null | gzip -1 > "$work/initrd")
echo "initrd: $(du -h "$work/initrd" | cut -f1)"
timeout "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nographic -no-reboot \
    -nic none -kernel "$work/unpacked/boot/vmlinuz-$version" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all" < /dev/null | stdbuf -oL tr -d '\r' | tee "$work/console"

for wanted in 'up' 'hungry OOMKilled 137' 'limited cpu.max=50000 100000' 'limited cpu.weight=35' \
    'limited memory.max=67108864' 'limited memory.oom.group=1' 'down' 'left 0 groups'; do
    grep -qF "machine: $wanted" "$work/console" || { echo "FAIL cgroup 2: $wanted" >&2; exit 1; }
    echo "ok   cgroup 2: $wanted"
done
