/** A word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_./:@=,+#-]+$/.test(word) && !word.startsWith("#") ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
