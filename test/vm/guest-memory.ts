// Reads and writes a guest's physical memory from outside, over QEMU's gdb stub: what a device could do as well.
import { once } from "node:events";
import net from "node:net";

/** How long a reply may take, in milliseconds. */
const bound = 60_000;
/** Bytes that one packet of the stub has room for, with some to spare. */
const slice = 1024;
/** What stops a guest that runs. */
const interrupt = "\x03";
/** The number of the register, in the stub's hexadecimal. */
const programCounter = "10";

/** QEMU's arguments for a stub at the path of a socket. */
export function memoryArguments(socket: string): readonly string[] {
  return ["-gdb", `unix:${socket},server=on,wait=off`];
}

/** A gdb remote serial connection, as far as memory goes, and one register. Memory is read and written while the guest stands still. */
export class GuestMemory {
  readonly #socket: net.Socket;
  #received = "";
  #wake: () => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#received += text;
      this.#wake();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.#wake());
  }

  /** Connects, which stops the guest. @param path of a socket, as {@link memoryArguments} has it */
  static async open(path: string): Promise<GuestMemory> {
    const socket = net.connect({ path });
    await once(socket, "connect");
    const memory = new GuestMemory(socket);
    await memory.#ask("?", true);
    // The stub tells single registers to those alone who know how they are described.
    await memory.#ask("qXfer:features:read:target.xml:0,100");
    // Addresses are physical from here on.
    const reply = await memory.#ask("Qqemu.PhyMemMode:1");
    if (reply !== "OK") throw new Error(`the gdb stub knows no physical addresses: "${reply}"`);
    return memory;
  }

  /** Stops the guest, does something, and lets it go on. */
  async whileStopped<T>(act: () => Promise<T>): Promise<T> {
    this.#socket.write(interrupt);
    await this.#reply("an interrupt", true);
    try {
      return await act();
    } finally {
      this.resume();
    }
  }

  /** Lets the guest go on, after {@link GuestMemory.open}. */
  resume(): void {
    this.#send("c");
  }

  async read(address: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let done = 0; done < length; done += slice) {
      const [from, count] = [(address + done).toString(16), Math.min(slice, length - done)];
      const reply = await this.#ask(`m${from},${count.toString(16)}`);
      const bytes = Buffer.from(reply, "hex");
      if (bytes.length !== count) throw new Error(`reading at ${from}: "${reply}"`);
      parts.push(bytes);
    }
    return Buffer.concat(parts);
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; done += slice) {
      const from = (address + done).toString(16);
      const part = Buffer.from(bytes.subarray(done, done + slice));
      const reply = await this.#ask(`M${from},${part.length.toString(16)}:${part.toString("hex")}`);
      if (reply !== "OK") throw new Error(`writing at ${from}: "${reply}"`);
    }
  }

  async read16(address: number): Promise<number> {
    return (await this.read(address, 2)).readUInt16LE();
  }

  async read32(address: number): Promise<number> {
    return (await this.read(address, 4)).readUInt32LE();
  }

  async write16(address: number, value: number): Promise<void> {
    await this.write(address, Uint8Array.of(value & 0xff, (value >> 8) & 0xff));
  }

  /** A register of a device takes it as one access. */
  async write32(address: number, value: number): Promise<void> {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    await this.write(address, bytes);
  }

  /** The address of the instruction that is next. */
  async programCounter(): Promise<bigint> {
    const reply = await this.#ask(`p${programCounter}`);
    return Buffer.from(reply, "hex").readBigUInt64LE();
  }

  async setProgramCounter(address: bigint): Promise<void> {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(address);
    const reply = await this.#ask(`P${programCounter}=${bytes.toString("hex")}`);
    if (reply !== "OK") throw new Error(`setting the program counter: "${reply}"`);
  }

  /** A byte at an address as the program of the guest sees it; undefined where nothing is. */
  async byteInProgram(address: bigint): Promise<number | undefined> {
    await this.#ask("Qqemu.PhyMemMode:0");
    const reply = await this.#ask(`m${address.toString(16)},1`);
    await this.#ask("Qqemu.PhyMemMode:1");
    return /^[0-9a-f]{2}$/.test(reply) ? Number.parseInt(reply, 16) : undefined;
  }

  /** Ends the connection; a guest that stands still goes on doing so. */
  close(): void {
    this.#socket.destroy();
  }

  #send(command: string): void {
    const checksum = Buffer.from(command, "latin1").reduce((sum, each) => (sum + each) & 0xff, 0);
    this.#socket.write(`$${command}#${checksum.toString(16).padStart(2, "0")}`, "latin1");
  }

  #ask(command: string, stop = false): Promise<string> {
    this.#send(command);
    return this.#reply(`gdb command "${command}"`, stop);
  }

  /** The next packet: one that tells that the guest stopped, or one that does not; others are passed over. */
  async #reply(to: string, stop: boolean): Promise<string> {
    const late = setTimeout(() => this.#socket.destroy(), bound);
    try {
      for (;;) {
        const packet = /\$([^#]*)#../.exec(this.#received);
        if (packet !== null) {
          this.#received = this.#received.slice(packet.index + packet[0].length);
          this.#socket.write("+");
          const [, text = ""] = packet;
          if (text.startsWith("T") === stop) return text;
        } else if (this.#socket.destroyed) throw new Error(`no reply to ${to}`);
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(late);
    }
  }
}
