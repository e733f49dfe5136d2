import type { LinkOrigin, LinkTarget, Reach, StreamEnd } from "../../shared/link/ends.ts";
import { countedFlow } from "../net/counted_flow.ts";

/** A UDP flow of a link has ended. `startedAt` is of the clock; bytes are as the share's side sees them. */
export interface FlowReport {
  readonly link: string;
  readonly target: LinkTarget;
  readonly end: StreamEnd;
  readonly startedAt: number;
}

/** What a share reaches, with its UDP flows told of when they end. */
export class ReportedFlows implements Reach {
  readonly #reach: Reach;
  readonly #now: () => number;
  readonly #tell: (report: FlowReport) => void;

  constructor(reach: Reach, now: () => number, tell: (report: FlowReport) => void) {
    this.#reach = reach;
    this.#now = now;
    this.#tell = tell;
  }

  /** The same for one link. */
  forLink(origin: LinkOrigin): Reach {
    const reach = this.#reach.forLink?.(origin) ?? this.#reach;
    return {
      connect: (target, signal) => reach.connect(target, signal),
      openFlow: (...asked) => {
        const [target] = asked;
        const startedAt = this.#now();
        return countedFlow((...args) => reach.openFlow(...args), asked, ({ code, sentBytes, receivedBytes }) => {
          const end = { code, bytesIn: sentBytes, bytesOut: receivedBytes, resumed: 0 };
          this.#tell({ link: origin.link, target, end, startedAt });
        });
      },
    };
  }

  connect(...asked: Parameters<Reach["connect"]>): ReturnType<Reach["connect"]> {
    return this.#reach.connect(...asked);
  }

  openFlow(...asked: Parameters<Reach["openFlow"]>): ReturnType<Reach["openFlow"]> {
    return this.#reach.openFlow(...asked);
  }
}
