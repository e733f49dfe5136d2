/** Compares secrets in a time that depends on the length of `given` only. False when there is no secret to match. */
export function sameSecret(given: string | null | undefined, secret: string | undefined): boolean {
  if (!given || !secret) return false;
  let difference = given.length ^ secret.length;
  for (let at = 0; at < given.length; at++) difference |= given.charCodeAt(at) ^ secret.charCodeAt(at % secret.length);
  return difference === 0;
}
