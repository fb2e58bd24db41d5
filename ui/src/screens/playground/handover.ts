import { personalTo } from '../../app/session';
import type { ClientProtocol } from './protocols/neutral';

/** A request that another screen gives to the playground. What was said never stands in an address, so it is handed over in memory. */
export interface Handover {
  protocol: ClientProtocol;
  /** The body as it was sent. */
  body: string;
  model: string;
  stream: boolean;
  /** The id of the request that it was. */
  from: string;
}

let held: Handover | undefined;
personalTo(() => {
  held = undefined;
});

/** Puts a request down for the playground, which is opened next. */
export function handOver(request: Handover): void {
  held = request;
}

/** Takes it up, once. */
export function takeOver(): Handover | undefined {
  const taken = held;
  held = undefined;
  return taken;
}
