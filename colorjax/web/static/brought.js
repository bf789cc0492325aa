// What is dropped or pasted: files as they are, and of folders the photographs and films that are in them.

const order = new Intl.Collator("en", { numeric: true }); // 9.jpg before 10.jpg

/** The files that came with a drop or a paste, those of a folder and its subfolders in order of name. `page` has: isWanted(name), whether
 *  a file in a folder is taken; looking(words); complain(words). What a folder hides, by a dot before its name, is passed over. */
export async function filesOf({ items }, page) {
  const brought = [...items].filter(({ kind }) => kind === "file").map(fileOrFolder); // at once: after the event they are gone
  const files = [];
  for (const one of brought.filter(Boolean)) files.push(...(one.isDirectory ? await allOf(one, page) : [one]));
  return files;
}

function fileOrFolder(item) {
  const entry = item.webkitGetAsEntry?.();
  return entry?.isDirectory ? entry : item.getAsFile();
}

/** The photographs and films of one folder. What cannot be read is told, and the others are taken. */
async function allOf(folder, { isWanted, looking, complain }) {
  let whole = true;
  const told = (entry) => {
    whole = false;
    complain(`${entry.fullPath.slice(1)} cannot be read.`);
    return [];
  };

  async function within(place) {
    const files = [];
    const entries = await entriesOf(place).catch(() => told(place));
    for (const entry of entries.filter(({ name }) => !name.startsWith(".")).sort((one, other) => order.compare(one.name, other.name))) {
      if (entry.isDirectory) files.push(...(await within(entry)));
      else if (isWanted(entry.name)) files.push(...(await fileOf(entry).catch(() => told(entry))));
    }
    return files;
  }

  looking(`Looking into ${folder.name}…`);
  const files = await within(folder);
  if (!files.length && whole) complain(`${folder.name} is a folder without photographs and films.`);
  return files;
}

async function entriesOf(folder) {
  const [reader, entries] = [folder.createReader(), []];
  for (;;) {
    const more = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at most
    if (!more.length) return entries;
    entries.push(...more);
  }
}

const fileOf = (entry) => new Promise((done, failed) => entry.file((file) => done([file]), failed));
