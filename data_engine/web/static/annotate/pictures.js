// Pictures of frames, decoded before they are wanted.

const KEPT = 5; // the one that is shown, and two on each side

export class Pictures {
  constructor() {
    this.kept = new Map();
  }

  /** The loaded picture of a frame; one that is gone or damaged is what the server shows in its place. */
  get(frame) {
    let found = this.kept.get(frame.id);
    if (!found) {
      const picture = new Image();
      picture.alt = frame.name;
      picture.draggable = false;
      picture.src = `/pictures/${frame.id}`;
      found = picture.decode().then(
        () => picture,
        () => {
          this.kept.delete(frame.id);
          return picture;
        },
      );
    }
    this.kept.delete(frame.id);
    this.kept.set(frame.id, found);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return found;
  }
}
