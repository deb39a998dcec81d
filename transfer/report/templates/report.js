// A click sorts by a column, the next one the other way round; cells without a number go last.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") === "descending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const units = { k: 1e3, M: 1e6, G: 1e9 };
    const key = (row) => {
      const text = row.cells[head.cellIndex].textContent.trim();
      if (!head.classList.contains("number")) return text;
      const found = text.match(/^[<+\u2212-]?\s*([\d.]+(?:e-?\d+)?)\s*([kMG])?/);
      if (!found) return null;
      const sign = /^[\u2212-]/.test(text) ? -1 : 1;
      return sign * parseFloat(found[1]) * (units[found[2]] || 1);
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const words = typeof a === "string";
      const order = words ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      return up ? order : -order;
    });
    body.append(...rows.map(([, row]) => row));
  });
}
