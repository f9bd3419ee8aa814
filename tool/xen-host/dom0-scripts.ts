/** Where dom0 is in QEMU's own network, which is 10.0.2.0/24 with the host at 10.0.2.2 and names from 10.0.2.3. */
export const dom0Address = "10.0.2.4";
/** Where the agent is, in a network that it has with this machine alone. */
export const agentNetwork = "10.0.4.0/24";
export const agentAddress = "10.0.4.15";
/** The TCP port of dom0's agent. */
export const agentPort = 4017;
/** The bridge that QEMU's network card and the guests' interfaces are on. */
export const bridge = "xenbr0";
/** What dom0 says on its console when the agent listens. */
export const readyLine = "dom0: ready";
/** Where dom0's console daemon puts what guests write. */
export const consoleFolder = "/var/log/xen";
/** Where Debian puts Xen's own programs. */
export const xenPrograms = "/usr/lib/xen-4.17/bin";

/** The first program of dom0: file systems, modules, network, and an agent that runs what it is told. */
export const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:${xenPrograms} HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs -o size=95% tmp /tmp
for module in $(cat /modules/order); do insmod "/modules/$module.ko" || echo "dom0: no module $module"; done
mount -t xenfs xenfs /proc/xen
ip link set lo up
brctl addbr ${bridge}
ip link set eth0 up
brctl addif ${bridge} eth0
ip addr add ${dom0Address}/24 dev ${bridge}
ip link set ${bridge} up
ip route add default via 10.0.2.2
ip addr add ${agentAddress}/24 dev eth1
ip link set eth1 up
echo nameserver 10.0.2.3 > /etc/resolv.conf
nc -ll -p ${String(agentPort)} -e /sbin/agent &
until grep -q ":${agentPort.toString(16).toUpperCase().padStart(4, "0")} " /proc/net/tcp /proc/net/tcp6; do usleep 20000; done
echo "${readyLine}"
while :; do sleep 3600; done
`;

/**
 * What serves one connection: a line with the secret from the kernel's command line, a line with a shell script in
 * base64, then the script's input. Back go the script's output, both streams, and as the last line its status behind an
 * ASCII record separator.
 */
export const agentScript = `#!/bin/sh
read -r secret
read -r encoded
[ "$secret" = "$AGENT_SECRET" ] || exit 1
script=$(echo "$encoded" | base64 -d)
sh -c "$script" 2>&1
printf '\\036%d\\n' $?
`;

/**
 * libxl runs it when a disk of a guest comes or goes: a file gets a loop device, and xenstore is told the numbers of the
 * device (Xen: docs/misc/block-scripts.txt).
 */
const blockScript = `#!/bin/sh
case "$1" in
add)
  file=$(xenstore-read "$XENBUS_PATH/params")
  node=$file
  if [ ! -b "$file" ]; then
    option=
    [ "$(xenstore-read "$XENBUS_PATH/mode")" = r ] && option=-r
    tries=0
    # Scripts of several disks run at once, and another may have taken the free device meanwhile.
    until node=$(losetup -f) && losetup $option "$node" "$file" 2>/dev/null; do
      tries=$((tries + 1))
      [ $tries -lt 50 ] || { xenstore-write "$XENBUS_PATH/hotplug-error" "no loop device for $file"; exit 1; }
      usleep 100000
    done
  fi
  xenstore-write "$XENBUS_PATH/node" "$node"
  xenstore-write "$XENBUS_PATH/physical-device" "$(stat -L -c %t:%T "$node")"
  xenstore-write "$XENBUS_PATH/hotplug-status" connected
  ;;
remove)
  node=$(xenstore-read "$XENBUS_PATH/node")
  case "$node" in /dev/loop*) losetup -d "$node" ;; esac
  ;;
esac
`;

/** libxl runs it when a network interface of a guest comes or goes. */
const vifScript = `#!/bin/sh
case "$1" in
online | add)
  bridge=$(xenstore-read "$XENBUS_PATH/bridge")
  ip link set "$vif" up
  brctl addif "\${bridge:-${bridge}}" "$vif"
  xenstore-write "$XENBUS_PATH/hotplug-status" connected
  ;;
offline | remove)
  ip link set "$vif" down
  ;;
esac
exit 0
`;

/** Without it oxenstored does not start. As Debian's package xen-utils-common has it. */
export const oxenstoredConfig = `pid-file = /run/xenstored.pid
quota-activate = true
quota-maxentity = 1000
quota-transaction = 10
persistent = false
xenstored-kva = /proc/xen/xsd_kva
xenstored-port = /proc/xen/xsd_port
`;

/** By the names that libxl's defaults have. */
export const hotplugScripts: Readonly<Record<string, string>> = { block: blockScript, "vif-bridge": vifScript };

/**
 * The first program of a Linux guest: file systems, modules, then the shell script that its command line has in base64,
 * then off.
 */
export const guestInitScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in $(cat /modules/order); do insmod "/modules/$module.ko" || echo "no module $module"; done
mkdir -p /proc/xen
mount -t xenfs xenfs /proc/xen
ip link set lo up
sh -c "$(echo "$SCRIPT" | base64 -d)"
poweroff -f
`;
