import { isJurisdiction, type Jurisdiction } from "../../shared/object_place.ts";

/** Where the object of a registered name is. */
export interface NameHome {
  /** Undefined: it was asked for without one. */
  readonly jurisdiction: Jurisdiction | undefined;
}

/** What is used of a disk. Every call is done when it returns, so that nothing comes between two of them. */
export interface NameStorage {
  get(name: string): unknown;
  put(name: string, value: unknown): void;
  delete(name: string): unknown;
}

/** What lies on disk: the jurisdiction, or true without one, as earlier versions wrote it for every name. */
type Stored = Jurisdiction | true;

/** The names of one part of the index, each with the one place where its object may be. */
export class NameRecords {
  readonly #storage: NameStorage;

  constructor(storage: NameStorage) {
    this.#storage = storage;
  }

  find(name: string): NameHome | undefined {
    const stored = this.#storage.get(name);
    if (isJurisdiction(stored)) return { jurisdiction: stored };
    return stored === true ? { jurisdiction: undefined } : undefined;
  }

  /** Gives the name this home unless it has one. @returns the one that it has now */
  reserve(name: string, home: NameHome): NameHome {
    const found = this.find(name);
    if (found !== undefined) return found;
    this.#storage.put(name, (home.jurisdiction ?? true) satisfies Stored);
    return home;
  }

  remove(name: string): void {
    this.#storage.delete(name);
  }
}
