# A machine whose names systemd-resolved finds: run in namespaces of its own (network, mounts) as root.
# $1: a directory for its files; $2: Deno; $3: where the package of systemd-resolved is unpacked, empty where it is
# installed.
set -u
dir=$1
deno=$2
root=$3
here=$(cd "$(dirname "$0")" && pwd)
resolvectl=$root/usr/bin/resolvectl
exec 2>"$dir/log"

mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/systemd
ip link set lo up
# Its other end makes it a link that is up.
ip link add spanway0 type veth peer name spanway-peer
ip link set spanway-peer up
ip addr add 172.16.0.1/32 peer 172.16.0.2 dev spanway0
ip link set spanway0 up

over() { mount --bind "$1" "$2"; }
for each in passwd group; do cp "/etc/$each" "$dir/$each"; done
echo 'systemd-resolve:x:990:990::/:/usr/sbin/nologin' >>"$dir/passwd"
echo 'systemd-resolve:x:990:' >>"$dir/group"
getent passwd systemd-resolve >/dev/null || { over "$dir/passwd" /etc/passwd; over "$dir/group" /etc/group; }
echo 'nameserver 127.0.0.53' >"$dir/resolv.conf"
over "$dir/resolv.conf" /etc/resolv.conf
echo 'hosts: files dns' >"$dir/nsswitch.conf"
over "$dir/nsswitch.conf" /etc/nsswitch.conf

cat >"$dir/bus.conf" <<X
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="signal"/>
    <allow receive_type="method_return"/><allow receive_type="error"/>
  </policy>
</busconfig>
X
dbus-daemon --config-file="$dir/bus.conf" --nofork --nopidfile >/dev/null &
bus=$!
sleep 0.5
"$root/lib/systemd/systemd-resolved" >/dev/null &
resolved=$!
trap 'kill "$resolved" "$bus"' EXIT
tries=0
until "$resolvectl" status >/dev/null 2>&1 || [ "$tries" -ge 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done

# In a shell of its own: the process that it puts into the background is Deno itself.
publish() { exec "$deno" run -A --quiet --unstable-net "$here/publisher.ts" "$resolvectl" "$1"; }
(publish close)
mkfifo "$dir/up"
publish hold >"$dir/up" &
holder=$!
head -n 1 "$dir/up" >/dev/null
kill -9 "$holder"
tries=0
while "$resolvectl" dns spanway0 | grep -q 172 && [ "$tries" -lt 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
echo "killed $(getent ahostsv4 otter1.spanway >/dev/null && echo found || echo -)"
sed "s/^/log /" "$dir/log"
