export interface UdpState {
  readonly todo: never;
}
