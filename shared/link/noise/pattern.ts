/**
 * Handshake patterns of the Noise Protocol Framework (revision 34, section 7): which keys travel in each message, and
 * which are mixed into the secret.
 */
export type NoiseToken = "e" | "s" | "ee" | "es" | "se" | "ss";

export interface NoisePattern {
  readonly name: string;
  /** Whose static key the other side knows beforehand. */
  readonly known?: { readonly initiator?: boolean; readonly responder?: boolean };
  /** The initiator writes the first message, the responder the second, and so on. */
  readonly messages: readonly (readonly NoiseToken[])[];
}

/** Both sides tell their static keys, sealed; neither knows the other's beforehand. What links use. */
export const XX: NoisePattern = { name: "XX", messages: [["e"], ["e", "ee", "s", "es"], ["s", "se"]] };
