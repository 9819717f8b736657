// What the device keeps: one small store of named values, in IndexedDB. A browser that keeps nothing for us (a private
// window) gets a store that lasts as long as the page.

const NAME = "hutong-codes";
const BOX = "kept";

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(BOX);
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

// What was asked, once it is on the disk.
function ended(transaction, act) {
  return new Promise((done, failed) => {
    const request = act(transaction.objectStore(BOX));
    transaction.oncomplete = () => done(request.result);
    transaction.onabort = () => failed(transaction.error ?? new Error("aborted"));
  });
}

export class Kept {
  #database = null;
  #lasting = true;
  #page = new Map();

  // Whether what is kept outlives the page.
  get lasts() {
    return this.#lasting;
  }

  async get(name) {
    return (await this.#with("readonly", (store) => store.get(name))) ?? this.#page.get(name) ?? null;
  }

  async put(name, value) {
    this.#page.set(name, value);
    await this.#with("readwrite", (store) => store.put(value, name));
  }

  async remove(name) {
    this.#page.delete(name);
    await this.#with("readwrite", (store) => store.delete(name));
  }

  async #with(mode, act) {
    if (!this.#lasting) return undefined;
    try {
      this.#database ??= await opened();
      return await ended(this.#database.transaction(BOX, mode, { durability: "strict" }), act);
    } catch {
      this.#lasting = false;
      return undefined;
    }
  }
}
