// What is sent of a file.

const CONTROL = /[\u0000-\u001f\u007f]/g; // the server takes names of one line, without such characters
const MAX_NAME = 1024; // characters

/** The form of a file. Its name is a field too: in the file's head browsers escape quotes, and those would be kept. */
export function formOf(file, name) {
  const sent = name.replace(CONTROL, "\ufffd").slice(0, MAX_NAME);
  const form = new FormData();
  form.append("name", sent);
  form.append("file", file, sent);
  return form;
}
