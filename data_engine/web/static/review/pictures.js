// Pictures of the frames that come next: read further ahead, and decoded a little ahead, so that they are on screen at once.
const DECODED = 6; // frames ahead
const READ = 20;
const AT_ONCE = 3;
const MOST_PIXELS = 8e6; // of one decoded picture: 32 MB

export class Pictures {
  constructor() {
    this.known = new Map();
    this.order = [];
    this.working = 0;
  }

  /** The decoded picture of a frame: a promise, and `bitmap` once it is there; begun at once. */
  of(frame) {
    const entry = this.entry(frame);
    entry.ready ??= this.decode(frame, entry);
    return entry;
  }

  /** Have the neighbours of a frame ready, the next ones first, and let go of all others. */
  around(frames, at) {
    const ahead = (count) => Array.from({ length: count }, (_, step) => at + step + 1);
    const [next, ...later] = ahead(DECODED);
    const decoded = new Set([at, next, at - 1, ...later].map((number) => frames[number]).filter(Boolean));
    const read = new Set(ahead(READ).map((number) => frames[number]).filter(Boolean));
    this.order = [
      ...[...decoded].map((frame) => () => begun(this.entry(frame), "ready", () => this.of(frame).ready)),
      ...[...read].map((frame) => () => begun(this.entry(frame), "blob", () => this.read(frame))),
    ];
    const ids = (set) => new Set([...set].map((frame) => frame.id));
    const [keepDecoded, keepRead] = [ids(decoded), ids(read)];
    for (const [id, entry] of this.known) {
      if (keepDecoded.has(id)) continue;
      entry.bitmap?.close();
      if (!keepRead.has(id)) this.known.delete(id);
      else if (entry.ready) this.known.set(id, { ...fresh(), blob: entry.blob });
    }
    this.work();
  }

  work() {
    while (this.working < AT_ONCE && this.order.length) {
      const doing = this.order.shift()();
      if (!doing) continue;
      this.working++;
      doing.finally(() => {
        this.working--;
        this.work();
      });
    }
  }

  entry(frame) {
    if (!this.known.has(frame.id)) this.known.set(frame.id, fresh());
    return this.known.get(frame.id);
  }

  read(frame) {
    const entry = this.entry(frame);
    entry.blob ??= fetched(frame).catch(() => null);
    return entry.blob;
  }

  async decode(frame, entry) {
    try {
      const bitmap = await bitmapOf(frame, await this.read(frame));
      if (this.known.get(frame.id) === entry) entry.bitmap = bitmap;
      else bitmap.close();
    } catch {
      entry.lost = true;
    }
  }
}

function fresh() {
  return { blob: null, ready: null, bitmap: null, lost: false };
}

/** What is to be waited for; nothing where that was begun before. */
function begun(entry, step, begin) {
  return entry[step] ? null : begin();
}

async function fetched(frame) {
  const response = await fetch(`/pictures/${frame.id}`);
  if (!response.ok) throw new Error(response.statusText);
  return response.blob();
}

function bitmapOf(frame, blob) {
  const shrink = Math.sqrt(MOST_PIXELS / (frame.width * frame.height));
  if (shrink >= 1) return createImageBitmap(blob);
  return createImageBitmap(blob, { resizeWidth: Math.round(frame.width * shrink), resizeQuality: "medium" });
}
