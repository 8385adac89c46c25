// Model cards: headings, paragraphs, tables and code in Markdown, as elements. Anything else stays text.

import { make } from "./dom.js";

/** The elements of a text. */
export function textOf(markdown) {
  return blocksOf(markdown).map((block) => {
    const [first] = block;
    if (first.startsWith("```")) return make("pre", {}, block.slice(1).join("\n"));
    if (first.startsWith("#")) return make("h3", {}, first.replace(/^#+\s*/, ""));
    if (first.startsWith("|")) return tableOf(block);
    return make("p", {}, ...spansOf(block.join(" ")));
  });
}

// Blocks end at empty lines, but those of code at their fence, which is left out.
function blocksOf(markdown) {
  const blocks = [];
  let block = [];
  for (const line of markdown.split("\n")) {
    const isCode = block[0]?.startsWith("```");
    if (isCode ? line === "```" : !line.trim()) {
      if (block.length) blocks.push(block);
      block = [];
    } else {
      block.push(line);
    }
  }
  return block.length ? [...blocks, block] : blocks;
}

function tableOf(block) {
  const rows = block.filter((line) => !/^[|\s:-]+$/.test(line)).map(cellsOf);
  const hasHead = /^\|[\s:-]+\|/.test(block[1] ?? "") && cellsOf(block[0]).some(Boolean);
  return make("table", {}, ...rows.map((cells, i) => rowOf(cells, hasHead && i === 0)));
}

function rowOf(cells, isHead) {
  return make("tr", {}, ...cells.map((cell, i) => make(isHead || i === 0 ? "th" : "td", {}, ...spansOf(cell))));
}

const cellsOf = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());

// Every other piece between backticks is code.
const spansOf = (text) => text.split("`").map((piece, i) => (i % 2 ? make("code", {}, piece) : piece));
