// What was said of the frames, and the words for it.

/** A person's mark that counts for the boxes as they are. */
export function own(frame, person) {
  return frame.marks.find((mark) => mark.by === person && mark.valid) ?? null;
}

/** "remarked" before "clean" before "seen"; empty where nobody looked. */
export function standing(frame) {
  if (frame.remarks.length) return "remarked";
  const said = new Set(frame.marks.filter((mark) => mark.valid).map((mark) => mark.mark));
  return ["remarked", "clean", "seen"].find((name) => said.has(name)) ?? "";
}

/** Put a person's mark on a frame. */
export function put(frame, person, mark) {
  frame.marks = [...frame.marks.filter((each) => each.by !== person), { by: person, mark, valid: true }];
}

/** Take over what the server says; what this person has not sent yet goes over it. */
export function takeOver(frames, told, person, unsent) {
  const marks = grouped(told.marks);
  const remarks = grouped(told.remarks);
  for (const frame of frames) {
    // The answer to a mark tells of the others only.
    const mine = told.others_only ? frame.marks.filter((mark) => mark.by === person) : [];
    const said = (marks.get(frame.id) ?? []).map((m) => ({ by: m.by, mark: m.mark, valid: m.content === frame.content }));
    frame.marks = [...said, ...mine];
    frame.remarks = remarks.get(frame.id) ?? [];
  }
  const byId = new Map(frames.map((frame) => [frame.id, frame]));
  for (const mark of unsent) {
    const frame = byId.get(mark.frame);
    if (frame && frame.content === mark.content) put(frame, person, mark.mark);
  }
}

export function tally(frames) {
  const counts = { clean: 0, remarked: 0, left: 0 };
  for (const frame of frames) {
    const name = standing(frame);
    if (name === "clean" || name === "remarked") counts[name]++;
    else counts.left++;
  }
  return counts;
}

/** What became of a box, in words. */
export function fate(box) {
  if (box.what === "moved") return `moved by ${box.by} px`;
  if (box.what === "relabelled") return `was ${box.was.label}`;
  return box.what;
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function grouped(rows) {
  const found = new Map();
  for (const row of rows) {
    if (found.has(row.frame)) found.get(row.frame).push(row);
    else found.set(row.frame, [row]);
  }
  return found;
}
