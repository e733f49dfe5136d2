/**
 * The three functions of the Reflect metadata proposal that `@peculiar/x509` needs to be imported: its injector looks
 * for constructor parameters, and the classes it injects have none. Import this first.
 */
const reflect = Reflect as {
  getMetadata?: (key: unknown, target: object) => unknown;
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
};

if (reflect.getMetadata === undefined) {
  const metadata = new WeakMap<object, Map<unknown, unknown>>();
  reflect.getMetadata = reflect.getOwnMetadata = (key, target) => metadata.get(target)?.get(key);
  reflect.defineMetadata = (key, value, target) => {
    const known = metadata.get(target) ?? new Map();
    metadata.set(target, known.set(key, value));
  };
}
