import { describeErrno, errnoName } from "@tesserae/node/native/system-calls";
import { TapError } from "../tun.ts";

/** What the kernel refused, in words, with what would help. */
export function xdpFailure(errno: number, doing: string): TapError {
  const code = errnoName(errno);
  const help =
    code === "EPERM" || code === "EACCES"
      ? "\nAF_XDP needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF in the machine's first user namespace: run as root, or" +
        "\n  sudo setpriv --reuid $USER --inh-caps +net_admin,+net_raw,+bpf --ambient-caps +net_admin,+net_raw,+bpf …" +
        "\nA tap device (--tap) needs none once it is made."
      : code === "ENOBUFS" || code === "ENOMEM"
        ? "\nThe memory for frames cannot be locked: raise the limit (ulimit -l unlimited), or add CAP_IPC_LOCK."
        : code === "EBUSY" || code === "EEXIST"
          ? "\nAnother XDP program or socket has it: ip link show, and ip link set dev NAME xdp off"
          : code === "EAFNOSUPPORT"
            ? "\nThis kernel has no AF_XDP (CONFIG_XDP_SOCKETS)."
            : "";
  return new TapError(code, `${doing}: ${describeErrno(errno)}${help}`);
}
