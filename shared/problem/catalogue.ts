/**
 * What can stand between a visitor and a share, in the words that the visitor reads. Said by the Worker and the edge
 * alike, so that a share in trouble looks the same wherever its visitors come in.
 */

/** Codes of the problems that spanway itself answers with. Programs may rely on them. */
export type ProblemCode =
  | "share-unknown"
  | "share-away"
  | "share-expired"
  | "share-ended"
  | "origin-refused"
  | "origin-failed"
  | "origin-timeout"
  | "origin-certificate"
  | "http-disabled"
  | "too-busy"
  | "bad-request"
  | "request-timeout"
  | "body-too-large"
  | "upload-too-large"
  | "uri-too-large"
  | "headers-too-large"
  | "misdirected"
  | "not-found"
  | "internal"
  | "unavailable";

/** The text of one problem. `detail` says what happened, `hint` what the reader can do about it. */
export interface ProblemText {
  /** Stable and kebab-case: a {@link ProblemCode}, or one of the caller's own. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly hint?: string;
  /** Whole seconds after which trying again makes sense; absent when it does not. */
  readonly retryAfterSeconds?: number;
}

interface Entry {
  readonly status: number;
  readonly title: string;
  /** `share` is the share's name, or "this share" where it is not known. */
  readonly detail: (share: string) => string;
  readonly hint: string;
  readonly retryAfterSeconds?: number;
}

const ENTRIES: Readonly<Record<ProblemCode, Entry>> = {
  "share-unknown": {
    status: 404,
    title: "Nothing is shared here",
    detail: (share) => `There is no share at this address (${share}).`,
    hint: "Check the address for a typing mistake, or ask whoever gave it to you for a new one.",
  },
  "share-away": {
    status: 503,
    title: "The other side is away",
    detail: (share) => `The computer that shares ${share} is not connected right now. It may be asleep or offline.`,
    hint: "The address stays the same and works again as soon as that computer is back.",
    retryAfterSeconds: 5,
  },
  "share-expired": {
    status: 410,
    title: "This share has expired",
    detail: (share) => `The time for which ${share} was shared is over.`,
    hint: "Ask its owner to share it again.",
  },
  "share-ended": {
    status: 410,
    title: "This share has ended",
    detail: (share) => `The owner of ${share} has stopped sharing it.`,
    hint: "Ask its owner to share it again.",
  },
  "origin-refused": {
    status: 502,
    title: "The shared app is not running",
    detail: (share) => `The computer behind ${share} is connected, but nothing answers on the port it shares.`,
    hint: "If this is your share, start the app and reload. Otherwise tell the person who shares it.",
  },
  "origin-failed": {
    status: 502,
    title: "The shared app broke off",
    detail: (share) => `The app behind ${share} did not answer this request properly.`,
    hint: "Try again. If it stays like this, tell the person who shares it.",
  },
  "origin-timeout": {
    status: 504,
    title: "The shared app is silent",
    detail: (share) => `The app behind ${share} took the request but did not answer in time.`,
    hint: "Try again later. If it stays like this, tell the person who shares it.",
  },
  "origin-certificate": {
    status: 502,
    title: "The shared app's certificate is not trusted",
    detail: (share) =>
      `The app behind ${share} speaks HTTPS with a certificate that the computer sharing it does not trust.`,
    hint: "If this is your share and the certificate is of your own making, share it with --insecure-target.",
  },
  "http-disabled": {
    status: 403,
    title: "Not for browsers",
    detail: (share) => `The owner of ${share} shares connections to ports, and nothing that a browser could show.`,
    hint: "If you were given its code, reach it with: spanway connect CODE",
  },
  "too-busy": {
    status: 503,
    title: "Too busy right now",
    detail: (share) => `More requests are on their way to ${share} than it can take at once.`,
    hint: "Try again in a moment.",
    retryAfterSeconds: 2,
  },
  "bad-request": {
    status: 400,
    title: "Not a proper request",
    detail: () => "The request could not be understood as HTTP.",
    hint: "If a program sent it, check its request line and headers.",
  },
  "request-timeout": {
    status: 408,
    title: "The request took too long",
    detail: () => "The request did not arrive in time.",
    hint: "Try again.",
  },
  "body-too-large": {
    status: 413,
    title: "The request is too large",
    detail: () => "The body of the request is larger than is taken here.",
    hint: "Send less at once.",
  },
  "upload-too-large": {
    status: 413,
    title: "The upload is too large",
    detail: (share) =>
      `The way to ${share} leads through Cloudflare alone, whose plans take uploads up to a size only.`,
    hint: "A share through an edge of your own has no such bound, and neither has: spanway connect CODE",
  },
  "uri-too-large": {
    status: 414,
    title: "The address is too long",
    detail: () => "The address of the request is longer than is taken here.",
    hint: "Shorten the query, or send the data in the body of the request.",
  },
  "headers-too-large": {
    status: 431,
    title: "The request headers are too large",
    detail: () => "The headers of the request are larger than is taken here.",
    hint: "Often cookies have piled up: clear the cookies of this site and try again.",
  },
  misdirected: {
    status: 421,
    title: "Wrong address",
    detail: () => "The request names a host that is not served here.",
    hint: "Check the address.",
  },
  "not-found": {
    status: 404,
    title: "No such page",
    detail: () => "There is nothing at this address.",
    hint: "Check the address.",
  },
  internal: {
    status: 500,
    title: "Something went wrong",
    detail: () => "The service made a mistake with this request.",
    hint: "Try again. If it stays like this, tell whoever runs the service.",
  },
  unavailable: {
    status: 503,
    title: "The service cannot be reached",
    detail: () => "A part of the service does not answer right now.",
    hint: "Try again in a moment.",
    retryAfterSeconds: 5,
  },
};

/** The status and text of a known problem. `share` is the share's name or host where the visitor should see it. */
export function knownProblem(
  code: ProblemCode,
  share?: string,
): { readonly status: number; readonly text: ProblemText } {
  const entry = ENTRIES[code];
  return {
    status: entry.status,
    text: {
      code,
      title: entry.title,
      detail: entry.detail(share ?? "this share"),
      hint: entry.hint,
      ...(entry.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: entry.retryAfterSeconds }),
    },
  };
}

/** Every code that {@link knownProblem} knows. */
export const PROBLEM_CODES = Object.keys(ENTRIES) as readonly ProblemCode[];

/** True for a code that {@link knownProblem} knows. */
export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(ENTRIES, code);
}
