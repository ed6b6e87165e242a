#!/usr/bin/env bash
# What the machine's kernel has, and ours may not: of project quotas Ironclad uses nothing yet.
# seconds: 60
# packages: apparmor quota dmsetup
source "$(dirname "$0")/kit/functions.sh"

controllers=$(tr ' ' '\n' < /sys/fs/cgroup/cgroup.controllers | sort | xargs)
[ "$controllers" = "cpu cpuset hugetlb io memory misc pids rdma" ] || fail "cgroup controllers: $controllers"
ok "cgroup version 2 alone, with its controllers"

# AppArmor: a profile that is loaded holds a process that is put into it, and a name that is not loaded is refused.
[ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ] || fail "AppArmor is off"
echo 'profile kit-deny { file, deny /etc/hostname r, }' | apparmor_parser --replace || fail "load a profile"
grep -q '^kit-deny (enforce)' /sys/kernel/security/apparmor/profiles || fail "the profile is not there"
as() { bash -c "echo exec $1 > /proc/self/attr/apparmor/exec && exec cat $2" 2>&1 || true; }
echo kit > /etc/hostname
says "AppArmor: a denied file" 'Permission denied' as kit-deny /etc/hostname
says "AppArmor: any other file" '^ID=debian' as kit-deny /etc/os-release
says "AppArmor: a profile that is not there" 'No such file' as kit-none /etc/os-release

# A project's quota on ext4: one directory is full, the next to it is not.
mkdir -p /var/project /var/other
chattr -p 4711 +P /var/project
setquota -P 4711 0 1024 0 0 / || fail "set a quota"
chmod 777 /var/project /var/other
# Root may go over it.
fill() { setpriv --reuid 65534 --regid 65534 --clear-groups dd if=/dev/zero of="$1" bs=64k count=64 status=none; }
says "project quota: a full project" '[Qq]uota exceeded' fill /var/project/file
does "project quota: beside it" fill /var/other/file
[ "$(stat -c %s /var/project/file)" -le $((1024 * 1024)) ] || fail "the quota let more through"

# A device that errors when it is told to.
truncate -s 64M /var/flakey
loop=$(losetup --show -f /var/flakey)
sectors=$(blockdev --getsz "$loop")
does "dm-flakey" dmsetup create flakey --table "0 $sectors flakey $loop 0 0 1"
says "and its errors" 'Input/output error' dd if=/dev/mapper/flakey of=/dev/null bs=4k count=1 iflag=direct
dmsetup remove flakey

# Networks.
does "a dummy" ip link add kit0 type dummy
for kind in wireguard vxlan ipvlan; do
    below= more=
    case $kind in vxlan) more="id 7 dstport 4789 dev kit0" ;; ipvlan) below="link kit0" ;; esac
    does "$kind" ip link add $below name kit1 type $kind $more
    ip link delete kit1
done
does "netem" tc qdisc add dev kit0 root netem delay 100ms loss 5%
does "ipvs" modprobe ip_vs
does "nfs" modprobe -a nfs nfsd
does "flow tables" nft 'add table inet kit; add flowtable inet kit f { hook ingress priority 0; devices = { lo }; }'
does "SCTP" modprobe sctp

echo -998 > /proc/self/oom_score_adj || fail "a negative oom_score_adj"
[ "$(cat /proc/self/oom_score_adj)" = -998 ] || fail "the oom_score_adj is another"
ok "a negative oom_score_adj"
