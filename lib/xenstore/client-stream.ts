import { Output } from "./output.ts";
import { Message, MessageReader } from "./wire.ts";

/**
 * A client's bytes on their way: half a request, the one that is being answered, what it has not taken yet. It is whole
 * between any two requests, whatever becomes of the server.
 */
export class ClientStream {
  readonly reader = new MessageReader();
  readonly message = new Message();
  readonly output: Output;
  /** `message` is not answered yet. */
  isHeld = false;
  /** Bytes of requests that were taken. */
  received = 0;
  /** Servers that died of `message`. */
  faults = 0;

  /** @param events that wait, above which those of one watch become one */
  constructor(events: number) {
    this.output = new Output(events);
  }
}
