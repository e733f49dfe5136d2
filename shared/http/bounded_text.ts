/**
 * The body of an answer as text (UTF-8), never holding more than `maxBytes` of it: a larger one is cancelled.
 * @param answer a Response of fetch
 * @returns undefined when the body is larger
 * @throws what the body's stream fails with
 */
export async function boundedText(
  answer: { readonly body: ReadableStream<Uint8Array> | null },
  maxBytes: number,
): Promise<string | undefined> {
  if (answer.body === null) return "";
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let text = "";
  let left = maxBytes;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    left -= part.value.length;
    if (left < 0) {
      // Not waited for: a stream that refuses to be cancelled is not asked again.
      reader.cancel().catch(() => {});
      return undefined;
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}
