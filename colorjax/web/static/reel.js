// What a film is made of: shots, each [first frame, end], and work that is done on it, which the server tells of.

const INTO = 24; // frames, at most, from the first one of a shot to the one that stands for it

export const isWorking = (work) => work?.state === "waiting" || work?.state === "working";

/** The number of the shot that a frame belongs to. */
export const shotOf = (film, frame) => film.shots.findIndex(([first, end]) => first <= frame && frame < end);

/** The frame that stands for a shot. */
export const middleOf = ([first, end]) => first + Math.min(INTO, (end - first) >> 1);

/** Words of the server as a sentence. */
export const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;
