import type { Devices } from "@tesserae/config/config";
import type { Flow } from "@tesserae/device/flow";
import { connectVchan } from "@tesserae/xen/vchan/connect";
import { listenVchan } from "@tesserae/xen/vchan/listen";
import { answer, ask, type Direction, type Tools } from "./transfer.ts";
import type { config } from "./tesserae.config.ts";

type All = Devices<typeof config>;

/** Where the vchan is published, below the serving domain's own path. */
const path = "data/vchan";

/** Moves bytes between two domains of one host: over shared memory, and over TCP to compare. */
export function main(all: All): Promise<void> {
  return all.keys.role === "serve" ? serve(all) : command(all);
}

function toolsOf({ xen, crypto }: All): Tools {
  return { timers: xen.timers, random: xen.random, crypto };
}

/** Answers over TCP, and over a vchan for one domain, until it is told to stop. */
async function serve(all: All): Promise<void> {
  const { xen, stack, log, keys, signal } = all;
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const tools = toolsOf(all);
  const handle = (flow: Flow): Promise<void> => answer(flow, tools, (text) => log.info(text));
  // A vchan's flow is closed when its handler is done, this one is not: who asked would wait for that, two minutes at most.
  const tcp = await stack.tcp.listen({ port: keys.port }, (flow) => handle(flow).finally(() => flow.close()));
  log.info("serving", { domain: xen.id, port: keys.port });
  const peer = keys.peer === 0 ? await Promise.race([namedPeer(all), stopped]) : keys.peer;
  if (peer !== undefined) {
    const vchan = await listenVchan(xen, { peer, path }, handle);
    log.info("offering a vchan", { to: peer });
    await Promise.race([stopped, vchan.over]);
    await vchan.close();
  }
  await tcp.close();
}

/** Whom the vchan is for: who has made both domains says so, as he alone knows their numbers. */
function namedPeer({ xen }: All): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = async (): Promise<void> => {
      const text = await xen.xenstore.readIfThere("data/peer");
      if (text !== undefined && /^\d{1,5}$/.test(text)) resolve(Number(text));
    };
    xen.xenstore.watch("data/peer", () => void look().catch(reject)).catch(reject);
  });
}

/** Does what lines of the console say: `vchan send 1000000`, `tcp receive 1000000`; until they end. */
async function command(all: All): Promise<void> {
  const { xen, stack, console, keys, signal } = all;
  const flows = new Map<string, Flow>();
  const base = `/local/domain/${keys.peer}/${path}`;
  flows.set("vchan", await connectVchan(xen, { peer: keys.peer, path: base, timeout: 60_000 }));
  if (keys.address.toString() !== "0.0.0.0") {
    flows.set("tcp", await stack.tcp.connect({ address: keys.address, port: keys.port }));
  }
  console.writeLine(`connected by ${[...flows.keys()].join(" and ")}: ${usage}`);
  for (;;) {
    const line = await console.readLine({ signal }).catch(() => undefined);
    if (line === undefined || line === "quit") break;
    const [, kind = "", direction, size] = /^(vchan|tcp) (send|receive) (\d{1,9})$/.exec(line.trim()) ?? [];
    const flow = flows.get(kind);
    if (flow === undefined) {
      console.writeLine(usage);
      continue;
    }
    // as: the expression above has these two words
    const outcome = await ask(flow, toolsOf(all), direction as Direction, Number(size));
    const { milliseconds, sent, received } = outcome;
    console.writeLine(`${line.trim()}: ${milliseconds.toFixed(1)} ms, sha256 sent ${sent}, received ${received}`);
  }
  for (const flow of flows.values()) await flow.close();
}

const usage = "vchan or tcp, send or receive, a number of bytes; quit";
