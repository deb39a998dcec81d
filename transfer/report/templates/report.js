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
      const found = text.match(/^[<>+\u2212-]?\s*([\d.]+(?:e-?\d+)?)\s*([kMG])?/);
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

// On a chart, the pointer, a touch or the arrow keys find the nearest mark and show its values.
for (const chart of document.querySelectorAll(".chart")) {
  const data = chart.querySelector("script");
  if (!data) continue;
  const image = chart.querySelector("img"), near = 18;
  const spots = JSON.parse(data.textContent).flatMap((mark) => {
    const line = mark.values.length === 1 && mark.spots.length > 1;
    const corners = mark.spots.map((spot) => spot.map((each) => each / 1e4));
    return line ? [{ mark, corners, values: mark.values[0] }]
      : corners.map((corner, index) => ({ mark, corners: [corner], values: mark.values[index] }));
  });
  const ring = document.createElement("span"), tip = document.createElement("div");
  ring.className = "ring";
  tip.className = "tip";
  tip.setAttribute("role", "status");
  ring.hidden = tip.hidden = true;
  chart.append(ring, tip);
  let shown = -1;

  // Of a spot, what lies nearest to a place, both in pixels.
  const nearest = (spot, x, y) => {
    const { clientWidth: width, clientHeight: height } = image;
    let best = { distance: Infinity };
    spot.corners.forEach(([left, top, side = 0, up = 0], index) => {
      let [px, py] = [left * width, top * height], gone = 0;
      if (index < spot.corners.length - 1) {
        const [qx, qy] = [spot.corners[index + 1][0] * width, spot.corners[index + 1][1] * height];
        const length = (qx - px) ** 2 + (qy - py) ** 2 || 1;
        gone = Math.min(Math.max(((x - px) * (qx - px) + (y - py) * (qy - py)) / length, 0), 1);
        [px, py] = [px + gone * (qx - px), py + gone * (qy - py)];
      }
      const dx = Math.max(Math.abs(x - px) - side * width, 0);
      const dy = Math.max(Math.abs(y - py) - up * height, 0);
      const distance = Math.hypot(dx, dy);
      if (distance < best.distance) {
        best = { distance, x: px, y: py, side: side * width, up: up * height };
      }
    });
    return best;
  };
  const hide = () => { ring.hidden = tip.hidden = true; shown = -1; };
  const show = (index, place) => {
    const spot = spots[index], { clientWidth: width, clientHeight: height } = image;
    shown = index;
    const title = document.createElement("strong");
    title.textContent = spot.mark.label;
    const lines = spot.values.map((value, number) => {
      const line = document.createElement("span");
      line.textContent = `${spot.mark.names[number]}: ${value}`;
      return line;
    });
    tip.replaceChildren(...(spot.mark.label ? [title] : []), ...lines);
    ring.hidden = tip.hidden = false;
    const side = Math.max(place.side, 7), up = Math.max(place.up, 7);
    Object.assign(ring.style, { left: `${place.x - side}px`, top: `${place.y - up}px`,
      width: `${2 * side}px`, height: `${2 * up}px` });
    // Beside the spot, where there is room.
    const [w, h] = [tip.offsetWidth, tip.offsetHeight];
    const right = place.x + side + 8 + w <= width;
    const left = right ? place.x + side + 8 : Math.max(place.x - side - 8 - w, 0);
    const top = Math.min(Math.max(place.y - h / 2, 0), Math.max(height - h, 0));
    Object.assign(tip.style, { left: `${left}px`, top: `${top}px` });
  };
  const find = (event) => {
    const box = image.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = { distance: near }, chosen = -1;
    spots.forEach((spot, index) => {
      const place = nearest(spot, x, y);
      if (place.distance < best.distance) [best, chosen] = [place, index];
    });
    if (chosen < 0) hide();
    else show(chosen, best);
  };
  chart.addEventListener("pointermove", find);
  chart.addEventListener("pointerdown", find);
  // A finger that is lifted leaves what it has found.
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  chart.addEventListener("blur", hide);
  document.addEventListener("pointerdown", (event) => {
    if (!chart.contains(event.target)) hide();
  });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const start = shown < 0 && step < 0 ? 0 : shown;
    const index = (start + step + spots.length) % spots.length;
    const [left, top] = spots[index].corners.at(-1);
    show(index, nearest(spots[index], left * image.clientWidth, top * image.clientHeight));
  });
}
