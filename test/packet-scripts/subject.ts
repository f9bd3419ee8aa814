import type { CallSpec, Settings, SubjectName } from "./script.ts";

/** A packet that a subject sent, and when. */
export interface Emitted {
  /** Milliseconds on the subject's clock. */
  readonly time: number;
  readonly packet: Uint8Array;
}

/** A TCP/IP stack under test, for the time of one script: the link's other end and the application are the player's. */
export interface Subject {
  readonly name: SubjectName;
  readonly family: 4 | 6;
  /** The last 32 bits of its address and of the peer's. */
  readonly address: number;
  readonly peerAddress: number;
  /** Its port: the one it listens on, or connects from. 0 while that is not known. */
  readonly port: number;
  /** The peer's port number `peer`. */
  peerPort(peer: number): number;
  /** How far time may be off, milliseconds: real clocks and kernel ticks are coarse. */
  readonly slack: number;
  /** The longest that this machine kept it waiting since the script began, milliseconds. */
  readonly disturbance: number;
  now(): number;
  /** Hands it a packet. */
  inject(packet: Uint8Array): Promise<void>;
  /** The oldest packet it sent that was not taken yet. */
  take(): Emitted | undefined;
  /** Lets time pass until `deadline`, or until it has sent something. */
  wait(deadline: number): Promise<void>;
  /** The application acts. Gives what came of it, in the words of `CallSpec.outcome`. */
  call(call: CallSpec): Promise<string>;
  /** Ends everything, at once. */
  close(): Promise<void>;
}

/** Makes subjects of one kind. */
export interface SubjectMaker {
  readonly name: SubjectName;
  start(settings: Settings): Promise<Subject>;
  close(): Promise<void>;
}
