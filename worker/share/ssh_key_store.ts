/**
 * The sealed key of a share's SSH login, on the disk of its Share object.
 *
 * A row in a table of its own, so that it stays in its place however the record beside it grows: SQLite moves rows of one
 * table between pages and leaves their old bytes there. Deleting alone leaves them as well, so a row is overwritten before
 * it goes. What SQLite's log still holds of it, or the file while the log is ahead of it, goes when the object is let go
 * and SQLite closes both.
 *
 * Every method works at once, in the transaction that the object's other writes of the same turn are in.
 */
export class SshKeyStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** Stores `key` where none is. */
  put(key: Uint8Array): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS ssh_key (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)");
    this.#sql.exec("INSERT INTO ssh_key VALUES (1, ?)", key);
  }

  get(): Uint8Array | undefined {
    if (!this.#exists()) return undefined;
    const [row] = this.#sql.exec<{ sealed: ArrayBuffer }>("SELECT sealed FROM ssh_key");
    return row === undefined ? undefined : new Uint8Array(row.sealed);
  }

  /** Takes it away if it is there. @returns whether it was */
  erase(): boolean {
    if (!this.#exists()) return false;
    // Of the same length, a row is overwritten where it lies.
    const { rowsWritten } = this.#sql.exec("UPDATE ssh_key SET sealed = zeroblob(length(sealed))");
    this.#sql.exec("DELETE FROM ssh_key");
    return rowsWritten > 0;
  }

  /** Most shares never make the table. */
  #exists(): boolean {
    return [...this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'ssh_key'")].length > 0;
  }
}
