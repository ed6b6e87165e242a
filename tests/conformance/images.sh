#!/usr/bin/env bash
# Assembles the images that upstream's suite uses, from Debian's packages and upstream's own programs, as one docker
# archive.
# usage: images.sh DIRECTORY REGISTRY PROGRAMS   PROGRAMS is where agnhost, pause, nnp, sample-apiserver, etcd are
set -euo pipefail
mkdir -p "$1"
out=$(realpath "$1") registry=$2 programs=$(realpath "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$(dirname "$0")/../images/lib.sh"
tests=$registry/e2e-test-images
path='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'

# put LAYER PROGRAM PATH: a layer with one of upstream's programs.
put() { install -D -m "${4:-755}" "$programs/$2" "$work/$1/$3"; }

# What agnhost's base has: shell, network tools, and busybox for everything smaller.
base=$work/debian
debian "$base" bash dash coreutils sed grep findutils hostname curl wget netcat-openbsd bind9-dnsutils bind9-host \
    iproute2 iputils-ping iperf net-tools util-linux mount procps libc-bin busybox-static ca-certificates
[ -e "$base/usr/bin/sh" ] || ln -s dash "$base/usr/bin/sh"
ln -s nc.openbsd "$base/usr/bin/nc"
for applet in $("$base/usr/bin/busybox" --list); do
    [ -e "$base/usr/bin/$applet" ] || [ -e "$base/usr/sbin/$applet" ] || ln -s busybox "$base/usr/bin/$applet"
done
layer debian "$base"

put agnhost agnhost agnhost
ln -s agnhost "$work/agnhost/agnhost-2"
mkdir -p "$work"/agnhost/{uploads,etc,home/user-defined-in-image,usr/local/bin}
ln -s /usr/bin/iperf "$work/agnhost/usr/local/bin/iperf"
cp "$base"/etc/{passwd,group} "$work/agnhost/etc"
echo 'user-defined-in-image:x:1000:1000:Linux User,,,:/home/user-defined-in-image:/bin/sh' >> "$work/agnhost/etc/passwd"
printf 'user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n' >> "$work/agnhost/etc/group"
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$work/agnhost/localhost.key" -out "$work/agnhost/localhost.crt" 2>/dev/null
chmod 644 "$work/agnhost/localhost.key"
layer agnhost "$work/agnhost"
agnhost='"Entrypoint":["/agnhost"],"Cmd":["pause"],"WorkingDir":"/","ExposedPorts":{"80/tcp":{},"5000/tcp":{},"8080/tcp":{},"8081/tcp":{},"9376/tcp":{}}'
image "$tests/agnhost:2.63.0" "{$path,$agnhost}" debian agnhost

# The older one is another image, and so has one file more.
mkdir -p "$work/previous"
echo 2.55 > "$work/previous/version"
layer previous "$work/previous"
image "$tests/agnhost:2.55" "{$path,$agnhost}" debian agnhost previous

image "$tests/glibc-dns-testing:2.0.0" "{$path,\"Cmd\":[\"bash\"]}" debian

# Two pictures of the guestbook demonstration; of theirs only the names are looked at.
for name in nautilus kitten; do
    mkdir -p "$work/$name/etc"
    echo "$name" > "$work/$name/$name.jpg"
    printf '{\n"image": "%s.jpg"\n}\n' "$name" > "$work/$name/data.json"
    printf 'NAME="Alpine Linux"\nID=alpine\n' > "$work/$name/etc/os-release"
    layer "$name" "$work/$name"
    image "$tests/$name:1.8" "{$path,\"Entrypoint\":[\"/agnhost\"],\"Cmd\":[\"test-webserver\"]}" debian agnhost "$name"
done

busybox=$work/busybox
debian "$busybox" busybox-static bash-static
rm -rf "$busybox/usr/share"
# Debian's version of its shell forgets variables whose names it cannot use itself; bash passes them on. Specs
# that look at the shell's own messages call it by its path.
mkdir -p "$busybox/usr/local/bin"
ln -s /usr/bin/bash-static "$busybox/usr/local/bin/sh"
for applet in $("$busybox/usr/bin/busybox" --list); do
    [ -e "$busybox/usr/bin/$applet" ] || ln -s busybox "$busybox/usr/bin/$applet"
done
layer busybox "$busybox"
image "$tests/busybox:1.37.0-1" "{$path,\"Cmd\":[\"sh\"]}" busybox

nginx=$work/nginx
debian "$nginx" nginx-light dash
[ -e "$nginx/usr/bin/sh" ] || ln -s dash "$nginx/usr/bin/sh"
mkdir -p "$nginx"/{var/log/nginx,var/lib/nginx,usr/share/nginx/html}
printf '<!DOCTYPE html>\n<title>Welcome to nginx!</title>\n<h1>Welcome to nginx!</h1>\n' > "$nginx/usr/share/nginx/html/index.html"
cat > "$nginx/etc/nginx/nginx.conf" <<'CONF'
user root;
worker_processes 1;
daemon off;
pid /run/nginx.pid;
error_log /dev/stderr;
events {}
http {
    access_log /dev/stdout;
    server { listen 80; root /usr/share/nginx/html; }
}
CONF
layer nginx "$nginx"
for version in 1.15-4 1.27-0; do
    # The version is written into the configuration: the two are different images.
    image "$tests/nginx:$version" "{\"Env\":[\"NGINX_VERSION=$version\"],\"Entrypoint\":[\"/usr/sbin/nginx\"],\"StopSignal\":\"SIGQUIT\",\"ExposedPorts\":{\"80/tcp\":{}}}" nginx
done

put pause pause pause
layer pause "$work/pause"
image "$registry/pause:3.10.2" '{"User":"65535:65535","Entrypoint":["/pause"]}' pause

put nnp nnp usr/local/bin/nnp 6755
layer nnp "$work/nnp"
image "$tests/nonewprivs:1.4" "{$path,\"Cmd\":[\"nnp\"]}" busybox nnp

put sample sample-apiserver sample-apiserver
layer sample "$work/sample"
image "$tests/sample-apiserver:1.29.2" '{"Entrypoint":["/sample-apiserver"]}' busybox sample

put etcd etcd usr/local/bin/etcd
layer etcd "$work/etcd"
image "$registry/etcd:3.6.8-0" "{$path,\"Entrypoint\":[\"/usr/local/bin/etcd\"]}" busybox etcd

archive
