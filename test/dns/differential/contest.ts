// Everybody who takes part in a differential run, started and ready to be asked.
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import type { NameServer } from "../servers/name-server.ts";
import { nsd } from "../servers/nsd.ts";
import { startServer, type RunningServer } from "../servers/running.ts";
import { Asker, type Respondent } from "./exchange.ts";
import { OwnAnswerer } from "./own-answerer.ts";
import { makeZones } from "./zones.ts";

const known: readonly NameServer[] = [nsd, knot, bind];

export interface Contest {
  readonly subject: Respondent;
  readonly rivals: readonly Respondent[];
  close(): Promise<void>;
}

/**
 * Makes the zones and starts the servers.
 *
 * @param subject whom the rivals are compared with: `ours`, in this process, or one of them
 * @throws RangeError for a name that no server has; Error when one does not start
 */
export async function openContest(
  folder: string,
  subject = "ours",
  rivals: readonly string[] = known.map(({ name }) => name),
): Promise<Contest> {
  const servers: RunningServer[] = [];
  const askers: Respondent[] = [];
  const close = async (): Promise<void> => {
    for (const asker of askers) asker.close();
    for (const server of servers) await server.close();
  };
  try {
    const zones = makeZones(folder);
    for (const name of subject === "ours" ? rivals : [subject, ...rivals]) {
      const server = known.find((each) => each.name === name);
      if (server === undefined)
        throw new RangeError(`no server is named "${name}": ours, ${known.map((each) => each.name).join(", ")}`);
      servers.push(await startServer(server, zones, folder));
    }
    if (rivals.length === 0) throw new RangeError("nobody to compare with");
    if (subject === "ours") askers.push(new OwnAnswerer(zones));
    for (const server of servers) askers.push(await Asker.open(server));
    // as: the list has the subject first, and somebody behind it
    return { subject: askers[0]!, rivals: askers.slice(1), close };
  } catch (error) {
    await close();
    throw error;
  }
}
