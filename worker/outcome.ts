import {
  ServiceError,
  type ServiceErrorCode,
  SpanwayError,
  TicketError,
  type TicketErrorCode,
} from "../shared/errors.ts";

/**
 * What a Durable Object answers: errors of ours travel as data, because a thrown one loses its class and code on the way.
 * Anything else that is thrown is a fault and stays one.
 */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | {
    readonly ok: false;
    readonly kind: "service" | "ticket";
    readonly code: string;
    readonly message: string;
    readonly hint: string | undefined;
  };

/** Runs `action` and packs what comes out. */
export function outcome<T>(action: () => T): Outcome<T> {
  try {
    return { ok: true, value: action() };
  } catch (error) {
    if (!(error instanceof ServiceError || error instanceof TicketError)) throw error;
    const { code, message, hint } = error;
    return { ok: false, kind: error instanceof TicketError ? "ticket" : "service", code, message, hint };
  }
}

/** The value, or the error thrown again. */
export function unpack<T>(packed: Outcome<T>): T {
  if (packed.ok) return packed.value;
  const options: ConstructorParameters<typeof SpanwayError>[2] = packed.hint === undefined ? {} : { hint: packed.hint };
  throw packed.kind === "ticket"
    ? new TicketError(packed.code as TicketErrorCode, packed.message, options)
    : new ServiceError(packed.code as ServiceErrorCode, packed.message, options);
}
