/** What a Share object keeps. Times are Unix milliseconds. Plain JSON: this is what lies on disk. */
export interface ShareRecord {
  /** Version of this form. */
  readonly v: 1;
  readonly name: string;
  /** Fingerprint of the device key that the name belongs to. */
  readonly owner: string;
  /** Origin of the service as the owner reached it when it registered last. */
  audience: string;
  /** True when a person chose the name. */
  chosen: boolean;
  meta: ShareMeta;
  readonly createdAt: number;
  expiresAt: number;
  /** Set once the share is over: the name is in quarantine from `at` on. */
  ended: { readonly at: number; readonly by: "owner" | "expiry" } | undefined;
  /** Where its agent is attached. */
  attachment: Attachment | undefined;
  /** Tickets that were taken, and until when they must not be taken again. */
  used: { readonly id: string; readonly until: number }[];
  /** Edges that have to be told that a session is over. */
  owed: OwedDetach[];
  /** Where its object was made, as far as is known. */
  readonly near?: Nearness;
  /** Absent: the share lets nobody log in. The key itself lies beside the record, and is gone once the login is used. */
  ssh?: SshLogin;
}

/** What Cloudflare knew of the place from which a share was registered first. */
export interface Nearness {
  /** The data centre that the request came to, such as `FRA`. */
  readonly near?: string;
  /** The region in which Cloudflare was asked to make the object. */
  readonly hint?: string;
}

/** The SSH login of a share. */
export interface SshLogin {
  /** The first login is the only one. */
  readonly once: boolean;
  /** When that one was claimed, and for which device (its fingerprint). */
  readonly usedAt?: number;
  readonly usedBy?: string;
}

/** What an agent tells about its share: a few short fields. */
export type ShareMeta = Readonly<Record<string, string | number | boolean>>;

/** The one session that serves a share. */
export interface Attachment {
  readonly session: string;
  readonly edge: EdgeRef;
  readonly at: number;
}

/** One boot of one edge. */
export interface EdgeRef {
  readonly id: string;
  readonly region: string;
  /** Random per boot of the edge: its sessions do not outlive it. */
  readonly instance: string;
  /** Base URL of the edge's internal listener. */
  readonly origin: string;
}

/** Why an edge is told to let a session go. */
export type DetachCode = "share-expired" | "share-ended" | "share-replaced";

/** A call that an edge is owed. */
export interface OwedDetach {
  readonly session: string;
  readonly edge: EdgeRef;
  readonly code: DetachCode;
  readonly message: string;
  /** Tries so far. */
  attempts: number;
  nextAt: number;
}
