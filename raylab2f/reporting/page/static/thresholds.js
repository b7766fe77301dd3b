"use strict";
// One threshold, or two with a person between them, over the grid that was computed beforehand.
(() => {
  const words = {
    escape_rate: "escape rate: defective parts accepted", overkill_rate: "overkill rate: good parts rejected",
    expected_cost: "cost of 1,000 parts, mixed as they were judged", cost_at_prevalence: "cost of 1,000 parts at the factory's share of defective ones",
  };
  const text = (value) => {
    if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
    return Math.abs(value) >= 1 ? String(Number(value.toPrecision(3))) : value.toFixed(3);
  };
  const ends = (row) => (row.low === null ? "" : `${text(row.low)} to ${text(row.high)}`);

  function tile(value, what, between = "") {
    const tile = document.createElement("div");
    const strong = document.createElement("b");
    strong.textContent = value;
    const small = document.createElement("small");
    small.textContent = what;
    const span = document.createElement("span");
    span.textContent = between;
    tile.append(strong, span, small);
    return tile;
  }

  // Of all parts, those between the two thresholds, at the share of defective parts that the page knows.
  function reviewed(run, low, high) {
    const q = run.prevalence;
    const defective = high.escape_rate.mean - low.escape_rate.mean;
    const good = low.overkill_rate.mean - high.overkill_rate.mean;
    const both = `of defective parts ${text(defective)}, of good parts ${text(good)}`;
    return q === null ? [both, "a person looks at"] : [text(q * defective + (1 - q) * good), `review rate: of all parts at ${report.share(q)} defective (${both})`];
  }

  for (const field of document.querySelectorAll("[data-slider]")) {
    const run = report.runs[Number(field.dataset.slider)];
    const points = run.thresholds.points;
    run.prevalence = run.rules.prevalence;
    const [high, low] = ["high", "low"].map((end) => field.querySelector(`[data-end="${end}"]`));
    const review = field.querySelector("[data-review]");
    const show = () => {
      low.disabled = !review.checked;
      if (!review.checked || Number(low.value) > Number(high.value)) low.value = high.value;
      const above = points[Number(high.value)], below = points[Number(low.value)];
      high.setAttribute("aria-valuetext", `score ${above.threshold}`);
      low.setAttribute("aria-valuetext", `score ${below.threshold}`);
      const tiles = [tile(String(above.threshold), review.checked ? "rejected from this score" : "threshold")];
      if (review.checked) tiles.push(tile(String(below.threshold), "accepted below this score"));
      const rate = (point, name) => tile(text(point[name].mean), words[name], ends(point[name]));
      tiles.push(rate(below, "escape_rate"), rate(above, "overkill_rate"));
      if (review.checked) tiles.push(tile(...reviewed(run, below, above)));
      else {
        tiles.push(rate(above, above.cost_at_prevalence ? "cost_at_prevalence" : "expected_cost"));
      }
      field.querySelector(".readout").replaceChildren(...tiles);
      for (const canvas of document.querySelectorAll(`[data-plot="scores"][data-run="${field.dataset.slider}"]`)) {
        canvas.marks = [...new Set([below.threshold, above.threshold])];
        if (canvas.redraw) canvas.redraw();
      }
    };
    for (const control of [high, low, review]) control.addEventListener("input", show);
    document.addEventListener("prevalence", show);
    // Where escapes and overkills are as rare as can be at once.
    const worst = (p) => (p.escape_rate.mean ?? 1) + (p.overkill_rate.mean ?? 1);
    high.value = String(points.reduce((best, point, index) => (worst(point) < worst(points[best]) ? index : best), 0));
    low.value = high.value;
    field.show = show;
    show();
  }
})();
