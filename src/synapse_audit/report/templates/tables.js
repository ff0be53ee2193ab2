"use strict";
// Long tables a page at a time, sorted by a click on a column's name, saved as CSV. Without this
// script every row stands in the page.
(function () {
  const SIZE = 25;

  // What a cell says as a number: "−0.012", "12 345", "2.5%", "< 0.001", "0.1 to 0.2" (its start).
  function numberOf(text) {
    const found = text.replace(/\u2212/g, "-").replace(/[\u202f\u00a0]/g, "").match(/-?(\d+\.?\d*(e[+-]?\d+)?|\u221e)/i);
    return found ? Number(found[0].replace("\u221e", "Infinity")) : NaN;
  }

  function button(text, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function pager(table, rows, bar) {
    let at = 0;
    const pages = Math.ceil(rows.length / SIZE);
    const where = document.createElement("span");
    const show = (page) => {
      at = Math.max(0, Math.min(page, pages - 1));
      rows.forEach((row, i) => { row.hidden = i < at * SIZE || i >= (at + 1) * SIZE; });
      where.textContent = (at * SIZE + 1) + "–" + Math.min((at + 1) * SIZE, rows.length) + " of " + rows.length;
    };
    if (pages > 1) {
      where.setAttribute("aria-live", "polite");
      bar.append(button("‹", "Earlier rows", () => show(at - 1)), where, button("›", "Later rows", () => show(at + 1)));
      bar.append(button("All", "All rows", () => { rows.forEach((row) => { row.hidden = false; }); where.textContent = "all " + rows.length; }));
    }
    show(0);
    return () => show(0);
  }

  function sortable(table, rows, first) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const name = head.textContent;
      head.textContent = "";
      head.append(button(name, "", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const cell = (row) => row.cells[column].textContent.trim();
        const numbers = rows.every((row) => cell(row) === "–" || !Number.isNaN(numberOf(cell(row)))) && !head.classList.contains("t");
        const order = (a, b) => numbers ? numberOf(cell(a)) - numberOf(cell(b)) : cell(a).localeCompare(cell(b), undefined, { numeric: true });
        rows.sort((a, b) => {
          if ((cell(a) === "–") !== (cell(b) === "–")) return cell(a) === "–" ? 1 : -1;
          return (cell(a) === "–" ? 0 : order(a, b)) * (down ? -1 : 1);
        });
        table.tBodies[0].append(...rows);
        first();
      }));
    });
  }

  function saveCsv(details) {
    const text = JSON.parse(details.querySelector("script.csv").textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    link.download = (details.querySelector("summary").firstChild.textContent.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-") || "table") + ".csv";
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Built when a table is opened for the first time: most never are.
  for (const details of document.querySelectorAll("details.data")) {
    details.addEventListener("toggle", () => {
      if (details.dataset.ready || !details.open) return;
      details.dataset.ready = "";
      const table = details.querySelector("table");
      const rows = Array.from(table.tBodies[0].rows);
      const bar = document.createElement("p");
      bar.className = "pager";
      const first = pager(table, rows, bar);
      sortable(table, rows, first);
      if (details.querySelector("script.csv")) bar.append(button("CSV", "Save as CSV", () => saveCsv(details)));
      details.querySelector(".scroll").before(bar);
    });
  }

  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.data tr[hidden]").forEach((row) => { row.hidden = false; });
  });
})();
