import { pageSize } from "../grant.ts";
import { longestFrame } from "./wire.ts";

/** Bytes of an Ethernet header. */
export const ethernetHeader = 14;
/** Every host takes packets as long as this (RFC 791). */
export const leastMtu = 576;
export const mostMtu: number = longestFrame - ethernetHeader;
/** The longest that fits a page, with its Ethernet header. */
export const mostMtuInOnePiece: number = pageSize - ethernetHeader;
