/** Text of HTTP fields: Workers take its bytes for UTF-8, our heads have one character for each byte, as HTTP has. */

const ASCII = /^[\0-\x7f]*$/;

/** What a Worker has read, one character per byte. */
export function fieldBytes(text: string): string {
  if (ASCII.test(text)) return text;
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

/** The same back, for a Worker to write. Bytes that are no UTF-8 it cannot write; their characters stay. */
export function fieldText(bytes: string): string {
  if (ASCII.test(bytes)) return bytes;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(bytes, (char) => char.charCodeAt(0)),
    );
  } catch {
    return bytes;
  }
}
