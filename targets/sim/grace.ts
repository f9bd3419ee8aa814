/**
 * How long a run waits in real time, once nothing is left to happen in virtual time, for work outside that nobody told
 * it of: reading a file, say.
 */

/** Turns of the event loop, and real milliseconds, after the last sign of such work. */
const leastTurns = 50;
const leastTime = 150;
/** Real milliseconds that work under way is waited for. */
const longest = 30_000;

/** Taken before a simulation replaces the global one. */
const realNow = performance.now.bind(performance);

export class Grace {
  #turns = 0;
  #began = 0;
  /** When work was last seen under way. */
  #seen = 0;

  /** Something has happened: what was waited for is here, or nothing was. */
  reset(): void {
    this.#turns = 0;
  }

  /** Whether it has been waited for long enough. Called once a turn of the event loop. */
  isOver(): boolean {
    const now = realNow();
    if (this.#turns === 0) this.#began = this.#seen = now;
    this.#turns++;
    // How long it takes depends on how busy the machine is, so as long as Node knows of it it is waited for.
    if (isUnderWay() && now - this.#began < longest) this.#seen = now;
    return this.#turns > leastTurns && now - this.#seen >= leastTime;
  }
}

/** Whether this process waits for the answer to a request: from a file system, a name service, the thread pool. */
function isUnderWay(): boolean {
  return process.getActiveResourcesInfo().some((kind) => kind.startsWith("FSReq") || kind.endsWith("ReqWrap"));
}
